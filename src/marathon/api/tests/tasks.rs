//! Tasks: listed and killed.

use super::world::{DEPLOYMENT, World};
use crate::marathon::core::io::{Command, KillWhat};
use serde_json::json;

// covers: MAR-0091, MAR-0092, MAR-0096
#[tokio::test]
async fn tasks_are_listed() {
    let world = World::new().await;
    assert_eq!(world.get("/v2/tasks").await.json(), json!({ "tasks": [] }));
    let task = world.with_task("/a/b").await;
    let list = world.get("/v2/apps/a/b/tasks").await.json();
    let expected = json!({
        "appId": "/a/b", "host": "agent1", "id": task, "ipAddresses": [], "ports": [31045],
        "servicePorts": [0], "slaveId": "S0", "state": "TASK_RUNNING",
        "stagedAt": "1970-01-01T00:00:02.500Z", "startedAt": "1970-01-01T00:00:03.000Z",
        "version": "1970-01-01T00:00:02.000Z", "localVolumes": [], "role": "*",
        "healthCheckResults": [{ "alive": true, "consecutiveFailures": 0,
            "instanceId": task.trim_end_matches("._app.1") }],
    });
    assert_eq!(list, json!({ "tasks": [expected] }));
    assert_eq!(world.get("/v2/tasks").await.json(), list);
    assert_eq!(world.get("/v2/apps/a/*/tasks").await.json(), list);
    assert_eq!(world.get("/v2/tasks?status=staging").await.json(), json!({ "tasks": [] }));
    assert_eq!(world.get("/v2/tasks?status[]=running&status=x").await.json(), list);
    assert_eq!(world.get("/v2/apps/none/tasks").await.status, 404);
    assert_eq!(world.get("/v2/apps/none/*/tasks").await.status, 404);
}

// covers: MAR-0094
#[tokio::test]
async fn rows_for_old_proxies() {
    let world = World::new().await;
    world.with_task("/a/b").await;
    let text = world.ask_with("GET /v2/tasks", "Accept: text/plain\r\n", "").await;
    assert_eq!(text.body, "a_b\t0\tagent1:31045\t\n");
    assert!(text.header("Content-Type").is_some_and(|kind| kind.starts_with("text/plain")));
    let json =
        world.ask_with("GET /v2/tasks", "Accept: application/json, text/plain\r\n", "").await;
    assert!(json.json()["tasks"].is_array());
    world.ask("POST /v2/apps", r#"{"id":"/c","cmd":"sleep 9","portDefinitions":[]}"#).await;
    let text = world.ask_with("GET /v2/apps/c/tasks", "Accept: text/plain\r\n", "").await;
    assert_eq!(text.body, "c\t \t\n");
}

// covers: MAR-0085, MAR-0086, MAR-0088, MAR-0095, MAR-0104, MAR-0105
#[tokio::test]
async fn tasks_of_an_app_are_killed() {
    let world = World::new().await;
    let task = world.with_task("/a/b").await;
    let one = world.ask(&format!("DELETE /v2/apps/a/b/tasks/{task}"), "").await;
    assert_eq!((one.status, &one.json()["task"]["id"]), (200, &json!(task)));
    let all = world.ask("DELETE /v2/apps/a/b/tasks?host=agent1&wipe=true", "").await;
    assert_eq!(all.json()["tasks"][0]["id"], json!(task));
    let Command::Kill(kill) = world.last_command() else { panic!("a kill") };
    assert!(kill.wipe && !kill.scale);
    assert!(matches!(kill.what, KillWhat::App { host: Some(host), .. } if host == "agent1"));
    let none = world.ask("DELETE /v2/apps/a/b/tasks?host=agent2", "").await;
    assert_eq!((none.status, none.json()), (200, json!({ "tasks": [] })));
    let scaled = world.ask("DELETE /v2/apps/a/b/tasks?scale=true", "").await;
    assert_eq!(scaled.json()["deploymentId"], json!(DEPLOYMENT));
    assert_eq!(scaled.header("Marathon-Deployment-Id"), Some(DEPLOYMENT));
    for path in ["/v2/apps/a/b/tasks", "/v2/apps/a/b/tasks/x"] {
        let both = world.ask(&format!("DELETE {path}?scale=true&wipe=true"), "").await;
        let sentence = "You cannot use scale and wipe at the same time.";
        assert_eq!((both.status, both.message().as_str()), (400, sentence));
    }
    let unknown = world.ask("DELETE /v2/apps/a/b/tasks/x", "").await;
    assert_eq!((unknown.status, unknown.message().as_str()), (404, "Task 'x' does not exist"));
    assert_eq!(world.ask("DELETE /v2/apps/none/tasks/x", "").await.status, 404);
    assert_eq!(world.ask("DELETE /v2/apps/none/tasks?scale=true", "").await.status, 404);
}

// covers: MAR-0097, MAR-0100, MAR-0103
#[tokio::test]
async fn tasks_are_killed_by_id() {
    let world = World::new().await;
    let task = world.with_task("/a/b").await;
    let other = "c.instance-1f0a2f6b-7e39-4a8e-bb43-2d1a57b7ab12._app.1";
    let body = json!({ "ids": [task, other] }).to_string();
    let killed = world.ask("POST /v2/tasks/delete", &body).await;
    assert_eq!(killed.json()["tasks"].as_array().map(Vec::len), Some(1));
    assert_eq!(killed.json()["tasks"][0]["id"], json!(task));
    let scaled = world.ask("POST /v2/tasks/delete?scale=true&force=true", &body).await;
    assert_eq!(scaled.json()["deploymentId"], json!(DEPLOYMENT));
    let Command::Kill(kill) = world.last_command() else { panic!("a kill") };
    assert!(kill.scale && kill.force);
    let both = world.ask("POST /v2/tasks/delete?scale=true&wipe=true", &body).await;
    assert_eq!(both.status, 400);
    let bad = world.ask("POST /v2/tasks/delete", r#"{"ids":["nonsense"]}"#).await;
    assert_eq!(bad.status, 400);
    assert!(bad.message().starts_with("Invalid task id 'nonsense'."));
    assert_eq!(world.ask("POST /v2/tasks/delete", "{}").await.status, 422);
}
