//! Maintenance of machines on the real node: the older endpoints and the calls of the operator API, in both codecs.

use super::client::{Scheduler, info};
use super::node::Node;
use super::operator::{agent, call, change, read};
use mesolith::mesos::codec::Codec;
use serde_json::{Value, json};

const JSON: [(&str, &str); 1] = [("content-type", "application/json")];

/// What the node's machine is called: its agent tells an address, too.
async fn machine(node: &Node) -> Value {
    agent(node).await;
    let hostname = node.get("/slaves").await["slaves"][0]["hostname"].clone();
    json!({"hostname": hostname, "ip": "127.0.0.1"})
}

fn plan(machines: &[&Value]) -> Value {
    let unavailability = json!({
        "start": {"nanoseconds": 1_800_000_000_000_000_000_u64},
        "duration": {"nanoseconds": 3_600_000_000_000_u64},
    });
    json!({"windows": [{"machine_ids": machines, "unavailability": unavailability}]})
}

async fn post(node: &Node, path: &str, body: &Value) {
    let answer = node.post(path, &JSON, &body.to_string()).await;
    assert_eq!((answer.status, answer.text()), (200, ""), "{path}");
}

// covers: MES-0219, MES-0220, MES-0567
#[tokio::test]
async fn endpoints_and_calls_say_the_same() {
    let node = Node::start(&[]);
    let here = machine(&node).await;
    assert_eq!(node.get("/maintenance/schedule").await, json!({}));
    assert_eq!(node.get("/master/maintenance/status").await, json!({}));
    let first = plan(&[&here]);
    post(&node, "/master/maintenance/schedule", &first).await;
    let draining = json!({"draining_machines": [{"id": here}]});
    for codec in [Codec::Json, Codec::Protobuf] {
        assert_eq!(read(&node, codec, "GET_MAINTENANCE_SCHEDULE").await["schedule"], first);
        assert_eq!(read(&node, codec, "GET_MAINTENANCE_STATUS").await["status"], draining);
    }
    let second = plan(&[&json!({"hostname": "elsewhere"}), &here]);
    change(&node, "UPDATE_MAINTENANCE_SCHEDULE", json!({"schedule": second})).await;
    assert_eq!(node.get("/maintenance/schedule").await, second);
    // Nothing of what is wrong is taken.
    let schedule = "/maintenance/schedule";
    for (body, why) in [
        ("{", "JSON"),
        ("[]", "JSON"),
        (r#"{"windows": [{"machine_ids": [{"hostname": "a"}]}]}"#, "unavailability"),
    ] {
        node.post(schedule, &JSON, body).await.refused(400, why);
    }
    let nobody = plan(&[]).to_string();
    let why = "List of machines in the maintenance window is empty";
    node.post(schedule, &JSON, &nobody).await.refused(400, why);
    for path in ["/machine/down", "/machine/up"] {
        node.post(path, &JSON, "{}").await.refused(400, "it is not a list");
        node.post(path, &JSON, "[]").await.refused(400, "List of machines is empty");
        node.post(path, &JSON, "[1]").await.refused(400, "JSON");
        node.post(path, &JSON, r#"[{"hostname": "b"}]"#)
            .await
            .refused(400, r#"Machine '{"hostname":"b"}' is not part of a maintenance schedule"#);
    }
    for kind in ["UPDATE_MAINTENANCE_SCHEDULE", "START_MAINTENANCE", "STOP_MAINTENANCE"] {
        let answer = call(&node, Codec::Protobuf, json!({ "type": kind })).await;
        let field = kind.to_ascii_lowercase();
        answer.refused(400, &format!("Expecting '{field}' to be present"));
    }
    assert_eq!(node.get("/maintenance/schedule").await, second);
}

// covers: MES-0569, MES-0574
#[tokio::test]
async fn frameworks_are_told_and_their_answers_are_shown() {
    let node = Node::start(&[]);
    let here = machine(&node).await;
    let mut scheduler = Scheduler::start(&node, info("told")).await;
    let before = scheduler.offer().await;
    assert!(before.get("unavailability").is_none());
    let plan = plan(&[&here]);
    let when = &plan["windows"][0]["unavailability"];
    post(&node, "/maintenance/schedule", &plan).await;
    let rescind = scheduler.kind("RESCIND").await;
    assert_eq!(rescind["rescind"]["offer_id"], before["id"]);
    let offer = scheduler.offer().await;
    assert_eq!(&offer["unavailability"], when);
    let asked = scheduler.kind("INVERSE_OFFERS").await;
    let asked = &asked["inverse_offers"]["inverse_offers"][0];
    assert_eq!((&asked["agent_id"], &asked["unavailability"]), (&offer["agent_id"], when));
    let frameworks = read(&node, Codec::Protobuf, "GET_FRAMEWORKS").await;
    assert_eq!(frameworks["frameworks"][0]["inverse_offers"][0]["id"], asked["id"]);
    let ids = json!([asked["id"]]);
    let accept = json!({"inverse_offer_ids": ids, "filters": {"refuse_seconds": 600.0}});
    scheduler.call("ACCEPT_INVERSE_OFFERS", json!({"accept_inverse_offers": accept})).await;
    let status = node.get("/maintenance/status").await;
    let said = &status["draining_machines"][0]["statuses"][0];
    assert_eq!(
        (&said["status"], &said["framework_id"]["value"]),
        (&json!("ACCEPT"), &json!(scheduler.id))
    );
    post(&node, "/maintenance/schedule", &json!({})).await;
    let taken = scheduler.kind("RESCIND_INVERSE_OFFER").await;
    assert_eq!(taken["rescind_inverse_offer"]["inverse_offer_id"], asked["id"]);
    scheduler.event(|e| e["rescind"]["offer_id"] == offer["id"]).await;
    assert!(scheduler.offer().await.get("unavailability").is_none());
}

// covers: MES-0570, MES-0221, MES-0573
#[tokio::test]
async fn a_machine_goes_down_and_comes_up() {
    let mut node = Node::start(&[]);
    let here = machine(&node).await;
    let mut scheduler = Scheduler::start(&node, info("app")).await;
    scheduler.run("t", "sleep 1000").await;
    post(&node, "/maintenance/schedule", &plan(&[&here])).await;
    let machines = json!({"machines": [here]});
    let down = json!({"type": "START_MAINTENANCE", "start_maintenance": machines});
    let answer = call(&node, Codec::Protobuf, down).await;
    assert_eq!((answer.status, answer.text()), (200, ""));
    let ended = scheduler.until("t", "TASK_LOST").await.pop().unwrap();
    assert_eq!(ended["reason"], "REASON_AGENT_REMOVED", "{ended}");
    // The agent has ended, and with it the node. The next one is there, without an agent.
    node.start_after_end();
    let is_down = json!({"down_machines": [here]});
    assert_eq!(node.get("/maintenance/status").await, is_down);
    let mut scheduler = scheduler.again(&node, info("app")).await;
    scheduler.quiet("OFFERS").await;
    assert_eq!(node.get("/slaves").await["slaves"], json!([]));
    assert_eq!(read(&node, Codec::Protobuf, "GET_MAINTENANCE_STATUS").await["status"], is_down);
    change(&node, "STOP_MAINTENANCE", machines).await;
    assert_eq!(node.get("/maintenance/status").await, json!({}));
    assert_eq!(node.get("/maintenance/schedule").await, json!({}));
    let offer = scheduler.offer().await;
    assert!(offer.get("unavailability").is_none(), "{offer}");
}
