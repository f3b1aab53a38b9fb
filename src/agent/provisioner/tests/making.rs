//! Makes images: layers from lists of entries, and the files around them.

use super::*;
use serde_json::{Value, json};
use std::io::Write as _;

/// An entry of a layer.
pub struct Entry {
    pub name: &'static str,
    pub kind: tar::EntryType,
    pub content: Vec<u8>,
    pub to: &'static str,
    pub mode: u32,
    pub ids: (u64, u64),
}

pub fn file(name: &'static str, content: &str) -> Entry {
    let content = content.as_bytes().to_vec();
    let kind = tar::EntryType::Regular;
    Entry { name, kind, content, to: "", mode: 0o644, ids: (0, 0) }
}

pub fn dir(name: &'static str) -> Entry {
    Entry { kind: tar::EntryType::Directory, mode: 0o755, ..file(name, "") }
}

pub fn link(name: &'static str, to: &'static str) -> Entry {
    Entry { kind: tar::EntryType::Symlink, to, ..file(name, "") }
}

pub fn other(name: &'static str, kind: tar::EntryType) -> Entry {
    Entry { kind, ..file(name, "") }
}

/// The tar file of a layer. Names are written as they are, however bad.
pub fn layer(entries: &[Entry]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for e in entries {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(e.kind);
        header.set_size(e.content.len() as u64);
        header.set_mode(e.mode);
        header.set_mtime(1_000_000_000);
        header.set_uid(e.ids.0);
        header.set_gid(e.ids.1);
        header.as_old_mut().name[..e.name.len()].copy_from_slice(e.name.as_bytes());
        header.as_old_mut().linkname[..e.to.len()].copy_from_slice(e.to.as_bytes());
        header.set_cksum();
        builder.append(&header, e.content.as_slice()).expect("in memory");
    }
    builder.into_inner().expect("in memory")
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(bytes).expect("in memory");
    gz.finish().expect("in memory")
}

pub fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(bytes, 1).expect("in memory")
}

/// An image, packed.
pub struct Made {
    pub config: Vec<u8>,
    /// Plain, and as it travels.
    pub layers: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Made {
    pub fn new(layers: Vec<Vec<u8>>, pack: fn(&[u8]) -> Vec<u8>) -> Self {
        Self::with(layers, pack, json!({}))
    }

    pub fn with(layers: Vec<Vec<u8>>, pack: fn(&[u8]) -> Vec<u8>, config: Value) -> Self {
        let ids: Vec<String> = layers.iter().map(|l| Digest::of(l).to_string()).collect();
        let config = json!({
            "architecture": "amd64", "os": "linux", "config": config,
            "rootfs": {"type": "layers", "diff_ids": ids},
        });
        let layers = layers.into_iter().map(|l| (l.clone(), pack(&l))).collect();
        Self { config: config.to_string().into_bytes(), layers }
    }

    /// One small layer.
    pub fn simple(content: &str) -> Self {
        Self::new(vec![layer(&[dir("etc"), file("etc/name", content)])], gzip)
    }

    pub fn manifest(&self) -> Vec<u8> {
        let blob = |kind: &str, bytes: &[u8]| json!({"mediaType": kind, "size": bytes.len(), "digest": Digest::of(bytes)});
        let layers: Vec<Value> = self
            .layers
            .iter()
            .map(|(_, l)| blob("application/vnd.oci.image.layer.v1.tar+gzip", l))
            .collect();
        json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": blob("application/vnd.oci.image.config.v1+json", &self.config),
            "layers": layers,
        })
        .to_string()
        .into_bytes()
    }

    /// As `docker save` writes it: in its older form, a repeated layer as a link.
    pub fn save(&self, tags: &[&str]) -> Vec<u8> {
        let config = format!("{}.json", Digest::of(&self.config).hex());
        let mut builder = tar::Builder::new(Vec::new());
        let mut names: Vec<String> = Vec::new();
        let mut put = |name: &str, bytes: &[u8]| {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            builder.append_data(&mut header, name, bytes).expect("in memory");
        };
        put(&config, &self.config);
        for (n, (plain, _)) in self.layers.iter().enumerate() {
            let name = format!("layer{n}/layer.tar");
            put(&name, plain);
            names.push(name);
        }
        let list = json!([{"Config": config, "RepoTags": tags, "Layers": names}]);
        put("manifest.json", list.to_string().as_bytes());
        builder.into_inner().expect("in memory")
    }

    /// As an OCI layout.
    pub fn layout(&self, folder: &Path, name: &str) {
        let blobs = folder.join("blobs/sha256");
        std::fs::create_dir_all(&blobs).expect("made");
        let put = |bytes: &[u8]| {
            std::fs::write(blobs.join(Digest::of(bytes).hex()), bytes).expect("written");
        };
        let manifest = self.manifest();
        put(&self.config);
        put(&manifest);
        self.layers.iter().for_each(|(_, packed)| put(packed));
        let index = json!({"schemaVersion": 2, "manifests": [{
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": Digest::of(&manifest), "size": manifest.len(),
            "annotations": {"org.opencontainers.image.ref.name": name},
        }]});
        std::fs::write(folder.join("index.json"), index.to_string()).expect("written");
        let mark = r#"{"imageLayoutVersion":"1.0.0"}"#;
        std::fs::write(folder.join("oci-layout"), mark).expect("written");
    }
}
