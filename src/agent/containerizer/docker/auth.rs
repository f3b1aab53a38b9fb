//! Who pulls: logins as the engine is told them, and the files in which a task may bring its own.

use crate::agent::provisioner::credentials::{CONFIG_BYTES_MAX, Credentials, Login};
use bollard::auth::DockerCredentials;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// What the engine is to tell that registry.
pub(super) fn login(all: &Credentials, registry: &str) -> Option<DockerCredentials> {
    let mut told =
        DockerCredentials { serveraddress: Some(registry.to_string()), ..Default::default() };
    match all.of(registry)? {
        Login::Password { user, password } => {
            (told.username, told.password) = (Some(user.clone()), Some(password.clone()));
        }
        Login::Identity(token) => told.identitytoken = Some(token.clone()),
    }
    Some(told)
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
        file.take(CONFIG_BYTES_MAX as u64 + 1)
            .read_to_end(&mut text)
            .map_err(|e| told(e.to_string()))?;
        return Credentials::read(&text).map(Some).map_err(told);
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engine_is_told_what_is_known_of_its_registry() {
        let text = br#"{"auths":{"https://index.docker.io/v1/":{"auth":"dTpw"},
            "q.io":{"identitytoken":"t"},"none.io":{}}}"#;
        let all = Credentials::read(text).expect("read");
        let hub = login(&all, "docker.io").expect("there");
        assert_eq!((hub.username.as_deref(), hub.password.as_deref()), (Some("u"), Some("p")));
        assert_eq!(hub.serveraddress.as_deref(), Some("docker.io"));
        let token = login(&all, "q.io").expect("there");
        assert_eq!((token.identitytoken.as_deref(), token.username), (Some("t"), None));
        assert!(login(&all, "none.io").is_none() && login(&all, "other.io").is_none());
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
