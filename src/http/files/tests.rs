//! The files endpoints through a real server, on real files.

use super::*;
use crate::http::tests::{World, body, serve, status};
use crate::security::{BasicAuthenticator, Credentials};
use crate::telemetry::Counter;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use tempfile::TempDir;

/// A sandbox with a few files, attached under two names.
async fn sandbox() -> (TempDir, FileTable, World) {
    let dir = tempfile::tempdir().unwrap();
    let real = dir.path().join("sandbox");
    fs::create_dir_all(real.join("sub/deep")).unwrap();
    fs::write(real.join("stdout"), "hello world\n").unwrap();
    fs::write(real.join("page.html"), "<b>").unwrap();
    fs::write(real.join("a%20b"), "percent").unwrap();
    fs::write(real.join("sub/deep/file"), "deep").unwrap();
    fs::write(dir.path().join("secret"), "secret").unwrap();
    let table = FileTable::new();
    table.attach("/frameworks/f/executors/e/runs/latest", &real).unwrap();
    table.attach("/box", &real).unwrap();
    table.attach("/box/sub/special", &dir.path().join("secret")).unwrap();
    let world = serve(routes(table.clone(), None, &Realm::open("read"))).await;
    (dir, table, world)
}

async fn get(world: &World, target: &str) -> (String, String) {
    let answer = world.ask(&format!("GET /files/{target}"), "", "").await;
    (status(&answer).to_owned(), body(&answer).to_owned())
}

async fn read(world: &World, query: &str) -> Value {
    let (status, body) = get(world, &format!("read?{query}")).await;
    assert_eq!(status, "200", "{query}: {body}");
    serde_json::from_str(&body).unwrap()
}

// covers: MES-0306
#[tokio::test]
async fn reading() {
    let (dir, _, world) = sandbox().await;
    for (query, expected) in [
        ("", json!({"data": "", "offset": 12})),
        ("&offset=-1", json!({"data": "", "offset": 12})),
        ("&offset=0", json!({"data": "hello world\n", "offset": 0})),
        ("&offset=6&length=5", json!({"data": "world", "offset": 6})),
        ("&offset=6&length=-1", json!({"data": "world\n", "offset": 6})),
        ("&offset=6&length=0", json!({"data": "", "offset": 6})),
        ("&offset=0&length=9223372036854775807", json!({"data": "hello world\n", "offset": 0})),
        ("&offset=12", json!({"data": "", "offset": 12})),
        ("&offset=100&length=1", json!({"data": "", "offset": 12})),
    ] {
        assert_eq!(read(&world, &format!("path=/box/stdout{query}")).await, expected, "{query}");
    }
    fs::write(dir.path().join("sandbox/big"), vec![b'x'; 200_000]).unwrap();
    let piece = read(&world, "path=/box/big&offset=1&length=200000").await;
    assert_eq!(piece["data"].as_str().unwrap().len(), 65_536);
    for (query, expected, text) in [
        ("", "400", "Expecting 'path=value' in query.\n"),
        ("path=", "400", "Expecting 'path=value' in query.\n"),
        ("path=/box/stdout&offset=-2", "400", "Negative offset provided: -2.\n"),
        ("path=/box/stdout&offset=0&length=-2", "400", "Negative length provided: -2.\n"),
        (
            "path=/box/stdout&offset=hello",
            "400",
            "Failed to parse offset: Failed to convert 'hello' to number.\n",
        ),
        (
            "path=/box/stdout&offset=0&length=hello",
            "400",
            "Failed to parse length: Failed to convert 'hello' to number.\n",
        ),
        ("path=/box", "400", "Cannot read a directory.\n"),
        ("path=/box/none&offset=0", "404", "404 Not Found."),
        ("path=/none/stdout&offset=0", "404", "404 Not Found."),
        ("path=/box/stdout/x&offset=0", "404", "404 Not Found."),
    ] {
        let got = get(&world, &format!("read?{query}")).await;
        assert_eq!(got, (expected.to_owned(), text.to_owned()), "{query}");
    }
    let (_, jsonp) = get(&world, "read.json?path=/box/stdout&jsonp=cb").await;
    assert_eq!(jsonp, r#"cb({"data":"","offset":12})"#);
}

// covers: MES-0307
#[tokio::test]
async fn the_longest_prefix_wins_and_nothing_outside_is_reached() {
    let (dir, _, world) = sandbox().await;
    let real = dir.path().join("sandbox");
    let secret = dir.path().join("secret");
    assert_eq!(read(&world, "path=/box/sub/special&offset=0").await["data"], "secret");
    assert_eq!(read(&world, "path=//box/sub//deep/file/&offset=0").await["data"], "deep");
    assert_eq!(read(&world, "path=/box/sub/../stdout&offset=0&length=5").await["data"], "hello");
    symlink(real.join("sub/deep"), real.join("absolute")).unwrap();
    symlink("sub/deep", real.join("relative")).unwrap();
    assert_eq!(read(&world, "path=/box/absolute/file&offset=0").await["data"], "deep");
    assert_eq!(read(&world, "path=/box/relative/file&offset=0").await["data"], "deep");
    symlink(&secret, real.join("out")).unwrap();
    symlink("..", real.join("up")).unwrap();
    symlink("/", real.join("root")).unwrap();
    // A sibling whose name begins like the sandbox is outside as well.
    fs::write(dir.path().join("sandbox2"), "sibling").unwrap();
    for path in [
        "/box/../secret",
        "/box/../sandbox2",
        "/box/sub/../../secret",
        "/box/../none",
        "/box/out",
        "/box/up/secret",
        "/box/root/etc/passwd",
    ] {
        for operation in ["read", "browse", "download"] {
            let (status, body) = get(&world, &format!("{operation}?path={path}&offset=0")).await;
            assert_eq!(status, "400", "{operation} {path}");
            assert_eq!(body, format!("'{path}' is inaccessible.\n"));
        }
    }
}

#[test]
fn a_link_put_in_place_after_resolving_is_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    fs::create_dir_all(root.join("a")).unwrap();
    fs::write(root.join("a/f"), "inside").unwrap();
    fs::create_dir(dir.path().join("b")).unwrap();
    fs::write(dir.path().join("b/f"), "outside").unwrap();
    assert!(open::open(&root, Path::new("a/f")).is_ok());
    fs::remove_dir_all(root.join("a")).unwrap();
    symlink(dir.path().join("b"), root.join("a")).unwrap();
    let error = open::open(&root, Path::new("a/f")).unwrap_err();
    assert!(open::is_link(&error) || error.kind() == std::io::ErrorKind::NotADirectory, "{error}");
    symlink(dir.path().join("b/f"), root.join("g")).unwrap();
    assert!(open::is_link(&open::open(&root, Path::new("g")).unwrap_err()));
    assert!(open::open(&root, Path::new("../b/f")).is_err());
}

#[tokio::test]
async fn a_fifo_neither_blocks_nor_is_read() {
    let (dir, _, world) = sandbox().await;
    let fifo = dir.path().join("sandbox/fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let (status, body) = get(&world, "read?path=/box/fifo&offset=0").await;
    assert_eq!((status.as_str(), body.as_str()), ("400", "Cannot read a special file.\n"));
}

// covers: MES-0309
#[tokio::test]
async fn browsing() {
    let (dir, _, world) = sandbox().await;
    let real = dir.path().join("sandbox");
    for (name, mode) in [("stdout", 0o640), ("sub", 0o755), ("a%20b", 0o644), ("page.html", 0o644)]
    {
        fs::set_permissions(real.join(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    symlink(real.join("sub"), real.join("inside")).unwrap();
    symlink("/etc", real.join("outside")).unwrap();
    symlink("nowhere", real.join("broken")).unwrap();
    let (status, text) = get(&world, "browse?path=/box/").await;
    assert_eq!(status, "200", "{text}");
    let entries: Vec<Value> = serde_json::from_str(&text).unwrap();
    let shown: Vec<_> = entries
        .iter()
        .map(|e| (e["path"].as_str().unwrap(), e["mode"].as_str().unwrap()))
        .collect();
    assert_eq!(
        shown,
        [
            ("/box/a%20b", "-rw-r--r--"),
            ("/box/inside", "drwxr-xr-x"),
            ("/box/outside", "lrwxrwxrwx"),
            ("/box/page.html", "-rw-r--r--"),
            ("/box/stdout", "-rw-r-----"),
            ("/box/sub", "drwxr-xr-x"),
        ]
    );
    let stdout = entries[4].as_object().unwrap();
    let keys: Vec<_> = stdout.keys().map(String::as_str).collect();
    assert_eq!(keys, ["gid", "mode", "mtime", "nlink", "path", "size", "uid"]);
    assert_eq!((&stdout["size"], &stdout["nlink"]), (&json!(12), &json!(1)));
    let me = nix::unistd::getuid();
    let user = nix::unistd::User::from_uid(me).unwrap();
    let me = user.map_or(me.to_string(), |user| user.name);
    assert_eq!(stdout["uid"], json!(me));
    assert!(stdout["mtime"].as_f64().unwrap() > 1.7e9);
    let virtual_path = "browse?path=/frameworks/f/executors/e/runs/latest/sub/deep";
    let (_, text) = get(&world, virtual_path).await;
    assert!(text.contains("/runs/latest/sub/deep/file"), "{text}");
    assert_eq!(get(&world, "browse?path=/box/stdout").await, ("200".into(), "[]".into()));
    assert_eq!(get(&world, "browse?path=/nothing").await.0, "404");
    let none = get(&world, "browse").await;
    assert_eq!(none, ("400".into(), "Expecting 'path=value' in query.\n".into()));
}

// covers: MES-0310
#[tokio::test]
async fn downloading() {
    let (dir, _, world) = sandbox().await;
    fs::write(dir.path().join("sandbox/big.txt"), vec![b'y'; 300_000]).unwrap();
    let ask = |target: &'static str, headers: &'static str| {
        let line = format!("GET /files/download?path={target}");
        let world = &world;
        async move { world.ask(&line, headers, "").await }
    };
    let html = ask("/box/page.html", "").await;
    assert!(html.contains("\r\ncontent-type: text/html\r\n"), "{html}");
    assert!(html.contains("\r\ncontent-disposition: attachment; filename=page.html\r\n"));
    assert!(html.contains("\r\nx-content-type-options: nosniff\r\n"));
    assert_eq!(body(&html), "<b>");
    let plain = ask("/box/stdout", "").await;
    assert!(plain.contains("\r\ncontent-type: application/octet-stream\r\n"), "{plain}");
    let big = ask("/box/big.txt", "Accept-Encoding: gzip\r\n").await;
    assert!(big.contains("\r\ncontent-length: 300000\r\n") && !big.contains("gzip"));
    assert_eq!(body(&big).len(), 300_000);
    let part = ask("/box/stdout", "Range: bytes=6-10\r\n").await;
    assert!(part.contains("\r\ncontent-range: bytes 6-10/12\r\n"), "{part}");
    assert_eq!((status(&part), body(&part)), ("206", "world"));
    let directory = ask("/box/sub", "").await;
    let refused = ("400", "Cannot download a directory.\n");
    assert_eq!((status(&directory), body(&directory)), refused);
    assert_eq!(status(&ask("/box/none", "").await), "404");
    let head = world.ask("HEAD /files/download?path=/box/stdout", "", "").await;
    assert!(head.contains("\r\ncontent-length: 12\r\n") && body(&head).is_empty(), "{head}");
}

// covers: MES-0304, MES-0305, MES-0308
#[tokio::test]
async fn only_what_is_attached_is_there() {
    let (dir, table, world) = sandbox().await;
    assert_eq!(get(&world, "read?path=/later&offset=0").await.0, "404");
    table.attach("/later", &dir.path().join("secret")).unwrap();
    assert_eq!(read(&world, "path=/later&offset=0").await["data"], "secret");
    table.detach("/later");
    assert_eq!(get(&world, "read?path=/later&offset=0").await.0, "404");
    let error = table.attach("/none", &dir.path().join("none")).unwrap_err();
    assert!(error.cause.starts_with("Failed to get realpath of '"), "{error}");
    assert_eq!(read(&world, "path=/box/a%2520b&offset=0").await["data"], "percent");
    assert_eq!(get(&world, "read?path=/box/a%20b&offset=0").await.0, "404");
}

// covers: MES-0311, MES-0312
#[tokio::test]
async fn the_realm_holds_for_all_four_and_debug_shows_the_table() {
    let dir = tempfile::tempdir().unwrap();
    let table = FileTable::new();
    table.attach("/box", dir.path()).unwrap();
    let json = r#"{"credentials":[{"principal":"ops","secret":"s"}]}"#;
    let basic = BasicAuthenticator::new(Credentials::parse(json.as_bytes()).unwrap());
    let realm = Realm::new("mesos-agent-readonly", vec![Arc::new(basic)], Counter::default());
    let world = serve(routes(table, None, &realm)).await;
    for operation in ["browse", "read", "download", "debug"] {
        assert_eq!(get(&world, &format!("{operation}?path=/box")).await.0, "401", "{operation}");
    }
    // ops:s
    let answer = world.ask("GET /files/debug", "Authorization: Basic b3BzOnM=\r\n", "").await;
    let real = dir.path().canonicalize().unwrap();
    assert_eq!(body(&answer), json!({"/box": real}).to_string());
}

#[derive(Debug)]
struct Agent;

impl FileSource for Agent {
    fn serve(&self, request: FileRequest) -> Served<'_> {
        Box::pin(async move {
            let known = request.path.starts_with("/agent/");
            let said = format!("{:?} {}", request.operation, request.path);
            known.then(|| reply::text(StatusCode::OK, said))
        })
    }
}

#[tokio::test]
async fn what_is_not_here_is_asked_of_the_other_source() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("f"), "local").unwrap();
    let table = FileTable::new();
    table.attach("/box", dir.path()).unwrap();
    let world = serve(routes(table, Some(Arc::new(Agent)), &Realm::open("read"))).await;
    assert_eq!(get(&world, "download?path=/box/f").await.1, "local");
    assert_eq!(get(&world, "download?path=/agent/f").await.1, "Download /agent/f");
    assert_eq!(get(&world, "read?path=/other").await.0, "404");
    assert_eq!(get(&world, "read?path=/box/none").await.0, "404", "what is below ours is ours");
}
