//! The bytes of version 1, kept in `golden/1/`: what this program writes is what they are, and what they are it reads.
//! `MESOLITH_GOLDEN=write` makes those that are missing.

use super::super::frames::put;
use super::*;
use crate::cluster::identity::{Authority, AuthorityHash, TokenId, record};
use crate::mesos::codec::Codec;
use crate::mesos::internal::{AgentMessage, MasterMessage, Ping, Pong};
use bytes::BytesMut;
use prost::Message as _;
use std::path::PathBuf;

fn golden(name: &str, written: &[u8]) -> Vec<u8> {
    let path =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/cluster/link/golden/1").join(name);
    if !path.exists() && std::env::var("MESOLITH_GOLDEN").is_ok_and(|v| v == "write") {
        std::fs::write(&path, written).expect("is written");
    }
    let kept = std::fs::read(&path).unwrap_or_else(|e| panic!("{name}: {e}"));
    assert_eq!(String::from_utf8_lossy(written), String::from_utf8_lossy(&kept), "{name}");
    assert_eq!(written, kept, "{name}");
    kept
}

fn hello() -> Hello {
    Hello {
        node: NodeId(0x0123_4567_89ab_cdef),
        cluster: ClusterId(7),
        wire: Versions { oldest: 1, newest: 1 },
        program: "0.1.0".into(),
        clock: Wall(1_700_000_000_000_000_000),
        address: "10.0.0.1:5052".into(),
    }
}

fn request() -> JoinRequest {
    let shown = Presented {
        id: TokenId([1, 2, 3, 4, 5]),
        authority: AuthorityHash([6; 20]),
        roles: Roles::FULL,
        proof: [7; 32],
    };
    JoinRequest {
        wire: Versions { oldest: 1, newest: 1 },
        program: "0.1.0".into(),
        clock: Wall(1_700_000_000_000_000_000),
        key: PublicKey([8; 32]),
        shown,
        signature: vec![9; 64],
        address: ":5052".into(),
        hostname: "node-1".into(),
        zone: Some("a".into()),
    }
}

fn certificate() -> Certificate {
    Certificate {
        node: NodeId(1),
        cluster: ClusterId(7),
        roles: Roles::AGENT,
        not_before: Wall(1),
        not_after: Wall(2),
        leaf: vec![1, 2],
        authority: vec![3, 4],
    }
}

/// Authorities have no public parts; this is their stored form: schema, cluster, one anchor without an end.
fn authorities() -> Authorities {
    Authorities::decode(&[1, 7, 1, 2, 3, 4, 0]).expect("the stored form of version 1")
}

#[test]
fn the_messages_of_version_1_are_what_they_were() {
    let kept = golden("hello.json", &to_json(&hello()).expect("a form"));
    assert_eq!(from_json::<Hello>("it", &kept).expect("read"), hello());
    let kept = golden("join.json", &to_json(&request()).expect("a form"));
    assert_eq!(from_json::<JoinRequest>("it", &kept).expect("read"), request());
    golden("join-message.bin", &request().message());
    let passed_on = PassedOn { request: request(), from: "10.0.0.9".parse().expect("an address") };
    let kept = golden("passed-on.json", &to_json(&passed_on).expect("a form"));
    assert_eq!(from_json::<PassedOn>("it", &kept).expect("read"), passed_on);
    let joined = Joined {
        certificate: certificate(),
        authorities: authorities(),
        cluster: ClusterId(7),
        members: vec![MemberAddress { node: NodeId(1), address: "10.0.0.1:5052".into() }],
    };
    let kept = golden("joined.json", &write_join(&Ok(joined.clone())).expect("a form"));
    assert_eq!(read_join(&kept).expect("read"), Ok(joined));
    let refused = JoinRefusal::guessing(Duration::from_secs(3)).hint("wait");
    let kept = golden("refused.json", &write_join(&Err(refused.clone())).expect("a form"));
    assert_eq!(read_join(&kept).expect("read"), Err(refused));
    let renewed = Renewed { certificate: certificate(), authorities: authorities() };
    let kept = golden("renewed.json", &write_renewed(&renewed).expect("a form"));
    assert_eq!(read_renewed(&kept).expect("read"), renewed);
    let e = Error::new(Code::Unavailable, "no master leads yet").hint("wait");
    let (status, body) = write_error(&e);
    let kept = golden("error.json", &body);
    assert_eq!((status, read_error(503, &kept)), (503, e));
}

#[test]
fn the_frames_of_version_1_are_what_they_were() {
    let mut frames = BytesMut::new();
    let agent = AgentMessage { pong: Some(Pong {}), ..AgentMessage::default() };
    let master = MasterMessage { ping: Some(Ping { connected: true }), ..MasterMessage::default() };
    put(&mut frames, &agent.encode_to_vec(), 100).expect("fits");
    put(&mut frames, &master.encode_to_vec(), 100).expect("fits");
    let kept = golden("agent-frames.bin", &frames);
    let length = usize::from(kept[3]);
    let first = Codec::Protobuf.decode::<AgentMessage>(&kept[4..4 + length]);
    assert_eq!(first.expect("read"), agent);
    golden("certificate.bin", &certificate().encode().expect("a form"));
}

#[test]
fn what_a_newer_version_adds_is_left_alone() {
    let mut newer: serde_json::Value =
        serde_json::from_slice(&to_json(&hello()).expect("a form")).expect("json");
    newer["colour"] = "blue".into();
    let bytes = serde_json::to_vec(&newer).expect("json");
    assert_eq!(from_json::<Hello>("it", &bytes).expect("read"), hello());
    // A reason of later days explains itself.
    let later = br#"{"refused":{"why":"moon-phase","cause":"the moon is full","more":1}}"#;
    let refused = read_join(later).expect("read").expect_err("refused");
    assert_eq!((refused.why, refused.cause.as_str()), (Why::Other, "the moon is full"));
    let later = br#"{"code":"new","cause":"why"}"#;
    assert_eq!(read_error(500, later).cause, "why");
    assert_eq!(read_error(502, b"<html>").code, Code::Unavailable);
}

#[test]
fn every_code_and_reason_survives_the_way() {
    for (code, ..) in CODES {
        for (retry, _) in RETRIES {
            let e = Error { retry, ..Error::new(code, "why") };
            let (status, body) = write_error(&e);
            assert_eq!(read_error(status, &body), e);
        }
    }
    for (why, name) in Why::NAMES {
        assert_eq!(Why::from(name.to_owned()), why);
        assert_eq!(<&str>::from(why), name);
    }
}

#[test]
fn versions_meet_at_the_newest_of_both() {
    let versions = |oldest, newest| Versions { oldest, newest };
    let cases = [
        ((1, 1), (1, 1), Some(1)),
        ((1, 2), (1, 1), Some(1)),
        ((1, 3), (2, 4), Some(3)),
        ((3, 4), (1, 2), None),
    ];
    for ((a, b), (c, d), expected) in cases {
        assert_eq!(versions(a, b).common(versions(c, d)), expected);
        assert_eq!(versions(c, d).common(versions(a, b)), expected);
    }
}

#[test]
fn readers_of_foreign_bytes_refuse_and_do_not_panic() {
    let authority =
        Authority::create(ClusterId(7), Wall(1)).expect("made").encode().expect("a form");
    let whole = write_join(&Ok(Joined {
        certificate: certificate(),
        authorities: authorities(),
        cluster: ClusterId(7),
        members: Vec::new(),
    }));
    let whole = whole.expect("a form");
    for cut in 0..whole.len() {
        assert!(read_join(&whole[..cut]).is_err(), "cut at {cut}");
    }
    for cut in 0..authority.len() {
        assert!(Authority::decode(&authority[..cut]).is_err(), "cut at {cut}");
    }
    assert!(Authorities::decode(&[1, 7, 0]).is_err(), "none at all");
    assert!(record::decode::<Certificate>("it", &[2, 0, 0]).is_err(), "a newer schema");
    let deep = "[".repeat(100_000);
    assert!(from_json::<Hello>("it", deep.as_bytes()).is_err());
}
