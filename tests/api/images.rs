//! Tasks in images without an engine, on the wire: what they see, how they are checked, what a kill ends before they run.

use super::agent_calls::{call, told};
use super::client::{Scheduler, info, states, task};
use super::made::{Image, base, busybox, layer};
use super::node::Node;
use super::pods::{group, pod};
use super::wire::{self, DEADLINE};
use mesolith::agent::containerizer::network::command;
use mesolith::mesos::codec::Codec;
use serde_json::{Value, json};
use std::time::Instant;
use tokio::io::AsyncReadExt as _;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// A node, and images of these names, each of which has its own in `/etc/which`.
fn start(busybox: &[u8], names: &[&str], flags: &[&str]) -> (Node, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    for name in names {
        let which = format!("{name}\n");
        let run = b"#!/bin/sh\necho entry $@ of $(cat /etc/which)\nexec sleep 1000\n";
        let layers =
            vec![base(busybox), layer(&[("etc/which", which.as_bytes()), ("run", &run[..])])];
        let config = json!({"Env": ["PATH=/bin"], "Entrypoint": ["/run"], "Cmd": ["default"]});
        Image::new(layers, config).save(&dir.path().join(format!("{name}:latest.tar")));
    }
    let registry = format!("--docker-registry={}", dir.path().display());
    let mut all = vec![registry.as_str()];
    all.extend(flags);
    (Node::start(&all), dir)
}

fn within(mut task: Value, image: &str) -> Value {
    task["container"] = json!({"type": "MESOS",
        "mesos": {"image": {"type": "DOCKER", "docker": {"name": image}}}});
    task
}

fn with_ports(mut task: Value, begin: u16, end: u16) -> Value {
    let ports = json!({"name": "ports", "type": "RANGES",
        "ranges": {"range": [{"begin": begin, "end": end}]}});
    task["resources"].as_array_mut().unwrap().push(ports);
    task
}

/// Waits until a file of a sandbox holds just that.
async fn holds(node: &Node, path: &str, wanted: &str) {
    let since = Instant::now();
    let path = format!("/files/download?path={path}");
    loop {
        let answer = wire::ask(&node.agent, "GET", &path, &[], "").await;
        let said = String::from_utf8_lossy(&answer.body).into_owned();
        if answer.status == 200 && said == wanted {
            return;
        }
        assert!(since.elapsed() < DEADLINE, "{path}: {} {said:?}, not {wanted:?}", answer.status);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

fn sandbox(scheduler: &Scheduler, executor: &str) -> String {
    format!("/frameworks/{}/executors/{executor}/runs/latest", scheduler.id)
}

// covers: MES-0860, MES-0865, MES-0867, MES-0869, MES-0798, MES-0808
#[tokio::test]
async fn command_tasks_run_each_in_its_image_beside_each_other_and_the_host() {
    let test = "command_tasks_run_each_in_its_image_beside_each_other_and_the_host";
    let Some(busybox) = busybox(test) else { return };
    let (node, _images) = start(&busybox, &["one", "two"], &[]);
    let mut scheduler = Scheduler::start(&node, info("rooted")).await;
    let offer = scheduler.offer().await;
    let text = "{ cat /etc/which 2>/dev/null || echo host; echo $MESOS_SANDBOX; pwd; \
                test -e /usr/bin/env && echo the hosts files; } >said; \
                echo mine >$MESOS_SANDBOX/file; exec sleep 1000";
    let named = |id: &str| {
        let mut task = task(id, &offer, text);
        let variables = json!([{"name": "WHO", "type": "VALUE", "value": id}]);
        task["command"]["environment"] = json!({"variables": variables});
        task
    };
    let tasks = json!([
        within(named("a"), "one"),
        within(named("b"), "two"),
        within(named("c"), "one"),
        named("d"),
    ]);
    scheduler.launch(&offer, tasks).await;
    let mut containers = Vec::new();
    for id in ["a", "b", "c", "d"] {
        let running = scheduler.until(id, "TASK_RUNNING").await.pop().unwrap();
        containers.push(running["container_status"].clone());
    }
    // All run at one time.
    let shown = node.get_agent("/containers").await;
    for (id, status) in ["a", "b", "c", "d"].iter().zip(&containers) {
        let own = shown.as_array().unwrap().iter().find(|c| c["executor_id"] == *id).unwrap();
        assert_eq!(own["container_id"], status["container_id"]["value"]);
        let pid = own["status"]["executor_pid"].as_u64().expect("a pid");
        let environ = std::fs::read(format!("/proc/{pid}/environ")).unwrap();
        let mark = format!("\0WHO={id}\0");
        let said = format!("\0{}", String::from_utf8_lossy(&environ));
        assert!(said.contains(&mark), "{id}: {said}");
    }
    let inside = "/mnt/mesos/sandbox\n/mnt/mesos/sandbox\n";
    for (id, which) in [("a", "one"), ("b", "two"), ("c", "one")] {
        let own = sandbox(&scheduler, id);
        holds(&node, &format!("{own}/said"), &format!("{which}\n{inside}")).await;
        holds(&node, &format!("{own}/file"), "mine\n").await;
    }
    let state = node.get_agent("/state").await;
    let executors = state["frameworks"][0]["executors"].as_array().unwrap();
    let host = executors.iter().find(|e| e["id"] == "d").unwrap()["directory"].as_str().unwrap();
    let own = sandbox(&scheduler, "d");
    let said = format!("host\n{host}\n{host}\nthe hosts files\n");
    holds(&node, &format!("{own}/said"), &said).await;
    holds(&node, &format!("{own}/file"), "mine\n").await;
}

// covers: MES-0805
#[tokio::test]
async fn a_task_whose_image_cannot_be_had_failed_to_launch() {
    let Some(busybox) = busybox("a_task_whose_image_cannot_be_had_failed_to_launch") else {
        return;
    };
    let (node, images) = start(&busybox, &["one"], &[]);
    std::fs::write(images.path().join("broken:latest.tar"), "this is no archive").unwrap();
    let mut scheduler = Scheduler::start(&node, info("failing")).await;
    let offer = scheduler.offer().await;
    let tasks = ["nosuch", "broken"].map(|image| within(task(image, &offer, "true"), image));
    scheduler.launch(&offer, json!(tasks)).await;
    for image in ["nosuch", "broken"] {
        let failed = scheduler.until(image, "TASK_FAILED").await.pop().unwrap();
        assert_eq!(failed["reason"], "REASON_CONTAINER_LAUNCH_FAILED");
        let message = failed["message"].as_str().unwrap();
        assert!(message.starts_with("Failed to launch container: "), "{message}");
        assert!(message.contains(image), "{message}");
    }
    node.until_agent("/containers", "nothing is left", |c| c == &json!([])).await;
}

/// A server that takes connections and says nothing, and tells when one comes and when it is given up.
pub struct Mute {
    pub address: String,
    told: mpsc::UnboundedReceiver<bool>,
    open: usize,
}

impl Mute {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (tell, told) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let tell = tell.clone();
                tokio::spawn(async move {
                    let mut piece = [0; 1024];
                    // Who is asked something has a client.
                    let mut asked = false;
                    while let Ok(1..) = socket.read(&mut piece).await {
                        if !std::mem::replace(&mut asked, true) {
                            tell.send(true).unwrap();
                        }
                    }
                    if asked {
                        tell.send(false).unwrap();
                    }
                });
            }
        });
        Self { address, told, open: 0 }
    }

    async fn until(&mut self, what: &str, done: impl Fn(usize) -> bool) {
        while !done(self.open) {
            let told = timeout(DEADLINE, self.told.recv()).await.expect(what).unwrap();
            if told { self.open += 1 } else { self.open -= 1 }
        }
    }

    /// Waits until somebody has asked for something.
    pub async fn asked(&mut self) {
        self.until("nobody asks", |open| open > 0).await;
    }

    /// Waits until nobody waits for an answer any more.
    pub async fn left(&mut self) {
        self.until("somebody still waits", |open| open == 0).await;
    }
}

/// Kills a task that is being prepared: it is told as killed, what it waited for is given up, nothing is left of it.
pub async fn killed_early(node: &Node, scheduler: &mut Scheduler, mute: &mut Mute, id: &str) {
    mute.asked().await;
    scheduler.kill(id).await;
    let statuses = scheduler.until(id, "TASK_KILLED").await;
    assert!(!states(&statuses).contains(&"TASK_RUNNING"), "{statuses:#?}");
    let last = statuses.last().unwrap();
    assert_eq!(last["reason"], "REASON_TASK_KILLED_DURING_LAUNCH", "{last}");
    mute.left().await;
    node.until_agent("/containers", "nothing is left", |c| c == &json!([])).await;
    node.until_agent("/state", "its executor is gone", |s| s["frameworks"] == json!([])).await;
}

// covers: MES-0802
#[tokio::test]
async fn a_kill_while_its_files_are_fetched_gives_that_up() {
    let node = Node::start(&[]);
    let mut mute = Mute::start().await;
    let mut scheduler = Scheduler::start(&node, info("fetching")).await;
    let offer = scheduler.offer().await;
    let mut fetching = task("t", &offer, "true");
    fetching["command"]["uris"] = json!([{"value": format!("http://{}/file", mute.address)}]);
    scheduler.launch(&offer, json!([fetching])).await;
    killed_early(&node, &mut scheduler, &mut mute, "t").await;
}

// covers: MES-0806
#[tokio::test]
async fn a_kill_while_its_image_is_pulled_ends_the_pull() {
    if busybox("a_kill_while_its_image_is_pulled_ends_the_pull").is_none() {
        return;
    }
    let node = Node::start(&[]);
    let mut mute = Mute::start().await;
    let mut scheduler = Scheduler::start(&node, info("pulling")).await;
    let offer = scheduler.offer().await;
    let image = format!("{}/team/app:v1", mute.address);
    scheduler.launch(&offer, json!([within(task("t", &offer, "true"), &image)])).await;
    killed_early(&node, &mut scheduler, &mut mute, "t").await;
}

/// Waits for a status of the task that is healthy and tells its check's result, whichever came first.
pub async fn both(scheduler: &mut Scheduler, id: &str, kind: &str, wanted: &Value) -> Value {
    loop {
        let status = scheduler.status(id).await;
        assert_ne!(status["state"], "TASK_FAILED", "{status}");
        if status["healthy"] == true
            && !status["check_status"][kind].as_object().unwrap().is_empty()
        {
            assert_eq!(status["check_status"][kind], *wanted, "{status}");
            return status;
        }
    }
}

/// What is asked, soon and often.
pub fn soon(mut check: Value) -> Value {
    check["delay_seconds"] = json!(0.0);
    check["interval_seconds"] = json!(0.2);
    check["timeout_seconds"] = json!(20.0);
    check
}

/// The same of a health check, whose first failures count for nothing.
pub fn health(check: Value) -> Value {
    let mut check = soon(check);
    check["grace_period_seconds"] = json!(60.0);
    check
}

// covers: MES-0445, MES-0446, MES-0449, MES-0433, MES-0435, MES-0436, MES-0441, MES-0904
#[tokio::test]
async fn commands_of_both_checks_run_in_the_image_with_the_tasks_variables_in_its_folder() {
    let test = "commands_of_both_checks_run_in_the_image_with_the_tasks_variables_in_its_folder";
    let Some(busybox) = busybox(test) else { return };
    let (node, _images) = start(&busybox, &["one"], &[]);
    let mut scheduler = Scheduler::start(&node, info("checked")).await;
    let offer = scheduler.offer().await;
    let with_checks = |mut task: Value, there: &str| {
        let variables = json!([{"name": "WHO", "type": "VALUE", "value": "me too"}]);
        task["command"]["environment"] = json!({"variables": variables});
        // No shell: the words as they are.
        let words = ["sh", "-c", "test \"$WHO\" = \"$0\" && test -e \"$1\"", "me too", there];
        task["health_check"] = health(json!({"type": "COMMAND",
            "command": {"shell": false, "value": "/bin/sh", "arguments": words}}));
        let text = format!(
            "while [ ! -e ran ]; do sleep 0.1; done; test \"$WHO\" = 'me too' && test -e {there} && exit 7"
        );
        task["check"] = soon(json!({"type": "COMMAND",
            "command": {"command": {"shell": true, "value": text}}}));
        task
    };
    let text = "echo ran >ran; exec sleep 1000";
    let alone = [
        with_checks(within(task("image", &offer, text), "one"), "/etc/which"),
        with_checks(task("host", &offer, text), "/usr/bin/env"),
    ];
    scheduler.launch(&offer, json!(alone)).await;
    let wanted = json!({"exit_code": 7});
    for id in ["image", "host"] {
        both(&mut scheduler, id, "command", &wanted).await;
    }
    // Who asks for the state is told both as well.
    let tasks = json!([{"task_id": {"value": "image"}}]);
    scheduler.call("RECONCILE", json!({"reconcile": {"tasks": tasks}})).await;
    let reconciled = scheduler
        .event(|e| e["update"]["status"]["reason"] == "REASON_RECONCILIATION")
        .await["update"]["status"]
        .clone();
    assert_eq!(
        (&reconciled["healthy"], &reconciled["state"]),
        (&json!(true), &json!("TASK_RUNNING"))
    );
    assert_eq!(reconciled["check_status"]["command"], wanted);
    // A task of a group has its own image, whose own command runs, and is checked there.
    scheduler.call("REVIVE", json!({})).await;
    let offer = scheduler.offer().await;
    let mut grouped = with_checks(within(task("grouped", &offer, ""), "one"), "/etc/which");
    grouped["command"].as_object_mut().unwrap().remove("value");
    grouped["command"]["shell"] = json!(false);
    grouped["check"]["command"]["command"]["value"] =
        json!("test \"$WHO\" = 'me too' && test -e /etc/which && exit 7");
    let other = task("other", &offer, "exec sleep 1000");
    scheduler.accept(&[&offer], group(&pod("e"), &[grouped, other])).await;
    both(&mut scheduler, "grouped", "command", &wanted).await;
    let own = format!("{}/tasks/grouped/stdout", sandbox(&scheduler, "e"));
    holds(&node, &own, "entry default of one\n").await;
}

// covers: MES-0453, MES-0455, MES-0439, MES-0440
#[tokio::test]
async fn requests_and_connections_reach_tasks_in_either_network() {
    let test = "requests_and_connections_reach_tasks_in_either_network";
    let Some(busybox) = busybox(test) else { return };
    if command::find("nft").is_none() {
        return eprintln!("SKIPPED {test}: needs nft");
    }
    let bridge = format!(
        "--bridge_network=mi{}:10.241.{}.0/24",
        std::process::id(),
        std::process::id() % 256
    );
    let (node, _images) = start(&busybox, &["one"], &[&bridge]);
    let mut scheduler = Scheduler::start(&node, info("asked")).await;
    let offer = scheduler.offer().await;
    let http = |port: u16| json!({"type": "HTTP", "http": {"port": port, "path": "/name"}});
    let tcp = |port: u16| json!({"type": "TCP", "tcp": {"port": port}});
    let serves = |port: u16| format!("exec httpd -f -p 127.0.0.1:{port} -h /etc");
    let mut tasks = Vec::new();
    for (n, bridged) in [false, true].into_iter().enumerate() {
        let host = 31_000 + 2 * n as u16;
        for (id, host) in [("http", host), ("tcp", host + 1)] {
            let port = if bridged { 8080 } else { host };
            let name = format!("{id}-{bridged}");
            let task = within(task(&name, &offer, &serves(port)), "one");
            let mut task = with_ports(task, host, host);
            let (of_health, of_check) = match id {
                "http" => (http(port), tcp(port)),
                _ => (tcp(port), http(port)),
            };
            task["health_check"] = health(of_health);
            // When it is first asked the server may not be there yet.
            let mut check = soon(of_check);
            check["delay_seconds"] = json!(1.0);
            task["check"] = check;
            if bridged {
                task["container"]["network_infos"] = json!([{"name": "mesos-bridge",
                    "port_mappings": [{"host_port": host, "container_port": 8080}]}]);
            }
            tasks.push(task);
        }
    }
    scheduler.launch(&offer, json!(tasks)).await;
    for bridged in [false, true] {
        for (id, kind, wanted) in [
            ("http", "tcp", json!({"succeeded": true})),
            ("tcp", "http", json!({"status_code": 200})),
        ] {
            until_checked(&mut scheduler, &format!("{id}-{bridged}"), kind, &wanted).await;
        }
    }
}

/// Waits for a healthy status with that result of the check; others may come before.
async fn until_checked(scheduler: &mut Scheduler, id: &str, kind: &str, wanted: &Value) {
    loop {
        let status = scheduler.status(id).await;
        assert_ne!(status["state"], "TASK_FAILED", "{status}");
        if status["healthy"] == true && status["check_status"][kind] == *wanted {
            return;
        }
    }
}

#[tokio::test]
async fn images_that_nobody_uses_go_when_they_are_pruned() {
    let Some(busybox) = busybox("images_that_nobody_uses_go_when_they_are_pruned") else { return };
    let names = ["used", "unused", "asked", "always"];
    let excluded = |name: &str| json!([{"type": "DOCKER", "docker": {"name": name}}]);
    let config = json!({"image_disk_headroom": 0.0, "excluded_images": excluded("always")});
    let config = format!("--image_gc_config={config}");
    let (node, _images) = start(&busybox, &names, &[&config]);
    let mut scheduler = Scheduler::start(&node, info("pruned")).await;
    let offer = scheduler.offer().await;
    let text = |name: &str| if name == "used" { "exec sleep 1000" } else { "true" };
    let tasks = names.map(|name| within(task(name, &offer, text(name)), name));
    scheduler.launch(&offer, json!(tasks)).await;
    for name in names {
        let state = if name == "used" { "TASK_RUNNING" } else { "TASK_FINISHED" };
        scheduler.until(name, state).await;
    }
    node.until_agent("/containers", "one is left", |c| c.as_array().unwrap().len() == 1).await;
    let kept = || {
        let store = node.data().join("agent/store/docker");
        let count = |name: &str| std::fs::read_dir(store.join(name)).unwrap().count();
        (count("images"), count("layers"))
    };
    // A layer of its own for each, and the one they share.
    assert_eq!(kept(), (4, 5));
    let prune = |excluded: Value| json!({"type": "PRUNE_IMAGES", "prune_images": {"excluded_images": excluded}});
    let pruned = async |codec: Codec, asked: Value| {
        let answer = call(&node.agent, "/api/v1", codec, &asked).await;
        assert_eq!((answer.status, answer.text()), (200, ""));
    };
    pruned(Codec::Protobuf, prune(excluded("asked"))).await;
    assert_eq!(kept(), (3, 4), "all but those that are used, asked for, and excluded for ever");
    pruned(Codec::Json, json!({"type": "PRUNE_IMAGES"})).await;
    assert_eq!(kept(), (2, 3));
    scheduler.kill("used").await;
    scheduler.until("used", "TASK_KILLED").await;
    node.until_agent("/containers", "none is left", |c| c == &json!([])).await;
    pruned(Codec::Json, prune(json!([]))).await;
    assert_eq!(kept(), (1, 2));
}

// covers: MES-0251, MES-0252
#[tokio::test]
async fn an_agent_tells_of_executors_and_frameworks_that_have_ended() {
    let node = Node::start(&[]);
    let mut scheduler = Scheduler::start(&node, info("over")).await;
    let offer = scheduler.offer().await;
    let tasks = json!([task("short", &offer, "true"), task("long", &offer, "exec sleep 1000")]);
    scheduler.launch(&offer, tasks).await;
    scheduler.until("short", "TASK_FINISHED").await;
    scheduler.until("long", "TASK_RUNNING").await;
    let ids = |all: &Value, info: &str, id: &str| -> Vec<String> {
        let all = all.as_array().into_iter().flatten();
        all.map(|one| one[info][id]["value"].as_str().unwrap().to_string()).collect()
    };
    let since = Instant::now();
    loop {
        let all = told(&node.agent, Codec::Json, &json!({"type": "GET_EXECUTORS"})).await;
        let of = |kind: &str| ids(&all[kind], "executor_info", "executor_id");
        if (of("executors"), of("completed_executors"))
            == (vec!["long".into()], vec!["short".into()])
        {
            break;
        }
        assert!(since.elapsed() < DEADLINE, "{all:#}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let frameworks = json!({"type": "GET_FRAMEWORKS"});
    let all = told(&node.agent, Codec::Json, &frameworks).await;
    assert_eq!(ids(&all["frameworks"], "framework_info", "id"), [scheduler.id.clone()]);
    assert_eq!(ids(&all["completed_frameworks"], "framework_info", "id"), Vec::<String>::new());
    scheduler.call("TEARDOWN", json!({})).await;
    node.until_agent("/state", "it has ended", |s| s["frameworks"] == json!([])).await;
    let all = told(&node.agent, Codec::Json, &frameworks).await;
    assert_eq!(ids(&all["frameworks"], "framework_info", "id"), Vec::<String>::new());
    assert_eq!(ids(&all["completed_frameworks"], "framework_info", "id"), [scheduler.id]);
}
