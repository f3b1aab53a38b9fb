//! Who may call, and the words of refusals.

use super::super::io::{Act, Answer, Input, RequestId, SessionId};
use super::world::*;
use crate::mesos::make;
use crate::mesos::v1::scheduler::{Call, call};

// covers: MES-0153, MES-0154
#[test]
fn callers_are_checked_in_order() {
    let mut w = World::new();
    let scheduler = w.scheduler(framework());
    let kind = call::Type::Teardown;
    let unknown = FakeScheduler { id: "nobody".into(), ..scheduler.clone() };
    let answer = w.call(&unknown, kind, Call::default());
    assert_eq!(refused(answer), (400, "Framework cannot be found".into()));
    let answer = w.call_as(&scheduler, None, None, kind, Call::default());
    let text = "All non-subscribe calls should include the 'Mesos-Stream-Id' header";
    assert_eq!(refused(answer), (400, text.into()));
    let other = Some(SessionId("other".into()));
    let (status, text) = refused(w.call_as(&scheduler, other, None, kind, Call::default()));
    assert_eq!(status, 400);
    assert!(text.starts_with("The stream ID 'other' included in this request didn't match"));
    let session = Some(scheduler.session.clone());
    let answer = w.call_as(&scheduler, session, Some("eve"), kind, Call::default());
    let text = "Authenticated principal 'eve' does not match principal '' set in `FrameworkInfo`";
    assert_eq!(refused(answer), (400, text.into()));
    w.hang_up(&scheduler);
    let answer = w.call(&scheduler, kind, Call::default());
    assert_eq!(refused(answer), (403, "Framework is not subscribed".into()));
    assert_eq!(w.view().frameworks.len(), 1, "nothing happened");
}

#[test]
fn calls_hold_what_their_type_needs() {
    let mut w = World::new();
    let scheduler = w.scheduler(framework());
    for (kind, name) in [
        (call::Type::Accept, "accept"),
        (call::Type::Decline, "decline"),
        (call::Type::Kill, "kill"),
        (call::Type::Shutdown, "shutdown"),
        (call::Type::Acknowledge, "acknowledge"),
        (call::Type::Reconcile, "reconcile"),
        (call::Type::Message, "message"),
        (call::Type::Request, "request"),
        (call::Type::UpdateFramework, "update_framework"),
        (call::Type::AcceptInverseOffers, "accept_inverse_offers"),
        (call::Type::ReconcileOperations, "reconcile_operations"),
    ] {
        let answer = w.call(&scheduler, kind, Call::default());
        let text = format!("Failed to validate scheduler::Call: Expecting '{name}' to be present");
        assert_eq!(refused(answer), (400, text));
    }
    let acknowledge = call::Acknowledge {
        agent_id: make::agent_id("a"),
        task_id: make::task_id("t"),
        uuid: vec![1, 2, 3],
    };
    let call = Call { acknowledge: Some(acknowledge), ..Call::default() };
    assert_eq!(refused(w.call(&scheduler, call::Type::Acknowledge, call)).0, 400);
    assert_eq!(refused(w.call(&scheduler, call::Type::Unknown, Call::default())).0, 501);
}

#[test]
fn calls_without_effect_are_accepted() {
    let mut w = World::new();
    let scheduler = w.scheduler(framework());
    let call = Call { request: Some(call::Request::default()), ..Call::default() };
    assert_eq!(w.call(&scheduler, call::Type::Request, call), Answer::Accepted);
    assert_eq!(w.counter("messages_resource_request"), 1);
    let call = Call {
        decline_inverse_offers: Some(call::DeclineInverseOffers {
            inverse_offer_ids: vec![make::offer_id("x")],
            filters: None,
        }),
        ..Call::default()
    };
    assert_eq!(w.call(&scheduler, call::Type::DeclineInverseOffers, call), Answer::Accepted);
    assert!(w.events(&scheduler).is_empty());
}

#[test]
fn a_teardown_is_answered_when_the_registry_has_it() {
    let mut w = World::new();
    let scheduler = w.scheduler(framework());
    let call = Call {
        framework_id: Some(make::framework_id(&scheduler.id)),
        r#type: Some(call::Type::Teardown as i32),
        ..Call::default()
    };
    let session = Some(scheduler.session.clone());
    let request = RequestId(w.fresh());
    let out = w.step_only(Input::Call { request, session, call: Box::new(call), principal: None });
    let answer = out.acts.iter().find(|(_, act)| matches!(act, Act::Answer { .. }));
    assert_eq!((out.writes.len(), answer.map(|(writes, _)| *writes)), (1, Some(1)));
}
