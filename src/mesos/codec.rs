//! The two codecs of every v1 API: which one a header names, and bytes ↔ messages.

use super::json::{self, Object};
use super::shape;
use prost::{Message, Name};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// How a message is written in a body or a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// `application/json`, by Mesos's rules.
    Json,
    /// `application/x-protobuf`.
    Protobuf,
}

/// The media type of JSON bodies.
pub const APPLICATION_JSON: &str = "application/json";
/// The media type of protobuf bodies.
pub const APPLICATION_PROTOBUF: &str = "application/x-protobuf";

/// Why bytes are not the message they should be. The text is the original's, after the endpoint's own prefix.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum DecodeError {
    /// The body is not JSON at all.
    #[error("Failed to parse body into JSON: {0}")]
    NotJson(String),
    /// The JSON is not the message; names the field.
    #[error("Failed to convert JSON into {kind} protobuf: {cause}")]
    JsonShape {
        /// The message type, without its package.
        kind: &'static str,
        /// What is wrong, beginning with the field's path.
        cause: String,
    },
    /// The bytes are not protobuf, or a required field is missing.
    #[error("Failed to parse body into {kind} protobuf{}", if cause.is_empty() { String::new() } else { format!(": {cause}") })]
    NotProtobuf {
        /// The message type, without its package.
        kind: &'static str,
        /// What is wrong.
        cause: String,
    },
}

impl Codec {
    /// The media type of this codec.
    pub fn media_type(self) -> &'static str {
        match self {
            Codec::Json => APPLICATION_JSON,
            Codec::Protobuf => APPLICATION_PROTOBUF,
        }
    }

    /// Writes a message.
    pub fn encode<M: Message + Serialize>(self, message: &M) -> Vec<u8> {
        match self {
            // The generated types have string keys and no failing serializers, so writing to memory cannot fail.
            Codec::Json => serde_json::to_vec(message).unwrap_or_default(),
            Codec::Protobuf => message.encode_to_vec(),
        }
    }

    /// Reads a message and checks that all its required fields are there.
    ///
    /// # Errors
    /// [`DecodeError`], naming the field at fault.
    pub fn decode<M>(self, bytes: &[u8]) -> Result<M, DecodeError>
    where
        M: Message + Name + Default + DeserializeOwned,
    {
        match self {
            Codec::Json => from_json(bytes),
            Codec::Protobuf => {
                let refuse = |cause: String| DecodeError::NotProtobuf { kind: M::NAME, cause };
                let message = M::decode(bytes).map_err(|_| refuse(String::new()))?;
                match shape::missing(&M::full_name(), bytes) {
                    Some(none) if none.is_empty() => Ok(message),
                    Some(some) => Err(refuse(missing_fields(&some.join(", ")))),
                    None => Err(refuse(String::new())),
                }
            }
        }
    }
}

fn missing_fields(paths: &str) -> String {
    format!("Missing required fields: {paths}")
}

fn from_json<M: Name + DeserializeOwned>(bytes: &[u8]) -> Result<M, DecodeError> {
    match serde_json::from_slice::<Object<M>>(bytes) {
        Ok(Object(message)) => Ok(message),
        Err(e) if !e.is_data() => Err(DecodeError::NotJson(e.to_string())),
        // Read once more, slowly, to be able to name the field.
        Err(first) => {
            let mut reader = serde_json::Deserializer::from_slice(bytes);
            let cause = match serde_path_to_error::deserialize::<_, Object<M>>(&mut reader) {
                Err(e) => name_field(&e.path().to_string(), &e.inner().to_string()),
                Ok(_) => first.to_string(),
            };
            Err(DecodeError::JsonShape { kind: M::NAME, cause })
        }
    }
}

/// What is wrong, with the path of the field; a missing one in the words of Mesos.
fn name_field(path: &str, error: &str) -> String {
    let path = if path == "." { "" } else { path };
    // serde: missing field `name` at line 1 column 2
    let missing = error.strip_prefix("missing field `").and_then(|rest| rest.split('`').next());
    match missing {
        Some(name) if path.is_empty() => missing_fields(name),
        Some(name) => missing_fields(&format!("{path}.{name}")),
        None if error.starts_with(json::NULL_REQUIRED) => missing_fields(path),
        None if path.is_empty() => error.to_string(),
        None => format!("{path}: {error}"),
    }
}
