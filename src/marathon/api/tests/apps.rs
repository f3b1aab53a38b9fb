//! `/v2/apps`.

use super::world::{DEPLOYMENT, World};
use crate::marathon::core::io::{Answer, Command};
use serde_json::json;

const HELLO: &str = r#"{"id":"hello2","cmd":"echo hello; sleep 10","mem":16,"cpus":0.1,"instances":1,"disk":0.0,"ports":[0]}"#;

// covers: MAR-0001
#[tokio::test]
async fn a_new_app_is_answered_whole() {
    let world = World::new().await;
    let reply = world.ask("POST /v2/apps", HELLO).await;
    assert_eq!(reply.status, 201);
    assert_eq!(reply.header("Location"), Some("http://m1.example:8080/hello2"));
    assert_eq!(reply.header("Marathon-Deployment-Id"), Some(DEPLOYMENT));
    assert_eq!(reply.header("Content-Type"), Some("application/json"));
    assert_eq!(reply.header("Cache-Control"), Some("no-cache, no-store, must-revalidate"));
    assert_eq!(reply.header("X-Marathon-Leader"), Some("http://m1.example:8080"));
    let version = "1970-01-01T00:00:02.000Z";
    let expected = json!({
        "id": "/hello2", "backoffFactor": 1.15, "backoffSeconds": 1, "cmd": "echo hello; sleep 10",
        "cpus": 0.1, "disk": 0, "executor": "", "instances": 1, "labels": {},
        "maxLaunchDelaySeconds": 300, "mem": 16, "gpus": 0, "networks": [{ "mode": "host" }],
        "portDefinitions": [{ "name": "default", "port": 0, "protocol": "tcp" }],
        "requirePorts": false,
        "upgradeStrategy": { "maximumOverCapacity": 1, "minimumHealthCapacity": 1 },
        "version": version, "versionInfo": reply.json()["versionInfo"],
        "killSelection": "YOUNGEST_FIRST",
        "unreachableStrategy": { "inactiveAfterSeconds": 0, "expungeAfterSeconds": 0 },
        "role": "*", "tasksStaged": 0, "tasksRunning": 0, "tasksHealthy": 0, "tasksUnhealthy": 0,
        "deployments": [{ "id": DEPLOYMENT }],
    });
    assert_eq!(reply.json(), expected);
    let again = world.ask("POST /v2/apps", HELLO).await;
    assert_eq!(
        (again.status, again.message().as_str()),
        (409, "An app with id [/hello2] already exists.")
    );
}

// covers: MAR-0051, MAR-0053, MAR-0249, MAR-0250
#[tokio::test]
async fn lists_and_single_apps_show_what_is_asked_for() {
    let world = World::new().await;
    world.ask("POST /v2/apps", r#"{"id":"/b","cmd":"Other","labels":{"tier":"db"}}"#).await;
    let task = world.with_task("/prod/web").await;
    let list = world.get("/v2/apps").await.json();
    let apps = list["apps"].as_array().expect("a list");
    assert_eq!(
        (apps.len(), &apps[1]["tasksRunning"], &apps[1]["deployments"]),
        (2, &json!(1), &json!([]))
    );
    assert_eq!(apps[1].get("tasks"), None);
    let embedded = world.get("/v2/apps/?embed=apps.tasks&embed=apps.taskStats").await.json();
    assert_eq!(embedded["apps"][0]["tasks"], json!([]));
    let web = &embedded["apps"][1];
    assert_eq!(web["tasks"][0]["id"], json!(task));
    assert_eq!(web["tasksStats"], web["taskStats"]);
    let counts = &web["tasksStats"]["totalSummary"]["stats"]["counts"];
    assert_eq!(*counts, json!({ "staged": 0, "running": 1, "healthy": 1, "unhealthy": 0 }));
    for (query, found) in [
        ("cmd=OTHER", 1),
        ("cmd=&id=&label=", 2),
        ("id=web", 1),
        ("id=web&cmd=other", 0),
        ("label=tier==db", 1),
        ("label=tier%20in%20(db,x)", 1),
    ] {
        let list = world.get(&format!("/v2/apps?{query}")).await.json();
        assert_eq!(list["apps"].as_array().map(Vec::len), Some(found), "{query}");
    }
    assert_eq!(world.get("/v2/apps?label==").await.status, 422);
    for path in ["/v2/apps/prod/web", "/v2/apps//prod/web/", "/v2/apps/%2Fprod/web"] {
        let one = world.get(path).await;
        assert_eq!(one.status, 200, "{path}");
        let app = &one.json()["app"];
        assert_eq!(app["tasks"][0]["state"], json!("TASK_RUNNING"));
        assert_eq!(
            app["lastTaskFailure"],
            json!({ "appId": "/prod/web", "host": "agent1", "message": "it ended",
                    "state": "TASK_FAILED", "taskId": "old", "slaveId": "S0",
                    "timestamp": "1970-01-01T00:00:04.000Z", "version": app["version"] })
        );
    }
    let below = world.get("/v2/apps/prod/*").await.json();
    assert_eq!(below["*"][0]["id"], json!("/prod/web"));
    let missing = world.get("/v2/apps/none").await;
    assert_eq!((missing.status, missing.message().as_str()), (404, "App '/none' does not exist"));
}

// covers: MAR-0012, MAR-0035
#[tokio::test]
async fn updates() {
    let world = World::new().await;
    world.ask("POST /v2/apps", HELLO).await;
    let reply = world.ask("PUT /v2/apps/hello2", r#"{"instances":5}"#).await;
    assert_eq!(reply.status, 200);
    let expected = json!({ "version": "1970-01-01T00:00:03.000Z", "deploymentId": DEPLOYMENT });
    assert_eq!(reply.json(), expected);
    assert_eq!(reply.header("Marathon-Deployment-Id"), Some(DEPLOYMENT));
    let app = world.get("/v2/apps/hello2").await.json();
    assert_eq!((&app["app"]["instances"], &app["app"]["mem"]), (&json!(5), &json!(16)));
    world.ask("PUT /v2/apps/hello2?partialUpdate=False", r#"{"cmd":"sleep 7"}"#).await;
    let app = world.get("/v2/apps/hello2").await.json();
    assert_eq!((&app["app"]["instances"], &app["app"]["mem"]), (&json!(1), &json!(128)));
    let made = world.ask("PUT /v2/apps/new", r#"{"cmd":"sleep 1000"}"#).await;
    assert_eq!((made.status, made.header("Location")), (201, Some("http://m1.example:8080/new")));
    let patched = world.ask("PATCH /v2/apps/newer", r#"{"cmd":"sleep 1000"}"#).await;
    assert_eq!(patched.status, 404);
    let many = r#"[{"id":"/new","instances":2},{"id":"hello2","mem":64}]"#;
    assert_eq!(world.ask("PUT /v2/apps", many).await.status, 200);
    let list = world.get("/v2/apps").await.json();
    assert_eq!((&list["apps"][0]["mem"], &list["apps"][1]["instances"]), (&json!(64), &json!(2)));
    let unknown = r#"[{"id":"/new","instances":3},{"id":"nobody","mem":64}]"#;
    assert_eq!(world.ask("PATCH /v2/apps", unknown).await.status, 404);
    let list = world.get("/v2/apps").await.json();
    assert_eq!(list["apps"][1]["instances"], json!(2), "nothing was half applied");
}

// covers: MAR-0252, MAR-0253, MAR-0255, MAR-0033
#[tokio::test]
async fn bad_bodies_have_marathons_shapes() {
    let world = World::new().await;
    let post = |body: &'static str| world.ask("POST /v2/apps", body);
    let broken = post(r#"{"id":"#).await;
    assert_eq!((broken.status, broken.message().as_str()), (400, "Invalid JSON"));
    assert!(broken.json()["details"].is_string());
    let kind = post("5").await;
    assert_eq!((kind.status, kind.message().as_str()), (400, "Please specify data in JSON format"));
    let form = post(r#"{"id":"a","cmd":"sleep 9","instances":0.1}"#).await;
    assert_eq!(form.status, 422);
    let details = json!([{ "path": "/instances", "errors": ["error.expected.int"] }]);
    assert_eq!(form.json(), json!({ "message": "Invalid JSON", "details": details }));
    let rule = post(r#"{"id":"a"}"#).await;
    let sentence =
        "AppDefinition must either contain one of 'cmd' or 'args', and/or a 'container'.";
    let details = json!([{ "path": "/", "errors": [sentence] }]);
    assert_eq!(rule.json(), json!({ "message": "Object is not valid", "details": details }));
    assert_eq!(post(r#"{"cmd":"sleep 9"}"#).await.json()["details"][0]["path"], json!("/id"));
    let text = world.ask_with("POST /v2/apps", "Content-Type: text/plain\r\n", HELLO).await;
    assert_eq!(text.status, 415);
    assert_eq!(world.ask("PUT /v2/apps/Bad_Id", "{}").await.status, 422);
    assert_eq!(world.ask("PUT /v2/apps/a?force=maybe", "{}").await.status, 400);
    assert_eq!(world.ask("DELETE /v2/apps", "").await.status, 405);
    assert!(world.state.lock().expect("unpoisoned").commands.is_empty(), "nothing was asked for");
}

// covers: MAR-0049, MAR-0050, MAR-0056
#[tokio::test]
async fn restart_and_removal() {
    let world = World::new().await;
    world.ask("POST /v2/apps", HELLO).await;
    let restarted = world.ask("POST /v2/apps/hello2/restart", "").await;
    assert_eq!(restarted.json()["version"], json!("1970-01-01T00:00:03.000Z"));
    let Command::Change(change) = world.last_command() else { panic!("a change") };
    assert!(change.restart.len() == 1 && !change.force);
    assert_eq!(world.ask("POST /v2/apps/none/restart", "").await.status, 404);
    let missing = world.ask("DELETE /v2/apps/none", "").await;
    assert_eq!((missing.status, missing.message().as_str()), (404, "App '/none' does not exist"));
    assert_eq!(world.ask("DELETE /v2/apps/hello2", "").await.status, 200);
    let Command::Change(change) = world.last_command() else { panic!("a change") };
    assert!(change.force, "removal is forced unless told otherwise");
    assert_eq!(world.get("/v2/apps").await.json(), json!({ "apps": [] }));
}

// covers: MAR-0352, MAR-0480
#[tokio::test]
async fn versions_are_listed_read_and_gone_back_to() {
    let world = World::new().await;
    world.ask("POST /v2/apps", HELLO).await;
    world.ask("PUT /v2/apps/hello2", r#"{"mem":99}"#).await;
    let versions = world.get("/v2/apps/hello2/versions").await.json();
    let (new, old) = ("1970-01-01T00:00:03.000Z", "1970-01-01T00:00:02.000Z");
    assert_eq!(versions, json!({ "versions": [new, old] }));
    let earlier = world.get(&format!("/v2/apps/hello2/versions/{old}")).await.json();
    assert_eq!((&earlier["id"], &earlier["mem"]), (&json!("/hello2"), &json!(16)));
    let none = world.get("/v2/apps/hello2/versions/2020-01-01T00:00:00.000Z").await;
    assert_eq!(none.status, 404);
    assert!(none.message().ends_with("does not exist in version 2020-01-01T00:00:00.000Z"));
    let bad = world.get("/v2/apps/hello2/versions/x").await;
    assert_eq!(bad.status, 422);
    let sentence = "Invalid timestamp provided 'x'. Expecting ISO-8601 datetime string.";
    assert_eq!(bad.message(), sentence);
    let body = format!(r#"{{"version":"{old}"}}"#);
    assert_eq!(world.ask("PUT /v2/apps/hello2", &body).await.status, 200);
    assert_eq!(world.get("/v2/apps/hello2").await.json()["app"]["mem"], json!(16));
    let both = format!(r#"{{"version":"{old}","mem":5}}"#);
    assert_eq!(world.ask("PUT /v2/apps/hello2", &both).await.status, 422);
    let unknown = r#"{"version":"2020-01-01T00:00:00.000Z"}"#;
    assert_eq!(world.ask("PUT /v2/apps/hello2", unknown).await.status, 404);
}

#[tokio::test]
async fn what_the_core_refuses_has_marathons_status() {
    let world = World::new().await;
    world.ask("POST /v2/apps", HELLO).await;
    world.script(Answer::Locked(vec![DEPLOYMENT.into()]));
    let locked = world.ask("PUT /v2/apps/hello2", r#"{"mem":5}"#).await;
    assert_eq!(
        (locked.status, &locked.json()["deployments"]),
        (409, &json!([{ "id": DEPLOYMENT }]))
    );
    assert!(locked.message().starts_with("App is locked by one or more deployments."));
    world.script(Answer::TooManyDeployments(100));
    assert_eq!(world.ask("PUT /v2/apps/hello2", r#"{"mem":5}"#).await.status, 403);
    // A tree that has changed meanwhile is read again.
    world.script(Answer::Stale);
    world.script(Answer::Stale);
    assert_eq!(world.ask("PUT /v2/apps/hello2", r#"{"mem":5}"#).await.status, 200);
    (0..100).for_each(|_| world.script(Answer::Stale));
    assert_eq!(world.ask("PUT /v2/apps/hello2", r#"{"mem":6}"#).await.status, 503);
}

// covers: MAR-0263
#[tokio::test]
async fn without_a_leader_requests_wait_and_give_up() {
    let world = World::with(crate::marathon::model::Rules::default(), false).await;
    let reply = world.get("/v2/apps").await;
    let sentence = "Could not determine the current leader";
    assert_eq!((reply.status, reply.message().as_str()), (502, sentence));
    assert_eq!(world.get("/v2/leader").await.status, 404);
    assert_eq!(world.get("/ping").await.body, "pong");
}
