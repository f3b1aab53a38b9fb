//! Who pulls: logins for registries, from Docker's `config.json`.

use super::digest::Hasher;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;

/// The longest configuration, in bytes.
pub const CONFIG_BYTES_MAX: usize = 1 << 20;

/// How to log in.
#[derive(Clone, PartialEq, Eq)]
pub enum Login {
    /// By name and password.
    Password {
        /// Name.
        user: String,
        /// Password.
        password: String,
    },
    /// By a token that the registry's authority gives others for.
    Identity(String),
}

impl fmt::Debug for Login {
    /// Secrets are nobody's to print.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login(…)")
    }
}

/// Logins by registry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credentials {
    by_host: BTreeMap<String, Login>,
    /// For every registry (`Image.Docker.credential`).
    any: Option<Login>,
}

/// The newer form.
#[derive(Deserialize)]
struct Config {
    auths: BTreeMap<String, Auth>,
}

/// What says that a text is of the newer form; helpers are programs, which are not run.
const NEWER: [&str; 3] = ["auths", "credsStore", "credHelpers"];

#[derive(Default, Deserialize)]
struct Auth {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
}

/// The registry that a key of the configuration means.
fn host_of(key: &str) -> String {
    let rest = key.split_once("://").map_or(key, |(_, rest)| rest);
    let host = rest.split('/').next().unwrap_or_default();
    match host {
        // Docker's own registry has several names.
        "index.docker.io" | "docker.io" | "registry.hub.docker.com" => super::DOCKER_HUB.into(),
        host => host.to_ascii_lowercase(),
    }
}

fn login(host: &str, auth: Auth) -> Result<Option<Login>, String> {
    let host = super::shown(host);
    if let Some(token) = auth.identitytoken.filter(|t| !t.is_empty()) {
        return Ok(Some(Login::Identity(token)));
    }
    if let (Some(user), Some(password)) = (auth.username, auth.password) {
        return Ok(Some(Login::Password { user, password }));
    }
    let Some(text) = auth.auth.filter(|a| !a.is_empty()) else { return Ok(None) };
    let bytes = STANDARD.decode(text.trim()).map_err(|_| format!("auth of {host} is no base64"))?;
    let text = String::from_utf8(bytes).map_err(|_| format!("auth of {host} is no text"))?;
    match text.split_once(':') {
        Some((user, password)) => Ok(Some(Login::Password {
            user: user.into(),
            password: password.trim_end_matches('\0').into(),
        })),
        None => Err(format!("auth of {host} has no password")),
    }
}

impl Credentials {
    /// Reads a `config.json`, or the bare object of registries of a `.dockercfg`. Logins that are left to other programs
    /// are not there.
    ///
    /// # Errors
    /// It is neither.
    pub fn read(text: &[u8]) -> Result<Self, String> {
        if text.len() > CONFIG_BYTES_MAX {
            return Err(format!("there are more than {CONFIG_BYTES_MAX} bytes"));
        }
        // Without the parser's words: they could show a secret.
        let failed = |e: serde_json::Error| {
            format!("line {}, column {} is not as expected", e.line(), e.column())
        };
        let value: BTreeMap<String, serde_json::Value> =
            serde_json::from_slice(text).map_err(failed)?;
        let newer = NEWER.iter().any(|name| value.contains_key(*name));
        let auths = match (newer, value.contains_key("auths")) {
            (true, false) => BTreeMap::new(),
            (true, true) => serde_json::from_slice::<Config>(text).map_err(failed)?.auths,
            (false, _) => serde_json::from_slice(text).map_err(failed)?,
        };
        let mut all = Self::default();
        for (key, auth) in auths {
            if let Some(login) = login(&key, auth)? {
                all.by_host.insert(host_of(&key), login);
            }
        }
        Ok(all)
    }

    /// One name and password, whatever the registry.
    pub fn password(user: &str, password: &str) -> Self {
        let (user, password) = (user.into(), password.into());
        Self { any: Some(Login::Password { user, password }), ..Self::default() }
    }

    /// The login for a registry (`host[:port]`).
    pub fn of(&self, host: &str) -> Option<&Login> {
        self.by_host.get(&host_of(host)).or(self.any.as_ref())
    }

    /// A number that other credentials do not have, to tell whose a pull is.
    pub fn mark(&self) -> String {
        let mut hasher = Hasher::default();
        let logins = self.by_host.iter().map(|(h, l)| (h.as_str(), l));
        for (host, login) in logins.chain(self.any.iter().map(|l| ("", l))) {
            let (user, secret) = match login {
                Login::Password { user, password } => (user.as_str(), password),
                Login::Identity(token) => ("", token),
            };
            for text in [host, user, secret] {
                hasher.update(&(text.len() as u64).to_le_bytes());
                hasher.update(text.as_bytes());
            }
        }
        hasher.finish().hex().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logins_are_found_by_the_registrys_names() {
        let text = br#"{"auths":{
            "https://index.docker.io/v1/":{"auth":"dTpwOnc="},
            "R.example:5000":{"username":"a","password":"b"},
            "https://c.example/v2/":{"identitytoken":"t","auth":"dTo="},
            "empty.example":{}}}"#;
        let all = Credentials::read(text).expect("good");
        let login = |user: &str, password: &str| Login::Password {
            user: user.into(),
            password: password.into(),
        };
        assert_eq!(all.of("registry-1.docker.io"), Some(&login("u", "p:w")));
        assert_eq!(all.of("r.example:5000"), Some(&login("a", "b")));
        assert_eq!(all.of("c.example"), Some(&Login::Identity("t".into())));
        assert_eq!(all.of("empty.example"), None);
        assert_eq!(all.of("r.example"), None);
        assert_eq!(Credentials::password("a", "b").of("x"), Some(&login("a", "b")));
        let older = Credentials::read(br#"{"r.example":{"auth":"dTpwOnc="}}"#).expect("good");
        assert_eq!(older.of("r.example"), Some(&login("u", "p:w")));
        let none = Credentials::read(br#"{"credsStore":"desktop"}"#).expect("good");
        assert_eq!(none, Credentials::default());
    }

    #[test]
    fn other_credentials_have_another_mark() {
        let mark = |u: &str, p: &str| Credentials::password(u, p).mark();
        assert_eq!(mark("ab", "c"), mark("ab", "c"));
        assert_ne!(mark("ab", "c"), mark("a", "bc"));
        assert_ne!(mark("", ""), Credentials::default().mark());
    }

    #[test]
    fn a_bad_configuration_is_refused_and_nothing_secret_shown() {
        for bad in [
            r#"{"auths":{"r":{"auth":"s3cret!"}}}"#,
            r#"{"auths":{"r":{"auth":"czNjcmV0"}}}"#,
            r#"{"auths":{"r":{"auth":["s3cret"]}}}"#,
            r#"{"auths":["s3cret"]}"#,
            r#"{"r":"s3cret"}"#,
            "s3cret",
        ] {
            let why = Credentials::read(bad.as_bytes()).expect_err(bad);
            assert!(!why.contains("s3cret"), "{why}");
        }
        let all = Credentials::password("u", "s3cret");
        assert!(!format!("{all:?}").contains("s3cret"));
    }
}
