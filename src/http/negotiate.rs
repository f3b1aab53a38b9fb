//! Which codec a request is in, and which one its answer may be in. The texts are the original's.

use super::reply::Refusal;
use crate::mesos::codec::{APPLICATION_JSON, APPLICATION_PROTOBUF, Codec};
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};

/// How many ranges of an `Accept` header are looked at.
const ACCEPT_RANGES_MAX: usize = 64;

/// The media type of the body, lower case, without parameters.
pub fn content_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    (!essence.is_empty()).then_some(essence)
}

/// The codec the body is in, by `Content-Type`; parameters such as `charset` are ignored.
///
/// # Errors
/// 400 without the header, 415 for another type.
pub fn request_codec(headers: &HeaderMap) -> Result<Codec, Refusal> {
    match content_type(headers).as_deref() {
        Some(APPLICATION_JSON) => Ok(Codec::Json),
        Some(APPLICATION_PROTOBUF) => Ok(Codec::Protobuf),
        None if !headers.contains_key(CONTENT_TYPE) => {
            Err(Refusal::bad_request("Expecting 'Content-Type' to be present"))
        }
        _ => Err(Refusal::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "Expecting 'Content-Type' of application/json or application/x-protobuf",
        )),
    }
}

/// The codec the answer is to be in, by `Accept`: JSON wherever it is acceptable (whatever its
/// weight against protobuf, as the original has it), else protobuf.
///
/// # Errors
/// 406 when neither is acceptable.
pub fn accept_codec(headers: &HeaderMap) -> Result<Codec, Refusal> {
    if accepts(headers, APPLICATION_JSON) {
        Ok(Codec::Json)
    } else if accepts(headers, APPLICATION_PROTOBUF) {
        Ok(Codec::Protobuf)
    } else {
        Err(Refusal::new(
            StatusCode::NOT_ACCEPTABLE,
            "Expecting 'Accept' to allow 'application/x-protobuf' or 'application/json'",
        ))
    }
}

/// Whether `Accept` allows the media type: the most specific range that fits decides, unless its
/// weight is zero. No header, or an empty one, allows everything.
pub fn accepts(headers: &HeaderMap, media_type: &str) -> bool {
    let mut best: Option<(u8, bool)> = None;
    let mut ranges = 0;
    for value in headers.get_all(ACCEPT) {
        let Ok(value) = value.to_str() else { continue };
        for range in value.split(',').map(str::trim).filter(|r| !r.is_empty()) {
            ranges += 1;
            if ranges > ACCEPT_RANGES_MAX {
                break;
            }
            let mut parts = range.split(';').map(str::trim);
            let specificity = fits(parts.next().unwrap_or_default(), media_type);
            let wanted = parts.filter_map(weight).next_back().unwrap_or(1.0) > 0.0;
            if let Some(s) = specificity
                && best.is_none_or(|(b, w)| s > b || (s == b && wanted && !w))
            {
                best = Some((s, wanted));
            }
        }
    }
    if ranges == 0 { true } else { best.is_some_and(|(_, wanted)| wanted) }
}

/// How specifically a range names the type: 2 exactly, 1 `type/*`, 0 `*/*`.
fn fits(range: &str, media_type: &str) -> Option<u8> {
    if range.eq_ignore_ascii_case(media_type) {
        return Some(2);
    }
    if range == "*/*" || range == "*" {
        return Some(0);
    }
    let (main, _) = media_type.split_once('/')?;
    let (range_main, range_sub) = range.split_once('/')?;
    (range_sub == "*" && range_main.eq_ignore_ascii_case(main)).then_some(1)
}

/// The weight a parameter gives; one that cannot be read is no weight.
fn weight(parameter: &str) -> Option<f32> {
    let (name, value) = parameter.split_once('=')?;
    if !name.trim().eq_ignore_ascii_case("q") {
        return None;
    }
    value.trim().parse().ok().filter(|q: &f32| (0.0..=1.0).contains(q))
}

/// Whether `Accept-Encoding` allows gzip.
pub fn accepts_gzip(headers: &HeaderMap) -> bool {
    let mut gzip = None;
    let mut any = None;
    for value in headers.get_all(axum::http::header::ACCEPT_ENCODING) {
        let Ok(value) = value.to_str() else { continue };
        for coding in value.split(',').take(ACCEPT_RANGES_MAX) {
            let mut parts = coding.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default();
            let wanted = parts.filter_map(weight).next_back().unwrap_or(1.0) > 0.0;
            match name {
                "*" => any = Some(wanted),
                _ if name.eq_ignore_ascii_case("gzip") => gzip = Some(wanted),
                _ => {}
            }
        }
    }
    gzip.or(any).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::to_bytes;
    use axum::http::header::ACCEPT_ENCODING;
    use axum::response::IntoResponse as _;

    fn headers(name: axum::http::HeaderName, values: &[&str]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for value in values {
            map.append(name.clone(), value.parse().unwrap());
        }
        map
    }

    #[test]
    fn the_accepted_codec() {
        let of = |values: &[&str]| accept_codec(&headers(ACCEPT, values)).ok();
        let (json, protobuf) = (Some(Codec::Json), Some(Codec::Protobuf));
        for (values, expected) in [
            (&[][..], json),
            (&[""], json),
            (&["*/*"], json),
            (&["application/*"], json),
            (&["application/json"], json),
            (&["Application/JSON"], json),
            (&["application/x-protobuf"], protobuf),
            (&["application/x-protobuf", "application/json"], json),
            (&["application/x-protobuf, application/json;q=0.1"], json),
            (&["application/json;q=0, application/x-protobuf"], protobuf),
            (&["application/json;q=0, */*"], protobuf),
            (&["text/html, */*;q=0.8"], json),
            (&["*/*;q=0, application/json"], json),
            (&["*/*;q=0"], None),
            (&["text/html"], None),
            (&["text/*"], None),
            (&["application/recordio"], None),
            (&["application/json;q=0,application/x-protobuf;q=0.0"], None),
            (&["foo"], None),
            (&["application/json; charset=utf-8; q=0.5"], json),
        ] {
            assert_eq!(of(values), expected, "{values:?}");
        }
    }

    #[tokio::test]
    async fn the_request_codec_and_its_refusals() {
        let of = |values: &[&str]| request_codec(&headers(CONTENT_TYPE, values));
        assert_eq!(of(&["application/json"]).unwrap(), Codec::Json);
        assert_eq!(of(&["application/json; charset=UTF-8"]).unwrap(), Codec::Json);
        assert_eq!(of(&["application/x-protobuf"]).unwrap(), Codec::Protobuf);
        let none = of(&[]).unwrap_err().into_response();
        assert_eq!(none.status(), 400);
        let body = to_bytes(none.into_body(), 1000).await.unwrap();
        assert_eq!(body, "Expecting 'Content-Type' to be present");
        for bad in ["text/plain", "application/unknown-media-type", "", "json"] {
            assert_eq!(of(&[bad]).unwrap_err().status(), 415, "{bad}");
        }
    }

    #[test]
    fn gzip_is_used_when_allowed_only() {
        let of = |values: &[&str]| accepts_gzip(&headers(ACCEPT_ENCODING, values));
        assert!(of(&["gzip"]) && of(&["deflate, GZIP;q=0.5"]) && of(&["*"]));
        assert!(!of(&[]) && !of(&["gzip;q=0"]) && !of(&["identity"]) && !of(&["*, gzip;q=0"]));
    }
}
