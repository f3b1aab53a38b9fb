//! A registry that does as the test says.

use super::*;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Response, StatusCode, Uri, header};
use futures_util::stream;
use std::sync::Mutex;

/// How a path is answered.
#[derive(Clone, Debug)]
pub enum Way {
    /// With that status, type and body.
    Answer(u16, &'static str, Vec<u8>),
    /// What is asked for, up to so many bytes of it; then the connection breaks.
    Break(usize),
    /// Bytes without end.
    Endless,
    /// The head, and then nothing.
    Stall,
    /// As a server that knows no ranges.
    NoRange,
}

#[derive(Default)]
struct Inside {
    blobs: Map<String, Vec<u8>>,
    ways: Map<String, Vec<Way>>,
    /// All that was asked for: path, and `Range` and `Authorization` if they were given.
    asked: Vec<(String, Option<String>, Option<String>)>,
    /// What `Authorization` must be, and what is answered without.
    guard: Option<(String, String)>,
}

#[derive(Clone)]
pub struct Registry {
    inside: Arc<Mutex<Inside>>,
    pub address: String,
}

impl Registry {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("listens");
        let address = listener.local_addr().expect("bound").to_string();
        let inside: Arc<Mutex<Inside>> = Arc::default();
        let app = axum::Router::new().fallback(answer).with_state(Arc::clone(&inside));
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { inside, address }
    }

    pub fn home(&self) -> Home {
        Home::Registry(format!("http://{}", self.address))
    }

    /// Puts an image in; its manifest's digest.
    pub fn push(&self, repository: &str, tag: &str, made: &Made) -> Digest {
        let manifest = made.manifest();
        let mut blobs: Vec<&[u8]> = vec![&made.config];
        blobs.extend(made.layers.iter().map(|(_, packed)| packed.as_slice()));
        for blob in blobs {
            self.put(&format!("/v2/{repository}/blobs/{}", Digest::of(blob)), blob);
        }
        let digest = Digest::of(&manifest);
        self.put(&format!("/v2/{repository}/manifests/{tag}"), &manifest);
        self.put(&format!("/v2/{repository}/manifests/{digest}"), &manifest);
        digest
    }

    pub fn put(&self, path: &str, bytes: &[u8]) {
        lock(&self.inside).blobs.insert(path.into(), bytes.into());
    }

    /// The next answers to this path; afterwards it is answered well.
    pub fn then(&self, path: &str, ways: &[Way]) {
        lock(&self.inside).ways.insert(path.into(), ways.to_vec());
    }

    pub fn guard(&self, authorization: &str, challenge: &str) {
        lock(&self.inside).guard = Some((authorization.into(), challenge.into()));
    }

    /// How often paths that hold this were asked for.
    pub fn asked(&self, part: &str) -> usize {
        lock(&self.inside).asked.iter().filter(|(path, ..)| path.contains(part)).count()
    }

    pub fn ranges(&self, part: &str) -> Vec<Option<String>> {
        let inside = lock(&self.inside);
        let all = inside.asked.iter().filter(|(path, ..)| path.contains(part));
        all.map(|(_, range, _)| range.clone()).collect()
    }

    pub fn authorizations(&self, part: &str) -> Vec<Option<String>> {
        let inside = lock(&self.inside);
        let all = inside.asked.iter().filter(|(path, ..)| path.contains(part));
        all.map(|(_, _, authorization)| authorization.clone()).collect()
    }
}

fn simple(status: u16, kind: &str, body: Vec<u8>) -> Response<Body> {
    let answer = Response::builder().status(status).header(header::CONTENT_TYPE, kind);
    answer.body(Body::from(body)).expect("an answer")
}

async fn answer(
    State(inside): State<Arc<Mutex<Inside>>>,
    uri: Uri,
    headers: HeaderMap,
) -> Response<Body> {
    let text = |name| headers.get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
    let (range, authorization) = (text(header::RANGE), text(header::AUTHORIZATION));
    let path = uri.path().to_owned();
    let mut inside = lock(&inside);
    let whole = uri.to_string();
    inside.asked.push((whole, range.clone(), authorization.clone()));
    if path == "/token" {
        return simple(200, "application/json", br#"{"token":"t0"}"#.to_vec());
    }
    if let Some((wanted, challenge)) = &inside.guard
        && authorization.as_ref() != Some(wanted)
    {
        let answer = Response::builder().status(401);
        let answer = answer.header(header::WWW_AUTHENTICATE, challenge);
        return answer.body(Body::from("{}")).expect("an answer");
    }
    let way = match inside.ways.get_mut(&path) {
        Some(ways) if !ways.is_empty() => Some(ways.remove(0)),
        _ => None,
    };
    if let Some(Way::Answer(status, kind, body)) = way {
        return simple(status, kind, body);
    }
    let Some(bytes) = inside.blobs.get(&path).cloned() else {
        let body = br#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#;
        return simple(404, "application/json", body.to_vec());
    };
    let from = range.and_then(|r| r.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
    let from = from.filter(|_| !matches!(way, Some(Way::NoRange))).unwrap_or(0usize);
    let mut answer = Response::builder().status(StatusCode::OK);
    if from > 0 {
        let range = format!("bytes {from}-{}/{}", bytes.len() - 1, bytes.len());
        answer = answer.status(StatusCode::PARTIAL_CONTENT).header(header::CONTENT_RANGE, range);
    }
    let rest = Bytes::from(bytes[from.min(bytes.len())..].to_vec());
    let broken = || Err::<Bytes, _>(std::io::Error::other("broken"));
    let body = match way {
        Some(Way::Break(n)) => {
            // The head says how much there is, and less comes.
            answer = answer.header(header::CONTENT_LENGTH, rest.len());
            let first = stream::iter([Ok(rest.slice(..n.min(rest.len())))]);
            // While it is waited for the end, what there is goes out.
            let end = stream::once(async move {
                tokio::task::yield_now().await;
                broken()
            });
            Body::from_stream(first.chain(end))
        }
        Some(Way::Endless) => {
            let piece = Bytes::from(vec![b' '; 64 << 10]);
            Body::from_stream(stream::repeat(piece).map(Ok::<_, std::io::Error>))
        }
        Some(Way::Stall) => Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>()),
        _ => Body::from(rest),
    };
    answer.body(body).expect("an answer")
}

use futures_util::StreamExt as _;
