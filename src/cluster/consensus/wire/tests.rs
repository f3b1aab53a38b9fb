//! The bytes of version 1, kept in `golden/1/`: what this program writes is what they are, and what they are it reads and
//! writes the same again. `MESOLITH_GOLDEN=write` makes those that are missing.

use super::super::command::{Batch, Command, Op};
use super::super::types::{Entry, StoredMembership, log_id as id_of};
use super::*;
use openraft::EntryPayload;
use std::path::PathBuf;
use std::sync::Arc;

fn golden(name: &str, written: &[u8]) -> Vec<u8> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let path = root.join("src/cluster/consensus/golden/1").join(name);
    if !path.exists() && std::env::var("MESOLITH_GOLDEN").is_ok_and(|v| v == "write") {
        std::fs::write(&path, written).expect("is written");
    }
    let kept = std::fs::read(&path).unwrap_or_else(|e| panic!("{name}: {e}"));
    assert_eq!(written, kept, "{name}");
    kept
}

fn vote() -> Vote {
    let leader_id =
        openraft::impls::leader_id_std::LeaderId { term: 3, voted_for: 0x0123_4567_89ab_cdef };
    Vote { leader_id, committed: true }
}

#[test]
fn the_requests_of_version_1_are_what_they_were() {
    let ops = vec![Op::put("a", [0, 255, 7]), Op::delete("b"), Op::check("c", Some(3))];
    let batch = Command::Batch(Arc::new(Batch { epoch: 9, ops }));
    let payloads =
        [EntryPayload::Blank, EntryPayload::Normal(Command::Begin), EntryPayload::Normal(batch)];
    let entries = payloads
        .into_iter()
        .zip(11..)
        .map(|(payload, index)| Entry { log_id: id_of(3, index), payload });
    let append = AppendEntriesRequest {
        vote: vote(),
        prev_log_id: Some(id_of(2, 10)),
        entries: entries.collect(),
        leader_commit: Some(id_of(2, 9)),
    };
    let ask = VoteRequest::new(vote(), Some(id_of(2, 10)));
    let transfer = TransferLeaderRequest::new(vote(), 5, Some(id_of(3, 12)));
    let meta = SnapshotMeta {
        last_log_id: Some(id_of(3, 12)),
        last_membership: StoredMembership::default(),
    };
    let requests = [
        ("append.bin", Request::Append((&append).into())),
        ("vote.bin", Request::Vote((&ask).into())),
        ("pre-vote.bin", Request::PreVote((&ask).into())),
        ("transfer.bin", Request::Transfer((&transfer).into())),
        ("snapshot.bin", Request::Snapshot(SnapshotForm::new(vote(), &meta))),
    ];
    for (name, request) in requests {
        let envelope = Envelope { cluster: 7, to: 5, request };
        let kept = golden(name, &encode(&envelope).expect("a form"));
        let read = decode_request(&kept).expect("read");
        assert_eq!((read.cluster, read.to), (7, 5));
        assert_eq!(encode(&read).expect("a form"), kept, "{name}");
    }
}

#[test]
fn the_responses_of_version_1_are_what_they_were() {
    let partial = AppendEntriesResponse::PartialSuccess(Some(id_of(3, 12)));
    let refused = TransferLeaderError::LogNotFlushed {
        expected: Some(id_of(3, 12)),
        actual: Some(id_of(3, 11)),
    };
    let responses = [
        ("appended.bin", Response::Append(AppendEntriesResponse::Success.into())),
        ("appended-partly.bin", Response::Append(partial.into())),
        ("append-conflict.bin", Response::Append(AppendEntriesResponse::Conflict.into())),
        ("append-refused.bin", Response::Append(AppendEntriesResponse::HigherVote(vote()).into())),
        ("voted.bin", Response::Vote(VoteResponse::new(vote(), Some(id_of(2, 10)), true).into())),
        ("transferred.bin", Response::Transfer(transfer_form(Ok(())))),
        ("transfer-refused.bin", Response::Transfer(transfer_form(Err(refused)))),
        ("snapshot-taken.bin", Response::Snapshot(vote().into())),
    ];
    for (name, response) in responses {
        let kept = golden(name, &encode(&response).expect("a form"));
        let read = decode_response(&kept).expect("read");
        assert_eq!(encode(&read).expect("a form"), kept, "{name}");
    }
}

#[test]
fn cut_bytes_are_refused() {
    let ask = VoteRequest::new(vote(), Some(id_of(2, 10)));
    let request = Request::Vote((&ask).into());
    let bytes = encode(&Envelope { cluster: 7, to: 5, request }).expect("a form");
    for cut in 0..bytes.len() {
        assert!(decode_request(&bytes[..cut]).is_err(), "cut at {cut}");
    }
}
