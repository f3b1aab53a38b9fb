//! A registry over HTTP (Docker Registry API, version 2; OCI Distribution): manifests and blobs, with logins, retries, and
//! a bound on all that comes. It knows one repository for one pull.

mod auth;
mod blobs;

use super::credentials::Login;
use super::digest::Digest;
use super::manifest::{ACCEPTED, Document, MANIFEST_BYTES_MAX};
use super::reference::Reference;
use auth::Challenge;
pub use blobs::Fetched;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, RANGE};
use reqwest::{Response, StatusCode, Url};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// How often something is asked for that failed for the moment.
const TRIES_MAX: u32 = 4;
/// The pause before the second try; doubled before each further one.
const PAUSE: Duration = Duration::from_millis(250);
/// How many redirects are followed.
const REDIRECTS_MAX: usize = 10;
/// What is read of the body of a refusal, in bytes.
const REFUSAL_BYTES_MAX: u64 = 16 << 10;

/// Why something could not be had.
#[derive(Debug)]
pub(super) enum Trouble {
    /// It will not be otherwise.
    Final(String),
    /// It may be, soon.
    Passing(String),
}

impl Trouble {
    fn text(self) -> String {
        match self {
            Trouble::Final(text) | Trouble::Passing(text) => text,
        }
    }
}

/// Where a repository is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// `https://host[:port]`.
    pub base: String,
    /// `host[:port]`, as it is told.
    pub host: String,
    /// Path in the registry.
    pub repository: String,
}

impl Place {
    /// Where a name leads: the registry it names, else `default` (a URL).
    ///
    /// # Errors
    /// The default is no URL of a registry.
    pub fn of(reference: &Reference, default: &str) -> Result<Self, String> {
        let url = default_url(default)?;
        let default_host = authority(&url);
        let host = match &reference.host {
            None => default_host.clone(),
            Some(host) if matches!(&**host, "docker.io" | "index.docker.io") => {
                super::DOCKER_HUB.into()
            }
            Some(host) => host.clone(),
        };
        let scheme = if host == default_host { url.scheme() } else { scheme(&host) };
        let hub = host == super::DOCKER_HUB;
        let repository = match hub && !reference.repository.contains('/') {
            true => format!("library/{}", reference.repository),
            false => reference.repository.clone(),
        };
        Ok(Self { base: format!("{scheme}://{host}"), host, repository })
    }
}

/// Reads the address of a registry.
///
/// # Errors
/// It is none.
pub fn default_url(text: &str) -> Result<Url, String> {
    let url = match text.contains("://") {
        true => Url::parse(text),
        false => Url::parse(&format!("https://{text}")),
    };
    let url = url.map_err(|e| format!("'{text}' is no address of a registry: {e}"))?;
    let plain = matches!(url.path(), "" | "/") && url.query().is_none();
    let anonymous = url.username().is_empty() && url.password().is_none();
    match matches!(url.scheme(), "http" | "https") && url.has_host() && plain && anonymous {
        true => Ok(url),
        false => Err(format!("'{text}' is no address of a registry: expected https://host[:port]")),
    }
}

fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.into(),
    }
}

/// Registries on this machine, and on port 80, speak plain HTTP.
fn scheme(host: &str) -> &'static str {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let own = name == "localhost" || name.starts_with("127.") || host.starts_with("[::1]");
    if own && !host.ends_with(":443") || host.ends_with(":80") { "http" } else { "https" }
}

/// One repository of a registry, for one pull.
pub struct Registry {
    place: Place,
    login: Option<Login>,
    stall: Duration,
    token: Mutex<Option<HeaderValue>>,
}

fn client() -> Result<&'static reqwest::Client, String> {
    static CLIENT: OnceLock<Result<reqwest::Client, String>> = OnceLock::new();
    let made = CLIENT.get_or_init(|| {
        // Another part of the program may have installed it: both are the same provider.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let policy = reqwest::redirect::Policy::custom(|attempt| {
            let secure = attempt.previous().first().is_some_and(|url| url.scheme() == "https");
            if attempt.previous().len() > REDIRECTS_MAX {
                attempt.error("too many redirects")
            } else if secure && attempt.url().scheme() != "https" {
                attempt.error("a redirect from https to http")
            } else {
                attempt.follow()
            }
        });
        reqwest::Client::builder()
            .redirect(policy)
            // Kept by no runtime: it outlives the one it was made in.
            .pool_max_idle_per_host(0)
            .build()
            .map_err(|e| format!("cannot start an HTTP client: {e}"))
    });
    made.as_ref().map_err(Clone::clone)
}

impl Registry {
    /// The repository at `place`. Nothing that brings nothing for `stall` is waited for.
    pub fn new(place: Place, login: Option<Login>, stall: Duration) -> Self {
        Self { place, login, stall, token: Mutex::default() }
    }

    /// The registry's name.
    pub fn host(&self) -> &str {
        &self.place.host
    }

    /// The manifest (or index) with this tag or digest, and its digest.
    ///
    /// # Errors
    /// Why it cannot be had, with the status that the registry answered.
    pub async fn manifest(&self, wanted: &str) -> Result<(Document, Digest), String> {
        let path = format!("manifests/{wanted}");
        let (bytes, kind) = self.small(&path, "manifest", MANIFEST_BYTES_MAX).await?;
        let digest = Digest::of(&bytes);
        if wanted.contains(':') && digest.as_str() != wanted {
            return Err(format!("the manifest arrived as {digest}, not as {wanted}"));
        }
        let document = Document::read(&bytes);
        let document = document.map_err(|e| format!("{} answered {kind}: {e}", self.host()))?;
        Ok((document, digest))
    }

    /// A small blob, whole.
    ///
    /// # Errors
    /// Why it cannot be had; it is not what its address says.
    pub async fn small_blob(&self, digest: &Digest, max: u64) -> Result<Vec<u8>, String> {
        let what = format!("blob {digest}");
        let (bytes, _) = self.small(&format!("blobs/{digest}"), &what, max).await?;
        let there = Digest::of(&bytes);
        match there == *digest {
            true => Ok(bytes),
            false => Err(format!("{what} arrived as {there}")),
        }
    }

    /// Something small, and what the registry says it is.
    async fn small(&self, path: &str, what: &str, max: u64) -> Result<(Vec<u8>, String), String> {
        let mut pause = PAUSE;
        for attempt in 1.. {
            match self.small_once(path, what, max).await {
                Err(Trouble::Passing(_)) if attempt < TRIES_MAX => {
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                }
                outcome => return outcome.map_err(Trouble::text),
            }
        }
        Err("not tried".into())
    }

    async fn small_once(
        &self,
        path: &str,
        what: &str,
        max: u64,
    ) -> Result<(Vec<u8>, String), Trouble> {
        let answer = self.get(path, what, None).await?;
        let kind = answer.headers().get(CONTENT_TYPE).and_then(|v| v.to_str().ok());
        let kind = super::shown(&format!("{} {}", answer.status(), kind.unwrap_or_default()));
        let bytes = self.body(answer, max).await?;
        if bytes.len() as u64 > max {
            let text = format!("the {what} is longer than {max} bytes");
            return Err(Trouble::Final(text));
        }
        Ok((bytes, kind.trim_end().into()))
    }

    /// A body, up to one byte more than `max`.
    async fn body(&self, mut answer: Response, max: u64) -> Result<Vec<u8>, Trouble> {
        let mut bytes = Vec::new();
        while let Some(piece) = self.piece(&mut answer).await? {
            bytes.extend_from_slice(&piece);
            if bytes.len() as u64 > max {
                bytes.truncate(usize::try_from(max).unwrap_or(usize::MAX).saturating_add(1));
                break;
            }
        }
        Ok(bytes)
    }

    async fn piece(&self, answer: &mut Response) -> Result<Option<bytes::Bytes>, Trouble> {
        let piece = tokio::time::timeout(self.stall, answer.chunk()).await;
        let piece = piece.map_err(|_| self.stalled())?;
        piece.map_err(|e| Trouble::Passing(format!("{} broke off: {}", self.host(), chain(e))))
    }

    fn stalled(&self) -> Trouble {
        let stall = crate::base::units::MesosDuration(self.stall);
        Trouble::Passing(format!("nothing came from {} for {stall}", self.host()))
    }

    /// Asks for something below the repository, logging in if the registry wants that.
    async fn get(&self, path: &str, what: &str, from: Option<u64>) -> Result<Response, Trouble> {
        let url = format!("{}/v2/{}/{path}", self.place.base, self.place.repository);
        let mut logged_in = false;
        loop {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, HeaderValue::from_static(ACCEPTED));
            if let Some(from) = from.filter(|from| *from > 0)
                && let Ok(range) = HeaderValue::from_str(&format!("bytes={from}-"))
            {
                headers.insert(RANGE, range);
            }
            let token = self.token.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if let Some(token) = token {
                headers.insert(AUTHORIZATION, token);
            }
            let client = client().map_err(Trouble::Final)?;
            let asked = tokio::time::timeout(self.stall, client.get(&url).headers(headers).send());
            let answer = asked.await.map_err(|_| self.stalled())?;
            let answer = answer.map_err(|e| {
                Trouble::Passing(format!("cannot reach {}: {}", self.host(), chain(e)))
            })?;
            if answer.status() == StatusCode::UNAUTHORIZED && !logged_in {
                logged_in = true;
                let challenge = Challenge::of(answer.headers());
                let token = self.log_in(challenge).await?;
                *self.token.lock().unwrap_or_else(PoisonError::into_inner) = Some(token);
                continue;
            }
            let at_end = answer.status() == StatusCode::RANGE_NOT_SATISFIABLE;
            let asked_on = from.is_some_and(|from| from > 0);
            return match answer.status().is_success() || (at_end && asked_on) {
                true => Ok(answer),
                false => Err(self.refused(answer, what).await),
            };
        }
    }

    /// A refusal, in the registry's own words.
    async fn refused(&self, answer: Response, what: &str) -> Trouble {
        let status = answer.status();
        let body = self.body(answer, REFUSAL_BYTES_MAX).await.unwrap_or_default();
        let words = refusal(&body).map(|w| format!(": {w}")).unwrap_or_default();
        let text = format!("{} answered {status} for the {what}{words}", self.host());
        let passing = status.is_server_error()
            || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT);
        match passing {
            true => Trouble::Passing(text),
            false => Trouble::Final(text),
        }
    }
}

/// What the body of a refusal says.
fn refusal(body: &[u8]) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Body {
        errors: Vec<One>,
    }
    #[derive(serde::Deserialize)]
    struct One {
        #[serde(default)]
        code: String,
        #[serde(default)]
        message: String,
    }
    let body: Body = serde_json::from_slice(body).ok()?;
    let first = body.errors.into_iter().next()?;
    let text = if first.message.is_empty() { first.code } else { first.message };
    Some(super::shown(&text)).filter(|t| !t.is_empty())
}

/// An error with its causes, without the address: it may hold a signature.
fn chain(e: reqwest::Error) -> String {
    let e = e.without_url();
    let mut text = e.to_string();
    let mut next = std::error::Error::source(&e);
    while let Some(cause) = next {
        let more = cause.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        next = cause.source();
    }
    super::shown(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(name: &str, default: &str) -> (String, String) {
        let place = Place::of(&Reference::parse(name).expect(name), default).expect(default);
        (place.base, place.repository)
    }

    #[test]
    fn names_lead_to_registries() {
        let hub = "https://registry-1.docker.io";
        let is = |base: &str, repository: &str| (base.to_string(), repository.to_string());
        assert_eq!(place("busybox", hub), is(hub, "library/busybox"));
        assert_eq!(place("docker.io/busybox", hub), is(hub, "library/busybox"));
        assert_eq!(place("a/b", hub), is(hub, "a/b"));
        assert_eq!(place("b", "http://10.0.0.1:5000"), is("http://10.0.0.1:5000", "b"));
        let own = is("http://10.0.0.1:5000", "b");
        assert_eq!(place("10.0.0.1:5000/b", "http://10.0.0.1:5000"), own);
        assert_eq!(place("r.io/b", hub), is("https://r.io", "b"));
        assert_eq!(place("r.io:80/b", hub), is("http://r.io:80", "b"));
        assert_eq!(place("localhost:5000/b", hub), is("http://localhost:5000", "b"));
        assert_eq!(place("127.0.0.1/b", "registry.example"), is("http://127.0.0.1", "b"));
        for bad in ["ftp://x", "https://u:p@x", "https://x/path", "https://", ""] {
            assert!(default_url(bad).is_err(), "{bad}");
        }
    }
}
