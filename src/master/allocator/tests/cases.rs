//! Cases of the original's suite, by its names.

use super::*;
use crate::base::resources::{Quantities, Reservation, Resource};
use std::collections::BTreeMap;

fn reserved(text: &str, role: &str) -> Resources {
    res(text).push_reservation(&Reservation::fixed(role))
}

fn set<const N: usize>(
    offers: [(String, String, String); N],
) -> BTreeSet<(String, String, String)> {
    offers.into()
}

// covers: MES-0715
#[test]
fn unreserved_drf() {
    let mut lab = Lab::new();
    lab.agent("s1", "cpus:2;mem:1024");
    lab.framework("f1", ["role1"]);
    assert_eq!(lab.offers(), set([offer("f1", "s1", "cpus:2; mem:1024")]));
    // role2 holds nothing: the next agent is its.
    lab.framework("f2", ["role2"]);
    lab.agent("s2", "cpus:1;mem:512");
    assert_eq!(lab.offers(), set([offer("f2", "s2", "cpus:1; mem:512")]));
    // role1 0.67, role2 0.33.
    lab.agent("s3", "cpus:3;mem:2048");
    assert_eq!(lab.offers(), set([offer("f2", "s3", "cpus:3; mem:2048")]));
    // role1 0.33, role2 0.71; in role1 the newcomer f3 holds nothing.
    lab.framework("f3", ["role1"]);
    lab.agent("s4", "cpus:4;mem:4096");
    assert_eq!(lab.offers(), set([offer("f3", "s4", "cpus:4; mem:4096")]));
    // role1 0.6 of cpus, role2 0.4.
    lab.agent("s5", "cpus:1;mem:512");
    assert_eq!(lab.offers(), set([offer("f2", "s5", "cpus:1; mem:512")]));
}

#[test]
fn weights_shift_shares() {
    let mut lab = Lab::new();
    lab.allocator.update_weight("b".into(), 3.0).expect("positive");
    assert!(lab.allocator.update_weight("a".into(), 0.0).is_err());
    lab.framework("f1", ["a"]);
    lab.framework("f2", ["b"]);
    for n in 0..12 {
        lab.agent(&format!("s{n}"), "cpus:1;mem:100");
    }
    let offers = lab.allocate();
    let of = |id: &str| offers.iter().filter(|o| o.framework == fw(id)).count();
    assert_eq!((of("f1"), of("f2")), (3, 9));
    let roles = lab.allocator.roles();
    assert_eq!(roles[&Role::from("b")].weight, 3.0);
    assert_eq!(roles[&Role::from("b")].dominant_share, 0.75);
}

#[test]
fn nested_roles_are_served_level_by_level() {
    let mut lab = Lab::new();
    lab.framework("f1", ["a/b"]);
    lab.framework("f2", ["a/c"]);
    lab.framework("f3", ["d"]);
    for n in 0..8 {
        lab.agent(&format!("s{n}"), "cpus:1;mem:100");
    }
    let offers = lab.allocate();
    let of = |id: &str| offers.iter().filter(|o| o.framework == fw(id)).count();
    assert_eq!((of("f1"), of("f2"), of("f3")), (2, 2, 4));
}

// covers: MES-0719
#[test]
fn offer_filter() {
    let mut lab = Lab::new();
    lab.framework("f1", ["role1"]);
    lab.agent("s1", "cpus:2;mem:1024");
    let first = lab.only_offer();
    lab.recover(&first, Some(5));
    assert!(lab.allocate().is_empty());
    assert_eq!(lab.allocator.counters().filters_active, 1);
    lab.pass(Duration::from_millis(4999));
    assert!(lab.allocate().is_empty());
    assert_eq!(lab.allocator.wake_at(), Some(Mono(1) + Duration::from_secs(5)));
    lab.pass(Duration::from_millis(1));
    assert_eq!(lab.only_offer(), first);
    assert_eq!(lab.allocator.wake_at(), None);
}

// covers: MES-0719
#[test]
fn a_filter_speaks_against_parts_but_not_against_more() {
    let mut lab = Lab::new();
    lab.framework("f1", ["role1"]);
    lab.agent("s1", "cpus:2;mem:1024");
    let first = lab.only_offer();
    let (task, rest) = (res("cpus:1;mem:512").allocate(&first.role), res("cpus:1;mem:512"));
    lab.recover_part(&first, &rest.allocate(&first.role), Some(3600));
    assert!(lab.allocate().is_empty());
    // The task ends: that is more than was refused.
    lab.recover_part(&first, &task, None);
    assert_eq!(lab.only_offer(), first);
}

// covers: MES-0720
#[test]
fn short_filters_last_an_allocation_interval() {
    let mut lab = Lab::new();
    lab.framework("f1", ["role1"]);
    lab.agent("s1", "cpus:2;mem:1024");
    let first = lab.only_offer();
    lab.recover(&first, Some(0));
    assert!(lab.allocate().is_empty());
    lab.pass(Duration::from_millis(999));
    assert!(lab.allocate().is_empty());
    lab.pass(Duration::from_millis(1));
    assert_eq!(lab.only_offer(), first);
}

// covers: MES-0721, MES-0759
#[test]
fn coarse_grained() {
    let mut lab = Lab::new();
    lab.agent("s1", "cpus:2;mem:1024;ports:[31000-32000]");
    lab.agent("s2", "cpus:2;mem:1024;ports:[31000-32000]");
    lab.framework("f1", ["role1"]);
    lab.framework("f2", ["role2"]);
    let offers = lab.allocate();
    assert_eq!(offers.len(), 2);
    assert_ne!(offers[0].framework, offers[1].framework);
    assert_ne!(offers[0].agent, offers[1].agent);
    for offer in offers {
        let whole = res("cpus:2;mem:1024;ports:[31000-32000]");
        assert_eq!(offer.resources, whole.allocate(&offer.role));
    }
}

// covers: MES-0722
#[test]
fn same_share_fairness() {
    let mut lab = Lab::new();
    lab.framework("f1", ["*"]);
    lab.framework("f2", ["*"]);
    lab.agent("s1", "cpus:2;mem:1024");
    let mut counts = BTreeMap::new();
    for _ in 0..10 {
        let offer = lab.only_offer();
        *counts.entry(offer.framework.clone()).or_insert(0) += 1;
        lab.recover(&offer, None);
    }
    assert_eq!(counts.into_values().collect::<Vec<_>>(), [5, 5]);
}

// covers: MES-0723
#[test]
fn reservations() {
    let mut lab = Lab::new();
    lab.agent_with("s1", &reserved("cpus:2;mem:1024", "role1") + &res("cpus:1;mem:512"));
    lab.agent_with("s2", reserved("cpus:2;mem:1024", "role1"));
    lab.agent_with("s3", reserved("cpus:2;mem:1024", "role3"));
    lab.framework("f2", ["role2"]);
    assert_eq!(lab.offers(), set([offer("f2", "s1", "cpus:1; mem:512")]));
    lab.framework("f1", ["role1"]);
    let offers = lab.allocate();
    let agents: BTreeSet<_> = offers.iter().map(|o| o.agent.as_str()).collect();
    assert_eq!(agents, ["s1", "s2"].into());
    for offer in offers {
        assert_eq!(offer.resources.unallocate(), reserved("cpus:2;mem:1024", "role1"));
    }
    // One visit of an agent may serve several roles.
    let mut lab = Lab::new();
    lab.framework("f1", ["role1"]);
    lab.framework("f2", ["role2"]);
    lab.agent_with(
        "s1",
        &reserved("cpus:2;mem:1024", "role1") + &reserved("cpus:1;mem:512", "role2"),
    );
    let both: BTreeSet<_> = lab.offers().into_iter().map(|(f, _, _)| f).collect();
    assert_eq!(both, ["f1".to_string(), "f2".to_string()].into());
}

// covers: MES-0745
#[test]
fn ancestors_reservations_go_to_descendants() {
    let mut lab = Lab::new();
    lab.agent_with("s1", reserved("cpus:2;mem:1024", "a"));
    lab.agent_with("s2", reserved("cpus:2;mem:1024", "a/b/c"));
    lab.framework("f1", ["a/b"]);
    let offer = lab.only_offer();
    assert_eq!(offer.agent, ag("s1"));
    assert_eq!(offer.role, Role::from("a/b"));
}

// covers: MES-0724
#[test]
fn recover_resources() {
    let mut lab = Lab::new();
    lab.framework("f1", ["role1"]);
    let whole = &reserved("cpus:1;mem:512", "role1") + &res("cpus:1;mem:512");
    lab.agent_with("s1", whole.clone());
    let first = lab.only_offer();
    assert_eq!(first.resources.unallocate(), whole);
    assert!(lab.allocate().is_empty());
    let part = first.resources.filter(|r| r.reservations.is_empty());
    lab.recover_part(&first, &part, None);
    assert_eq!(lab.only_offer().resources, part);
    lab.recover(&first, None);
    assert_eq!(lab.only_offer(), first);
}

#[test]
fn giving_back_more_than_was_held() {
    let mut lab = Lab::new();
    lab.framework("f1", ["role1"]);
    lab.agent("s1", "cpus:2;mem:1024");
    let offer = lab.only_offer();
    let more = res("cpus:3;mem:1024").allocate(&offer.role);
    let result = lab.allocator.recover(&fw("f1"), &ag("s1"), &more, None, lab.now);
    assert_eq!(result.unwrap_err().excess, res("cpus:1").allocate(&offer.role));
    assert_eq!(lab.only_offer(), offer);
    assert_eq!(lab.allocator.counters().mismatches, 1);
    let unallocated = lab.allocator.recover(&fw("f1"), &ag("s1"), &res("cpus:1"), None, lab.now);
    assert_eq!(unallocated.unwrap_err().excess, res("cpus:1"));
}

// covers: MES-0725
#[test]
fn allocatable() {
    let mut lab = Lab::new();
    lab.framework("f1", ["role1"]);
    lab.agent("too-little", "cpus:0.009;mem:31;disk:100000;ports:[1-9]");
    lab.agent("cpus-alone", "cpus:0.01");
    lab.agent("mem-alone", "mem:32");
    lab.agent("both", "cpus:0.005;mem:32");
    let agents: BTreeSet<_> = lab.allocate().iter().map(|o| o.agent.to_string()).collect();
    assert_eq!(agents, ["both", "cpus-alone", "mem-alone"].map(String::from).into());
}

// covers: MES-0726
#[test]
fn framework_min_allocatable() {
    let mut lab = Lab::new();
    lab.agent("small", "cpus:0.001;mem:8");
    lab.agent("medium", "cpus:1;mem:512");
    let mut picky = traits(["role1"]);
    let least = vec![Quantities::parse("cpus:2;mem:100").expect("quantities")];
    picky.min_allocatable.insert("role1".into(), least);
    lab.framework_with("f1", picky.clone());
    assert!(lab.allocate().is_empty());
    picky.min_allocatable.insert("role1".into(), Vec::new());
    lab.allocator.update_framework(&fw("f1"), picky, &BTreeSet::new());
    assert_eq!(lab.allocate().len(), 2);
}

// covers: MES-0729, MES-0747
#[test]
fn totals_change_and_growth_ends_filters() {
    let mut lab = Lab::new();
    lab.framework("f1", ["role1"]);
    lab.agent("s1", "cpus:2;mem:1024");
    let first = lab.only_offer();
    lab.allocator.update_agent_total(&ag("s1"), res("cpus:3;mem:1024"));
    let second = lab.only_offer();
    assert_eq!(second.resources.unallocate(), res("cpus:1"));
    // Smaller than what is used: nothing is free, and giving back first fills the gap.
    lab.allocator.update_agent_total(&ag("s1"), res("cpus:1;mem:1024"));
    assert!(lab.allocate().is_empty());
    lab.recover(&second, None);
    assert!(lab.allocate().is_empty());
    lab.recover(&first, Some(3600));
    assert!(lab.allocate().is_empty());
    lab.allocator.update_agent_total(&ag("s1"), res("cpus:2;mem:1024"));
    assert_eq!(lab.only_offer(), first);
}

// covers: MES-0732
#[test]
fn no_double_accounting() {
    let used = || res("cpus:1;mem:512").allocate(&"r".into());
    let mut results = Vec::new();
    for agent_first in [true, false] {
        let mut lab = Lab::new();
        let agent = |lab: &mut Lab| {
            let of = [(fw("f1"), used())];
            lab.allocator.add_agent(ag("s1"), AgentTraits::default(), res("cpus:4;mem:2048"), &of);
        };
        let framework = |lab: &mut Lab| {
            let on = [(ag("s1"), used())];
            lab.allocator.add_framework(fw("f1"), traits(["r"]), &BTreeSet::new(), true, &on);
        };
        if agent_first {
            agent(&mut lab);
            framework(&mut lab);
        } else {
            framework(&mut lab);
            agent(&mut lab);
        }
        let before = lab.allocator.roles();
        assert_eq!(before[&Role::from("r")].dominant_share, 0.25);
        let offer = lab.only_offer();
        assert_eq!(offer.resources.unallocate(), res("cpus:3;mem:1536"));
        results.push((before, offer, lab.allocator.roles()));
    }
    assert_eq!(results[0], results[1]);
}

// covers: MES-0741
#[test]
fn suppress_and_revive_offers() {
    let mut lab = Lab::new();
    lab.framework("f1", ["role1"]);
    lab.agent("s1", "cpus:2;mem:1024");
    let first = lab.only_offer();
    lab.recover(&first, Some(0));
    lab.allocator.suppress(&fw("f1"), &BTreeSet::new());
    lab.pass(Duration::from_secs(10));
    assert!(lab.allocate().is_empty());
    lab.agent("s2", "cpus:1;mem:512");
    assert!(lab.allocate().is_empty());
    lab.allocator.revive(&fw("f1"), &BTreeSet::new());
    assert_eq!(lab.allocate().len(), 2);
}

// covers: MES-0742
#[test]
fn revive_clears_long_filters() {
    let mut lab = Lab::new();
    lab.framework("f1", ["role1"]);
    lab.agent("s1", "cpus:2;mem:1024");
    let first = lab.only_offer();
    lab.recover(&first, Some(365 * 24 * 3600));
    assert!(lab.allocate().is_empty());
    lab.allocator.revive(&fw("f1"), &BTreeSet::new());
    assert_eq!(lab.only_offer(), first);
    assert_eq!(lab.allocator.counters().filters_active, 0);
}

// covers: MES-0743
#[test]
fn filters_and_suppression_are_per_role() {
    let mut lab = Lab::new();
    lab.framework("f1", ["a", "b"]);
    lab.agent("s1", "cpus:2;mem:1024");
    let first = lab.only_offer();
    assert_eq!(first.role, Role::from("a"));
    lab.recover(&first, Some(3600));
    let second = lab.only_offer();
    assert_eq!(second.role, Role::from("b"));
    lab.recover(&second, Some(3600));
    assert!(lab.allocate().is_empty());
    lab.allocator.suppress(&fw("f1"), &roles(["a"]));
    lab.allocator.revive(&fw("f1"), &roles(["b"]));
    assert_eq!(lab.only_offer().role, Role::from("b"));
    // Un-suppressing by a new list clears the filters of that role too.
    lab.recover(&second, Some(3600));
    lab.allocator.update_framework(&fw("f1"), traits(["a", "b"]), &BTreeSet::new());
    assert_eq!(lab.only_offer().role, Role::from("a"));
}

#[test]
fn a_disconnected_framework_gets_nothing_and_loses_its_filters() {
    let mut lab = Lab::new();
    lab.framework("f1", ["role1"]);
    lab.agent("s1", "cpus:2;mem:1024");
    let first = lab.only_offer();
    lab.recover(&first, Some(3600));
    lab.allocator.deactivate_framework(&fw("f1"));
    assert!(lab.allocate().is_empty());
    lab.allocator.activate_framework(&fw("f1"));
    assert_eq!(lab.only_offer(), first);
}

// covers: MES-0750
#[test]
fn single_framework_gets_the_whole_cluster() {
    let mut lab = Lab::new();
    for n in 0..50 {
        lab.agent(&format!("s{n}"), "cpus:2;mem:1024");
    }
    lab.framework("f1", ["*"]);
    assert_eq!(lab.offers().len(), 50);
    assert!(!lab.allocator.has_work());
    assert_eq!(lab.allocator.roles()[&Role::from("*")].dominant_share, 1.0);
}

// covers: MES-0751
#[test]
fn the_unused_part_goes_to_another_framework() {
    let mut lab = Lab::new();
    lab.framework("f1", ["*"]);
    lab.agent("s1", "cpus:2;mem:1024");
    let first = lab.only_offer();
    lab.framework("f2", ["*"]);
    let rest = res("cpus:1;mem:512").allocate(&first.role);
    lab.recover_part(&first, &rest, None);
    let second = lab.only_offer();
    assert_eq!((second.framework, second.resources), (fw("f2"), rest));
}

// covers: MES-0752, MES-0760
#[test]
fn what_an_ended_framework_held_returns() {
    let mut lab = Lab::new();
    lab.framework("f1", ["*"]);
    lab.agent("s1", "cpus:2;mem:1024");
    lab.agent("s2", "cpus:2;mem:1024");
    assert_eq!(lab.allocate().len(), 2);
    lab.framework("f2", ["*"]);
    assert!(lab.allocate().is_empty());
    lab.allocator.remove_framework(&fw("f1"));
    let whole = "cpus:2; mem:1024";
    assert_eq!(lab.offers(), set([offer("f2", "s1", whole), offer("f2", "s2", whole)]));
}

// covers: MES-0753
#[test]
fn resources_of_a_lost_agent_vanish() {
    let mut lab = Lab::new();
    lab.framework("f1", ["*"]);
    lab.agent("s1", "cpus:2;mem:1024");
    let first = lab.only_offer();
    lab.allocator.remove_agent(&ag("s1"));
    assert!(lab.allocator.roles()[&Role::from("*")].allocated.is_empty());
    lab.recover(&first, Some(5));
    assert!(lab.allocate().is_empty());
    assert_eq!(lab.allocator.counters().filters_active, 0);
    lab.agent("s2", "cpus:1;mem:100");
    assert_eq!(lab.offers(), set([offer("f1", "s2", "cpus:1; mem:100")]));
}

// covers: MES-0754
#[test]
fn resources_of_a_finished_task_return() {
    let mut lab = Lab::new();
    lab.framework("f1", ["*"]);
    lab.agent("s1", "cpus:2;mem:1024");
    let task = res("cpus:0.5;mem:100").allocate(&"*".into());
    lab.allocator.assign(&fw("f1"), &ag("s1"), &task);
    let first = lab.only_offer();
    assert_eq!(first.resources.unallocate(), res("cpus:1.5;mem:924"));
    lab.allocator.recover(&fw("f1"), &ag("s1"), &task, None, lab.now).expect("held");
    assert_eq!(lab.only_offer().resources, task);
}

#[test]
fn deactivated_agents_offer_nothing() {
    let mut lab = Lab::new();
    lab.framework("f1", ["*"]);
    lab.agent("s1", "cpus:2;mem:1024");
    lab.allocator.deactivate_agent(&ag("s1"));
    assert!(lab.allocate().is_empty());
    lab.allocator.activate_agent(&ag("s1"));
    assert_eq!(lab.allocate().len(), 1);
}

#[test]
fn gpus_and_regions_go_to_those_who_can() {
    let mut lab = Lab::new();
    lab.agent("gpus", "cpus:2;mem:1024;gpus:1");
    let remote = AgentTraits { remote_region: true, ..AgentTraits::default() };
    lab.allocator.add_agent(ag("far"), remote, res("cpus:2;mem:1024"), &[]);
    lab.framework("f1", ["*"]);
    assert!(lab.allocate().is_empty());
    lab.framework_with("f2", FrameworkTraits { gpu: true, ..traits(["*"]) });
    assert_eq!(lab.only_offer().agent, ag("gpus"));
    lab.framework_with("f3", FrameworkTraits { region_aware: true, ..traits(["*"]) });
    assert_eq!(lab.only_offer().agent, ag("far"));
}

// covers: MES-0727, MES-0730
#[test]
fn kinds_go_to_those_who_can() {
    use crate::base::resources::{Disk, DiskVolume, Persistence, Scalar, Value};
    let mut revocable = Resource::new("cpus", Value::Scalar(Scalar::whole(3)));
    revocable.revocable = true;
    let volume = Disk {
        persistence: Some(Persistence { id: "v".into(), principal: None }),
        volume: Some(DiskVolume {
            container_path: "p".into(),
            host_path: None,
            read_only: Some(false),
            rest: Vec::new(),
        }),
        ..Disk::default()
    };
    let mut shared = Resource::scalar("disk", 5.0);
    shared.reservations.push(Reservation::dynamic("r", None));
    shared.disk = Some(std::sync::Arc::new(volume));
    shared.shared = true;
    let refined = reserved("mem:64", "r").push_reservation(&Reservation::dynamic("r/s", None));
    let mut total = &res("cpus:1;mem:512") + &refined;
    total.extend([revocable, shared]);
    let usable = |change: &dyn Fn(&mut FrameworkTraits)| {
        let mut lab = Lab::new();
        lab.agent_with("s1", total.clone());
        let mut able = traits(["r/s"]);
        change(&mut able);
        lab.framework_with("f1", able);
        let got = lab.only_offer().resources;
        // A shared volume is offered on, with what is left over.
        lab.framework_with("f2", FrameworkTraits { shared: true, ..traits(["r"]) });
        lab.allocator.update_agent_total(&ag("s1"), &total + &res("mem:100"));
        let more: Vec<_> = lab.allocate().into_iter().filter(|o| o.framework == fw("f2")).collect();
        assert!(more.iter().all(|o| !o.resources.shared().is_empty()));
        (got.cpus(), got.mem(), got.disk())
    };
    let n = Scalar::whole;
    assert_eq!(usable(&|_| {}), (n(1), n(512), n(0)));
    assert_eq!(usable(&|t| t.revocable = true), (n(4), n(512), n(0)));
    assert_eq!(usable(&|t| t.reservation_refinement = true), (n(1), n(576), n(0)));
    assert_eq!(usable(&|t| t.shared = true), (n(1), n(512), n(5)));
}

#[test]
fn reserving_converts_what_is_held() {
    let mut lab = Lab::new();
    lab.framework("f1", ["r"]);
    lab.agent("s1", "cpus:2;mem:1024");
    let first = lab.only_offer();
    let unreserved = res("cpus:1").allocate(&"r".into());
    let reserved = reserved("cpus:1", "r").allocate(&"r".into());
    lab.allocator.convert(&fw("f1"), &ag("s1"), &unreserved, &reserved).expect("held");
    let after = &(&first.resources - &unreserved) + &reserved;
    lab.recover_part(&first, &after, None);
    assert_eq!(lab.only_offer().resources, after);
    let reserved_now = lab.allocator.roles()[&Role::from("r")].reserved.clone();
    assert_eq!(reserved_now, Quantities::parse("cpus:1").expect("quantities"));
    let twice = lab.allocator.convert(
        &fw("f1"),
        &ag("s1"),
        &res("cpus:9").allocate(&"r".into()),
        &reserved,
    );
    assert!(twice.is_err());
}

#[test]
fn filters_of_a_client_on_an_agent_are_bounded() {
    let mut lab = Lab::new();
    lab.framework("f1", ["*"]);
    lab.agent("s1", "cpus:100;mem:1000;ports:[1-100]");
    let first = lab.only_offer();
    for port in 1..=20 {
        let part = res(&format!("cpus:1;ports:[{port}-{port}]")).allocate(&first.role);
        lab.recover_part(&first, &part, Some(3600));
        // Two pieces together are no part of what was refused once: they are offered again.
        lab.allocate();
    }
    let counters = lab.allocator.counters();
    assert!(counters.filters_active as usize <= super::super::FILTERS_PER_CLIENT_MAX);
    assert!(counters.filters_dropped > 0);
}

#[test]
fn excluded_names_do_not_count_in_shares() {
    let options =
        Options { fair_sharing_excluded: ["gpus".to_string()].into(), ..Options::default() };
    let mut lab = Lab::with(options);
    lab.framework_with("f1", FrameworkTraits { gpu: true, ..traits(["a"]) });
    lab.agent("s1", "cpus:1;mem:100;gpus:8");
    assert_eq!(lab.allocate().len(), 1);
    lab.agent("s2", "cpus:99;mem:9900");
    assert_eq!(lab.allocator.roles()[&Role::from("a")].dominant_share, 0.01);
}

#[test]
fn roles_of_any_depth() {
    let mut lab = Lab::new();
    let deep = ["a"; 40].join("/");
    lab.agent_with("s1", reserved("cpus:1;mem:100", &deep));
    lab.framework("f1", [&format!("{deep}/b")]);
    assert_eq!(lab.only_offer().agent, ag("s1"));
    lab.framework("f2", [&["a"; 50_000].join("/")]);
    lab.agent("s2", "cpus:1;mem:100");
    assert_eq!(lab.only_offer().framework, fw("f2"));
    lab.allocator.remove_framework(&fw("f2"));
    assert_eq!(lab.only_offer().framework, fw("f1"));
    lab.allocator.remove_framework(&fw("f1"));
    assert!(lab.allocator.roles().keys().all(|role| deep.starts_with(role.as_str())));
}
