//! Reservations and persistent volumes on the real node: over the wire, on its disk, and in tasks.

use super::client::{Scheduler, info, scalar, states, task, user};
use super::engine::engine;
use super::node::{Node, contained};
use super::wire::{Answer, encode};
use mesolith::mesos::codec::Codec;
use mesolith::mesos::v1::master::Call;
use serde_json::{Value, json};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

/// A framework of that role.
fn of_role(role: &str) -> Value {
    let mut info = info("volumes");
    info["roles"] = json!([role]);
    info["capabilities"].as_array_mut().unwrap().push(json!({"type": "RESERVATION_REFINEMENT"}));
    info
}

fn reserved(name: &str, value: f64, role: &str) -> Value {
    let mut resource = scalar(name, value);
    resource["reservations"] = json!([{"type": "DYNAMIC", "role": role, "principal": "ops"}]);
    resource
}

fn volume(id: &str, role: &str) -> Value {
    let mut resource = reserved("disk", 64.0, role);
    resource["disk"] = json!({
        "persistence": {"id": id, "principal": "ops"},
        "volume": {"mode": "RW", "container_path": "data"},
    });
    resource
}

fn operation(kind: &str, list: &str, resources: &[Value]) -> Value {
    let mut operation = json!({ "type": kind });
    operation[kind.to_ascii_lowercase()] = json!({ list: resources });
    operation
}

fn reserve(resources: &[Value]) -> Value {
    operation("RESERVE", "resources", resources)
}

fn create(volumes: &[Value]) -> Value {
    operation("CREATE", "volumes", volumes)
}

fn destroy(volumes: &[Value]) -> Value {
    operation("DESTROY", "volumes", volumes)
}

fn launch(tasks: &[Value]) -> Value {
    json!({"type": "LAUNCH", "launch": {"task_infos": tasks}})
}

/// A task that uses this volume.
fn using(id: &str, offer: &Value, volume: &Value, command: &str) -> Value {
    let mut task = task(id, offer, command);
    task["resources"].as_array_mut().unwrap().push(volume.clone());
    task
}

fn volumes_of(offer: &Value) -> Vec<&str> {
    let all = offer["resources"].as_array().unwrap().iter();
    all.filter_map(|r| r["disk"]["persistence"]["id"].as_str()).collect()
}

/// The agent's work directory, by the sandbox of a task that runs.
async fn work_dir(node: &Node) -> PathBuf {
    let state = node.get_agent("/state").await;
    let sandbox = state["frameworks"][0]["executors"][0]["directory"].as_str().unwrap();
    PathBuf::from(sandbox.split("/slaves/").next().unwrap())
}

async fn agent_id(node: &Node) -> String {
    let seen = node.until("/slaves", "it is active", |s| s["slaves"][0]["active"] == true).await;
    seen["slaves"][0]["id"].as_str().unwrap().to_string()
}

// covers: MES-0628, MES-0652, MES-0653, MES-0654, MES-0656, MES-0864
#[tokio::test]
async fn what_a_task_leaves_on_its_volume_the_next_one_finds_also_after_a_restart() {
    let kinds: &[&[&str]] = if contained() { &[&[], &["--launcher=posix"]] } else { &[&[]] };
    for flags in kinds {
        let mut node = Node::start(flags);
        let mut scheduler = Scheduler::start(&node, of_role("eng")).await;
        let offer = scheduler.offer().await;
        let made = volume("v", "eng");
        let write = "echo kept > data/file && exec sleep 1000";
        let writer = using("writer", &offer, &made, write);
        let all = json!([
            reserve(&[reserved("disk", 64.0, "eng")]),
            create(std::slice::from_ref(&made)),
            launch(&[writer]),
        ]);
        scheduler.accept(&[&offer], all).await;
        scheduler.until("writer", "TASK_RUNNING").await;
        let on_disk = work_dir(&node).await.join("volumes/roles/eng/v");
        let file = on_disk.join("file");
        let since = std::time::Instant::now();
        while !file.metadata().is_ok_and(|m| m.len() > 0) {
            assert!(since.elapsed() < super::wire::DEADLINE, "{} is not written", file.display());
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        scheduler.kill("writer").await;
        scheduler.until("writer", "TASK_KILLED").await;
        node.restart();
        let mut scheduler = scheduler.again(&node, of_role("eng")).await;
        let offer = scheduler.offer().await;
        assert_eq!(volumes_of(&offer), ["v"]);
        let reader = using("reader", &offer, &made, "test \"$(cat data/file)\" = kept");
        scheduler.accept(&[&offer], json!([launch(&[reader])])).await;
        scheduler.until("reader", "TASK_FINISHED").await;
        // What is not there any more is not there for the next of its name.
        scheduler.call("REVIVE", json!({})).await;
        let offer = scheduler
            .event(|e| e["type"] == "OFFERS" && volumes_of(&e["offers"]["offers"][0]) == ["v"]);
        let offer = offer.await["offers"]["offers"][0].clone();
        let empty = using("empty", &offer, &made, "test -z \"$(ls data)\" && exec sleep 1000");
        let all = json!([
            destroy(std::slice::from_ref(&made)),
            create(std::slice::from_ref(&made)),
            launch(&[empty]),
        ]);
        scheduler.accept(&[&offer], all).await;
        scheduler.until("empty", "TASK_RUNNING").await;
        assert!(!file.exists() && on_disk.exists());
        scheduler.kill("empty").await;
        scheduler.until("empty", "TASK_KILLED").await;
        scheduler.call("REVIVE", json!({})).await;
        let offer = scheduler
            .event(|e| e["type"] == "OFFERS" && volumes_of(&e["offers"]["offers"][0]) == ["v"]);
        let offer = offer.await["offers"]["offers"][0].clone();
        let back = operation("UNRESERVE", "resources", &[reserved("disk", 64.0, "eng")]);
        scheduler.accept(&[&offer], json!([destroy(&[made]), back])).await;
        node.until_agent("/state", "nothing is reserved", |s| s["reserved_resources"] == json!({}))
            .await;
        let since = std::time::Instant::now();
        while on_disk.exists() {
            assert!(since.elapsed() < super::wire::DEADLINE, "the volume is still there");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }
}

// covers: MES-0663
#[tokio::test]
async fn a_volume_is_its_tasks_users_and_may_be_read_only() {
    if !contained() {
        return eprintln!("skipped: only root has tasks of other users");
    }
    let node = Node::start(&[]);
    let mut scheduler = Scheduler::start(&node, of_role("eng")).await;
    let offer = scheduler.offer().await;
    let made = volume("v", "eng");
    let mut writer = using("writer", &offer, &made, "echo mine > data/file && exec sleep 1000");
    writer["command"]["user"] = json!("nobody");
    let all = json!([
        reserve(&[reserved("disk", 64.0, "eng")]),
        create(std::slice::from_ref(&made)),
        launch(&[writer]),
    ]);
    scheduler.accept(&[&offer], all).await;
    scheduler.until("writer", "TASK_RUNNING").await;
    let on_disk = work_dir(&node).await.join("volumes/roles/eng/v");
    let nobody = nix::unistd::User::from_name("nobody").unwrap().unwrap().uid.as_raw();
    assert_eq!(on_disk.metadata().unwrap().uid(), nobody);
    scheduler.kill("writer").await;
    scheduler.until("writer", "TASK_KILLED").await;
    scheduler.call("REVIVE", json!({})).await;
    let offer = scheduler
        .event(|e| e["type"] == "OFFERS" && volumes_of(&e["offers"]["offers"][0]) == ["v"])
        .await["offers"]["offers"][0]
        .clone();
    let mut read_only = made.clone();
    read_only["disk"]["volume"]["mode"] = json!("RO");
    let command = "test \"$(cat data/file)\" = mine && ! touch data/other";
    let reader = using("reader", &offer, &read_only, command);
    scheduler.accept(&[&offer], json!([launch(&[reader])])).await;
    scheduler.until("reader", "TASK_FINISHED").await;
}

// covers: MES-0428, MES-0429, MES-0431, MES-0432
#[tokio::test]
async fn tasks_of_groups_have_volumes_of_their_own_and_their_executors() {
    if !contained() {
        return eprintln!("skipped: only root has containers in containers");
    }
    let node = Node::start(&[]);
    let mut scheduler = Scheduler::start(&node, of_role("eng")).await;
    let offer = scheduler.offer().await;
    let (whole, own) = (volume("whole", "eng"), volume("own", "eng"));
    let executor = json!({
        "type": "DEFAULT",
        "executor_id": {"value": "e"},
        "resources": [scalar("cpus", 0.1), scalar("mem", 32.0), whole],
    });
    let shared = |mut task: Value| {
        task["container"] = json!({"type": "MESOS", "volumes": [{
            "mode": "RW",
            "container_path": "common",
            "source": {"type": "SANDBOX_PATH", "sandbox_path": {"type": "PARENT", "path": "data"}},
        }]});
        task
    };
    let write = "echo one > common/letter && echo mine > data/file && exec sleep 1000";
    let mut one = shared(using("one", &offer, &own, write));
    one["health_check"] = json!({
        "type": "COMMAND",
        "command": {"shell": true, "value": "test -e data/file"},
        "delay_seconds": 0.0, "interval_seconds": 0.1, "grace_period_seconds": 30.0,
    });
    let read = "while [ ! -s common/letter ]; do sleep 0.05; done; exec sleep 1000";
    let two = shared(task("two", &offer, read));
    let group = |tasks: &[Value]| {
        json!({"type": "LAUNCH_GROUP", "launch_group": {
            "executor": executor, "task_group": {"tasks": tasks},
        }})
    };
    let all = json!([
        reserve(&[reserved("disk", 128.0, "eng")]),
        create(&[whole.clone(), own.clone()]),
        group(&[one]),
        group(&[two]),
    ]);
    scheduler.accept(&[&offer], all).await;
    loop {
        let status = scheduler.status("one").await;
        assert!(
            ["TASK_STARTING", "TASK_RUNNING"].iter().any(|s| status["state"] == *s),
            "{status:#}"
        );
        if status["healthy"] == true {
            break;
        }
    }
    scheduler.until("two", "TASK_RUNNING").await;
    let volumes = work_dir(&node).await.join("volumes/roles/eng");
    assert_eq!(std::fs::read_to_string(volumes.join("own/file")).unwrap(), "mine\n");
    assert_eq!(std::fs::read_to_string(volumes.join("whole/letter")).unwrap(), "one\n");
    for id in ["one", "two"] {
        scheduler.kill(id).await;
        scheduler.until(id, "TASK_KILLED").await;
    }
}

// covers: MES-0936
#[tokio::test]
async fn a_docker_task_has_its_volume() {
    let Some(engine) = engine("a_docker_task_has_its_volume") else { return };
    let node = Node::start(&[&format!("--docker-socket={}", engine.socket.display())]);
    let mut scheduler = Scheduler::start(&node, of_role("eng")).await;
    let offer = scheduler.offer().await;
    let made = volume("v", "eng");
    let write = "echo kept > $MESOS_SANDBOX/data/file && exec sleep 1000";
    let mut writer = using("writer", &offer, &made, write);
    writer["container"] = json!({"type": "DOCKER", "docker": {"image": "centos"}});
    let all = json!([
        reserve(&[reserved("disk", 64.0, "eng")]),
        create(std::slice::from_ref(&made)),
        launch(&[writer]),
    ]);
    scheduler.accept(&[&offer], all).await;
    scheduler.until("writer", "TASK_RUNNING").await;
    let file = work_dir(&node).await.join("volumes/roles/eng/v/file");
    let since = std::time::Instant::now();
    while std::fs::read_to_string(&file).unwrap_or_default() != "kept\n" {
        assert!(since.elapsed() < super::wire::DEADLINE, "{} is not written", file.display());
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    scheduler.kill("writer").await;
    scheduler.until("writer", "TASK_KILLED").await;
}

/// `a=b&…`, with what forms must not have by itself written as hexadecimal digits.
fn form(pairs: &[(&str, &str)]) -> String {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"-_.".contains(b);
    let written = |text: &str| -> String {
        text.bytes()
            .map(|b| if plain(&b) { char::from(b).to_string() } else { format!("%{b:02X}") })
            .collect()
    };
    let all = pairs.iter().map(|(name, value)| format!("{name}={}", written(value)));
    all.collect::<Vec<String>>().join("&")
}

// covers: MES-0639, MES-0643, MES-0644, MES-0647, MES-0669, MES-0672, MES-0674
#[tokio::test]
async fn operators_reserve_by_forms() {
    let node = Node::start(&[]);
    let id = agent_id(&node).await;
    let id = id.as_str();
    let post = async |path: &str, pairs: &[(&str, &str)]| -> Answer {
        let kind = [("content-type", "application/x-www-form-urlencoded")];
        node.post(path, &kind, &form(pairs)).await
    };
    let (disk, cpus) = (reserved("disk", 64.0, "eng"), reserved("cpus", 0.5, "eng"));
    let all = json!([disk, cpus]).to_string();
    let volumes = json!([volume("v", "eng")]).to_string();
    for (path, list) in [
        ("/reserve", "resources"),
        ("/unreserve", "resources"),
        ("/create-volumes", "volumes"),
        ("/destroy-volumes", "volumes"),
    ] {
        let missing = |what| format!("Missing '{what}' query parameter in the request body");
        post(path, &[(list, all.as_str())]).await.refused(400, &missing("slaveId"));
        post(path, &[("slaveId", id)]).await.refused(400, &missing(list));
        let both = [("slaveId", "nobody"), (list, all.as_str())];
        post(path, &both).await.refused(400, "No agent found with specified ID");
        for wrong in ["[", "{}", "[{\"name\": \"cpus\"}]", "[{\"name\":\"cpus\",\"type\":\"X\"}]"] {
            let said = post(path, &[("slaveId", id), (list, wrong)]).await;
            said.refused(400, &format!("Error in parsing '{list}' query parameter"));
        }
        let odd = json!([{"name": "cpus", "type": "SCALAR", "scalar": {"value": -1.0}}]);
        let odd = odd.to_string();
        let said = post(path, &[("slaveId", id), (list, odd.as_str())]).await;
        said.refused(400, "Invalid resources");
    }
    let good = async |path: &str, list: &str, text: &str| {
        let answer = post(path, &[("slaveId", id), (list, text)]).await;
        assert_eq!((answer.status, answer.text()), (202, ""), "{path}");
    };
    good("/reserve", "resources", &all).await;
    good("/create-volumes", "volumes", &volumes).await;
    let seen = node.get("/slaves").await["slaves"][0].clone();
    assert_eq!(seen["reserved_resources"]["eng"]["cpus"], 0.5);
    let full = seen["reserved_resources_full"]["eng"].as_array().unwrap();
    let shown = full.iter().find(|r| r["name"] == "disk").unwrap();
    assert_eq!(shown["disk"], volume("v", "eng")["disk"]);
    assert_eq!(shown["reservations"][0]["principal"], "ops");
    assert_eq!(
        (&shown["role"], &shown["reservation"]["principal"]),
        (&json!("eng"), &json!("ops"))
    );
    let seen = node
        .until_agent("/state", "it remembers", |s| s["reserved_resources"]["eng"]["disk"] == 64.0)
        .await;
    assert_eq!(seen["resources"]["cpus"], 2.0);
    assert_eq!(seen["unreserved_resources"]["cpus"], 1.5);
    let full = seen["reserved_resources_full"]["eng"].as_array().unwrap();
    assert!(full.iter().any(|r| r["disk"]["persistence"]["id"] == "v"), "{full:?}");
    good("/destroy-volumes", "volumes", &volumes).await;
    good("/unreserve", "resources", &all).await;
    let seen = node.get("/slaves").await;
    assert_eq!(seen["slaves"][0]["reserved_resources"], json!({}));
}

// covers: MES-0213, MES-0215, MES-0216
#[tokio::test]
async fn operators_reserve_by_calls_in_both_codecs() {
    let node = Node::start(&[]);
    let id = agent_id(&node).await;
    let mut scheduler = Scheduler::start(&node, of_role("eng")).await;
    let first = scheduler.offer().await;
    let (disk, made) = (reserved("disk", 64.0, "eng"), volume("v", "eng"));
    for codec in [Codec::Json, Codec::Protobuf] {
        let ask = async |kind: &str, list: &str, resource: &Value| -> Answer {
            let mut call = json!({ "type": kind });
            let body = json!({"agent_id": {"value": id}, list: [resource]});
            call[kind.to_ascii_lowercase()] = body;
            let media = codec.media_type();
            let headers = [("content-type", media), ("accept", media)];
            let body = encode::<Call>(codec, &call);
            super::wire::ask(&node.master, "POST", "/api/v1", &headers, body).await
        };
        assert_eq!(ask("RESERVE_RESOURCES", "resources", &disk).await.status, 202);
        assert_eq!(ask("CREATE_VOLUMES", "volumes", &made).await.status, 202);
        let offer = scheduler
            .event(|e| e["type"] == "OFFERS" && volumes_of(&e["offers"]["offers"][0]) == ["v"])
            .await["offers"]["offers"][0]
            .clone();
        assert_ne!(offer["id"], first["id"]);
        assert_eq!(ask("UNRESERVE_RESOURCES", "resources", &disk).await.status, 409);
        assert_eq!(ask("DESTROY_VOLUMES", "volumes", &made).await.status, 202);
        assert_eq!(ask("UNRESERVE_RESOURCES", "resources", &disk).await.status, 202);
        scheduler.event(|e| e["type"] == "RESCIND").await;
    }
    let answer = node.post(
        "/api/v1",
        &[("content-type", "application/json")],
        "{\"type\":\"RESERVE_RESOURCES\"}",
    );
    let said = "Expecting 'reserve_resources' to be present";
    answer.await.refused(400, said);
}

// covers: MES-0641, MES-0645
#[tokio::test]
async fn who_reserves_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("credentials");
    let text = r#"{"credentials":[{"principal":"ops","secret":"open sesame"}]}"#;
    std::fs::write(&file, text).unwrap();
    let credentials = format!("--credentials={}", file.display());
    let node = Node::start(&["--authenticate-http-readwrite=true", &credentials]);
    let id = agent_id(&node).await;
    let good = ("authorization", "Basic b3BzOm9wZW4gc2VzYW1l");
    let of = |principal: &str| {
        let mut resource = reserved("cpus", 0.5, "eng");
        resource["reservations"][0]["principal"] = json!(principal);
        let list = json!([resource]).to_string();
        form(&[("slaveId", id.as_str()), ("resources", list.as_str())])
    };
    for path in ["/reserve", "/unreserve", "/create-volumes", "/destroy-volumes"] {
        assert_eq!(node.post(path, &[], &of("ops")).await.status, 401, "{path}");
    }
    let said = node.post("/reserve", &[good], &of("dev")).await;
    said.refused(400, "attempted by principal 'ops', but there is a reserved resource");
    assert_eq!(node.post("/reserve", &[good], &of("ops")).await.status, 202);
}

// covers: MES-0609
#[tokio::test]
async fn a_role_that_nobody_configured_has_reservations_and_volumes() {
    let node = Node::start(&[]);
    let role = "a/b-c";
    let mut scheduler = Scheduler::start(&node, of_role(role)).await;
    let offer = scheduler.offer().await;
    let made = volume("v", role);
    let task = using("t", &offer, &made, "touch data/file && exec sleep 1000");
    let all = json!([reserve(&[reserved("disk", 64.0, role)]), create(&[made]), launch(&[task]),]);
    scheduler.accept(&[&offer], all).await;
    let statuses = scheduler.until("t", "TASK_RUNNING").await;
    assert_eq!(states(&statuses), ["TASK_STARTING", "TASK_RUNNING"], "as {}", user());
    assert!(work_dir(&node).await.join("volumes/roles/a b-c/v").is_dir());
}
