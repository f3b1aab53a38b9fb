//! RecordIO framing: the decimal length of a record, a newline, the record; nothing between records.

use std::fmt;

/// The longest record a reader accepts, in bytes, unless it is told otherwise.
pub const RECORD_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Digits that a length may have: no u64 has more.
const LENGTH_DIGITS_MAX: usize = 20;

/// One record, framed.
pub fn frame(record: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(record.len() + 12);
    out.extend_from_slice(record.len().to_string().as_bytes());
    out.push(b'\n');
    out.extend_from_slice(record);
    out
}

/// Why a byte stream is not RecordIO; the stream cannot be read on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FrameError {
    /// The length is no decimal number.
    BadLength(String),
    /// The length is over the reader's limit.
    TooLong {
        /// What the stream announced, in bytes.
        length: usize,
        /// The limit, in bytes.
        limit: usize,
    },
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadLength(text) => write!(f, "Failed to decode length '{text}'"),
            Self::TooLong { length, limit } => {
                write!(f, "a record of {length} bytes is over the limit of {limit}")
            }
        }
    }
}

impl std::error::Error for FrameError {}

/// Cuts a byte stream, given in pieces of any size, into records.
#[derive(Debug)]
pub struct Reader {
    buffer: Vec<u8>,
    start: usize,
    limit: usize,
    broken: Option<FrameError>,
}

impl Default for Reader {
    fn default() -> Self {
        Self::with_limit(RECORD_BYTES_MAX)
    }
}

impl Reader {
    /// A reader that refuses records of more than `limit` bytes.
    pub fn with_limit(limit: usize) -> Self {
        Self { buffer: Vec::new(), start: 0, limit, broken: None }
    }

    /// Takes the next piece of the stream; a broken stream takes none.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.broken.is_some() {
            return;
        }
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole record, if the stream so far holds one.
    ///
    /// # Errors
    /// [`FrameError`]; the same one for ever after.
    pub fn next_record(&mut self) -> Result<Option<Vec<u8>>, FrameError> {
        if let Some(broken) = &self.broken {
            return Err(broken.clone());
        }
        self.cut().inspect_err(|e| {
            self.broken = Some(e.clone());
            // Nothing of it will be read any more.
            self.buffer = Vec::new();
            self.start = 0;
        })
    }

    /// Whether the stream ended in the middle of a record.
    pub fn is_partial(&self) -> bool {
        self.start < self.buffer.len()
    }

    fn cut(&mut self) -> Result<Option<Vec<u8>>, FrameError> {
        let rest = &self.buffer[self.start..];
        let window = &rest[..rest.len().min(LENGTH_DIGITS_MAX + 1)];
        let Some(newline) = window.iter().position(|b| *b == b'\n') else {
            let digits = window.iter().all(u8::is_ascii_digit);
            if digits && window.len() <= LENGTH_DIGITS_MAX {
                return Ok(None);
            }
            return Err(bad_length(window));
        };
        let text = &window[..newline];
        if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
            return Err(bad_length(text));
        }
        let length: usize = std::str::from_utf8(text)
            .ok()
            .and_then(|t| t.parse().ok())
            .ok_or_else(|| bad_length(text))?;
        if length > self.limit {
            return Err(FrameError::TooLong { length, limit: self.limit });
        }
        let Some(record) = rest[newline + 1..].get(..length) else {
            return Ok(None);
        };
        let record = record.to_vec();
        self.start += newline + 1 + length;
        Ok(Some(record))
    }
}

fn bad_length(text: &[u8]) -> FrameError {
    FrameError::BadLength(String::from_utf8_lossy(text).into_owned())
}
