//! Offers: declined, suppressed, revived, combined, timed out, and what is left of them.

use super::client::{Scheduler, amount, info, scalar, states, task, with_capability};
use super::node::Node;
use mesolith::mesos::codec::Codec;
use serde_json::{Value, json};

// covers: MES-0164, MES-0165
#[tokio::test]
async fn a_declined_offer_comes_back_after_its_time_or_at_revive() {
    let node = Node::start(&[]);
    let mut scheduler = Scheduler::start(&node, info("declines")).await;
    let first = scheduler.offer().await;
    let since = std::time::Instant::now();
    scheduler.decline(&first, 1.5).await;
    let second = scheduler.offer().await;
    assert!(since.elapsed().as_secs_f64() >= 1.5, "{:?}", since.elapsed());
    assert_ne!(second["id"], first["id"]);
    assert_eq!(amount(&second["resources"], "cpus"), 2.0);
    scheduler.decline(&second, 1e6).await;
    scheduler.quiet("OFFERS").await;
    scheduler.call("REVIVE", json!({})).await;
    let third = scheduler.offer().await;
    assert_eq!(amount(&third["resources"], "cpus"), 2.0);
}

// covers: MES-0166, MES-0167, MES-0168
#[tokio::test]
async fn a_suppressed_framework_is_offered_nothing_until_it_revives() {
    let node = Node::start(&[]);
    let suppressed = json!({"framework_info": info("quiet"), "suppressed_roles": ["*"]});
    let mut scheduler = Scheduler::subscribe(&node, Codec::Json, suppressed).await;
    scheduler.quiet("OFFERS").await;
    scheduler.call("REVIVE", json!({})).await;
    let offer = scheduler.offer().await;
    scheduler.call("SUPPRESS", json!({})).await;
    scheduler.decline(&offer, 0.0).await;
    scheduler.quiet("OFFERS").await;
    // Its resources go to others.
    let mut other = Scheduler::start(&node, info("other")).await;
    let offer = other.offer().await;
    other.call("TEARDOWN", json!({})).await;
    assert_eq!(amount(&offer["resources"], "cpus"), 2.0);
    // A subscription that says so again stays suppressed.
    let mut known = info("quiet");
    known["id"] = json!({"value": scheduler.id});
    let again = json!({"framework_info": known, "suppressed_roles": ["*"]});
    let mut scheduler = Scheduler::subscribe(&node, Codec::Json, again).await;
    scheduler.quiet("OFFERS").await;
    scheduler.call("REVIVE", json!({})).await;
    scheduler.offer().await;
}

/// Two offers of the one agent: a first task's cpus come back beside the rest.
async fn two_offers(scheduler: &mut Scheduler) -> (Value, Value) {
    let offer = scheduler.offer().await;
    let mut half = task("half", &offer, "exit 0");
    half["resources"] = json!([scalar("cpus", 1.0), scalar("mem", 256.0)]);
    let operations = json!([{"type": "LAUNCH", "launch": {"task_infos": [half]}}]);
    let accept = json!({
        "offer_ids": [offer["id"]], "operations": operations, "filters": {"refuse_seconds": 0.0}
    });
    scheduler.call("ACCEPT", json!({"accept": accept})).await;
    let rest = scheduler.offer().await;
    scheduler.until("half", "TASK_FINISHED").await;
    let back = scheduler.offer().await;
    assert_eq!(rest["agent_id"], back["agent_id"]);
    (rest, back)
}

// covers: MES-0048, MES-0051
#[tokio::test]
async fn two_offers_of_an_agent_carry_one_big_task() {
    let node = Node::start(&[]);
    let mut scheduler = Scheduler::start(&node, info("combines")).await;
    let (a, b) = two_offers(&mut scheduler).await;
    let mut big = task("big", &a, "exit 0");
    big["resources"] = json!([scalar("cpus", 2.0), scalar("mem", 512.0)]);
    let operations = json!([{"type": "LAUNCH", "launch": {"task_infos": [big]}}]);
    scheduler.accept(&[&a, &b], operations).await;
    scheduler.until("big", "TASK_FINISHED").await;
}

// covers: MES-0054, MES-0055, MES-0175
#[tokio::test]
async fn an_offer_twice_or_unknown_loses_the_launch() {
    let node = Node::start(&[]);
    for (framework, state) in [
        (info("lost"), "TASK_LOST"),
        (with_capability("dropped", "PARTITION_AWARE"), "TASK_DROPPED"),
    ] {
        let mut scheduler = Scheduler::start(&node, framework).await;
        let offer = scheduler.offer().await;
        let launch = |id: &str| json!([{"type": "LAUNCH", "launch": {"task_infos": [task(id, &offer, "")]}}]);
        scheduler.accept(&[&offer, &offer], launch("twice")).await;
        let unknown = json!({"id": {"value": "no-such-offer"}});
        scheduler.accept(&[&unknown], launch("unknown")).await;
        for (id, text) in [("twice", "Duplicate"), ("unknown", "no longer valid")] {
            let status = scheduler.status(id).await;
            assert_eq!(status["state"], state);
            assert_eq!(status["source"], "SOURCE_MASTER");
            assert_eq!(status["reason"], "REASON_INVALID_OFFERS");
            assert!(status["message"].as_str().unwrap().contains(text), "{status}");
            assert_eq!(status.get("uuid"), None, "the master's own updates ask for no answer");
        }
        // What was offered twice is whole again.
        let back = scheduler.offer().await;
        assert_eq!(amount(&back["resources"], "cpus"), 2.0);
        scheduler.call("TEARDOWN", json!({})).await;
    }
}

// covers: MES-0057, MES-0058, MES-0059
#[tokio::test]
async fn an_unanswered_offer_is_rescinded_and_made_again() {
    let node = Node::start(&["--offer-timeout=600ms"]);
    let mut scheduler = Scheduler::start(&node, info("slow")).await;
    let first = scheduler.offer().await;
    let rescind = scheduler.kind("RESCIND").await;
    assert_eq!(rescind["rescind"]["offer_id"], first["id"]);
    let second = scheduler.offer().await;
    assert_ne!(second["id"], first["id"]);
    // Answered ones are not: neither used nor declined.
    scheduler.launch(&second, json!([task("t", &second, "sleep 1000")])).await;
    scheduler.until("t", "TASK_RUNNING").await;
    scheduler.quiet("RESCIND").await;
    scheduler.quiet("RESCIND").await;
    scheduler.call("REVIVE", json!({})).await;
    let third = scheduler.offer().await;
    scheduler.decline(&third, 1e6).await;
    scheduler.quiet("RESCIND").await;
    scheduler.quiet("RESCIND").await;
}

// covers: MES-0060
#[tokio::test]
async fn resources_are_offered_again_before_the_end_is_acknowledged() {
    let node = Node::start(&[]);
    let mut scheduler = Scheduler::start(&node, info("frees")).await;
    let offer = scheduler.offer().await;
    let mut all = task("all", &offer, "exit 0");
    all["resources"] = json!([scalar("cpus", 2.0), scalar("mem", 512.0)]);
    scheduler.launch(&offer, json!([all])).await;
    for state in ["TASK_STARTING", "TASK_RUNNING"] {
        assert_eq!(scheduler.status("all").await["state"], state);
    }
    assert_eq!(scheduler.heard("all").await["state"], "TASK_FINISHED");
    let back = scheduler.offer().await;
    assert_eq!(amount(&back["resources"], "cpus"), 2.0);
}

// covers: MES-0061, MES-0174
#[tokio::test]
async fn an_update_comes_again_until_acknowledged_and_tells_of_the_end() {
    let node = Node::start(&[]);
    let mut scheduler = Scheduler::start(&node, info("silent")).await;
    let offer = scheduler.offer().await;
    let mut all = task("all", &offer, "exit 0");
    all["resources"] = json!([scalar("cpus", 2.0), scalar("mem", 512.0)]);
    scheduler.launch(&offer, json!([all])).await;
    let first = scheduler.heard("all").await;
    assert_eq!(first["state"], "TASK_STARTING");
    // The end is known when the first update is sent again, and frees the resources.
    let back = scheduler.offer().await;
    assert_eq!(amount(&back["resources"], "cpus"), 2.0);
    let second = scheduler.heard("all").await;
    assert_eq!(second["uuid"], first["uuid"]);
    scheduler.acknowledge(&second).await;
    let rest = scheduler.until("all", "TASK_FINISHED").await;
    assert_eq!(states(&rest), ["TASK_RUNNING", "TASK_FINISHED"]);
}

// covers: MES-0062
#[tokio::test]
async fn a_task_may_be_smaller_than_the_smallest_offer() {
    let node = Node::start(&[]);
    let mut scheduler = Scheduler::start(&node, info("tiny")).await;
    let offer = scheduler.offer().await;
    let mut tiny = task("tiny", &offer, "exit 0");
    tiny["resources"] = json!([scalar("cpus", 0.005), scalar("mem", 16.0)]);
    scheduler.launch(&offer, json!([tiny])).await;
    scheduler.until("tiny", "TASK_FINISHED").await;
}
