//! Fetching from files and from a small server; archives, good and bad.

use super::*;
use crate::agent::core::io::Limits;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

fn fetcher() -> Fetcher {
    Fetcher::new(FetchOptions {
        stall_timeout: Duration::from_secs(10),
        total_timeout: Duration::from_secs(30),
        frameworks_home: None,
        cache: Arc::new(cache(1 << 20)),
    })
}

/// An empty cache for so many bytes; its folder is gone with the process's others.
fn cache(capacity: u64) -> Cache {
    let dir = tempfile::tempdir().expect("dir");
    Cache::open(&dir.keep(), capacity).expect("a folder")
}

fn uri(value: impl Into<String>) -> v1::command_info::Uri {
    v1::command_info::Uri { value: value.into(), ..Default::default() }
}

fn launch(sandbox: &Path, uris: Vec<v1::command_info::Uri>) -> Launch {
    Launch {
        container: "c1".into(),
        framework: Arc::default(),
        executor: Arc::default(),
        task: None,
        command: Arc::new(v1::CommandInfo { uris, ..Default::default() }),
        sandbox: sandbox.into(),
        user: None,
        environment: Vec::new(),
        limits: Limits::default(),
        nested: None,
        volumes: Vec::new(),
        pause: false,
        docker: None,
    }
}

fn tar_of(entries: &[(&str, &[u8], u32)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content, mode) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(*mode);
        // By hand, so that names can be bad.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        builder.append(&header, *content).expect("in memory");
    }
    builder.into_inner().expect("in memory")
}

// covers: MES-0463
#[tokio::test]
async fn the_same_file_twice_is_there_once() {
    let (from, to) = (tempfile::tempdir().expect("dir"), tempfile::tempdir().expect("dir"));
    let file = from.path().join("file");
    fs::write(&file, "hello").expect("written");
    let twice = vec![uri(file.to_string_lossy()), uri(file.to_string_lossy())];
    fetcher().fetch(&launch(to.path(), twice)).await.expect("fetched");
    assert_eq!(fs::read(to.path().join("file")).expect("there"), b"hello");
}

// covers: MES-0462, MES-0464, MES-0467, MES-0472, MES-0476, MES-0477, MES-0483
#[tokio::test]
async fn files_are_copied_and_made_executable() {
    let (from, to) = (tempfile::tempdir().expect("dir"), tempfile::tempdir().expect("dir"));
    let script = from.path().join("run.sh");
    fs::write(&script, "echo").expect("written");
    let mut by_path = uri(script.to_string_lossy());
    by_path.executable = Some(true);
    let mut by_url = uri(format!("file://{}", script.display()));
    by_url.output_file = Some("sub/other.sh".into());
    fetcher().fetch(&launch(to.path(), vec![by_path, by_url])).await.expect("fetched");
    let mode = fs::metadata(to.path().join("run.sh")).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o755);
    let other = to.path().join("sub/other.sh");
    assert_eq!(fs::read(&other).expect("there"), b"echo");
    assert_eq!(fs::metadata(other).expect("there").permissions().mode() & 0o777, 0o644);
    let log = fs::read_to_string(to.path().join("stderr")).expect("a log");
    assert_eq!(log.lines().count(), 2, "{log}");
}

// covers: MES-0478
#[tokio::test]
async fn archives_are_unpacked_beside_themselves() {
    let (from, to) = (tempfile::tempdir().expect("dir"), tempfile::tempdir().expect("dir"));
    let path = from.path().join("all.tgz");
    let mut gz = flate2::write::GzEncoder::new(
        fs::File::create(&path).expect("made"),
        flate2::Compression::fast(),
    );
    gz.write_all(&tar_of(&[("bin/x", b"1", 0o4755), ("y", b"2", 0o600)])).expect("written");
    gz.finish().expect("whole");
    let mut kept = uri(path.to_string_lossy());
    kept.extract = Some(false);
    kept.output_file = Some("kept.tgz".into());
    let uris = vec![uri(path.to_string_lossy()), kept];
    fetcher().fetch(&launch(to.path(), uris)).await.expect("fetched");
    let mode = fs::metadata(to.path().join("bin/x")).expect("there").permissions().mode();
    assert_eq!(mode & 0o7777, 0o755, "the set-user-id bit is not brought");
    assert_eq!(fs::read(to.path().join("y")).expect("there"), b"2");
    assert!(to.path().join("all.tgz").exists() && to.path().join("kept.tgz").exists());
}

#[tokio::test]
async fn an_archive_that_leads_out_is_refused() {
    for bad in ["../evil", "/evil"] {
        let (from, to) = (tempfile::tempdir().expect("dir"), tempfile::tempdir().expect("dir"));
        let path = from.path().join("bad.tar");
        fs::write(&path, tar_of(&[(bad, b"1", 0o644)])).expect("written");
        let failed = fetcher().fetch(&launch(to.path(), vec![uri(path.to_string_lossy())])).await;
        let why = failed.expect_err("leads out");
        assert!(why.starts_with("Failed to fetch all URIs for container 'c1'"), "{why}");
        assert!(!Path::new("/evil").exists());
        assert!(!to.path().join("../evil").exists());
    }
}

#[tokio::test]
async fn a_link_in_the_sandbox_is_not_followed() {
    let (from, to) = (tempfile::tempdir().expect("dir"), tempfile::tempdir().expect("dir"));
    let outside = tempfile::tempdir().expect("dir");
    fs::write(from.path().join("f"), "new").expect("written");
    std::os::unix::fs::symlink(outside.path(), to.path().join("sub")).expect("linked");
    let mut through = uri(from.path().join("f").to_string_lossy());
    through.output_file = Some("sub/f".into());
    assert!(fetcher().fetch(&launch(to.path(), vec![through])).await.is_err());
    assert!(!outside.path().join("f").exists());
}

// covers: MES-0465, MES-0474
#[tokio::test]
async fn http_downloads_follow_redirects_and_tell_failures() {
    let routes = axum::Router::new()
        .route("/there.txt", axum::routing::get(async || "hello"))
        .route("/moved", axum::routing::get(async || axum::response::Redirect::to("/there.txt")));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move { axum::serve(listener, routes).await });
    let to = tempfile::tempdir().expect("dir");
    let good = uri(format!("http://{address}/moved"));
    fetcher().fetch(&launch(to.path(), vec![good])).await.expect("fetched");
    assert_eq!(fs::read(to.path().join("moved")).expect("there"), b"hello");
    let bad = uri(format!("http://{address}/nothing"));
    let why = fetcher().fetch(&launch(to.path(), vec![bad])).await.expect_err("404");
    assert!(why.contains("404"), "{why}");
    let log = fs::read_to_string(to.path().join("stderr")).expect("a log");
    assert!(log.contains("Failed to fetch") && log.contains("404"), "{log}");
}

// covers: MES-0468, MES-0471
#[test]
fn names_come_from_the_last_segment() {
    let name = |value: &str| place::name_of(&uri(value)).map(|p| p.display().to_string());
    assert_eq!(name("http://h/a/b.tgz?x=/y").as_deref(), Ok("b.tgz"));
    assert_eq!(name("/a/b").as_deref(), Ok("b"));
    assert!(name("http://host").is_err());
    assert!(name("http://host/").is_err());
    let mut out = uri("http://h/a");
    out.output_file = Some("../x".into());
    assert!(place::name_of(&out).is_err());
    out.output_file = Some("/x".into());
    assert!(place::name_of(&out).is_err());
}

#[test]
fn other_schemes_are_refused_with_a_reason() {
    let why = source::read("hdfs://h/x", None).expect_err("not served");
    assert!(why.contains("hdfs"), "{why}");
}

// covers: MES-0473, MES-0475
#[test]
fn paths_may_be_relative_to_the_folder_of_frameworks() {
    assert!(source::read("relative", None).is_err());
    let home = Some(Path::new("/opt"));
    assert_eq!(source::read("a/b", home), Ok(source::Source::File("/opt/a/b".into())));
    assert_eq!(source::read("  /a/b", home), Ok(source::Source::File("/a/b".into())));
    let blank = source::read("  http://h/x", None);
    assert_eq!(blank, Ok(source::Source::Http("http://h/x".into())));
}

mod cached;
mod kinds;
mod limits;
