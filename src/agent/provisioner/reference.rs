//! Names of images: `[host[:port]/]repository[:tag][@digest]`.

use super::digest::Digest;
use std::fmt;

/// The longest name, in bytes.
pub const NAME_BYTES_MAX: usize = 512;
/// The longest tag, in bytes.
const TAG_BYTES_MAX: usize = 128;
/// The tag that is meant when none is named.
const TAG_DEFAULT: &str = "latest";

/// What an image's name says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The registry it names, with its port; none: the agent's own default.
    pub host: Option<String>,
    /// Path in the registry.
    pub repository: String,
    /// What it is called there.
    pub tag: Option<String>,
    /// What it must be.
    pub digest: Option<Digest>,
}

/// Whether the first part of a name is a registry, and not part of the path.
fn is_host(part: &str) -> bool {
    part == "localhost" || part.contains(['.', ':'])
}

fn host(text: &str) -> bool {
    let good =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']' | '_');
    let port = text.rsplit_once(':').is_none_or(|(_, port)| {
        text.ends_with(']') || port.parse::<u16>().is_ok_and(|port| port > 0)
    });
    !text.is_empty() && text.chars().all(good) && port
}

fn path(text: &str) -> bool {
    text.split('/').all(|part| {
        let good =
            |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-');
        let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
        part.chars().all(good) && ends(part.chars().next()) && ends(part.chars().next_back())
    })
}

fn tag(text: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    text.len() <= TAG_BYTES_MAX
        && text.chars().all(good)
        && text.chars().next().is_some_and(|c| c.is_ascii_alphanumeric() || c == '_')
}

impl Reference {
    /// Reads a name.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let bad = |why: &str| format!("{} is no name of an image: {why}", super::shown(text));
        if text.is_empty() || text.len() > NAME_BYTES_MAX {
            return Err(bad("it must have between 1 and 512 bytes"));
        }
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(Digest::parse(digest).map_err(|e| bad(&e))?)),
            None => (text, None),
        };
        let (first, rest) = match name.split_once('/') {
            Some((first, rest)) if is_host(first) => (Some(first), rest),
            _ => (None, name),
        };
        // The host is gone: what is behind a colon now is the tag.
        let (repository, tagged) = match rest.split_once(':') {
            Some((repository, tag)) => (repository, Some(tag)),
            None => (rest, None),
        };
        if first.is_some_and(|h| !host(h)) {
            return Err(bad("the registry is no host with an optional port"));
        }
        if !path(repository) {
            return Err(bad(
                "its path may have lower-case letters, digits, and '.', '_', '-' between them",
            ));
        }
        if tagged.is_some_and(|t| !tag(t)) {
            return Err(bad("its tag may have letters, digits, '.', '_' and '-'"));
        }
        Ok(Self {
            host: first.map(str::to_owned),
            repository: repository.into(),
            tag: tagged.map(str::to_owned),
            digest,
        })
    }

    /// The tag, or the usual one.
    pub fn tag(&self) -> &str {
        self.tag.as_deref().unwrap_or(TAG_DEFAULT)
    }

    /// What to ask a registry for: the digest before the tag.
    pub fn wanted(&self) -> &str {
        self.digest.as_ref().map_or(self.tag(), Digest::as_str)
    }

    /// `[host/]repository:tag`: how files of images are called.
    pub fn tagged(&self) -> String {
        match &self.host {
            Some(host) => format!("{host}/{}:{}", self.repository, self.tag()),
            None => format!("{}:{}", self.repository, self.tag()),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(host) = &self.host {
            write!(f, "{host}/")?;
        }
        f.write_str(&self.repository)?;
        match &self.digest {
            // With a digest the tag says nothing any more.
            Some(digest) => write!(f, "@{digest}"),
            None => write!(f, ":{}", self.tag()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> (Option<String>, String, String) {
        let r = Reference::parse(text).expect(text);
        (r.host.clone(), r.repository.clone(), r.wanted().to_owned())
    }

    #[test]
    fn names_are_taken_apart() {
        let of = |h: Option<&str>, r: &str, w: &str| (h.map(str::to_owned), r.into(), w.into());
        assert_eq!(parts("busybox"), of(None, "busybox", "latest"));
        assert_eq!(parts("libmesos/ubuntu:14.04"), of(None, "libmesos/ubuntu", "14.04"));
        assert_eq!(parts("localhost/a"), of(Some("localhost"), "a", "latest"));
        assert_eq!(parts("r.io:5000/a/b:v1"), of(Some("r.io:5000"), "a/b", "v1"));
        assert_eq!(parts("[::1]:5000/a"), of(Some("[::1]:5000"), "a", "latest"));
        let digest = Digest::of(b"x");
        let named = format!("a:v1@{digest}");
        assert_eq!(parts(&named), of(None, "a", digest.as_str()));
        assert_eq!(Reference::parse(&named).expect("good").to_string(), format!("a@{digest}"));
        assert_eq!(Reference::parse("a").expect("good").to_string(), "a:latest");
    }

    #[test]
    fn bad_names_are_refused_with_the_reason() {
        for bad in [
            "",
            "A",
            "a:",
            "a//b",
            "/a",
            "a/../b",
            "..",
            "a b",
            "a:x/y",
            "r.io:99999/a",
            "-a",
            "a@b",
            "a@sha512:00",
            "a\n",
            "r.io:5000/",
            "a@sha256:zz",
        ] {
            let why = Reference::parse(bad).expect_err(bad);
            assert!(why.contains("no name of an image"), "{why}");
        }
        assert!(Reference::parse(&"a".repeat(513)).is_err());
    }
}
