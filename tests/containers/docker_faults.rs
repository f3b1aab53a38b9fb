//! Engines that are slow, silent or gone: scripted ones, and what becomes of who asks them.

use mesolith::agent::containerizer::docker::{Docker, DockerSpec, Settings};
use mesolith::agent::containerizer::{Containerizer, Limits, Rotation};
use mesolith::agent::core::docker::Run;
use mesolith::base::error::Code;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Notify, watch};

/// What the scripted engine does with a pull.
#[derive(Clone, Copy, PartialEq)]
enum Pulling {
    /// Downloads until it is told to go on, then is done.
    Waits,
    /// Fails in the midst.
    Fails,
}

/// An engine that has no images and pulls as it is told.
struct Fake {
    pulls: AtomicUsize,
    /// Pulls whose asker has hung up.
    given_up: AtomicUsize,
    go_on: Notify,
    pulling: Mutex<Pulling>,
    asked: Mutex<Vec<String>>,
}

fn fake(socket: &Path) -> Arc<Fake> {
    let fake = Arc::new(Fake {
        pulls: AtomicUsize::new(0),
        given_up: AtomicUsize::new(0),
        go_on: Notify::new(),
        pulling: Mutex::new(Pulling::Waits),
        asked: Mutex::default(),
    });
    let (listener, serving) = (UnixListener::bind(socket).unwrap(), Arc::clone(&fake));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(Arc::clone(&serving).serve(stream));
        }
    });
    fake
}

impl Fake {
    async fn serve(self: Arc<Self>, mut stream: UnixStream) {
        loop {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                match stream.read_u8().await {
                    Ok(byte) => head.push(byte),
                    Err(_) => return,
                }
            }
            let head = String::from_utf8(head).unwrap();
            let line = head.lines().next().unwrap().to_string();
            self.asked.lock().unwrap().push(line.clone());
            let answer = |status: &str, body: &str| {
                format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
            };
            let answer = match line.as_str() {
                l if l.contains("/images/create") => return self.pull(stream).await,
                l if l.contains("/version") => answer("200 OK", r#"{"ApiVersion":"1.41"}"#),
                _ => answer("404 Not Found", r#"{"message":"no such thing"}"#),
            };
            if stream.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
    }

    async fn pull(&self, mut stream: UnixStream) {
        self.pulls.fetch_add(1, Ordering::Relaxed);
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        let chunk = |text: &str| format!("{:x}\r\n{text}\r\n", text.len());
        let step = chunk(
            "{\"status\":\"Downloading\",\"id\":\"l1\",\
             \"progressDetail\":{\"current\":1048576,\"total\":4194304}}\r\n",
        );
        stream.write_all(format!("{head}{step}").as_bytes()).await.unwrap();
        if *self.pulling.lock().unwrap() == Pulling::Fails {
            let text = "received unexpected HTTP status: 503 Service Unavailable";
            let fault =
                format!("{{\"errorDetail\":{{\"message\":\"{text}\"}},\"error\":\"{text}\"}}\r\n");
            stream.write_all(format!("{}0\r\n\r\n", chunk(&fault)).as_bytes()).await.unwrap();
            return;
        }
        let mut byte = [0];
        tokio::select! {
            () = self.go_on.notified() => {
                stream.write_all(b"0\r\n\r\n").await.unwrap();
            }
            // Nothing more is sent by who asked but its end.
            _ = stream.read(&mut byte) => {
                self.given_up.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

fn docker(dir: &Path) -> Docker {
    Docker::new(Settings {
        socket: dir.join("socket"),
        pull_timeout: Duration::from_secs(3600),
        credentials: None,
        node: "n".into(),
        run_dir: dir.to_path_buf(),
        rotation: Rotation { max_bytes: 1 << 20, files: 1 },
    })
}

fn run(image: &str) -> Run {
    Run { image: image.into(), ..Run::default() }
}

async fn until(what: &str, done: impl Fn() -> bool) {
    crate::world::until(what, done).await;
}

// covers: MES-0941
#[tokio::test(flavor = "multi_thread")]
async fn one_pull_serves_all_who_want_the_image_and_ends_with_the_last() {
    let dir = tempfile::tempdir().unwrap();
    let engine = fake(&dir.path().join("socket"));
    let docker = docker(dir.path());
    let pulling = |name: &'static str| {
        let (docker, home) = (docker.clone(), dir.path().to_path_buf());
        tokio::spawn(async move {
            let (told, _heard) = watch::channel(String::new());
            docker.pull(&run(name), &home, &told).await
        })
    };
    let asked = |n: usize| {
        let lines = engine.asked.lock().unwrap();
        lines.iter().filter(|l| l.contains("/images/a:latest/json")).count() == n
    };
    let (one, two) = (pulling("a"), pulling("a"));
    until("both have asked", || asked(2) && engine.pulls.load(Ordering::Relaxed) == 1).await;
    one.abort();
    assert!(one.await.unwrap_err().is_cancelled());
    engine.go_on.notify_one();
    two.await.unwrap().expect("the other goes on");
    assert_eq!(
        (engine.pulls.load(Ordering::Relaxed), engine.given_up.load(Ordering::Relaxed)),
        (1, 0)
    );
    // The last that wants it hangs up.
    let three = pulling("b:1");
    until("another pull", || engine.pulls.load(Ordering::Relaxed) == 2).await;
    three.abort();
    until("it is given up", || engine.given_up.load(Ordering::Relaxed) == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_that_fails_in_the_midst_names_image_registry_and_status() {
    let dir = tempfile::tempdir().unwrap();
    let engine = fake(&dir.path().join("socket"));
    *engine.pulling.lock().unwrap() = Pulling::Fails;
    let docker = docker(dir.path());
    let (told, _heard) = watch::channel(String::new());
    let e = docker.pull(&run("q.io/a"), dir.path(), &told).await.unwrap_err();
    assert_eq!(
        e.cause,
        "cannot pull image 'q.io/a' from q.io: the docker engine says: received unexpected HTTP \
         status: 503 Service Unavailable"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_engine_is_told_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let docker = docker(dir.path());
    assert!(!docker.is_there());
    let (told, _heard) = watch::channel(String::new());
    let e = docker.pull(&run("a"), dir.path(), &told).await.unwrap_err();
    assert_eq!(e.code, Code::Unavailable);
    let socket = dir.path().join("socket");
    let text = format!("the docker engine at {} cannot be reached: ", socket.display());
    assert!(e.cause.starts_with(&text), "{e}");
    // It comes later.
    fake(&socket);
    docker.hello().await.expect("found without a restart");
}

// covers: MES-0951
#[tokio::test(flavor = "multi_thread")]
async fn a_silent_engine_holds_nobody_up_for_long() {
    let dir = tempfile::tempdir().unwrap();
    let _silent = UnixListener::bind(dir.path().join("socket")).unwrap();
    let docker = docker(dir.path());
    let spec = DockerSpec {
        id: "c1".into(),
        run: Arc::new(run("a")),
        sandbox: dir.path().to_path_buf(),
        env: Vec::new(),
        limits: Limits::default(),
        rotation: Rotation { max_bytes: 1 << 20, files: 1 },
    };
    let e = docker.make(spec).await.unwrap_err();
    assert_eq!(e.code, Code::Timeout);
    assert!(e.cause.ends_with("does not answer within 5 s"), "{e}");
    let e = docker.destroy(&"c1".into()).await.unwrap_err();
    assert_eq!(e.code, Code::Timeout, "nobody knows what became of it");
    docker.close();
}
