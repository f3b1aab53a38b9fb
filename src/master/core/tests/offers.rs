//! Offers: filters, revive, suppress, combining, time-outs, formats.

use super::super::Options;
use super::super::accept::filter;
use super::super::io::Answer;
use super::world::*;
use crate::mesos::v1::scheduler::{Call, call};
use crate::mesos::v1::{self, TaskState as S};
use std::time::Duration;

// covers: MES-0164
#[test]
fn a_declined_offer_comes_back_after_the_filter() {
    let mut w = World::new();
    w.agent("node1", "cpus:4;mem:1024");
    let scheduler = w.scheduler(framework());
    let offers = w.offers(&scheduler);
    w.decline(&scheduler, &offers, Some(60.0));
    w.pass(59 * SECOND);
    assert!(w.offers(&scheduler).is_empty());
    w.pass(2 * SECOND);
    let again = w.offers(&scheduler);
    assert_eq!(again.len(), 1);
    w.decline(&scheduler, &again, None);
    w.pass(4 * SECOND);
    assert!(w.offers(&scheduler).is_empty(), "five seconds unless told");
    w.pass(2 * SECOND);
    assert_eq!(w.offers(&scheduler).len(), 1);
}

#[test]
fn lengths_of_refusals() {
    let of = |secs: f64| filter(Some(&v1::Filters { refuse_seconds: Some(secs) }));
    let five = Some(Duration::from_secs(5));
    let year = Some(Duration::from_secs(365 * 24 * 3600));
    assert_eq!(filter(None), five);
    assert_eq!(filter(Some(&v1::Filters { refuse_seconds: None })), five);
    assert_eq!(of(-1.0), five);
    assert_eq!(of(f64::NAN), five);
    assert_eq!(of(1e300), year);
    assert_eq!(of(f64::INFINITY), year);
    assert_eq!(of(0.0), None);
    assert_eq!(of(2.5), Some(Duration::from_millis(2500)));
}

// covers: MES-0165, MES-0166
#[test]
fn revive_clears_refusals_and_suppress_stops_offers() {
    let mut w = World::new();
    w.agent("node1", "cpus:4;mem:1024");
    let scheduler = w.scheduler(framework());
    let offers = w.offers(&scheduler);
    w.decline(&scheduler, &offers, Some(3600.0));
    assert!(w.offers(&scheduler).is_empty());
    let revive = |roles: &[&str]| Call {
        revive: Some(call::Revive { roles: roles.iter().map(|r| (*r).into()).collect() }),
        ..Call::default()
    };
    w.call(&scheduler, call::Type::Revive, revive(&["*", "unknown"]));
    assert!(w.offers(&scheduler).is_empty(), "one bad role and the call is dropped");
    w.call(&scheduler, call::Type::Revive, Call::default());
    let offers = w.offers(&scheduler);
    assert_eq!(offers.len(), 1, "at once");
    assert_eq!(w.call(&scheduler, call::Type::Suppress, Call::default()), Answer::Accepted);
    assert_eq!(w.view().frameworks[0].suppressed_roles.len(), 1);
    w.decline(&scheduler, &offers, Some(0.0));
    w.agent("node2", "cpus:4;mem:1024");
    w.pass(HOUR);
    assert!(w.offers(&scheduler).is_empty());
    w.call(&scheduler, call::Type::Revive, revive(&["*"]));
    assert_eq!(w.offers(&scheduler).len(), 2);
    assert!(w.view().frameworks[0].suppressed_roles.is_empty());
}

// covers: MES-0057
#[test]
fn an_unanswered_offer_is_rescinded_and_offered_again() {
    let mut w =
        World::with(Options { offer_timeout: Some(Duration::from_secs(30)), ..Options::default() });
    w.agent("node1", "cpus:4;mem:1024");
    let scheduler = w.scheduler(framework());
    let offer = w.offers(&scheduler).remove(0);
    w.pass(29 * SECOND);
    assert!(w.events(&scheduler).is_empty());
    w.pass(SECOND);
    let events = w.events(&scheduler);
    assert_eq!(events[0].rescind.as_ref().unwrap().offer_id, offer.id);
    assert_eq!(events[1].offers.as_ref().unwrap().offers.len(), 1);
}

// covers: MES-0051
#[test]
fn two_offers_of_one_agent_make_one_bigger_task() {
    let mut w = World::new();
    let agent = w.agent("node1", "cpus:4;mem:1024");
    let scheduler = w.scheduler(framework());
    let first = w.offers(&scheduler).remove(0);
    w.launch(&scheduler, &[&first], vec![task_info("small", &first, "cpus:1;mem:512")]);
    w.pass(6 * SECOND);
    let rest = w.offers(&scheduler).remove(0);
    w.report(&agent, &scheduler, "small", S::TaskFinished, 1);
    w.events(&scheduler);
    w.settle();
    w.pass(6 * SECOND);
    let freed = w.view().frameworks[0].offers.iter().find(|o| o.id != rest.id).cloned();
    let freed = freed.expect("the freed part is offered beside the rest");
    w.launch(&scheduler, &[&rest, &freed], vec![task_info("big", &rest, "cpus:4;mem:1024")]);
    assert!(w.statuses(&scheduler).is_empty());
    let inbox = w.inbox(&agent);
    let runs: Vec<_> = inbox.iter().filter_map(|m| m.run_task.as_ref()).collect();
    assert_eq!(runs.last().unwrap().task.task_id.value, "big");
}

// covers: MES-0052
#[test]
fn offers_of_two_agents_cannot_be_combined() {
    for (info, lost) in [(framework(), S::TaskLost), (aware(), S::TaskDropped)] {
        let mut w = World::new();
        w.agent("node1", "cpus:4;mem:1024");
        w.agent("node2", "cpus:4;mem:1024");
        let scheduler = w.scheduler(info);
        let offers = w.offers(&scheduler);
        let task = task_info("t", &offers[0], "cpus:5");
        w.launch(&scheduler, &[&offers[0], &offers[1]], vec![task]);
        let events = w.events(&scheduler);
        let status = &events[0].update.as_ref().unwrap().status;
        assert_eq!(state(status), lost);
        assert_eq!(status.reason(), v1::task_status::Reason::InvalidOffers);
        assert!(status.uuid.is_none());
        let text = "Task launched with invalid offers: Aggregated offers must belong to one \
                    single agent. ";
        assert!(status.message().starts_with(text), "{}", status.message());
        let again: usize =
            events.iter().filter_map(|e| e.offers.as_ref()).map(|o| o.offers.len()).sum();
        assert_eq!(again, 2, "both are offered again at once");
    }
}

#[test]
fn lists_of_offers_are_checked() {
    let mut w = World::new();
    w.agent("node1", "cpus:4;mem:1024");
    let scheduler = w.scheduler(framework());
    let other = w.scheduler(framework());
    let offer = w.offers(&scheduler).remove(0);
    let foreign = v1::Offer { id: crate::mesos::make::offer_id("x-O9"), ..offer.clone() };
    let task = || vec![task_info("t", &offer, "cpus:1")];
    let message = |w: &mut World, s: &FakeScheduler| w.statuses(s)[0].message().to_string();
    w.launch(&scheduler, &[], task());
    assert!(message(&mut w, &scheduler).ends_with("invalid offers: No offers specified"));
    w.launch(&scheduler, &[&foreign], task());
    assert!(message(&mut w, &scheduler).ends_with("Offer x-O9 is no longer valid"));
    w.launch(&other, &[&offer], task());
    assert!(message(&mut w, &other).contains("has invalid framework"));
    assert_eq!(w.view().frameworks[0].offers.len(), 1, "not another's to lose");
    w.launch(&scheduler, &[&offer, &offer], task());
    assert!(message(&mut w, &scheduler).contains(&format!("Duplicate offer {}", offer.id.value)));
}

// covers: MES-0072
#[test]
fn offers_in_the_form_the_framework_understands() {
    let mut w = World::new();
    w.agent("node1", "cpus:1;mem:64");
    w.agent("node2", "cpus:1;mem:64");
    let plain = w.scheduler(framework());
    let offer = w.offers(&plain).remove(0);
    assert!(offer.allocation_info.is_none());
    assert!(offer.resources.iter().all(|r| r.allocation_info.is_none()));
    assert!(offer.hostname.starts_with("node"));
    let url = offer.url.as_ref().unwrap();
    assert_eq!((url.path(), url.address.port), ("/slave(1)", 5051));
    w.call(&plain, call::Type::Teardown, Call::default());
    let multi = w.scheduler(multi_role(&["a", "b"]));
    w.pass(SECOND);
    let offers = w.offers(&multi);
    let mut roles: Vec<_> =
        offers.iter().map(|o| o.allocation_info.as_ref().unwrap().role().to_string()).collect();
    roles.sort();
    assert_eq!(roles, ["a", "b"]);
    for offer in &offers {
        let role = offer.allocation_info.as_ref().unwrap().role();
        let of = |r: &v1::Resource| r.allocation_info.as_ref().unwrap().role().to_string();
        assert!(offer.resources.iter().all(|r| of(r) == role));
    }
}

// covers: MES-0173
#[test]
fn operations_of_later_are_refused_by_name_and_others_that_ask_for_feedback() {
    use v1::offer::operation::Type;
    let mut w = World::new();
    w.agent("node1", "cpus:4;mem:1024");
    let scheduler = w.scheduler(framework());
    let offer = w.offers(&scheduler).remove(0);
    let grow = |kind: Type, id: Option<&str>| v1::offer::Operation {
        r#type: Some(kind as i32),
        id: id.map(|id| v1::OperationId { value: id.into() }),
        ..Default::default()
    };
    let group = v1::offer::Operation {
        r#type: Some(Type::LaunchGroup as i32),
        launch_group: Some(v1::offer::operation::LaunchGroup {
            executor: v1::ExecutorInfo::default(),
            task_group: v1::TaskGroupInfo { tasks: vec![task_info("g", &offer, "cpus:1")] },
        }),
        ..Default::default()
    };
    let all = vec![
        grow(Type::GrowVolume, Some("op")),
        grow(Type::Reserve, Some("op")),
        grow(Type::GrowVolume, None),
        group,
    ];
    w.accept(&scheduler, &[&offer], all);
    let events = w.events(&scheduler);
    let status = &events[0].update_operation_status.as_ref().unwrap().status;
    assert_eq!(status.state(), v1::OperationState::OperationError);
    assert!(status.message().contains("GROW_VOLUME operations are not supported"));
    let status = &events[1].update_operation_status.as_ref().unwrap().status;
    assert_eq!(status.state(), v1::OperationState::OperationError);
    assert!(status.message().contains("AGENT_OPERATION_FEEDBACK"), "{}", status.message());
    let status = &events[2].update.as_ref().unwrap().status;
    assert_eq!(status.reason(), v1::task_status::Reason::TaskGroupInvalid);
    assert_eq!(state(status), S::TaskError);
    assert_eq!(events.len(), 3, "without an id nothing is told");
}
