//! Where URIs lead: files of this machine, and HTTP.

use super::pace::Pace;
use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use std::fs::{self, File};
use std::io::Write as _;
use std::os::fd::FromRawFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;
use tokio::runtime::Handle;

/// How many redirects a download follows.
const REDIRECTS_MAX: usize = 20;
/// The largest file or download, in bytes.
pub const FETCHED_BYTES_MAX: u64 = 64 << 30;

/// What a URI names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file of this machine.
    File(PathBuf),
    /// Something to download.
    Http(String),
}

/// Reads a URI: an absolute path, `file://`, a path below `home`, `http://` or `https://`.
///
/// # Errors
/// A scheme that is not served here; a relative path without `home`.
pub fn read(uri: &str, home: Option<&Path>) -> Result<Source, String> {
    let uri = uri.trim_start();
    if let Some((scheme, rest)) = uri.split_once("://") {
        return match scheme {
            "http" | "https" => Ok(Source::Http(uri.to_string())),
            "file" => {
                let path = rest.strip_prefix("localhost").unwrap_or(rest);
                match path.starts_with('/') {
                    true => Ok(Source::File(path.into())),
                    false => Err("a file URI must hold an absolute path".into()),
                }
            }
            _ => Err(format!("the scheme '{scheme}' is not supported: use http, https or file")),
        };
    }
    match (Path::new(uri).is_absolute(), home) {
        (true, _) => Ok(Source::File(uri.into())),
        (false, Some(home)) => Ok(Source::File(home.join(uri))),
        (false, None) => Err("a relative path needs a folder of frameworks to begin at".into()),
    }
}

impl Source {
    /// How many bytes it has; none when nobody tells.
    ///
    /// # Errors
    /// Why it cannot be had.
    pub fn size(&self, io: &Handle, pace: &Pace, stall: Duration) -> Result<Option<u64>, String> {
        match self {
            Source::File(path) => {
                let told = open(path)?.metadata();
                told.map(|there| Some(there.len())).map_err(|e| format!("{}: {e}", path.display()))
            }
            Source::Http(url) => io.block_on(within(pace, head(url, stall))),
        }
    }

    /// Writes what the URI leads to into `file`. Blocks; what is waited for goes on at `io`.
    ///
    /// # Errors
    /// Why it could not be had.
    pub fn copy(
        &self,
        file: &mut File,
        io: &Handle,
        pace: &Pace,
        stall: Duration,
    ) -> Result<(), String> {
        match self {
            Source::File(path) => {
                let mut from = open(path)?;
                pace.copy(&mut from, file, FETCHED_BYTES_MAX).map(drop)
            }
            Source::Http(url) => io.block_on(within(pace, download(url, file, stall))),
        }
    }
}

/// Waits for something until nobody waits for the fetch any more, or its time is over.
async fn within<T>(
    pace: &Pace,
    work: impl Future<Output = Result<T, String>>,
) -> Result<T, String> {
    let left = tokio::time::Instant::from_std(pace.until);
    tokio::select! {
        biased;
        () = pace.given_up.cancelled() => Err("given up".into()),
        () = tokio::time::sleep_until(left) => Err(pace.late()),
        done = work => done,
    }
}

/// Opens a file of this machine. Not through the links of `/proc` that stand for open files: the agent has files open
/// whose paths nobody else can walk.
fn open(path: &Path) -> Result<File, String> {
    let failed = |e: std::io::Error| format!("cannot open '{}': {e}", path.display());
    // A pipe without a writer must not be waited for.
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let how = OpenHow::new().flags(flags).resolve(ResolveFlag::RESOLVE_NO_MAGICLINKS);
    let file = match openat2(libc::AT_FDCWD, path, how) {
        // SAFETY: just opened, owned by nobody else.
        Ok(fd) => unsafe { File::from_raw_fd(fd) },
        // Linux before 5.6: the links are resolved first.
        Err(Errno::ENOSYS) => {
            let real = fs::canonicalize(path).map_err(failed)?;
            let mut options = fs::OpenOptions::new();
            options.read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
            options.open(real).map_err(failed)?
        }
        Err(e) => return Err(failed(e.into())),
    };
    match file.metadata().map_err(failed)?.is_file() {
        true => Ok(file),
        false => Err(format!("'{}' is not a file", path.display())),
    }
}

fn client() -> Result<&'static reqwest::Client, String> {
    static CLIENT: OnceLock<Result<reqwest::Client, String>> = OnceLock::new();
    let made = CLIENT.get_or_init(|| {
        // Another part of the program may have installed it: both are the same provider.
        let _ = rustls::crypto::ring::default_provider().install_default();
        reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::limited(REDIRECTS_MAX))
            // Kept by no runtime: it outlives the one it was made in.
            .pool_max_idle_per_host(0)
            .build()
            .map_err(|e| format!("cannot start an HTTP client: {e}"))
    });
    made.as_ref().map_err(Clone::clone)
}

fn failed(e: reqwest::Error) -> String {
    // Its text holds the URL, which the caller names already.
    let e = e.without_url();
    let cause = std::error::Error::source(&e).map(|c| format!(": {c}")).unwrap_or_default();
    format!("{e}{cause}")
}

/// The size that a server tells without sending anything.
async fn head(url: &str, stall: Duration) -> Result<Option<u64>, String> {
    let asked = tokio::time::timeout(stall, client()?.head(url).send()).await;
    let Ok(answer) = asked else { return Ok(None) };
    let answer = answer.map_err(failed)?;
    let told = answer.headers().get(reqwest::header::CONTENT_LENGTH);
    let size = told.and_then(|told| told.to_str().ok()?.parse().ok());
    Ok(size.filter(|_| answer.status().is_success()))
}

async fn download(url: &str, file: &mut File, stall: Duration) -> Result<(), String> {
    let stalled = || format!("nothing came for {}", crate::base::units::MesosDuration(stall));
    let request = client()?.get(url).send();
    let mut answer =
        tokio::time::timeout(stall, request).await.map_err(|_| stalled())?.map_err(failed)?;
    if !answer.status().is_success() {
        return Err(format!("the server answered {}", answer.status()));
    }
    let mut size = 0u64;
    loop {
        let piece = tokio::time::timeout(stall, answer.chunk()).await.map_err(|_| stalled())?;
        let Some(piece) = piece.map_err(failed)? else { return Ok(()) };
        size += piece.len() as u64;
        if size > FETCHED_BYTES_MAX {
            return Err(format!("there are more than {FETCHED_BYTES_MAX} bytes"));
        }
        // The thread is the fetch's own: others are not held up.
        file.write_all(&piece).map_err(|e| format!("cannot write it: {e}"))?;
    }
}
