//! One voter: what is written is there, in order, under the newest epoch only.

use super::{alone, open, put, until};
use mesolith::base::error::Code;
use mesolith::cluster::consensus::{Epoch, Op, Options, Pace, ProposeError, Registry, Start};
use mesolith::store::DataDir;
use std::time::Duration;

#[tokio::test]
async fn what_is_written_is_read_and_versioned_and_survives_a_restart() {
    let tmp = tempfile::tempdir().expect("a directory");
    let (dir, registry) = open(tmp.path()).await;
    let (node, cluster) = (dir.node_id(), registry.cluster_id());
    let epoch = registry.begin().await.expect("begins");
    assert_eq!(registry.epoch(), epoch);
    let first = put(&registry, epoch, "agents/a", "1").await.expect("is written");
    let second = put(&registry, epoch, "agents/b", "2").await.expect("is written");
    assert!(second > first);
    assert_eq!(registry.get("agents/a").expect("is read"), Some((b"1".to_vec(), first)));
    let ops = vec![Op::delete("agents/a"), Op::put("agents/c", "3")];
    let third = registry.propose(epoch, ops).await.expect("is written").index;
    registry.shutdown().await.expect("stops");
    drop((dir, registry));

    let (dir, registry) = open(tmp.path()).await;
    assert_eq!((dir.node_id(), registry.cluster_id()), (node, cluster));
    let index = registry.read_index().await.expect("is linearizable");
    assert!(index >= third);
    let rows = registry.scan("agents/").expect("is read");
    let rows: Vec<_> = rows.iter().map(|r| (r.key.as_str(), r.version)).collect();
    assert_eq!(rows, [("agents/b", second), ("agents/c", third)]);
    assert_eq!(registry.epoch(), epoch, "the epoch is part of the state");
    assert_eq!(registry.scan("b").expect("is read"), []);
}

#[tokio::test]
async fn a_failed_check_applies_nothing_and_names_the_key() {
    let tmp = tempfile::tempdir().expect("a directory");
    let (_dir, registry) = open(tmp.path()).await;
    let epoch = registry.begin().await.expect("begins");
    let v = put(&registry, epoch, "a", "1").await.expect("is written");
    let conflict = |key: &str, actual| ProposeError::Conflict { key: key.into(), actual };

    let must_not_exist = vec![Op::put("b", "x"), Op::check("a", None)];
    let refused = registry.propose(epoch, must_not_exist).await;
    assert_eq!(refused, Err(conflict("a", Some(v))));
    let wrong_version = vec![Op::put("b", "x"), Op::check("a", Some(v + 1))];
    assert_eq!(registry.propose(epoch, wrong_version).await, Err(conflict("a", Some(v))));
    let must_exist = vec![Op::put("b", "x"), Op::check("c", Some(1))];
    assert_eq!(registry.propose(epoch, must_exist).await, Err(conflict("c", None)));
    assert_eq!(registry.get("b").expect("is read"), None);

    // Checks are about the state before the batch, wherever they stand in it.
    let fits = vec![Op::put("a", "2"), Op::check("a", Some(v)), Op::check("b", None)];
    let w = registry.propose(epoch, fits).await.expect("is written").index;
    assert_eq!(registry.get("a").expect("is read"), Some((b"2".to_vec(), w)));
}

#[tokio::test]
async fn an_old_epoch_is_refused_for_ever() {
    let tmp = tempfile::tempdir().expect("a directory");
    let (dir, registry) = open(tmp.path()).await;
    let unbegun = put(&registry, Epoch(77), "a", "0").await;
    assert_eq!(unbegun, Err(ProposeError::Fenced { current: Epoch(0) }));
    let old = registry.begin().await.expect("begins");
    put(&registry, old, "a", "1").await.expect("is written");
    // Proposed before the new incarnation is known here, but behind its entry in the log.
    let begun = registry.begin();
    let (begun, _) = tokio::join!(begun, async {});
    let new = begun.expect("begins");
    assert!(new > old);
    let fenced = put(&registry, old, "a", "2").await;
    assert_eq!(fenced, Err(ProposeError::Fenced { current: new }));
    let ahead = put(&registry, Epoch(new.0 + 1), "a", "2").await;
    assert_eq!(ahead, Err(ProposeError::Fenced { current: new }), "refused when applied");
    registry.shutdown().await.expect("stops");
    drop((dir, registry));
    let (_dir, registry) = open(tmp.path()).await;
    registry.read_index().await.expect("is linearizable");
    let fenced = put(&registry, old, "a", "2").await;
    assert_eq!(fenced, Err(ProposeError::Fenced { current: new }));
    put(&registry, new, "a", "3").await.expect("the epoch holds until another begins");
}

#[tokio::test]
async fn proposals_of_one_caller_are_applied_in_order_and_share_syncs() {
    let tmp = tempfile::tempdir().expect("a directory");
    let (_dir, registry) = open(tmp.path()).await;
    let epoch = registry.begin().await.expect("begins");
    let before = registry.status().commits.0;
    let n = 500;
    let proposals: Vec<_> =
        (0..n).map(|i| registry.propose(epoch, vec![Op::put("a", format!("{i}"))])).collect();
    let mut last = 0;
    for proposal in proposals {
        let index = proposal.await.expect("is written").index;
        assert!(index > last, "in the order of the calls");
        last = index;
    }
    assert_eq!(registry.get("a").expect("is read"), Some((b"499".to_vec(), last)));
    let syncs = registry.status().commits.0 - before;
    assert!(syncs < n / 4, "{n} writes took {syncs} syncs");
}

#[tokio::test]
async fn limits_are_refusals_not_failures() {
    let tmp = tempfile::tempdir().expect("a directory");
    let (_dir, registry) = open(tmp.path()).await;
    let epoch = registry.begin().await.expect("begins");
    let long = "k".repeat(1025);
    for ops in
        [vec![Op::put(long, "")], vec![Op::put("", "")], vec![Op::put("a", vec![0; 9 << 20])]]
    {
        let refused = registry.propose(epoch, ops).await;
        assert!(matches!(refused, Err(ProposeError::Invalid(_))), "{refused:?}");
    }
    // 64 MiB may be under way: of 20 batches of 4 MiB, proposed before any can be answered, some
    // must wait.
    let big: Vec<_> =
        (0..20).map(|_| registry.propose(epoch, vec![Op::put("a", vec![1; 4 << 20])])).collect();
    let mut overloaded = 0;
    for proposal in big {
        match proposal.await {
            Ok(_) => {}
            Err(ProposeError::Overloaded) => overloaded += 1,
            Err(e) => panic!("{e:?}"),
        }
    }
    assert!(overloaded > 0);
    assert_eq!(registry.status().overloaded, overloaded);
    put(&registry, epoch, "b", "1").await.expect("there is room again");
}

#[tokio::test]
async fn a_lonely_voter_needs_no_ticks_to_keep_leading() {
    let tmp = tempfile::tempdir().expect("a directory");
    let dir = DataDir::open(tmp.path()).expect("opens");
    let pace = Pace {
        heartbeat: Duration::from_millis(10),
        election_min: Duration::from_millis(30),
        election_max: Duration::from_millis(40),
    };
    let registry = Registry::open(&dir, Options { pace, ..alone() }).await.expect("opens");
    let epoch = registry.begin().await.expect("begins");
    let term = registry.status().term;
    // Many leases long.
    tokio::time::sleep(Duration::from_millis(600)).await;
    registry.read_index().await.expect("still leads");
    put(&registry, epoch, "a", "1").await.expect("still leads");
    assert_eq!(registry.status().term, term);
}

#[tokio::test]
async fn the_log_is_bounded_by_snapshots() {
    let tmp = tempfile::tempdir().expect("a directory");
    let dir = DataDir::open(tmp.path()).expect("opens");
    let options = || Options { snapshot_entries: 200, log_keep: 50, ..alone() };
    let registry = Registry::open(&dir, options()).await.expect("opens");
    let epoch = registry.begin().await.expect("begins");
    for _ in 0..10 {
        let proposals: Vec<_> = (0..100)
            .map(|i| registry.propose(epoch, vec![Op::put(format!("k{i}"), "v")]))
            .collect();
        for proposal in proposals {
            proposal.await.expect("is written");
        }
    }
    until("the log is purged", || registry.status().purged.is_some_and(|p| p > 500)).await;
    let last = put(&registry, epoch, "last", "x").await.expect("is written");
    registry.snapshot_now().await.expect("is asked for");
    until("a snapshot is taken", || registry.status().snapshot >= Some(last)).await;
    registry.shutdown().await.expect("stops");
    drop(registry);
    let registry = Registry::open(&dir, options()).await.expect("opens with a purged log");
    registry.read_index().await.expect("is linearizable");
    assert_eq!(registry.scan("").expect("is read").len(), 101);
    put(&registry, epoch, "more", "x").await.expect("goes on");
}

// covers the fault "two processes on one data directory"
#[tokio::test]
async fn a_second_opener_is_refused_and_told_who_holds_it() {
    let tmp = tempfile::tempdir().expect("a directory");
    let (dir, _registry) = open(tmp.path()).await;
    let refused = DataDir::open(tmp.path()).expect_err("is held");
    assert_eq!(refused.code, Code::Conflict);
    let pid = format!("process {}", std::process::id());
    assert!(refused.cause.contains(&pid), "{refused}");
    let again = Registry::open(&dir, alone()).await.map(|_| ()).expect_err("is open");
    assert_eq!(again.code, Code::Conflict, "{again}");
}

#[tokio::test]
async fn a_node_may_be_told_who_it_is_and_of_which_cluster_and_stays_that() {
    let dir = tempfile::tempdir().expect("a folder");
    let found = Options { start: Start::Found { cluster: 77 }, ..super::alone() };
    let open = async |node: u64, options: Options| {
        let data = DataDir::open(dir.path()).expect("opens");
        let opened = Registry::open_as(&data, node, options).await;
        opened.map(|registry| (registry, data))
    };
    let (registry, data) = open(5, found.clone()).await.expect("opens");
    assert_eq!((registry.node_id(), registry.cluster_id()), (5, 77));
    let epoch = registry.begin().await.expect("leads");
    put(&registry, epoch, "a", "1").await.expect("is written");
    registry.shutdown().await.expect("stops");
    drop((registry, data));
    let other = open(6, found.clone()).await.map(drop).expect_err("another node's votes");
    assert_eq!(other.code, Code::Conflict);
    assert!(other.cause.contains("0000000000000005"), "{other}");
    let elsewhere = Options { start: Start::Found { cluster: 78 }, ..super::alone() };
    assert_eq!(
        open(5, elsewhere).await.map(drop).expect_err("another cluster").code,
        Code::Conflict
    );
    let (registry, _data) = open(5, found).await.expect("opens");
    assert!(registry.leadership().borrow().is_me);
}

#[tokio::test]
async fn a_database_from_before_ids_were_in_it_is_its_directorys() {
    let dir = tempfile::tempdir().expect("a folder");
    let (data, registry) = open(dir.path()).await;
    let node = data.node_id();
    registry.shutdown().await.expect("stops");
    drop((registry, data));
    let data = DataDir::open(dir.path()).expect("opens");
    let other = Registry::open_as(&data, node ^ 1, super::alone()).await.map(drop);
    assert_eq!(other.expect_err("another node's votes").code, Code::Conflict);
    drop(data);
    let (_data, registry) = open(dir.path()).await;
    assert_eq!(registry.node_id(), node);
}
