//! Containers of a real docker engine, made by the containerizer alone.

use crate::engine::{Engine, engine};
use crate::world::{DEADLINE, until};
use mesolith::agent::containerizer::docker::{Docker, DockerSpec, Settings};
use mesolith::agent::containerizer::{
    Containerizer, Event, ExecRequest, ExitRecord, Limits, Rotation, Scope, State,
};
use mesolith::agent::core::docker::{Run, Volume, VolumeFrom, name};
use mesolith::base::ids::ContainerId;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, watch};

static WORLDS: AtomicU32 = AtomicU32::new(0);

/// A containerizer of its own, whose containers are gone at its end.
struct World {
    engine: &'static Engine,
    settings: Settings,
    docker: Docker,
    events: mpsc::Receiver<Event>,
    dir: tempfile::TempDir,
    next: u32,
}

fn words(text: &[&str]) -> Option<Vec<String>> {
    Some(text.iter().map(|w| w.to_string()).collect())
}

fn shell(text: &str) -> Run {
    Run {
        image: "centos".into(),
        entrypoint: words(&["/bin/sh"]),
        arguments: words(&["-c", text]),
        network: "host".into(),
        ..Run::default()
    }
}

fn node() -> String {
    format!("test-{}-{}", std::process::id(), WORLDS.fetch_add(1, Ordering::Relaxed))
}

impl World {
    fn new(engine: &'static Engine) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let settings = Settings {
            socket: engine.socket.clone(),
            pull_timeout: DEADLINE,
            credentials: None,
            node: node(),
            run_dir: dir.path().to_path_buf(),
            rotation: Rotation { max_bytes: 100_000, files: 2 },
        };
        let docker = Docker::new(settings.clone());
        let events = docker.events().unwrap();
        Self { engine, settings, docker, events, dir, next: 0 }
    }

    /// The agent goes away and another comes.
    fn again(&mut self) {
        self.docker.close();
        self.docker = Docker::new(self.settings.clone());
        self.events = self.docker.events().unwrap();
    }

    fn spec(&mut self, mut run: Run) -> DockerSpec {
        self.next += 1;
        let id = format!("{}-{}", self.settings.node, self.next);
        let sandbox = self.dir.path().join(format!("a:b-{id}"));
        std::fs::create_dir_all(&sandbox).unwrap();
        let own = Volume {
            from: VolumeFrom::Host(sandbox.clone()),
            target: "/mnt/mesos/sandbox".into(),
            read_only: false,
        };
        run.volumes.insert(0, own);
        DockerSpec {
            id: id.as_str().into(),
            run: Arc::new(run),
            sandbox,
            env: vec![("GIVEN".into(), "a b".into())],
            limits: Limits { cpus: 0.1, mem_bytes: Some(64 << 20), ..Limits::default() },
            rotation: self.settings.rotation,
        }
    }

    async fn start(&mut self, run: Run) -> DockerSpec {
        let spec = self.spec(run);
        self.docker.make(spec.clone()).await.unwrap();
        self.docker.start(&spec.id).await.unwrap();
        spec
    }

    async fn end(&mut self, id: &ContainerId) -> ExitRecord {
        loop {
            let event = tokio::time::timeout(DEADLINE, self.events.recv()).await.expect("an event");
            match event.expect("the watch goes on") {
                Event::Exited { id: other, record } if other == *id => return record,
                Event::Exited { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// Runs it to its end: how it ended, and what it wrote.
    async fn whole(&mut self, run: Run) -> (ExitRecord, String, String) {
        let spec = self.start(run).await;
        let record = self.end(&spec.id).await;
        self.docker.destroy(&spec.id).await.unwrap();
        assert!(!self.engine.has(&name(&spec.id)));
        let read = |name: &str| std::fs::read_to_string(spec.sandbox.join(name)).unwrap();
        (record, read("stdout"), read("stderr"))
    }

    async fn over(self) {
        for id in self.docker.all() {
            self.docker.destroy(&id).await.unwrap();
        }
        self.docker.close();
    }
}

async fn written(path: &Path, what: &str) {
    until(what, || std::fs::read_to_string(path).is_ok_and(|text| text.contains(what))).await;
}

// covers: MES-0932, MES-0933, MES-0934, MES-0935, MES-0939
#[tokio::test(flavor = "multi_thread")]
async fn commands_output_and_exit_codes() {
    let Some(engine) = engine("commands_output_and_exit_codes") else { return };
    let mut w = World::new(engine);
    for code in [0, 1, 7, 255] {
        let text = format!("echo out $GIVEN; echo err >&2; exit {code}");
        let (record, out, err) = w.whole(shell(&text)).await;
        assert_eq!((record.code(), record.oom), (Some(code), None));
        assert_eq!((out.as_str(), err.as_str()), ("out a b\n", "err\n"));
    }
    let image = |image: &str, arguments: Option<Vec<String>>| Run {
        image: image.into(),
        arguments,
        network: "none".into(),
        ..Run::default()
    };
    let (_, out, _) = w.whole(image("mesolith/test-cmd", None)).await;
    assert_eq!(out, "from the image\n");
    let (_, out, _) = w.whole(image("mesolith/test-cmd", words(&["echo", "given"]))).await;
    assert_eq!(out, "given\n");
    let (_, out, _) = w.whole(image("mesolith/test-entry", None)).await;
    assert_eq!(out, "entry default\n");
    let (_, out, _) = w.whole(image("mesolith/test-entry", words(&["a", "b c"]))).await;
    assert_eq!(out, "entry a b c\n");
    w.over().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_has_one_stream() {
    let Some(engine) = engine("a_terminal_has_one_stream") else { return };
    let mut w = World::new(engine);
    let text = "test -t 1 && echo terminal; printf '\\001\\002 bytes\\n'; echo err >&2";
    let (record, out, err) = w.whole(Run { tty: true, ..shell(text) }).await;
    assert_eq!(record.code(), Some(0));
    assert_eq!(out, "terminal\r\n\u{1}\u{2} bytes\r\nerr\r\n");
    assert_eq!(err, "");
    w.over().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_output_is_rotated() {
    let Some(engine) = engine("a_flood_of_output_is_rotated") else { return };
    let mut w = World::new(engine);
    let spec = w.start(shell("seq 1 200000")).await;
    w.end(&spec.id).await;
    let size = |name: &str| spec.sandbox.join(name).metadata().map_or(0, |m| m.len());
    assert!(size("stdout") < 400_000, "{}", size("stdout"));
    let sizes = ["stdout.1", "stdout.2", "stdout.3"].map(size);
    assert!(sizes[0] > 0 && sizes[1] > 0 && sizes[2] == 0, "{sizes:?}");
    let last = std::fs::read_to_string(spec.sandbox.join("stdout")).unwrap();
    assert!(last.ends_with("200000\n"), "to the last line");
    w.over().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn too_much_memory_is_told_as_such() {
    let Some(engine) = engine("too_much_memory_is_told_as_such") else { return };
    let mut w = World::new(engine);
    let (record, _, _) = w.whole(shell("exec tail /dev/zero")).await;
    assert_eq!(record.code(), Some(137));
    assert_eq!(record.oom.expect("out of memory").limit_bytes, 64 << 20);
    w.over().await;
}

// covers: MES-0928
#[tokio::test(flavor = "multi_thread")]
async fn use_and_limits_of_a_running_container() {
    let Some(engine) = engine("use_and_limits_of_a_running_container") else { return };
    let mut w = World::new(engine);
    let spec = w.start(shell("sleep 1000 & echo ready; wait")).await;
    written(&spec.sandbox.join("stdout"), "ready").await;
    let usage = w.docker.usage(&spec.id).await.unwrap();
    assert_eq!(usage.mem_limit_bytes, Some(64 << 20));
    assert!(usage.mem_total_bytes > 0);
    assert_eq!((usage.processes, usage.threads), (2, 2));
    let limits = Limits { cpus: 2.0, mem_bytes: Some(128 << 20), ..Limits::default() };
    w.docker.resize(&spec.id, limits.clone()).await.unwrap();
    let seen = |engine: &Engine| {
        let asked = "{{.HostConfig.CpuShares}} {{.HostConfig.Memory}}";
        engine.docker(&["inspect", "-f", asked, &name(&spec.id)])
    };
    assert_eq!(seen(engine), format!("2048 {}", 128 << 20));
    let lower = Limits { mem_bytes: Some(64 << 20), ..limits };
    w.docker.resize(&spec.id, lower).await.unwrap();
    assert_eq!(seen(engine), format!("2048 {}", 128 << 20), "never lowered");
    w.over().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_run_in_the_container_and_end_at_their_limit() {
    let Some(engine) = engine("commands_run_in_the_container_and_end_at_their_limit") else {
        return;
    };
    let mut w = World::new(engine);
    let spec = w.start(shell("echo ready; sleep 1000")).await;
    let run = |text: &str, timeout: Duration| ExecRequest {
        argv: words(&["/bin/sh", "-c", text]).unwrap(),
        env: vec![("OWN".into(), "1".into())],
        cwd: None,
        timeout,
    };
    let done = w.docker.exec(&spec.id, run("echo $GIVEN $OWN; exit 3", DEADLINE)).await.unwrap();
    assert_eq!((done.status, done.output.as_str()), (Some(3 << 8), "a b 1\n"));
    let marker = format!("97{}", std::process::id());
    let late = run(&format!("sleep {marker} & wait"), Duration::from_millis(300));
    let done = w.docker.exec(&spec.id, late).await.unwrap();
    assert_eq!(done.status, None);
    let running = || {
        let seen = engine.docker(&["top", &name(&spec.id), "-eo", "pid,args"]);
        !seen.contains(&marker)
    };
    until("the command's processes are gone", running).await;
    w.over().await;
}

// covers: MES-0947
#[tokio::test(flavor = "multi_thread")]
async fn another_user_can_write_its_sandbox() {
    let Some(engine) = engine("another_user_can_write_its_sandbox") else { return };
    let mut w = World::new(engine);
    let mut run = shell("id -u; echo x > /mnt/mesos/sandbox/file && cat /mnt/mesos/sandbox/file");
    run.settings.config.insert("User".into(), "nobody".into());
    run.volumes = vec![Volume {
        from: VolumeFrom::Host(w.dir.path().join("made")),
        target: "/made".into(),
        read_only: true,
    }];
    let spec = w.spec(run);
    std::os::unix::fs::chown(&spec.sandbox, Some(65534), Some(65534)).unwrap();
    w.docker.make(spec.clone()).await.unwrap();
    w.docker.start(&spec.id).await.unwrap();
    let record = w.end(&spec.id).await;
    let out = std::fs::read_to_string(spec.sandbox.join("stdout")).unwrap();
    assert_eq!((record.code(), out.as_str()), (Some(0), "65534\nx\n"));
    assert!(w.dir.path().join("made").is_dir(), "as docker run makes it");
    w.over().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_images_own_signal_ends_it_politely() {
    let Some(engine) = engine("the_images_own_signal_ends_it_politely") else { return };
    let mut w = World::new(engine);
    let text = "trap 'echo quit; exit 9' QUIT; echo ready; while :; do sleep 0.1; done";
    let mut run = shell(text);
    run.settings.config.insert("StopSignal".into(), "SIGQUIT".into());
    let spec = w.start(run).await;
    written(&spec.sandbox.join("stdout"), "ready").await;
    w.docker.signal(&spec.id, libc::SIGTERM, Scope::Tree).await.unwrap();
    assert_eq!(w.end(&spec.id).await.code(), Some(9));
    let out = std::fs::read_to_string(spec.sandbox.join("stdout")).unwrap();
    assert!(out.ends_with("quit\n"), "the last output is there when the end is told: {out}");
    w.over().await;
}

// covers: MES-0929, MES-0931, MES-0930
#[tokio::test(flavor = "multi_thread")]
async fn its_own_containers_are_found_again_and_others_left_alone() {
    let test = "its_own_containers_are_found_again_and_others_left_alone";
    let Some(engine) = engine(test) else { return };
    let (mut w, mut other) = (World::new(engine), World::new(engine));
    let running = w.start(shell("n=0; while :; do echo $n; n=$((n+1)); sleep 0.05; done")).await;
    let ending = w.start(shell("read x < /mnt/mesos/sandbox/go; echo last; exit 4")).await;
    std::process::Command::new("mkfifo").arg(ending.sandbox.join("go")).status().unwrap();
    let created = w.spec(shell("true"));
    w.docker.make(created.clone()).await.unwrap();
    let foreign = other.start(shell("sleep 1000")).await;
    let plain = format!("mesos-plain-{}", w.settings.node);
    engine.docker(&["run", "-d", "--name", &plain, "centos", "sleep", "1000"]);
    written(&running.sandbox.join("stdout"), "5\n").await;
    w.docker.close();
    // It ends while nobody looks. (It may have begun before there was a pipe, and ended.)
    let pipe = ending.sandbox.join("go");
    let opened = std::fs::OpenOptions::new().write(true).read(true).open(pipe).unwrap();
    std::io::Write::write_all(&mut &opened, b"x\n").unwrap();
    until("it has ended", || {
        engine.docker(&["inspect", "-f", "{{.State.Status}}", &name(&ending.id)]) == "exited"
    })
    .await;
    w.again();
    let mut found = w.docker.recover().await.unwrap();
    found.sort_by(|a, b| a.id.cmp(&b.id));
    let ids: Vec<_> = found.iter().map(|f| f.id.clone()).collect();
    assert_eq!(ids, [running.id.clone(), ending.id.clone(), created.id.clone()]);
    assert!(matches!(found[0].state, State::Running { pid } if pid > 0));
    assert!(matches!(found[1].state, State::Exited(_)), "{:?}", found[1].state);
    assert_eq!(found[2].state, State::Created);
    assert!(w.docker.inspected(&running.id).is_some());
    let lines = || std::fs::read_to_string(running.sandbox.join("stdout")).unwrap();
    let before = lines().lines().count();
    until("its output goes on", || lines().lines().count() > before + 10).await;
    let text = lines();
    let whole = &text[..text.rfind('\n').unwrap()];
    assert!(whole.lines().enumerate().all(|(n, line)| line == n.to_string()), "{whole}");
    // Its end is told to the new one.
    w.docker.signal(&running.id, libc::SIGKILL, Scope::Tree).await.unwrap();
    assert_eq!(w.end(&running.id).await.code(), Some(137));
    w.over().await;
    assert!(engine.has(&name(&foreign.id)) && engine.has(&plain), "others are left alone");
    engine.docker(&["rm", "-f", &plain]);
    other.over().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_made_says_why_and_leaves_nothing() {
    let Some(engine) = engine("what_cannot_be_made_says_why_and_leaves_nothing") else { return };
    let mut w = World::new(engine);
    let spec = w.spec(Run { image: "mesolith/never".into(), ..shell("true") });
    let e = w.docker.make(spec.clone()).await.unwrap_err();
    assert!(e.cause.contains("HTTP 404") && e.cause.contains("mesolith/never"), "{e}");
    w.docker.destroy(&spec.id).await.unwrap();
    let spec =
        w.spec(Run { arguments: words(&["no-such-program"]), entrypoint: None, ..shell("") });
    w.docker.make(spec.clone()).await.unwrap();
    let e = w.docker.start(&spec.id).await.unwrap_err();
    assert!(e.cause.contains("no-such-program"), "{e}");
    w.docker.destroy(&spec.id).await.unwrap();
    w.docker.destroy(&spec.id).await.unwrap();
    assert!(!engine.has(&name(&spec.id)));
    let (told, _heard) = watch::channel(String::new());
    let run = Run { image: "127.0.0.1:1/a/b:c".into(), ..Run::default() };
    let e = w.docker.pull(&run, w.dir.path(), &told).await.unwrap_err();
    let text = "cannot pull image '127.0.0.1:1/a/b:c' from 127.0.0.1:1: the docker engine answers";
    assert!(e.cause.starts_with(text), "{e}");
    assert_eq!(*told.borrow(), "Pulling image '127.0.0.1:1/a/b:c' from 127.0.0.1:1");
    w.over().await;
}
