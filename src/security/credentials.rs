//! The credentials file: `{"credentials":[{"principal":"p","secret":"s"}]}`.

use crate::base::error::{Code, Error, Result};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use subtle::{Choice, ConstantTimeEq as _};

/// How many credentials a file may hold.
pub const CREDENTIALS_MAX: usize = 10_000;

/// The largest credentials file, in bytes.
const FILE_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// A principal and its secret. The secret is never printed.
#[derive(Clone, Deserialize)]
pub struct Credential {
    /// The name.
    pub principal: String,
    #[serde(default)]
    secret: String,
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").field("principal", &self.principal).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Document {
    credentials: Vec<Credential>,
}

/// Who may ask, and by which secret.
#[derive(Clone, Debug, Default)]
pub struct Credentials(BTreeMap<String, Credential>);

impl Credentials {
    /// Reads a file. One that others may read is accepted with a warning, as in Mesos.
    ///
    /// # Errors
    /// [`Code::System`] when it cannot be read, [`Code::Invalid`] when it is not what it should be.
    /// No text of the file is in the error.
    pub fn load(path: &Path) -> Result<Self> {
        let doing = || format!("cannot read the credentials file '{}'", path.display());
        let system = |e: std::io::Error| Error::new(Code::System, e.to_string()).context(doing());
        let file = File::open(path).map_err(system)?;
        let mode = file.metadata().map_err(system)?.permissions().mode();
        if mode & 0o007 != 0 {
            tracing::warn!(
                "the permissions on the credentials file '{}' are too open: others than its owner \
                 can read the secrets",
                path.display()
            );
        }
        let mut bytes = Vec::new();
        file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(system)?;
        if bytes.len() as u64 > FILE_BYTES_MAX {
            return Err(Error::new(Code::Invalid, "it is over 8 MiB").context(doing()));
        }
        Self::parse(&bytes).map_err(|e| e.context(doing()))
    }

    /// Reads the file's JSON.
    ///
    /// # Errors
    /// [`Code::Invalid`]: no JSON of that form, an empty or repeated principal, a colon in one, too
    /// many.
    pub fn parse(json: &[u8]) -> Result<Self> {
        let invalid = |what: String| {
            Err(Error::new(Code::Invalid, what)
                .hint("The form is {\"credentials\":[{\"principal\":\"name\",\"secret\":\"…\"}]}."))
        };
        let document: Document = match serde_json::from_slice(json) {
            Ok(document) => document,
            // Only the place: a message may quote a secret.
            Err(e) => {
                return invalid(format!(
                    "invalid JSON at line {}, column {}",
                    e.line(),
                    e.column()
                ));
            }
        };
        if document.credentials.len() > CREDENTIALS_MAX {
            return invalid(format!("more than {CREDENTIALS_MAX} credentials"));
        }
        let mut by_name = BTreeMap::new();
        for credential in document.credentials {
            let name = credential.principal.clone();
            if name.is_empty() || name.contains(':') {
                return invalid(format!("the principal '{name}' is empty or contains a colon"));
            }
            if by_name.insert(name.clone(), credential).is_some() {
                return invalid(format!("the principal '{name}' is there twice"));
            }
        }
        Ok(Self(by_name))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether that secret is the principal's. Takes as long for an unknown principal as for a
    /// wrong secret.
    pub fn check(&self, principal: &str, secret: &str) -> bool {
        let credential = self.0.get(principal);
        let expected = credential.map_or(secret, |c| c.secret.as_str());
        let equal = expected.as_bytes().ct_eq(secret.as_bytes());
        (equal & Choice::from(u8::from(credential.is_some()))).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_read_and_secrets_are_checked() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("credentials");
        std::fs::write(&path, r#"{"credentials":[{"principal":"ops","secret":"s3"}]}"#).unwrap();
        let credentials = Credentials::load(&path).unwrap();
        assert!(credentials.check("ops", "s3"));
        for (principal, secret) in
            [("ops", "s"), ("ops", "s33"), ("ops", ""), ("x", "s3"), ("", "")]
        {
            assert!(!credentials.check(principal, secret), "{principal} {secret}");
        }
        assert!(!format!("{credentials:?}").contains("s3"), "secrets are not printed");
    }

    #[test]
    fn a_bad_file_is_refused_without_quoting_it() {
        for bad in [
            "",
            "principal hunter2",
            r#"{"credentials":"hunter2"}"#,
            r#"{"credentials":[{"principal":1,"secret":"hunter2"}]}"#,
            r#"{"credentials":[{"principal":"","secret":"hunter2"}]}"#,
            r#"{"credentials":[{"principal":"a:b","secret":"hunter2"}]}"#,
            r#"{"credentials":[{"principal":"a","secret":"hunter2"},{"principal":"a"}]}"#,
        ] {
            let error = Credentials::parse(bad.as_bytes()).unwrap_err();
            assert_eq!(error.code, Code::Invalid, "{bad}");
            assert!(!error.cause.contains("hunter2"), "{error}");
        }
        let missing = Credentials::load(Path::new("/nonexistent/credentials")).unwrap_err();
        assert!(missing.cause.contains("'/nonexistent/credentials'"), "{missing}");
    }
}
