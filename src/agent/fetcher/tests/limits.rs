//! What nobody may fetch, and how long is waited for what does not come.

use super::*;
use nix::unistd::{Uid, User, chown};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::MetadataExt as _;

/// A server that takes connections and never says a word.
async fn mute() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        let mut taken = Vec::new();
        while let Ok((socket, _)) = listener.accept().await {
            taken.push(socket);
        }
    });
    format!("http://{address}/x")
}

// covers: MES-0466
#[tokio::test]
async fn the_tasks_user_fetches_only_what_he_may_read() {
    let Ok(Some(nobody)) = User::from_name("nobody") else {
        return eprintln!("SKIPPED fetching as another user: there is no user nobody");
    };
    if !Uid::effective().is_root() {
        eprintln!("SKIPPED what only root may read is not fetched for others: needs root");
        return;
    }
    let from = tempfile::tempdir().expect("dir");
    fs::set_permissions(from.path(), fs::Permissions::from_mode(0o755)).expect("changed");
    let (open, secret) = (from.path().join("open"), from.path().join("secret"));
    fs::write(&open, "1").expect("written");
    fs::write(&secret, "2").expect("written");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).expect("changed");
    // Nobody but root reaches the sandbox by its path, as in a data folder.
    let above = tempfile::tempdir().expect("dir");
    let sandbox = above.path().join("sandbox");
    fs::create_dir(&sandbox).expect("made");
    chown(&sandbox, Some(nobody.uid), Some(nobody.gid)).expect("given");
    let as_nobody = |path: String| {
        let mut launch = launch(&sandbox, vec![uri(path)]);
        launch.user = Some("nobody".into());
        launch
    };
    let path = open.to_string_lossy().into_owned();
    fetcher().fetch(&as_nobody(path)).await.expect("fetched");
    let owner = fs::metadata(sandbox.join("open")).expect("there").uid();
    assert_eq!(owner, nobody.uid.as_raw());
    let path = secret.to_string_lossy().into_owned();
    let why = fetcher().fetch(&as_nobody(path)).await.expect_err("root's own");
    assert!(why.contains("ermission denied"), "{why}");
    // A readable file in a folder that is not: not through the agent's own handle on it either.
    fs::write(above.path().join("hidden"), "3").expect("written");
    let handle = fs::File::open(above.path().join("hidden")).expect("opened");
    let through = format!("/proc/self/fd/{}", handle.as_raw_fd());
    fetcher().fetch(&as_nobody(through)).await.expect_err("a way round");
    // This thread has kept its own rights.
    assert_eq!(fs::read(&secret).expect("read"), b"2");
}

// covers: MES-0469, MES-0470
#[tokio::test]
async fn an_unknown_user_and_a_missing_file_are_told() {
    let to = tempfile::tempdir().expect("dir");
    let why = fetcher().fetch(&launch(to.path(), vec![uri("/no/such/file")])).await;
    let why = why.expect_err("missing");
    assert!(why.contains("container 'c1': /no/such/file: cannot open"), "{why}");
    let mut launch = launch(to.path(), vec![uri("/etc/hostname")]);
    launch.user = Some("nobody-by-this-name".into());
    let why = fetcher().fetch(&launch).await.expect_err("unknown");
    assert!(why.contains("nobody-by-this-name"), "{why}");
}

#[tokio::test]
async fn a_pipe_is_not_waited_for() {
    let (from, to) = (tempfile::tempdir().expect("dir"), tempfile::tempdir().expect("dir"));
    let pipe = from.path().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).expect("made");
    let failed = fetcher().fetch(&launch(to.path(), vec![uri(pipe.to_string_lossy())])).await;
    assert!(failed.expect_err("a pipe").contains("is not a file"));
}

#[tokio::test]
async fn a_download_that_stalls_fails_and_so_does_one_that_takes_too_long() {
    let to = tempfile::tempdir().expect("dir");
    let launch = launch(to.path(), vec![uri(mute().await)]);
    let (soon, late) = (Duration::from_millis(100), Duration::from_secs(60));
    for (stall_timeout, total_timeout, text) in
        [(soon, late, "nothing came for 100ms"), (late, soon, "not done within 100ms")]
    {
        let options = FetchOptions { stall_timeout, total_timeout, ..fetcher().options };
        let why = Fetcher::new(options).fetch(&launch).await.expect_err("too slow");
        assert!(why.contains(text), "{why}");
    }
}

#[tokio::test]
async fn a_fetch_that_nobody_waits_for_ends() {
    let to = tempfile::tempdir().expect("dir");
    let launch = launch(to.path(), vec![uri(mute().await)]);
    let fetcher = Fetcher::new(FetchOptions {
        stall_timeout: Duration::from_secs(600),
        total_timeout: Duration::from_secs(600),
        ..fetcher().options
    });
    {
        let mut fetch = std::pin::pin!(fetcher.fetch(&launch));
        let started = async {
            while fetcher.turns.available_permits() == FETCHES_MAX {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            _ = &mut fetch => panic!("the server says nothing"),
            () = started => {}
        }
    }
    let all = u32::try_from(FETCHES_MAX).expect("small");
    let ended = fetcher.turns.acquire_many(all);
    let ended = tokio::time::timeout(Duration::from_secs(30), ended).await;
    assert!(ended.is_ok_and(|turns| turns.is_ok()), "its thread goes on");
}
