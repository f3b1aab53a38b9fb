//! Query strings and form bodies.

use super::reply::Refusal;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use percent_encoding::percent_decode_str;
use std::collections::BTreeMap;
use std::convert::Infallible;

/// The longest `jsonp` callback, in bytes.
const CALLBACK_BYTES_MAX: usize = 100;

/// How many parameters are kept; the rest of a longer query is not looked at.
const PARAMETERS_MAX: usize = 256;

/// The parameters of a query string, decoded once. Usable as an axum extractor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// Of a repeated name, the last.
    last: BTreeMap<String, String>,
    /// All, as they came.
    pairs: Vec<(String, String)>,
}

impl Query {
    /// Reads `a=1&b=x%20y+z`. What is no UTF-8 becomes U+FFFD.
    pub fn parse(text: &str) -> Self {
        let pairs = text.split('&').filter(|pair| !pair.is_empty()).take(PARAMETERS_MAX);
        let decoded = pairs.map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        });
        let pairs: Vec<_> = decoded.collect();
        Self { last: pairs.iter().cloned().collect(), pairs }
    }

    /// The value of a name; of a repeated one, the last.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.last.get(name).map(String::as_str)
    }

    /// All parameters, sorted by name; of a repeated one, the last.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.last.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// All parameters in the order they came, repeated ones too.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The callback that `?jsonp=` names.
    ///
    /// # Errors
    /// 400 when it is no identifier (dots allowed) of at most 100 bytes: anything else could carry
    /// a script.
    pub fn jsonp(&self) -> Result<Option<&str>, Refusal> {
        let Some(callback) = self.get("jsonp") else { return Ok(None) };
        let mut bytes = callback.bytes();
        let letter = |b: u8| b.is_ascii_alphabetic() || b == b'_' || b == b'$';
        let starts = bytes.next().is_some_and(letter);
        let goes_on = bytes.all(|b| letter(b) || b.is_ascii_digit() || b == b'.');
        if starts && goes_on && callback.len() <= CALLBACK_BYTES_MAX {
            Ok(Some(callback))
        } else {
            Err(Refusal::bad_request(
                "Expecting 'jsonp' to be an identifier of at most 100 characters.\n",
            ))
        }
    }
}

fn decode(text: &str) -> String {
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
}

impl<S: Sync> FromRequestParts<S> for Query {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(Self::parse(parts.uri.query().unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_once() {
        let query = Query::parse("path=%2Fa%2520b&x=1+2&flag&x=3&&=v");
        assert_eq!(query.get("path"), Some("/a%20b"));
        assert_eq!(query.get("x"), Some("3"));
        assert_eq!(query.get("flag"), Some(""));
        assert_eq!(query.get("none"), None);
        let all: Vec<_> = query.pairs().filter(|(name, _)| *name == "x").collect();
        assert_eq!(all, [("x", "1 2"), ("x", "3")]);
    }
}
