//! Subscriptions: accepted, refused, taken over, lost, ended.

use super::super::Options;
use super::super::io::{Act, Answer, Input, RequestId, SessionId};
use super::world::*;
use crate::mesos::make;
use crate::mesos::v1::framework_info::capability::Type as Capability;
use crate::mesos::v1::scheduler::{Call, call, event};
use crate::mesos::v1::{self, TaskState as S};

// covers: MES-0143, MES-0156
#[test]
fn subscribed_comes_first_then_heartbeats_at_their_interval() {
    let mut w = World::new();
    let (session, answer) = w.subscribe(framework(), &[]);
    assert_eq!(answer, Answer::Accepted);
    let subscribed = w.next_event(&session).unwrap().subscribed.unwrap();
    assert_eq!(subscribed.framework_id.value, "master1-0000");
    assert_eq!(subscribed.heartbeat_interval_seconds, Some(15.0));
    let master = subscribed.master_info.unwrap();
    assert_eq!((master.ip, master.port), (16_777_343, 5050));
    assert_eq!(w.next_event(&session).unwrap().r#type(), event::Type::Heartbeat);
    assert!(w.next_event(&session).is_none());
    w.pass(15 * SECOND);
    assert_eq!(w.next_event(&session).unwrap().r#type(), event::Type::Heartbeat);
    w.pass(30 * SECOND);
    assert!(w.next_event(&session).is_some() && w.next_event(&session).is_some());
    assert!(w.next_event(&session).is_none());
}

#[test]
fn subscribed_waits_for_the_registry_and_heartbeats_for_nothing() {
    let mut w = World::new();
    let call = Call {
        r#type: Some(call::Type::Subscribe as i32),
        subscribe: Some(call::Subscribe { framework_info: framework(), ..Default::default() }),
        ..Call::default()
    };
    let out = w.step_only(Input::Subscribe {
        request: RequestId(1),
        session: SessionId("s".into()),
        call: Box::new(call),
        principal: None,
    });
    assert_eq!(out.writes.len(), 1);
    let waits = out.acts.iter().find(|(_, act)| matches!(act, Act::Event { .. })).unwrap().0;
    assert_eq!(waits, 1, "SUBSCRIBED comes after the write");
}

fn error_of(w: &mut World, session: &SessionId) -> String {
    let error = w.next_event(session).expect("an event").error.expect("ERROR").message;
    assert!(w.closed_sessions.contains(session), "closed after the error");
    assert!(w.next_event(session).is_none());
    error
}

// covers: MES-0069, MES-0132, MES-0144
#[test]
fn a_bad_framework_info_is_an_error_event_on_an_accepted_stream() {
    let multi = |roles: &[&str]| multi_role(roles);
    #[allow(deprecated)]
    let with_role =
        |role: &str, info: v1::FrameworkInfo| v1::FrameworkInfo { role: Some(role.into()), ..info };
    let table: Vec<(v1::FrameworkInfo, &[&str], &str)> = vec![
        (
            with_role("a", multi(&["a"])),
            &[],
            "'FrameworkInfo.role' must not be set when the framework is MULTI_ROLE capable",
        ),
        (
            v1::FrameworkInfo { roles: vec!["a".into()], ..framework() },
            &[],
            "'FrameworkInfo.roles' must not be set when the framework is not MULTI_ROLE capable",
        ),
        (multi(&["a", "b", "a"]), &[], "'FrameworkInfo.roles' contains duplicate items: { a }"),
        (
            multi(&["/x"]),
            &[],
            "'FrameworkInfo.roles' contains invalid role: Role '/x' cannot start with a slash",
        ),
        (
            with_role("a b", framework()),
            &[],
            "'FrameworkInfo.role' is not a valid role: Role component 'a b' is invalid because it \
             contains backspace or whitespace",
        ),
        (
            v1::FrameworkInfo { failover_timeout: Some(-1.0), ..framework() },
            &[],
            "The framework failover_timeout (-1) is invalid: it is negative",
        ),
        (
            v1::FrameworkInfo { failover_timeout: Some(1e300), ..framework() },
            &[],
            "is invalid: it is out of the range that can be represented",
        ),
        (
            v1::FrameworkInfo { id: Some(make::framework_id("a/b")), ..framework() },
            &[],
            "'a/b' contains invalid characters",
        ),
        (
            multi(&["a"]),
            &["a", "b"],
            "Suppressed roles { b } are not contained in the set of roles",
        ),
    ];
    for (info, suppressed, text) in table {
        let mut w = World::new();
        let (session, answer) = w.subscribe(info, suppressed);
        assert_eq!(answer, Answer::Accepted);
        let error = error_of(&mut w, &session);
        assert!(error.contains(text), "{error:?} lacks {text:?}");
        assert!(w.view().frameworks.is_empty() && w.registry.is_empty(), "nothing is stored");
    }
}

#[test]
fn the_operator_may_limit_roles_and_root() {
    let options = Options {
        roles: Some(["eng".into()].into()),
        root_submissions: false,
        ..Options::default()
    };
    let mut w = World::with(options);
    let (session, _) = w.subscribe(framework(), &[]);
    let text = "Roles { * } are not present in the master's --roles";
    assert_eq!(error_of(&mut w, &session), text);
    let (session, _) = w.subscribe(multi_role(&["eng"]), &[]);
    let text = "User 'root' is not allowed to run frameworks without --root_submissions set";
    assert_eq!(error_of(&mut w, &session), text);
    let (session, _) =
        w.subscribe(v1::FrameworkInfo { user: "me".into(), ..multi_role(&["eng"]) }, &[]);
    assert!(w.next_event(&session).unwrap().subscribed.is_some());
}

#[test]
fn what_is_not_acted_on_is_not_accepted() {
    let mut w = World::new();
    let mut constraints = v1::scheduler::OfferConstraints::default();
    constraints.role_constraints.insert("*".into(), Default::default());
    let subscribe = call::Subscribe {
        framework_info: framework(),
        offer_constraints: Some(constraints),
        ..Default::default()
    };
    let (session, _) = w.subscribe_call(subscribe, None);
    assert!(error_of(&mut w, &session).contains("not supported"));
}

#[test]
fn a_call_that_is_no_subscription_is_400() {
    let mut w = World::new();
    let info = v1::FrameworkInfo { principal: Some("a".into()), ..framework() };
    let subscribe = call::Subscribe { framework_info: info, ..Default::default() };
    let (_, answer) = w.subscribe_call(subscribe.clone(), Some("b"));
    let text = "Failed to validate scheduler::Call: Authenticated principal 'b' does not match \
                principal 'a' set in `FrameworkInfo`";
    assert_eq!(refused(answer), (400, text.into()));
    let call = Call {
        framework_id: Some(make::framework_id("x")),
        r#type: Some(call::Type::Subscribe as i32),
        subscribe: Some(subscribe),
        ..Call::default()
    };
    let out = w.step_only(Input::Subscribe {
        request: RequestId(9),
        session: SessionId("s".into()),
        call: Box::new(call),
        principal: None,
    });
    let [(_, Act::Answer { answer, .. })] = &out.acts[..] else { panic!("one answer") };
    let text = "Failed to validate scheduler::Call: 'framework_id' differs from \
                'subscribe.framework_info.id'";
    assert_eq!(refused(answer.clone()), (400, text.into()));
}

#[test]
fn the_authenticated_principal_is_taken_over_and_never_changes() {
    let mut w = World::new();
    let subscribe = call::Subscribe { framework_info: framework(), ..Default::default() };
    let (session, _) = w.subscribe_call(subscribe, Some("ops"));
    let id = w.next_event(&session).unwrap().subscribed.unwrap().framework_id;
    assert_eq!(w.view().frameworks[0].info.principal(), "ops");
    let info = v1::FrameworkInfo { id: Some(id), principal: Some("other".into()), ..framework() };
    let (session, _) = w.subscribe(info, &[]);
    assert_eq!(error_of(&mut w, &session), "Changing framework's principal is not allowed.");
}

// covers: MES-0098, MES-0103, MES-0146, MES-0157
#[test]
fn a_second_scheduler_takes_over_and_the_first_is_told() {
    let mut w = World::new();
    w.agent("node1", "cpus:4;mem:1024");
    let first = w.scheduler(framework());
    let old = w.offers(&first);
    let second = w.resubscribe(&first);
    let events = w.events(&first);
    assert_eq!(events.len(), 1, "no RESCIND: {events:?}");
    assert_eq!(events[0].error.as_ref().unwrap().message, "Framework failed over");
    assert!(w.closed_sessions.contains(&first.session));
    let new = w.offers(&second);
    assert_eq!(new.len(), 1, "what was offered is offered again");
    assert_ne!(new[0].id, old[0].id);
    assert!(w.view().frameworks[0].reregistered_time.is_some());
    // The old session's end changes nothing any more.
    w.step(Input::SessionClosed { session: first.session.clone() });
    assert!(w.view().frameworks[0].connected);
    w.launch(&second, &[&old[0]], vec![task_info("t", &old[0], "cpus:1")]);
    assert_eq!(state(&w.statuses(&second)[0]), S::TaskLost, "old offers are void");
}

#[test]
fn a_scheduler_that_takes_over_is_not_bound_by_refusals_of_the_first() {
    let mut w = World::new();
    w.agent("node1", "cpus:4;mem:1024");
    let first = w.scheduler(framework());
    let offers = w.offers(&first);
    w.decline(&first, &offers, Some(3600.0));
    let second = w.resubscribe(&first);
    assert_eq!(w.offers(&second).len(), 1);
}

// covers: MES-0114
#[test]
fn name_and_capabilities_change_on_failover_user_and_checkpoint_do_not() {
    let mut w = World::new();
    let first = w.scheduler(framework());
    let info = v1::FrameworkInfo {
        name: "other".into(),
        user: "nobody".into(),
        checkpoint: Some(false),
        webui_url: Some("http://x".into()),
        failover_timeout: Some(7.0),
        ..with_capabilities(first.info.clone(), &[Capability::PartitionAware])
    };
    let (session, _) = w.subscribe(info, &[]);
    assert!(w.next_event(&session).unwrap().subscribed.is_some());
    let view = w.view();
    let info = &view.frameworks[0].info;
    assert_eq!((info.name.as_str(), info.webui_url()), ("other", "http://x"));
    assert_eq!((info.failover_timeout(), info.capabilities.len()), (7.0, 1));
    assert_eq!((info.user.as_str(), info.checkpoint()), ("root", true));
}

// covers: MES-0099, MES-0117
#[test]
fn coming_back_after_the_failover_timeout_is_refused() {
    let mut w = World::new();
    let scheduler = w.scheduler(framework());
    w.hang_up(&scheduler);
    assert!(w.view().frameworks[0].failover_deadline.is_some());
    w.pass(HOUR - SECOND);
    let again = w.resubscribe(&scheduler);
    w.pass(2 * HOUR);
    assert_eq!(w.view().frameworks.len(), 1, "back in time");
    w.hang_up(&again);
    w.pass(HOUR);
    assert!(w.view().frameworks.is_empty());
    assert_eq!(w.view().completed_frameworks.len(), 1);
    let (session, answer) = w.subscribe(scheduler.info.clone(), &[]);
    assert_eq!(answer, Answer::Accepted);
    assert_eq!(error_of(&mut w, &session), "Framework has been removed");
}

// covers: MES-0043, MES-0100, MES-0118
#[test]
fn teardown_ends_tasks_executors_and_the_id() {
    let mut w = World::new();
    let agent = w.agent("node1", "cpus:4;mem:1024");
    let scheduler = w.scheduler(framework());
    w.run_task(&agent, &scheduler, "t1");
    assert_eq!(w.call(&scheduler, call::Type::Teardown, Call::default()), Answer::Accepted);
    assert!(w.closed_sessions.contains(&scheduler.session));
    assert!(w.statuses(&scheduler).is_empty(), "TASK_KILLED is not delivered");
    let inbox = w.inbox(&agent);
    assert_eq!(inbox[0].shutdown_framework.as_ref().unwrap().framework_id.value, scheduler.id);
    let view = w.view();
    assert!(view.agents[0].used.is_empty(), "resources are free");
    assert_eq!(view.completed_frameworks[0].completed_tasks[0].state(), S::TaskKilled);
    let (session, _) = w.subscribe(scheduler.info.clone(), &[]);
    assert_eq!(error_of(&mut w, &session), "Framework has been removed");
    // Another framework gets all of it.
    let other = w.scheduler(framework());
    assert_eq!(w.offers(&other)[0].resources.len(), 2);
}

// covers: MES-0110, MES-0120
#[test]
fn without_failover_timeout_the_end_of_the_stream_ends_the_framework() {
    let mut w = World::new();
    let agent = w.agent("node1", "cpus:4;mem:1024");
    let scheduler = w.scheduler(v1::FrameworkInfo { failover_timeout: None, ..framework() });
    w.run_task(&agent, &scheduler, "t1");
    w.hang_up(&scheduler);
    assert!(w.view().frameworks.is_empty());
    assert!(w.inbox(&agent)[0].shutdown_framework.is_some());
}

#[test]
fn an_operator_ends_a_framework() {
    let mut w = World::new();
    let scheduler = w.scheduler(framework());
    let text = "No framework found with specified ID";
    assert_eq!(refused(w.teardown("nobody")), (400, text.into()));
    assert_eq!(w.teardown(&scheduler.id), Answer::Done);
    assert!(w.closed_sessions.contains(&scheduler.session));
    assert_eq!(refused(w.teardown(&scheduler.id)).0, 400);
}

// covers: MES-0106, MES-0119
#[test]
fn an_update_sent_again_reaches_the_new_scheduler() {
    let mut w = World::new();
    let agent = w.agent("node1", "cpus:4;mem:1024");
    let first = w.scheduler(framework());
    let offers = w.offers(&first);
    w.launch(&first, &[&offers[0]], vec![task_info("t1", &offers[0], "cpus:1")]);
    w.report(&agent, &first, "t1", S::TaskRunning, 1);
    let second = w.resubscribe(&first);
    let inbox = w.inbox(&agent);
    assert!(inbox.iter().any(|m| m.update_framework.is_some()), "the agent is told");
    w.report(&agent, &first, "t1", S::TaskRunning, 1);
    let statuses = w.statuses(&second);
    assert_eq!(statuses[0].uuid, Some(vec![1; 16]));
}

#[test]
fn ended_frameworks_and_ids_are_bounded() {
    let mut w = World::with(Options { max_completed_frameworks: 2, ..Options::default() });
    for _ in 0..4 {
        let scheduler = w.scheduler(framework());
        w.call(&scheduler, call::Type::Teardown, Call::default());
    }
    let view = w.view();
    let shown: Vec<_> =
        view.completed_frameworks.iter().map(|f| f.info.id.clone().unwrap().value).collect();
    assert_eq!(shown, ["master1-0002", "master1-0003"]);
    assert_eq!(w.registry.len(), 4, "more ids are remembered than shown");
}

#[test]
fn update_framework_is_all_or_nothing() {
    let mut w = World::new();
    w.agent("node1", "cpus:4;mem:1024");
    let scheduler = w.scheduler(multi_role(&["a", "b"]));
    let offer = w.offers(&scheduler).remove(0);
    let update = |info: v1::FrameworkInfo| Call {
        update_framework: Some(call::UpdateFramework {
            framework_info: info,
            ..Default::default()
        }),
        ..Call::default()
    };
    let kind = call::Type::UpdateFramework;
    for (info, text) in [
        (
            v1::FrameworkInfo { user: "x".into(), ..scheduler.info.clone() },
            "Updating 'FrameworkInfo.user' is unsupported",
        ),
        (
            v1::FrameworkInfo { checkpoint: None, ..scheduler.info.clone() },
            "Updating 'FrameworkInfo.checkpoint' is unsupported",
        ),
        (
            v1::FrameworkInfo { principal: Some("x".into()), ..scheduler.info.clone() },
            "Changing framework's principal is not allowed.",
        ),
    ] {
        assert_eq!(refused(w.call(&scheduler, kind, update(info))), (400, text.into()));
    }
    assert_eq!(*w.view().frameworks[0].info, scheduler.info, "nothing changed");
    let role = offer.allocation_info.as_ref().unwrap().role().to_string();
    let stays = if role == "a" { "b" } else { "a" };
    let info = v1::FrameworkInfo { roles: vec![stays.into()], ..scheduler.info.clone() };
    assert_eq!(w.call(&scheduler, kind, update(info.clone())), Answer::Done);
    let events = w.events(&scheduler);
    assert_eq!(events[0].rescind.as_ref().unwrap().offer_id, offer.id);
    assert_eq!(
        events[1].offers.as_ref().unwrap().offers[0].allocation_info.as_ref().unwrap().role(),
        stays
    );
    assert_eq!(*w.view().frameworks[0].info, info);
}
