//! Tasks that may not be: each is answered with TASK_ERROR, and the offer's resources come back.

use super::client::{Scheduler, amount, info, scalar, task};
use super::node::Node;
use serde_json::{Value, json};

fn executor(id: &str) -> Value {
    json!({
        "type": "CUSTOM",
        "executor_id": {"value": id},
        "command": {"shell": true, "value": "sleep 1000"},
        "resources": [scalar("cpus", 0.1), scalar("mem", 32.0)],
    })
}

/// A name, a wrong task made from an offer, and what the message says.
type Case = (&'static str, fn(&mut Value), &'static str);

// covers: MES-0677, MES-0678, MES-0679, MES-0680, MES-0685, MES-0688, MES-0689, MES-0690, MES-0691, MES-0443, MES-0442
#[tokio::test]
async fn each_wrong_task_is_an_error_and_costs_nothing() {
    let cases: &[Case] = &[
        ("both", |t| t["executor"] = executor("e"), "CommandInfo or ExecutorInfo"),
        ("neither", |t| drop(t.as_object_mut().unwrap().remove("command")), ""),
        (
            "executor-without-command",
            |t| {
                t.as_object_mut().unwrap().remove("command");
                t["executor"] = executor("e");
                t["executor"].as_object_mut().unwrap().remove("command");
            },
            "'ExecutorInfo.command' must be set",
        ),
        ("no-resources", |t| t["resources"] = json!([]), "Task uses no resources"),
        ("more", |t| t["resources"][0] = scalar("cpus", 100.0), "is more than available"),
        ("negative", |t| t["resources"][0] = scalar("cpus", -1.0), "cpus"),
        (
            "stranger",
            |t| {
                t.as_object_mut().unwrap().remove("command");
                t["executor"] = executor("e");
                t["executor"]["framework_id"] = json!({"value": "other"});
            },
            "ExecutorInfo has an invalid FrameworkID",
        ),
        (
            "grace",
            |t| t["kill_policy"] = json!({"grace_period": {"nanoseconds": -1}}),
            "Task's 'kill_policy.grace_period' must be non-negative",
        ),
        (
            "shutdown-grace",
            |t| {
                t.as_object_mut().unwrap().remove("command");
                t["executor"] = executor("e");
                t["executor"]["shutdown_grace_period"] = json!({"nanoseconds": -1});
            },
            "ExecutorInfo's 'shutdown_grace_period' must be non-negative",
        ),
        (
            "environment",
            |t| {
                let variable = json!({"name": "A", "type": "VALUE"});
                t["command"]["environment"] = json!({"variables": [variable]});
            },
            "Environment variable 'A' of type 'VALUE' must have a value set",
        ),
        (
            "docker",
            |t| t["container"] = json!({"type": "DOCKER"}),
            "DockerInfo 'docker' is not set",
        ),
        (
            "health-check",
            |t| t["health_check"] = json!({"type": "COMMAND"}),
            "Task uses invalid health check: Expecting 'command' to be set",
        ),
        (
            "health-check-path",
            |t| t["health_check"] = json!({"type": "HTTP", "http": {"port": 80, "path": "x"}}),
            "must start with '/'",
        ),
        (
            "health-check-interval",
            |t| {
                t["health_check"] =
                    json!({"type": "TCP", "tcp": {"port": 80}, "interval_seconds": -1.0});
            },
            "Expecting 'interval_seconds' to be non-negative",
        ),
        (
            "check",
            |t| t["check"] = json!({"type": "HTTP", "delay_seconds": 0.0}),
            "Task uses invalid check: Expecting 'http' to be set",
        ),
        ("id/with/slashes", |_| (), "contains invalid characters"),
        ("..", |_| (), ""),
        ("agent", |t| t["agent_id"] = json!({"value": "elsewhere"}), "elsewhere"),
    ];
    let node = Node::start(&[]);
    let mut scheduler = Scheduler::start(&node, info("wrong")).await;
    for (name, change, text) in cases {
        let offer = scheduler.offer().await;
        assert_eq!(amount(&offer["resources"], "cpus"), 2.0, "before {name}");
        let mut wrong = task(name, &offer, "exit 0");
        change(&mut wrong);
        let operations = json!([{"type": "LAUNCH", "launch": {"task_infos": [wrong]}}]);
        let accept = json!({
            "offer_ids": [offer["id"]],
            "operations": operations,
            "filters": {"refuse_seconds": 0.0},
        });
        scheduler.call("ACCEPT", json!({"accept": accept})).await;
        let status = scheduler.status(name).await;
        assert_eq!(status["state"], "TASK_ERROR", "{status}");
        assert_eq!(status["source"], "SOURCE_MASTER");
        assert_eq!(status["reason"], "REASON_TASK_INVALID");
        assert!(status["message"].as_str().unwrap().contains(text), "{name}: {status}");
        scheduler.call("REVIVE", json!({})).await;
    }
}

// covers: MES-0681
#[tokio::test]
async fn of_two_tasks_with_one_id_the_second_is_the_error() {
    let node = Node::start(&[]);
    let mut scheduler = Scheduler::start(&node, info("duplicates")).await;
    let offer = scheduler.offer().await;
    let one = task("same", &offer, "sleep 1000");
    scheduler.launch(&offer, json!([one, one])).await;
    let mut seen = Vec::new();
    while !(seen.contains(&"TASK_RUNNING".to_string()) && seen.contains(&"TASK_ERROR".to_string()))
    {
        let status = scheduler.status("same").await;
        if status["state"] == "TASK_ERROR" {
            assert!(status["message"].as_str().unwrap().contains("duplicate ID"), "{status}");
        }
        seen.push(status["state"].as_str().unwrap().to_string());
    }
    scheduler.kill("same").await;
    scheduler.until("same", "TASK_KILLED").await;
}

// covers: MES-0683, MES-0686
#[tokio::test]
async fn a_live_executor_may_not_change_and_gets_its_framework_id() {
    let node = Node::start(&[]);
    let mut scheduler = Scheduler::start(&node, info("executors")).await;
    let offer = scheduler.offer().await;
    let mut first = task("first", &offer, "");
    first.as_object_mut().unwrap().remove("command");
    first["executor"] = executor("e");
    let mut other = first.clone();
    other["task_id"]["value"] = json!("other");
    other["executor"]["command"]["value"] = json!("sleep 2000");
    scheduler.launch(&offer, json!([first, other])).await;
    let status = scheduler.status("other").await;
    assert_eq!(status["state"], "TASK_ERROR");
    let text = status["message"].as_str().unwrap();
    assert!(text.contains("ExecutorInfo is not compatible with existing ExecutorInfo"), "{text}");
    let id = scheduler.id.clone();
    let state = node
        .until_agent("/state", "the executor is there", |s| {
            s["frameworks"][0]["executors"][0]["id"] == "e"
        })
        .await;
    assert_eq!(state["frameworks"][0]["id"], id.as_str());
}

#[tokio::test]
async fn feedback_on_a_launch_is_an_error() {
    let node = Node::start(&[]);
    let mut scheduler = Scheduler::start(&node, info("feedback")).await;
    let offer = scheduler.offer().await;
    let launch = json!({"task_infos": [task("t", &offer, "exit 0")]});
    let operation = json!({"type": "LAUNCH", "id": {"value": "op"}, "launch": launch});
    scheduler.accept(&[&offer], json!([operation])).await;
    assert_eq!(scheduler.status("t").await["state"], "TASK_ERROR");
}
