//! Manifests, indexes and configurations of images: Docker's version 2 and OCI's. Values only.

use super::digest::Digest;
use super::runtime::Runtime;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

/// The longest manifest or index, in bytes.
pub const MANIFEST_BYTES_MAX: u64 = 4 << 20;
/// The longest configuration, in bytes.
pub const CONFIG_BYTES_MAX: u64 = 8 << 20;
/// Layers of one image, at most.
pub const LAYERS_MAX: usize = 256;
/// The largest layer as it travels, in bytes.
pub const BLOB_BYTES_MAX: u64 = 32 << 30;
/// What is asked for, as HTTP's `Accept`.
pub const ACCEPTED: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json";
/// The name of an image within an OCI layout.
const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// The full name that containerd and buildx add.
const IMAGE_NAME: &str = "io.containerd.image.name";

/// Names a blob.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What it is.
    #[serde(default)]
    pub media_type: String,
    /// Its address.
    pub digest: Digest,
    /// Its length, in bytes.
    pub size: u64,
    /// For which machine, in an index.
    pub platform: Option<Platform>,
    /// Where else it is.
    #[serde(default)]
    pub urls: Vec<String>,
    /// Remarks.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
}

/// A kind of machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Platform {
    /// `amd64` and the like.
    #[serde(default)]
    pub architecture: String,
    /// `linux` and the like.
    #[serde(default)]
    pub os: String,
    /// `v7` and the like.
    pub variant: Option<String>,
}

/// One image.
#[derive(Clone, Debug, Deserialize)]
pub struct Manifest {
    /// Its configuration.
    pub config: Descriptor,
    /// Its layers, the lowest first.
    pub layers: Vec<Descriptor>,
}

/// What is behind a name.
#[derive(Clone, Debug)]
pub enum Document {
    /// One image.
    Image(Manifest),
    /// One for each kind of machine, or several by name.
    Index(Vec<Descriptor>),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Either {
    schema_version: Option<u64>,
    manifests: Option<Vec<Descriptor>>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
}

/// Reads JSON from outside.
///
/// # Errors
/// What it is not.
pub fn json<T: DeserializeOwned>(what: &str, bytes: &[u8]) -> Result<T, String> {
    serde_json::from_slice(bytes).map_err(|e| match bytes.trim_ascii_start().first() {
        Some(b'<') => format!("the {what} is a page of HTML or XML, not JSON"),
        _ => format!("the {what} cannot be read: {}", super::shown(&e.to_string())),
    })
}

impl Document {
    /// Reads a manifest or an index.
    ///
    /// # Errors
    /// It is neither; it is of the first version; it has too many layers.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        let either: Either = json("manifest", bytes)?;
        if either.schema_version == Some(1) {
            return Err("the manifest is of schema version 1, which is not supported: \
                        push the image again with a newer tool"
                .into());
        }
        match either {
            Either { manifests: Some(manifests), .. } => Ok(Self::Index(manifests)),
            Either { config: Some(config), layers: Some(layers), .. } => {
                if layers.len() > LAYERS_MAX {
                    let n = layers.len();
                    return Err(format!("{n} layers are over the limit of {LAYERS_MAX}"));
                }
                if let Some(far) = layers.iter().find(|l| !l.urls.is_empty()) {
                    let digest = &far.digest;
                    return Err(format!("layer {digest} is kept outside of registries"));
                }
                if let Some(long) = layers.iter().find(|l| l.size > BLOB_BYTES_MAX) {
                    let (digest, size) = (&long.digest, long.size);
                    return Err(format!("layer {digest} has {size} bytes, over the limit"));
                }
                Ok(Self::Image(Manifest { config, layers }))
            }
            _ => Err("the manifest names neither layers nor other manifests".into()),
        }
    }
}

impl Platform {
    /// This machine, in the words of images.
    pub fn own() -> Self {
        let (architecture, variant) = match std::env::consts::ARCH {
            "x86_64" => ("amd64", None),
            "x86" => ("386", None),
            "aarch64" => ("arm64", None),
            "arm" => ("arm", Some("v7")),
            "powerpc64" => ("ppc64le", None),
            other => (other, None),
        };
        Self {
            architecture: architecture.into(),
            os: "linux".into(),
            variant: variant.map(str::to_owned),
        }
    }

    fn words(&self) -> String {
        match &self.variant {
            Some(variant) => format!("{}/{}/{variant}", self.os, self.architecture),
            None => format!("{}/{}", self.os, self.architecture),
        }
    }
}

/// The one for this machine: of the same variant if there is one.
///
/// # Errors
/// There is none; the text says for which machines there are.
pub fn choose<'a>(all: &'a [Descriptor], own: &Platform) -> Result<&'a Descriptor, String> {
    let fits = |d: &&Descriptor| {
        d.platform.as_ref().is_some_and(|p| p.os == own.os && p.architecture == own.architecture)
    };
    let exact = all.iter().filter(fits).find(|d| {
        d.platform.as_ref().is_some_and(|p| own.variant.is_none() || p.variant == own.variant)
    });
    if let Some(found) = exact.or_else(|| all.iter().find(fits)) {
        return Ok(found);
    }
    // Some tools write no platform at all.
    match all {
        [only] if only.platform.is_none() => Ok(only),
        _ => {
            let there: Vec<String> =
                all.iter().filter_map(|d| d.platform.as_ref()).map(Platform::words).collect();
            let there = super::shown(&there.join(", "));
            Err(format!("there is no image for {}, only for {there}", own.words()))
        }
    }
}

/// Those of a layout that have this name or tag; all when only one is there.
pub fn named<'a>(all: &'a [Descriptor], tagged: &str, tag: &str) -> Vec<&'a Descriptor> {
    let is = |d: &&Descriptor| {
        let name = d.annotations.get(REF_NAME).map(String::as_str);
        let full = d.annotations.get(IMAGE_NAME).map(String::as_str);
        let ends = |f: &str| f == tagged || f.ends_with(&format!("/{tagged}"));
        full.is_some_and(ends) || name.is_some_and(|n| n == tagged || (n == tag && full.is_none()))
    };
    let found: Vec<&Descriptor> = all.iter().filter(is).collect();
    match (found.is_empty(), all) {
        (true, [only]) => vec![only],
        _ => found,
    }
}

/// A configuration, as far as it is used here.
#[derive(Clone, Debug)]
pub struct Config {
    /// What a container of it does unless told otherwise.
    pub runtime: Runtime,
    /// The layers unpacked, the lowest first.
    pub diff_ids: Vec<Digest>,
}

#[derive(Deserialize)]
struct RawConfig {
    config: Option<RawRuntime>,
    rootfs: RawRoot,
}

#[derive(Deserialize)]
struct RawRoot {
    #[serde(default)]
    diff_ids: Vec<Digest>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawRuntime {
    env: Option<Vec<String>>,
    entrypoint: Option<Words>,
    cmd: Option<Words>,
    working_dir: Option<String>,
    user: Option<String>,
}

/// A list; some old tools wrote a single text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Words {
    All(Vec<String>),
    One(String),
}

impl Words {
    fn list(self) -> Vec<String> {
        match self {
            Words::All(all) => all,
            Words::One(one) if one.is_empty() => Vec::new(),
            Words::One(one) => vec![one],
        }
    }
}

impl Config {
    /// Reads a configuration.
    ///
    /// # Errors
    /// It is none, or names too many layers.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        let raw: RawConfig = json("configuration of the image", bytes)?;
        let n = raw.rootfs.diff_ids.len();
        if n > LAYERS_MAX {
            return Err(format!("{n} layers are over the limit of {LAYERS_MAX}"));
        }
        let given = raw.config.unwrap_or_default();
        let runtime = Runtime {
            env: given.env.unwrap_or_default(),
            entrypoint: given.entrypoint.map(Words::list).unwrap_or_default(),
            cmd: given.cmd.map(Words::list).unwrap_or_default(),
            cwd: given.working_dir.filter(|w| !w.is_empty()),
            user: given.user.filter(|u| !u.is_empty()),
        };
        Ok(Self { runtime: runtime.checked()?, diff_ids: raw.rootfs.diff_ids })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(platforms: &[(&str, &str, Option<&str>)]) -> Vec<Descriptor> {
        let of = |(n, (os, architecture, variant)): (usize, &(&str, &str, Option<&str>))| {
            let platform = Platform {
                os: (*os).into(),
                architecture: (*architecture).into(),
                variant: variant.map(str::to_owned),
            };
            Descriptor {
                media_type: String::new(),
                digest: Digest::of(&[n as u8]),
                size: 1,
                platform: Some(platform),
                urls: Vec::new(),
                annotations: BTreeMap::new(),
            }
        };
        platforms.iter().enumerate().map(of).collect()
    }

    #[test]
    fn the_image_of_this_machine_is_chosen() {
        let all = index(&[
            ("windows", "amd64", None),
            ("linux", "arm", Some("v6")),
            ("linux", "arm", Some("v7")),
            ("linux", "amd64", None),
        ]);
        let own = |architecture: &str, variant: Option<&str>| Platform {
            os: "linux".into(),
            architecture: architecture.into(),
            variant: variant.map(str::to_owned),
        };
        let chosen = |p: &Platform| choose(&all, p).expect("there is one").digest.clone();
        assert_eq!(chosen(&own("amd64", None)), all[3].digest);
        assert_eq!(chosen(&own("arm", Some("v7"))), all[2].digest);
        assert_eq!(chosen(&own("arm", Some("v5"))), all[1].digest);
        let none = choose(&all, &own("s390x", None)).expect_err("none");
        assert!(none.contains("linux/s390x") && none.contains("windows/amd64"), "{none}");
    }

    #[test]
    fn what_is_no_manifest_is_told() {
        let html = Document::read(b"  <!DOCTYPE html><title>Sign in</title>").expect_err("html");
        assert!(html.contains("page of HTML"), "{html}");
        let old = Document::read(br#"{"schemaVersion":1,"fsLayers":[]}"#).expect_err("old");
        assert!(old.contains("schema version 1"), "{old}");
        let empty = Document::read(b"{}").expect_err("empty");
        assert!(empty.contains("neither layers"), "{empty}");
        let layer = format!(r#"{{"digest":"{}","size":1}}"#, Digest::of(b""));
        let many = vec![layer.as_str(); LAYERS_MAX + 1].join(",");
        let many = format!(r#"{{"schemaVersion":2,"config":{layer},"layers":[{many}]}}"#);
        let refused = Document::read(many.as_bytes()).expect_err("too many");
        assert!(refused.contains("over the limit"), "{refused}");
        let evil = br#"{"config":{"digest":"sha256:../../etc","size":1},"layers":[]}"#;
        assert!(Document::read(evil).is_err());
    }

    #[test]
    fn configurations_of_old_and_new_tools_are_read() {
        let text = br#"{"config":{"Env":["A=1"],"Entrypoint":"/run","Cmd":null,
            "WorkingDir":"","User":"7"},"rootfs":{"type":"layers","diff_ids":[]}}"#;
        let config = Config::read(text).expect("good");
        assert_eq!(config.runtime.entrypoint, ["/run"]);
        assert_eq!(config.runtime.env, ["A=1"]);
        assert_eq!(config.runtime.cwd, None);
        assert_eq!(config.runtime.user.as_deref(), Some("7"));
        assert!(Config::read(br#"{"rootfs":{}}"#).expect("bare").runtime.cmd.is_empty());
        assert!(Config::read(b"[]").is_err());
    }
}
