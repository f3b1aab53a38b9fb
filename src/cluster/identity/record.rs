//! The form of what is stored and sent: a schema number (one byte) and a postcard message. Fields and variants are only
//! ever added at the end of what is optional there; a change of meaning is a new schema number.

use crate::base::error::{Code, Error, Result};
use crate::store::tables::newer;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The schema that this program writes.
pub const SCHEMA: u8 = 1;

/// A record with its schema number.
///
/// # Errors
/// [`Code::Internal`] for a type that has no such form: a defect.
pub fn encode<T: Serialize>(record: &T) -> Result<Vec<u8>> {
    postcard::to_extend(record, vec![SCHEMA])
        .map_err(|e| Error::new(Code::Internal, format!("a record has no stored form: {e}")))
}

/// Reads a record; `what` is named in errors. Bytes after it are left to newer versions.
///
/// # Errors
/// [`Code::Corrupt`] for another schema or bytes that are no such record.
pub fn decode<T: DeserializeOwned>(what: &str, bytes: &[u8]) -> Result<T> {
    match bytes.split_first() {
        Some((&SCHEMA, body)) => postcard::from_bytes(body)
            .map_err(|e| Error::new(Code::Corrupt, format!("{what} cannot be read: {e}"))),
        Some((&schema, _)) => Err(newer(what, schema, SCHEMA)),
        None => Err(Error::new(Code::Corrupt, format!("{what} is empty"))),
    }
}
