//! Deployments, the queue, and the service itself.

use super::world::{DEPLOYMENT, World};
use serde_json::json;

// covers: MAR-0305
#[tokio::test]
async fn deployments_are_listed_and_given_up() {
    let world = World::new().await;
    assert_eq!(world.get("/v2/deployments").await.json(), json!([]));
    world.with_task("/a").await;
    world.busy("/a");
    let action = json!({ "action": "ScaleApplication", "app": "/a" });
    let current = json!({ "action": "ScaleApplication", "app": "/a", "readinessCheckResults": [] });
    let expected = json!([{
        "id": DEPLOYMENT, "version": "1970-01-01T00:00:02.000Z", "affectedApps": ["/a"],
        "affectedPods": [], "steps": [{ "actions": [action] }], "currentActions": [current],
        "currentStep": 1, "totalSteps": 1,
    }]);
    assert_eq!(world.get("/v2/deployments").await.json(), expected);
    let undone = world.ask(&format!("DELETE /v2/deployments/{DEPLOYMENT}"), "").await;
    assert_eq!((undone.status, &undone.json()["deploymentId"]), (200, &json!(DEPLOYMENT)));
    let stopped = world.ask(&format!("DELETE /v2/deployments/{DEPLOYMENT}?force=true"), "").await;
    assert_eq!((stopped.status, stopped.body.as_str()), (202, ""));
    let unknown = world.ask("DELETE /v2/deployments/x", "").await;
    assert_eq!(
        (unknown.status, unknown.message().as_str()),
        (404, "DeploymentPlan x does not exist")
    );
}

// covers: MAR-0296, MAR-0297, MAR-0298, MAR-0300, MAR-0301
#[tokio::test]
async fn the_queue_tells_why() {
    let world = World::new().await;
    assert_eq!(world.get("/v2/queue").await.json(), json!({ "queue": [] }));
    world.with_task("/a/b").await;
    world.busy("/a/b");
    let item = world.get("/v2/queue").await.json()["queue"][0].clone();
    let keys: Vec<_> = item.as_object().expect("an object").keys().cloned().collect();
    assert_eq!(keys, ["app", "count", "delay", "processedOffersSummary", "role", "since"]);
    assert_eq!(item["delay"], json!({ "timeLeftSeconds": 0, "overdue": true }));
    let summary = &item["processedOffersSummary"];
    assert_eq!(
        (&summary["processedOffersCount"], &summary["unusedOffersCount"]),
        (&json!(3), &json!(2))
    );
    let attempt = &summary["rejectSummaryLaunchAttempt"];
    assert_eq!(attempt.as_array().map(Vec::len), Some(10));
    assert_eq!(attempt[4], json!({ "reason": "InsufficientCpus", "declined": 2, "processed": 3 }));
    let embedded = world.get("/v2/queue?embed=lastUnusedOffers").await.json();
    assert_eq!(embedded["queue"][0]["lastUnusedOffers"], json!([]));
    assert_eq!(embedded["queue"][0].get("explanation"), None, "only for those who ask");
    let told = world.get("/v2/queue?embed=explanation").await.json();
    assert_eq!(told["queue"][0]["explanation"]["subject"], "app /a/b");
    let deployments = world.get("/v2/deployments?embed=waitsFor").await.json();
    let waits = &deployments[0]["currentActions"][0]["waitsFor"];
    assert_eq!(waits, "instances");
    let usual = world.get("/v2/deployments").await.json();
    assert_eq!(usual[0]["currentActions"][0].get("waitsFor"), None);
    assert_eq!(world.ask("DELETE /v2/queue//a/b/delay", "").await.status, 204);
    let unknown = world.ask("DELETE /v2/queue/x/delay", "").await;
    assert_eq!(unknown.status, 404);
    assert_eq!(unknown.message(), "Application /x not found in tasks queue.");
}

// covers: MAR-0281, MAR-0282, MAR-0283, MAR-0284, MAR-0285, MAR-0294
#[tokio::test]
async fn about_the_service() {
    let world = World::new().await;
    let ping = world.get("/ping").await;
    assert_eq!((ping.status, ping.body.as_str()), (200, "pong"));
    let accept = |kind: &'static str| world.ask_with("GET /ping", kind, "");
    assert_eq!(accept("Accept: text/html\r\n").await.body, "pong");
    assert_eq!(accept("Accept: application/json\r\n").await.body, "\"pong\"");
    assert_eq!(accept("Accept: image/png\r\n").await.status, 204);
    let info = world.get("/v2/info").await.json();
    assert_eq!((&info["name"], &info["elected"]), (&json!("marathon"), &json!(true)));
    assert_eq!(
        (&info["frameworkId"], &info["leader"]),
        (&json!("fw-0000"), &json!("m1.example:8080"))
    );
    assert!(
        info["version"].as_str().is_some_and(|v| v.split('.').all(|n| n.parse::<u32>().is_ok()))
    );
    assert_eq!(world.get("/v2/leader").await.json(), json!({ "leader": "m1.example:8080" }));
    assert_eq!(world.get("/v2/plugins").await.json(), json!({ "plugins": [] }));
    let metrics = world.get("/metrics").await.json();
    assert_eq!(metrics["gauges"]["marathon.apps.active.gauge"], json!({ "value": 0 }));
    assert_eq!(metrics["counters"]["marathon.deployments.counter"], json!({ "count": 2 }));
    let text = world.get("/metrics/prometheus").await.body;
    assert!(
        text.contains(
            "# TYPE marathon_deployments_counter counter\nmarathon_deployments_counter 2\n"
        )
    );
    assert_eq!(world.get("/v2/nothing").await.status, 404);
    assert_eq!(world.ask("HEAD /v2/pods", "").await.status, 200);
    let pod = world.ask("POST /v2/pods", r#"{"id":"/p"}"#).await;
    assert!(pod.status == 501 && pod.message().contains("not supported"));
    let given_up = world.ask("DELETE /v2/leader", "").await;
    assert_eq!(given_up.json(), json!({ "message": "Leadership abdicated" }));
    assert_eq!(world.ask("DELETE /v2/leader?backup=file:///x", "").await.status, 400);
}
