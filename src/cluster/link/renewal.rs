//! Keeps a node's certificate fresh: it is renewed after two thirds of its life, kept on disk, and used for new connections;
//! those that are open stay open.

use super::doors::Answering;
use super::wire::Renewed;
use crate::base::error::Result;
use crate::base::time::Wall;
use crate::cluster::identity::{Certificate, Credentials, Folder, wall_now};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// The longest sleep: a clock that is set is seen after that.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// The shortest pause after an attempt that failed.
const RETRY_MIN: Duration = Duration::from_secs(5);
/// The longest.
const RETRY_MAX: Duration = Duration::from_secs(600);

/// How long to wait before the next look, after that many failed attempts; zero: now.
pub fn wait(certificate: &Certificate, failed: u32, now: Wall) -> Duration {
    if failed > 0 {
        return (RETRY_MIN * 2u32.saturating_pow(failed - 1)).min(RETRY_MAX);
    }
    (certificate.renew_at() - now).min(LOOK_EVERY)
}

/// Renews until `stop` fires or its sender is gone. `ask` asks the leader, wherever it is; what it answers with is stored
/// and published.
pub async fn keep(
    folder: Folder,
    credentials: watch::Sender<Arc<Credentials>>,
    ask: impl Fn() -> Answering<Result<Renewed>>,
    mut stop: watch::Receiver<bool>,
) {
    let mut failed = 0;
    loop {
        let certificate = credentials.borrow().certificate.clone();
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(wait(&certificate, failed, wall_now())) => {}
        }
        if failed == 0 && wall_now() < certificate.renew_at() {
            continue;
        }
        let renewed = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            renewed = ask() => renewed,
        };
        let kept = match renewed {
            Ok(Renewed { certificate, authorities }) => {
                let folder = folder.clone();
                let store = move || folder.store(&certificate, &authorities);
                match tokio::task::spawn_blocking(store).await {
                    Ok(kept) => kept,
                    // The node is stopping.
                    Err(_) => return,
                }
            }
            Err(e) => Err(e),
        };
        match kept {
            Ok(fresh) => {
                failed = 0;
                tracing::info!("this node's certificate was renewed");
                credentials.send_replace(Arc::new(fresh));
            }
            Err(e) => {
                failed += 1;
                let left = certificate.not_after - wall_now();
                tracing::warn!(
                    "this node's certificate could not be renewed, it is valid for {:.1} more days: {e}",
                    left.as_secs_f64() / 86_400.0
                );
            }
        }
    }
}
