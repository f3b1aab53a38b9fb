//! A run directory, a supervisor, sandboxes; and that nothing of it is left on the machine afterwards.

use mesolith::agent::containerizer::client::{Options, Supervised};
use mesolith::agent::containerizer::linux::Linux;
use mesolith::agent::containerizer::{
    Backend, CapabilitySets, Command, ContainerSpec, Containerizer, Event, ExitRecord, Limits,
    Network,
};
use mesolith::base::ids::ContainerId;
use std::collections::BTreeMap;
use std::future::Future;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Longer than anything here takes on a busy machine.
pub const DEADLINE: Duration = Duration::from_secs(60);

static WORLDS: AtomicU32 = AtomicU32::new(0);

pub struct World {
    pub options: Options,
    pub agent: Supervised,
    events: mpsc::Receiver<Event>,
    ended: BTreeMap<ContainerId, ExitRecord>,
    pub lost: u32,
    pub dir: tempfile::TempDir,
    next: u32,
}

/// Whether containers can be isolated here; else says which test is skipped.
pub fn isolates(test: &str) -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        eprintln!("SKIPPED {test}: needs root");
    }
    root
}

/// Runs a test in a world of its own, and looks for leaks afterwards.
pub fn run<F, T>(test: F)
where
    F: FnOnce(World) -> T,
    T: Future<Output = World>,
{
    let before = mounts();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().worker_threads(2).build();
    runtime.unwrap().block_on(async {
        let world = tokio::time::timeout(DEADLINE * 2, test(World::new())).await.unwrap();
        let root = world.options.cgroup_root.clone();
        world.agent.down(true).await.unwrap();
        until("the cgroup parent is removed", || cgroups(&root).is_empty()).await;
        assert_eq!(world.containers_on_disk(), Vec::<String>::new().len() + world.ended_on_disk());
    });
    // Other tests' worlds mount nothing on the host either.
    assert_eq!(before, mounts());
}

pub async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let since = Instant::now();
    while !done() {
        assert!(since.elapsed() < DEADLINE, "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The host's mounts, without their numbers, and without those of docker engines and of named network namespaces: others'
/// come and go meanwhile.
pub fn mounts() -> Vec<String> {
    let text = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let others = ["docker", "/netns"];
    let ours = text.lines().filter(|l| !others.iter().any(|other| l.contains(other)));
    ours.map(|l| l.split_once(' ').unwrap().1.to_owned()).collect()
}

/// The directories of that name in all hierarchies, with what is below.
pub fn cgroups(root: &str) -> Vec<PathBuf> {
    let Ok(all) = std::fs::read_dir("/sys/fs/cgroup") else { return Vec::new() };
    let mut bases: Vec<_> = all.flatten().map(|e| e.path()).collect();
    bases.push("/sys/fs/cgroup".into());
    bases.into_iter().map(|b| b.join(root)).filter(|p| p.exists()).collect()
}

impl World {
    pub fn new() -> World {
        let dir = tempfile::tempdir().unwrap();
        // Tasks of other users work in it.
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let n = WORLDS.fetch_add(1, Ordering::Relaxed);
        let mut options = Options::new(dir.path().join("run"));
        options.binary = env!("CARGO_BIN_EXE_mesolith").into();
        options.cgroup_root = format!("mesolith-test-{}-{n}", std::process::id());
        options.idle = Duration::from_secs(2);
        let agent = Supervised::new(options.clone());
        let events = agent.events().unwrap();
        World { options, agent, events, ended: BTreeMap::new(), lost: 0, dir, next: 0 }
    }

    /// The agent goes away and a new one comes.
    pub fn reattach(&mut self) {
        self.agent = Supervised::new(self.options.clone());
        self.events = self.agent.events().unwrap();
        self.ended.clear();
    }

    pub fn spec(&mut self, backend: Backend, shell: &str) -> ContainerSpec {
        self.next += 1;
        let id = format!("c{}-{}", self.next, std::process::id());
        let sandbox = self.dir.path().join("sandboxes").join(&id);
        std::fs::create_dir_all(&sandbox).unwrap();
        ContainerSpec {
            id: id.as_str().into(),
            backend,
            sandbox,
            command: Command::Shell(shell.into()),
            env: Vec::new(),
            user: None,
            limits: Limits { cpus: 0.1, ..Limits::default() },
            rlimits: Vec::new(),
            network: Network::Host,
            hostname: None,
            capabilities: CapabilitySets::default(),
            no_new_privs: true,
            stdout: None,
            stderr: None,
            host_root: true,
            mounts: Vec::new(),
            nested: None,
            terminal: None,
            image: None,
            image_volumes: Vec::new(),
            linux: Linux::default(),
        }
    }

    pub async fn start(&self, spec: &ContainerSpec) -> i32 {
        self.agent.create(spec.clone()).await.unwrap();
        self.agent.start(&spec.id).await.unwrap()
    }

    /// Waits for it to end.
    pub async fn end(&mut self, spec: &ContainerSpec) -> ExitRecord {
        let deadline = tokio::time::Instant::now() + DEADLINE;
        loop {
            if let Some(record) = self.ended.get(&spec.id) {
                return record.clone();
            }
            match tokio::time::timeout_at(deadline, self.events.recv()).await.unwrap().unwrap() {
                Event::Exited { id, record } => {
                    self.ended.insert(id, record);
                }
                Event::SupervisorLost => self.lost += 1,
                Event::Stray { id } => panic!("{id} is not the docker engine's"),
            }
        }
    }

    /// Starts it, waits for its end, and removes it.
    pub async fn whole(&mut self, spec: &ContainerSpec) -> ExitRecord {
        self.start(spec).await;
        let record = self.end(spec).await;
        self.agent.destroy(&spec.id).await.unwrap();
        self.agent.forget(&spec.id).await.unwrap();
        record
    }

    pub async fn written(&self, spec: &ContainerSpec, name: &str) -> String {
        let path = spec.sandbox.join(name);
        until(name, || std::fs::read_to_string(&path).is_ok_and(|t| t.ends_with('\n'))).await;
        std::fs::read_to_string(path).unwrap()
    }

    pub fn home(&self) -> PathBuf {
        self.options.run_dir.join("v1")
    }

    fn containers_on_disk(&self) -> usize {
        std::fs::read_dir(self.home().join("containers")).map_or(0, |d| d.count())
    }

    /// Those left for their exit record.
    fn ended_on_disk(&self) -> usize {
        let Ok(all) = std::fs::read_dir(self.home().join("containers")) else { return 0 };
        all.flatten().filter(|e| read(&e.path().join("record")).contains("{\"exit\":")).count()
    }

    /// The supervisor's process, by its lock.
    pub fn supervisor(&self) -> i32 {
        let wanted = format!("supervisor\0{}\0", self.options.run_dir.display());
        let all = std::fs::read_dir("/proc").unwrap().flatten();
        all.filter_map(|e| e.file_name().to_str()?.parse::<i32>().ok())
            .find(|pid| {
                let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                let parent =
                    std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
                String::from_utf8_lossy(&line).contains(&wanted)
                    && parent.trim() == "mesolith-superv"
            })
            .expect("a supervisor")
    }
}

pub fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

pub fn alive(pid: i32) -> bool {
    read(Path::new(&format!("/proc/{pid}/stat")))
        .rsplit_once(')')
        .is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}
