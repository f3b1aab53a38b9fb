//! Where URIs lead: files of this machine, and HTTP.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

/// How many redirects a download follows.
const REDIRECTS_MAX: usize = 20;
/// The largest download, in bytes.
pub const DOWNLOAD_BYTES_MAX: u64 = 64 << 30;

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
    /// Writes what the URI leads to into `file`.
    ///
    /// # Errors
    /// Why it could not be had.
    pub async fn copy(self, file: File, stall: Duration) -> Result<(), String> {
        match self {
            Source::File(path) => {
                let copied = tokio::task::spawn_blocking(move || copy_file(&path, file));
                copied.await.map_err(|e| format!("copying has panicked: {e}"))?
            }
            Source::Http(url) => download(&url, file, stall).await,
        }
    }
}

fn copy_file(path: &Path, mut to: File) -> Result<(), String> {
    let failed = |e: std::io::Error| format!("cannot copy '{}': {e}", path.display());
    let mut from = File::open(path).map_err(failed)?;
    if !from.metadata().map_err(failed)?.is_file() {
        return Err(format!("'{}' is not a file", path.display()));
    }
    std::io::copy(&mut from, &mut to).map(|_| ()).map_err(failed)
}

fn client() -> Result<&'static reqwest::Client, String> {
    static CLIENT: OnceLock<Result<reqwest::Client, String>> = OnceLock::new();
    let made = CLIENT.get_or_init(|| {
        // Another part of the program may have installed it: both are the same provider.
        let _ = rustls::crypto::ring::default_provider().install_default();
        reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::limited(REDIRECTS_MAX))
            .build()
            .map_err(|e| format!("cannot start an HTTP client: {e}"))
    });
    made.as_ref().map_err(Clone::clone)
}

async fn download(url: &str, mut file: File, stall: Duration) -> Result<(), String> {
    let stalled = || format!("nothing came for {}", crate::base::units::MesosDuration(stall));
    let failed = |e: reqwest::Error| {
        // Its text holds the URL, which the caller names already.
        let e = e.without_url();
        let cause = std::error::Error::source(&e).map(|c| format!(": {c}")).unwrap_or_default();
        format!("{e}{cause}")
    };
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
        if size > DOWNLOAD_BYTES_MAX {
            return Err(format!("larger than {DOWNLOAD_BYTES_MAX} bytes"));
        }
        file = tokio::task::spawn_blocking(move || file.write_all(&piece).map(|()| file))
            .await
            .map_err(|e| format!("writing has panicked: {e}"))?
            .map_err(|e| format!("cannot write it: {e}"))?;
    }
}
