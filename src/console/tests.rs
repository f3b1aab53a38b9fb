//! How the pages' files are served, and that they fit together. What they do is tested in a browser
//! (`tests/console`).

use super::assets::assets;
use super::{Links, Place, Section, face};
use crate::http::{Server, bind};
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/console/assets")
}

fn files(of: &Path, base: &Path, out: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(of).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, base, out);
        } else {
            out.insert(path.strip_prefix(base).unwrap().to_str().unwrap().to_owned());
        }
    }
}

#[test]
fn every_file_of_the_folder_is_embedded_and_no_other() {
    let mut there = BTreeSet::new();
    files(&folder(), &folder(), &mut there);
    there.remove("vendor/MANIFEST.toml");
    let embedded: BTreeSet<String> = assets().all.iter().map(|a| a.path.to_owned()).collect();
    assert_eq!(embedded, there);
}

/// The addresses that a module names by one of these words.
fn imports(text: &str, words: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for word in words {
        for rest in text.split(word).skip(1) {
            let quote = rest.chars().next().filter(|c| matches!(c, '\'' | '"'));
            if let Some((name, _)) = quote.and_then(|q| rest[1..].split_once(q)) {
                found.push(name.to_owned());
            }
        }
    }
    found
}

/// The file that a name in a module leads to.
fn resolve(from: &str, name: &str) -> String {
    if let Some((_, file)) = super::page::IMPORTS.iter().find(|(bare, _)| *bare == name) {
        return (*file).to_owned();
    }
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in name.split('/') {
        match part {
            "." => {}
            ".." => assert!(parts.pop().is_some(), "{from}: {name}"),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

fn text(path: &str) -> &'static str {
    std::str::from_utf8(&assets().get(path).unwrap().plain).unwrap()
}

#[test]
fn every_import_leads_to_a_file_and_none_elsewhere() {
    let mut seen = 0;
    for asset in assets().all.iter().filter(|a| a.path.ends_with(".js")) {
        if asset.path.starts_with("vendor/") {
            continue;
        }
        let text = text(asset.path);
        assert!(text.starts_with("// "), "{} does not say what it is", asset.path);
        for name in imports(text, &["from ", "import ", "import("]) {
            seen += 1;
            let file = resolve(asset.path, &name);
            assert!(assets().get(&file).is_some(), "{} imports {name}", asset.path);
        }
        assert!(!text.contains("https://"), "{}", asset.path);
    }
    assert!(seen > 50, "the imports are not found any more");
}

#[test]
fn vendored_libraries_are_as_the_manifest_says() {
    let manifest = std::fs::read_to_string(folder().join("vendor/MANIFEST.toml")).unwrap();
    let manifest: toml::Table = manifest.parse().unwrap();
    let mut listed = BTreeSet::new();
    for library in manifest["library"].as_array().unwrap() {
        let folder_name = library["folder"].as_str().unwrap();
        for key in ["name", "version", "licence"] {
            assert!(!library[key].as_str().unwrap().is_empty(), "{folder_name}: {key}");
        }
        for file in library["files"].as_array().unwrap() {
            let path = format!("vendor/{folder_name}/{}", file["name"].as_str().unwrap());
            let hash = digest(&SHA256, &assets().get(&path).unwrap().plain);
            let hash: String = hash.as_ref().iter().map(|b| format!("{b:02x}")).collect();
            assert_eq!(hash, file["sha256"].as_str().unwrap(), "{path}");
            listed.insert(path);
        }
        assert!(listed.contains(&format!("vendor/{folder_name}/LICENSE")), "{folder_name}");
    }
    let there = assets().all.iter().filter(|a| a.path.starts_with("vendor/"));
    assert_eq!(listed, there.map(|a| a.path.to_owned()).collect());
}

/// A server of that section; what it answers.
struct Served {
    address: String,
    client: reqwest::Client,
}

async fn serve(section: Section) -> Served {
    let links = Links {
        mesos: Some(Place::Port(5050)),
        marathon: Some(Place::Url("http://m.example/".into())),
        chronos: None,
    };
    let listener = bind("127.0.0.1:0".parse().unwrap(), "--port").await.unwrap();
    let running = Server::new("console", face(section, &links)).start(listener).unwrap();
    // Another test may have been first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let quiet = reqwest::redirect::Policy::none();
    let client = reqwest::Client::builder().redirect(quiet).build().unwrap();
    Served { address: format!("http://{}", running.address()), client }
}

impl Served {
    async fn get(&self, path: &str, headers: &[(&str, &str)]) -> reqwest::Response {
        let mut request = self.client.get(format!("{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap()
    }
}

fn header<'a>(response: &'a reqwest::Response, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |v| v.to_str().unwrap())
}

#[tokio::test]
async fn the_page_allows_nothing_but_its_own_files() {
    for section in [Section::Mesos, Section::Agent, Section::Chronos] {
        let served = serve(section).await;
        let page = served.get("/", &[]).await;
        assert_eq!(page.status(), 200);
        assert_eq!(header(&page, "content-type"), "text/html; charset=utf-8");
        assert_eq!(header(&page, "cache-control"), "no-cache");
        let policy = header(&page, "content-security-policy").to_owned();
        let html = page.text().await.unwrap();
        let map = html.split("<script type=\"importmap\">").nth(1).unwrap();
        let map = map.split("</script>").next().unwrap();
        use base64::Engine as _;
        let hash =
            base64::engine::general_purpose::STANDARD.encode(digest(&SHA256, map.as_bytes()));
        assert!(policy.contains(&format!("'sha256-{hash}'")), "{policy}");
        assert!(policy.starts_with("default-src 'none';") && !policy.contains("unsafe"));
        let map: Value = serde_json::from_str(map).unwrap();
        for file in map["imports"].as_object().unwrap().values() {
            let path = file.as_str().unwrap().strip_prefix('.').unwrap();
            assert_eq!(served.get(path, &[]).await.status(), 200, "{path}");
        }
    }
}

#[tokio::test]
async fn marathons_page_is_below_ui_where_the_root_leads() {
    let served = serve(Section::Marathon).await;
    let root = served.get("/", &[]).await;
    assert_eq!((root.status().as_u16(), header(&root, "location")), (302, "/ui/"));
    let html = served.get("/ui/", &[]).await.text().await.unwrap();
    assert!(html.contains("data-section=\"marathon\"") && html.contains("src=\"../mesolith/ui/"));
}

#[tokio::test]
async fn files_are_kept_for_ever_under_their_build_and_have_a_tag_a_form() {
    let served = serve(Section::Mesos).await;
    let path = format!("/mesolith/ui/{}/app/main.js", assets().build);
    let plain = served.get(&path, &[]).await;
    assert_eq!(header(&plain, "cache-control"), "public, max-age=31536000, immutable");
    assert_eq!(header(&plain, "content-type"), "text/javascript; charset=utf-8");
    assert_eq!(header(&plain, "x-content-type-options"), "nosniff");
    let tag = header(&plain, "etag").to_owned();
    let gzip = served.get(&path, &[("accept-encoding", "gzip")]).await;
    assert_eq!(header(&gzip, "content-encoding"), "gzip");
    assert_ne!(header(&gzip, "etag"), tag);
    assert!(gzip.bytes().await.unwrap().len() < plain.bytes().await.unwrap().len());
    let known = served.get(&path, &[("if-none-match", &tag)]).await;
    assert_eq!((known.status().as_u16(), known.bytes().await.unwrap().len()), (304, 0));
    let older = served.get("/mesolith/ui/0123456789abcdef/app/main.js", &[]).await;
    assert_eq!((older.status().as_u16(), header(&older, "cache-control")), (200, "no-cache"));
    for nowhere in ["/mesolith/ui", "/mesolith/ui/x", "/mesolith/ui/x/app/../../Cargo.toml"] {
        assert_eq!(served.get(nowhere, &[]).await.status(), 404, "{nowhere}");
    }
}

#[tokio::test]
async fn the_page_is_told_where_the_other_faces_are() {
    let served = serve(Section::Chronos).await;
    let about = served.get("/mesolith/v1/console", &[]).await.text().await.unwrap();
    let about: Value = serde_json::from_str(&about).unwrap();
    assert_eq!(about["section"], "chronos");
    let faces = json!({"mesos": {"port": 5050}, "marathon": {"url": "http://m.example/"}});
    assert_eq!(about["faces"], faces);
}

#[test]
fn the_first_page_of_each_port_is_small() {
    for section in ["mesos", "marathon", "chronos"] {
        let first = ["app/main.js".to_owned(), format!("pages/{section}/main.js")];
        let (mut todo, mut loaded) = (Vec::from(first), BTreeSet::new());
        todo.extend(super::page::STYLES.map(str::to_owned));
        while let Some(path) = todo.pop() {
            if loaded.insert(path.clone()) {
                // Vendored files have no blank before the quote.
                let names = imports(text(&path), &["from ", "from", "import "]);
                todo.extend(names.iter().map(|name| resolve(&path, name)));
            }
        }
        let sent = loaded.iter().map(|path| assets().get(path).unwrap());
        let sent: usize = sent.map(|a| a.gzip().map_or(a.plain.len(), |g| g.len())).sum();
        assert!(loaded.contains("vendor/preact-11.2.0/hooks.js"), "{loaded:?}");
        assert!(sent < 60 * 1024, "{section}: {sent} bytes, compressed");
    }
}
