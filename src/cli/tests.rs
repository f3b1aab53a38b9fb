//! Verbs against scripted servers: what they send, in which order, and how they end.

use super::scripted::Scripted;
use super::*;
use crate::base::error::Code;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

/// The end of a command line given to a master; Marathon and Chronos are never there.
pub(super) async fn at_master(
    server: &Scripted,
    line: &[&str],
    interrupt: &Interrupt,
) -> Result<End> {
    let args = [&["mesolith", "--master", server.address()], line].concat();
    let cli = Cli::try_parse_from(args).unwrap();
    let reach = Reach::new(cli.global.master.as_deref(), None, None, None).unwrap();
    asked(cli.verb, &reach, cli.global.output, interrupt).await
}

/// The end of a command line given to a Marathon and a Chronos; the master is never there.
async fn end_of(server: &Scripted, line: &[&str]) -> Result<End> {
    let args = ["mesolith", "--master=127.0.0.1:1", "--marathon", server.address(), "--chronos"];
    let args = args.iter().copied().chain([server.address()]).chain(line.iter().copied());
    let cli = Cli::try_parse_from(args).unwrap();
    let Global { master, marathon, chronos, output, .. } = cli.global;
    let reach =
        Reach::new(master.as_deref(), marathon.as_deref(), chronos.as_deref(), None).unwrap();
    asked(cli.verb, &reach, output, &Interrupt::default()).await
}

fn app(running: u32) -> Value {
    json!({"app": {"id": "/a", "instances": 2, "tasksRunning": running, "version": "v1", "cmd": "x"}})
}

fn deploying() -> Value {
    json!([{"id": "d1", "version": "v1", "affectedApps": ["/a"], "currentStep": 1, "totalSteps": 1}])
}

fn started() -> (u16, Value) {
    (200, json!({"deploymentId": "d1", "version": "v1"}))
}

fn waiting() -> Value {
    json!({"queue": [{"app": {"id": "/a", "cpus": 99}, "count": 2, "delay": {"overdue": true},
        "processedOffersSummary": {"processedOffersCount": 0}}]})
}

/// A Marathon whose deployment ends as the event says, told before its start is answered.
async fn marathon(event: Value) -> Scripted {
    Scripted::start(move |server, line, _| match line.split(['?', ' ']).collect::<Vec<_>>()[..] {
        ["GET", "/v2/events", ..] => (200, json!(null)),
        ["GET", "/v2/deployments", ..] => (200, deploying()),
        ["GET", "/v2/apps/a"] => (200, app(1)),
        ["GET", "/v2/apps/a/versions"] => (200, json!({"versions": ["v0", "v1"]})),
        ["GET", "/v2/queue", ..] => (200, json!({"queue": []})),
        _ => {
            server.tell(event.clone());
            started()
        }
    })
    .await
}

fn success() -> Value {
    json!({"eventType": "deployment_success", "id": "d1"})
}

#[tokio::test]
async fn changes_are_watched_to_the_end_the_event_stream_tells() {
    for (line, change) in [
        (&["app", "scale", "a", "2"][..], r#"PUT /v2/apps/a?force=false {"instances":2}"#),
        (&["app", "restart", "/a", "--force"], "POST /v2/apps/a/restart?force=true"),
        (&["app", "rollback", "a"], r#"PUT /v2/apps/a?force=false {"version":"v0"}"#),
        (&["app", "rm", "a", "--yes"], "DELETE /v2/apps/a?force=false"),
        (
            &["app", "run", "--id=a", "--cmd=y"],
            r#"PUT /v2/apps/a?force=false {"cmd":"y","id":"/a"}"#,
        ),
    ] {
        let server = marathon(success()).await;
        assert_eq!(end_of(&server, line).await, Ok(End::Done), "{line:?}");
        assert_eq!(server.changes(), [change]);
        let asked = server.asked();
        let at = |what: &str| asked.iter().position(|a| a.starts_with(what));
        assert!(at("GET /v2/events") < at(change), "listens before it changes: {asked:?}");
        let failed = json!({"eventType": "deployment_failed", "id": "d1", "reason": "another"});
        assert_eq!(end_of(&marathon(failed).await, line).await, Ok(End::Cancelled), "{line:?}");
    }
}

#[tokio::test]
async fn detached_changes_are_not_watched() {
    let server = marathon(success()).await;
    assert_eq!(end_of(&server, &["app", "restart", "a", "--detach"]).await, Ok(End::Done));
    assert!(!server.asked().iter().any(|a| a.contains("/v2/events")));
}

#[tokio::test]
async fn without_an_event_stream_the_apps_tell_how_it_ended() {
    for (running, end) in [(2, End::Done), (1, End::Cancelled)] {
        let server = Scripted::start(move |_, line, _| match line {
            _ if line.starts_with("GET /v2/deployments") => (200, json!([])),
            "GET /v2/apps/a" => (200, app(running)),
            _ if line.starts_with("GET /v2/events") => (500, json!({"message": "no"})),
            _ => started(),
        })
        .await;
        assert_eq!(end_of(&server, &["app", "restart", "a"]).await, Ok(end));
    }
}

#[tokio::test]
async fn the_end_of_the_time_tells_lack_of_place_from_slowness() {
    for (queue, end) in [(waiting(), End::NotPlaced), (json!({"queue": []}), End::TimedOut)] {
        let server = Scripted::start(move |_, line, _| match line {
            _ if line.starts_with("GET /v2/deployments") => (200, deploying()),
            "GET /v2/apps/a" => (200, app(0)),
            _ if line.starts_with("GET /v2/events") => (200, json!(null)),
            _ if line.starts_with("GET /v2/queue") => (200, queue.clone()),
            _ => started(),
        })
        .await;
        let line = ["app", "restart", "a", "--timeout=300ms"];
        assert_eq!(end_of(&server, &line).await, Ok(end));
    }
}

#[tokio::test]
async fn a_locked_app_is_a_conflict_with_the_way_around_it() {
    let server = Scripted::start(|_, line, _| match line {
        _ if line.starts_with("GET /v2/apps/a") => (200, app(1)),
        _ if line.starts_with("GET") => (200, json!(null)),
        _ => (409, json!({"message": "App is locked", "deployments": [{"id": "d0"}]})),
    })
    .await;
    let error = end_of(&server, &["app", "scale", "a", "3"]).await.unwrap_err();
    assert_eq!(error.code, Code::Conflict);
    assert!(error.cause.contains("d0") && error.hint.is_some_and(|h| h.contains("--force")));
}

#[tokio::test]
async fn what_is_gone_for_good_is_asked_for_and_unknown_apps_are_not_made() {
    let server = marathon(success()).await;
    let error = end_of(&server, &["app", "rm", "a"]).await.unwrap_err();
    assert!(error.hint.is_some_and(|h| h.contains("--yes")));
    let unknown =
        |_: &Scripted, _: &str, _: &Value| (404, json!({"message": "App '/b' does not exist"}));
    let empty = Scripted::start(unknown).await;
    for line in [&["app", "scale", "b", "1"][..], &["app", "rm", "b", "-y"], &["app", "show", "b"]]
    {
        assert_eq!(end_of(&empty, line).await.unwrap_err().code, Code::NotFound, "{line:?}");
    }
    assert!(server.changes().is_empty() && empty.changes().is_empty());
}

#[tokio::test]
async fn a_file_is_the_whole_app_but_for_instances_it_does_not_name() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.json").display().to_string();
    std::fs::write(&file, r#"{"id": "a", "mem": 64}"#).unwrap();
    let server = marathon(success()).await;
    assert_eq!(end_of(&server, &["app", "run", &file]).await, Ok(End::Done));
    let sent =
        r#"PUT /v2/apps/a?force=false&partialUpdate=false {"id":"/a","instances":2,"mem":64}"#;
    assert_eq!(server.changes(), [sent]);
    std::fs::write(&file, r#"{"id": "a", "instances": 5}"#).unwrap();
    assert_eq!(end_of(&server, &["app", "run", &file, "--cmd=z"]).await, Ok(End::Done));
    let sent =
        r#"PUT /v2/apps/a?force=false&partialUpdate=false {"cmd":"z","id":"/a","instances":5}"#;
    assert_eq!(server.changes().last().map(String::as_str), Some(sent));
}

#[tokio::test]
async fn tasks_are_killed_by_marathon_and_scaled_down_when_asked() {
    let server = Scripted::start(|server, line, _| match line {
        "GET /v2/tasks" => (200, json!({"tasks": [{"id": "a.1", "appId": "/a", "host": "n"}]})),
        _ if line.starts_with("GET /v2/deployments") => (200, deploying()),
        "GET /v2/apps/a" => (200, app(1)),
        _ if line.starts_with("GET /v2/events") => (200, json!(null)),
        _ if line.contains("scale=true") => {
            server.tell(success());
            started()
        }
        _ => (200, json!({"tasks": []})),
    })
    .await;
    assert_eq!(end_of(&server, &["app", "kill", "a."]).await, Ok(End::Done));
    assert_eq!(
        end_of(&server, &["app", "kill", "--app=a", "--host=n", "--wipe"]).await,
        Ok(End::Done)
    );
    assert_eq!(end_of(&server, &["app", "kill", "a.1", "--scale"]).await, Ok(End::Done));
    assert_eq!(
        server.changes(),
        [
            r#"POST /v2/tasks/delete?force=false {"ids":["a.1"]}"#,
            "DELETE /v2/apps/a/tasks?force=false&wipe=true&host=n",
            r#"POST /v2/tasks/delete?force=false&scale=true {"ids":["a.1"]}"#,
        ]
    );
}

/// A Chronos with a job `a` that had a run; the next one ends so.
async fn chronos(outcome: &'static str) -> Scripted {
    let forced = Arc::new(Mutex::new(false));
    Scripted::start(move |server, line, _| {
        let mut forced = forced.lock().unwrap();
        let mut history = vec![json!({"due": 1, "cause": "planned", "outcome": "failure"})];
        if *forced {
            history
                .insert(0, json!({"due": 2, "cause": "forced", "outcome": outcome, "attempts": 1}));
        }
        match line.split(['?', ' ']).collect::<Vec<_>>()[..] {
            ["GET", "/mesolith/v1/jobs/a"] => (200, json!({"runs": [], "history": history})),
            ["GET", "/mesolith/v1/events"] => (200, json!(null)),
            ["GET", "/mesolith/v1/why/a"] => {
                (200, json!({"subject": "job 'a'", "candidates": 1, "refusals": []}))
            }
            ["GET", "/v1/scheduler/job/a"] => (200, json!({"name": "a"})),
            ["GET", ..] => (400, json!({"message": "Job 'b' not found", "status": "Bad Request"})),
            _ => {
                *forced = true;
                server.tell(json!({"type": "run_ended", "job": "a", "due": 2}));
                (204, json!(null))
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_run_is_watched_to_its_outcome() {
    for (outcome, end) in
        [("success", End::Done), ("failure", End::Failed), ("killed", End::Failed)]
    {
        let server = chronos(outcome).await;
        let line = ["job", "force", "a", "--arguments", "-x 1"];
        assert_eq!(end_of(&server, &line).await, Ok(end), "{outcome}");
        assert_eq!(server.changes(), ["PUT /v1/scheduler/job/a?arguments=%2Dx%201"]);
    }
    let server = chronos("failure").await;
    assert_eq!(end_of(&server, &["job", "run", "--name=a", "--command=x"]).await, Ok(End::Failed));
    let server = chronos("failure").await;
    let scheduled = ["job", "run", "--name=a", "--command=x", "--schedule=R//PT1H"];
    assert_eq!(end_of(&server, &scheduled).await, Ok(End::Done), "it is registered, not watched");
    assert_eq!(end_of(&server, &["job", "force", "a", "-d"]).await, Ok(End::Done));
    assert_eq!(end_of(&server, &["job", "force", "b"]).await.unwrap_err().code, Code::NotFound);
    assert_eq!(end_of(&server, &["job", "rm", "b", "-y"]).await.unwrap_err().code, Code::NotFound);
    assert_eq!(server.changes().len(), 3, "{:?}", server.changes());
}

#[tokio::test]
async fn apply_sends_nothing_unless_all_files_are_sound() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.json"), r#"{"id": "a", "cmd": "x"}"#).unwrap();
    std::fs::write(dir.path().join("b.json"), "{").unwrap();
    let server = marathon(success()).await;
    let path = dir.path().display().to_string();
    let error = end_of(&server, &["apply", &path]).await.unwrap_err();
    assert!(error.code == Code::Invalid && error.cause.contains("b.json"), "{error:?}");
    assert!(server.asked().is_empty(), "{:?}", server.asked());
}

#[tokio::test]
async fn apply_goes_on_after_a_refusal_and_ends_as_the_worst() {
    let dir = tempfile::tempdir().unwrap();
    let files = [
        ("1.json", r#"{"name": "child", "command": "x", "parents": ["top"]}"#),
        ("2.json", r#"{"name": "top", "command": "x", "schedule": "R//PT1H"}"#),
        ("3.json", r#"{"id": "bad", "cmd": "x"}"#),
        ("4.json", r#"{"id": "a", "cmd": "x"}"#),
    ];
    for (name, text) in files {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    let server =
        Scripted::start(|server, line, _| match line.split(['?', ' ']).collect::<Vec<_>>()[..] {
            ["GET", "/v2/events", ..] => (200, json!(null)),
            ["GET", "/v2/deployments", ..] => (200, deploying()),
            ["GET", "/v2/queue", ..] => (200, json!({"queue": []})),
            ["GET", ..] => (404, json!({"message": "none"})),
            ["PUT", "/v2/apps/bad", ..] => (422, json!({"message": "Object is not valid"})),
            ["PUT", "/v2/apps/a", ..] => {
                server.tell(success());
                (201, json!({"deploymentId": "d1", "version": "v1"}))
            }
            _ => (204, json!(null)),
        })
        .await;
    let path = dir.path().display().to_string();
    assert_eq!(end_of(&server, &["apply", &path]).await, Ok(End::Refused(1)));
    let sent: Vec<String> = server
        .changes()
        .iter()
        .map(|c| c.split(['?', '{']).next().unwrap().trim().into())
        .collect();
    assert_eq!(
        sent,
        [
            "PUT /v2/apps/bad",
            "PUT /v2/apps/a",
            "POST /v1/scheduler/iso8601",
            "POST /v1/scheduler/dependency"
        ]
    );
}

#[tokio::test]
async fn why_asks_who_knows_the_name() {
    let server =
        Scripted::start(|_, line, _| match line.split(['?', ' ']).collect::<Vec<_>>()[..] {
            ["GET", "/v2/apps/a"] => (200, app(0)),
            ["GET", "/v2/queue", ..] => (200, waiting()),
            ["GET", "/v2/deployments", ..] => (200, deploying()),
            ["GET", "/v1/scheduler/job/tick"] => (200, json!({"name": "tick"})),
            ["GET", "/mesolith/v1/why/tick"] => {
                (200, json!({"subject": "job 'tick'", "refusals": []}))
            }
            _ => (404, json!({"message": "none"})),
        })
        .await;
    assert_eq!(end_of(&server, &["why", "a"]).await, Ok(End::Done));
    assert_eq!(end_of(&server, &["why", "/a", "-o", "json"]).await, Ok(End::Done));
    assert_eq!(end_of(&server, &["why", "tick"]).await, Ok(End::Done));
    // Nobody else knows it, and the master that would is not there.
    assert_eq!(end_of(&server, &["why", "x"]).await.unwrap_err().code, Code::Unavailable);
}

#[test]
fn the_commands_are_well_formed() {
    Cli::command().debug_assert();
}

#[test]
fn joining_is_up_with_whom_to_join() {
    let parsed = |line: &[&str]| {
        let args = ["mesolith", "join"].iter().chain(line);
        match Cli::try_parse_from(args).map_err(|e| e.to_string())?.verb {
            Verb::Join(args) => Ok(join::as_up(args).settings.0),
            other => Err(format!("{other:?}")),
        }
    };
    let flags = parsed(&["10.0.0.1", "n2:5052", "--roles=agent", "--hostname", "n3"]).unwrap();
    let expected = [("hostname", "n3"), ("join", "10.0.0.1,n2:5052"), ("node_roles", "agent")];
    assert_eq!(flags, expected.map(|(a, b)| (a.to_string(), b.to_string())).into());
    assert!(parsed(&[]).unwrap_err().contains("HOST"));
    let Verb::Up(mut up) = Cli::try_parse_from(["mesolith", "up"]).unwrap().verb else {
        panic!("up is a verb")
    };
    up.settings.0.insert("join".into(), "n9".into());
    up.join(&["n1".into()]);
    assert_eq!(up.settings.0["join"], "n1,n9");
}

#[test]
fn shells_complete_the_verbs_about_nodes() {
    let mut script = Vec::new();
    clap_complete::generate(
        clap_complete::Shell::Bash,
        &mut Cli::command(),
        "mesolith",
        &mut script,
    );
    let script = String::from_utf8(script).unwrap();
    for word in ["promote", "unpin", "rotate", "leave", "join", "--agent-only"] {
        assert!(script.contains(word), "{word}");
    }
}
