//! The face of a whole agent, over a socket.

pub(in crate::agent) mod fake;
mod sharing;
mod world;

use crate::agent::containerizer::Command;
use crate::mesos::v1::TaskState;
use fake::PID;
use serde_json::{Value, json};
use world::{AGENT, F, World, command, custom, task};

// covers: MES-0280, MES-0299
#[tokio::test]
async fn state_shows_everything() {
    let mut w = World::ready().await;
    w.run(task("t1", command(true, "sleep 1000", &[])));
    w.told("t1", TaskState::TaskRunning).await;
    let state = w.get("/state").await;
    for key in [
        "version",
        "build_date",
        "build_time",
        "build_user",
        "start_time",
        "id",
        "pid",
        "hostname",
        "capabilities",
        "resources",
        "reserved_resources",
        "unreserved_resources",
        "reserved_resources_full",
        "unreserved_resources_full",
        "reserved_resources_allocated",
        "unreserved_resources_allocated",
        "resource_providers",
        "attributes",
        "master_hostname",
        "flags",
        "frameworks",
        "completed_frameworks",
    ] {
        assert!(state.get(key).is_some(), "{key}");
    }
    assert_eq!((&state["id"], &state["hostname"]), (&json!(AGENT), &json!("here")));
    assert_eq!(state["pid"], "slave(1)@192.0.2.7:5051");
    assert_eq!(state["flags"]["agent_port"], "5051");
    assert_eq!(state["resources"]["cpus"], 6.0);
    assert_eq!(state["reserved_resources"]["ops"]["cpus"], 2.0);
    assert_eq!(state["unreserved_resources"]["ports"], "[31000-32000]");
    let framework = &state["frameworks"][0];
    assert_eq!((&framework["id"], &framework["name"]), (&json!(F), &json!("demo")));
    let executor = &framework["executors"][0];
    assert_eq!((&executor["id"], &executor["source"]), (&json!("t1"), &json!("t1")));
    let name = "Command Executor (Task: t1) (Command: sh -c 'sleep 1000')";
    assert_eq!(executor["name"], name);
    let container = executor["container"].as_str().expect("a container").to_string();
    let directory = executor["directory"].as_str().expect("a sandbox");
    let tail = format!("slaves/{AGENT}/frameworks/{F}/executors/t1/runs/{container}");
    assert!(directory.starts_with('/') && directory.ends_with(&tail), "{directory}");
    let shown = &executor["tasks"][0];
    assert_eq!((&shown["id"], &shown["state"]), (&json!("t1"), &json!("TASK_RUNNING")));
    assert_eq!((&shown["executor_id"], &shown["slave_id"]), (&json!(""), &json!(AGENT)));
    assert_eq!(shown["role"], "eng");
    let last = shown["statuses"].as_array().and_then(|s| s.last()).expect("a status");
    let container_status = &last["container_status"];
    let ip = &container_status["network_infos"][0]["ip_addresses"][0]["ip_address"];
    assert_eq!(ip, "192.0.2.7");
    assert_eq!(container_status["executor_pid"], PID);
    for alias in ["/slave(1)/state", "/slave/state", "/agent/state"] {
        assert_eq!(w.get(alias).await["id"], AGENT, "{alias}");
    }
    w.stop().await;
}

// covers: MES-0286, MES-0287, MES-0291
#[tokio::test]
async fn usage_of_what_runs_is_told() {
    let mut w = World::ready().await;
    assert_eq!(w.get("/monitor/statistics").await, json!([]));
    assert_eq!(w.get("/containers").await, json!([]));
    w.run(task("t1", command(true, "sleep 1000", &[])));
    w.run(task("t2", command(true, "sleep 1000", &[])));
    w.told("t1", TaskState::TaskRunning).await;
    w.told("t2", TaskState::TaskRunning).await;
    let all = w.get("/monitor/statistics").await;
    assert_eq!(all.as_array().map(Vec::len), Some(2));
    assert_eq!((&all[0]["executor_id"], &all[0]["framework_id"]), (&json!("t1"), &json!(F)));
    let used = &all[0]["statistics"];
    assert_eq!(used["cpus_user_time_secs"], 1.5);
    assert_eq!(used["mem_rss_bytes"], 2048);
    assert_eq!((&used["processes"], &used["threads"]), (&json!(2), &json!(3)));
    assert!(used["cpus_limit"].as_f64().is_some_and(|cpus| cpus >= 0.5), "{used}");
    assert!(used["mem_limit_bytes"].as_u64().is_some_and(|b| b >= 32 << 20), "{used}");
    assert!(used["timestamp"].as_f64().is_some_and(|at| at > 1.7e9), "{used}");
    let all = w.get("/containers").await;
    let one = &all[1];
    assert_eq!(one["executor_id"], "t2");
    let container = one["container_id"].as_str().expect("an id");
    assert_eq!(one["status"]["container_id"]["value"], container);
    assert_eq!(one["status"]["executor_pid"], PID);
    assert_eq!(one["statistics"]["mem_rss_bytes"], 2048);
    let alone = w.get(&format!("/containers?container_id={container}")).await;
    assert_eq!(alone, json!([one]).with_times_of(&alone));
    let of = format!("/containers?framework_id={F}&executor_id=t1");
    assert_eq!(w.get(&of).await[0]["executor_id"], "t1");
    assert_eq!(w.get("/containers?framework_id=other").await, json!([]));
    w.stop().await;
}

trait Times {
    /// The same with the times of measuring of the other.
    fn with_times_of(self, other: &Value) -> Self;
}

impl Times for Value {
    fn with_times_of(mut self, other: &Value) -> Self {
        for (mine, theirs) in
            self.as_array_mut().into_iter().flatten().zip(other.as_array().into_iter().flatten())
        {
            mine["statistics"]["timestamp"] = theirs["statistics"]["timestamp"].clone();
        }
        self
    }
}

// covers: MES-0293
#[tokio::test]
async fn metrics_have_their_documented_names() {
    let mut w = World::ready().await;
    w.run(task("t1", command(true, "sleep 1000", &[])));
    w.told("t1", TaskState::TaskRunning).await;
    let all = w.get("/metrics/snapshot").await;
    let names = "uptime_secs registered recovery_errors recovery_time_secs frameworks_active \
        tasks_staging tasks_starting tasks_running tasks_killing tasks_finished tasks_failed \
        tasks_killed tasks_lost tasks_gone executors_registering executors_running \
        executors_terminating executors_terminated executors_preempted valid_status_updates \
        invalid_status_updates valid_framework_messages invalid_framework_messages \
        executor_directory_max_allowed_age_secs container_launch_errors";
    let mut names: Vec<String> = names.split_whitespace().map(str::to_string).collect();
    for resource in ["cpus", "gpus", "mem", "disk"] {
        for kind in ["", "_revocable"] {
            names.extend(["total", "used", "percent"].map(|n| format!("{resource}{kind}_{n}")));
        }
    }
    let names = names.iter().map(|name| format!("slave/{name}"));
    let others = ["gc/path_removals_pending", "containerizer/fetcher/task_fetches_failed"];
    for name in names.chain(others.map(String::from)) {
        assert!(all[&name].is_number(), "{name}");
    }
    assert_eq!((&all["slave/tasks_running"], &all["slave/registered"]), (&json!(1.0), &json!(1.0)));
    assert_eq!((&all["slave/cpus_total"], &all["slave/cpus_used"]), (&json!(6.0), &json!(0.5)));
    w.stop().await;
}

// covers: MES-0300
#[tokio::test]
async fn a_sandbox_is_browsed_by_its_virtual_path() {
    let mut w = World::ready().await;
    let from = tempfile::tempdir().expect("a folder");
    std::fs::write(from.path().join("data"), "hello").expect("written");
    let mut fetching = command(true, "sleep 1000", &[]);
    fetching.uris = vec![crate::mesos::v1::command_info::Uri {
        value: from.path().join("data").to_string_lossy().into_owned(),
        ..Default::default()
    }];
    w.run(task("t1", fetching));
    w.told("t1", TaskState::TaskRunning).await;
    let path = format!("/frameworks/{F}/executors/t1/runs/latest");
    let listed = w.get(&format!("/files/browse?path={path}")).await;
    let names: Vec<&str> = listed
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|entry| entry["path"].as_str()?.rsplit('/').next())
        .collect();
    assert_eq!(names, ["data", "stderr"]);
    let read = w.get(&format!("/files/read?path={path}/data&offset=0")).await;
    assert_eq!(read["data"], "hello");
    let all = w.get("/metrics/snapshot").await;
    assert_eq!(all["containerizer/fetcher/task_fetches_succeeded"], 1.0);
    w.stop().await;
}

// covers: MES-0318
#[tokio::test]
async fn arguments_reach_the_task() {
    let mut w = World::ready().await;
    w.run(task("t1", command(false, "/bin/echo", &["echo", "--flag", "a b"])));
    w.told("t1", TaskState::TaskRunning).await;
    let specs = w.fake.specs.lock().expect("whole").clone();
    let Command::Exec { program, argv } = &specs[0].command else { panic!("a shell") };
    assert_eq!(program, "/bin/echo");
    assert_eq!(argv, &["echo", "--flag", "a b"]);
    let state = w.get("/state").await;
    let executor = &state["frameworks"][0]["executors"][0];
    assert_eq!(
        executor["name"],
        "Command Executor (Task: t1) (Command: [/bin/echo, echo, --flag, a b])"
    );
    w.stop().await;
}

// covers: MES-0179, MES-0189, MES-0191
#[tokio::test]
async fn executors_subscribe_and_call() {
    let mut w = World::ready().await;
    w.run(custom("c1", "e"));
    w.made().await;
    let subscribe = json!({
        "type": "SUBSCRIBE", "framework_id": {"value": F}, "executor_id": {"value": "e"},
        "subscribe": {"unacknowledged_tasks": [], "unacknowledged_updates": []},
    });
    let url = w.url("/api/v1/executor");
    let bare = w.http.post(&url).body(subscribe.to_string()).send().await.expect("an answer");
    assert_eq!(bare.status(), 400);
    assert_eq!(bare.text().await.expect("text"), "Expecting 'Content-Type' to be present");
    let request = w.http.post(&url).header("Content-Type", "application/json");
    let mut stream = request.body(subscribe.to_string()).send().await.expect("an answer");
    assert_eq!(
        (stream.status().as_u16(), &stream.headers()["content-type"] == "application/json"),
        (200, true)
    );
    assert!(!stream.headers().contains_key("mesos-stream-id"));
    let first = record(&mut stream).await;
    assert_eq!(first["type"], "SUBSCRIBED");
    let subscribed = &first["subscribed"];
    assert_eq!(subscribed["executor_info"]["executor_id"]["value"], "e");
    assert_eq!(subscribed["framework_info"]["name"], "demo");
    assert_eq!(subscribed["agent_info"]["id"]["value"], AGENT);
    let second = record(&mut stream).await;
    assert_eq!(second["launch"]["task"]["task_id"]["value"], "c1");
    let update = |change: Value| {
        let mut status = json!({
            "task_id": {"value": "c1"}, "state": "TASK_RUNNING", "source": "SOURCE_EXECUTOR",
            "executor_id": {"value": "e"}, "uuid": "AAAAAAAAAAAAAAAAAAAAAA==", "timestamp": 1.5,
        });
        for (key, value) in change.as_object().into_iter().flatten() {
            status[key] = value.clone();
        }
        json!({
            "type": "UPDATE", "framework_id": {"value": F}, "executor_id": {"value": "e"},
            "update": {"status": status},
        })
    };
    for bad in [
        json!({"uuid": null}),
        json!({"source": "SOURCE_MASTER"}),
        json!({"state": "TASK_STAGING"}),
        json!({"executor_id": {"value": "other"}}),
    ] {
        let (status, text) = w.call(&update(bad.clone())).await;
        assert_eq!(status, 400, "{bad}");
        assert!(text.starts_with("Failed to validate Executor::Call: "), "{text}");
    }
    assert_eq!(w.call(&update(json!({}))).await, (202, String::new()));
    w.told("c1", TaskState::TaskRunning).await;
    let third = record(&mut stream).await;
    assert_eq!(third["acknowledged"]["task_id"]["value"], "c1");
    drop(stream);
    w.stop().await;
}

/// Its exit and the end of its removal come by different ways, the exit first.
#[tokio::test]
async fn an_executor_that_had_to_be_killed_is_told_with_its_status() {
    let mut w = World::ready().await;
    w.run(custom("c1", "e"));
    w.runs().await;
    w.shut_down("e");
    let exited = w.ended().await;
    assert_eq!((exited.executor_id.value.as_str(), exited.status), ("e", Some(libc::SIGKILL)));
    w.stop().await;
}

/// The next record of a stream, which comes in a chunk of its own.
async fn record(stream: &mut reqwest::Response) -> Value {
    let chunk = stream.chunk().await.expect("open").expect("a record");
    let text = std::str::from_utf8(&chunk).expect("text");
    let (size, record) = text.split_once('\n').expect("a size");
    assert_eq!(size.parse(), Ok(record.len()), "one record a chunk: {text}");
    serde_json::from_str(record).expect("JSON")
}
