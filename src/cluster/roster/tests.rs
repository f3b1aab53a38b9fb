//! The book: who is let in, who is not, and what stays of it.

use super::book::Book;
use super::records::NodeRecord;
use crate::base::time::Wall;
use crate::cluster::consensus::Op;
use crate::cluster::identity::{
    Authority, ClusterId, NewToken, NodeKey, Roles, Token, Trust, Usage,
};
use crate::cluster::link::{JoinFacts, JoinRequest, VERSIONS, Why};
use crate::cluster::membership::Order;
use std::net::IpAddr;
use std::time::Duration;

const NOW: Wall = Wall(1_800_000_000_000_000_000);
const FROM: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 7));

fn first(key: &NodeKey) -> NodeRecord {
    NodeRecord {
        node: key.node(),
        roles: Roles::FULL,
        address: "10.0.0.1:5052".into(),
        hostname: "one".into(),
        zone: String::new(),
        joined: NOW,
        token: None,
        order: Order::None,
        leaving: false,
    }
}

struct World {
    book: Book,
    rows: std::collections::BTreeMap<String, Vec<u8>>,
    founder: NodeKey,
}

impl World {
    fn new() -> Self {
        let founder = NodeKey::generate().expect("a key");
        let authority = Authority::create(ClusterId(7), NOW).expect("an authority");
        let mut world = Self { book: Book::default(), rows: Default::default(), founder };
        let ops = world.book.found(authority, first(&world.founder)).expect("founded");
        world.store(ops);
        world
    }

    fn store(&mut self, ops: Vec<Op>) {
        for op in ops {
            match op {
                Op::Put { key, value } => drop(self.rows.insert(key, value)),
                Op::Delete { key } => drop(self.rows.remove(&key)),
                Op::Check { .. } => panic!("nothing is checked"),
            }
        }
    }

    fn token(&mut self, roles: Roles, life: Option<Duration>) -> Token {
        let new = NewToken { roles, life, note: String::new() };
        let (ops, (token, _)) = self.book.issue(new, NOW).expect("a token");
        self.store(ops);
        token
    }

    fn join(&mut self, key: &NodeKey, token: &Token, roles: Roles, at: Wall) -> Result<(), Why> {
        let facts = JoinFacts {
            address: ":5052".into(),
            hostname: "two".into(),
            zone: Some("b".into()),
            roles,
            program: "0.1.0".into(),
            wire: VERSIONS,
        };
        let request = JoinRequest::new(&facts, token, key, at);
        let (ops, certificate) = self.book.admit(&request, FROM, at).map_err(|r| r.why)?;
        self.store(ops);
        let trust = Trust {
            authorities: self.book.authorities().expect("founded").clone(),
            revoked: Default::default(),
        };
        let member = trust.check(&certificate.leaf, Usage::Client, at).expect("believed");
        assert_eq!((member.node, member.roles), (key.node(), roles));
        Ok(())
    }
}

#[test]
fn a_node_with_a_token_is_let_in_and_known_by_where_it_came_from() {
    let mut world = World::new();
    let token = world.token(Roles::FULL, None);
    let key = NodeKey::generate().expect("a key");
    assert_eq!(world.join(&key, &token, Roles::FULL, NOW), Ok(()));
    let record = world.book.node(key.node()).expect("known");
    assert_eq!((record.address.as_str(), record.zone.as_str()), ("10.0.0.7:5052", "b"));
    assert_eq!(record.token, Some(token.id));
    // The same node again, from the same place; another one there is refused.
    assert_eq!(world.join(&key, &token, Roles::AGENT, NOW), Ok(()));
    let other = NodeKey::generate().expect("a key");
    assert_eq!(world.join(&other, &token, Roles::FULL, NOW), Err(Why::DuplicateNode));
}

#[test]
fn bad_tokens_let_nobody_in() {
    let mut world = World::new();
    let agents = world.token(Roles::AGENT, None);
    let short = world.token(Roles::FULL, Some(Duration::from_secs(60)));
    let gone = world.token(Roles::FULL, None);
    let (ops, ()) = world.book.revoke(gone.id, NOW).expect("revoked");
    world.store(ops);
    let elsewhere = World::new().token(Roles::FULL, None);
    let key = NodeKey::generate().expect("a key");
    let later = NOW + Duration::from_secs(61);
    for (token, roles, at, why) in [
        (&agents, Roles::FULL, NOW, Why::Role),
        (&short, Roles::FULL, later, Why::ExpiredToken),
        (&gone, Roles::FULL, NOW, Why::RevokedToken),
        (&elsewhere, Roles::FULL, NOW, Why::OtherCluster),
    ] {
        assert_eq!(world.join(&key, token, roles, at), Err(why));
    }
    assert!(world.book.node(key.node()).is_none());
    assert_eq!(world.join(&key, &agents, Roles::AGENT, later), Ok(()));
}

#[test]
fn a_node_has_left_when_it_was_to_leave_and_nothing_is_heard_of_it() {
    let mut world = World::new();
    let token = world.token(Roles::FULL, None);
    let key = NodeKey::generate().expect("a key");
    world.join(&key, &token, Roles::FULL, NOW).expect("let in");
    let (yes, no) = (|_| true, |_| false);
    assert_eq!(world.book.departed(no, no), None, "it may come back");
    let (ops, ()) = world.book.leave(key.node(), true).expect("leaves");
    world.store(ops);
    assert_eq!(world.book.departed(yes, no), None, "it may vote still");
    assert_eq!(world.book.departed(no, yes), None, "it is there still");
    assert_eq!(world.book.departed(no, no), Some(key.node()));
}

#[test]
fn a_removed_node_stays_out() {
    let mut world = World::new();
    let token = world.token(Roles::FULL, None);
    let key = NodeKey::generate().expect("a key");
    world.join(&key, &token, Roles::FULL, NOW).expect("let in");
    let (ops, ()) = world.book.remove(key.node(), NOW).expect("removed");
    world.store(ops);
    assert_eq!(world.join(&key, &token, Roles::FULL, NOW), Err(Why::Removed));
    assert_eq!(world.book.removed().collect::<Vec<_>>(), [key.node()]);
    assert!(world.book.order(key.node(), Order::Pin).is_err());
}

#[test]
fn what_is_stored_is_all_of_it() {
    let mut world = World::new();
    let token = world.token(Roles::FULL, None);
    world.token(Roles::AGENT, Some(Duration::from_secs(9)));
    let keys = [(); 2].map(|()| NodeKey::generate().expect("a key"));
    world.join(&keys[0], &token, Roles::FULL, NOW).expect("let in");
    let (ops, ()) = world.book.order(keys[0].node(), Order::Demote).expect("ordered");
    world.store(ops);
    let (ops, ()) = world.book.leave(keys[0].node(), true).expect("leaves");
    world.store(ops);
    let read = Book::read(world.rows.clone()).expect("readable");
    assert_eq!(format!("{read:?}"), format!("{:?}", world.book));
    let record = read.node(keys[0].node()).expect("known");
    assert_eq!((record.order, record.leaving), (Order::Demote, true));
    // The authority signs as before.
    let mut again = World { book: read, rows: world.rows, founder: world.founder };
    let (ops, ()) = again.book.remove(keys[0].node(), NOW).expect("removed");
    again.store(ops);
    assert_eq!(again.join(&keys[1], &token, Roles::FULL, NOW), Ok(()));
    assert!(again.book.node(again.founder.node()).is_some());
    let agent_only = again.book.order(again.founder.node(), Order::Pin);
    assert!(agent_only.is_ok());
}
