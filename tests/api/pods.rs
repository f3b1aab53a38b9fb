//! Groups of tasks with the default executor: on the wire, and in real containers.

use super::agent_calls::container;
use super::client::{Scheduler, info, scalar, states, task, with_capability};
use super::node::Node;
use mesolith::mesos::codec::Codec;
use serde_json::{Value, json};

pub fn pod(id: &str) -> Value {
    json!({
        "type": "DEFAULT",
        "executor_id": {"value": id},
        "resources": [scalar("cpus", 0.1), scalar("mem", 32.0)],
    })
}

pub fn group(executor: &Value, tasks: &[Value]) -> Value {
    json!([{"type": "LAUNCH_GROUP", "launch_group": {
        "executor": executor, "task_group": {"tasks": tasks},
    }}])
}

fn shared(mut task: Value) -> Value {
    task["container"] = json!({"type": "MESOS", "volumes": [{
        "mode": "RW",
        "container_path": "common",
        "source": {"type": "SANDBOX_PATH", "sandbox_path": {"type": "PARENT", "path": "shared"}},
    }]});
    task
}

// covers: MES-0410, MES-0411, MES-0415, MES-0417, MES-0160
#[tokio::test]
async fn groups_run_beside_each_other_in_one_executor() {
    let node = Node::start(&[]);
    let info = with_capability("pods", "TASK_KILLING_STATE");
    let codec = Codec::Protobuf;
    let mut scheduler = Scheduler::subscribe(&node, codec, json!({"framework_info": info})).await;
    let offer = scheduler.offer().await;
    let executor = pod("e");
    let mut operations = Vec::new();
    for tasks in [vec!["a", "b"], vec!["c"]] {
        let tasks: Vec<Value> =
            tasks.into_iter().map(|id| task(id, &offer, "exec sleep 1000")).collect();
        operations.push(group(&executor, &tasks)[0].clone());
    }
    scheduler.accept(&[&offer], Value::Array(operations)).await;
    let mut containers = Vec::new();
    for id in ["a", "b", "c"] {
        let statuses = scheduler.until(id, "TASK_RUNNING").await;
        assert_eq!(states(&statuses), ["TASK_STARTING", "TASK_RUNNING"]);
        containers.push(container(statuses.last().unwrap()));
    }
    assert!(containers.iter().all(|c| c["parent"] == containers[0]["parent"]));
    assert_ne!(containers[0]["value"], containers[1]["value"]);
    scheduler.kill("a").await;
    for id in ["a", "b"] {
        let statuses = scheduler.until(id, "TASK_KILLED").await;
        assert_eq!(states(&statuses), ["TASK_KILLING", "TASK_KILLED"]);
    }
    let state = node.get("/state").await;
    assert_eq!(state["frameworks"][0]["tasks"][0]["id"], "c");
    assert_eq!(state["frameworks"][0]["executors"][0]["executor_id"], "e");
    scheduler.kill("c").await;
    scheduler.until("c", "TASK_KILLED").await;
    // With its last task the executor has ended.
    let ended = scheduler.event(|e| e["type"] == "FAILURE").await;
    assert_eq!(ended["failure"]["executor_id"]["value"], "e");
    node.until_agent("/state", "nothing is left", |s| s["frameworks"] == json!([])).await;
}

// covers: MES-0413, MES-0425, MES-0430, MES-0879
#[tokio::test]
async fn tasks_of_a_group_have_their_own_files_and_share_what_they_ask_for() {
    let node = Node::start(&[]);
    let mut scheduler = Scheduler::start(&node, info("files")).await;
    let offer = scheduler.offer().await;
    let file = node.dir.path().join("given");
    std::fs::write(&file, "by uri\n").unwrap();
    let contained = super::node::contained();
    let shares = |task: Value| if contained { shared(task) } else { task };
    let write = "echo mine > own; cat given > got; echo left > common/letter 2>/dev/null; \
                 while [ ! -e read ]; do sleep 0.05; done; exit 7";
    let mut one = shares(task("one", &offer, write));
    one["command"]["uris"] = json!([{"value": file.display().to_string()}]);
    let read = "while [ ! -s common/letter ] && [ -d common ]; do sleep 0.05; done; \
                cat common/letter > got; exec sleep 1000";
    let two = shares(task("two", &offer, read));
    scheduler.accept(&[&offer], group(&pod("e"), &[one, two])).await;
    for id in ["one", "two"] {
        scheduler.until(id, "TASK_RUNNING").await;
    }
    let sandbox = format!("/frameworks/{}/executors/e/runs/latest", scheduler.id);
    let of = |task: &str, name: &str| format!("/files/download?path={sandbox}/tasks/{task}/{name}");
    let text = async |path: String, wanted: &str| {
        let since = std::time::Instant::now();
        loop {
            let answer = super::wire::ask(&node.agent, "GET", &path, &[], "").await;
            if answer.status == 200 && answer.text() == wanted {
                return;
            }
            let said = String::from_utf8_lossy(&answer.body).into_owned();
            assert!(since.elapsed() < super::wire::DEADLINE, "{path}: {} {said}", answer.status);
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    text(of("one", "own"), "mine\n").await;
    text(of("one", "got"), "by uri\n").await;
    if contained {
        text(of("two", "got"), "left\n").await;
        let shared = format!("/files/download?path={sandbox}/shared/letter");
        text(shared, "left\n").await;
    }
    // Let go, it fails, and the other goes with it.
    let agent = node.get_agent("/state").await;
    let directory = agent["frameworks"][0]["executors"][0]["directory"].as_str().unwrap();
    std::fs::write(format!("{directory}/tasks/one/read"), "").unwrap();
    let failed = scheduler.until("one", "TASK_FAILED").await;
    let last = failed.last().unwrap();
    assert_eq!(last["message"], "Command exited with status 7");
    assert_eq!(last["source"], "SOURCE_EXECUTOR");
    scheduler.until("two", "TASK_KILLED").await;
}

// covers: MES-0419
#[tokio::test]
async fn a_group_survives_the_agent() {
    let mut node = Node::start(&[]);
    let mut scheduler = Scheduler::start(&node, info("survives")).await;
    let offer = scheduler.offer().await;
    let tasks = [task("a", &offer, "exec sleep 1000"), task("b", &offer, "exec sleep 1000")];
    scheduler.accept(&[&offer], group(&pod("e"), &tasks)).await;
    for id in ["a", "b"] {
        scheduler.until(id, "TASK_RUNNING").await;
    }
    node.crash();
    let mut scheduler = scheduler.again(&node, info("survives")).await;
    node.until("/state", "both run", |state| {
        let tasks = state["frameworks"][0]["tasks"].as_array();
        tasks.is_some_and(|all| all.len() == 2 && all.iter().all(|t| t["state"] == "TASK_RUNNING"))
    })
    .await;
    scheduler.kill("a").await;
    scheduler.until("a", "TASK_KILLED").await;
    scheduler.until("b", "TASK_KILLED").await;
}

// covers: MES-0426
#[tokio::test]
async fn what_cannot_be_launched_fails_its_group_and_says_why() {
    let node = Node::start(&[]);
    let mut scheduler = Scheduler::start(&node, info("fails")).await;
    let offer = scheduler.offer().await;
    let mut wrong = task("wrong", &offer, "true");
    wrong["command"]["uris"] = json!([{"value": "/nowhere/at/all"}]);
    let right = task("right", &offer, "exec sleep 1000");
    scheduler.accept(&[&offer], group(&pod("e"), &[right, wrong])).await;
    let failed = scheduler.until("wrong", "TASK_FAILED").await;
    let last = failed.last().unwrap();
    assert_eq!(last["reason"], "REASON_CONTAINER_LAUNCH_FAILED");
    let said = last["message"].as_str().unwrap();
    assert!(said.starts_with("Failed to launch container: ") && said.contains("nowhere"), "{said}");
    scheduler.until("right", "TASK_KILLED").await;
}

// covers: MES-0456, MES-0457
#[tokio::test]
async fn a_command_check_runs_in_the_tasks_own_container_as_its_user() {
    let node = Node::start(&[]);
    let mut scheduler = Scheduler::start(&node, info("checked")).await;
    let offer = scheduler.offer().await;
    let mut one = task("one", &offer, "touch well; exec sleep 1000");
    one["health_check"] = json!({
        "type": "COMMAND",
        "delay_seconds": 0.0,
        "interval_seconds": 0.2,
        "command": {"shell": true, "value": "test -e well && id -un > who"},
    });
    let user = if super::node::contained() { "nobody" } else { "" };
    if !user.is_empty() {
        one["command"]["user"] = json!(user);
    }
    let two = task("two", &offer, "exec sleep 1000");
    scheduler.accept(&[&offer], group(&pod("e"), &[one, two])).await;
    let healthy = |e: &Value| {
        e["type"] == "UPDATE"
            && e["update"]["status"]["task_id"]["value"] == "one"
            && e["update"]["status"]["healthy"] == true
    };
    for id in ["one", "two"] {
        let first = scheduler.status(id).await;
        assert_eq!(first["state"], "TASK_STARTING");
        scheduler.status(id).await;
    }
    let event = scheduler.event(healthy).await;
    scheduler.acknowledge(&event["update"]["status"]).await;
    if !user.is_empty() {
        let agent = node.get_agent("/state").await;
        let directory = agent["frameworks"][0]["executors"][0]["directory"].as_str().unwrap();
        let who = std::fs::read_to_string(format!("{directory}/tasks/one/who")).unwrap();
        assert_eq!(who.trim(), user);
    }
}

// covers: MES-0424
#[tokio::test]
async fn a_task_over_its_own_limit_says_so() {
    if !super::node::contained() {
        eprintln!("SKIPPED a_task_over_its_own_limit_says_so: needs root");
        return;
    }
    let node = Node::start(&[]);
    let mut scheduler = Scheduler::start(&node, info("limited")).await;
    let offer = scheduler.offer().await;
    let mut one = task("one", &offer, "head -c 200m /dev/zero | tail | sleep 100");
    one["container"] = json!({"type": "MESOS", "linux_info": {"share_cgroups": false}});
    scheduler.accept(&[&offer], group(&pod("e"), &[one])).await;
    let failed = scheduler.until("one", "TASK_FAILED").await;
    let last = failed.last().unwrap();
    assert_eq!(last["reason"], "REASON_CONTAINER_LIMITATION_MEMORY");
    assert!(last["limitation"]["resources"][0]["name"] == "mem", "{last}");
}
