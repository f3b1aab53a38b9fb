//! `/v2/groups`.

use super::world::World;
use serde_json::json;

const PROD: &str =
    r#"{"apps":[{"id":"db","cmd":"run-db"},{"id":"web","cmd":"run-web","dependencies":["db"]}]}"#;

// covers: MAR-0077, MAR-0078, MAR-0075, MAR-0076, MAR-0072
#[tokio::test]
async fn groups_are_made_and_removed() {
    let world = World::new().await;
    let made = world.ask("POST /v2/groups", r#"{"id":"foo"}"#).await;
    assert_eq!((made.status, made.header("Location")), (201, Some("http://m1.example:8080/foo")));
    assert_eq!(made.json()["version"], json!("1970-01-01T00:00:02.000Z"));
    let again = world.ask("POST /v2/groups", r#"{"id":"/foo"}"#).await;
    let sentence = "Group /foo is already created. Use PUT to change this group.";
    assert_eq!((again.status, again.message().as_str()), (409, sentence));
    assert_eq!(world.ask("POST /v2/groups/test", r#"{"id":"foo"}"#).await.status, 201);
    assert_eq!(world.get("/v2/groups/test/foo").await.json()["id"], json!("/test/foo"));
    world.ask("POST /v2/apps", r#"{"id":"/app","cmd":"sleep 9"}"#).await;
    let taken = world.ask("POST /v2/groups", r#"{"id":"/app"}"#).await;
    let sentence = "An app with the path /app already exists.";
    assert_eq!((taken.status, taken.message().as_str()), (409, sentence));
    assert_eq!(world.ask("DELETE /v2/groups/test", "").await.status, 200);
    let gone = world.ask("DELETE /v2/groups/test", "").await;
    assert_eq!((gone.status, gone.message().as_str()), (404, "Group '/test' does not exist"));
    assert_eq!(world.ask("DELETE /v2/groups", "").await.status, 200);
    let root = world.get("/v2/groups").await.json();
    assert_eq!(
        (&root["apps"], &root["groups"], &root["id"]),
        (&json!([]), &json!([]), &json!("/"))
    );
    assert_eq!(world.ask("POST /v2/groups", "{}").await.status, 422);
}

// covers: MAR-0070, MAR-0073, MAR-0074, MAR-0242, MAR-0566
#[tokio::test]
async fn groups_are_read_planned_and_gone_back_to() {
    let world = World::new().await;
    let planned = world.ask("PUT /v2/groups/prod?dryRun=true", PROD).await;
    let steps = json!([{ "actions": [{ "action": "StartApplication", "app": "/planned" }] }]);
    assert_eq!((planned.status, planned.json()), (200, json!({ "steps": steps })));
    assert_eq!(world.get("/v2/groups/prod").await.status, 404);
    assert_eq!(world.ask("PUT /v2/groups/prod", PROD).await.status, 200);
    let shown = world.get("/v2/groups/prod").await.json();
    assert_eq!(shown["apps"][1]["dependencies"], json!(["/prod/db"]));
    assert_eq!((&shown["pods"], &shown["enforceRole"]), (&json!([]), &json!(false)));
    assert_eq!(shown["apps"][0].get("tasksRunning"), None);
    let counts = "/v2/groups/prod?embed=group.apps&embed=group.apps.counts";
    let shown = world.get(counts).await.json();
    assert_eq!((&shown["apps"][0]["tasksRunning"], shown.get("groups")), (&json!(0), None));
    assert_eq!(world.get("/v2/groups/prod/apps").await.json()["apps"][0]["id"], json!("/prod/db"));
    world.ask("PUT /v2/groups/prod", r#"{"apps":[]}"#).await;
    let versions = world.get("/v2/groups/versions").await.json();
    let (new, old) = ("1970-01-01T00:00:03.000Z", "1970-01-01T00:00:02.000Z");
    assert_eq!(versions, json!([new, old, "1970-01-01T00:00:01.000Z"]));
    assert!(world.get("/v2/groups/prod/versions").await.json().is_array());
    let then = world.get(&format!("/v2/groups/prod/versions/{old}")).await.json();
    assert_eq!(then["apps"][1]["id"], json!("/prod/web"));
    let back = world.ask("PUT /v2/groups/prod", &format!(r#"{{"version":"{old}"}}"#)).await;
    assert_eq!(back.status, 200);
    let shown = world.get("/v2/groups/prod").await.json();
    assert_eq!(shown["apps"].as_array().map(Vec::len), Some(2));
    let never = r#"{"version":"2020-01-01T00:00:00.000Z"}"#;
    assert_eq!(world.ask("PUT /v2/groups/prod", never).await.status, 404);
}

// covers: MAR-0079
#[tokio::test]
async fn failures_in_a_group_name_the_app() {
    let world = World::new().await;
    let bad = r#"{"apps":[{"id":"a","cmd":"sleep 9"},{"id":"b"}]}"#;
    let reply = world.ask("PUT /v2/groups/prod", bad).await;
    assert_eq!(reply.status, 422);
    assert_eq!(reply.json()["details"][0]["path"], json!("/apps//prod/b"));
    let outside = r#"{"apps":[{"id":"/other/a","cmd":"sleep 9"}]}"#;
    assert_eq!(world.ask("PUT /v2/groups/prod", outside).await.status, 422);
    assert_eq!(world.get("/v2/apps").await.json(), json!({ "apps": [] }));
    let patched = world.ask("PATCH /v2/groups/prod", r#"{"enforceRole":true}"#).await;
    assert_eq!(patched.status, 404);
    world.ask("PUT /v2/groups/prod", "{}").await;
    let patched = world.ask("PATCH /v2/groups/prod", r#"{"enforceRole":true}"#).await;
    assert_eq!((patched.status, patched.body.as_str()), (200, ""));
    assert_eq!(world.get("/v2/groups/prod").await.json()["enforceRole"], json!(true));
}
