//! What is kept of downloads.

use super::*;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A server of texts that counts how often each is got. `/unknown` does not tell its size.
struct Served {
    address: std::net::SocketAddr,
    gets: Arc<AtomicUsize>,
}

async fn serve(text: &'static str) -> Served {
    use axum::http::Method;
    let gets = Arc::new(AtomicUsize::new(0));
    let count = gets.clone();
    let known = move |method: Method| async move {
        if method == Method::GET {
            count.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
        }
        text
    };
    let count = gets.clone();
    let unknown = move |method: Method| async move {
        if method == Method::GET {
            count.fetch_add(1, Ordering::Relaxed);
        }
        let pieces = futures_util::stream::iter([Ok::<_, std::io::Error>(text)]);
        axum::body::Body::from_stream(pieces)
    };
    let routes = axum::Router::new()
        .route("/unknown", axum::routing::get(unknown))
        .fallback(axum::routing::get(known));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move { axum::serve(listener, routes).await });
    Served { address, gets }
}

impl Served {
    fn uri(&self, path: &str) -> v1::command_info::Uri {
        let mut uri = uri(format!("http://{}/{path}", self.address));
        uri.cache = Some(true);
        uri
    }

    fn gets(&self) -> usize {
        self.gets.load(Ordering::Relaxed)
    }
}

fn with(capacity: u64) -> Fetcher {
    let mut options = fetcher().options.clone();
    options.cache = Arc::new(cache(capacity));
    Fetcher::new(options)
}

/// Fetches into a new sandbox.
async fn fetch(fetcher: &Fetcher, uris: Vec<v1::command_info::Uri>) -> tempfile::TempDir {
    let to = tempfile::tempdir().expect("dir");
    fetcher.fetch(&launch(to.path(), uris)).await.expect("fetched");
    to
}

// covers: MES-0485, MES-0486, MES-0488, MES-0491, MES-0493
#[tokio::test]
async fn what_is_to_be_kept_is_downloaded_once() {
    let (served, fetcher) = (serve("hello").await, with(1000));
    let mut other = served.uri("a.txt");
    other.output_file = Some("other/name".into());
    other.executable = Some(true);
    let to = fetch(&fetcher, vec![served.uri("a.txt"), other]).await;
    assert_eq!(fs::read(to.path().join("a.txt")).expect("there"), b"hello");
    assert_eq!(fs::read(to.path().join("other/name")).expect("there"), b"hello");
    let mode = fs::metadata(to.path().join("other/name")).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o755);
    fetch(&fetcher, vec![served.uri("a.txt")]).await;
    assert_eq!((served.gets(), fetcher.counts().cache().used()), (1, 5));
    // What is not to be kept is not taken from there either.
    let mut direct = served.uri("a.txt");
    direct.cache = None;
    fetch(&fetcher, vec![direct.clone(), direct]).await;
    assert_eq!(served.gets(), 3);
}

// covers: MES-0492
#[tokio::test(flavor = "multi_thread")]
async fn those_who_want_it_at_the_same_time_share_one_download() {
    let (served, fetcher) = (serve("hello").await, with(1000));
    let all: Vec<_> = (0..8)
        .map(|_| {
            let (fetcher, uri) = (fetcher.clone(), served.uri("a"));
            tokio::spawn(async move { fetch(&fetcher, vec![uri]).await })
        })
        .collect();
    for one in all {
        let to = one.await.expect("no panics");
        assert_eq!(fs::read(to.path().join("a")).expect("there"), b"hello");
    }
    assert_eq!(served.gets(), 1);
}

// covers: MES-0487
#[tokio::test]
async fn a_copy_that_somebody_removed_is_made_again() {
    let (served, fetcher) = (serve("hello").await, with(1000));
    fetch(&fetcher, vec![served.uri("a")]).await;
    for entry in fs::read_dir(fetcher.counts().cache().dir()).expect("read") {
        fs::remove_file(entry.expect("an entry").path()).expect("removed");
    }
    fetch(&fetcher, vec![served.uri("a")]).await;
    assert_eq!((served.gets(), fetcher.counts().cache().used()), (2, 5));
}

// covers: MES-0489, MES-0495
#[tokio::test]
async fn what_the_cache_cannot_take_is_fetched_without_it() {
    let (served, fetcher) = (serve("hello").await, with(4));
    for path in ["unknown", "large"] {
        let to = fetch(&fetcher, vec![served.uri(path)]).await;
        assert_eq!(fs::read(to.path().join(path)).expect("there"), b"hello");
        let log = fs::read_to_string(to.path().join("stderr")).expect("a log");
        assert!(log.contains("without the cache: "), "{log}");
    }
    assert_eq!((served.gets(), fetcher.counts().cache().used()), (2, 0));
}

// covers: MES-0494, MES-0496
#[tokio::test]
async fn the_least_recently_used_makes_room() {
    let (served, fetcher) = (serve("hello").await, with(14));
    for path in ["a", "b", "a", "c"] {
        fetch(&fetcher, vec![served.uri(path)]).await;
    }
    assert_eq!((served.gets(), fetcher.counts().cache().used()), (3, 10));
    fetch(&fetcher, vec![served.uri("a")]).await;
    assert_eq!(served.gets(), 3, "it was used later than b");
    fetch(&fetcher, vec![served.uri("b")]).await;
    assert_eq!(served.gets(), 4);
    let kept = fs::read_dir(fetcher.counts().cache().dir()).expect("read").count();
    assert_eq!(kept, 2, "and the files of what went are gone");
}

// covers: MES-0490
#[tokio::test]
async fn a_kept_archive_is_unpacked_and_not_left_in_the_sandbox() {
    let (from, fetcher) = (tempfile::tempdir().expect("dir"), with(1 << 20));
    let path = from.path().join("all.tar");
    fs::write(&path, tar_of(&[("x", b"1", 0o644)])).expect("written");
    let mut archive = uri(path.to_string_lossy());
    archive.cache = Some(true);
    for _ in 0..2 {
        let to = fetch(&fetcher, vec![archive.clone()]).await;
        assert_eq!(fs::read(to.path().join("x")).expect("there"), b"1");
        assert!(!to.path().join("all.tar").exists());
    }
}

#[tokio::test]
async fn a_failed_download_leaves_nothing_and_is_tried_again() {
    let (from, fetcher) = (tempfile::tempdir().expect("dir"), with(1000));
    let to = tempfile::tempdir().expect("dir");
    let mut missing = uri(from.path().join("later").to_string_lossy());
    missing.cache = Some(true);
    let why = fetcher.fetch(&launch(to.path(), vec![missing.clone()])).await.expect_err("none");
    assert!(why.contains("cannot open"), "{why}");
    fs::write(from.path().join("later"), "there").expect("written");
    fetch(&fetcher, vec![missing]).await;
    assert_eq!(fetcher.counts().cache().used(), 5);
}

#[tokio::test]
async fn a_user_gets_no_copy_of_what_another_may_read() {
    let Ok(Some(nobody)) = nix::unistd::User::from_name("nobody") else {
        return eprintln!("SKIPPED fetching as another user: there is no user nobody");
    };
    if !nix::unistd::Uid::effective().is_root() {
        return eprintln!("SKIPPED fetching as another user: needs root");
    }
    let (from, fetcher) = (tempfile::tempdir().expect("dir"), with(1000));
    fs::set_permissions(from.path(), fs::Permissions::from_mode(0o755)).expect("changed");
    let [secret, open] = ["secret", "open"].map(|name| from.path().join(name));
    fs::write(&secret, "2").expect("written");
    fs::write(&open, "1").expect("written");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).expect("changed");
    let kept = |path: &Path| {
        let mut uri = uri(path.to_string_lossy());
        uri.cache = Some(true);
        uri
    };
    fetch(&fetcher, vec![kept(&secret)]).await;
    let as_nobody = |to: &tempfile::TempDir, path: &Path| {
        nix::unistd::chown(to.path(), Some(nobody.uid), Some(nobody.gid)).expect("given");
        let mut launch = launch(to.path(), vec![kept(path)]);
        launch.user = Some("nobody".into());
        launch
    };
    let to = tempfile::tempdir().expect("dir");
    let why = fetcher.fetch(&as_nobody(&to, &secret)).await.expect_err("root's own");
    assert!(why.contains("ermission denied"), "{why}");
    // His own copies are kept too, where he cannot change them.
    for _ in 0..2 {
        fetcher.fetch(&as_nobody(&to, &open)).await.expect("fetched");
    }
    assert_eq!(fetcher.counts().cache().used(), 2);
    for entry in fs::read_dir(fetcher.counts().cache().dir()).expect("read") {
        use std::os::unix::fs::MetadataExt as _;
        assert_eq!(entry.expect("an entry").metadata().expect("there").uid(), 0);
    }
}
