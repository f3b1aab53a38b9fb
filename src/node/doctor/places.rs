//! Where a node keeps its things and listens: the data folder and the ports.

use super::Finding;
use crate::node::faces;
use crate::node::settings::Options;
use crate::store::DataDir;
use nix::unistd::{AccessFlags, access};
use std::path::{Path, PathBuf};

/// Less free space than this is told, in MiB.
const FREE_LEAST_MIB: u64 = 1024;
/// With less than this no database can be begun, in MiB.
const FREE_NEEDED_MIB: u64 = 16;

/// The data folder, and what is free on its disk.
pub fn data(options: &Options) -> Vec<Finding> {
    let dir = match options.ephemeral {
        true => std::env::temp_dir(),
        false => options.data_dir.clone(),
    };
    let told = dir.display();
    let held = DataDir::holder(&dir);
    if let Ok(Some(pid)) = held {
        let finding = Finding::bad("data folder", format!("{told}: a node has it (process {pid})"));
        return vec![
            finding
                .advice("that node runs; for another one name other places (--data-dir and ports)"),
        ];
    }
    let nearest = nearest(&dir);
    let writable = access(&nearest, AccessFlags::W_OK | AccessFlags::X_OK);
    let folder = match (writable, held) {
        (Err(e), _) => Finding::bad("data folder", format!("{}: {e}", nearest.display()))
            .advice("name a folder that this user may write to: --data-dir"),
        (Ok(()), Err(e)) => Finding::bad("data folder", e.cause),
        (Ok(()), Ok(_)) if nearest == dir => Finding::ok("data folder", told.to_string()),
        (Ok(()), Ok(_)) => Finding::ok("data folder", format!("{told} can be made")),
    };
    vec![folder, free(&nearest)]
}

/// The folder itself, or the one above it that is there.
pub fn nearest(dir: &Path) -> PathBuf {
    dir.ancestors().find(|path| path.is_dir()).unwrap_or(Path::new("/")).to_path_buf()
}

fn free(dir: &Path) -> Finding {
    let disk = match nix::sys::statvfs::statvfs(dir) {
        Ok(disk) => disk,
        Err(e) => return Finding::limited("disk", format!("{}: {e}", dir.display())),
    };
    let mib = |blocks: u64| blocks.saturating_mul(disk.fragment_size()) >> 20;
    let (free, whole) = (mib(disk.blocks_available()), mib(disk.blocks()));
    let found = format!("{free} MiB of {whole} MiB free");
    match free {
        free if free < FREE_NEEDED_MIB => Finding::bad("disk", found).advice("free some space"),
        free if free < FREE_LEAST_MIB => {
            Finding::limited("disk", found).advice("sandboxes and images need more")
        }
        _ => Finding::ok("disk", found),
    }
}

/// Listens on all ports for a moment, as a node does.
pub async fn ports(options: &Options) -> Vec<Finding> {
    match faces::open(options).await {
        Ok(doors) => {
            let own = [
                doors.addresses.master,
                doors.addresses.agent,
                doors.addresses.marathon,
                doors.addresses.chronos,
            ];
            let between = doors.cluster.as_ref().and_then(|l| l.local_addr().ok());
            let all: Vec<String> =
                own.into_iter().chain([between]).flatten().map(|a| a.to_string()).collect();
            vec![Finding::ok("ports", format!("free: {}", all.join(" ")))]
        }
        // One error may be of several ports, a line each.
        Err(e) => {
            let lines = e.cause.lines().map(|line| Finding::bad("ports", line));
            let mut all: Vec<Finding> = lines.collect();
            if let (Some(last), Some(hint)) = (all.last_mut(), e.hint) {
                last.advice = Some(hint);
            }
            all
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_not_there_is_judged_by_what_is_above_it() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(nearest(&dir.path().join("a/b")), dir.path());
        assert_eq!(nearest(dir.path()), dir.path());
    }
}
