//! Blobs into files: checked while they come, taken up again where they broke off.

use super::super::digest::{Digest, Hasher};
use super::{PAUSE, Registry, Trouble};
use bytes::Bytes;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_RANGE, HeaderMap};
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::mpsc;

/// How often in a row a download may break off without having brought anything.
const EMPTY_TRIES_MAX: u32 = 4;
/// Pieces that wait to be written.
const PIECES_MAX: usize = 32;
const PIECE: usize = 128 << 10;

/// How many bytes have come.
pub type Fetched = AtomicU64;

/// The file that a blob comes into.
struct Part {
    file: File,
    hasher: Hasher,
    len: u64,
    /// Whether some of it was there from an earlier pull.
    old: bool,
}

fn broken(e: impl std::fmt::Display) -> String {
    format!("cannot write a blob: {e}")
}

impl Part {
    /// Takes up what an earlier pull left.
    fn open(path: &Path, size: u64) -> Result<Self, String> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW)
            .open(path)
            .map_err(broken)?;
        let mut part = Self { file, hasher: Hasher::default(), len: 0, old: false };
        let mut piece = vec![0; PIECE];
        loop {
            let n = match part.file.read(&mut piece) {
                Ok(0) => break,
                Ok(n) => n,
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(e) => return Err(broken(e)),
            };
            part.hasher.update(piece.get(..n).unwrap_or_default());
            part.len += n as u64;
        }
        part.old = part.len > 0;
        if part.len > size {
            part.begin()?;
        }
        Ok(part)
    }

    /// From the beginning.
    fn begin(&mut self) -> Result<(), String> {
        self.file.set_len(0).and_then(|()| self.file.rewind()).map_err(broken)?;
        (self.hasher, self.len, self.old) = (Hasher::default(), 0, false);
        Ok(())
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.file.write_all(bytes).map_err(broken)?;
        self.hasher.update(bytes);
        self.len += bytes.len() as u64;
        Ok(())
    }
}

/// Does file work where it holds nobody up.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(e) => Err(format!("file work has panicked: {e}")),
    }
}

/// Whether the answer goes on at this place: not all servers can.
fn goes_on(status: StatusCode, headers: &HeaderMap, from: u64) -> bool {
    let range = headers.get(CONTENT_RANGE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let begin = range.trim().strip_prefix("bytes ").and_then(|r| r.split('-').next());
    status == StatusCode::PARTIAL_CONTENT && begin.and_then(|b| b.parse().ok()) == Some(from)
}

impl Registry {
    /// Brings a blob into the file at `path`, which may hold its beginning from an earlier try. What was fetched is added
    /// to `fetched`, and taken off again when it is of no use.
    ///
    /// # Errors
    /// Why it cannot be had; it is not what its address says; then the file is gone.
    pub async fn blob(
        &self,
        digest: &Digest,
        size: u64,
        path: &Path,
        fetched: &Fetched,
    ) -> Result<(), String> {
        let what = format!("blob {digest}");
        let opened = path.to_path_buf();
        let mut part = blocking(move || Part::open(&opened, size)).await?;
        fetched.fetch_add(part.len, Ordering::Relaxed);
        let (mut empty, mut pause) = (0, PAUSE);
        loop {
            let before = part.len;
            let (back, outcome) = self.more(part, &what, digest, size, fetched).await?;
            part = back;
            match outcome {
                Ok(()) if part.len == size => {}
                Err(Trouble::Final(why)) => return Err(why),
                Ok(()) | Err(Trouble::Passing(_)) if part.len > before => {
                    (empty, pause) = (0, PAUSE);
                    continue;
                }
                outcome => {
                    empty += 1;
                    if empty >= EMPTY_TRIES_MAX {
                        let short = || format!("{what} ends after {} of {size} bytes", part.len);
                        return Err(outcome.map_or_else(Trouble::text, |()| short()));
                    }
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                    continue;
                }
            }
            let there = part.hasher.clone().finish();
            if there == *digest {
                return Ok(());
            }
            fetched.fetch_sub(part.len, Ordering::Relaxed);
            if !part.old {
                drop(std::fs::remove_file(path));
                return Err(format!("{what} arrived as {there} from {}", self.host()));
            }
            // What was left from an earlier pull may be spoilt: once more, from the beginning.
            part.begin()?;
        }
    }

    /// One request, and all that it brings.
    async fn more(
        &self,
        mut part: Part,
        what: &str,
        digest: &Digest,
        size: u64,
        fetched: &Fetched,
    ) -> Result<(Part, Result<(), Trouble>), String> {
        if part.len == size {
            return Ok((part, Ok(())));
        }
        let asked = self.get(&format!("blobs/{digest}"), what, Some(part.len)).await;
        let mut answer = match asked {
            Ok(answer) => answer,
            Err(trouble) => return Ok((part, Err(trouble))),
        };
        if answer.status() == StatusCode::RANGE_NOT_SATISFIABLE {
            fetched.fetch_sub(part.len, Ordering::Relaxed);
            part.begin()?;
            let text = format!("{} cannot go on with the {what}", self.host());
            return Ok((part, Err(Trouble::Passing(text))));
        }
        if part.len > 0 && !goes_on(answer.status(), answer.headers(), part.len) {
            fetched.fetch_sub(part.len, Ordering::Relaxed);
            part.begin()?;
        }
        let (pieces, mut waiting) = mpsc::channel::<Bytes>(PIECES_MAX);
        let mut come = part.len;
        let writer = tokio::task::spawn_blocking(move || {
            while let Some(piece) = waiting.blocking_recv() {
                if let Err(why) = part.put(&piece) {
                    return (part, Err(why));
                }
            }
            (part, Ok(()))
        });
        let outcome = loop {
            let piece = match self.piece(&mut answer).await {
                Ok(Some(piece)) => piece,
                Ok(None) => break Ok(()),
                Err(trouble) => break Err(trouble),
            };
            come += piece.len() as u64;
            if come > size {
                let host = self.host();
                let text = format!("{what} of {host} goes on after its {size} bytes");
                break Err(Trouble::Final(text));
            }
            fetched.fetch_add(piece.len() as u64, Ordering::Relaxed);
            if pieces.send(piece).await.is_err() {
                // The writer has failed, and says why.
                break Ok(());
            }
        };
        drop(pieces);
        let (part, written) =
            writer.await.map_err(|e| format!("writing a blob has panicked: {e}"))?;
        written?;
        Ok((part, outcome))
    }
}
