//! How protobuf messages are kept in databases: a schema number in front (one byte), then the message.
//!
//! Readers accept the current schema and the one before; a value of a newer program is refused, not guessed at.

use crate::base::error::{Code, Error, Result};
use prost::Message;

/// The schema this program writes.
pub const SCHEMA: u8 = 1;
/// The oldest schema this program reads.
pub const SCHEMA_MIN: u8 = 1;

/// A message with its schema number.
pub fn encode<M: Message>(message: &M) -> Vec<u8> {
    let mut out = Vec::with_capacity(1 + message.encoded_len());
    out.push(SCHEMA);
    // A Vec grows as needed, so encoding into it cannot fail.
    let _ = message.encode(&mut out);
    out
}

/// Reads a stored message; `key` is named in errors.
///
/// # Errors
/// [`Code::Corrupt`] for an unknown schema or bytes that are no such message.
pub fn decode<M: Message + Default>(key: &str, value: &[u8]) -> Result<M> {
    let corrupt = |why: String| Error::new(Code::Corrupt, format!("the record {key:?} {why}"));
    match value.split_first() {
        Some((schema, body)) if (SCHEMA_MIN..=SCHEMA).contains(schema) => {
            M::decode(body).map_err(|e| corrupt(format!("cannot be read: {e}")))
        }
        Some((schema, _)) => Err(corrupt(format!(
            "has schema {schema}; this program reads {SCHEMA_MIN} to {SCHEMA}"
        ))
        .hint("start the version of mesolith that wrote it, or a newer one")),
        None => Err(corrupt("is empty".into())),
    }
}
