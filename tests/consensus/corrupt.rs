//! Damaged, missing and foreign files: refused with a way out, or found sound; never an empty
//! start, never a panic.

use super::{alone, open, put};
use mesolith::base::error::{Code, Error};
use mesolith::base::kv;
use mesolith::base::rng::Rng;
use mesolith::cluster::consensus::Registry;
use mesolith::store::{AgentStore, DataDir};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// A directory with both databases, cleanly closed.
async fn initialised() -> tempfile::TempDir {
    let tmp = tempfile::tempdir().expect("a directory");
    let (dir, registry) = open(tmp.path()).await;
    let epoch = registry.begin().await.expect("begins");
    for i in 0..300 {
        put(&registry, epoch, &format!("k{i:03}"), &"v".repeat(300)).await.expect("is written");
    }
    let (agent, found) = AgentStore::open(&dir).expect("opens");
    assert_eq!(found, []);
    agent.write(vec![kv::Op::put("id", vec![1])]).await.expect("is written");
    agent.close();
    registry.shutdown().await.expect("stops");
    tmp
}

/// Opens both; the registry's content is all there, or it is an error.
async fn try_open(path: &Path) -> Result<(), Error> {
    let dir = DataDir::open(path)?;
    let (agent, found) = AgentStore::open(&dir)?;
    assert_eq!(found, [("id".to_owned(), vec![1])]);
    agent.close();
    let registry = Registry::open(&dir, alone()).await?;
    let read = registry.read_index().await.and_then(|_| registry.scan("k"));
    let _ = registry.shutdown().await;
    assert_eq!(read?.len(), 300, "a start with less than there was");
    Ok(())
}

fn refused(outcome: Result<(), Error>, file: &str) -> Error {
    let e = outcome.expect_err("is refused");
    assert_eq!(e.code, Code::Corrupt, "{e}");
    assert!(e.cause.contains(file), "{e} does not name {file}");
    let hint = e.hint.clone().unwrap_or_default();
    assert!(hint.contains("backup") && hint.contains("move the whole directory away"), "{hint}");
    e
}

#[tokio::test]
async fn a_sound_directory_opens_and_is_private() {
    let tmp = initialised().await;
    try_open(tmp.path()).await.expect("is sound");
    for file in ["LOCK", "IDENTITY", "raft.redb", "agent.redb"] {
        let mode = std::fs::metadata(tmp.path().join(file)).expect("is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    let made = tmp.path().join("made");
    drop(DataDir::open(&made).expect("is made"));
    let mode = std::fs::metadata(made).expect("is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[tokio::test]
async fn missing_empty_cut_and_foreign_databases_are_refused() {
    for file in ["raft.redb", "agent.redb"] {
        let tmp = initialised().await;
        let path = tmp.path().join(file);
        let content = std::fs::read(&path).expect("is read");
        let e = {
            std::fs::remove_file(&path).expect("is removed");
            refused(try_open(tmp.path()).await, file)
        };
        assert!(e.cause.contains("missing"), "{e}");
        assert!(!path.exists(), "nothing was made in its place");

        std::fs::write(&path, b"").expect("is written");
        assert!(refused(try_open(tmp.path()).await, file).cause.contains("empty"));
        assert_eq!(std::fs::metadata(&path).expect("is there").len(), 0);

        let garbage: Vec<u8> = (0..content.len()).map(|i| (i * 7 + i / 256) as u8).collect();
        std::fs::write(&path, &garbage).expect("is written");
        refused(try_open(tmp.path()).await, file);
        assert_eq!(std::fs::read(&path).expect("is read"), garbage, "is left as it was");

        for part in [1, 100, 4096, content.len() / 2, content.len() - 4096] {
            std::fs::write(&path, &content[..part]).expect("is written");
            refused(try_open(tmp.path()).await, file);
        }
        // From another node's directory.
        let other = initialised().await;
        std::fs::copy(other.path().join(file), &path).expect("is copied");
        assert!(refused(try_open(tmp.path()).await, file).cause.contains("another data directory"));

        std::fs::write(&path, &content).expect("is written");
        try_open(tmp.path()).await.expect("is sound again");
    }
}

#[tokio::test]
async fn a_missing_or_damaged_identity_is_refused() {
    let tmp = initialised().await;
    let path = tmp.path().join("IDENTITY");
    let content = std::fs::read_to_string(&path).expect("is read");
    std::fs::remove_file(&path).expect("is removed");
    refused(try_open(tmp.path()).await, "IDENTITY");
    for bad in ["", "{", "{\"schema\":1}"] {
        std::fs::write(&path, bad).expect("is written");
        refused(try_open(tmp.path()).await, "IDENTITY");
    }
    std::fs::write(&path, content.replace("\"schema\": 1", "\"schema\": 2")).expect("is written");
    let newer = try_open(tmp.path()).await.expect_err("is newer");
    assert_eq!(newer.code, Code::Corrupt);
    assert!(newer.hint.is_some_and(|h| h.contains("newer")));
    std::fs::write(&path, content).expect("is written");
    try_open(tmp.path()).await.expect("is sound again");
}

#[tokio::test]
async fn a_flipped_bit_is_found_or_harmless() {
    let tmp = initialised().await;
    let path = tmp.path().join("raft.redb");
    let content = std::fs::read(&path).expect("is read");
    let mut rng = Rng::new(14);
    let mut found = 0;
    let places = super::seeds(120).map(|i| {
        // The header densely, the rest at random.
        if i < 40 { i * 8 } else { rng.below(content.len() as u64) }
    });
    for place in places.collect::<Vec<_>>() {
        let mut damaged = content.clone();
        damaged[place as usize] ^= 1 << rng.below(8);
        std::fs::write(&path, &damaged).expect("is written");
        if let Err(e) = try_open(tmp.path()).await {
            assert!(matches!(e.code, Code::Corrupt | Code::System), "byte {place}: {e:?}");
            found += 1;
        }
    }
    assert!(found > 10, "only {found} were noticed");
}
