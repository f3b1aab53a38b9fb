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

// covers: MES-0203, MES-0196
#[test]
fn tasks_and_frameworks_are_where_they_belong() {
    let task = |id: &str| {
        Arc::new(v1::Task { task_id: v1::TaskId { value: id.into() }, ..Default::default() })
    };
    let framework = FrameworkView {
        info: Arc::default(),
        active: true,
        connected: true,
        recovered: false,
        registered_time: Wall(1),
        reregistered_time: None,
        unregistered_time: None,
        failover_deadline: None,
        suppressed_roles: Vec::new(),
        tasks: vec![task("runs")],
        unreachable_tasks: vec![task("lost")],
        completed_tasks: vec![task("ended")],
        offers: Vec::new(),
        executors: vec![(AgentId::from("S0"), Arc::default())],
        used: Resources::default(),
        offered: Resources::default(),
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
