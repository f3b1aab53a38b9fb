//! Ids of apps and groups: absolute paths. A value of [`PathId`] is always well formed.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::sync::Arc;

/// The longest id, in bytes; with the instance's uuid a task id stays within Mesos's 255.
pub const PATH_BYTES_MAX: usize = 200;

/// What one segment has to match, as Marathon's message prints it.
const SEGMENT: &str = "^(([a-z0-9]|[a-z0-9][a-z0-9\\-]*[a-z0-9])\\.)*\
                       ([a-z0-9]|[a-z0-9][a-z0-9\\-]*[a-z0-9])|(\\.|\\.\\.)$";

/// An absolute id: `/`, or `/a/b` with valid segments and no slash at the end. Ordered as text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PathId(Arc<str>);

/// Why a text is no id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathError {
    /// A segment has letters it may not have.
    Segment,
    /// More than [`PATH_BYTES_MAX`] bytes.
    TooLong,
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Segment => write!(f, "must fully match regular expression '{SEGMENT}'"),
            Self::TooLong => write!(f, "must not be longer than {PATH_BYTES_MAX} characters"),
        }
    }
}

impl PathId {
    /// The root group's id.
    pub fn root() -> Self {
        Self("/".into())
    }

    /// Reads an id; a relative one is taken from the root.
    ///
    /// # Errors
    /// When it is no id.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        Self::resolve(text, &Self::root())
    }

    /// Reads an id relative to `base`; `.` and `..` are followed (never above the root), slashes at the
    /// end and doubled ones are dropped.
    ///
    /// # Errors
    /// When it is no id.
    pub fn resolve(text: &str, base: &PathId) -> Result<Self, PathError> {
        if text.len() > PATH_BYTES_MAX {
            return Err(PathError::TooLong);
        }
        let mut segments: Vec<&str> =
            if text.starts_with('/') { Vec::new() } else { base.segments().collect() };
        for segment in text.split('/') {
            match segment {
                "" | "." => {}
                ".." => drop(segments.pop()),
                _ if is_segment(segment) => segments.push(segment),
                _ => return Err(PathError::Segment),
            }
        }
        let path = Self(format!("/{}", segments.join("/")).into());
        if path.0.len() > PATH_BYTES_MAX { Err(PathError::TooLong) } else { Ok(path) }
    }

    /// The id as text, beginning with `/`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is `/`.
    pub fn is_root(&self) -> bool {
        &*self.0 == "/"
    }

    /// The parts between slashes; none for the root.
    pub fn segments(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/').filter(|s| !s.is_empty())
    }

    /// The last segment; empty for the root.
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or("")
    }

    /// The group it is in; the root's is the root.
    pub fn parent(&self) -> PathId {
        match self.0.rsplit_once('/') {
            Some(("", _)) | None => Self::root(),
            Some((parent, _)) => Self(parent.into()),
        }
    }

    /// Whether it lies below `group`, at any depth. Nothing lies below itself.
    pub fn is_below(&self, group: &PathId) -> bool {
        if group.is_root() {
            return !self.is_root();
        }
        self.0.strip_prefix(group.as_str()).is_some_and(|rest| rest.starts_with('/'))
    }

    /// The groups from the one under the root down to its parent, outermost first.
    pub fn ancestors(&self) -> impl Iterator<Item = PathId> + '_ {
        let inner = self.0.char_indices().skip(1).filter(|(_, c)| *c == '/');
        inner.map(|(at, _)| Self(self.0[..at].into()))
    }

    /// The top-level group it is in, if it is not directly under the root: `/a` for `/a/b/c`.
    pub fn top_level(&self) -> Option<PathId> {
        self.ancestors().next()
    }

    /// Mesos's name of its tasks: `/product/service/app` is `app.service.product`.
    pub fn reversed(&self) -> String {
        self.segments().rev().collect::<Vec<_>>().join(".")
    }

    /// How it begins its task ids: `/a/b` is `a_b`.
    pub fn underscored(&self) -> String {
        self.segments().collect::<Vec<_>>().join("_")
    }
}

/// Labels joined by dots, each of lower-case letters, digits and inner dashes.
fn is_segment(segment: &str) -> bool {
    segment.split('.').all(|label| {
        let inner = label.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        inner && !label.is_empty() && !label.starts_with('-') && !label.ends_with('-')
    })
}

impl fmt::Display for PathId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for PathId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

impl Serialize for PathId {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for PathId {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        PathId::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> PathId {
        PathId::parse(text).expect("an id")
    }

    // covers: MAR-0159, MAR-0429, MAR-0431
    #[test]
    fn ids_resolve_and_are_checked() {
        let base = id("/a/b");
        for (text, expected) in [
            ("c", "/a/b/c"),
            ("../c/", "/a/c"),
            ("./c", "/a/b/c"),
            ("/c//d/", "/c/d"),
            ("../../../../x", "/x"),
            ("/", "/"),
            ("", "/a/b"),
            ("/a-1.b-2", "/a-1.b-2"),
        ] {
            assert_eq!(PathId::resolve(text, &base).expect("an id").as_str(), expected, "{text}");
        }
        for bad in ["A", "a_b", "-a", "a-", "a..b", "a/-", "a b", "é", ".a"] {
            assert_eq!(PathId::parse(bad), Err(PathError::Segment), "{bad}");
        }
        let long = "a".repeat(PATH_BYTES_MAX);
        assert_eq!(PathId::parse(&long), Err(PathError::TooLong));
    }

    // covers: MAR-0430
    #[test]
    fn relatives_and_names() {
        let app = id("/product/service/app");
        assert_eq!(app.reversed(), "app.service.product");
        assert_eq!(app.underscored(), "product_service_app");
        assert_eq!(app.parent(), id("/product/service"));
        assert_eq!(id("/a").parent(), PathId::root());
        assert_eq!(app.name(), "app");
        assert_eq!(app.top_level(), Some(id("/product")));
        assert_eq!(id("/a").top_level(), None);
        let ancestors: Vec<_> = app.ancestors().collect();
        assert_eq!(ancestors, [id("/product"), id("/product/service")]);
        assert!(app.is_below(&id("/product")) && app.is_below(&PathId::root()));
        assert!(!id("/ab").is_below(&id("/a")) && !id("/a").is_below(&id("/a")));
    }
}
