//! The master's older endpoints: what they show, what they take, and who may ask.

use super::client::{Scheduler, info, scalar, task, user, with_capability};
use super::node::Node;
use super::wire::ask;
use serde_json::{Value, json};

fn has(value: &Value, keys: &str) {
    for key in keys.split_whitespace() {
        assert!(value.get(key).is_some(), "'{key}' is missing in {value:#}");
    }
}

// covers: MES-0001, MES-0002, MES-0008, MES-0011
#[tokio::test]
async fn the_state_shows_all_there_is() {
    let node = Node::start(&["--cluster=test cluster"]);
    node.until("/slaves", "the agent is there", |s| s["slaves"][0]["active"] == true).await;
    let state = node.get("/state").await;
    has(
        &state,
        "version build_date build_time build_user start_time elected_time id pid hostname \
         activated_slaves deactivated_slaves unreachable_slaves leader leader_info cluster flags \
         slaves recovered_slaves frameworks completed_frameworks orphan_tasks \
         unregistered_frameworks capabilities",
    );
    assert_eq!(state["cluster"], "test cluster");
    assert_eq!(state["pid"], format!("master@{}", node.master));
    assert_eq!(state["leader"], state["pid"]);
    assert_eq!(state["activated_slaves"], 1.0);
    for list in ["frameworks", "completed_frameworks", "recovered_slaves", "orphan_tasks"] {
        assert_eq!(state[list], json!([]), "{list}");
    }
    let empty = node.get("/master/frameworks").await;
    for list in ["frameworks", "completed_frameworks", "unregistered_frameworks"] {
        assert_eq!(empty[list], json!([]), "{list}");
    }
    let agents = node.get("/slaves").await;
    assert_eq!(agents["slaves"].as_array().unwrap().len(), 1);
    let agent = &agents["slaves"][0];
    has(
        agent,
        "id hostname port pid attributes registered_time resources used_resources \
         offered_resources reserved_resources unreserved_resources active version capabilities",
    );
    assert_eq!(agent["pid"], format!("slave(1)@{}", node.agent));
    let resources = &agent["resources"];
    assert_eq!(resources["cpus"], 2.0);
    assert_eq!(resources["gpus"], 0.0);
    assert_eq!(resources["mem"], 512.0);
    assert_eq!(resources["disk"], 1024.0);
    assert_eq!(resources["ports"], "[31000-31009]");
    let mut described = info("described");
    described["webui_url"] = json!("http://here");
    described["hostname"] = json!("h");
    described["labels"] = json!({"labels": [{"key": "team", "value": "a"}]});
    let scheduler = Scheduler::start(&node, described).await;
    let state = node.get("/state").await;
    let shown = &state["frameworks"][0];
    for (key, value) in [
        ("id", json!(scheduler.id)),
        ("name", json!("described")),
        ("user", json!(user())),
        ("roles", json!(["*"])),
        ("hostname", json!("h")),
        ("webui_url", json!("http://here")),
        ("capabilities", json!(["MULTI_ROLE"])),
        ("active", json!(true)),
        ("connected", json!(true)),
        ("recovered", json!(false)),
        ("failover_timeout", json!(600.0)),
        ("checkpoint", json!(true)),
        ("tasks", json!([])),
    ] {
        assert_eq!(shown[key], value, "{key}");
    }
    let mut single = info("single");
    single["capabilities"] = json!([]);
    single["roles"] = json!([]);
    single["role"] = json!("web");
    Scheduler::start(&node, single).await;
    let state = node.get("/state").await;
    let all = state["frameworks"].as_array().unwrap();
    let single = all.iter().find(|f| f["name"] == "single").unwrap();
    assert_eq!(single["role"], "web");
}

// covers: MES-0009, MES-0012
#[tokio::test]
async fn agents_and_frameworks_are_filtered_by_id() {
    let node = Node::start(&[]);
    let one = Scheduler::start(&node, info("one")).await;
    let two = Scheduler::start(&node, info("two")).await;
    two.call("TEARDOWN", json!({})).await;
    node.until("/frameworks", "two is over", |f| f["completed_frameworks"] != json!([])).await;
    let of = |id: &str| format!("/frameworks?framework_id={id}");
    let ids = |list: &Value| -> Vec<String> {
        list.as_array().unwrap().iter().map(|f| f["id"].as_str().unwrap().into()).collect()
    };
    let seen = node.get(&of(&one.id)).await;
    assert_eq!(ids(&seen["frameworks"]), [one.id.as_str()]);
    assert_eq!(seen["completed_frameworks"], json!([]));
    let seen = node.get(&of(&two.id)).await;
    assert_eq!(seen["frameworks"], json!([]));
    assert_eq!(ids(&seen["completed_frameworks"]), [two.id.as_str()]);
    let seen = node.get(&of("nobody")).await;
    assert_eq!((&seen["frameworks"], &seen["completed_frameworks"]), (&json!([]), &json!([])));
    let agent = node.get_agent("/state").await["id"].as_str().unwrap().to_string();
    let seen = node.get(&format!("/slaves?slave_id={agent}")).await;
    assert_eq!(ids(&seen["slaves"]), [agent]);
    assert_eq!(seen["recovered_slaves"], json!([]));
    assert_eq!(node.get("/slaves?slave_id=nobody").await["slaves"], json!([]));
}

// covers: MES-0003, MES-0005, MES-0013, MES-0016, MES-0018, MES-0019, MES-0031
#[tokio::test]
async fn tasks_are_listed_counted_and_described() {
    let node = Node::start(&[]);
    let mut scheduler = Scheduler::start(&node, info("tasks")).await;
    let offer = scheduler.offer().await;
    let labels = json!([{"key": "a", "value": "1"}, {"key": "a", "value": "1"}, {"key": "b"}]);
    let discovery = json!({
        "visibility": "CLUSTER",
        "name": "web",
        "ports": {"ports": [{"number": 80, "name": "http", "protocol": "tcp"}]},
        "labels": {"labels": [{"key": "x", "value": "y"}]},
    });
    let mut first = task("first", &offer, "sleep 1000");
    first["labels"] = json!({"labels": labels});
    first["discovery"] = discovery.clone();
    first["resources"].as_array_mut().unwrap().push(scalar("disk", 10.0));
    scheduler.launch(&offer, json!([first])).await;
    scheduler.until("first", "TASK_RUNNING").await;
    scheduler.call("REVIVE", json!({})).await;
    let rest = scheduler.offer().await;
    scheduler.launch(&rest, json!([task("second", &rest, "exit 0")])).await;
    scheduler.until("second", "TASK_FINISHED").await;
    let all = node.get("/tasks").await;
    let names = |all: &Value| -> Vec<String> {
        let all = all["tasks"].as_array().unwrap().iter();
        all.map(|t| t["id"].as_str().unwrap().to_string()).collect()
    };
    assert_eq!(names(&all), ["second", "first"], "the newest first");
    assert_eq!(names(&node.get("/tasks?order=asc").await), ["first", "second"]);
    assert_eq!(names(&node.get("/tasks?limit=1").await), ["second"]);
    assert_eq!(names(&node.get("/tasks?limit=1&offset=1").await), ["first"]);
    assert_eq!(names(&node.get("/tasks?task_id=first").await), ["first"]);
    let of = format!("/tasks?framework_id={}", scheduler.id);
    assert_eq!(names(&node.get(&of).await), ["second", "first"]);
    assert!(names(&node.get("/tasks?framework_id=nobody").await).is_empty());
    ask(&node.master, "GET", "/tasks?limit=x", &[], "").await.refused(400, "limit");
    let shown = node.get("/tasks?task_id=first").await["tasks"][0].clone();
    for (key, value) in [
        ("id", json!("first")),
        ("name", json!("first")),
        ("framework_id", json!(scheduler.id)),
        ("executor_id", json!("")),
        ("slave_id", offer["agent_id"]["value"].clone()),
        ("state", json!("TASK_RUNNING")),
        ("role", json!("*")),
        ("labels", labels),
        ("discovery", discovery),
    ] {
        assert_eq!(shown[key], value, "{key}");
    }
    assert_eq!(shown["resources"]["disk"], 10.0);
    assert_eq!(shown["resources"]["gpus"], 0.0);
    let last = shown["statuses"].as_array().unwrap().last().unwrap();
    assert_eq!(last["state"], "TASK_RUNNING");
    let address = &last["container_status"]["network_infos"][0]["ip_addresses"][0]["ip_address"];
    assert!(address.as_str().is_some_and(|a| a.parse::<std::net::IpAddr>().is_ok()), "{last:#}");
    let summary = node.get("/state-summary").await;
    let agent = &summary["slaves"][0];
    let framework = &summary["frameworks"][0];
    for counts in [agent, framework] {
        assert_eq!((&counts["TASK_RUNNING"], &counts["TASK_FINISHED"]), (&json!(1), &json!(1)));
        assert_eq!(counts["TASK_FAILED"], 0);
    }
    assert_eq!(agent["framework_ids"], json!([scheduler.id]));
    assert_eq!(framework["slave_ids"], json!([offer["agent_id"]["value"]]));
}

// covers: MES-0004, MES-0020, MES-0030
#[tokio::test]
async fn capabilities_labels_and_jsonp() {
    let node = Node::start(&[]);
    let mut labelled = with_capability("labelled", "PARTITION_AWARE");
    let labels = json!([{"key": "team", "value": "a"}]);
    labelled["labels"] = json!({"labels": labels});
    Scheduler::start(&node, labelled).await;
    let state = node.get("/state").await;
    let agent = state["slaves"][0]["capabilities"].as_array().unwrap();
    assert!(agent.contains(&json!("MULTI_ROLE")) && agent.iter().all(Value::is_string));
    assert_eq!(state["frameworks"][0]["labels"], labels);
    let mut asked = Vec::new();
    for n in 0..20 {
        let master = node.master.clone();
        asked.push(tokio::spawn(async move {
            let path = format!("/state?jsonp=call{n}");
            (n, ask(&master, "GET", &path, &[], "").await)
        }));
    }
    for asked in asked {
        let (n, answer) = asked.await.unwrap();
        assert_eq!(answer.header("content-type"), "text/javascript");
        let text = answer.text();
        assert!(text.starts_with(&format!("call{n}({{")) && text.ends_with("})"), "{n}: {text}");
    }
}

// covers: MES-0028
#[tokio::test]
async fn many_at_once_are_each_answered_with_their_own() {
    let node = Node::start(&[]);
    let _scheduler = Scheduler::start(&node, info("busy")).await;
    let paths = ["/state", "/state-summary", "/slaves", "/frameworks", "/tasks", "/roles"];
    let keys = ["leader", "hostname", "recovered_slaves", "completed_frameworks", "tasks", "roles"];
    let mut asked = Vec::new();
    for n in 0..60 {
        let (master, path) = (node.master.clone(), paths[n % paths.len()]);
        asked.push((n, tokio::spawn(async move { super::wire::get(&master, path).await })));
    }
    for (n, asked) in asked {
        has(&asked.await.unwrap(), keys[n % keys.len()]);
    }
}

#[tokio::test]
async fn a_path_or_method_that_is_not_there_is_refused() {
    let node = Node::start(&[]);
    assert_eq!(ask(&node.master, "GET", "/no/such/path", &[], "").await.status, 404);
    let answer = ask(&node.master, "GET", "/teardown", &[], "").await;
    assert_eq!((answer.status, answer.header("allow")), (405, "POST"));
    let answer = ask(&node.master, "GET", "/redirect", &[], "").await;
    assert_eq!((answer.status, answer.header("location")), (307, &*format!("//{}", node.master)));
    assert_eq!(ask(&node.agent, "GET", "/state", &[], "").await.status, 200);
}

// covers: MES-0025, MES-0026, MES-0036, MES-0037, MES-0283, MES-0301, MES-0302
#[tokio::test]
async fn who_must_say_who_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("credentials");
    std::fs::write(&file, r#"{"credentials":[{"principal":"ops","secret":"open sesame"}]}"#)
        .unwrap();
    let credentials = format!("--credentials={}", file.display());
    let both = [
        "--authenticate-http-readonly=true",
        "--authenticate-http-readwrite=true",
        credentials.as_str(),
    ];
    let node = Node::start(&both);
    let good = ("authorization", "Basic b3BzOm9wZW4gc2VzYW1l");
    let wrong = ("authorization", "Basic b3BzOndyb25n");
    let master = ["/state", "/slaves", "/frameworks", "/tasks", "/metrics/snapshot"];
    let agent = ["/state", "/containers", "/monitor/statistics", "/metrics/snapshot"];
    let all = master.map(|p| (&node.master, p, "mesos-master-readonly"));
    let all = all.into_iter().chain(agent.map(|p| (&node.agent, p, "mesos-agent-readonly")));
    for (address, path, realm) in all {
        for headers in [&[][..], &[wrong]] {
            let answer = ask(address, "GET", path, headers, "").await;
            assert_eq!(answer.status, 401, "{path}");
            assert_eq!(answer.header("www-authenticate"), format!("Basic realm=\"{realm}\""));
        }
        assert_eq!(ask(address, "GET", path, &[good], "").await.status, 200, "{path}");
    }
    for headers in [&[][..], &[wrong]] {
        assert_eq!(node.post("/teardown", headers, "frameworkId=x").await.status, 401);
    }
    node.post("/teardown", &[good], "").await.refused(400, "frameworkId");
    let write = Node::start(&["--authenticate-http-readwrite=true", credentials.as_str()]);
    assert_eq!(ask(&write.master, "GET", "/state", &[], "").await.status, 200);
    assert_eq!(ask(&write.agent, "GET", "/state", &[], "").await.status, 200);
    assert_eq!(write.post("/teardown", &[], "frameworkId=x").await.status, 401);
}

// covers: MES-0023, MES-0024
#[tokio::test]
async fn only_so_many_of_what_has_ended_is_remembered() {
    let node =
        Node::start(&["--max-completed-frameworks=1", "--max-completed-tasks-per-framework=2"]);
    for name in ["a", "b"] {
        Scheduler::start(&node, info(name)).await.call("TEARDOWN", json!({})).await;
    }
    node.until("/frameworks", "only b is remembered", |f| {
        let ended = f["completed_frameworks"].as_array().unwrap();
        f["frameworks"] == json!([]) && ended.len() == 1 && ended[0]["name"] == "b"
    })
    .await;
    let mut scheduler = Scheduler::start(&node, info("c")).await;
    let offer = scheduler.offer().await;
    let names = ["t1", "t2", "t3"];
    let tasks: Vec<Value> = names.iter().map(|n| task(n, &offer, "exit 0")).collect();
    scheduler.launch(&offer, json!(tasks)).await;
    for name in names {
        scheduler.until(name, "TASK_FINISHED").await;
    }
    node.until("/state", "two tasks are remembered", |s| {
        s["frameworks"][0]["tasks"] == json!([])
            && s["frameworks"][0]["completed_tasks"].as_array().is_some_and(|t| t.len() == 2)
    })
    .await;
}
