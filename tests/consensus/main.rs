//! The replicated registry as the rest of the program sees it: real openraft on real (or crashing)
//! disks.
//!
//! Seeds are fixed; `MESOLITH_SIM_SEEDS=<n>` runs n more of each seeded test.

mod cluster;
mod corrupt;
mod crash;
mod hasten;
mod kill;
mod namespace;
mod pace;
mod seeded;
mod single;

use mesolith::cluster::consensus::{Epoch, Op, Options, ProposeError, Registry};
use mesolith::store::DataDir;
use std::time::Duration;

/// How long anything that must happen may take on a loaded machine.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// The seeds of a seeded test.
pub fn seeds(fixed: u64) -> impl Iterator<Item = u64> {
    let more = std::env::var("MESOLITH_SIM_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(0);
    0..fixed + more
}

/// Options for one node alone.
pub fn alone() -> Options {
    Options { timeout: DEADLINE, ..Options::default() }
}

/// Opens a registry on a directory.
pub async fn open(path: &std::path::Path) -> (DataDir, Registry) {
    let dir = DataDir::open(path).expect("the directory opens");
    let registry = Registry::open(&dir, alone()).await.expect("the registry opens");
    (dir, registry)
}

/// Puts one key.
pub async fn put(r: &Registry, epoch: Epoch, key: &str, value: &str) -> Result<u64, ProposeError> {
    r.propose(epoch, vec![Op::put(key, value)]).await.map(|c| c.index)
}

/// Waits until something is so.
pub async fn until(what: &str, mut so: impl FnMut() -> bool) {
    let start = std::time::Instant::now();
    while !so() {
        assert!(start.elapsed() < DEADLINE, "{what}: not in {DEADLINE:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
