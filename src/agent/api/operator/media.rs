//! What a request is written in, and what its answer may be written in: single messages, or streams of records.

use super::Refusal;
use crate::http::negotiate;
use crate::mesos::codec::{APPLICATION_JSON, APPLICATION_PROTOBUF, Codec};
use axum::http::header::{ACCEPT, HeaderName};
use axum::http::{HeaderMap, StatusCode};

/// The media type of a stream of records.
pub const APPLICATION_RECORDIO: &str = "application/recordio";
/// What the records of a request are written in.
pub const MESSAGE_CONTENT_TYPE: HeaderName = HeaderName::from_static("message-content-type");
/// What the records of an answer may be written in.
pub const MESSAGE_ACCEPT: HeaderName = HeaderName::from_static("message-accept");

/// How a request and its answer are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Media {
    /// The request, or its records.
    pub content: Codec,
    /// Whether the request is a stream of records.
    pub streams_in: bool,
    /// The answer, or its records.
    pub accept: Codec,
    /// Whether the answer is asked for as a stream of records.
    pub streams_out: bool,
}

/// What the headers say, by the original's rules and in its words.
///
/// # Errors
/// 400, 406 and 415.
pub fn of(headers: &HeaderMap) -> Result<Media, Refusal> {
    let (content, streams_in) = content(headers)?;
    let (accept, streams_out) = accept(headers)?;
    Ok(Media { content, streams_in, accept, streams_out })
}

fn named(codec: &str) -> Option<Codec> {
    match codec {
        APPLICATION_JSON => Some(Codec::Json),
        APPLICATION_PROTOBUF => Some(Codec::Protobuf),
        _ => None,
    }
}

fn content(headers: &HeaderMap) -> Result<(Codec, bool), Refusal> {
    let unsupported = |text: String| Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, text);
    let of_records = headers.get(MESSAGE_CONTENT_TYPE);
    let kind = negotiate::content_type(headers)
        .ok_or_else(|| Refusal::bad_request("Expecting 'Content-Type' to be present"))?;
    if let Some(codec) = named(&kind) {
        return match of_records {
            None => Ok((codec, false)),
            Some(_) => Err(unsupported(
                "Expecting 'Message-Content-Type' to be not set for non-streaming requests".into(),
            )),
        };
    }
    if kind != APPLICATION_RECORDIO {
        return Err(unsupported(format!(
            "Expecting 'Content-Type' of {APPLICATION_JSON} or {APPLICATION_PROTOBUF} or \
             {APPLICATION_RECORDIO}"
        )));
    }
    let Some(of_records) = of_records else {
        let text = "Expecting 'Message-Content-Type' to be set for streaming requests";
        return Err(Refusal::bad_request(text));
    };
    let codec = of_records.to_str().ok().and_then(|text| named(&text.trim().to_ascii_lowercase()));
    codec.map(|codec| (codec, true)).ok_or_else(|| {
        unsupported(format!(
            "Expecting 'Message-Content-Type' of {APPLICATION_JSON} or {APPLICATION_PROTOBUF}"
        ))
    })
}

fn accept(headers: &HeaderMap) -> Result<(Codec, bool), Refusal> {
    let refused = |text: String| Refusal::new(StatusCode::NOT_ACCEPTABLE, text);
    let single = [Codec::Json, Codec::Protobuf]
        .into_iter()
        .find(|codec| negotiate::accepts(headers, codec.media_type()));
    if let Some(codec) = single {
        return match headers.contains_key(MESSAGE_ACCEPT) {
            false => Ok((codec, false)),
            true => Err(refused(
                "Expecting 'Message-Accept' to be not set for non-streaming responses".into(),
            )),
        };
    }
    if !negotiate::accepts(headers, APPLICATION_RECORDIO) {
        return Err(refused(format!(
            "Expecting 'Accept' to allow {APPLICATION_JSON} or {APPLICATION_PROTOBUF} or \
             {APPLICATION_RECORDIO}"
        )));
    }
    // Read by the rules of `Accept`.
    let mut of_records = HeaderMap::new();
    for value in headers.get_all(MESSAGE_ACCEPT) {
        of_records.append(ACCEPT, value.clone());
    }
    let codec = [Codec::Json, Codec::Protobuf]
        .into_iter()
        .find(|codec| negotiate::accepts(&of_records, codec.media_type()));
    codec.map(|codec| (codec, true)).ok_or_else(|| {
        refused(format!(
            "Expecting 'Message-Accept' to allow {APPLICATION_JSON} or {APPLICATION_PROTOBUF}"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Media, u16> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            let name: HeaderName = name.parse().expect("a header");
            headers.append(name, value.parse().expect("a value"));
        }
        of(&headers).map_err(|refusal| refusal.status().as_u16())
    }

    // covers: MES-0268, MES-0269
    #[test]
    fn headers_that_do_not_fit_are_refused() {
        let (json, protobuf) = (Codec::Json, Codec::Protobuf);
        let media = |content, streams_in, accept, streams_out| {
            Ok(Media { content, streams_in, accept, streams_out })
        };
        let (kind, of_records) = ("content-type", "message-content-type");
        let records = "application/recordio";
        for (headers, expected) in [
            (&[(kind, APPLICATION_JSON)][..], media(json, false, json, false)),
            (&[(kind, APPLICATION_PROTOBUF)], media(protobuf, false, json, false)),
            (&[], Err(400)),
            (&[(kind, "text/plain")], Err(415)),
            (&[(kind, records)], Err(400)),
            (&[(kind, records), (of_records, "text/plain")], Err(415)),
            (&[(kind, records), (of_records, records)], Err(415)),
            (
                &[(kind, records), (of_records, APPLICATION_PROTOBUF)],
                media(protobuf, true, json, false),
            ),
            (&[(kind, APPLICATION_JSON), (of_records, APPLICATION_JSON)], Err(415)),
            (&[(kind, APPLICATION_JSON), ("accept", "text/html")], Err(406)),
            (
                &[(kind, APPLICATION_JSON), ("accept", APPLICATION_PROTOBUF)],
                media(json, false, protobuf, false),
            ),
            (&[(kind, APPLICATION_JSON), ("message-accept", APPLICATION_JSON)], Err(406)),
            (&[(kind, APPLICATION_JSON), ("accept", records)], media(json, false, json, true)),
            (
                &[
                    (kind, APPLICATION_JSON),
                    ("accept", records),
                    ("message-accept", APPLICATION_PROTOBUF),
                ],
                media(json, false, protobuf, true),
            ),
            (
                &[(kind, APPLICATION_JSON), ("accept", records), ("message-accept", "text/html")],
                Err(406),
            ),
        ] {
            assert_eq!(read(headers), expected, "{headers:?}");
        }
    }
}
