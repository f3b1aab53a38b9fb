//! Apps in containers of images without an engine, through Marathon: from files, and from a registry of the tests' own.

use super::made::{Image, Registry, base, busybox, layer};
use super::wire;
use super::world::{Form, World, until};
use serde_json::{Value, json};

fn app(id: &str, image: &str, more: Value) -> Value {
    let mut app = json!({"id": id, "instances": 1, "cpus": 0.1, "mem": 32,
        "container": {"type": "MESOS", "docker": {"image": image}}});
    for (name, value) in more.as_object().unwrap() {
        app[name] = value.clone();
    }
    app
}

/// Waits until the task's output shows it.
async fn wrote(world: &World, task: &Value, what: &str) {
    let state = wire::get(&world.master, "/state").await;
    let all = state["frameworks"].as_array().unwrap();
    let marathon = all.iter().find(|f| f["name"] == "marathon").unwrap()["id"].clone();
    let path = format!(
        "/files/read?path=/frameworks/{}/executors/{}/runs/latest/stdout&offset=0&length=5000",
        marathon.as_str().unwrap(),
        task["id"].as_str().unwrap()
    );
    let shown = |read: &Value| read["data"] == what;
    until(&world.agent, &path, what, shown).await;
}

fn image(busybox: &[u8]) -> Image {
    let script = b"#!/bin/sh\necho entry $0 $@ in $(pwd) with $A $MESOS_SANDBOX\nexec sleep 1000\n";
    let config = json!({"Entrypoint": ["/run"], "Cmd": ["c0", "c1"], "WorkingDir": "/srv",
        "Env": ["PATH=/bin", "A=image"]});
    Image::new(vec![base(busybox), layer(&[("run", script)])], config)
}

// covers: MES-0888, MES-0902, MES-0903
#[tokio::test(flavor = "multi_thread")]
async fn a_saved_image_runs_its_own_command_or_the_apps() {
    let Some(busybox) = busybox("a_saved_image_runs_its_own_command_or_the_apps") else { return };
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("team")).unwrap();
    image(&busybox).save(&dir.path().join("team/app:v1.tar"));
    let world =
        World::start_with(Form::Hosted, &[&format!("--docker-registry={}", dir.path().display())]);
    let own = "/mnt/mesos/sandbox\n";
    for (id, more, said) in [
        ("/default", json!({}), format!("entry /run c0 c1 in /srv with image {own}")),
        ("/args", json!({"args": ["x", "y"]}), format!("entry /run x y in /srv with image {own}")),
        (
            "/cmd",
            json!({"cmd": "echo $A in $(pwd); exec sleep 1000", "env": {"A": "app"}}),
            "app in /srv\n".to_owned(),
        ),
    ] {
        world.deploy(app(id, "team/app:v1", more)).await;
        let task = world.running(id, 1).await.remove(0);
        wrote(&world, &task, &said).await;
    }
    for id in ["default", "args", "cmd"] {
        let removed = world.ask("DELETE", &format!("/v2/apps/{id}"), Value::Null).await;
        assert_eq!(removed.status, 200, "{}", removed.text());
    }
    world.deployed().await;
    let gone = |all: &Value| all.as_array().unwrap().is_empty();
    until(&world.agent, "/containers", "no container is left", gone).await;
    let folders = world.data().join("agent/provisioner/containers");
    assert_eq!(std::fs::read_dir(folders).unwrap().count(), 0);
}

// covers: MES-0887
#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_pulled_checked_in_place_and_outlives_a_crash() {
    let test = "an_image_is_pulled_checked_in_place_and_outlives_a_crash";
    let Some(busybox) = busybox(test) else { return };
    let registry = Registry::start().await;
    registry.push("team/app", "v1", &image(&busybox));
    let mut world = World::start(Form::Hosted);
    let name = format!("{}/team/app:v1", registry.address);
    // The check's program is in the image alone.
    let check = json!({"healthChecks": [{"protocol": "COMMAND", "intervalSeconds": 1,
        "gracePeriodSeconds": 30, "timeoutSeconds": 20,
        "command": {"value": "busybox grep -q low /etc/name && test ! -e /usr"}}]});
    world.deploy(app("/kept", &name, check)).await;
    let task = world.running("/kept", 1).await.remove(0);
    world.crash();
    let again = world.running("/kept", 1).await.remove(0);
    assert_eq!(again["id"], task["id"]);
    world.until("/v2/apps/kept", "it is well", |seen| seen["app"]["tasksHealthy"] == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_names_image_registry_and_status() {
    let Some(_) = busybox("what_fails_names_image_registry_and_status") else { return };
    let registry = Registry::start().await;
    let world = World::start(Form::Hosted);
    let name = format!("{}/no/such:image", registry.address);
    let answer = world.ask("POST", "/v2/apps", app("/none", &name, json!({}))).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let seen = world
        .until("/v2/apps/none", "a failure is told", |seen| {
            seen["app"]["lastTaskFailure"]["message"].is_string()
        })
        .await;
    let told = seen["app"]["lastTaskFailure"]["message"].as_str().unwrap();
    assert_eq!(
        told,
        format!(
            "Failed to launch container: cannot pull the image {name} from {0}: {0} answered \
             404 Not Found for the manifest",
            registry.address
        )
    );
    let plain = World::start_with(Form::Hosted, &["--launcher=posix"]);
    let answer = plain.ask("POST", "/v2/apps", app("/none", &name, json!({}))).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    plain
        .until("/v2/apps/none", "why it cannot be", |seen| {
            let told = seen["app"]["lastTaskFailure"]["message"].as_str().unwrap_or_default();
            told.contains("tasks are plain processes here")
        })
        .await;
}
