//! A check made in the network of a container: by a thread that enters it, since a thread has one network, and what it opens
//! stays there.

use super::connect;
use crate::agent::core::io::{CheckKind, CheckOutcome};
use nix::sched::{CloneFlags, setns};
use std::fs::File;
use std::time::Duration;
use tokio::sync::{Semaphore, oneshot};

/// Checks in containers' networks that are made at one time: each has a thread.
const THREADS_MAX: usize = 64;
/// How long a check may take that has no time-out of its own.
const TIMEOUT_MAX: Duration = Duration::from_secs(3600);

static THREADS: Semaphore = Semaphore::const_new(THREADS_MAX);

/// Makes a check in the network of that process.
pub(super) async fn within(pid: i32, timeout: Option<Duration>, check: CheckKind) -> CheckOutcome {
    // The semaphore is never closed.
    let turn = THREADS.acquire().await;
    let (tell, told) = oneshot::channel();
    let thread = std::thread::Builder::new().name("check".into());
    let spawned = thread.spawn(move || {
        let outcome = enter(pid).and_then(|()| make(&check, timeout.unwrap_or(TIMEOUT_MAX)));
        // Whoever asked may have given up.
        let _ = tell.send(outcome.unwrap_or_else(CheckOutcome::Failed));
    });
    if let Err(e) = spawned {
        return CheckOutcome::Failed(format!("cannot start a thread: {e}"));
    }
    let outcome = told.await;
    drop(turn);
    outcome.unwrap_or_else(|_| CheckOutcome::Failed("the check has panicked".into()))
}

fn enter(pid: i32) -> Result<(), String> {
    let file = File::open(format!("/proc/{pid}/ns/net"));
    let entered = file
        .map_err(|e| e.to_string())
        .and_then(|file| setns(file, CloneFlags::CLONE_NEWNET).map_err(|e| e.to_string()));
    entered.map_err(|e| format!("cannot enter the network of the container: {e}"))
}

fn make(check: &CheckKind, limit: Duration) -> Result<CheckOutcome, String> {
    // On this thread alone: the others are not in that network.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| format!("cannot make a check: {e}"))?;
    let outcome = runtime.block_on(async { tokio::time::timeout(limit, connect(check)).await });
    Ok(outcome.unwrap_or_else(|_| CheckOutcome::Failed(super::timed_out(limit))))
}
