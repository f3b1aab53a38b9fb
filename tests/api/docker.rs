//! Docker containers by way of the scheduler API: what updates hold, custom executors, what is refused.

use super::client::{Scheduler, info, task};
use super::engine::{Engine, engine};
use super::executors::with_executor;
use super::images::{Mute, both, health, killed_early, soon};
use super::node::Node;
use base64::Engine as _;
use serde_json::{Value, json};

fn start(engine: &Engine) -> Node {
    Node::start(&[&format!("--docker-socket={}", engine.socket.display())])
}

fn container(image: &str) -> Value {
    json!({"type": "DOCKER", "docker": {"image": image}})
}

// covers: MES-0923, MES-0925, MES-0942, MES-0952
#[tokio::test]
async fn a_running_docker_task_tells_what_the_engine_says() {
    let Some(engine) = engine("a_running_docker_task_tells_what_the_engine_says") else { return };
    let node = start(engine);
    let mut scheduler = Scheduler::start(&node, info("docker")).await;
    let offer = scheduler.offer().await;
    let mut good = task("good", &offer, "sleep 1000");
    good["container"] = container("centos");
    good["container"]["docker"]["network"] = json!("BRIDGE");
    let mut lost = task("lost", &offer, "true");
    lost["container"] = container("centos");
    lost["command"]["uris"] = json!([{"value": "/no/such/file"}]);
    let mut ports = task("ports", &offer, "true");
    ports["container"] = good["container"].clone();
    ports["container"]["docker"]["port_mappings"] =
        json!([{"host_port": 8080, "container_port": 80}]);
    ports["resources"].as_array_mut().unwrap().push(json!({
        "name": "ports",
        "type": "RANGES",
        "ranges": {"range": [{"begin": 31000, "end": 31000}]},
    }));
    scheduler.launch(&offer, json!([good, lost, ports])).await;
    let running = scheduler.until("good", "TASK_RUNNING").await.pop().unwrap();
    let id = running["container_status"]["container_id"]["value"].as_str().unwrap();
    let name = format!("mesos-{id}");
    let data = running["data"].as_str().expect("data");
    let data = base64::prelude::BASE64_STANDARD.decode(data).unwrap();
    let inspected: Value = serde_json::from_slice(&data).unwrap();
    assert_eq!(inspected[0]["Name"], format!("/{name}"), "{inspected:#}");
    let own = &inspected[0]["NetworkSettings"]["Networks"]["bridge"]["IPAddress"];
    let told = &running["container_status"]["network_infos"][0];
    assert_eq!((&told["ip_addresses"][0]["ip_address"], &told["name"]), (own, &json!("bridge")));
    for (task, says) in [
        ("lost", "/no/such/file"),
        ("ports", "Failed to create docker run options: Port [8080] not included in resources"),
    ] {
        let failed = scheduler.until(task, "TASK_FAILED").await.pop().unwrap();
        assert_eq!(failed["reason"], "REASON_CONTAINER_LAUNCH_FAILED");
        let message = failed["message"].as_str().unwrap();
        assert!(message.starts_with("Failed to launch container: "), "{message}");
        assert!(message.contains(says), "{message}");
    }
    assert!(engine.has(&name));
    scheduler.kill("good").await;
    let killed = scheduler.until("good", "TASK_KILLED").await.pop().unwrap();
    assert_eq!(killed["message"], "Container exited with status 137");
    node.until_agent("/containers", "nothing is left", |all| all.as_array().unwrap().is_empty())
        .await;
    assert!(!engine.has(&name));
}

// covers: MES-0924
#[tokio::test]
async fn a_custom_executor_runs_in_its_container() {
    let Some(engine) = engine("a_custom_executor_runs_in_its_container") else { return };
    let node = start(engine);
    let mut scheduler = Scheduler::start(&node, info("executors")).await;
    let offer = scheduler.offer().await;
    let program = super::examples::example("executor");
    let mut one = with_executor("one", &offer, "e", "exec /example/executor");
    let shown =
        |host: &str, path: &str| json!({"host_path": host, "container_path": path, "mode": "RO"});
    // The program is the host's, and so are its libraries.
    let folder = program.parent().unwrap().to_string_lossy();
    let mut volumes = vec![shown(&folder, "/example")];
    for libraries in ["/lib", "/lib64", "/usr/lib"] {
        if std::path::Path::new(libraries).exists() {
            volumes.push(shown(libraries, libraries));
        }
    }
    one["executor"]["container"] = container("centos");
    one["executor"]["container"]["volumes"] = json!(volumes);
    let mut two = one.clone();
    two["task_id"]["value"] = json!("two");
    scheduler.launch(&offer, json!([one, two])).await;
    for task in ["one", "two"] {
        scheduler.until(task, "TASK_RUNNING").await;
    }
    let all = node.get_agent("/containers").await;
    let id = all[0]["container_id"].as_str().unwrap();
    let memory =
        engine.docker(&["inspect", "-f", "{{.HostConfig.Memory}}", &format!("mesos-{id}")]);
    // The executor's and both tasks': raised when the tasks came.
    assert_eq!(memory, (96 << 20).to_string());
    scheduler.kill("one").await;
    scheduler.until("one", "TASK_KILLED").await;
    let shutdown = json!({"agent_id": offer["agent_id"], "executor_id": {"value": "e"}});
    scheduler.call("SHUTDOWN", json!({"shutdown": shutdown})).await;
    scheduler.until("two", "TASK_KILLED").await;
    assert_eq!(scheduler.kind("FAILURE").await["failure"]["executor_id"]["value"], "e");
}

// covers: MES-0458, MES-0460, MES-0461
#[tokio::test]
async fn both_checks_of_a_docker_task_are_made_in_its_container() {
    let Some(engine) = engine("both_checks_of_a_docker_task_are_made_in_its_container") else {
        return;
    };
    let node = start(engine);
    let mut scheduler = Scheduler::start(&node, info("checked")).await;
    let offer = scheduler.offer().await;
    // On its own loopback device, where nobody else is.
    let text =
        "mkdir /www; echo \"it's in\" >/www/index.html; exec httpd -f -p 127.0.0.1:8080 -h /www";
    let command = |text: &str| json!({"shell": true, "value": text});
    let quoted = "test \"$(cat /www/index.html)\" = \"it's in\" && test \"$WHO\" = 'me too'";
    let mut tasks = Vec::new();
    for id in ["command", "http"] {
        let mut task = task(id, &offer, text);
        task["container"] = container("centos");
        task["container"]["docker"]["network"] = json!("BRIDGE");
        let variables = json!([{"name": "WHO", "type": "VALUE", "value": "me too"}]);
        task["command"]["environment"] = json!({"variables": variables});
        let http = json!({"type": "HTTP", "http": {"port": 8080, "path": "/"}});
        if id == "command" {
            task["health_check"] = health(json!({"type": "COMMAND", "command": command(quoted)}));
            task["check"] = soon(http);
            task["check"]["delay_seconds"] = json!(1.0);
        } else {
            task["health_check"] = health(http);
            let waits = format!("while ! {{ {quoted}; }}; do sleep 0.1; done; exit 7");
            task["check"] =
                soon(json!({"type": "COMMAND", "command": {"command": command(&waits)}}));
        }
        tasks.push(task);
    }
    scheduler.launch(&offer, json!(tasks)).await;
    both(&mut scheduler, "command", "http", &json!({"status_code": 200})).await;
    both(&mut scheduler, "http", "command", &json!({"exit_code": 7})).await;
}

// covers: MES-0459
#[tokio::test]
async fn a_docker_tasks_changes_of_health_are_told() {
    let Some(engine) = engine("a_docker_tasks_changes_of_health_are_told") else { return };
    let node = start(engine);
    let mut scheduler = Scheduler::start(&node, info("flapping")).await;
    let offer = scheduler.offer().await;
    let mut flaps = task("t", &offer, "exec sleep 1000");
    flaps["container"] = container("centos");
    let text = "if test -e /up; then rm /up; exit 1; fi; touch /up";
    flaps["health_check"] =
        soon(json!({"type": "COMMAND", "command": {"shell": true, "value": text}}));
    flaps["health_check"]["grace_period_seconds"] = json!(0.0);
    scheduler.launch(&offer, json!([flaps])).await;
    scheduler.until("t", "TASK_RUNNING").await;
    for healthy in [true, false, true, false, true] {
        let status = scheduler.status("t").await;
        assert_eq!(
            (&status["state"], &status["healthy"]),
            (&json!("TASK_RUNNING"), &json!(healthy))
        );
        assert_eq!(status["reason"], "REASON_TASK_HEALTH_CHECK_STATUS_UPDATED");
    }
}

// covers: MES-0940
#[tokio::test]
async fn a_kill_while_a_docker_tasks_files_are_fetched_gives_that_up() {
    let Some(engine) = engine("a_kill_while_a_docker_tasks_files_are_fetched_gives_that_up") else {
        return;
    };
    let node = start(engine);
    let mut mute = Mute::start().await;
    let mut scheduler = Scheduler::start(&node, info("fetching")).await;
    let offer = scheduler.offer().await;
    let mut fetching = task("t", &offer, "true");
    fetching["container"] = container("centos");
    fetching["command"]["uris"] = json!([{"value": format!("http://{}/file", mute.address)}]);
    scheduler.launch(&offer, json!([fetching])).await;
    killed_early(&node, &mut scheduler, &mut mute, "t").await;
}

#[test]
fn an_engine_that_was_named_must_be_there() {
    let dir = tempfile::tempdir().unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_mesolith"))
        .args(["up", "--config=/dev/null", "--master-port=0", "--agent-port=0"])
        .args(["--marathon-port=0", "--chronos-port=0", "--cluster-port=0"])
        .args(["--cluster-ip=127.0.0.1", "--containerizers=docker,mesos"])
        .arg(format!("--docker-socket={}", dir.path().join("none").display()))
        .arg(format!("--data-dir={}", dir.path().join("data").display()))
        .output()
        .unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("--containerizers names docker"), "{said}");
    assert!(said.contains("cannot be reached"), "{said}");
}
