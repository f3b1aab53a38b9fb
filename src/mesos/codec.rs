//! The two codecs of every v1 API: which one a header names, and bytes ↔ messages.

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
                let missing = shape::missing(&M::full_name(), bytes);
                if missing.is_empty() {
                    Ok(message)
                } else {
                    Err(refuse(format!("Missing required fields: {}", missing.join(", "))))
                }
            }
        }
    }
}

fn from_json<M: Name + DeserializeOwned>(bytes: &[u8]) -> Result<M, DecodeError> {
    match serde_json::from_slice(bytes) {
        Ok(message) => Ok(message),
        Err(e) if !e.is_data() => Err(DecodeError::NotJson(e.to_string())),
        // Read once more, slowly, to be able to name the field.
        Err(first) => {
            let mut reader = serde_json::Deserializer::from_slice(bytes);
            let cause = match serde_path_to_error::deserialize::<_, M>(&mut reader) {
                Err(e) => format!("{}: {}", e.path(), e.inner()),
                Ok(_) => first.to_string(),
            };
            Err(DecodeError::JsonShape { kind: M::NAME, cause })
        }
    }
}
