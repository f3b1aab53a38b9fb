//! Answers of reads, from pictures made by hand, in both codecs.

use super::*;
use crate::base::ids::AgentId;
use crate::base::resources::Resources;
use crate::base::time::Wall;
use crate::master::core::view::{AgentView, Drain, FrameworkView, View};
use crate::mesos::v1;
use serde_json::json;
use std::sync::Arc;

fn json_of(response: &Response) -> serde_json::Value {
    serde_json::from_slice(&Codec::Json.encode(response)).unwrap()
}

fn agent() -> AgentView {
    AgentView {
        info: Arc::new(v1::AgentInfo {
            hostname: "node1".into(),
            id: Some(v1::AgentId { value: "S0".into() }),
            ..Default::default()
        }),
        connected: true,
        active: false,
        deactivated: true,
        drain: Some(Drain {
            info: v1::DrainInfo {
                state: v1::DrainState::Draining as i32,
                config: v1::DrainConfig {
                    max_grace_period: Some(v1::DurationInfo { nanoseconds: 5 }),
                    mark_gone: Some(false),
                },
            },
            since: Wall(7_000_000_000),
        }),
        version: "1.12.0".into(),
        capabilities: vec!["AGENT_DRAINING".into(), "FROM_THE_FUTURE".into()],
        registered_time: Wall(1),
        reregistered_time: None,
        total: Resources::default(),
        used: Resources::default(),
        offered: Resources::default(),
    }
}

// covers: MES-0194
#[test]
fn get_agents_shows_all_there_is_to_know() {
    let view = View { agents: vec![Arc::new(agent())], ..View::default() };
    let shown = json_of(&agents::get(&view));
    assert_eq!(shown["type"], "GET_AGENTS");
    let agent = &shown["get_agents"]["agents"][0];
    assert_eq!(agent["agent_info"]["hostname"], "node1");
    assert_eq!(
        (&agent["active"], &agent["deactivated"], &agent["version"]),
        (&json!(false), &json!(true), &json!("1.12.0"))
    );
    assert_eq!(agent["pid"], "slave(1)@node1:5051");
    assert_eq!(agent["registered_time"], json!({"nanoseconds": 1}));
    assert_eq!(agent["capabilities"], json!([{"type": "AGENT_DRAINING"}]));
    assert_eq!(
        agent["drain_info"],
        json!({"state": "DRAINING", "config": {"max_grace_period": {"nanoseconds": 5}, "mark_gone": false}})
    );
    assert_eq!(agent["estimated_drain_start_time"], json!({"nanoseconds": 7_000_000_000_u64}));
}

// covers: MES-0202, MES-0201
#[test]
fn an_empty_cluster_gives_empty_lists() {
    let shown = json_of(&tables::tasks(&View::default()));
    assert_eq!(shown["type"], "GET_TASKS");
    let lists = shown["get_tasks"].as_object().unwrap();
    assert!(lists.values().all(|list| list == &json!([])), "{shown}");
    let state = json_of(&tables::state(&View::default()));
    for part in ["get_tasks", "get_executors", "get_frameworks", "get_agents"] {
        assert!(state["get_state"][part].is_object(), "{part}: {state}");
    }
}

fn framework() -> FrameworkView {
    FrameworkView {
        info: Arc::new(v1::FrameworkInfo { name: "app".into(), ..Default::default() }),
        active: true,
        connected: true,
        recovered: false,
        registered_time: Wall(1),
        reregistered_time: None,
        unregistered_time: None,
        failover_deadline: None,
        suppressed_roles: Vec::new(),
        tasks: Vec::new(),
        unreachable_tasks: Vec::new(),
        completed_tasks: Vec::new(),
        offers: Vec::new(),
        executors: Vec::new(),
        used: Resources::default(),
        offered: Resources::default(),
    }
}

#[test]
fn every_event_is_told_with_what_it_is_about_in_both_codecs() {
    use crate::master::core::streams::Event as Happened;
    use crate::mesos::v1::master::Event;
    let task = Arc::new(v1::Task { name: "t".into(), ..Default::default() });
    let status = Arc::new(v1::TaskStatus { healthy: Some(true), ..Default::default() });
    let updated = Happened::TaskUpdated {
        framework_id: "F".into(),
        status,
        state: v1::TaskState::TaskRunning,
    };
    let info = Arc::new(v1::FrameworkInfo { name: "gone".into(), ..Default::default() });
    for (happened, kind, path, value) in [
        (Happened::TaskAdded(task), "TASK_ADDED", "/task/name", json!("t")),
        (updated.clone(), "TASK_UPDATED", "/state", json!("TASK_RUNNING")),
        (updated.clone(), "TASK_UPDATED", "/framework_id/value", json!("F")),
        (updated, "TASK_UPDATED", "/status/healthy", json!(true)),
        (
            Happened::AgentAdded(Arc::new(agent())),
            "AGENT_ADDED",
            "/agent/agent_info/hostname",
            json!("node1"),
        ),
        (Happened::AgentRemoved("S0".into()), "AGENT_REMOVED", "/agent_id/value", json!("S0")),
        (
            Happened::FrameworkAdded(Arc::new(framework())),
            "FRAMEWORK_ADDED",
            "/framework/framework_info/name",
            json!("app"),
        ),
        (
            Happened::FrameworkUpdated(Arc::new(framework())),
            "FRAMEWORK_UPDATED",
            "/framework/active",
            json!(true),
        ),
        (
            Happened::FrameworkRemoved(info),
            "FRAMEWORK_REMOVED",
            "/framework_info/name",
            json!("gone"),
        ),
    ] {
        let event = stream::happening(&happened);
        let shown: serde_json::Value = serde_json::from_slice(&Codec::Json.encode(&event)).unwrap();
        assert_eq!(shown["type"], kind);
        assert_eq!(shown.as_object().unwrap().len(), 2, "{shown}");
        let content = &shown[kind.to_ascii_lowercase()];
        assert_eq!(content.pointer(path), Some(&value), "{shown}");
        for codec in [Codec::Json, Codec::Protobuf] {
            // Compared as JSON, in which what is not said reads as its default.
            let read = codec.decode::<Event>(&codec.encode(&event)).unwrap();
            assert_eq!(serde_json::to_value(&read).unwrap(), shown, "{codec:?}");
        }
    }
}

// covers: MES-0203, MES-0196, MES-0200
#[test]
fn tasks_and_frameworks_are_where_they_belong() {
    let task = |id: &str| {
        Arc::new(v1::Task { task_id: v1::TaskId { value: id.into() }, ..Default::default() })
    };
    let executor_id = v1::ExecutorId { value: "own".into() };
    let executor = v1::ExecutorInfo { executor_id, ..Default::default() };
    let framework = FrameworkView {
        tasks: vec![task("runs")],
        unreachable_tasks: vec![task("lost")],
        completed_tasks: vec![task("ended")],
        executors: vec![(AgentId::from("S0"), Arc::new(executor))],
        ..framework()
    };
    let ended = FrameworkView {
        tasks: Vec::new(),
        unreachable_tasks: Vec::new(),
        completed_tasks: vec![task("of an ended one")],
        ..framework.clone()
    };
    let view = View {
        frameworks: vec![Arc::new(framework)],
        completed_frameworks: vec![Arc::new(ended)],
        ..View::default()
    };
    let tasks = tables::tasks(&view).get_tasks.unwrap();
    let ids = |all: &[v1::Task]| all.iter().map(|t| t.task_id.value.clone()).collect::<Vec<_>>();
    assert_eq!(ids(&tasks.tasks), ["runs"]);
    assert_eq!(ids(&tasks.unreachable_tasks), ["lost"]);
    assert_eq!(ids(&tasks.completed_tasks), ["ended", "of an ended one"]);
    let frameworks = frameworks::get(&view).get_frameworks.unwrap();
    assert_eq!((frameworks.frameworks.len(), frameworks.completed_frameworks.len()), (1, 1));
    let executors = tables::executors(&view).get_executors.unwrap();
    assert_eq!(executors.executors[0].agent_id.value, "S0");
    assert_eq!(executors.executors[0].executor_info.executor_id.value, "own");
}

// covers: MES-0197, MES-0198
#[test]
fn both_codecs_say_the_same() {
    let health = about::health();
    assert_eq!(json_of(&health), json!({"type": "GET_HEALTH", "get_health": {"healthy": true}}));
    for answer in [health, about::version()] {
        let bytes = Codec::Protobuf.encode(&answer);
        assert_eq!(Codec::Protobuf.decode::<Response>(&bytes).unwrap(), answer);
        let text = Codec::Json.encode(&answer);
        assert_eq!(Codec::Json.decode::<Response>(&text).unwrap(), answer);
    }
    let version = json_of(&about::version());
    assert_eq!(version["get_version"]["version_info"]["version"], "1.12.0");
}

/// An api without a master, with a folder of files.
fn with_files(dir: &std::path::Path) -> Api {
    let identity = super::super::identity::Identity {
        hostname: "one.example".into(),
        ip: "10.0.0.1".parse().unwrap(),
        port: 5050,
        cluster: None,
        log_dir: None,
        start_time: Wall(0),
        flags: Default::default(),
    };
    let (_, nobody) = tokio::sync::watch::channel(None);
    let table = crate::http::files::FileTable::new();
    table.attach("/logs", dir).unwrap();
    let metrics = crate::telemetry::Metrics::new();
    Api::new(nobody, Arc::new(identity), Default::default()).showing(table, metrics, None)
}

// covers: MES-0206, MES-0207, MES-0208, MES-0209
#[tokio::test]
async fn its_own_files_are_listed_and_read() {
    use crate::mesos::v1::master::call;
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("master.log"), b"\xffhello").unwrap();
    let api = with_files(dir.path());
    let list = async |path: &str| {
        let list_files = Some(call::ListFiles { path: path.into() });
        observed::list_files(&api, Call { list_files, ..Call::default() }).await
    };
    let read = async |path: &str, offset, length| {
        let read_file = Some(call::ReadFile { path: path.into(), offset, length });
        observed::read_file(&api, Call { read_file, ..Call::default() }).await
    };
    let listed = json_of(&list("/logs").await.unwrap());
    assert_eq!(listed["type"], "LIST_FILES");
    let file = &listed["list_files"]["file_infos"][0];
    assert_eq!((&file["path"], &file["size"]), (&json!("/logs/master.log"), &json!(6)));
    for part in ["nlink", "mtime", "mode", "uid", "gid"] {
        assert!(!file[part].is_null(), "{part}: {file}");
    }
    for (offset, length, data) in
        [(0, None, &b"\xffhello"[..]), (1, Some(3), b"hel"), (4, Some(100), b"lo"), (9, None, b"")]
    {
        let told = read("/logs/master.log", offset, length).await.unwrap().read_file.unwrap();
        assert_eq!((told.size, &told.data[..]), (6, data), "{offset} {length:?}");
    }
    let status = |answer: Result<Response, Refusal>| answer.unwrap_err().response().status();
    assert_eq!(status(list("/logs/none").await), 404);
    assert_eq!(status(list("/nowhere").await), 404);
    assert_eq!(status(read("/logs/none", 0, None).await), 404);
    assert_eq!(status(read("/logs", 0, None).await), 400);
    assert_eq!(status(observed::list_files(&api, Call::default()).await), 400);
    assert_eq!(status(observed::read_file(&api, Call::default()).await), 400);
}
