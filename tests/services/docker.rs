//! Apps in docker containers: what the old tutorials ask for, through Marathon, on a real engine.

use super::engine::{Engine, engine};
use super::wire;
use super::world::{Form, World, until};
use serde_json::{Value, json};

fn start(engine: &Engine) -> World {
    World::start_with(
        Form::Hosted,
        &[&format!("--docker-socket={}", engine.socket.display()), "--containerizers=docker,mesos"],
    )
}

/// The name of the container of a task.
async fn container(world: &World, task: &Value) -> String {
    let all = wire::get(&world.agent, "/containers").await;
    let all = all.as_array().unwrap();
    let own = all.iter().find(|c| c["executor_id"] == task["id"]).expect("its container");
    format!("mesos-{}", own["container_id"].as_str().unwrap())
}

/// Waits until the task's output shows it.
async fn wrote(world: &World, task: &Value, what: &str, shows: impl Fn(&str) -> bool) {
    let state = wire::get(&world.master, "/state").await;
    let all = state["frameworks"].as_array().unwrap();
    let marathon = all.iter().find(|f| f["name"] == "marathon").unwrap()["id"].clone();
    let path = format!(
        "/files/read?path=/frameworks/{}/executors/{}/runs/latest/stdout&offset=0&length=5000",
        marathon.as_str().unwrap(),
        task["id"].as_str().unwrap()
    );
    let shown = |read: &Value| read["data"].as_str().is_some_and(&shows);
    until(&world.agent, &path, what, shown).await;
}

// covers: MAR-0594, MES-0923, MES-0932, MES-0925
#[tokio::test(flavor = "multi_thread")]
async fn the_tutorials_first_two_apps_run() {
    let Some(engine) = engine("the_tutorials_first_two_apps_run") else { return };
    let world = start(engine);
    for (id, image) in [("ubuntu-marathon", "libmesos/ubuntu"), ("centos-marathon", "centos")] {
        let app = json!({"container": {"type": "DOCKER", "docker": {"image": image}}, "id": id,
            "instances": 1, "cpus": 0.5, "mem": 256, "uris": [],
            "cmd": "date -u +%T; while sleep 10; do date -u +%T; done"});
        let answer = world.ask("POST", "/v2/apps", app).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
    }
    world.deployed().await;
    let mut names = Vec::new();
    for (id, image) in [("/ubuntu-marathon", "libmesos/ubuntu"), ("/centos-marathon", "centos")] {
        let task = world.running(id, 1).await.remove(0);
        let name = container(&world, &task).await;
        let asked = "{{.Config.Image}} {{.HostConfig.NetworkMode}} {{.HostConfig.CpuShares}} \
                     {{.HostConfig.Memory}}";
        let seen = engine.docker(&["inspect", "-f", asked, &name]);
        // With what the executor is counted with, as the original.
        assert_eq!(seen, format!("{image} host 614 {}", (256 + 32) << 20));
        let time = |text: &str| text.ends_with('\n') && text.matches(':').count() >= 2;
        wrote(&world, &task, "the time", time).await;
        let label = engine.docker(&["inspect", "-f", "{{.Config.Labels.MESOS_TASK_ID}}", &name]);
        assert_eq!(label, task["id"].as_str().unwrap());
        names.push(name);
    }
    let use_of = wire::get(&world.agent, "/monitor/statistics").await;
    assert_eq!(use_of.as_array().unwrap().len(), 2, "{use_of:#}");
    assert!(use_of[0]["statistics"]["mem_total_bytes"].as_u64() > Some(0), "{use_of:#}");
    for id in ["ubuntu-marathon", "centos-marathon"] {
        let removed = world.ask("DELETE", &format!("/v2/apps/{id}"), Value::Null).await;
        assert_eq!(removed.status, 200, "{}", removed.text());
    }
    world.deployed().await;
    let gone = |all: &Value| all.as_array().unwrap().is_empty();
    until(&world.agent, "/containers", "no container is left", gone).await;
    for name in names {
        assert!(!engine.has(&name), "{name} is still there");
    }
}

// covers: MAR-0597, MAR-0023, MES-0938
#[tokio::test(flavor = "multi_thread")]
async fn a_bridged_app_answers_on_its_host_port() {
    let Some(engine) = engine("a_bridged_app_answers_on_its_host_port") else { return };
    let world = start(engine);
    let app = json!({"id": "bridged-webapp", "instances": 1, "cpus": 0.5, "mem": 64, "uris": [],
        "cmd": "mkdir /www; echo hello > /www/index.html; exec httpd -f -p 8080 -h /www",
        "container": {"type": "DOCKER", "docker": {"image": "libmesos/ubuntu",
            "network": "BRIDGE", "portMappings": [
                {"containerPort": 8080, "hostPort": 0, "servicePort": 9000, "protocol": "tcp"}]}},
        "healthChecks": [{"protocol": "HTTP", "path": "/", "portIndex": 0, "intervalSeconds": 1,
            "gracePeriodSeconds": 30, "timeoutSeconds": 5}]});
    let answer = world.ask("POST", "/v2/apps", app).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let told: Value = serde_json::from_slice(&answer.body).unwrap();
    let mappings = json!([{"containerPort": 8080, "hostPort": 0, "servicePort": 9000,
        "protocol": "tcp", "labels": {}}]);
    assert_eq!(told["container"]["portMappings"], mappings);
    assert_eq!(told["networks"], json!([{"mode": "container/bridge"}]));
    // Over only when the health check, made at the host's port, has found it well.
    world.deployed().await;
    let task = world.running("/bridged-webapp", 1).await.remove(0);
    let host = task["ports"][0].as_u64().unwrap();
    assert!((31_000..=31_999).contains(&host), "{task:#}");
    let page = wire::ask(&format!("127.0.0.1:{host}"), "GET", "/", &[], "").await;
    assert_eq!((page.status, page.text()), (200, "hello\n"));
    let address = task["ipAddresses"][0]["ipAddress"].as_str().unwrap().to_string();
    let name = container(&world, &task).await;
    let own =
        engine.docker(&["inspect", "-f", "{{.NetworkSettings.Networks.bridge.IPAddress}}", &name]);
    assert_eq!(address, own, "{task:#}");
}

// covers: MAR-0446
#[tokio::test(flavor = "multi_thread")]
async fn marathons_checks_ask_the_hosts_port_and_mesoss_the_containers() {
    let test = "marathons_checks_ask_the_hosts_port_and_mesoss_the_containers";
    let Some(engine) = engine(test) else { return };
    let world = start(engine);
    // Reached through the mapping alone, or on its own loopback device alone.
    for (id, listens, host, check) in [
        ("/index", "0.0.0.0", 0, json!({"protocol": "HTTP", "path": "/", "portIndex": 0})),
        ("/fixed", "0.0.0.0", 31_917, json!({"protocol": "HTTP", "path": "/", "port": 31_917})),
        ("/tcp", "0.0.0.0", 31_918, json!({"protocol": "TCP", "port": 31_918})),
        ("/inside", "127.0.0.1", 0, json!({"protocol": "MESOS_HTTP", "portIndex": 0})),
        ("/number", "127.0.0.1", 0, json!({"protocol": "MESOS_TCP", "port": 8080})),
    ] {
        let mut check = check;
        for (name, value) in
            [("intervalSeconds", 1), ("gracePeriodSeconds", 60), ("delaySeconds", 0)]
        {
            check[name] = json!(value);
        }
        let cmd = format!(
            "mkdir /www; echo hello > /www/index.html; exec httpd -f -p {listens}:8080 -h /www"
        );
        world
            .deploy(json!({"id": id, "cpus": 0.1, "mem": 32, "cmd": cmd, "healthChecks": [check],
                "requirePorts": true,
                "container": {"type": "DOCKER", "docker": {"image": "libmesos/ubuntu",
                    "network": "BRIDGE", "portMappings": [{"containerPort": 8080, "hostPort": host}]}}}))
            .await;
        let app = world.get(&format!("/v2/apps{id}")).await;
        assert_eq!(app["app"]["tasksHealthy"], 1, "{app:#}");
    }
    // Nobody is on the host's port where the mapping leads to nobody.
    let app = json!({"id": "/deaf", "cpus": 0.1, "mem": 32, "instances": 1,
        "cmd": "mkdir /www; exec httpd -f -p 127.0.0.1:8080 -h /www",
        "healthChecks": [{"protocol": "HTTP", "path": "/", "portIndex": 0, "intervalSeconds": 1,
            "gracePeriodSeconds": 1, "maxConsecutiveFailures": 0, "timeoutSeconds": 1}],
        "container": {"type": "DOCKER", "docker": {"image": "libmesos/ubuntu", "network": "BRIDGE",
            "portMappings": [{"containerPort": 8080, "hostPort": 0}]}}});
    assert_eq!(world.ask("POST", "/v2/apps", app).await.status, 201);
    world.until("/v2/apps/deaf", "it is not well", |seen| seen["app"]["tasksUnhealthy"] == 1).await;
}

// covers: MES-0929, MES-0937
#[tokio::test(flavor = "multi_thread")]
async fn containers_outlive_a_crash_of_the_node_and_are_taken_up_again() {
    let test = "containers_outlive_a_crash_of_the_node_and_are_taken_up_again";
    let Some(engine) = engine(test) else { return };
    let mut world = start(engine);
    let line = "n=0; while :; do echo line $n; n=$((n+1)); sleep 0.1; done";
    world
        .deploy(json!({"id": "/kept", "cmd": line, "cpus": 0.1, "mem": 32,
            "container": {"type": "DOCKER", "docker": {"image": "centos"}}}))
        .await;
    let task = world.running("/kept", 1).await.remove(0);
    let name = container(&world, &task).await;
    let pid = engine.docker(&["inspect", "-f", "{{.State.Pid}}", &name]);
    wrote(&world, &task, "some lines", |text| text.contains("line 5\n")).await;
    world.crash();
    let again = world.running("/kept", 1).await.remove(0);
    assert_eq!(again["id"], task["id"]);
    assert_eq!(engine.docker(&["inspect", "-f", "{{.State.Pid}}", &name]), pid);
    let whole = |text: &str| {
        let whole = &text[..text.rfind('\n').map_or(0, |at| at + 1)];
        let expected: String = (0..whole.lines().count()).map(|n| format!("line {n}\n")).collect();
        assert_eq!(whole, expected, "each line once");
        whole.lines().count() > 40
    };
    wrote(&world, &task, "lines go on", whole).await;
    // Its end is still seen.
    engine.docker(&["kill", &name]);
    world
        .until("/v2/apps/kept/tasks", "another task runs", |seen| {
            let tasks = seen["tasks"].as_array().unwrap();
            tasks.iter().any(|t| t["id"] != task["id"] && t["state"] == "TASK_RUNNING")
        })
        .await;
    let app = world.get("/v2/apps/kept").await;
    let failure = &app["app"]["lastTaskFailure"];
    assert_eq!(failure["message"], "Container exited with status 137", "{app:#}");
}

// covers: MAR-0490
#[tokio::test(flavor = "multi_thread")]
async fn a_docker_app_is_updated() {
    let Some(engine) = engine("a_docker_app_is_updated") else { return };
    let world = start(engine);
    world
        .deploy(json!({"id": "/up", "cmd": "sleep 1000", "cpus": 0.1, "mem": 32,
            "container": {"type": "DOCKER", "docker": {"image": "centos"}}}))
        .await;
    let before = container(&world, &world.running("/up", 1).await[0]).await;
    let update = json!({"env": {"COLOUR": "blue"},
        "container": {"type": "DOCKER", "docker": {"image": "libmesos/ubuntu"}}});
    let updated = world.ask("PUT", "/v2/apps/up", update).await;
    assert_eq!(updated.status, 200, "{}", updated.text());
    world.deployed().await;
    let after = container(&world, &world.running("/up", 1).await[0]).await;
    assert_ne!(before, after);
    let seen = engine.docker(&["inspect", "-f", "{{.Config.Image}} {{.Config.Env}}", &after]);
    assert!(seen.starts_with("libmesos/ubuntu ") && seen.contains("COLOUR=blue"), "{seen}");
    // The sandbox of the old one stays, its container does not.
    let one = |all: &Value| all.as_array().unwrap().len() == 1;
    until(&world.agent, "/containers", "one container is left", one).await;
    assert!(!engine.has(&before));
}

// covers: MES-0943
#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_cannot_be_pulled_is_told_with_its_registry() {
    let Some(engine) = engine("an_image_that_cannot_be_pulled_is_told_with_its_registry") else {
        return;
    };
    let world = start(engine);
    let app = json!({"id": "/lost", "cmd": "sleep 1", "cpus": 0.1, "mem": 32,
        "container": {"type": "DOCKER", "docker": {"image": "127.0.0.1:1/no/such"}}});
    let answer = world.ask("POST", "/v2/apps", app).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let seen = world
        .until("/v2/apps/lost", "it failed", |seen| {
            !seen["app"]["lastTaskFailure"]["message"].is_null()
        })
        .await;
    let failure = &seen["app"]["lastTaskFailure"];
    let message = failure["message"].as_str().unwrap();
    assert!(
        message.starts_with(
            "Failed to launch container: cannot pull image '127.0.0.1:1/no/such' from \
             127.0.0.1:1: the docker engine answers HTTP 500"
        ),
        "{message}"
    );
}

// covers: CHR-0116
#[tokio::test(flavor = "multi_thread")]
async fn the_seeds_job_runs_in_its_container_on_both_prefixes() {
    let Some(engine) = engine("the_seeds_job_runs_in_its_container_on_both_prefixes") else {
        return;
    };
    let world = start(engine);
    for (prefix, name) in [("/scheduler", "dockerjob"), ("/v1/scheduler", "dockerjob2")] {
        let job = json!({"schedule": "R1//PT2M", "name": name, "cpus": "0.1", "mem": "64",
            "uris": [], "container": {"type": "DOCKER", "image": "libmesos/ubuntu"},
            "command": "test -e /bin/busybox && test $MESOS_SANDBOX = /mnt/mesos/sandbox"});
        let json = [("content-type", "application/json")];
        let path = format!("{prefix}/iso8601");
        let made = wire::ask(&world.chronos, "POST", &path, &json, job.to_string()).await;
        assert_eq!(made.status, 204, "{}", made.text());
        until(&world.chronos, "/scheduler/jobs", "it succeeded", |jobs| {
            let all = jobs.as_array().unwrap();
            all.iter().any(|job| job["name"] == name && job["successCount"] == 1)
        })
        .await;
    }
}
