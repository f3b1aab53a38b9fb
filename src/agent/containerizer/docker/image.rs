//! Names of images: registry, repository, tag or digest. Pure.

/// The registry of a name that tells none.
pub(super) const DOCKER_HUB: &str = "docker.io";

/// A name taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reference<'a> {
    /// Host and port of the registry.
    pub registry: &'a str,
    /// Everything but the tag; a digest is part of it.
    pub repository: &'a str,
    /// `latest` where neither tag nor digest is given.
    pub tag: Option<&'a str>,
}

impl<'a> Reference<'a> {
    /// Takes a name apart.
    pub fn of(name: &'a str) -> Self {
        let registry = match name.split_once('/') {
            Some((first, _)) if first.contains(['.', ':']) || first == "localhost" => first,
            _ => DOCKER_HUB,
        };
        if name.contains('@') {
            return Self { registry, repository: name, tag: None };
        }
        let path = name.rfind('/').map_or(0, |at| at + 1);
        match name.get(path..).and_then(|last| last.rfind(':')) {
            Some(at) => {
                let (repository, tag) = name.split_at(path + at);
                Self { registry, repository, tag: tag.get(1..) }
            }
            None => Self { registry, repository: name, tag: Some("latest") },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart() {
        for (name, registry, repository, tag) in [
            ("centos", DOCKER_HUB, "centos", Some("latest")),
            ("libmesos/ubuntu:18.04", DOCKER_HUB, "libmesos/ubuntu", Some("18.04")),
            ("host:5000/a/b", "host:5000", "host:5000/a/b", Some("latest")),
            ("host:5000/a/b:c", "host:5000", "host:5000/a/b", Some("c")),
            ("localhost/a", "localhost", "localhost/a", Some("latest")),
            ("q.io/a@sha256:00", "q.io", "q.io/a@sha256:00", None),
        ] {
            assert_eq!(Reference::of(name), Reference { registry, repository, tag }, "{name}");
        }
    }
}
