//! Reading request bodies: bounded in size and in time, inflated, decoded into calls.

use super::negotiate::request_codec;
use super::reply::Refusal;
use crate::mesos::codec::Codec;
use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::header::CONTENT_ENCODING;
use axum::http::{HeaderMap, StatusCode};
use bytes::{Bytes, BytesMut};
use flate2::read::MultiGzDecoder;
use http_body_util::BodyExt as _;
use serde::de::DeserializeOwned;
use std::io::Read as _;
use std::time::Duration;

/// The largest request body, in bytes, as sent and as inflated, unless the server is told
/// otherwise.
pub const BODY_BYTES_MAX: usize = 32 * 1024 * 1024;

/// How long a sender may pause within a body.
const BODY_PAUSE_MAX: Duration = Duration::from_secs(30);

/// Compressed bodies from this size on are inflated on a thread of their own.
const INFLATE_INLINE_BYTES: usize = 32 * 1024;

/// The limit that holds for a request, in bytes; the server puts it among the request's extensions.
#[derive(Clone, Copy, Debug)]
pub struct BodyLimit(pub usize);

impl Default for BodyLimit {
    fn default() -> Self {
        Self(BODY_BYTES_MAX)
    }
}

/// 413 with a text that names the limit.
pub(super) fn too_large(limit: usize) -> Refusal {
    Refusal::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        format!("413 Payload Too Large. The request body is over the limit of {limit} bytes."),
    )
}

/// Reads the whole body, inflating `Content-Encoding: gzip`.
///
/// # Errors
/// 413 over the limit (as sent or inflated), 408 when the sender pauses too long, 415 for another
/// encoding, 400 for a broken one.
pub async fn read(headers: &HeaderMap, body: Body, limit: BodyLimit) -> Result<Bytes, Refusal> {
    let gzip = match headers.get(CONTENT_ENCODING).map(|v| v.as_bytes().to_ascii_lowercase()) {
        None => false,
        Some(coding) if coding == b"identity" || coding.is_empty() => false,
        Some(coding) if coding == b"gzip" || coding == b"x-gzip" => true,
        Some(_) => {
            return Err(Refusal::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "Expecting 'Content-Encoding' of gzip or none",
            ));
        }
    };
    let sent = collect(body, limit.0).await?;
    if !gzip {
        return Ok(sent);
    }
    if sent.len() < INFLATE_INLINE_BYTES {
        return inflate(&sent, limit.0);
    }
    let inflated = tokio::task::spawn_blocking(move || inflate(&sent, limit.0)).await;
    inflated.unwrap_or_else(|_| Err(Refusal::of(StatusCode::INTERNAL_SERVER_ERROR)))
}

async fn collect(mut body: Body, limit: usize) -> Result<Bytes, Refusal> {
    let mut all = BytesMut::new();
    loop {
        let frame = match tokio::time::timeout(BODY_PAUSE_MAX, body.frame()).await {
            Err(_) => {
                return Err(Refusal::new(
                    StatusCode::REQUEST_TIMEOUT,
                    "408 Request Timeout. The request body was not sent in time.",
                ));
            }
            Ok(None) => return Ok(all.freeze()),
            Ok(Some(Err(e))) => {
                return Err(Refusal::bad_request(format!("Failed to read the request body: {e}")));
            }
            Ok(Some(Ok(frame))) => frame,
        };
        // Trailers carry nothing that is looked at.
        let Ok(data) = frame.into_data() else { continue };
        if all.len() + data.len() > limit {
            return Err(too_large(limit));
        }
        all.extend_from_slice(&data);
    }
}

fn inflate(sent: &[u8], limit: usize) -> Result<Bytes, Refusal> {
    let mut out = Vec::new();
    let reader = MultiGzDecoder::new(sent);
    match reader.take(limit as u64 + 1).read_to_end(&mut out) {
        Ok(_) if out.len() > limit => Err(too_large(limit)),
        Ok(_) => Ok(out.into()),
        Err(e) => Err(Refusal::bad_request(format!("Failed to decompress the request body: {e}"))),
    }
}

/// A call of a v1 API, read from a request: usable as an axum extractor in last place.
#[derive(Debug)]
pub struct Call<M> {
    /// What the request was written in.
    pub codec: Codec,
    /// The call, its required fields present; otherwise not validated.
    pub message: M,
}

impl<S, M> FromRequest<S> for Call<M>
where
    S: Sync,
    M: prost::Message + prost::Name + Default + DeserializeOwned,
{
    type Rejection = Refusal;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Refusal> {
        let (parts, body) = request.into_parts();
        let codec = request_codec(&parts.headers)?;
        let limit = parts.extensions.get::<BodyLimit>().copied().unwrap_or_default();
        let bytes = read(&parts.headers, body, limit).await?;
        let message = codec.decode(&bytes).map_err(|e| Refusal::bad_request(e.to_string()))?;
        Ok(Self { codec, message })
    }
}

/// A whole body, as [`read`] gives it: an axum extractor in last place.
#[derive(Clone, Debug)]
pub struct Payload(pub Bytes);

impl<S: Sync> FromRequest<S> for Payload {
    type Rejection = Refusal;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Refusal> {
        let (parts, body) = request.into_parts();
        let limit = parts.extensions.get::<BodyLimit>().copied().unwrap_or_default();
        read(&parts.headers, body, limit).await.map(Self)
    }
}
