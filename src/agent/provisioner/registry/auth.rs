//! Logging in: what a registry demands, and how it is met.

use super::super::credentials::Login;
use super::{Registry, Trouble, chain, client};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Url;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, WWW_AUTHENTICATE};

/// The longest answer of a token's authority, in bytes.
const TOKEN_BYTES_MAX: u64 = 256 << 10;

/// What a registry demands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Challenge {
    /// Name and password with each request.
    Basic,
    /// A token of that authority.
    Bearer {
        /// Where it is to be had.
        realm: String,
        /// For which service.
        service: Option<String>,
    },
    /// Something else, or nothing that can be read.
    Unknown,
}

impl Challenge {
    /// Reads the demand of an answer; a token is preferred to a password.
    pub fn of(headers: &HeaderMap) -> Self {
        let texts = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|v| v.to_str().ok());
        let all: Vec<Self> = texts.map(Self::read).collect();
        let bearer = all.iter().find(|c| matches!(c, Self::Bearer { .. }));
        bearer.or(all.first()).cloned().unwrap_or(Self::Unknown)
    }

    fn read(text: &str) -> Self {
        let (scheme, rest) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return Self::Basic;
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Self::Unknown;
        }
        let (mut realm, mut service) = (None, None);
        for (name, value) in parameters(rest) {
            match name.as_str() {
                "realm" => realm = Some(value),
                "service" => service = Some(value),
                _ => {}
            }
        }
        match realm {
            Some(realm) => Self::Bearer { realm, service },
            None => Self::Unknown,
        }
    }
}

/// `name="value", name=value`; what is in quotes may hold commas.
fn parameters(text: &str) -> Vec<(String, String)> {
    let mut all = Vec::new();
    let mut chars = text.chars().peekable();
    loop {
        let name: String = std::iter::from_fn(|| chars.next_if(|c| *c != '=')).collect();
        if chars.next().is_none() {
            return all;
        }
        let value = match chars.next_if_eq(&'"') {
            Some(_) => {
                let mut value = String::new();
                while let Some(c) = chars.next() {
                    match c {
                        '"' => break,
                        '\\' => value.extend(chars.next()),
                        c => value.push(c),
                    }
                }
                value
            }
            None => std::iter::from_fn(|| chars.next_if(|c| *c != ',')).collect(),
        };
        let _: String = std::iter::from_fn(|| chars.next_if(|c| *c != ',')).collect();
        chars.next();
        let name = name.trim().trim_start_matches(',').trim().to_ascii_lowercase();
        all.push((name, value.trim().to_owned()));
    }
}

fn basic(user: &str, password: &str) -> Result<HeaderValue, Trouble> {
    let text = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
    let mut value = HeaderValue::from_str(&text)
        .map_err(|_| Trouble::Final("the login cannot be sent".into()))?;
    value.set_sensitive(true);
    Ok(value)
}

fn form(pairs: &[(&str, &str)]) -> String {
    let escape = |s: &str| utf8_percent_encode(s, NON_ALPHANUMERIC).to_string();
    let pairs: Vec<String> = pairs.iter().map(|(n, v)| format!("{n}={}", escape(v))).collect();
    pairs.join("&")
}

impl Registry {
    /// The `Authorization` with which to ask again.
    pub(super) async fn log_in(&self, challenge: Challenge) -> Result<HeaderValue, Trouble> {
        let host = self.host();
        match (challenge, &self.login) {
            (Challenge::Basic, Some(Login::Password { user, password })) => basic(user, password),
            (Challenge::Basic, _) => Err(Trouble::Final(format!(
                "{host} answered 401 Unauthorized: it wants a name and a password, and none are \
                 known for it (programs that keep logins are not run)"
            ))),
            (Challenge::Bearer { realm, service }, login) => {
                self.token(&realm, service.as_deref(), login.as_ref()).await
            }
            (Challenge::Unknown, _) => Err(Trouble::Final(format!(
                "{host} answered 401 Unauthorized without a way to log in"
            ))),
        }
    }

    async fn token(
        &self,
        realm: &str,
        service: Option<&str>,
        login: Option<&Login>,
    ) -> Result<HeaderValue, Trouble> {
        let host = self.host();
        let bad = |why: &str| Trouble::Final(format!("{host} sends for tokens to {why}"));
        let mut url = Url::parse(realm).map_err(|_| bad("what is no address"))?;
        let secure = self.place.base.starts_with("https:");
        if !matches!(url.scheme(), "https" | "http") || (secure && url.scheme() != "https") {
            return Err(bad("an address without https"));
        }
        let scope = format!("repository:{}:pull", self.place.repository);
        let mut wanted: Vec<(&str, &str)> = vec![("scope", &scope)];
        wanted.extend(service.map(|s| ("service", s)));
        let client = client().map_err(Trouble::Final)?;
        let request = match login {
            Some(Login::Identity(token)) => {
                wanted.push(("grant_type", "refresh_token"));
                wanted.push(("refresh_token", token));
                wanted.push(("client_id", "mesolith"));
                let kind = "application/x-www-form-urlencoded";
                client.post(url).header(CONTENT_TYPE, kind).body(form(&wanted))
            }
            login => {
                let query = match url.query() {
                    Some(query) if !query.is_empty() => format!("{query}&{}", form(&wanted)),
                    _ => form(&wanted),
                };
                url.set_query(Some(&query));
                let request = client.get(url);
                match login {
                    Some(Login::Password { user, password }) => {
                        request.header(AUTHORIZATION, basic(user, password)?)
                    }
                    _ => request,
                }
            }
        };
        let sent = tokio::time::timeout(self.stall, request.send()).await;
        let answer = sent.map_err(|_| self.stalled())?;
        let answer = answer.map_err(|e| {
            let why = chain(e);
            Trouble::Passing(format!("cannot reach the authority of tokens of {host}: {why}"))
        })?;
        let status = answer.status();
        if !status.is_success() {
            let text = format!("the authority of tokens of {host} answered {status}");
            return Err(match status.is_server_error() {
                true => Trouble::Passing(text),
                false => Trouble::Final(text),
            });
        }
        let body = self.body(answer, TOKEN_BYTES_MAX).await?;
        read_token(&body).ok_or_else(|| {
            Trouble::Final(format!("the authority of tokens of {host} answered without a token"))
        })
    }
}

fn read_token(body: &[u8]) -> Option<HeaderValue> {
    #[derive(serde::Deserialize)]
    struct Body {
        token: Option<String>,
        access_token: Option<String>,
    }
    let body: Body = serde_json::from_slice(body).ok()?;
    let token = body.token.or(body.access_token).filter(|t| !t.is_empty())?;
    let mut value = HeaderValue::from_str(&format!("Bearer {token}")).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn demands_are_read() {
        let of = |all: &[&str]| {
            let mut headers = HeaderMap::new();
            for text in all {
                headers.append(WWW_AUTHENTICATE, HeaderValue::from_str(text).expect("a header"));
            }
            Challenge::of(&headers)
        };
        let bearer = |realm: &str, service: Option<&str>| Challenge::Bearer {
            realm: realm.into(),
            service: service.map(str::to_owned),
        };
        assert_eq!(
            of(&[r#"Bearer realm="https://a/t?x=1,2",service="s,t",scope="repository:a:pull""#]),
            bearer("https://a/t?x=1,2", Some("s,t"))
        );
        assert_eq!(of(&["bearer Realm=https://a"]), bearer("https://a", None));
        assert_eq!(of(&[r#"Basic realm="x""#, r#"Bearer realm="r""#]), bearer("r", None));
        assert_eq!(of(&["BASIC realm=x"]), Challenge::Basic);
        for odd in ["", "Bearer", "Bearer realm", "Digest a=b", r#"Bearer service="#] {
            assert_eq!(of(&[odd]), Challenge::Unknown, "{odd}");
        }
        assert_eq!(of(&[]), Challenge::Unknown);
        // Never ends, never panics.
        for odd in [r#"Bearer realm="\"#, r#"Bearer realm="a"#, "Bearer =,=,=", "Bearer ,,,,"] {
            let _ = of(&[odd]);
        }
    }
}
