//! The agent's endpoints: its state, its containers and what they use.

use super::client::{Scheduler, info, scalar, task};
use super::node::{Node, contained};
use serde_json::{Value, json};

// covers: MES-0280, MES-0286, MES-0287, MES-0290, MES-0291, MES-0295, MES-0297, MES-0299
#[tokio::test]
async fn state_containers_and_statistics_show_what_runs() {
    let node = Node::start(&["--attributes=rack:a;level:3"]);
    let empty = node.until_agent("/state", "it is registered", |s| s["id"] != "").await;
    for key in ["version", "start_time", "flags", "master_hostname", "reserved_resources"] {
        assert!(empty.get(key).is_some(), "{key}");
    }
    assert_eq!(empty["pid"], format!("slave(1)@{}", node.agent));
    assert_eq!(empty["attributes"], json!({"rack": "a", "level": 3.0}));
    assert_eq!(empty["resources"]["mem"], 512.0);
    assert_eq!((&empty["frameworks"], &empty["completed_frameworks"]), (&json!([]), &json!([])));
    assert_eq!(node.get_agent("/monitor/statistics").await, json!([]));
    assert_eq!(node.get_agent("/containers").await, json!([]));
    let mut scheduler = Scheduler::start(&node, info("shown")).await;
    let offer = scheduler.offer().await;
    let labels = json!([{"key": "a", "value": "1"}, {"key": "a", "value": "1"}]);
    let discovery = json!({"visibility": "EXTERNAL", "name": "d", "ports": {"ports": [
        {"number": 8888, "name": "p1", "protocol": "tcp"}
    ]}});
    let mut shown = task("t", &offer, "sleep 1000");
    shown["labels"] = json!({"labels": labels});
    shown["discovery"] = discovery.clone();
    shown["resources"] = json!([scalar("cpus", 1.0), scalar("mem", 64.0)]);
    scheduler.launch(&offer, json!([shown])).await;
    scheduler.until("t", "TASK_RUNNING").await;
    let state = node.get_agent("/state").await;
    let framework = &state["frameworks"][0];
    assert_eq!(framework["id"], scheduler.id.as_str());
    assert_eq!(framework["name"], "shown");
    let executor = &framework["executors"][0];
    assert_eq!(executor["id"], "t");
    assert_eq!(executor["source"], "t");
    let container = executor["container"].as_str().unwrap();
    let directory = executor["directory"].as_str().unwrap();
    assert!(directory.ends_with(&format!("/executors/t/runs/{container}")), "{directory}");
    assert!(std::path::Path::new(directory).join("stdout").is_file());
    let task = &executor["tasks"][0];
    assert_eq!(task["state"], "TASK_RUNNING");
    assert_eq!(task["labels"], labels);
    assert_eq!(task["discovery"], discovery);
    let status = task["statuses"].as_array().unwrap().last().unwrap();
    let address = &status["container_status"]["network_infos"][0]["ip_addresses"][0];
    assert!(address["ip_address"].as_str().is_some_and(|a| !a.is_empty()), "{status:#}");
    let containers = node.get_agent("/containers").await;
    let statistics = node.get_agent("/monitor/statistics").await;
    for all in [&containers, &statistics] {
        assert_eq!(all.as_array().unwrap().len(), 1);
        assert_eq!(all[0]["executor_id"], "t");
        assert_eq!(all[0]["framework_id"], scheduler.id.as_str());
        let used = &all[0]["statistics"];
        // The command's own share and what its executor is given besides.
        assert!((1.0..=1.2).contains(&used["cpus_limit"].as_f64().unwrap()), "{used}");
        assert!(used["timestamp"].as_f64().unwrap() > 1e9);
        if contained() {
            let megabytes = used["mem_limit_bytes"].as_u64().unwrap() / (1 << 20);
            assert!((64..=96).contains(&megabytes), "{used}");
            assert!(used["mem_rss_bytes"].is_u64(), "{used}");
            assert!(used["cpus_user_time_secs"].is_number(), "{used}");
        }
    }
    assert_eq!(containers[0]["container_id"], container);
    assert!(containers[0]["status"].is_object());
    scheduler.kill("t").await;
    scheduler.until("t", "TASK_KILLED").await;
    node.until_agent("/state", "the framework is completed", |s| {
        s["frameworks"] == json!([])
            && s["completed_frameworks"][0]["completed_executors"][0]["id"] == "t"
    })
    .await;
    assert_eq!(node.get_agent("/containers").await, json!([]));
}

#[tokio::test]
async fn the_metrics_of_an_agent_are_there() {
    let node = Node::start(&[]);
    node.until_agent("/state", "it is registered", |s| s["id"] != "").await;
    let all = node.get_agent("/metrics/snapshot").await;
    let mut keys: Vec<String> = "uptime_secs registered recovery_errors frameworks_active \
        tasks_staging tasks_starting tasks_running tasks_killing tasks_finished tasks_failed \
        tasks_killed tasks_lost tasks_gone executors_registering executors_running \
        executors_terminating executors_terminated executors_preempted valid_status_updates \
        invalid_status_updates valid_framework_messages invalid_framework_messages \
        executor_directory_max_allowed_age_secs container_launch_errors cpus_total cpus_used \
        cpus_percent mem_total mem_used mem_percent disk_total disk_used disk_percent gpus_total \
        gpus_used gpus_percent cpus_revocable_total cpus_revocable_used cpus_revocable_percent"
        .split_whitespace()
        .map(|k| format!("slave/{k}"))
        .collect();
    keys.extend(
        ["system/cpus_total", "system/load_1min", "system/mem_total_bytes"].map(Into::into),
    );
    let missing: Vec<&String> = keys.iter().filter(|k| !all[k.as_str()].is_number()).collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert_eq!(all["slave/registered"], 1.0);
    assert_eq!(all["slave/cpus_total"], 2.0);
}

#[tokio::test]
async fn what_the_agent_does_not_know_is_refused() {
    let node = Node::start(&[]);
    let ask = |method: &'static str, path: &'static str| {
        let agent = node.agent.clone();
        async move { super::wire::ask(&agent, method, path, &[], "").await }
    };
    assert_eq!(ask("GET", "/no/such").await.status, 404);
    assert_eq!(ask("GET", "/slave(1)/state").await.status, 200);
    assert_eq!(ask("GET", "/files/browse?path=/etc").await.status, 404);
    assert_eq!(ask("GET", "/files/browse").await.status, 400);
    let state: Value = ask("GET", "/state").await.json();
    assert_eq!(state["frameworks"], json!([]));
}

#[tokio::test]
async fn the_executor_of_a_command_bears_its_task_and_a_share_of_its_own() {
    let node = Node::start(&[]);
    let mut scheduler = Scheduler::start(&node, info("command")).await;
    let offer = scheduler.offer().await;
    let mut sleeps = task("t", &offer, "");
    sleeps["command"] = json!({
        "shell": false, "value": "/bin/sleep", "arguments": ["sleep", "1234"]
    });
    scheduler.launch(&offer, json!([sleeps])).await;
    scheduler.until("t", "TASK_RUNNING").await;
    let state = node.get_agent("/state").await;
    let executor = &state["frameworks"][0]["executors"][0];
    assert_eq!(executor["id"], "t");
    let name = executor["name"].as_str().unwrap();
    assert!(name.starts_with("Command Executor (Task: t) (Command: [/bin/sleep"), "{name}");
    // It has a share of its own besides its task's.
    assert_eq!(executor["resources"]["cpus"], 0.2);
    assert_eq!(executor["resources"]["mem"], 64.0);
}
