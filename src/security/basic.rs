//! `Authorization: Basic`.

use super::credentials::Credentials;
use super::principal::{Authenticator, Principal, Verdict};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Knows principals by name and secret.
#[derive(Clone, Debug)]
pub struct BasicAuthenticator(Credentials);

impl BasicAuthenticator {
    /// One that accepts those credentials.
    pub fn new(credentials: Credentials) -> Self {
        Self(credentials)
    }

    fn check(&self, encoded: &str) -> Option<Principal> {
        let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
        let (principal, secret) = decoded.split_once(':')?;
        self.0.check(principal, secret).then(|| Principal::named(principal))
    }
}

impl Authenticator for BasicAuthenticator {
    fn authenticate(&self, authorization: Option<&str>) -> Verdict {
        let Some((scheme, encoded)) = authorization.and_then(|a| a.split_once(' ')) else {
            return Verdict::Absent;
        };
        if !scheme.eq_ignore_ascii_case("basic") {
            return Verdict::Absent;
        }
        self.check(encoded).map_or(Verdict::Refused, Verdict::Principal)
    }

    fn challenge(&self, realm: &str) -> String {
        format!("Basic realm=\"{realm}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_secret_is_accepted() {
        let json = r#"{"credentials":[{"principal":"ops","secret":"a:b"}]}"#;
        let basic = BasicAuthenticator::new(Credentials::parse(json.as_bytes()).unwrap());
        let of = |text: &str| basic.authenticate(Some(&format!("Basic {}", STANDARD.encode(text))));
        assert_eq!(of("ops:a:b"), Verdict::Principal(Principal::named("ops")));
        assert_eq!(of("ops:a"), Verdict::Refused);
        assert_eq!(of("ops"), Verdict::Refused);
        assert_eq!(basic.authenticate(Some("Basic !!!")), Verdict::Refused);
        assert_eq!(basic.authenticate(Some("Bearer abc")), Verdict::Absent);
        assert_eq!(basic.authenticate(Some("Basic")), Verdict::Absent);
        assert_eq!(basic.authenticate(None), Verdict::Absent);
    }
}
