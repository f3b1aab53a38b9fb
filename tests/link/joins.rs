//! Joining: with the right token, and with everything that can be wrong, each with its own words.

use super::{Node, World, in_time};
use mesolith::base::error::Result;
use mesolith::base::time::Mono;
use mesolith::cluster::identity::{
    Authorities, Authority, ClusterId, Guesses, GuessesLimits, Member, NewToken, NodeId, NodeKey,
    Roles, Token, TokenBook, wall_now,
};
use mesolith::cluster::link::join::{Pass, Patience, Progress, Trouble, join, seed};
use mesolith::cluster::link::{
    Admission, Answering, Doors, JoinFacts, JoinRefusal, JoinRequest, Joined, Leader, Limits,
    MemberAddress, Renewed, VERSIONS, Versions, Why,
};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

/// The books of a leader, or the knowledge of who has them.
pub struct Desk {
    authority: Authority,
    authorities: Authorities,
    leader: Mutex<Leader>,
    book: Mutex<TokenBook>,
    guesses: Mutex<Guesses>,
    nodes: Mutex<BTreeMap<NodeId, (String, IpAddr)>>,
    start: Instant,
}

impl Desk {
    pub fn new(world: &World, leader: Leader) -> Arc<Self> {
        Arc::new(Self {
            authority: world.authority.clone(),
            authorities: world.authorities.clone(),
            leader: Mutex::new(leader),
            book: Mutex::default(),
            guesses: Mutex::new(Guesses::new(GuessesLimits::default())),
            nodes: Mutex::default(),
            start: Instant::now(),
        })
    }

    fn issue(&self, roles: Roles, life: Option<Duration>) -> Token {
        let new = NewToken { roles, life, note: String::new() };
        let mut book = self.book.lock().expect("no panics");
        book.issue(new, &self.authorities, wall_now()).expect("issued").0
    }
}

impl Admission for Desk {
    fn leader(&self) -> Leader {
        self.leader.lock().expect("no panics").clone()
    }

    fn admit(
        &self,
        request: JoinRequest,
        from: IpAddr,
    ) -> Answering<std::result::Result<Joined, JoinRefusal>> {
        let now = Mono(u64::try_from(self.start.elapsed().as_nanos()).expect("fits"));
        let mut guesses = self.guesses.lock().expect("no panics");
        let decided = guesses.admit(from, now).map_err(JoinRefusal::guessing).and_then(|()| {
            let book = self.book.lock().expect("no panics");
            let checked =
                book.check(&request.shown, &request.message(), &self.authorities, wall_now());
            if checked.as_ref().is_err_and(|refusal| refusal.is_guess()) {
                guesses.wrong(from, now);
            }
            checked.map(drop).map_err(JoinRefusal::from)
        });
        let mut nodes = self.nodes.lock().expect("no panics");
        let address = request.reached_at(from);
        let taken = nodes.iter().any(|(node, (at, _))| *at == address && *node != request.node());
        let decided = decided.and_then(|()| match taken {
            true => Err(JoinRefusal::new(Why::DuplicateNode, "another node has that address")),
            false => Ok(()),
        });
        let answer = decided.map(|()| {
            nodes.insert(request.node(), (address, from));
            let certificate = self.authority.sign(&request.key, request.shown.roles, wall_now());
            Joined {
                certificate: certificate.expect("signed"),
                authorities: self.authorities.clone(),
                cluster: self.authority.cluster(),
                members: nodes
                    .iter()
                    .map(|(node, (address, _))| MemberAddress {
                        node: *node,
                        address: address.clone(),
                    })
                    .collect(),
            }
        });
        Box::pin(async move { answer })
    }

    fn renew(&self, member: Member) -> Answering<Result<Renewed>> {
        let certificate = self.authority.sign(&member.key, member.roles, wall_now());
        let authorities = self.authorities.clone();
        Box::pin(async move { Ok(Renewed { certificate: certificate?, authorities }) })
    }
}

pub fn doors(desk: &Arc<Desk>) -> Doors {
    Doors { admission: Some(Arc::<Desk>::clone(desk)), ..Doors::default() }
}

fn facts(roles: Roles) -> JoinFacts {
    JoinFacts {
        address: ":5052".into(),
        hostname: "node-1".into(),
        zone: Some("a".into()),
        roles,
        program: "0.1.0".into(),
        wire: VERSIONS,
    }
}

fn hasty() -> Patience {
    Patience {
        connect: Duration::from_millis(500),
        handshake: Duration::from_secs(10),
        answer: Duration::from_secs(30),
        pause: Duration::from_millis(20),
        in_all: Duration::ZERO,
        own: Vec::new(),
    }
}

/// One round over these seeds.
async fn try_join(
    seeds: &[&str],
    token: &Token,
    key: &NodeKey,
    facts: &JoinFacts,
    patience: &Patience,
) -> std::result::Result<Joined, Vec<(String, Trouble)>> {
    let seeds: Vec<String> = seeds.iter().map(|s| s.to_string()).collect();
    let pass = Pass::Token(token.clone());
    let joined = join(&seeds, &pass, key, facts, patience, |_| {});
    in_time("joining", joined).await.map_err(|failure| failure.seeds)
}

async fn refusal(seed: &str, token: &Token, facts: &JoinFacts) -> JoinRefusal {
    let key = NodeKey::generate().expect("made");
    let mut troubles = try_join(&[seed], token, &key, facts, &hasty()).await.expect_err("refused");
    match troubles.pop() {
        Some((_, Trouble::Refused(refusal))) => refusal,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_node_with_a_token_gets_a_certificate_the_authorities_and_the_members() {
    let world = World::default();
    let desk = Desk::new(&world, Leader::Here);
    let seed = world.node(Roles::FULL, doors(&desk)).await;
    let token = desk.issue(Roles::FULL, None);
    // As it is pasted.
    let token: Token = token.text().expect("a form").parse().expect("read");
    let key = Arc::new(NodeKey::generate().expect("made"));
    let joined = try_join(&[&seed.address()], &token, &key, &facts(Roles::FULL), &hasty()).await;
    let joined = joined.expect("joins");
    assert_eq!((joined.cluster, joined.certificate.node), (ClusterId(0xc1), key.node()));
    assert_eq!(joined.certificate.roles, Roles::FULL);
    let expected = MemberAddress { node: key.node(), address: "127.0.0.1:5052".into() };
    assert_eq!(joined.members, [expected], "the address it came from was filled in");
    // With that it is a member.
    let credentials = mesolith::cluster::identity::Credentials {
        key,
        certificate: joined.certificate,
        authorities: joined.authorities,
    };
    let node = Node::new(credentials, "", Limits::default());
    node.to(&seed).hello().await.expect("met");
    let agents = desk.issue(Roles::AGENT, None);
    let key = NodeKey::generate().expect("made");
    let elsewhere = JoinFacts { address: "10.0.0.9:5052".into(), ..facts(Roles::AGENT) };
    let joined = try_join(&[&seed.address()], &agents, &key, &elsewhere, &hasty()).await;
    assert_eq!(joined.expect("joins").certificate.roles, Roles::AGENT);
}

#[tokio::test]
async fn each_refusal_has_its_own_words_and_its_way_out() {
    let world = World::default();
    let desk = Desk::new(&world, Leader::Here);
    let seed = world.node(Roles::FULL, doors(&desk)).await;
    let at = seed.address();
    let full = facts(Roles::FULL);
    let expired = desk.issue(Roles::FULL, Some(Duration::from_nanos(1)));
    let refused = refusal(&at, &expired, &full).await;
    assert_eq!(refused.why, Why::ExpiredToken, "{refused:?}");
    let agent = desk.issue(Roles::AGENT, None);
    let refused = refusal(&at, &agent, &full).await;
    assert_eq!(refused.why, Why::Role);
    assert!(
        refused.cause.contains("for agent") && refused.cause.contains("master and agent"),
        "{refused:?}"
    );
    let revoked = desk.issue(Roles::FULL, None);
    desk.book.lock().expect("no panics").revoke(revoked.id, wall_now()).expect("revoked");
    assert_eq!(refusal(&at, &revoked, &full).await.why, Why::RevokedToken);
    let far = JoinFacts { wire: Versions { oldest: 7, newest: 9 }, ..full.clone() };
    let token = desk.issue(Roles::FULL, None);
    let refused = refusal(&at, &token, &far).await;
    assert_eq!(refused.why, Why::Version);
    assert!(refused.cause.contains("7 to 9"), "{refused:?}");
    let first = JoinFacts { address: "10.0.0.1:5052".into(), ..full.clone() };
    let key = NodeKey::generate().expect("made");
    try_join(&[&at], &token, &key, &first, &hasty()).await.expect("joins");
    assert_eq!(refusal(&at, &token, &first).await.why, Why::DuplicateNode);
    // The same node comes again: that is no other one.
    try_join(&[&at], &token, &key, &first, &hasty()).await.expect("joins again");
    seed.revoked.set([key.node()].into());
    let mut troubles =
        try_join(&[&at], &token, &key, &first, &hasty()).await.expect_err("it was removed");
    let Some((_, Trouble::Refused(refused))) = troubles.pop() else { panic!("{troubles:?}") };
    assert_eq!(refused.why, Why::Removed);
    let bad = JoinFacts { address: "nowhere".into(), ..full.clone() };
    assert_eq!(refusal(&at, &token, &bad).await.why, Why::Malformed);
    // Unknown tokens are guesses: after five, even a good one waits.
    let authority = world.authorities.current().expect("one");
    for _ in 0..5 {
        let guess = Token::make(authority, Roles::FULL).expect("made");
        assert_eq!(refusal(&at, &guess, &full).await.why, Why::WrongToken);
    }
    let refused = refusal(&at, &token, &full).await;
    assert_eq!(refused.why, Why::Guessing);
    assert!(refused.retry_after_ms.is_some_and(|ms| ms > 1000), "{refused:?}");
    *desk.leader.lock().expect("no panics") = Leader::Nobody;
    assert_eq!(refusal(&at, &token, &full).await.why, Why::NoLeader);
    let without = world.node(Roles::FULL, Doors::default()).await;
    assert_eq!(refusal(&without.address(), &token, &full).await.why, Why::NoLeader);
    assert!(seed.count("joins_refused") >= 10.0);
}

#[tokio::test]
async fn a_clock_that_is_wrong_and_a_request_that_was_changed_are_refused() {
    let world = World::default();
    let token = Token::make(world.authorities.current().expect("one"), Roles::FULL).expect("made");
    let key = NodeKey::generate().expect("made");
    let now = wall_now();
    let request = JoinRequest::new(&facts(Roles::FULL), &token, &key, now);
    request.screen(VERSIONS, now).expect("good");
    let minute = Duration::from_secs(59);
    request.screen(VERSIONS, now + minute).expect("a little apart");
    let late = request.screen(VERSIONS, now + 2 * minute).expect_err("behind");
    assert_eq!(late.why, Why::ClockSkew);
    assert!(late.cause.contains("118s behind"), "{late:?}");
    let early = JoinRequest::new(&facts(Roles::FULL), &token, &key, now + 5 * minute);
    let early = early.screen(VERSIONS, now).expect_err("ahead");
    assert!(early.cause.contains("295s ahead of"), "{early:?}");
    let other = NodeKey::generate().expect("made");
    let changes: [fn(&mut JoinRequest, &NodeKey); 4] = [
        |r, _| r.address = "10.6.6.6:5052".into(),
        |r, _| r.shown.roles = Roles::AGENT,
        |r, other| r.key = other.public(),
        |r, _| r.signature[3] ^= 1,
    ];
    for (n, change) in changes.into_iter().enumerate() {
        let mut changed = request.clone();
        change(&mut changed, &other);
        assert_eq!(changed.screen(VERSIONS, now).expect_err("changed").why, Why::Malformed, "{n}");
    }
}

#[tokio::test]
async fn any_member_passes_a_join_on_to_the_leader_but_only_once() {
    let world = World::default();
    let desk = Desk::new(&world, Leader::Here);
    let leader = world.node(Roles::MASTER, doors(&desk)).await;
    let at = Leader::At { node: leader.id(), address: leader.address() };
    // Even one that only runs tasks: the secret does not travel.
    let follower = Desk::new(&world, at);
    let seed = world.node(Roles::AGENT, doors(&follower)).await;
    let token = desk.issue(Roles::FULL, None);
    let key = NodeKey::generate().expect("made");
    let joined = try_join(&[&seed.address()], &token, &key, &facts(Roles::FULL), &hasty()).await;
    assert_eq!(joined.expect("joins").certificate.node, key.node());
    assert_eq!(desk.nodes.lock().expect("no panics")[&key.node()].1.to_string(), "127.0.0.1");
    // Two that take each other for the leader.
    let at = Leader::At { node: seed.id(), address: seed.address() };
    *desk.leader.lock().expect("no panics") = at;
    assert_eq!(refusal(&seed.address(), &token, &facts(Roles::FULL)).await.why, Why::NoLeader);
    // A leader that is gone.
    let at = Leader::At { node: NodeId(9), address: "127.0.0.1:1".into() };
    *follower.leader.lock().expect("no panics") = at;
    let refused = refusal(&seed.address(), &token, &facts(Roles::FULL)).await;
    assert_eq!(refused.why, Why::NoLeader);
    assert!(refused.cause.contains("the leader could not be asked"), "{refused:?}");
}

#[tokio::test]
async fn seeds_that_are_no_use_are_told_apart() {
    let (world, other) = (World::default(), World::of(ClusterId(0xd2)));
    let desk = Desk::new(&world, Leader::Here);
    let good = world.node(Roles::FULL, doors(&desk)).await;
    let foreign = other.node(Roles::FULL, Doors::default()).await;
    let token = desk.issue(Roles::FULL, None);
    let key = NodeKey::generate().expect("made");
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        listener.local_addr().expect("an address").to_string()
    };
    // The kernel takes the connection, nobody ever speaks.
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let silent_at = silent.local_addr().expect("an address").to_string();
    let web = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let web_at = web.local_addr().expect("an address").to_string();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = web.accept().await {
            let _ = socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    let own = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let own = own.local_addr().expect("an address");
    let own_text = own.to_string();
    let patience = Patience { handshake: Duration::from_millis(300), own: vec![own], ..hasty() };
    let seeds =
        ["no-such-host.invalid:5052", &closed, &silent_at, &web_at, &foreign.address(), &own_text];
    let troubles = try_join(&seeds, &token, &key, &facts(Roles::FULL), &patience).await;
    let troubles = troubles.expect_err("none is of use");
    let kinds: Vec<&Trouble> = troubles.iter().map(|(_, trouble)| trouble).collect();
    assert!(
        matches!(
            kinds.as_slice(),
            [
                Trouble::NoAddress(_),
                Trouble::PortClosed,
                Trouble::Slow("handshake", _),
                Trouble::NotMesolith(_),
                Trouble::OtherCluster,
                Trouble::ThisNode
            ]
        ),
        "{kinds:#?}"
    );
    for (seed, trouble) in &troubles {
        assert!(trouble.hint(seed).is_some() && !trouble.is_final(), "{trouble}");
    }
    // This very node by its certificate, under an address it does not know to be its own.
    let mine = good.credentials.borrow().key.clone();
    let troubles = try_join(&[&good.address()], &token, &mine, &facts(Roles::FULL), &hasty()).await;
    assert_eq!(troubles.expect_err("itself")[0].1, Trouble::ThisNode);
    // Among those that are no use, one is found; what happens is told meanwhile.
    let seeds = [closed.clone(), foreign.address(), good.address()];
    let mut told = Vec::new();
    let tell = |progress: Progress<'_>| told.push(format!("{progress:?}"));
    let joined =
        join(&seeds, &Pass::Token(token.clone()), &key, &facts(Roles::FULL), &hasty(), tell).await;
    joined.expect("joins by the third");
    assert_eq!(told.len(), 5, "{told:#?}");
    assert!(told[1].contains("PortClosed"), "{told:#?}");
}

#[tokio::test]
async fn rounds_are_made_until_patience_ends_and_a_final_refusal_ends_them_at_once() {
    let world = World::default();
    let desk = Desk::new(&world, Leader::Nobody);
    let seed = world.node(Roles::FULL, doors(&desk)).await;
    let token = desk.issue(Roles::FULL, None);
    let key = NodeKey::generate().expect("made");
    let patience = Patience { in_all: super::DEADLINE, ..hasty() };
    let full = facts(Roles::FULL);
    let (seeds, mut rounds) = ([seed.address()], 0);
    let elected = desk.clone();
    let tell = |progress: Progress<'_>| {
        if let Progress::Waits(_) = progress {
            rounds += 1;
            if rounds == 3 {
                *elected.leader.lock().expect("no panics") = Leader::Here;
            }
        }
    };
    let pass = Pass::Token(token.clone());
    let joined = in_time("join", join(&seeds, &pass, &key, &full, &patience, tell));
    joined.await.expect("joins when there is a leader");
    assert_eq!(rounds, 3);
    let expired = desk.issue(Roles::FULL, Some(Duration::from_nanos(1)));
    let pass = Pass::Token(expired.clone());
    let failure = join(&seeds, &pass, &key, &full, &patience, |p| {
        assert!(!matches!(p, Progress::Waits(_)), "there is nothing to wait for");
    });
    let failure = failure.await.expect_err("expired");
    assert_eq!(failure.refusal().map(|r| r.why), Some(Why::ExpiredToken));
    let e = mesolith::base::error::Error::from(failure);
    assert!(e.cause.contains("does not let this node in") && e.hint.is_some(), "{e}");
}

#[test]
fn seeds_are_hosts_with_or_without_a_port() {
    let cases = [
        ("10.0.0.1", "10.0.0.1:5052"),
        ("10.0.0.1:7", "10.0.0.1:7"),
        ("node-1", "node-1:5052"),
        ("node-1:99", "node-1:99"),
        ("fd00::1", "[fd00::1]:5052"),
        ("[fd00::1]", "[fd00::1]:5052"),
        ("[fd00::1]:7", "[fd00::1]:7"),
    ];
    for (text, expected) in cases {
        assert_eq!(seed(text, 5052).expect("good"), expected, "{text}");
    }
    for bad in ["", " ", "a b", "http://x", "node:x", "node:99999", ":5052", "u@h"] {
        assert!(seed(bad, 5052).is_err(), "{bad}");
    }
}
