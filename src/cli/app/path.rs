//! Ids of apps as people type them, and where Marathon serves them.

use crate::base::error::{Code, Error, Result};
use crate::cli::client::encode;

/// The absolute id: a leading slash added, one at the end and doubled ones dropped.
///
/// # Errors
/// [`Code::Invalid`] for one without a name.
pub fn absolute(id: &str) -> Result<String> {
    let segments: Vec<&str> = id.split('/').filter(|s| !s.is_empty()).collect();
    if segments.is_empty() {
        return Err(Error::new(Code::Invalid, format!("{id:?} is no app id"))
            .hint("ids are paths, like hello or /shop/web"));
    }
    Ok(format!("/{}", segments.join("/")))
}

/// The path of an app of this absolute id, without a slash at the end.
pub fn api_path(id: &str) -> String {
    let segments: Vec<String> = id.split('/').filter(|s| !s.is_empty()).map(encode).collect();
    format!("/v2/apps/{}", segments.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_may_be_typed_without_their_slash() {
        for text in ["a/b", "/a/b", "//a/b/", "a//b"] {
            assert_eq!(absolute(text).as_deref(), Ok("/a/b"), "{text}");
        }
        assert!(absolute("").is_err());
        assert!(absolute("/").is_err());
    }

    #[test]
    fn no_id_leaves_its_place_in_the_path() {
        assert_eq!(api_path("/a/b-1"), "/v2/apps/a/b%2D1");
        assert_eq!(api_path("/a?force=true#x/.."), "/v2/apps/a%3Fforce%3Dtrue%23x/%2E%2E");
    }
}
