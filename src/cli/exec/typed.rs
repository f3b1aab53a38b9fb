//! What is typed, or comes by a pipe, read on a thread of its own: reading a terminal cannot be given up, and must not
//! keep the program from ending.

use super::calls::Sender;
use super::keys::Leaving;
use super::{Typed, terminal};
use std::io::Read as _;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// How much is read at a time, in bytes.
const CHUNK_BYTES: usize = 16 * 1024;
/// How often a sign of life is sent while nothing is typed.
const HEARTBEAT: Duration = Duration::from_secs(30);

fn reader() -> mpsc::Receiver<Vec<u8>> {
    let (tell, read) = mpsc::channel(4);
    std::thread::spawn(move || {
        let mut stdin = std::io::stdin().lock();
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            match stdin.read(&mut chunk) {
                Ok(0) => return,
                Ok(got) => {
                    let bytes = chunk.get(..got).unwrap_or_default().to_vec();
                    if tell.blocking_send(bytes).is_err() {
                        return;
                    }
                }
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    });
    read
}

/// Passes it on until it ends, is left, or nobody takes it.
pub(super) async fn pass(to: &Sender, tty: bool, leaves: bool) -> Typed {
    let mut read = reader();
    let mut leaving = Leaving::default();
    // Where it cannot be caught the window keeps the size it had.
    let mut resized = signal(SignalKind::window_change()).ok();
    if tty && let Some(size) = terminal::size() {
        to.size(size).await;
    }
    let mut beat = tokio::time::interval(HEARTBEAT);
    loop {
        let changed = async {
            match &mut resized {
                Some(signals) if tty => drop(signals.recv().await),
                _ => std::future::pending().await,
            }
        };
        tokio::select! {
            bytes = read.recv() => match bytes {
                Some(bytes) if leaves => {
                    let (bytes, left) = leaving.look(&bytes);
                    if !bytes.is_empty() {
                        to.bytes(bytes).await;
                    }
                    if left {
                        return Typed::Left;
                    }
                }
                Some(bytes) => to.bytes(bytes).await,
                None => {
                    to.end().await;
                    return Typed::All;
                }
            },
            () = changed => {
                if let Some(size) = terminal::size() {
                    to.size(size).await;
                }
            }
            _ = beat.tick() => to.heartbeat().await,
            () = to.closed() => return Typed::All,
        }
    }
}
