//! `mesos-execute` and `mesos-resolve` against a master with one agent, over real HTTP.

use crate::scripted::{SOON, Scripted};
use crate::serve::{Running, scheduler_face, serve};
use axum::Router;
use axum::extract::Query;
use axum::http::{StatusCode, header};
use axum::routing::get;
use clap::Parser as _;
use mesolith::base::explain::{Explanation, Refusal as Rule};
use mesolith::cli::execute::{ExecuteOptions, World, run};
use mesolith::cli::resolve;
use mesolith::framework::server::Refusal;
use mesolith::mesos::make::scalar;
use mesolith::mesos::v1::scheduler::{Event, call, event};
use mesolith::mesos::v1::{
    AgentId, FrameworkId, Offer, OfferId, TaskId, TaskState, TaskStatus, task_status,
};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::sync::mpsc;

type Files = Arc<Mutex<BTreeMap<&'static str, String>>>;

/// `/files/read` as the agent has it, passed on by the master.
fn files_face(files: Files) -> Router {
    let read = move |Query(query): Query<BTreeMap<String, String>>| async move {
        let name = query["path"].rsplit('/').next().unwrap().to_string();
        assert_eq!(query["path"], format!("/frameworks/f-0000/executors/t/runs/latest/{name}"));
        let files = files.lock().unwrap();
        let Some(content) = files.get(&*name) else {
            return Err(StatusCode::NOT_FOUND);
        };
        let offset: i64 = query["offset"].parse().unwrap();
        if offset < 0 {
            return Ok(axum::Json(serde_json::json!({ "data": "", "offset": content.len() })));
        }
        let (offset, length) = (offset as usize, query["length"].parse::<usize>().unwrap());
        let end = (offset + length.min(65536)).min(content.len());
        let data = String::from_utf8_lossy(&content.as_bytes()[offset..end]).into_owned();
        Ok(axum::Json(serde_json::json!({ "data": data, "offset": offset })))
    };
    Router::new().route("/mesolith/v1/agents/S0/files/read", get(read))
}

fn explain_face() -> Router {
    let explain = || async {
        axum::Json(Explanation {
            subject: "framework f-0000".into(),
            candidates: 3,
            refusals: vec![Rule { rule: "role".into(), count: 3, detail: "no quota".into() }],
            hint: Some("raise the quota".into()),
        })
    };
    Router::new().route("/mesolith/v1/explain", get(explain))
}

struct Cluster {
    master: Arc<Scripted>,
    files: Files,
    http: Running,
}

impl Cluster {
    async fn new() -> Self {
        let (master, files) = (Arc::new(Scripted::default()), Files::default());
        let router =
            scheduler_face(master.clone()).merge(files_face(files.clone())).merge(explain_face());
        Self { master, files, http: serve(router).await }
    }

    fn offer(&self, cpus: f64) {
        let offer = Offer {
            id: OfferId { value: "o".into() },
            agent_id: AgentId { value: "S0".into() },
            framework_id: FrameworkId { value: "f-0000".into() },
            hostname: "h".into(),
            resources: vec![scalar("cpus", cpus), scalar("mem", 4096.0)],
            ..Default::default()
        };
        assert!(self.master.send(Event {
            r#type: Some(event::Type::Offers.into()),
            offers: Some(event::Offers { offers: vec![offer] }),
            ..Default::default()
        }));
    }

    fn update(&self, state: TaskState, message: Option<&str>) {
        let status = TaskStatus {
            task_id: TaskId { value: "t".into() },
            state: state.into(),
            message: message.map(String::from),
            source: Some(task_status::Source::Executor.into()),
            agent_id: Some(AgentId { value: "S0".into() }),
            uuid: Some(format!("{state:?}").into_bytes()),
            ..Default::default()
        };
        assert!(self.master.send(Event {
            r#type: Some(event::Type::Update.into()),
            update: Some(event::Update { status }),
            ..Default::default()
        }));
    }

    fn write(&self, file: &'static str, text: &str) {
        self.files.lock().unwrap().entry(file).or_default().push_str(text);
    }

    /// The first call of that type, from the nth call on.
    async fn called(&self, kind: call::Type) {
        for nth in 0.. {
            if self.master.called(nth).await.r#type() == kind {
                return;
            }
        }
    }
}

struct Ended {
    code: i32,
    out: String,
    err: String,
}

/// Runs `mesos-execute` with these arguments beside `script`.
async fn execute(
    args: &[&str],
    interrupts: mpsc::Receiver<()>,
    default_master: &str,
    local: bool,
    script: impl Future<Output = ()>,
) -> Ended {
    let args = [&["mesos-execute", "--name=t"], args].concat();
    let options = ExecuteOptions::try_parse_from(args).unwrap();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let world = World {
        stdout: &mut out,
        stderr: &mut err,
        interrupts,
        local,
        user: "me".into(),
        default_master: default_master.into(),
    };
    let both = async { tokio::join!(run(options, world), script) };
    let (code, ()) = tokio::time::timeout(SOON, both).await.expect("it must end soon");
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ended { code, out: text(out), err: text(err) }
}

fn never() -> mpsc::Receiver<()> {
    mpsc::channel(1).1
}

/// covers: MES-0159
#[tokio::test]
async fn a_task_runs_and_its_output_and_exit_code_are_shown() {
    for content_type in ["--content_type=json", "--content_type=protobuf"] {
        let cluster = Cluster::new().await;
        let master = format!("--master={}", cluster.http.address);
        let script = async {
            cluster.master.subscribed(0).await;
            cluster.offer(4.0);
            cluster.called(call::Type::Accept).await;
            cluster.update(TaskState::TaskStarting, None);
            cluster.write("stdout", "hello ü\n");
            cluster.update(TaskState::TaskRunning, None);
            cluster.called(call::Type::Acknowledge).await;
            cluster.write("stderr", "oops\n");
            cluster.write("stdout", "bye\n");
            cluster.update(TaskState::TaskFailed, Some("Command exited with status 3"));
            cluster.called(call::Type::Teardown).await;
        };
        let args = [&*master, "--command=x", content_type];
        let ended = execute(&args, never(), "", false, script).await;
        assert_eq!(ended.code, 3, "{}", ended.err);
        assert_eq!(ended.err, "oops\n");
        let without: String = ended.out.replace("hello ü\n", "").replace("bye\n", "");
        assert!(ended.out.contains("hello ü\n"), "{}", ended.out);
        assert!(ended.out.find("bye") < ended.out.find("TASK_FAILED"), "{}", ended.out);
        assert_eq!(
            without,
            "Subscribed with ID f-0000\n\
             Submitted task 't' to agent 'S0'\n\
             Received status update TASK_STARTING for task 't'\n  source: SOURCE_EXECUTOR\n\
             Received status update TASK_RUNNING for task 't'\n  source: SOURCE_EXECUTOR\n\
             Received status update TASK_FAILED for task 't'\n  \
             message: 'Command exited with status 3'\n  source: SOURCE_EXECUTOR\n"
        );
    }
}

#[tokio::test]
async fn long_output_comes_whole() {
    let cluster = Cluster::new().await;
    let master = format!("--master={}", cluster.http.address);
    // Two bytes a character, an odd length before them: pieces would end within a character.
    let text = format!("x{}\n", "ü".repeat(100_000));
    let script = async {
        cluster.master.subscribed(0).await;
        cluster.offer(4.0);
        cluster.called(call::Type::Accept).await;
        cluster.write("stdout", &text);
        cluster.write("stderr", "");
        cluster.update(TaskState::TaskFinished, Some("Command exited with status 0"));
    };
    let ended = execute(&[&master, "--command=x"], never(), "", false, script).await;
    assert_eq!((ended.code, ended.err.as_str()), (0, ""));
    assert!(ended.out.contains(&text));
}

#[tokio::test]
async fn it_says_why_no_offer_fits() {
    let cluster = Cluster::new().await;
    let master = format!("--master={}", cluster.http.address);
    let (interrupt, interrupts) = mpsc::channel(1);
    let script = async {
        cluster.master.subscribed(0).await;
        cluster.offer(0.5);
        cluster.called(call::Type::Decline).await;
        tokio::time::sleep(std::time::Duration::from_millis(2500)).await;
        interrupt.send(()).await.unwrap();
        cluster.called(call::Type::Teardown).await;
    };
    let ended = execute(&[&master, "--command=x"], interrupts, "", false, script).await;
    assert_eq!(ended.code, 130);
    for line in [
        "cpus:1 needed, largest offered: cpus:0.5 (1 of 1 offers have too little)",
        "the master looked at 3 agents for framework f-0000:",
        "3 of them: role: no quota",
        "raise the quota",
    ] {
        assert!(ended.err.contains(line), "{line}: {}", ended.err);
    }
}

#[tokio::test]
async fn an_interrupt_kills_the_task() {
    let cluster = Cluster::new().await;
    let master = format!("--master={}", cluster.http.address);
    let (interrupt, interrupts) = mpsc::channel(1);
    let script = async {
        cluster.master.subscribed(0).await;
        cluster.offer(4.0);
        cluster.called(call::Type::Accept).await;
        cluster.write("stdout", "");
        cluster.write("stderr", "");
        cluster.update(TaskState::TaskRunning, None);
        interrupt.send(()).await.unwrap();
        cluster.called(call::Type::Kill).await;
        cluster.update(TaskState::TaskKilled, Some("Command terminated with signal Terminated"));
        cluster.called(call::Type::Teardown).await;
    };
    let ended = execute(&[&master, "--command=x"], interrupts, "", false, script).await;
    assert_eq!(ended.code, 130, "{}", ended.err);
    assert!(ended.out.contains("Asked to kill task 't' on agent 'S0'"));
}

#[tokio::test]
async fn an_error_event_and_wrong_flags_give_125() {
    let cluster = Cluster::new().await;
    let master = format!("--master={}", cluster.http.address);
    let script = async {
        cluster.master.subscribed(0).await;
        cluster.master.send(crate::scripted::error("Framework has been removed"));
    };
    let ended = execute(&[&master, "--command=x"], never(), "", false, script).await;
    assert_eq!(ended.code, 125);
    assert_eq!(ended.err, "Received an ERROR event: Framework has been removed\n");
    let ended = execute(&[&master], never(), "", false, async {}).await;
    assert_eq!(ended.code, 125);
    assert!(ended.err.starts_with("Missing required option --command\n"));
}

#[tokio::test]
async fn without_a_master_it_offers_a_cluster_of_its_own() {
    let gone = serve(Router::new()).await.address.clone();
    let ended = execute(&["--command=x"], never(), &gone, true, async {}).await;
    assert_eq!(ended.code, 125);
    assert!(ended.err.contains("none answers on"), "{}", ended.err);
    assert!(ended.err.contains("--local"), "{}", ended.err);
    let ended = execute(&["--command=x"], never(), &gone, false, async {}).await;
    assert!(!ended.err.contains("--local"), "{}", ended.err);
}

#[tokio::test]
async fn the_default_master_is_taken_if_it_answers() {
    let cluster = Cluster::new().await;
    let script = async {
        cluster.master.subscribed(0).await;
        cluster.offer(4.0);
        cluster.called(call::Type::Accept).await;
        cluster.write("stdout", "");
        cluster.write("stderr", "");
        cluster.update(TaskState::TaskFinished, None);
    };
    let address = cluster.http.address.clone();
    let ended = execute(&["--command=x"], never(), &address, true, script).await;
    assert_eq!(ended.code, 0, "{}", ended.err);
}

async fn resolved(args: &[&str]) -> Ended {
    let args = [&["mesos-resolve"], args].concat();
    let options = resolve::ResolveOptions::try_parse_from(args).unwrap();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code = resolve::run(&options, &mut out, &mut err).await;
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ended { code, out: text(out), err: text(err) }
}

#[tokio::test]
async fn resolve_prints_the_leader() {
    let to = |location: &'static str| {
        let answer =
            move || async move { (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, location)]) };
        Router::new().route("/redirect", get(answer))
    };
    let follower = serve(to("//127.0.0.1:5999")).await;
    let ended = resolved(&[&follower.address]).await;
    assert_eq!((ended.code, ended.out.as_str()), (0, "127.0.0.1:5999\n"));
    // The first master is gone, the second knows.
    let gone = serve(Router::new()).await.address.clone();
    let list = format!("{gone},{}", follower.address);
    let ended = resolved(&["--verbose", &list]).await;
    assert_eq!(ended.out, "127.0.0.1:5999\n");
    assert!(ended.err.contains(&gone), "{}", ended.err);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("{}\n", follower.address)).unwrap();
    let ended = resolved(&[&format!("file://{}", file.path().display())]).await;
    assert_eq!(ended.out, "127.0.0.1:5999\n");
}

#[tokio::test]
async fn resolve_fails_as_the_original_does() {
    let leaderless = || async { (StatusCode::SERVICE_UNAVAILABLE, "No leader elected") };
    let master = serve(Router::new().route("/redirect", get(leaderless))).await;
    let ended = resolved(&["--timeout=300ms", "--verbose", &master.address]).await;
    assert_eq!(ended.code, 255);
    let line = format!("Failed to detect master from '{}' within 300ms\n", master.address);
    assert!(ended.err.ends_with(&line) && ended.err.contains("No leader elected"), "{}", ended.err);
    let ended = resolved(&[]).await;
    assert_eq!(
        (ended.code, ended.err.as_str()),
        (1, "There must be only one argument: <master>\n")
    );
    let ended = resolved(&["zk://h:2181"]).await;
    assert!(ended.code == 1 && ended.err.starts_with("Failed to create a master detector: "));
}

/// A master that cannot be used for ever is told, and the exit code is our own.
#[tokio::test]
async fn a_refusal_is_told() {
    let cluster = Cluster::new().await;
    cluster.master.refuse_subscribe(Refusal::new(403, "not you"));
    let master = format!("--master={}", cluster.http.address);
    let ended = execute(&[&master, "--command=x"], never(), "", false, async {}).await;
    assert_eq!((ended.code, ended.err.as_str()), (125, "the master refused: not you\n"));
}
