//! Marathon's own system tests, as far as they need no Docker: groups, updates, grace, checks, fetching, reading.

use super::wire;
use super::world::{Form, World};
use crate::in_both_forms;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

fn small(id: &str, cmd: &str) -> Value {
    json!({"id": id, "cmd": cmd, "cpus": 0.01, "mem": 16})
}

/// The task as the master shows it.
async fn at_master(world: &World, id: &str) -> Value {
    let state = wire::get(&world.master, "/state").await;
    let frameworks = state["frameworks"].as_array().unwrap().clone();
    let marathon = frameworks.iter().find(|f| f["name"] == "marathon").unwrap().clone();
    let tasks = marathon["tasks"].as_array().unwrap();
    tasks.iter().find(|t| t["id"] == id).unwrap_or_else(|| panic!("{id} in {tasks:#?}")).clone()
}

// covers: MAR-0494, MAR-0495, MAR-0496, MAR-0497, MAR-0498, MAR-0499, MAR-0505, MAR-0605, MAR-0606, MAR-0607
async fn groups_live_and_die_together(form: Form) {
    let world = World::start(form);
    assert_eq!(world.ask("POST", "/v2/groups", json!({"id": "empty"})).await.status, 201);
    assert_eq!(world.get("/v2/groups/empty").await["apps"], json!([]));
    let circle = json!({"apps": [
        {"id": "a", "cmd": "true", "dependencies": ["b"]}, {"id": "b", "cmd": "true", "dependencies": ["a"]}]});
    let refused = world.ask("PUT", "/v2/groups/circle", circle).await;
    assert_eq!(refused.status, 422, "{}", refused.text());
    let prod = json!({"apps": [small("db", &world.sleeper(1)), small("web", &world.sleeper(2))]});
    let made = world.ask("PUT", "/v2/groups/prod", prod.clone()).await;
    assert_eq!(made.status, 200, "{}", made.text());
    world.deployed().await;
    world.running("/prod/db", 1).await;
    let before = world.running("/prod/web", 1).await[0]["id"].clone();
    // The same again changes nothing.
    assert_eq!(world.ask("PUT", "/v2/groups/prod", prod).await.status, 200);
    world.deployed().await;
    assert_eq!(world.running("/prod/web", 1).await[0]["id"], before);
    let update = world.ask("PUT", "/v2/apps/prod/web", json!({"dependencies": ["db"]})).await;
    assert_eq!(update.status, 200, "{}", update.text());
    world.deployed().await;
    assert_eq!(world.ask("PUT", "/v2/groups/prod", json!({"scaleBy": 2})).await.status, 200);
    world.deployed().await;
    world.running("/prod/db", 2).await;
    world.running("/prod/web", 2).await;
    assert_eq!(world.ask("PUT", "/v2/apps/prod/db", json!({"instances": 1})).await.status, 200);
    world.deployed().await;
    world.running("/prod/db", 1).await;
    world.running("/prod/web", 2).await;
    assert_eq!(world.ask("DELETE", "/v2/groups/prod", Value::Null).await.status, 200);
    world.deployed().await;
    assert_eq!(world.ask("DELETE", "/v2/apps/prod/web", Value::Null).await.status, 404);
    assert_eq!(world.ask("DELETE", "/v2/groups/none", Value::Null).await.status, 404);
    assert!(world.sleepers(1).is_empty() && world.sleepers(2).is_empty());
}

// covers: MAR-0405, MAR-0406, MAR-0475, MAR-0477, MAR-0492
async fn a_definition_reaches_its_task(form: Form) {
    let world = World::start(form);
    let app = json!({"id": "/x/shown", "args": ["sleep", world.span(3)], "cpus": 0.01,
        "mem": 16, "labels": {"tier": "web"}, "env": {"SAID": "this"},
        "portDefinitions": [{"port": 0, "name": "http", "labels": {"VIP_0": "/x:80"}}]});
    world.deploy(app).await;
    let running = world.running("/x/shown", 1).await;
    let id = running[0]["id"].as_str().unwrap();
    let task = at_master(&world, id).await;
    assert_eq!(task["labels"], json!([{"key": "tier", "value": "web"}]));
    let port = running[0]["ports"][0].clone();
    assert_eq!(task["discovery"]["ports"]["ports"][0]["number"], port, "{task:#}");
    let pid = world.sleepers(3)[0];
    let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
    assert!(line.starts_with("sleep\0"), "no shell is before it: {line:?}");
    let env = std::fs::read_to_string(format!("/proc/{pid}/environ")).unwrap();
    for wanted in [
        "SAID=this".to_string(),
        format!("PORT0={port}"),
        format!("PORT_HTTP={port}"),
        "MARATHON_APP_ID=/x/shown".to_string(),
        "MARATHON_APP_LABEL_TIER=web".to_string(),
        format!("MESOS_TASK_ID={id}"),
    ] {
        assert!(env.split('\0').any(|entry| entry == wanted), "{wanted} in {env:?}");
    }
    let listed = world.get("/v2/apps?embed=apps.tasks&label=tier==web").await;
    assert_eq!(listed["apps"][0]["tasks"][0]["id"], id);
    let patched = world.ask("PATCH", "/v2/apps/x/shown", json!({"env": {"SAID": "that"}})).await;
    assert_eq!(patched.status, 200, "{}", patched.text());
    world.deployed().await;
    let app = world.get("/v2/apps/x/shown").await["app"].clone();
    assert_eq!((&app["env"]["SAID"], &app["labels"]["tier"]), (&json!("that"), &json!("web")));
    assert_eq!(app["portDefinitions"][0]["name"], "http");
    assert_eq!(app["portDefinitions"][0]["port"], listed["apps"][0]["portDefinitions"][0]["port"]);
}

// covers: MAR-0411, MAR-0518, MAR-0519, MAR-0596
async fn a_killed_task_has_its_grace_and_no_more(form: Form) {
    let world = World::start(form);
    // Ends half a second after TERM, or never.
    let slow = "trap 'sleep 0.5; exit 0' TERM; while :; do sleep 0.05; done";
    let stubborn = "trap '' TERM; while :; do sleep 0.05; done";
    let with_grace = |id: &str, cmd: &str, secs: u32| {
        let mut app = small(id, cmd);
        app["taskKillGracePeriodSeconds"] = json!(secs);
        app
    };
    world.deploy(with_grace("/slow", slow, 30)).await;
    world.deploy(with_grace("/stubborn", stubborn, 1)).await;
    for (app, least, most, state) in
        [("/slow", 500, 25_000, "TASK_KILLED"), ("/stubborn", 1000, 25_000, "TASK_KILLED")]
    {
        let id = world.running(app, 1).await[0]["id"].as_str().unwrap().to_string();
        let asked = Instant::now();
        let removed = world.ask("DELETE", &format!("/v2/apps{app}"), Value::Null).await;
        assert_eq!(removed.status, 200, "{}", removed.text());
        world.deployed().await;
        let took = asked.elapsed();
        let (least, most) = (Duration::from_millis(least), Duration::from_millis(most));
        assert!(took >= least && took < most, "{app} took {took:?}");
        let ended = wire::get(&world.master, &format!("/tasks?task_id={id}")).await;
        assert_eq!(ended["tasks"][0]["state"], state, "{ended:#}");
    }
}

// covers: MAR-0454, MAR-0460, MAR-0611, MAR-0614
async fn checks_tell_healthy_from_unhealthy(form: Form) {
    let world = World::start(form);
    let dir = tempfile::tempdir().unwrap();
    let flag = dir.path().join("healthy");
    std::fs::write(&flag, "").unwrap();
    let checked = |id: &str, cmd: &str, check: Value| {
        let mut app = small(id, cmd);
        let mut check = check;
        for (key, value) in [
            ("delaySeconds", 0),
            ("intervalSeconds", 1),
            ("gracePeriodSeconds", 0),
            ("timeoutSeconds", 20),
        ] {
            check[key] = json!(value);
        }
        app["healthChecks"] = json!([check]);
        app
    };
    let command = format!("test -e {}", flag.display());
    let by_command =
        json!({"protocol": "COMMAND", "command": {"value": command}, "maxConsecutiveFailures": 0});
    world.deploy(checked("/command", &world.sleeper(4), by_command)).await;
    let tcp = json!({"protocol": "MESOS_TCP", "portIndex": 0, "maxConsecutiveFailures": 100});
    world.deploy(checked("/tcp", "exec python3 -m http.server $PORT0 --bind 127.0.0.1", tcp)).await;
    for app in ["/command", "/tcp"] {
        let path = format!("/v2/apps{app}");
        world.until(&path, "it is healthy", |seen| seen["app"]["tasksHealthy"] == 1).await;
    }
    std::fs::remove_file(&flag).unwrap();
    let seen = world
        .until("/v2/apps/command", "it is unhealthy", |seen| seen["app"]["tasksUnhealthy"] == 1)
        .await;
    let result = &seen["app"]["tasks"][0]["healthCheckResults"][0];
    assert_eq!(result["alive"], false, "{result:#}");
    assert_eq!(world.sleepers(4).len(), 1, "told, not killed: maxConsecutiveFailures is 0");
    // Of several, one that fails is enough, and each is told.
    std::fs::write(&flag, "").unwrap();
    let of_port = |n| json!({"protocol": "TCP", "portIndex": n});
    let mut two =
        checked("/two", "exec python3 -m http.server $PORT0 --bind 127.0.0.1", of_port(0));
    two["portDefinitions"] = json!([{"port": 0}, {"port": 0}]);
    let one = two["healthChecks"][0].clone();
    for (check, most) in [(of_port(1), 0), (json!({"protocol": "HTTP"}), 100)] {
        let mut more = one.clone();
        more.as_object_mut().unwrap().extend(check.as_object().unwrap().clone());
        more["maxConsecutiveFailures"] = json!(most);
        two["healthChecks"].as_array_mut().unwrap().push(more);
    }
    assert_eq!(world.ask("POST", "/v2/apps", two).await.status, 201);
    let seen = world
        .until("/v2/apps/two", "one of its checks fails", |seen| {
            let results = seen["app"]["tasks"][0]["healthCheckResults"].as_array();
            seen["app"]["tasksUnhealthy"] == 1 && results.is_some_and(|all| all.len() == 3)
        })
        .await;
    let all = seen["app"]["tasks"][0]["healthCheckResults"].as_array().unwrap();
    let alive: Vec<_> = all.iter().map(|result| &result["alive"]).collect();
    assert_eq!(alive, [true, false, true], "{all:#?}");
}

// covers: MAR-0604
async fn a_failed_fetch_is_the_last_failure(form: Form) {
    let world = World::start(form);
    let mut app = small("/fetch", "true");
    app["fetch"] = json!([{"uri": "file:///nowhere/at/all.tgz"}]);
    assert_eq!(world.ask("POST", "/v2/apps", app).await.status, 201);
    let seen = world
        .until("/v2/apps/fetch", "it has failed", |seen| seen["app"]["lastTaskFailure"].is_object())
        .await;
    let failure = &seen["app"]["lastTaskFailure"];
    assert_eq!(failure["state"], "TASK_FAILED");
    assert!(failure["message"].as_str().unwrap().contains("/nowhere/at/all.tgz"), "{failure:#}");
}

// covers: MAR-0577, MAR-0278, MAR-0279, MAR-0627, MAR-0276, MAR-0600, MAR-0630, MAR-0631
async fn what_is_read_besides(form: Form) {
    let world = World::start(form);
    let plain = |path: &'static str| wire::ask(&world.marathon, "GET", path, &[], "");
    let pong = wire::ask(&world.marathon, "GET", "/ping", &[("accept", "text/plain")], "").await;
    assert_eq!((pong.status, pong.text().trim()), (200, "pong"));
    let home = plain("/").await;
    assert_eq!((home.status, home.header("location")), (302, "/ui/"));
    let page = plain("/ui/").await;
    assert_eq!((page.status, page.text().contains("<html")), (200, true), "{}", page.text());
    assert!(page.header("content-type").starts_with("text/html"));
    assert_eq!(plain("/mesolith/ui/x/no-such-thing.js").await.status, 404);
    let metrics = wire::get(&world.marathon, "/metrics").await;
    assert!(metrics["gauges"]["marathon.apps.active.gauge"]["value"].is_number(), "{metrics:#}");
    // What is reserved for its role only, and nothing is.
    let mut app = small("/dev/role", "true");
    app["role"] = json!("dev");
    app["acceptedResourceRoles"] = json!(["dev"]);
    let made = world.ask("POST", "/v2/apps", app).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let seen = world
        .until("/v2/queue", "an offer was turned down", |seen| {
            let summary = &seen["queue"][0]["processedOffersSummary"];
            summary["unusedOffersCount"].as_u64() > Some(0)
        })
        .await;
    let summary = &seen["queue"][0]["processedOffersSummary"];
    let rejects = summary["rejectSummaryLastOffers"].as_array().unwrap();
    let role = rejects.iter().find(|r| r["reason"] == "UnfulfilledRole").unwrap();
    assert_eq!(role["declined"], 1, "{summary:#}");
}

// covers: MAR-0650
async fn who_gives_up_leading_comes_back_with_everything(form: Form) {
    let world = World::start(form);
    world.deploy(small("/stays", &world.sleeper(5))).await;
    let before = world.sleepers(5);
    let left = world.ask("DELETE", "/v2/leader", Value::Null).await;
    assert_eq!(left.status, 200, "{}", left.text());
    // It goes half a second after its answer; the next change is one of the next life.
    tokio::time::sleep(Duration::from_millis(700)).await;
    world.until("/v2/leader", "somebody leads", |seen| seen["leader"].is_string()).await;
    let scaled = world.ask("PUT", "/v2/apps/stays", json!({"instances": 2})).await;
    assert_eq!(scaled.status, 200, "{}", scaled.text());
    world.deployed().await;
    let after = world.running("/stays", 2).await;
    assert_eq!(after.len(), 2);
    assert!(world.sleepers(5).contains(&before[0]), "the first one goes on");
}

in_both_forms!(
    groups_live_and_die_together,
    a_definition_reaches_its_task,
    a_killed_task_has_its_grace_and_no_more,
    checks_tell_healthy_from_unhealthy,
    a_failed_fetch_is_the_last_failure,
    what_is_read_besides,
    who_gives_up_leading_comes_back_with_everything,
);
