//! Explanations: each rule is named where it refuses.

use super::*;
use crate::base::resources::Reservation;

fn rules(lab: &Lab, id: &str) -> Vec<(String, u64)> {
    let explanation = lab.allocator.explain(&fw(id), lab.now);
    explanation.refusals.into_iter().map(|r| (r.rule, r.count)).collect()
}

fn rule(word: &str, count: u64) -> (String, u64) {
    (word.into(), count)
}

#[test]
fn states_of_the_framework() {
    let mut lab = Lab::new();
    lab.agent("s1", "cpus:2;mem:1024");
    assert_eq!(rules(&lab, "f1"), [rule("unknown", 0)]);
    lab.framework("f1", ["*"]);
    let hint = lab.allocator.explain(&fw("f1"), lab.now).hint;
    assert_eq!(hint.as_deref(), Some("Wait for the next cycle: it has 1 agent to offer"));
    lab.allocator.suppress(&fw("f1"), &BTreeSet::new());
    assert_eq!(rules(&lab, "f1"), [rule("suppressed", 1)]);
    lab.allocator.deactivate_framework(&fw("f1"));
    assert_eq!(rules(&lab, "f1"), [rule("inactive", 1)]);
}

#[test]
fn rules_that_refuse_agents() {
    let mut lab = Lab::new();
    let none = lab.allocator.explain(&fw("f1"), lab.now);
    assert_eq!(none.candidates, 0);
    lab.framework("f1", ["a"]);
    assert!(lab.allocator.explain(&fw("f1"), lab.now).hint.is_some_and(|h| h.contains("No agent")));
    lab.agent("refused", "cpus:1;mem:100");
    let refused = lab.only_offer();
    lab.recover(&refused, Some(60));
    lab.agent("taken", "cpus:2;mem:1024");
    lab.allocate();
    lab.agent("gpus", "cpus:2;mem:1024;gpus:1");
    lab.agent("scraps", "cpus:0.001;mem:8");
    let reserved = res("cpus:7;mem:777").push_reservation(&Reservation::fixed("b"));
    lab.agent_with("reserved", reserved);
    let far = AgentTraits { remote_region: true, active: true };
    lab.allocator.add_agent(ag("far"), far, res("cpus:2;mem:1024"), &[]);
    let off = AgentTraits { remote_region: false, active: false };
    lab.allocator.add_agent(ag("off"), off, res("cpus:2;mem:1024"), &[]);
    assert!(lab.allocate().is_empty());
    let mut found = rules(&lab, "f1");
    found.sort();
    let words =
        ["agent-inactive", "filter", "gpus", "min-allocatable", "region", "reserved", "resources"];
    assert_eq!(found, words.map(|w| rule(w, 1)));
    let explanation = lab.allocator.explain(&fw("f1"), lab.now);
    let detail = |word: &str| {
        let found = explanation.refusals.iter().find(|r| r.rule == word);
        found.map(|r| r.detail.clone()).unwrap_or_default()
    };
    assert!(detail("filter").contains("ends in 60.0 s"), "{}", detail("filter"));
    assert!(detail("reserved").contains("agent reserved with cpus:7; mem:777 free"));
    assert!(detail("min-allocatable").contains("agent scraps with cpus:0.001; mem:8 free"));
}

#[test]
fn who_comes_before() {
    let mut lab = Lab::new();
    lab.framework("f1", ["a"]);
    lab.agent("s1", "cpus:2;mem:1024");
    lab.allocate();
    lab.framework("f2", ["b"]);
    lab.framework("f3", ["c"]);
    lab.allocate();
    let found = rules(&lab, "f1");
    assert!(
        found.contains(&rule("share", 2)) && found.contains(&rule("resources", 1)),
        "{found:?}"
    );
    assert_eq!(rules(&lab, "f2"), [rule("resources", 1)]);
}
