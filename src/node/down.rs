//! Stopping the node of a data folder from another process, and what is left of one that has ended.

use super::agent::supervisor;
use super::io_runtime;
use crate::agent::containerizer::Containerizer as _;
use crate::agent::containerizer::client::Supervised;
use crate::base::error::{Code, Error, Result};
use crate::store::DataDir;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a node may take to stop.
const STOP_MAX: Duration = Duration::from_secs(60);
/// Between two looks whether it has.
const LOOK_PAUSE: Duration = Duration::from_millis(20);

/// Stops the node that holds `dir`, its tasks too when `kill_tasks`; with no node there, ends the tasks it left. Answers what
/// was done, in a sentence.
///
/// # Errors
/// [`Code::NotFound`] when there is nothing to stop, [`Code::Timeout`] when it does not stop.
pub fn run(dir: &Path, kill_tasks: bool) -> Result<String> {
    if !dir.join("IDENTITY").exists() {
        let cause = format!("there is no node's data in {}", dir.display());
        return Err(Error::new(Code::NotFound, cause)
            .hint("name the folder that `mesolith up` showed as data with --data-dir"));
    }
    let Some(pid) = holder(dir)? else {
        return match kill_tasks {
            true => end_left_behind(dir),
            false => Err(Error::new(Code::NotFound, format!("no node runs on {}", dir.display()))
                .hint("`mesolith down --kill` ends tasks that it left")),
        };
    };
    let signal = if kill_tasks { Signal::SIGUSR1 } else { Signal::SIGTERM };
    kill(Pid::from_raw(pid), signal)
        .map_err(|e| Error::new(Code::System, format!("cannot signal process {pid}: {e}")))?;
    let deadline = Instant::now() + STOP_MAX;
    while holder(dir)?.is_some() {
        if Instant::now() > deadline {
            let cause = format!("process {pid} did not stop within {} s", STOP_MAX.as_secs());
            return Err(Error::new(Code::Timeout, cause));
        }
        std::thread::sleep(LOOK_PAUSE);
    }
    Ok(format!("stopped the node of {} (process {pid})", dir.display()))
}

/// The process that holds a data folder.
fn holder(dir: &Path) -> Result<Option<i32>> {
    match DataDir::holder(dir)? {
        Some(pid) => Ok(i32::try_from(pid).ok()),
        None => Ok(None),
    }
}

/// Ends the containers of a node that does not run any more.
fn end_left_behind(dir: &Path) -> Result<String> {
    // Held meanwhile, so that no node starts in the middle.
    let _held = DataDir::open(dir)?;
    let runtime = io_runtime()?;
    runtime.block_on(async {
        let supervised = Supervised::new(supervisor(dir));
        let found = supervised.recover().await?.len();
        supervised.down(true).await?;
        Ok(format!("no node was running; ended {found} containers it had left"))
    })
}
