//! Frameworks of several roles: whose offer is whose.

use super::client::{Scheduler, info};
use super::node::Node;
use serde_json::json;

// covers: MES-0072, MES-0177, MES-0178
#[tokio::test]
async fn offers_name_their_role_and_roles_are_suppressed_one_by_one() {
    let node =
        Node::start(&["--resources=cpus(a):1;mem(a):128;cpus(b):1;mem(b):128;disk:0;ports:[]"]);
    let mut two = info("two");
    two["roles"] = json!(["a", "b"]);
    let capabilities = two["capabilities"].as_array_mut().unwrap();
    capabilities.push(json!({"type": "RESERVATION_REFINEMENT"}));
    let mut scheduler = Scheduler::start(&node, two).await;
    let offers = [scheduler.offer().await, scheduler.offer().await];
    let mut roles: Vec<&str> =
        offers.iter().map(|o| o["allocation_info"]["role"].as_str().unwrap()).collect();
    roles.sort_unstable();
    assert_eq!(roles, ["a", "b"]);
    for offer in &offers {
        for resource in offer["resources"].as_array().unwrap() {
            assert_eq!(resource["allocation_info"], offer["allocation_info"]);
        }
    }
    scheduler.call("SUPPRESS", json!({"suppress": {"roles": ["a"]}})).await;
    for offer in &offers {
        scheduler.decline(offer, 0.0).await;
    }
    let only = scheduler.offer().await;
    assert_eq!(only["allocation_info"]["role"], "b");
    scheduler.quiet("OFFERS").await;
    scheduler.call("REVIVE", json!({"revive": {"roles": ["a"]}})).await;
    assert_eq!(scheduler.offer().await["allocation_info"]["role"], "a");
}

// covers: MES-0056
#[tokio::test]
async fn offers_of_two_roles_cannot_be_combined() {
    let node =
        Node::start(&["--resources=cpus(a):1;mem(a):128;cpus(b):1;mem(b):128;disk:0;ports:[]"]);
    let mut two = info("two");
    two["roles"] = json!(["a", "b"]);
    let mut scheduler = Scheduler::start(&node, two).await;
    let offers = [scheduler.offer().await, scheduler.offer().await];
    let task = super::client::task("t", &offers[0], "exit 0");
    let operations = json!([{"type": "LAUNCH", "launch": {"task_infos": [task]}}]);
    scheduler.accept(&[&offers[0], &offers[1]], operations).await;
    let status = scheduler.status("t").await;
    assert_eq!(status["state"], "TASK_LOST");
    assert_eq!(status["reason"], "REASON_INVALID_OFFERS");
}
