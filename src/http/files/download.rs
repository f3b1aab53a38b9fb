//! `/files/download`.

use super::mime;
use super::table::FileTable;
use crate::http::Refusal;
use axum::body::Body;
use axum::http::header::{
    ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderValue,
    RANGE, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use std::io::{Seek as _, SeekFrom};
use std::path::Path;
use tokio::io::AsyncReadExt as _;
use tokio_util::io::ReaderStream;

/// How much of a file is in memory at a time, in bytes.
const PIECE_BYTES: usize = 64 * 1024;

/// Opens the file and streams it; its length is that of now, even if it grows meanwhile.
pub(super) fn download(
    table: &FileTable,
    path: &str,
    headers: &HeaderMap,
) -> Result<Response, Refusal> {
    let found = super::open(table, path)?;
    if found.opened.metadata.is_dir() {
        return Err(Refusal::bad_request("Cannot download a directory.\n"));
    }
    if !found.opened.metadata.is_file() {
        return Err(Refusal::bad_request("Cannot download a special file.\n"));
    }
    let size = found.opened.metadata.len();
    let range = match headers.get(RANGE).and_then(|value| value.to_str().ok()) {
        Some(text) => range(text, size)?,
        None => None,
    };
    let (start, length) = range.unwrap_or((0, size));
    let mut file = found.opened.file;
    file.seek(SeekFrom::Start(start)).map_err(|e| {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        Refusal::new(status, format!("Failed to seek file at '{path}': {e}.\n"))
    })?;
    let pieces = tokio::fs::File::from_std(file).take(length);
    let body = Body::from_stream(ReaderStream::with_capacity(pieces, PIECE_BYTES));
    let mut response = Response::new(body);
    if range.is_some() {
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        let text = format!("bytes {start}-{}/{size}", start + length.saturating_sub(1));
        put(response.headers_mut(), CONTENT_RANGE, &text);
    }
    let out = response.headers_mut();
    put(out, CONTENT_LENGTH, &length.to_string());
    put(out, CONTENT_TYPE, mime::of(&found.real));
    put(out, CONTENT_DISPOSITION, &disposition(&found.real));
    put(out, ACCEPT_RANGES, "bytes");
    // A task's page must not run as ours.
    put(out, X_CONTENT_TYPE_OPTIONS, "nosniff");
    Ok(response)
}

fn put(headers: &mut HeaderMap, name: axum::http::HeaderName, value: &str) {
    // All values here are made of visible ASCII.
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// `attachment; filename=stdout`; a name that is no plain word is also given percent-encoded.
fn disposition(real: &Path) -> String {
    let name = real.file_name().unwrap_or_default().to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '+');
    if name.chars().all(plain) {
        return format!("attachment; filename={name}");
    }
    let readable: String = name
        .chars()
        .map(|c| if plain(c) || matches!(c, ' ' | '(' | ')' | ',' | '=') { c } else { '_' })
        .collect();
    let encoded = utf8_percent_encode(&name, NON_ALPHANUMERIC);
    format!("attachment; filename=\"{readable}\"; filename*=UTF-8''{encoded}")
}

/// Start and length of a single range; several ranges, and what is no range, are answered with the
/// whole file.
///
/// # Errors
/// 416 for a range beyond the end.
fn range(text: &str, size: u64) -> Result<Option<(u64, u64)>, Refusal> {
    let Some((first, last)) = text.strip_prefix("bytes=").and_then(|r| r.split_once('-')) else {
        return Ok(None);
    };
    let (first, last) = (first.trim(), last.trim());
    let parsed = match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last => (first, last.saturating_add(1).min(size)),
        (Ok(first), Err(_)) if last.is_empty() => (first, size),
        (Err(_), Ok(suffix)) if first.is_empty() && suffix > 0 => {
            (size.saturating_sub(suffix), size)
        }
        _ => return Ok(None),
    };
    let (start, end) = parsed;
    if start >= size {
        let status = StatusCode::RANGE_NOT_SATISFIABLE;
        let text = format!("416 Range Not Satisfiable. The file has {size} bytes.\n");
        let mut response = crate::http::reply::text(status, text);
        put(response.headers_mut(), CONTENT_RANGE, &format!("bytes */{size}"));
        return Err(response.into());
    }
    Ok(Some((start, end - start)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_ranges_are_served() {
        for (text, expected) in [
            ("bytes=0-4", Some((0, 5))),
            ("bytes=5-", Some((5, 5))),
            ("bytes=-3", Some((7, 3))),
            ("bytes=-30", Some((0, 10))),
            ("bytes=5-100", Some((5, 5))),
            ("bytes=5-18446744073709551615", Some((5, 5))),
            ("bytes=5-4", None),
            ("bytes=0-1,3-4", None),
            ("lines=0-1", None),
            ("bytes=-", None),
        ] {
            assert_eq!(range(text, 10).unwrap(), expected, "{text}");
        }
        assert_eq!(range("bytes=10-", 10).unwrap_err().status(), 416);
    }

    #[test]
    fn names_cannot_break_out_of_the_header() {
        let of = |name: &str| disposition(Path::new(name));
        assert_eq!(of("/a/stdout"), "attachment; filename=stdout");
        assert_eq!(
            of("/a/b\"\r\né.txt"),
            "attachment; filename=\"b____.txt\"; filename*=UTF-8''b%22%0D%0A%C3%A9%2Etxt"
        );
    }
}
