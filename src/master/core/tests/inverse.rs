//! Inverse offers of machines under maintenance, and what becomes of the answers.

use super::super::io::Answer;
use super::maintenance::{down, named, of, schedule, when};
use super::world::*;
use crate::mesos::make;
use crate::mesos::v1::allocator::inverse_offer_status::Status;
use crate::mesos::v1::maintenance::{Schedule, Window};
use crate::mesos::v1::scheduler::{Call, call, event};
use crate::mesos::v1::{self, InverseOffer};

const RESOURCES: &str = "cpus:4;mem:1024";

/// Inverse offers among the events, and the ids of those taken back.
fn heard(w: &mut World, scheduler: &FakeScheduler) -> (Vec<InverseOffer>, Vec<String>) {
    let (mut asked, mut taken) = (Vec::new(), Vec::new());
    for event in w.events(scheduler) {
        match event.r#type() {
            event::Type::InverseOffers => {
                asked.extend(event.inverse_offers.unwrap().inverse_offers);
            }
            event::Type::RescindInverseOffer => {
                taken.push(event.rescind_inverse_offer.unwrap().inverse_offer_id.value);
            }
            _ => {}
        }
    }
    (asked, taken)
}

fn accept(w: &mut World, scheduler: &FakeScheduler, id: &str, rest: Option<f64>) {
    let accept = call::AcceptInverseOffers {
        inverse_offer_ids: vec![make::offer_id(id)],
        filters: rest.map(|secs| v1::Filters { refuse_seconds: Some(secs) }),
    };
    let call = Call { accept_inverse_offers: Some(accept), ..Call::default() };
    assert_eq!(w.call(scheduler, call::Type::AcceptInverseOffers, call), Answer::Accepted);
}

fn decline(w: &mut World, scheduler: &FakeScheduler, id: &str, rest: Option<f64>) {
    let decline = call::DeclineInverseOffers {
        inverse_offer_ids: vec![make::offer_id(id)],
        filters: rest.map(|secs| v1::Filters { refuse_seconds: Some(secs) }),
    };
    let call = Call { decline_inverse_offers: Some(decline), ..Call::default() };
    assert_eq!(w.call(scheduler, call::Type::DeclineInverseOffers, call), Answer::Accepted);
}

/// Who said what of the first machine.
fn said(w: &World) -> Vec<(String, Status)> {
    let status = w.core.maintenance().1;
    let statuses = &status.draining_machines[0].statuses;
    statuses.iter().map(|s| (s.framework_id.value.clone(), s.status())).collect()
}

/// A machine with a task of the first framework, in the schedule; the second has nothing there. With the first's inverse
/// offer.
fn asked() -> (World, FakeAgent, [FakeScheduler; 2], InverseOffer) {
    let mut w = World::new();
    let agent = w.agent("node1", RESOURCES);
    let first = w.scheduler(aware());
    w.run_task(&agent, &first, "t1");
    let second = w.scheduler(aware());
    assert_eq!(schedule(&mut w, of(vec![named("node1")])), Answer::Done);
    let (mut told, _) = heard(&mut w, &first);
    assert_eq!(told.len(), 1);
    // What is left of the agent is offered to one of them, who is then asked, too.
    w.events(&second);
    (w, agent, [first, second], told.remove(0))
}

// covers: MES-0574, MES-0746
#[test]
fn who_has_something_there_is_asked_and_the_answer_is_shown() {
    let (mut w, agent, [first, _], offer) = asked();
    assert_eq!(offer.agent_id.as_ref().unwrap().value, agent.id);
    assert_eq!(offer.framework_id.value, first.id);
    assert_eq!(offer.unavailability, when(1_000, Some(3_600)));
    assert!(offer.resources.is_empty() && offer.url.is_some());
    let id = offer.id.value.clone();
    let view = w.view();
    assert_eq!(view.inverse_offers[first.id.as_str()][0].id.value, id);
    assert_eq!(said(&w), []);
    w.pass(HOUR);
    assert_eq!(heard(&mut w, &first).0, [], "it is asked once");
    decline(&mut w, &first, &id, None);
    assert_eq!(said(&w), [(first.id.clone(), Status::Decline)]);
    let at = w.core.maintenance().1.draining_machines[0].statuses[0].timestamp.nanoseconds;
    assert_eq!(at as u64, w.wall.0);
    assert!(!w.view().inverse_offers.contains_key(first.id.as_str()));
    // After a while it is asked again, and may say something else.
    w.pass(4 * SECOND);
    assert_eq!(heard(&mut w, &first).0, []);
    w.pass(2 * SECOND);
    let again = heard(&mut w, &first).0.remove(0);
    assert_ne!(again.id.value, id);
    assert_eq!(said(&w), [(first.id.clone(), Status::Decline)], "what it said stands");
    accept(&mut w, &first, &again.id.value, None);
    assert_eq!(said(&w), [(first.id.clone(), Status::Accept)]);
    w.audit().unwrap();
}

// covers: MES-0575
#[test]
fn filters_delay_the_next_inverse_offer() {
    for (rest, secs) in [(Some(0.0), 1), (Some(30.0), 30), (Some(-1.0), 5), (None, 5)] {
        let (mut w, _, [first, _], offer) = asked();
        accept(&mut w, &first, &offer.id.value, rest);
        w.pass(secs * SECOND - SECOND / 2);
        assert_eq!(heard(&mut w, &first).0, [], "{rest:?}");
        w.pass(SECOND);
        assert_eq!(heard(&mut w, &first).0.len(), 1, "{rest:?}");
    }
}

// covers: MES-0576
#[test]
fn answers_to_what_was_not_asked_are_passed_over() {
    let (mut w, _, [first, second], offer) = asked();
    let id = offer.id.value;
    decline(&mut w, &second, &id, None);
    accept(&mut w, &first, "nothing", None);
    assert_eq!(said(&w), [], "another's, and none");
    accept(&mut w, &first, &id, None);
    decline(&mut w, &first, &id, None);
    assert_eq!(said(&w), [(first.id.clone(), Status::Accept)], "answered once");
    w.audit().unwrap();
}

#[test]
fn another_time_takes_back_what_was_asked() {
    let (mut w, agent, [first, _], offer) = asked();
    let id = offer.id.value;
    let other = Window { machine_ids: vec![named("node1")], unavailability: when(7, None) };
    schedule(&mut w, Schedule { windows: vec![other] });
    let (told, taken) = heard(&mut w, &first);
    assert_eq!((taken, told.len()), (vec![id.clone()], 1));
    assert_eq!(told[0].unavailability, when(7, None));
    // An accepted one, too, for it holds no more.
    accept(&mut w, &first, &told[0].id.value, Some(600.0));
    schedule(&mut w, Schedule::default());
    assert_eq!(heard(&mut w, &first), (vec![], vec![told[0].id.value.clone()]));
    // A machine that is down takes back what its agent was asked for.
    schedule(&mut w, of(vec![named("node1")]));
    let (told, _) = heard(&mut w, &first);
    down(&mut w, &[named("node1")]);
    assert_eq!(heard(&mut w, &first).1, [told[0].id.value.clone()]);
    assert!(w.view().agents.is_empty() && !agent.id.is_empty());
    w.audit().unwrap();
}

#[test]
fn another_session_is_asked_anew() {
    let (mut w, agent, [first, _], offer) = asked();
    decline(&mut w, &first, &offer.id.value, Some(600.0));
    w.hang_up(&first);
    w.audit().unwrap();
    let first = w.resubscribe(&first);
    let (told, _) = heard(&mut w, &first);
    assert_eq!((told.len(), said(&w)), (1, vec![]));
    let task = w.task(&first, "t1");
    // Another master asks as well.
    w.fail_over();
    let first = w.resubscribe(&first);
    let mut agent = agent;
    w.reregister(&mut agent, vec![task], &[&first]);
    assert_eq!(heard(&mut w, &first).0.len(), 1);
    w.teardown(&first.id);
    w.audit().unwrap();
    assert!(!w.view().inverse_offers.contains_key(first.id.as_str()));
}

#[test]
fn one_that_is_not_answered_in_time_is_taken_back_and_made_again() {
    let mut w = World::with(super::super::Options {
        offer_timeout: Some(30 * SECOND),
        ..super::super::Options::default()
    });
    let agent = w.agent("node1", RESOURCES);
    let first = w.scheduler(aware());
    w.run_task(&agent, &first, "t1");
    schedule(&mut w, of(vec![named("node1")]));
    let (told, _) = heard(&mut w, &first);
    w.pass(29 * SECOND);
    assert_eq!(heard(&mut w, &first).1, Vec::<String>::new());
    w.pass(2 * SECOND);
    let (again, taken) = heard(&mut w, &first);
    assert_eq!((again.len(), taken), (1, vec![told[0].id.value.clone()]));
}
