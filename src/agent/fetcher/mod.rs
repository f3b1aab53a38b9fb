//! Brings the URIs of a command into its sandbox before it starts: files, HTTP downloads, archives unpacked, the
//! executable bit set. The original's rules (its `docs/fetcher.md`); there is no cache: a URI that asks for it is
//! downloaded each time, which is the original's own way out when its cache fails.

mod archive;
mod place;
mod source;

use crate::agent::core::io::Launch;
use crate::mesos::v1;
use std::path::PathBuf;
use std::time::Duration;

/// How many URIs one command may have.
pub const URIS_MAX: usize = 1000;

/// How the fetcher works.
#[derive(Clone, Debug)]
pub struct FetchOptions {
    /// A download that brings nothing for this long has failed.
    pub stall_timeout: Duration,
    /// All downloads of a command together.
    pub total_timeout: Duration,
    /// Where relative paths begin (`--frameworks_home`).
    pub frameworks_home: Option<PathBuf>,
}

/// Fetches the URIs of commands.
#[derive(Clone, Debug)]
pub struct Fetcher {
    options: FetchOptions,
}

impl Fetcher {
    /// A fetcher with these options.
    pub fn new(options: FetchOptions) -> Self {
        Self { options }
    }

    /// Brings everything the command asks for into the sandbox, in order. What was done is in the sandbox's `stderr`.
    ///
    /// # Errors
    /// The text of the status message: which URI failed, and why.
    pub async fn fetch(&self, launch: &Launch) -> Result<(), String> {
        let uris = &launch.command.uris;
        if uris.is_empty() {
            return Ok(());
        }
        let failed = |why: String| {
            let container = &launch.container;
            format!("Failed to fetch all URIs for container '{container}': {why}")
        };
        if uris.len() > URIS_MAX {
            let why = format!("{} URIs are over the limit of {URIS_MAX}", uris.len());
            return Err(failed(why));
        }
        let sandbox = place::Sandbox::open(&launch.sandbox, launch.user.as_deref())
            .map_err(|e| failed(e.cause))?;
        let all = async {
            for uri in uris {
                let fetched = self.one(&sandbox, uri).await;
                let line = match &fetched {
                    Ok(path) => format!("Fetched '{}' to '{}'\n", uri.value, path.display()),
                    Err(why) => format!("Failed to fetch '{}': {why}\n", uri.value),
                };
                sandbox.log(&line);
                fetched.map_err(|why| format!("'{}': {why}", uri.value))?;
            }
            Ok(())
        };
        match tokio::time::timeout(self.options.total_timeout, all).await {
            Ok(outcome) => outcome.map_err(failed),
            Err(_) => {
                let limit = crate::base::units::MesosDuration(self.options.total_timeout);
                Err(failed(format!("not done within {limit}")))
            }
        }
    }

    async fn one(
        &self,
        sandbox: &place::Sandbox,
        uri: &v1::command_info::Uri,
    ) -> Result<PathBuf, String> {
        let name = place::name_of(uri)?;
        let source = source::read(&uri.value, self.options.frameworks_home.as_deref())?;
        let kind = match uri.extract() && !uri.executable() {
            true => archive::kind_of(&name),
            false => None,
        };
        let (file, path) = sandbox.create(&name, uri.executable())?;
        source.copy(file, self.options.stall_timeout).await?;
        if let Some(kind) = kind {
            let (sandbox, path) = (sandbox.clone(), path.clone());
            let unpacked =
                tokio::task::spawn_blocking(move || archive::extract(&sandbox, &path, kind));
            unpacked.await.map_err(|e| format!("unpacking has panicked: {e}"))??;
        }
        Ok(path)
    }
}

#[cfg(test)]
mod tests;
