//! Tables: what a leader sees → the step, and why each node is what it is.
//!
//! A node is written `2V@a:silent=5000:pin`: its number; `L` the leader, `V` a voter, `l` a learner, `-` no member;
//! its zone; and what is special about it. Otherwise it is alive for an hour, heard now, and has the whole log.

use super::super::{
    Candidate, Decision, Life, Member, Memory, Node, Order, Policy, Standing, Step, Versions, View,
    decide,
};
use crate::base::time::Mono;
use std::collections::BTreeMap;
use std::time::Duration;

/// Now, in ms: far enough from the start of the clock for everything that was before.
const NOW: u64 = 100_000_000;
const HOUR: u64 = 3_600_000;

fn ms(ms: u64) -> Mono {
    Mono(ms * 1_000_000)
}

fn view(text: &str) -> View {
    let mut view = View {
        me: 0,
        versions: Versions { oldest: 1, newest: 2 },
        members: BTreeMap::new(),
        joint: None,
        changing: false,
        candidates: BTreeMap::new(),
    };
    for word in text.split_whitespace() {
        if let Some(joint) = word.strip_prefix("joint=") {
            view.joint = Some(joint.split(',').map(|n| n.parse().expect("a node")).collect());
            continue;
        }
        if word == "changing" {
            view.changing = true;
            continue;
        }
        add(&mut view, word);
    }
    view
}

fn add(view: &mut View, word: &str) {
    let mut parts = word.split(':');
    let head = parts.next().expect("a head");
    let (head, zone) = head.split_once('@').unwrap_or((head, ""));
    let (id, role) = head.split_at(head.len() - 1);
    let node: Node = id.parse().expect("a number");
    let address = format!("n{node}:5052");
    let mut member = Member {
        address: address.clone(),
        votes: matches!(role, "L" | "V"),
        behind: Some(0),
        heard: Some(ms(NOW)),
    };
    let mut candidate = Candidate {
        address,
        zone: zone.into(),
        master: true,
        versions: Versions { oldest: 1, newest: 1 },
        life: Life::Alive { since: ms(NOW - HOUR) },
        leaving: false,
        order: Order::None,
    };
    let mut gossip = true;
    for flag in parts {
        let (key, value) = flag.split_once('=').unwrap_or((flag, "0"));
        let number: u64 = value.parse().unwrap_or(0);
        match key {
            "alive" => candidate.life = Life::Alive { since: ms(NOW - number) },
            "dead" => candidate.life = Life::Dead { since: ms(NOW - number) },
            "silent" => member.heard = Some(ms(NOW - number)),
            "unheard" => member.heard = None,
            "behind" => member.behind = Some(number),
            "unknown" => member.behind = None,
            "nogossip" => gossip = false,
            "leads" => view.me = node,
            "leaves" => candidate.leaving = true,
            "agent" => candidate.master = false,
            "foreign" => candidate.versions = Versions { oldest: 3, newest: 4 },
            "promote" => candidate.order = Order::Promote,
            "pin" => candidate.order = Order::Pin,
            "demote" => candidate.order = Order::Demote,
            "at" => candidate.address = format!("{value}:5052"),
            other => panic!("{other}?"),
        }
    }
    if role == "L" {
        view.me = node;
    }
    if role != "-" {
        view.members.insert(node, member);
    }
    if gossip {
        view.candidates.insert(node, candidate);
    }
}

fn text(step: &Option<Step>) -> String {
    match step {
        None => "none".into(),
        Some(Step::AddLearner { node, address }) => format!("add {node} {address}"),
        Some(Step::RemoveLearner { node }) => format!("remove {node}"),
        Some(Step::UpdateAddress { node, address }) => format!("move {node} {address}"),
        Some(Step::TransferLeadership { to }) => format!("hand {to}"),
        Some(Step::ChangeVoters { voters }) => {
            let voters: Vec<String> = voters.iter().map(u64::to_string).collect();
            format!("vote {}", voters.join(","))
        }
    }
}

fn decided(text: &str, policy: &Policy) -> Decision {
    decide(&view(text), policy, &mut Memory::default(), ms(NOW))
}

/// The nodes; the step; what some of them are told.
type Row<'a> = (&'a str, &'a str, &'a [(Node, &'a str)]);

fn check(rows: &[Row<'_>], policy: &Policy) {
    for (nodes, step, explained) in rows {
        let decision = decided(nodes, policy);
        assert_eq!(text(&decision.step), *step, "{nodes}: {decision:#?}");
        for (node, expected) in *explained {
            let found = decision.explanations.iter().find(|e| e.node == *node);
            assert_eq!(found.map(|e| e.text.as_str()), Some(*expected), "node {node} of {nodes}");
        }
        // Everybody is told something, once.
        let view = view(nodes);
        let all = view.members.keys().chain(view.candidates.keys());
        let all: std::collections::BTreeSet<_> = all.copied().collect();
        let told: Vec<Node> = decision.explanations.iter().map(|e| e.node).collect();
        assert_eq!(told, all.into_iter().collect::<Vec<_>>(), "{nodes}");
    }
}

#[test]
fn so_many_nodes_have_so_many_voters() {
    check(
        &[
            ("1L", "none", &[(1, "voter, leads: the only node that can vote")]),
            ("1L 2-", "add 2 n2:5052", &[(2, "an even number of voters adds nothing")]),
            (
                "1L 2l",
                "none",
                &[
                    (1, "voter, leads: 1 voter is enough for 2 nodes"),
                    (2, "learner: an even number of voters adds nothing"),
                ],
            ),
            (
                "1L 2l 3-",
                "add 3 n3:5052",
                &[
                    (2, "learner: waits: 3 voters when further nodes are ready"),
                    (3, "waits to become a learner, then to vote"),
                ],
            ),
            ("1L 2l 3l", "vote 1,2,3", &[(3, "learner: votes next, one of 3")]),
            ("1L 2V 3V", "none", &[(2, "voter: one of 3")]),
            ("1L 2V 3V 4-", "add 4 n4:5052", &[(4, "an even number of voters adds nothing")]),
            ("1L 2V 3V 4l", "none", &[(4, "learner: an even number of voters adds nothing")]),
            ("1L 2V 3V 4l 5l", "vote 1,2,3,4,5", &[]),
            ("1L 2V 3V 4V 5V", "none", &[]),
            ("1L 2V 3V 4V 5V 6l 7l", "none", &[(6, "learner: not promoted: 5 voters are enough")]),
            // No more learners than are kept ready.
            ("1L 2V 3V 4V 5V 6l 7l 8-", "none", &[(8, "not promoted: 5 voters are enough")]),
            // From one to five: as many learners as are needed for it.
            ("1L 2l 3- 4- 5-", "add 3 n3:5052", &[]),
            ("1L 2l:alive=900 3l:alive=800 4- 5-", "add 4 n4:5052", &[]),
            // An even number is left.
            ("1L 2V", "vote 1", &[(2, "voter: gives up its vote, 1 voter is enough")]),
            ("1L 2V 3V 4V", "vote 1,2,3", &[]),
        ],
        &Policy::default(),
    );
}

#[test]
fn the_most_voters_are_what_the_operator_chose() {
    let most = |voters_max| Policy { voters_max, ..Policy::default() };
    check(&[("1L 2l 3l", "none", &[(2, "learner: not promoted: 1 voter is enough")])], &most(1));
    check(
        &[
            ("1L 2V 3V 4l 5l", "none", &[(4, "learner: not promoted: 3 voters are enough")]),
            ("1L 2V 3V 4V 5V", "vote 1,2,3", &[]),
        ],
        &most(3),
    );
    check(&[("1L 2V 3V 4V 5V 6l 7l", "vote 1,2,3,4,5,6,7", &[])], &most(7));
    for bad in [0, 2, 4, 9] {
        assert!(most(bad).check().is_err(), "{bad}");
    }
    assert!(most(5).check().is_ok());
    let hasty = Policy { patience: Duration::from_secs(1), ..Policy::default() };
    assert!(hasty.check().is_err());
}

#[test]
fn a_node_listens_and_catches_up_before_it_votes() {
    check(
        &[
            (
                "1L 2l 3l:behind=500",
                "none",
                &[
                    (3, "learner: waits: catching up, 500 entries behind"),
                    (2, "learner: waits: 3 voters when further nodes are ready"),
                ],
            ),
            ("1L 2l 3l:behind=100", "vote 1,2,3", &[]),
            ("1L 2l 3l:unknown", "none", &[(3, "learner: waits: has not got the log yet")]),
            ("1L 2l 3l:silent=3000", "none", &[(3, "learner: silent for 3.0 s")]),
            ("1L 2l 3l:unheard:unknown", "none", &[(3, "learner: silent for 0.0 s")]),
            ("1L 2l 3l:nogossip", "none", &[(3, "learner: gossip does not hear it")]),
            ("1L 2l 3l:dead=3000", "none", &[(3, "learner: gossip does not hear it")]),
        ],
        &Policy::default(),
    );
}

#[test]
fn a_node_is_alive_for_a_while_before_it_listens_and_votes() {
    check(
        &[
            ("1L 2-:alive=400", "none", &[(2, "waits: alive for 0.4 s of 0.5 s")]),
            ("1L 2-:alive=500", "add 2 n2:5052", &[]),
            ("1L 2-:dead=500", "none", &[(2, "not promoted: gossip does not hear it")]),
            ("1L 2l 3l:alive=400", "none", &[(3, "learner: waits: alive for 0.4 s of 2.0 s")]),
            ("1L 2l 3l:alive=2000", "vote 1,2,3", &[]),
        ],
        &Policy::default(),
    );
    let soon = decided("1L 2l 3l:alive=400", &Policy::default());
    assert_eq!(soon.wake, Some(ms(NOW + 100)), "when it has arrived");
    let soon = decided("1L 2l 3l:alive=600", &Policy::default());
    assert_eq!(soon.wake, Some(ms(NOW + 1400)), "when it is steady");
}

#[test]
fn silence_takes_no_vote_and_a_dead_voter_is_replaced() {
    check(
        &[
            // A short restart changes nothing, though another is ready.
            (
                "1L 2V 3V:silent=12000 4l",
                "none",
                &[(3, "voter: one of 3; silent for 12 s of 30 s before it is replaced")],
            ),
            ("1L 2V 3V:silent=29999 4l", "none", &[]),
            (
                "1L 2V 3V:silent=30000 4l",
                "vote 1,2,4",
                &[(3, "voter: silent for 30 s, replaced"), (4, "learner: votes next, one of 3")],
            ),
            // Nobody is there to replace it.
            (
                "1L 2V 3V:silent=40000",
                "none",
                &[(
                    3,
                    "voter: one of 3; silent for 40 s, no healthy node is ready to take its place",
                )],
            ),
            ("1L 2V 3V:silent=40000 4l:behind=5000", "none", &[]),
            ("1L 2V 3V:silent=40000 4-", "add 4 n4:5052", &[]),
            ("1L 2V 3V 4V:silent=40000 5V:silent=50000", "none", &[]),
            // The one that is silent for longer has no better claim: both are replaced at once.
            ("1L 2V 3V 4V:silent=40000 5V:silent=50000 6l 7l", "vote 1,2,3,6,7", &[]),
            // A dead learner makes room for a live one, and else stays.
            ("1L 2V 3V 4l:silent=40000 5l:silent=1 6-", "remove 4", &[]),
            ("1L 2V 3V 4l:silent=40000", "none", &[(4, "learner: silent for 40 s")]),
        ],
        &Policy { voters_max: 5, ..Policy::default() },
    );
    let soon = decided("1L 2V 3V:silent=12000 4l", &Policy::default());
    assert_eq!(soon.wake, Some(ms(NOW + 2000)), "when the silence of the others would be noticed");
    let soon = decided("1L 2V:silent=1 3V:silent=29000 4l", &Policy::default());
    assert_eq!(soon.wake, Some(ms(NOW + 1000)), "when the patience ends");
}

#[test]
fn a_new_leader_waits_for_a_first_answer_as_long_as_for_others() {
    let policy = Policy::default();
    let view = view("1L 2V 3V:unheard 4l");
    let mut memory = Memory::default();
    assert_eq!(decide(&view, &policy, &mut memory, ms(NOW)).step, None);
    let before = decide(&refreshed(&view, NOW + 29_000), &policy, &mut memory, ms(NOW + 29_000));
    assert_eq!(before.step, None);
    let after = decide(&refreshed(&view, NOW + 30_000), &policy, &mut memory, ms(NOW + 30_000));
    assert_eq!(text(&after.step), "vote 1,2,4");
    // Heard meanwhile: the wait begins anew when it is silent again.
    let mut heard = refreshed(&view, NOW + 31_000);
    heard.members.get_mut(&3).expect("there").heard = Some(ms(NOW + 31_000));
    let mut memory = memory.clone();
    assert_eq!(decide(&heard, &policy, &mut memory, ms(NOW + 31_000)).step, None);
}

/// The same view, later: who was heard is heard again.
fn refreshed(view: &View, at: u64) -> View {
    let mut view = view.clone();
    view.members.values_mut().filter(|m| m.heard.is_some()).for_each(|m| m.heard = Some(ms(at)));
    view
}

#[test]
fn zones_come_first_among_the_healthy() {
    check(
        &[
            (
                "1L@a 2l@a 3l@b 4l@c",
                "vote 1,3,4",
                &[
                    (1, "voter, leads: first of zone a"),
                    (2, "learner: an even number of voters adds nothing"),
                    (3, "learner: votes next, first of zone b"),
                ],
            ),
            (
                "1L@a 2l@a 3l@a 4l@b 5l@b",
                "vote 1,2,3,4,5",
                &[(2, "learner: votes next, second of zone a")],
            ),
            // The dead are replaced by the zone that has the fewest voters.
            ("1L@a 2V@b 3V@c:silent=40000 4l@a 5l@c:alive=5000", "vote 1,2,5", &[]),
            // Health comes first: a zone with nobody there is not waited for.
            ("1L@a 2V@a 3V@b:silent=40000 4l@a", "vote 1,2,4", &[]),
            // A healthy voter gives its place to another zone, once that node has been there for long.
            (
                "1L@a 2V@a 3V@b 4l@c",
                "vote 1,3,4",
                &[(2, "voter: gives its place to 0000000000000004 of another zone")],
            ),
            (
                "1L@a 2V@a 3V@b 4l@c:alive=59000",
                "none",
                &[(4, "learner: an even number of voters adds nothing")],
            ),
            (
                "1L@a 2V@a 3V@b 4l@c:alive=59000 5l@b:silent=50000",
                "none",
                &[(4, "learner: an even number of voters adds nothing")],
            ),
            // The leader is not the one to go, and no exchange that makes nothing better is made.
            ("1L@b 2V@a 3V@b 4l@c", "vote 1,2,4", &[]),
            ("1L@a 2V@b 3V@c 4l@a", "none", &[]),
            ("1L@a 2V@a 3V@b 4l@b", "none", &[]),
            ("1L 2V 3V 4l", "none", &[]),
            // Shrinking keeps the spread.
            ("1L@a 2V@a 3V@b 4V@b:leaves 5V@c", "vote 1,3,5", &[]),
            ("1L@a 2V@a 3V@b 4V@b:leaves 5V@c:leaves", "vote 1,2,3", &[]),
        ],
        &Policy::default(),
    );
    let three = Policy { voters_max: 3, ..Policy::default() };
    check(
        &[(
            "1L@a 2V@a 3V@b 4l@c:alive=59000 5l@b",
            "none",
            &[(4, "learner: takes a place for zone c once alive for 60 s")],
        )],
        &three,
    );
}

#[test]
fn votes_become_fewer_only_when_nodes_leave_for_good() {
    check(
        &[
            ("1L 2V 3V 4V:silent=90000 5V:silent=90000", "none", &[]),
            ("1L 2V 3V 4V:leaves 5V", "vote 1,2,3", &[(4, "voter: it leaves for good")]),
            ("1L 2V 3V:leaves", "vote 1", &[]),
            ("1L 2V:silent=99000 3V:leaves", "vote 1", &[]),
            ("1L 2V 3V:leaves 4l", "vote 1,2,4", &[]),
            // A new leader has not heard it for long: a moment, whatever its log has.
            ("1L 2V 3V:leaves 4l:alive=100", "none", &[]),
            ("1L 2V 3V:leaves 4l:alive=1999:behind=900", "none", &[]),
            ("1L 2V 3V:leaves 4l:alive=2000:behind=900", "vote 1", &[]),
            ("1L 2V 3V 4V:leaves 5V 6l:alive=100", "none", &[]),
            ("1L 2V 3V:leaves 4-", "vote 1", &[(4, "waits to become a learner, then to vote")]),
            ("1L 2l:leaves", "remove 2", &[(2, "learner: not promoted: it leaves for good")]),
            ("1L 2-:leaves", "none", &[(2, "not promoted: it leaves for good")]),
            ("1L 2V 3V:agent 4l", "vote 1,2,4", &[]),
            ("1L 2-:agent", "none", &[(2, "not promoted: it runs no master")]),
            ("1L 2l:agent", "remove 2", &[]),
            // Gone without a word, and revoked by the operator: it leaves while it is silent.
            ("1L 2V 3V:silent=99000:leaves 4l", "vote 1,2,4", &[]),
        ],
        &Policy::default(),
    );
}

#[test]
fn a_leader_that_leaves_hands_over_first() {
    check(
        &[
            ("1L:leaves 2V 3V 4l", "hand 2", &[(1, "voter, leads: it leaves for good")]),
            ("1L:leaves 2V:behind=900 3V", "hand 3", &[]),
            ("1L:leaves 2V:alive=5000 3V:alive=6000", "hand 3", &[]),
            ("1L:leaves 2V:silent=3000 3V", "hand 3", &[]),
            ("1L:demote 2V 3V", "hand 2", &[]),
            ("1L:agent 2V 3V", "hand 2", &[]),
            (
                "1L:leaves 2V:behind=900 3V:unknown",
                "none",
                &[(
                    1,
                    "voter, leads: it leaves for good; not yet: no other voter has caught up, so none can take over",
                )],
            ),
            // Nobody else votes: another does first, beside it.
            ("1L:leaves 2l", "vote 1,2", &[]),
            ("1L:leaves 2l 3l 4l:alive=3000", "vote 1,2,3", &[]),
            ("1L:leaves 2V:leaves 3V:leaves 4l 5l 6l", "vote 1,4,5", &[]),
            ("1L:leaves 2l:behind=900", "none", &[]),
            ("1L:leaves 2V:silent=40000 3V:leaves 4l 5l:alive=9000", "vote 1,4,5", &[]),
            ("1L:leaves 2V:behind=900 3V:leaves 4l 5l", "none", &[]),
            ("1L:leaves 2V", "hand 2", &[]),
            ("1V:leaves 2L", "vote 2", &[]),
            ("1l:leaves 2L", "remove 1", &[]),
            (
                "1L:leaves",
                "none",
                &[(1, "voter, leads: it leaves for good, but nobody else can vote")],
            ),
        ],
        &Policy::default(),
    );
    let reason = decided("1L:leaves 2V 3V", &Policy::default()).reason.expect("a step");
    assert_eq!(reason, "node 0000000000000002 is asked to lead; of the leader: it leaves for good");
}

#[test]
fn no_step_without_the_majorities_it_needs() {
    check(
        &[
            (
                "1L 2V:silent=40000 3V:silent=3000 4l 5l",
                "none",
                &[
                    (4, "learner: to vote, one of 3; not yet: 1 of 3 voters heard, need 2"),
                    (2, "voter: silent for 40 s, replaced; not yet: 1 of 3 voters heard, need 2"),
                ],
            ),
            ("1L 2V:silent=40000 3V:silent=3000 4-", "none", &[]),
            ("1L 2V:silent=40000 3V:silent=3000 4l:leaves", "none", &[]),
            // Three of five are heard, and the operator pinned the two that are not.
            (
                "1L 2V:silent=40000:pin 3V:silent=40000:pin 4V:leaves 5V:leaves",
                "none",
                &[(
                    4,
                    "voter: it leaves for good; not yet: afterwards only 1 of 3 voters heard, need 2",
                )],
            ),
            ("1L 2V 3V:pin:silent=40000 4V:leaves 5V", "vote 1,2,3", &[]),
            // The answers are new enough to do something, but not to change the voters.
            (
                "1L 2l:silent=600 3l:silent=600",
                "none",
                &[(
                    2,
                    "learner: to vote, one of 3; not yet: \
                     the last answers of a majority are too old to rest on",
                )],
            ),
            ("1L 2l:silent=600 3l", "vote 1,2,3", &[]),
            ("1L 2V:silent=600 3V:silent=600 4V:leaves 5V:leaves", "none", &[]),
            ("1L 2V:silent=600 3V:silent=600 4-", "add 4 n4:5052", &[]),
            ("1L 2V 3V 4l 5l changing", "none", &[]),
            ("1l 2V 3V", "none", &[]),
        ],
        &Policy::default(),
    );
    let soon = decided("1L 2l:silent=600 3l:silent=600", &Policy::default());
    assert_eq!(soon.wake, Some(ms(NOW + 500)), "with the next answers");
    let reason = |text| decided(text, &Policy::default()).reason;
    assert_eq!(
        reason("1L 2V:silent=40000 3V:silent=3000 4l").as_deref(),
        Some("1 of 3 voters heard, need 2")
    );
    assert_eq!(reason("1L 2V 3V 4l 5l changing").as_deref(), Some("a change is under way"));
}

#[test]
fn a_change_that_was_left_half_done_is_ended_first() {
    check(
        &[
            ("1L 2l 3l 4- joint=1,2,3", "vote 1,2,3", &[]),
            ("1L 2V 3V 4l joint=1,2,4", "vote 1,2,4", &[]),
            // Not while the other majority is not heard.
            ("1L 2l:silent=9000 3l:silent=9000 4- joint=1,2,3", "none", &[]),
            ("1L 2V 3V 4l:silent=9000 joint=1,3,4", "vote 1,3,4", &[]),
            // By one that votes only in the new set.
            ("1V 2V 3V 4l:leads joint=1,2,4", "vote 1,2,4", &[]),
        ],
        &Policy::default(),
    );
}

#[test]
fn a_node_that_moved_is_told_to_the_log() {
    check(
        &[
            ("1L 2V:at=m2:silent=5000 3V 4l", "move 2 m2:5052", &[]),
            ("1L 2V:at=m2:dead=5000:silent=5000 3V", "none", &[]),
            ("1L 2l:at=m2", "move 2 m2:5052", &[]),
            ("1L:at=m1", "move 1 m1:5052", &[]),
            ("1L 2V:at=m2:silent=5000 3V:silent=5000", "none", &[]),
        ],
        &Policy::default(),
    );
}

#[test]
fn the_operator_is_obeyed_where_it_is_safe() {
    check(
        &[
            // Promoted: before others, in the place of one of them.
            (
                "1L 2V 3V 4l:promote",
                "vote 1,2,4",
                &[(4, "learner: votes next, promoted by the operator")],
            ),
            ("1L@a 2V@b 3V@c 4l@a:promote", "vote 1,2,4", &[]),
            ("1L 2V 3V 4V:promote:silent=40000 5l", "vote 1,2,3", &[]),
            ("1L 2V 3V:promote:silent=40000 4l", "vote 1,2,4", &[]),
            // An even number, because the operator says so.
            ("1L 2l:promote", "vote 1,2", &[]),
            ("1L 2V:promote", "none", &[(2, "voter: promoted by the operator")]),
            ("1L 2l:promote:behind=900", "none", &[]),
            ("1L 2-:promote", "add 2 n2:5052", &[]),
            // Pinned: kept whatever happens, and not moved for zones or when there are fewer.
            (
                "1L 2V 3V:pin:silent=40000 4l",
                "none",
                &[(3, "voter: pinned by the operator; silent for 40 s, not replaced")],
            ),
            ("1L@a 2V@a:pin 3V@b 4l@c", "none", &[]),
            ("1L 2V 3V:pin:silent=40000 4l 5l", "vote 1,2,3,4,5", &[]),
            ("1L 2V 3V 4V:leaves 5V:pin", "vote 1,2,5", &[]),
            // Demoted.
            ("1L 2V 3V:demote 4l", "vote 1,2,4", &[(3, "voter: demoted by the operator")]),
            (
                "1L 2V 3V 4l:demote 5l",
                "none",
                &[(4, "learner: not promoted: demoted by the operator")],
            ),
            ("1L 2-:demote", "none", &[(2, "not promoted: demoted by the operator")]),
            (
                "1L:demote",
                "none",
                &[(1, "voter, leads: demoted by the operator, but nobody else can vote")],
            ),
        ],
        &Policy::default(),
    );
}

#[test]
fn versions_that_do_not_meet_are_not_promoted() {
    check(
        &[
            (
                "1L 2l 3l:foreign",
                "none",
                &[(3, "learner: not promoted: it speaks versions 3 to 4, the leader 1 to 2")],
            ),
            ("1L 2-:foreign", "none", &[]),
            // It does not lose the vote it has.
            ("1L 2V 3V:foreign 4l", "none", &[(3, "voter: one of 3")]),
        ],
        &Policy::default(),
    );
}

#[test]
fn a_step_that_failed_is_tried_again_later_and_others_meanwhile() {
    let policy = Policy::default();
    let view = view("1L 2- 3-");
    let mut memory = Memory::default();
    let mut at = |at: u64| {
        let decision = decide(&refreshed(&view, NOW + at), &policy, &mut memory, ms(NOW + at));
        (text(&decision.step), decision.reason.unwrap_or_default(), decision.wake)
    };
    assert_eq!(at(0).0, "add 2 n2:5052");
    // Nothing came of it.
    assert_eq!(at(10).0, "add 3 n3:5052");
    let (step, reason, wake) = at(20);
    assert_eq!(step, "none");
    assert_eq!(
        reason,
        "node 0000000000000002 at n2:5052 becomes a learner: tried once, again in 0.9 s"
    );
    assert_eq!(wake, Some(ms(NOW + 1000)));
    assert_eq!(at(1000).0, "add 2 n2:5052");
    assert_eq!(at(1010).0, "add 3 n3:5052");
    let (step, reason, _) = at(2000);
    assert_eq!(step, "none");
    assert!(reason.ends_with("tried 2 times, again in 1.0 s"), "{reason}");
    assert_eq!(at(3000).0, "add 2 n2:5052");
}

#[test]
fn a_step_is_told_with_its_reasons() {
    let reason = |text| decided(text, &Policy::default()).reason.expect("a step");
    assert_eq!(
        reason("1L@a 2V@b 3V@c:silent=40000 4l@c"),
        "3 voters: 0000000000000001, 0000000000000002, 0000000000000004; \
         0000000000000004 is promoted (first of zone c); \
         0000000000000003 votes no longer (it is silent for 40 s)"
    );
    assert_eq!(reason("1L 2-"), "node 0000000000000002 at n2:5052 becomes a learner");
    assert_eq!(
        reason("1L 2l:leaves"),
        "node 0000000000000002 is no member any longer; it leaves for good"
    );
    assert_eq!(
        reason("1L@a 2V@a 3V@b 4l@c"),
        "3 voters: 0000000000000001, 0000000000000003, 0000000000000004; \
         0000000000000004 is promoted (first of zone c); \
         0000000000000002 votes no longer (its zone has more voters than that of 0000000000000004)"
    );
}

#[test]
fn a_lone_node_needs_not_be_asked_again() {
    let decision = decided("1L", &Policy::default());
    assert_eq!(decision.wake, None);
    assert_eq!(decision.explanations[0].standing, Standing::Leader);
}
