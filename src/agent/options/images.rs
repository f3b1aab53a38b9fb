//! The settings of images that need no engine.

use super::{DAY, SECOND, absolute};
use crate::agent::provisioner::credentials::Credentials;
use crate::agent::provisioner::{Backend, Collection, Home};
use crate::base::settings::{Kind, Setting, Values};
use crate::mesos::v1;
use serde::Deserialize;
use std::path::PathBuf;
use std::time::Duration;

pub(super) const PROVIDERS: Setting = Setting::new(
    "image_providers",
    Kind::Text,
    "Kinds of images that tasks of the mesos containerizer may have: docker, or none",
)
.or("docker");
pub(super) const BACKEND: Setting = Setting::new(
    "image_provisioner_backend",
    Kind::Text,
    "How root file systems are made of layers: overlay, copy, or auto: overlay where it works",
)
.or("auto");
pub(super) const GC: Setting = Setting::new(
    "image_gc_config",
    Kind::Text,
    "When images are removed that nobody uses: JSON with image_disk_headroom (0.1; 0 is never), \
     image_disk_watch_interval and excluded_images, or a file's path",
);
pub(super) const REGISTRY: Setting = Setting::new(
    "docker_registry",
    Kind::Text,
    "Where images come from that name no registry: its URL, or a folder of docker save files \
     (name:tag.tar) and OCI layouts",
)
.or("https://registry-1.docker.io");
pub(super) const STORE: Setting = Setting::new(
    "docker_store_dir",
    Kind::Text,
    "Where the mesos containerizer keeps images; without it below the data folder",
);
pub(super) const IGNORE: Setting = Setting::new(
    "docker_ignore_runtime",
    Kind::Bool,
    "Pass over what images say of command, environment, folder and user",
)
.or("false");
pub(super) const SANDBOX: Setting =
    Setting::new("sandbox_directory", Kind::Text, "Where containers of images see their sandbox")
        .or("/mnt/mesos/sandbox");

/// Where images come from and how they are used.
#[derive(Clone, Debug)]
pub struct ImageOptions {
    /// Whether tasks may have any.
    pub allowed: bool,
    /// How root file systems are made.
    pub backend: Backend,
    /// When images are removed.
    pub collection: Collection,
    /// Where those come from that name no registry.
    pub home: Home,
    /// Where they are kept; none: below the data folder.
    pub store_dir: Option<PathBuf>,
    /// Logins for all tasks.
    pub credentials: Credentials,
    /// Whether what they say of their containers is passed over.
    pub ignore_runtime: bool,
}

/// Mesos's `ImageGcConfig`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GcConfig {
    image_disk_headroom: Option<f64>,
    image_disk_watch_interval: Option<Nanoseconds>,
    #[serde(default)]
    excluded_images: Vec<v1::Image>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nanoseconds {
    nanoseconds: u64,
}

/// Reads the settings; what is wrong is noted in `values`. `credentials` are those of all tasks.
pub(super) fn read(values: &mut Values, credentials: Credentials) -> ImageOptions {
    ImageOptions {
        allowed: values.parse(&PROVIDERS, providers).unwrap_or(false),
        backend: values.parse(&BACKEND, backend).unwrap_or_default(),
        collection: values.parse(&GC, collection).unwrap_or_default(),
        home: values
            .parse(&REGISTRY, Home::parse)
            .unwrap_or_else(|| Home::Registry("https://registry-1.docker.io".into())),
        store_dir: values.parse(&STORE, absolute),
        credentials,
        ignore_runtime: values.bool(&IGNORE),
    }
}

/// The sandbox's place: never the root itself.
pub(super) fn sandbox(text: &str) -> Result<String, &'static str> {
    let path = absolute(text)?;
    let up = path.components().any(|c| c == std::path::Component::ParentDir);
    match path.parent().is_some() && !up {
        true => Ok(text.into()),
        false => Err("expected an absolute path below the root, without '..'"),
    }
}

/// Logins in docker's form, or the file that is named instead.
pub(super) fn credentials(text: &str) -> Result<Credentials, String> {
    text_or_file(text).and_then(|text| Credentials::read(&text))
}

/// JSON, or the contents of the file that is named instead.
fn text_or_file(text: &str) -> Result<Vec<u8>, String> {
    if text.trim_start().starts_with('{') {
        return Ok(text.into());
    }
    let path = text.strip_prefix("file://").unwrap_or(text);
    std::fs::read(path).map_err(|e| format!("cannot read {path}: {e}"))
}

fn providers(text: &str) -> Result<bool, String> {
    let mut allowed = false;
    for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        match name.to_ascii_lowercase().as_str() {
            "docker" => allowed = true,
            "none" => {}
            "appc" => return Err("images of the kind appc are not supported".into()),
            _ => return Err(format!("'{name}' is no kind of image: expected docker")),
        }
    }
    Ok(allowed)
}

fn backend(text: &str) -> Result<Backend, String> {
    match text {
        "auto" => Ok(Backend::Auto),
        "overlay" => Ok(Backend::Overlay),
        "copy" => Ok(Backend::Copy),
        "aufs" | "bind" => Err(format!("{text} is not supported: use overlay or copy")),
        _ => Err("expected auto, overlay or copy".into()),
    }
}

fn collection(text: &str) -> Result<Collection, String> {
    let config: GcConfig = serde_json::from_slice(&text_or_file(text)?)
        .map_err(|e| format!("it is no configuration of image collection: {e}"))?;
    let default = Collection::default();
    let headroom = config.image_disk_headroom.unwrap_or(default.headroom);
    if !(0.0..=1.0).contains(&headroom) {
        return Err("image_disk_headroom must be between 0 and 1".into());
    }
    let given = config.image_disk_watch_interval.map(|i| Duration::from_nanos(i.nanoseconds));
    let interval = given.unwrap_or(default.interval);
    if !(SECOND..=365 * DAY).contains(&interval) {
        return Err("image_disk_watch_interval must be between a second and a year".into());
    }
    let excluded = crate::agent::images::names(&config.excluded_images);
    Ok(Collection { headroom, interval, excluded })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_originals_configuration_of_collection_is_read() {
        let text = r#"{"image_disk_headroom": 0.2,
            "image_disk_watch_interval": {"nanoseconds": 3600000000000},
            "excluded_images": [{"type": "DOCKER", "docker": {"name": "busybox"}}]}"#;
        let read = collection(text).expect("good");
        assert_eq!((read.headroom, read.interval), (0.2, Duration::from_secs(3600)));
        assert_eq!(read.excluded, ["busybox"]);
        for bad in [
            r#"{"image_disk_headroom": 1.5}"#,
            r#"{"image_disk_watch_interval": {"nanoseconds": 1}}"#,
            r#"{"headroom": 0.1}"#,
            "/no/such/file",
        ] {
            assert!(collection(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn kinds_and_backends_that_are_not_there_are_refused() {
        assert_eq!(providers("DOCKER"), Ok(true));
        assert_eq!(providers("none"), Ok(false));
        assert!(providers("docker,appc").is_err());
        assert!(providers("oci").is_err());
        assert!(backend("aufs").expect_err("refused").contains("not supported"));
        assert!(sandbox("/").is_err() && sandbox("mnt").is_err() && sandbox("/a/../b").is_err());
    }
}
