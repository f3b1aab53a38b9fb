//! Reservations and volumes, made by frameworks on offers and by operators on agents.

use super::super::io::{Answer, Input};
use super::world::*;
use crate::base::resources::{Disk, DiskVolume, Persistence, Reservation, Resource, Resources};
use crate::mesos::convert::{Format, resources_from_v1, resources_to_v1};
use crate::mesos::internal::RegisterAgent;
use crate::mesos::v1;
use std::sync::Arc;
use v1::framework_info::capability::Type as Capability;
use v1::offer::Operation;
use v1::offer::operation::{Create, Destroy, Launch, Reserve, Type, Unreserve};

/// Resources that ops reserved for a role.
pub fn reserved(text: &str, role: &str) -> Resources {
    resources_from_v1(&wire(text))
        .unwrap()
        .push_reservation(&Reservation::dynamic(role, Some("ops")))
}

pub fn volume_of(id: &str, disk: Resources) -> Resources {
    disk.map(|r| {
        let persistence = Persistence { id: id.into(), principal: Some("ops".into()) };
        let volume = DiskVolume {
            container_path: "data".into(),
            host_path: None,
            read_only: Some(false),
            rest: Vec::new(),
        };
        let disk = Disk { persistence: Some(persistence), volume: Some(volume), source: None };
        Some(Resource { disk: Some(Arc::new(disk)), ..r.clone() })
    })
}

fn volume(id: &str, mb: u32) -> Resources {
    volume_of(id, reserved(&format!("disk:{mb}"), "eng"))
}

fn shared(id: &str, mb: u32) -> Resources {
    volume(id, mb).map(|r| Some(Resource { shared: true, ..r.clone() }))
}

fn post(all: &Resources) -> Vec<v1::Resource> {
    resources_to_v1(all, Format::Post)
}

fn operation(kind: Type, resources: Vec<v1::Resource>) -> Operation {
    let mut operation = Operation { r#type: Some(kind as i32), ..Default::default() };
    match kind {
        Type::Reserve => {
            operation.reserve = Some(Reserve { resources, ..Default::default() });
        }
        Type::Unreserve => operation.unreserve = Some(Unreserve { resources }),
        Type::Create => operation.create = Some(Create { volumes: resources }),
        _ => operation.destroy = Some(Destroy { volumes: resources }),
    }
    operation
}

pub fn reserve(all: &Resources) -> Operation {
    operation(Type::Reserve, post(all))
}

pub fn unreserve(all: &Resources) -> Operation {
    operation(Type::Unreserve, post(all))
}

pub fn create(all: &Resources) -> Operation {
    operation(Type::Create, post(all))
}

pub fn destroy(all: &Resources) -> Operation {
    operation(Type::Destroy, post(all))
}

fn launch(tasks: Vec<v1::TaskInfo>) -> Operation {
    Operation {
        r#type: Some(Type::Launch as i32),
        launch: Some(Launch { task_infos: tasks }),
        ..Default::default()
    }
}

fn task_with(id: &str, offer: &v1::Offer, resources: &Resources) -> v1::TaskInfo {
    v1::TaskInfo { resources: post(resources), ..task_info(id, offer, "") }
}

/// A framework of these roles, whose principal is ops.
fn ops(roles: &[&str]) -> v1::FrameworkInfo {
    let info = v1::FrameworkInfo { principal: Some("ops".into()), ..multi_role(roles) };
    with_capabilities(info, &[Capability::ReservationRefinement, Capability::SharedResources])
}

fn bag(offer: &v1::Offer) -> Resources {
    resources_from_v1(&offer.resources).unwrap().unallocate()
}

/// The one offer that a scheduler was made since it was last asked.
fn one_offer(w: &mut World, scheduler: &FakeScheduler) -> v1::Offer {
    let offers = w.offers(scheduler);
    assert_eq!(offers.len(), 1, "{offers:?}");
    offers.into_iter().next().unwrap()
}

impl World {
    pub fn operator(&mut self, agent: &FakeAgent, operation: Operation) -> Answer {
        self.operator_named(agent, operation, None)
    }

    fn operator_named(
        &mut self,
        agent: &FakeAgent,
        operation: Operation,
        principal: Option<&str>,
    ) -> Answer {
        let (agent_id, operation) = (agent.id.as_str().into(), Box::new(operation));
        let principal = principal.map(str::to_string);
        let answer =
            self.operate(|request| Input::OperateAgent { request, agent_id, operation, principal });
        self.audit().unwrap();
        answer
    }

    /// What the agent was told last to remember.
    fn remembered(&mut self, agent: &FakeAgent) -> Option<Resources> {
        let all = self.inbox(agent).into_iter().filter_map(|m| m.checkpoint_resources);
        all.last().map(|told| resources_from_v1(&told.resources).unwrap())
    }

    /// Accepts with no filter; offers come again at once.
    fn operate_on(&mut self, s: &FakeScheduler, offer: &v1::Offer, all: Vec<Operation>) {
        use v1::scheduler::{Call, call};
        let filters = Some(v1::Filters { refuse_seconds: Some(0.0) });
        let accept = call::Accept { offer_ids: vec![offer.id.clone()], operations: all, filters };
        let call = Call { accept: Some(accept), ..Call::default() };
        assert_eq!(self.call(s, call::Type::Accept, call), Answer::Accepted);
        self.audit().unwrap();
        self.pass(SECOND * 2);
    }

    pub fn total(&self, agent: &FakeAgent) -> Resources {
        self.core.agents.get(&agent.id).unwrap().total.clone()
    }
}

// covers: MES-0623, MES-0648
#[test]
fn a_framework_reserves_and_unreserves_in_either_format() {
    for format in [Format::Pre, Format::Post] {
        let mut w = World::new();
        let agent = w.agent("node1", "cpus:4;mem:1024;disk:100");
        let scheduler = w.scheduler(ops(&["eng"]));
        let offer = one_offer(&mut w, &scheduler);
        let (part, all) = (reserved("cpus:1;mem:512", "eng"), bag(&offer));
        let as_said = |kind| operation(kind, resources_to_v1(&part, format));
        w.operate_on(&scheduler, &offer, vec![as_said(Type::Reserve)]);
        assert_eq!(w.remembered(&agent), Some(part.clone()));
        let offer = one_offer(&mut w, &scheduler);
        assert_eq!(bag(&offer).reserved("eng"), part);
        assert_eq!(bag(&offer).quantities(), all.quantities());
        w.operate_on(&scheduler, &offer, vec![as_said(Type::Unreserve)]);
        assert_eq!(w.remembered(&agent), Some(Resources::new()));
        let offer = one_offer(&mut w, &scheduler);
        assert_eq!(bag(&offer), all);
    }
}

// covers: MES-0625
#[test]
fn a_later_launch_uses_what_operations_made() {
    let mut w = World::new();
    let agent = w.agent("node1", "cpus:4;mem:1024;disk:100");
    let scheduler = w.scheduler(ops(&["eng"]));
    let offer = one_offer(&mut w, &scheduler);
    w.inbox(&agent);
    let (part, made) = (reserved("cpus:1;mem:64;disk:50", "eng"), volume("v", 50));
    let uses = &reserved("cpus:1;mem:64", "eng") + &made;
    let task = task_with("t", &offer, &uses);
    w.operate_on(&scheduler, &offer, vec![reserve(&part), create(&made), launch(vec![task])]);
    let told = w.inbox(&agent);
    let kinds: Vec<(bool, bool)> =
        told.iter().map(|m| (m.checkpoint_resources.is_some(), m.run_task.is_some())).collect();
    assert_eq!(kinds, [(true, false), (true, false), (false, true)], "in this order");
    let offer = one_offer(&mut w, &scheduler);
    assert!(bag(&offer).reserved("eng").is_empty(), "all that was reserved is used");
    assert!(bag(&offer).persistent_volumes().is_empty());
}

// covers: MES-0626, MES-0633, MES-0634
#[test]
fn what_is_reserved_is_for_the_role_whoever_reserved_it() {
    let mut w = World::new();
    let agent = w.agent("node1", "cpus:4;mem:1024");
    let first = w.scheduler(ops(&["eng"]));
    let offer = one_offer(&mut w, &first);
    let foreign = reserved("cpus:1", "web");
    w.operate_on(&first, &offer, vec![reserve(&foreign)]);
    assert!(w.total(&agent).reservations().is_empty(), "not the framework's role");
    let offer = one_offer(&mut w, &first);
    let mine = reserved("cpus:1", "eng");
    w.operate_on(&first, &offer, vec![reserve(&mine)]);
    w.hang_up(&first);
    let other = w.scheduler(ops(&["web"]));
    let offer = one_offer(&mut w, &other);
    assert!(bag(&offer).reserved("eng").is_empty(), "not for another role");
    w.operate_on(&other, &offer, vec![unreserve(&mine)]);
    assert_eq!(w.total(&agent).reserved("eng"), mine, "nor can that role take it away");
    let same = w.scheduler(ops(&["eng"]));
    let offers = w.offers(&same);
    assert!(offers.iter().any(|o| bag(o).reserved("eng") == mine), "{offers:?}");
}

// covers: MES-0627
#[test]
fn an_operation_that_cannot_be_changes_nothing() {
    let mut w = World::new();
    let agent = w.agent("node1", "cpus:4;mem:1024;disk:100;cpus(eng):1");
    let scheduler = w.scheduler(ops(&["eng"]));
    let offer = one_offer(&mut w, &scheduler);
    let before = w.total(&agent);
    w.inbox(&agent);
    let disk = reserved("disk:100", "eng");
    let unreserved = resources_from_v1(&wire("disk:10")).unwrap();
    let dev = resources_from_v1(&wire("cpus:1")).unwrap();
    let dev = dev.push_reservation(&Reservation::dynamic("eng", Some("dev")));
    w.operate_on(
        &scheduler,
        &offer,
        vec![
            reserve(&reserved("cpus:5", "eng")),
            reserve(&dev),
            unreserve(&disk),
            create(&volume("v", 10)),
            create(&volume_of("v", unreserved)),
            destroy(&volume("v", 10)),
            operation(Type::Reserve, wire("cpus:1")),
            Operation { r#type: Some(Type::Reserve as i32), ..Default::default() },
        ],
    );
    assert_eq!(w.total(&agent), before);
    assert_eq!(w.remembered(&agent), None);
    assert_eq!(w.counter("operations/error"), 8);
    assert_eq!(w.counter("operations/finished"), 0);
    assert_eq!(one_offer(&mut w, &scheduler).resources, offer.resources);
}

// covers: MES-0629, MES-0655
#[test]
fn reservations_and_volumes_are_back_with_their_agent_after_a_change_of_master() {
    let mut w = World::new();
    let mut agent = w.agent("node1", "cpus:4;mem:1024;disk:100");
    let scheduler = w.scheduler(ops(&["eng"]));
    let offer = one_offer(&mut w, &scheduler);
    let (part, made) = (reserved("cpus:1;disk:60", "eng"), volume("v", 50));
    w.operate_on(&scheduler, &offer, vec![reserve(&part), create(&made)]);
    let told = w.remembered(&agent).unwrap();
    w.fail_over();
    let scheduler = w.resubscribe(&scheduler);
    let back = w.register(RegisterAgent {
        agent_info: agent.info.clone(),
        checkpointed_resources: post(&told),
        ..registration()
    });
    agent.link = back.link;
    let offer = one_offer(&mut w, &scheduler);
    assert_eq!(bag(&offer).checkpointed(), told);
    assert!(bag(&offer).contains(&made));
    assert_eq!(w.remembered(&agent), None, "it knows");
    w.audit().unwrap();
}

#[test]
fn an_agent_that_missed_the_word_is_told_again() {
    let mut w = World::new();
    let mut agent = w.agent("node1", "cpus:4;mem:1024;disk:100");
    let scheduler = w.scheduler(ops(&["eng"]));
    let offer = one_offer(&mut w, &scheduler);
    let part = reserved("cpus:1", "eng");
    let task = task_with("t", &offer, &(&part + &resources_from_v1(&wire("mem:64")).unwrap()));
    w.operate_on(&scheduler, &offer, vec![reserve(&part), launch(vec![task])]);
    w.cut(&agent);
    w.audit().unwrap();
    w.reregister(&mut agent, vec![], &[&scheduler]);
    w.audit().unwrap();
    assert_eq!(w.total(&agent).reserved("eng"), part);
    assert_eq!(w.remembered(&agent), Some(part.clone()));
    // An agent with less than that has what it says.
    w.cut(&agent);
    agent.info.resources = wire("cpus:0.5;mem:1024;disk:100");
    w.reregister(&mut agent, vec![], &[&scheduler]);
    assert!(w.total(&agent).reservations().is_empty());
}

// covers: MES-0213, MES-0215, MES-0635, MES-0636, MES-0637
#[test]
fn an_operator_reserves_what_is_free_and_what_is_offered() {
    let mut w = World::new();
    let agent = w.agent("node1", "cpus:4;mem:1024");
    assert_eq!(w.operator(&agent, reserve(&reserved("cpus:1", "eng"))), Answer::Accepted);
    assert_eq!(w.remembered(&agent), Some(reserved("cpus:1", "eng")));
    assert_eq!(w.operator(&agent, unreserve(&reserved("cpus:1", "eng"))), Answer::Accepted);
    assert!(w.total(&agent).reservations().is_empty());
    // One task of two cpus; the rest is offered.
    let scheduler = w.scheduler(ops(&["web"]));
    let offer = one_offer(&mut w, &scheduler);
    w.launch(&scheduler, &[&offer], vec![task_info("t", &offer, "cpus:2;mem:64")]);
    w.pass(SECOND * 6);
    let offer = one_offer(&mut w, &scheduler);
    assert_eq!(w.operator(&agent, reserve(&reserved("cpus:1", "eng"))), Answer::Accepted);
    let events = w.events(&scheduler);
    let rescinded = events.iter().find_map(|e| e.rescind.as_ref()).expect("a rescind");
    assert_eq!(rescinded.offer_id, offer.id);
    let again = events.into_iter().filter_map(|e| e.offers).flat_map(|o| o.offers).next().unwrap();
    assert_eq!(bag(&again).cpus().as_f64(), 1.0, "the other half is offered again");
    // What is in use is not there, and nothing is taken back for it.
    let (status, text) = refused(w.operator(&agent, reserve(&reserved("cpus:2", "eng"))));
    assert_eq!(status, 409);
    assert!(text.contains("does not contain cpus:2"), "{text}");
    assert!(w.events(&scheduler).is_empty());
}

// covers: MES-0638, MES-0640, MES-0645, MES-0646, MES-0649, MES-0650, MES-0651
#[test]
fn what_an_operator_says_wrongly_is_refused_with_the_reason() {
    let mut w = World::new();
    let agent = w.agent("node1", "cpus:4;mem:1024;disk:100;cpus(eng):1");
    let mut says = |operation: Operation, principal: Option<&str>| match w
        .operator_named(&agent, operation, principal)
    {
        Answer::Refused { status, text } => (status, text),
        other => (202, format!("{other:?}")),
    };
    let of = |principal: &str| {
        let plain = resources_from_v1(&wire("cpus:1")).unwrap();
        plain.push_reservation(&Reservation::dynamic("eng", Some(principal)))
    };
    let refused = |answer: (u16, String), status: u16, part: &str| {
        assert!(answer.0 == status && answer.1.contains(part), "{answer:?}");
    };
    refused(says(reserve(&of("dev")), Some("ops")), 400, "with principal 'dev' set");
    refused(says(reserve(&reserved("cpus:9", "eng")), None), 409, "does not contain cpus:9");
    let mut star = post(&of("ops"));
    star[0].reservations[0].role = Some("*".into());
    refused(says(operation(Type::Reserve, star), None), 400, "cannot be ");
    refused(says(reserve(&volume("v", 10)), None), 400, "must already be reserved");
    let fixed = resources_from_v1(&wire("cpus(eng):1")).unwrap();
    let text = "Invalid UNRESERVE operation on agent ";
    refused(says(unreserve(&fixed), None), 400, text);
    refused(says(unreserve(&fixed), None), 400, "is not dynamically reserved");
    let allocated = reserved("cpus:1", "eng").allocate(&"eng".into());
    refused(says(reserve(&allocated), None), 400, "to unallocated resources");
    assert_eq!(says(reserve(&of("ops")), Some("ops")).0, 202);
    assert_eq!(says(reserve(&of("dev")), Some("dev")).0, 202);
    let two = reserved("cpus:2", "eng");
    refused(says(unreserve(&two), None), 409, "does not contain");
    let mut labelled = post(&reserved("mem:10", "eng"));
    let label = |key: &str| {
        let label = v1::Label { key: key.into(), value: None };
        Some(v1::Labels { labels: vec![label] })
    };
    labelled[0].reservation.as_mut().unwrap().labels = label("a");
    labelled[0].reservations[0].labels = label("a");
    assert_eq!(says(operation(Type::Reserve, labelled.clone()), None).0, 202);
    refused(says(unreserve(&reserved("mem:10", "eng")), None), 409, "does not contain");
    assert_eq!(says(operation(Type::Unreserve, labelled), None).0, 202);
    let nobody = FakeAgent { id: "none".into(), ..agent.clone() };
    let answer = w.operator(&nobody, reserve(&two));
    assert_eq!(super::world::refused(answer), (400, "No agent found with specified ID".into()));
}

// covers: MES-0214
#[test]
fn an_operator_changes_a_reservation_in_place() {
    let mut w = World::new();
    let agent = w.agent("node1", "cpus:4;mem:1024");
    let (before, after) = (reserved("cpus:1", "eng"), reserved("cpus:1", "web"));
    assert_eq!(w.operator(&agent, reserve(&before)), Answer::Accepted);
    let change = |to: &Resources| {
        let reserve = Reserve { source: post(&before), resources: post(to) };
        Operation { reserve: Some(reserve), ..reserve_nothing() }
    };
    let (status, text) = refused(w.operator(&agent, change(&reserved("cpus:2", "web"))));
    assert!(status == 400 && text.contains("not of the same quantities"), "{text}");
    assert_eq!(w.operator(&agent, change(&after)), Answer::Accepted);
    assert_eq!(w.total(&agent).checkpointed(), after);
    assert_eq!(refused(w.operator(&agent, change(&after))).0, 409, "it is not there any more");
}

fn reserve_nothing() -> Operation {
    Operation { r#type: Some(Type::Reserve as i32), ..Default::default() }
}

// covers: MES-0216, MES-0665, MES-0666, MES-0667, MES-0668, MES-0669, MES-0670, MES-0671, MES-0675, MES-0676
// covers: MES-0700, MES-0701
#[test]
fn an_operator_makes_and_destroys_volumes() {
    let mut w = World::new();
    let agent = w.agent("node1", "cpus:4;mem:1024;disk:100;disk(eng):40");
    let fixed = volume_of("fixed", resources_from_v1(&wire("disk(eng):40")).unwrap());
    assert_eq!(w.operator(&agent, create(&fixed)), Answer::Accepted);
    assert_eq!(w.operator(&agent, reserve(&reserved("disk:60", "eng"))), Answer::Accepted);
    assert_eq!(w.operator(&agent, create(&volume("v", 50))), Answer::Accepted);
    assert_eq!(w.remembered(&agent).unwrap().persistent_volumes(), &fixed + &volume("v", 50));
    let mut says = |operation: Operation, status: u16, part: &str| {
        let answer = refused(w.operator(&agent, operation));
        assert!(answer.0 == status && answer.1.contains(part), "{answer:?}");
    };
    says(create(&volume("v", 10)), 400, "Persistence ID 'v' is not unique");
    says(create(&volume("w", 11)), 409, "does not contain");
    let web = volume_of("w", reserved("disk:10", "web"));
    says(create(&web), 409, "does not contain");
    says(unreserve(&reserved("disk:50", "eng")), 409, "does not contain");
    says(unreserve(&volume("v", 50)), 400, "cannot be unreserved directly");
    says(destroy(&volume("w", 50)), 400, "Persistent volumes not found");
    let changed = |change: fn(&mut v1::resource::DiskInfo)| {
        let mut all = post(&volume("w", 10));
        change(all[0].disk.as_mut().unwrap());
        operation(Type::Create, all)
    };
    let part = "Read-only persistent volume not supported";
    says(changed(|d| d.volume.as_mut().unwrap().mode = v1::volume::Mode::Ro as i32), 400, part);
    let part = "Expecting 'host_path' to be unset for persistent volume";
    says(changed(|d| d.volume.as_mut().unwrap().host_path = Some("/etc".into())), 400, part);
    says(changed(|d| d.volume = None), 400, "Expecting 'volume' to be set");
    says(changed(|d| d.persistence = None), 400, "Non-persistent volume not supported");
    let part = "Invalid persistence ID for persistent volume";
    for id in ["a/b", "..", ""] {
        let mut all = post(&volume("w", 10));
        all[0].disk.as_mut().unwrap().persistence.as_mut().unwrap().id = id.into();
        says(operation(Type::Create, all), 400, part);
    }
    says(create(&reserved("disk:10", "eng")), 400, "does not have DiskInfo");
    let bare = volume_of("w", resources_from_v1(&wire("disk:10")).unwrap());
    says(create(&bare), 400, "cannot be created from unreserved resources");
    for all in [fixed, volume("v", 50)] {
        assert_eq!(w.operator(&agent, destroy(&all)), Answer::Accepted);
    }
    assert!(w.total(&agent).persistent_volumes().is_empty());
    assert_eq!(w.total(&agent).disk().as_f64(), 140.0);
}

// covers: MES-0662, MES-0673
#[test]
fn a_volume_in_use_is_not_destroyed_and_afterwards_anybody_may() {
    let mut w = World::new();
    let agent = w.agent("node1", "cpus:4;mem:1024;disk:100");
    let scheduler = w.scheduler(ops(&["eng"]));
    let offer = one_offer(&mut w, &scheduler);
    let (disk, made) = (reserved("disk:50", "eng"), volume("v", 50));
    let uses = &resources_from_v1(&wire("cpus:1;mem:64")).unwrap() + &made;
    let tasks = ["t", "u"].map(|id| launch(vec![task_with(id, &offer, &uses)]));
    let [first, second] = tasks;
    w.operate_on(&scheduler, &offer, vec![reserve(&disk), create(&made), first, second]);
    let told = w.statuses(&scheduler);
    assert_eq!(told.len(), 1, "the second has no volume: {told:?}");
    assert!(told[0].message().contains("is more than available"), "{}", told[0].message());
    let (status, text) = refused(w.operator(&agent, destroy(&made)));
    assert!(status == 400 && text.contains("Persistent volumes in use"), "{text}");
    w.report(&agent, &scheduler, "t", v1::TaskState::TaskFinished, 1);
    w.pass(SECOND * 6);
    assert_eq!(w.operator(&agent, destroy(&made)), Answer::Accepted);
    assert_eq!(w.total(&agent).reserved("eng"), disk);
}

// covers: MES-0660, MES-0661
#[test]
fn a_shared_volume_is_used_by_many_and_destroyed_when_nobody_does() {
    let mut w = World::new();
    let agent = w.agent("node1", "cpus:4;mem:1024;disk:100");
    let first = w.scheduler(ops(&["eng"]));
    let offer = one_offer(&mut w, &first);
    let (disk, made) = (reserved("disk:50", "eng"), shared("v", 50));
    let uses = &resources_from_v1(&wire("cpus:1;mem:64")).unwrap() + &made;
    let tasks = vec![task_with("a", &offer, &uses), task_with("b", &offer, &uses)];
    w.operate_on(&first, &offer, vec![reserve(&disk), create(&made), launch(tasks)]);
    let offer = one_offer(&mut w, &first);
    assert!(bag(&offer).contains(&made), "it is still offered");
    w.operate_on(&first, &offer, vec![destroy(&made)]);
    assert!(w.total(&agent).contains(&made), "it is in use");
    for (n, task) in ["a", "b"].into_iter().enumerate() {
        w.report(&agent, &first, task, v1::TaskState::TaskFinished, n as u8 + 1);
    }
    w.audit().unwrap();
    w.pass(SECOND * 6);
    w.events(&first);
    // It holds several offers with it; one goes to another framework of the role.
    let live = w.core.offers.live.values().map(|o| (*o.wire).clone());
    let mine: Vec<v1::Offer> = live.filter(|o| bag(o).contains(&made)).collect();
    assert!(mine.len() > 1, "{mine:?}");
    w.decline(&first, &mine[..1], Some(1000.0));
    let second = w.scheduler(ops(&["eng"]));
    let other = one_offer(&mut w, &second);
    assert!(bag(&other).contains(&made));
    w.operate_on(&first, &mine[1], vec![destroy(&made)]);
    let events = w.events(&second);
    assert!(events.iter().any(|e| e.rescind.is_some()), "{events:?}");
    assert!(w.total(&agent).persistent_volumes().is_empty());
    assert_eq!(w.total(&agent).reserved("eng"), disk);
}

#[test]
fn an_agent_is_not_asked_to_remember_without_end() {
    let mut w = World::new();
    let agent = w.agent("node1", "cpus:4;mem:1024");
    let mut all = post(&reserved("cpus:1", "eng"));
    let label = v1::Label { key: "x".repeat(1024 * 1024), value: None };
    let labels = Some(v1::Labels { labels: vec![label] });
    all[0].reservation = None;
    #[allow(deprecated)]
    {
        all[0].role = None;
    }
    all[0].reservations[0].labels = labels;
    let (status, text) = refused(w.operator(&agent, operation(Type::Reserve, all)));
    assert!(status == 409 && text.contains("written down"), "{text}");
}
