//! gzip of whole answers. Streams are never compressed: each record must leave at once.

use super::leader::FromAnotherNode;
use super::reply::Refusal;
use crate::base::error::{Code, Error};
use axum::body::{Body, to_bytes};
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, HeaderValue, VARY};
use axum::response::{IntoResponse as _, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::body::Body as _;
use std::io::Write as _;

/// Shorter answers are sent as they are.
const GZIP_BYTES_MIN: u64 = 1024;

/// Answers from this size on are compressed on a thread of their own.
const GZIP_INLINE_BYTES: usize = 64 * 1024;

/// Compresses a whole answer of at least 1024 bytes without an encoding of its own. What another node answered goes on as
/// it is: that one has decided, and its length may be known without its being here.
pub(super) async fn gzip(response: Response) -> Response {
    let size = response.body().size_hint().exact();
    let skip = size.is_none_or(|size| size < GZIP_BYTES_MIN)
        || response.headers().contains_key(CONTENT_ENCODING)
        || response.extensions().get::<FromAnotherNode>().is_some()
        || response.status() == 206;
    if skip {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    // The length is known, so this gathers what is in memory already.
    let Ok(plain) = to_bytes(body, usize::MAX).await else { return failed() };
    let squeezed = if plain.len() < GZIP_INLINE_BYTES {
        squeeze(&plain)
    } else {
        match tokio::task::spawn_blocking(move || squeeze(&plain)).await {
            Ok(squeezed) => squeezed,
            Err(_) => return failed(),
        }
    };
    let Ok(squeezed) = squeezed else { return failed() };
    parts.headers.remove(CONTENT_LENGTH);
    parts.headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    parts.headers.append(VARY, HeaderValue::from_static("Accept-Encoding"));
    Response::from_parts(parts, Body::from(squeezed))
}

fn squeeze(plain: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(plain.len() / 4), Compression::fast());
    encoder.write_all(plain)?;
    encoder.finish()
}

fn failed() -> Response {
    Refusal::from(Error::new(Code::Internal, "the answer could not be compressed")).into_response()
}
