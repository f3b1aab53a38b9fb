//! `/files/read`.

use super::table::FileTable;
use crate::http::{Query, Refusal, reply};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

/// The most one answer holds, in bytes: sixteen pages.
const READ_BYTES_MAX: u64 = 16 * 4096;

#[derive(Debug, Serialize)]
struct Piece {
    data: String,
    offset: u64,
}

pub(super) fn read(table: &FileTable, path: &str, query: &Query) -> Result<Response, Refusal> {
    let offset = number(query, "offset")?;
    let length = number(query, "length")?;
    let found = super::open(table, path)?;
    if found.opened.metadata.is_dir() {
        return Err(Refusal::bad_request("Cannot read a directory.\n"));
    }
    if !found.opened.metadata.is_file() {
        return Err(Refusal::bad_request("Cannot read a special file.\n"));
    }
    let size = found.opened.metadata.len();
    // Without an offset only the size is asked for.
    let offset = offset.unwrap_or(size);
    if offset >= size {
        return reply::json(&Piece { data: String::new(), offset: size }, query);
    }
    let length = length.unwrap_or(size - offset).min(READ_BYTES_MAX).min(size - offset);
    let bytes = piece(&found.opened.file, offset, length).map_err(|e| {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        Refusal::new(status, format!("Failed to read file at '{path}': {e}.\n"))
    })?;
    reply::json(&Piece { data: text(&bytes), offset }, query)
}

/// A parameter that is a number; missing or −1 is none.
fn number(query: &Query, name: &str) -> Result<Option<u64>, Refusal> {
    let Some(text) = query.get(name) else { return Ok(None) };
    match text.parse::<i64>() {
        Ok(-1) => Ok(None),
        Ok(number) => u64::try_from(number)
            .map(Some)
            .map_err(|_| Refusal::bad_request(format!("Negative {name} provided: {number}.\n"))),
        Err(_) => Err(Refusal::bad_request(format!(
            "Failed to parse {name}: Failed to convert '{text}' to number.\n"
        ))),
    }
}

/// The size of a virtual file, and as much of it from `offset` on as is asked for and one answer holds. Looks at the file
/// system: for a thread that may wait.
///
/// # Errors
/// 404 when the path is not there, 400 when it is no file, 500 when it cannot be read.
pub(super) fn read_file(
    table: &FileTable,
    path: &str,
    offset: u64,
    length: Option<u64>,
) -> Result<(u64, Vec<u8>), Refusal> {
    let found = super::open(table, path)?;
    if !found.opened.metadata.is_file() {
        return Err(Refusal::bad_request("Cannot read a directory or a special file.\n"));
    }
    let size = found.opened.metadata.len();
    let left = size.saturating_sub(offset);
    let bytes =
        piece(&found.opened.file, offset, length.unwrap_or(left).min(READ_BYTES_MAX).min(left));
    let failed = |e| {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        Refusal::new(status, format!("Failed to read file at '{path}': {e}.\n"))
    };
    Ok((size, bytes.map_err(failed)?))
}

fn piece(file: &File, offset: u64, length: u64) -> io::Result<Vec<u8>> {
    // At most 64 KiB: it fits.
    let mut bytes = vec![0; length as usize];
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset + filled as u64) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

/// The bytes as text. A character cut off at the end is left for the next piece, so that a reader
/// who goes on after the bytes it got sees it whole; what is no UTF-8 becomes U+FFFD.
fn text(bytes: &[u8]) -> String {
    let cut = match std::str::from_utf8(bytes) {
        Err(e) if e.error_len().is_none() && e.valid_up_to() > 0 => e.valid_up_to(),
        _ => bytes.len(),
    };
    String::from_utf8_lossy(&bytes[..cut]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_is_not_cut_in_two() {
        assert_eq!(text("aé".as_bytes()), "aé");
        assert_eq!(text(&"aé".as_bytes()[..2]), "a");
        assert_eq!(text(&"é".as_bytes()[..1]), "\u{fffd}", "there must be progress");
        assert_eq!(text(b"\xffa"), "\u{fffd}a");
    }
}
