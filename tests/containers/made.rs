//! Images made of the system's busybox, as files and in a registry of the tests' own: no other registry is asked.

use mesolith::agent::provisioner::digest::Digest;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

/// The system's static busybox; without it a test is skipped by name, and fails where it is required.
pub fn busybox(test: &str) -> Option<Vec<u8>> {
    let root = nix::unistd::geteuid().is_root();
    match static_busybox().filter(|_| root) {
        Some(bytes) => Some(bytes),
        None => {
            let required = std::env::var_os("MESOLITH_REQUIRE_DOCKER").is_some();
            assert!(!required, "{test} needs root and the package busybox-static");
            eprintln!("SKIPPED {test}: needs root and a static busybox");
            None
        }
    }
}

/// The same, for whoever can do without root.
pub fn static_busybox() -> Option<Vec<u8>> {
    // Static: an ELF file without an interpreter.
    let found =
        ["/usr/bin/busybox", "/bin/busybox"].into_iter().find_map(|p| std::fs::read(p).ok());
    found.filter(|bytes| !bytes.windows(8).take(1 << 12).any(|w| w == b"/lib64/l"))
}

/// What a layer has: a name, and content, the target of a link (`->`), or nothing for a folder.
pub fn layer(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o755);
        header.set_mtime(1_000_000_000);
        header.set_uid(0);
        header.set_gid(0);
        if let Some(to) = content.strip_prefix(b"->") {
            header.set_entry_type(tar::EntryType::Symlink);
            header.set_size(0);
            let to = std::str::from_utf8(to).unwrap();
            builder.append_link(&mut header, name, to).unwrap();
        } else {
            let folder = name.ends_with('/');
            let kind = if folder { tar::EntryType::Directory } else { tar::EntryType::Regular };
            header.set_entry_type(kind);
            header.set_size(content.len() as u64);
            builder.append_data(&mut header, name, *content).unwrap();
        }
    }
    builder.into_inner().unwrap()
}

/// A layer with busybox as everything, and the files of users.
pub fn base(busybox: &[u8]) -> Vec<u8> {
    let mut entries: Vec<(String, Vec<u8>)> = vec![
        ("bin/".into(), Vec::new()),
        ("bin/busybox".into(), busybox.to_vec()),
        ("etc/".into(), Vec::new()),
        ("etc/passwd".into(), b"root:x:0:0::/:\nweb:x:4321:4322::/:\n".to_vec()),
        ("etc/group".into(), b"root:x:0:\nweb:x:4322:\nlog:x:7:web\n".to_vec()),
        ("etc/name".into(), b"low\n".to_vec()),
    ];
    let tools = "sh cat echo ls id pwd touch mkdir mknod mount grep sleep stat test readlink env \
                 tr head dd chmod wc rm hostname find true httpd kill";
    entries.extend(tools.split_whitespace().map(|t| (format!("bin/{t}"), b"->busybox".to_vec())));
    let all: Vec<(&str, &[u8])> = entries.iter().map(|(n, c)| (&**n, &**c)).collect();
    layer(&all)
}

/// An image.
pub struct Image {
    pub config: Vec<u8>,
    pub layers: Vec<Vec<u8>>,
}

impl Image {
    pub fn new(layers: Vec<Vec<u8>>, config: Value) -> Self {
        let ids: Vec<Digest> = layers.iter().map(|l| Digest::of(l)).collect();
        let config = json!({"architecture": "amd64", "os": "linux", "config": config,
            "rootfs": {"type": "layers", "diff_ids": ids}});
        Self { config: config.to_string().into_bytes(), layers }
    }

    /// Writes it as `docker save` does.
    pub fn save(&self, path: &Path) {
        let mut builder = tar::Builder::new(std::fs::File::create(path).unwrap());
        let mut put = |name: &str, bytes: &[u8]| {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            builder.append_data(&mut header, name, bytes).unwrap();
        };
        let config = format!("{}.json", Digest::of(&self.config).hex());
        put(&config, &self.config);
        let names: Vec<String> =
            (0..self.layers.len()).map(|n| format!("layer{n}/layer.tar")).collect();
        names.iter().zip(&self.layers).for_each(|(name, layer)| put(name, layer));
        let list = json!([{"Config": config, "RepoTags": null, "Layers": names}]);
        put("manifest.json", list.to_string().as_bytes());
        builder.into_inner().unwrap();
    }
}

type Blobs = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

/// A registry on this machine.
pub struct Registry {
    blobs: Blobs,
    pub address: String,
}

impl Registry {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let blobs = Blobs::default();
        let held = Arc::clone(&blobs);
        let app = axum::Router::new().fallback(move |uri: axum::http::Uri| {
            let found = held.lock().unwrap().get(uri.path()).cloned();
            async move { found.ok_or(axum::http::StatusCode::NOT_FOUND) }
        });
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { blobs, address }
    }

    pub fn push(&self, repository: &str, tag: &str, image: &Image) {
        let descriptor = |bytes: &[u8]| json!({"size": bytes.len(), "digest": Digest::of(bytes)});
        let layers: Vec<Value> = image.layers.iter().map(|l| descriptor(l)).collect();
        let manifest = json!({"schemaVersion": 2, "config": descriptor(&image.config),
            "layers": layers});
        let mut blobs = self.blobs.lock().unwrap();
        let mut put = |path: String, bytes: &[u8]| blobs.insert(path, bytes.to_vec());
        for blob in image.layers.iter().chain([&image.config]) {
            put(format!("/v2/{repository}/blobs/{}", Digest::of(blob)), blob);
        }
        let path = format!("/v2/{repository}/manifests/{tag}");
        put(path, manifest.to_string().as_bytes());
    }
}
