//! Joining: three commands are three voters; who is not let in is told why, and stays outside.

use super::ask::MASTER;
use super::node::{DEADLINE, mesolith, until};
use super::world::World;
use serde_json::json;
use std::process::Stdio;
use std::time::Instant;

// covers: MES-0561
#[test]
fn three_commands_are_three_voters_and_the_status_says_why() {
    let Some(mut world) = World::prepare(3, &[]) else { return };
    let since = Instant::now();
    world.found();
    let founded = since.elapsed();
    assert_eq!(world.leader_among(&[1]), 1, "alone it leads at once");
    world.join(2);
    world.join(3);
    until("three vote", || world.standing(1, &["voter", "leader"]).len() == 3);
    eprintln!("the first was up after {founded:.1?}, three voted after {:.1?}", since.elapsed());
    world.wait_for_agents(3);
    for node in 1..=3 {
        let mut status = mesolith();
        status.args(["cluster", "status"]);
        let said = world.net.host(node).command(&mut status).output().unwrap();
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        let why = said.split_once("\nwhy\n").unwrap_or_else(|| panic!("no reasons: {said}")).1;
        for name in ["h1", "h2", "h3"] {
            let reason = why.lines().find_map(|line| line.trim().strip_prefix(name));
            let reason = reason.unwrap_or_else(|| panic!("nothing of {name}: {said}"));
            assert!(reason.trim().len() > 5, "{name} without a reason: {said}");
        }
    }
}

#[test]
fn who_may_not_join_is_told_why_and_changes_nothing() {
    let Some(mut world) = World::prepare(2, &[]) else { return };
    world.found();
    let expired = world.new_token(1, &json!({"ttl_seconds": 1})).expect("a token is made");
    let since = Instant::now();
    let good = world.new_token(1, &json!({})).unwrap();
    // The same form, another secret.
    let last = good.chars().last().unwrap();
    let other = if last == 'a' { 'b' } else { 'a' };
    let forged = format!("{}{other}", &good[..good.len() - 1]);
    let address = world.net.host(1).address();
    let data = world.dir.path().join("stranger");
    let join = |token: &str| {
        let mut up = mesolith();
        up.args(["up", "--config=/dev/null", &format!("--join={address}")]);
        up.args([&format!("--token={token}"), &format!("--data-dir={}", data.display())]);
        up.stdin(Stdio::null());
        world.net.host(2).command(&mut up).output().unwrap()
    };
    until("the token is too old", || since.elapsed().as_secs() >= 2);
    for (token, wanted) in
        [(forged.as_str(), "token"), (&expired, "expired"), ("nonsense", "token")]
    {
        let out = join(token);
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_ne!(out.status.code(), Some(0), "{said}");
        assert!(said.contains(wanted), "{wanted} is not in: {said}");
        assert!(said.contains("hint:"), "{said}");
    }
    let seen = world.cluster(1);
    assert_eq!(seen["nodes"].as_array().unwrap().len(), 1, "nobody was let in: {seen:#}");
    assert!(since.elapsed() < DEADLINE, "and none of them was waited for without end");
    let answer = world.ask(1, MASTER, "GET /mesolith/v1/cluster/tokens", "").unwrap();
    assert!(!answer.body.contains(&good), "secrets are not listed");
}
