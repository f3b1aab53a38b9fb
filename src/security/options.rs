//! Which realms ask, and by what.

use super::basic::BasicAuthenticator;
use super::credentials::Credentials;
use super::principal::Authenticator;
use crate::base::error::{Code, Error, Result};
use std::sync::Arc;

/// `--authenticate_http_readonly`, `--authenticate_http_readwrite`,
/// `--authenticate_http_frameworks` and the credentials they ask for.
#[derive(Clone, Debug, Default)]
pub struct HttpAuthentication {
    /// Reads ask.
    pub readonly: bool,
    /// Writes and the operator API ask.
    pub readwrite: bool,
    /// The scheduler API asks.
    pub frameworks: bool,
    /// Who may ask.
    pub credentials: Option<Credentials>,
}

impl HttpAuthentication {
    /// Whether everything asks: the condition for an open port. See [`super::check_exposure`].
    pub fn is_complete(&self) -> bool {
        self.readonly && self.readwrite && self.frameworks
    }

    /// The authenticators of a realm: none when it does not ask.
    ///
    /// # Errors
    /// [`Code::Invalid`] when it asks and there are no credentials to ask for.
    pub fn authenticators(&self, realm: &str, asks: bool) -> Result<Vec<Arc<dyn Authenticator>>> {
        match &self.credentials {
            _ if !asks => Ok(Vec::new()),
            Some(credentials) if !credentials.is_empty() => {
                Ok(vec![Arc::new(BasicAuthenticator::new(credentials.clone()))])
            }
            _ => {
                let what = format!(
                    "No credentials provided for the default 'basic' HTTP authenticator for realm \
                     '{realm}'"
                );
                Err(Error::new(Code::Invalid, what).hint("Name a file with --credentials."))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_realm_that_asks_needs_credentials() {
        let json = br#"{"credentials":[{"principal":"a","secret":"b"}]}"#;
        let mut options = HttpAuthentication { readonly: true, ..HttpAuthentication::default() };
        assert!(options.authenticators("r", false).unwrap().is_empty());
        assert!(options.authenticators("r", true).is_err());
        options.credentials = Some(Credentials::default());
        assert!(options.authenticators("r", true).is_err(), "an empty file lets nobody in");
        options.credentials = Some(Credentials::parse(json).unwrap());
        assert_eq!(options.authenticators("r", true).unwrap().len(), 1);
        assert!(!options.is_complete());
        (options.readwrite, options.frameworks) = (true, true);
        assert!(options.is_complete());
    }
}
