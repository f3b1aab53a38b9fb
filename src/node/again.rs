//! A node whose folder cannot be written: its databases take nothing more once a write has failed, since what a failed one
//! has left on the disk is not known. The node lives on, refuses what it is asked, and starts again in place as soon as its
//! folder takes a write. Its tasks go on meanwhile. It does not judge other failures.

use super::Node;
use crate::base::error::{Code, Error};
use crate::cluster::consensus::Registry;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Between two looks.
const LOOK: Duration = Duration::from_secs(1);
/// How much must fit before it is tried again: a start and some commits.
const ROOM: usize = 4 << 20;

/// Completes when the log's database has failed; with the cause.
pub(super) async fn failed(registry: Option<Registry>) -> String {
    let Some(registry) = registry else { return std::future::pending().await };
    let mut leadership = registry.leadership();
    // Told of until the log has ended.
    while leadership.changed().await.is_ok() {}
    registry.status().failure.unwrap_or_else(|| "the log has ended".into())
}

/// Whether something can be written there.
pub(super) async fn is_writable(dir: PathBuf) -> bool {
    let tried = tokio::task::spawn_blocking(move || try_to_write(&dir)).await;
    matches!(tried, Ok(Ok(())))
}

fn try_to_write(dir: &Path) -> std::io::Result<()> {
    let path = dir.join("room");
    let written = std::fs::File::create(&path).and_then(|mut file| {
        let zeros = vec![0; 1 << 16];
        for _ in 0..ROOM / zeros.len() {
            file.write_all(&zeros)?;
        }
        file.sync_all()
    });
    let removed = std::fs::remove_file(&path);
    written.and(removed)
}

/// Waits until something can be written there.
pub(super) async fn writable(dir: &Path) {
    while !is_writable(dir.to_path_buf()).await {
        tokio::time::sleep(LOOK).await;
    }
}

/// Ends a node in order and starts it again: the same process, with what it was started with.
/// Answers only when that cannot be done, with the reason.
pub(super) async fn start_again(node: Node) -> Error {
    if let Err(e) = node.stop(false).await {
        tracing::info!("stopped to start again: {e}");
    }
    let mut args = std::env::args_os();
    let name = args.next().unwrap_or_else(|| "mesolith".into());
    let e = Command::new("/proc/self/exe").arg0(name).args(args).exec();
    Error::new(Code::System, format!("the program cannot start itself again: {e}"))
        .hint("start it again")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_folder_is_tried_and_left_as_it_was() {
        let dir = tempfile::tempdir().expect("a folder");
        assert!(is_writable(dir.path().to_path_buf()).await);
        assert_eq!(std::fs::read_dir(dir.path()).expect("is read").count(), 0);
        assert!(!is_writable(dir.path().join("none")).await);
        writable(dir.path()).await;
    }
}
