//! Who pulls: credentials from the files that `docker login` writes. Credential helpers are programs and are not run.

use super::image::DOCKER_HUB;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bollard::auth::DockerCredentials;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// The largest file with credentials, in bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
struct Entry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    email: Option<String>,
    identitytoken: Option<String>,
}

/// Credentials by the names of registries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credentials(BTreeMap<String, Entry>);

#[derive(Deserialize)]
struct Newer {
    auths: BTreeMap<String, Entry>,
}

impl Credentials {
    /// Reads either form: `{"auths": {…}}` of `config.json`, or the bare object of `.dockercfg`.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        let value: serde_json::Value = serde_json::from_slice(text).map_err(|e| e.to_string())?;
        let newer = value.get("auths").is_some();
        let entries = if newer {
            serde_json::from_value::<Newer>(value).map(|newer| newer.auths)
        } else if value.get("credsStore").is_some() || value.get("credHelpers").is_some() {
            // A configuration whose credentials are all with helpers.
            Ok(BTreeMap::new())
        } else {
            serde_json::from_value(value)
        };
        let entries = entries.map_err(|e| e.to_string())?;
        Ok(Self(entries.into_iter().map(|(name, entry)| (host(&name).into(), entry)).collect()))
    }

    /// What to tell a registry.
    pub fn of(&self, registry: &str) -> Option<DockerCredentials> {
        let entry = self.0.get(host(registry))?;
        let pair = entry.auth.as_ref().and_then(|auth| {
            let text = String::from_utf8(BASE64_STANDARD.decode(auth).ok()?).ok()?;
            let (user, password) = text.split_once(':')?;
            Some((user.to_string(), password.trim_end_matches('\0').to_string()))
        });
        let (username, password) = match pair {
            Some((user, password)) => (Some(user), Some(password)),
            None => (entry.username.clone(), entry.password.clone()),
        };
        Some(DockerCredentials {
            username,
            password,
            email: entry.email.clone(),
            identitytoken: entry.identitytoken.clone(),
            serveraddress: Some(registry.to_string()),
            ..Default::default()
        })
    }
}

/// The registry's name without scheme and path; Docker Hub has several.
fn host(name: &str) -> &str {
    let bare = name.strip_prefix("https://").or_else(|| name.strip_prefix("http://"));
    let bare = bare.unwrap_or(name);
    match bare.split('/').next().unwrap_or(bare) {
        "index.docker.io" | "registry-1.docker.io" | DOCKER_HUB => DOCKER_HUB,
        other => other,
    }
}

/// Credentials that a task brought along in its sandbox, as `docker login` leaves them in a home.
///
/// # Errors
/// The path, and what is wrong with it.
pub(super) fn in_home(home: &Path) -> Result<Option<Credentials>, String> {
    for name in [".docker/config.json", ".dockercfg"] {
        let path = home.join(name);
        let told = |e: String| format!("{}: {e}", path.display());
        // Who wrote the sandbox says what is in it, not what else is on this machine.
        let folder = path.parent().unwrap_or(home).symlink_metadata();
        if folder.is_ok_and(|meta| meta.is_symlink()) {
            return Err(told("is behind a link".into()));
        }
        let file = File::options().read(true).custom_flags(libc::O_NOFOLLOW).open(&path);
        let file = match file {
            Ok(file) => file,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
            Err(e) => return Err(told(e.to_string())),
        };
        let mut text = Vec::new();
        file.take(FILE_BYTES_MAX).read_to_end(&mut text).map_err(|e| told(e.to_string()))?;
        return Credentials::parse(&text).map(Some).map_err(told);
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read() {
        let new = br#"{"auths":{"https://index.docker.io/v1/":{"auth":"dTpw"},"q.io":{}}}"#;
        let old = br#"{"https://index.docker.io/v1/":{"auth":"dTpw","email":"e"}}"#;
        for text in [&new[..], &old[..]] {
            let found = Credentials::parse(text).expect("read").of("docker.io").expect("there");
            assert_eq!(
                (found.username.as_deref(), found.password.as_deref()),
                (Some("u"), Some("p"))
            );
        }
        assert!(Credentials::parse(new).expect("read").of("other.io").is_none());
        assert!(Credentials::parse(b"[]").is_err());
    }

    #[test]
    fn a_link_out_of_the_sandbox_is_not_followed() {
        let (home, other) = (tempfile::tempdir().expect("dir"), tempfile::tempdir().expect("dir"));
        std::fs::write(other.path().join("config.json"), "{\"auths\":{}}").expect("written");
        std::os::unix::fs::symlink(other.path(), home.path().join(".docker")).expect("linked");
        assert!(in_home(home.path()).is_err());
        std::fs::remove_file(home.path().join(".docker")).expect("removed");
        assert_eq!(in_home(home.path()), Ok(None));
    }
}
