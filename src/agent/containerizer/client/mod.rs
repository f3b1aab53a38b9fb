//! The agent's side of the supervisor: starts one when there is none, asks, and passes on what it tells.

mod streams;
mod usage;

use super::isolators::Cgroups;
use super::linux::Linux;
use super::record::{Capabilities, Event, ExecOutcome, Found, Joined, OwnNetwork, Scope, Usage};
use super::spec::{ContainerSpec, Limits};
pub use super::supervisor::entry::CGROUP_ROOT;
use super::supervisor::entry::{IDLE, PROBE, SOCKET, home};
use super::wire::{
    ANSWER_BYTES_MAX, Answer as Told, Call, Message, REQUEST_BYTES_MAX, Request, VERSION, frame,
    next,
};
use super::{Answer, Attached, Containerizer, ExecRequest, Measured, Session, SessionRequest};
use crate::base::error::{Code, Error, Result, Retry};
use crate::base::ids::ContainerId;
use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot};

/// Events that wait to be taken; the supervisor waits beyond that, and in the end cuts us off.
pub const EVENTS_MAX: usize = 4096;
/// Calls under way at one time.
pub const CALLS_MAX: usize = 8192;
/// How long a supervisor may take to come up.
const START_MAX: Duration = Duration::from_secs(20);
/// What a supervisor has of the agent's environment. No more: those that wait in containers for others show what they began
/// with to whoever is in there with them.
const ENVIRONMENT: [&str; 5] = ["PATH", "HOME", "LANG", "TMPDIR", "RUST_BACKTRACE"];

/// How the supervisor is found and started.
#[derive(Clone, Debug)]
pub struct Options {
    /// The directory shared with it.
    pub run_dir: PathBuf,
    /// The program with the `supervisor` entry.
    pub binary: PathBuf,
    /// The parent of all containers' cgroups.
    pub cgroup_root: String,
    /// How long it stays when nobody needs it.
    pub idle: Duration,
}

impl Options {
    /// With this program itself and the usual values.
    pub fn new(run_dir: impl Into<PathBuf>) -> Options {
        Options {
            run_dir: run_dir.into(),
            binary: PathBuf::from("/proc/self/exe"),
            cgroup_root: CGROUP_ROOT.into(),
            idle: IDLE,
        }
    }
}

/// Says, in the directory shared with the supervisor, below which cgroup its containers were made.
const ROOT_FILE: &str = "cgroup_root";

impl Options {
    /// As the containers were made that an agent has left here.
    pub fn left(run_dir: impl Into<PathBuf>) -> Options {
        let options = Options::new(run_dir);
        match remembered(&options.run_dir) {
            Some(cgroup_root) => Options { cgroup_root, ..options },
            None => options,
        }
    }

    /// For an agent that wants its containers' cgroups below `wanted`; remembered for [`Options::left`]. While containers
    /// of an earlier one are there, theirs goes on to be used: they are found by it.
    ///
    /// # Errors
    /// [`Code::System`] when it cannot be written down.
    pub fn keep(run_dir: impl Into<PathBuf>, wanted: Option<&str>) -> Result<Options> {
        let mut options = Options::new(run_dir);
        let held = std::fs::read_dir(home(&options.run_dir).join("containers"))
            .is_ok_and(|mut entries| entries.next().is_some());
        let before = remembered(&options.run_dir).filter(|_| held);
        if let Some(root) = before.or_else(|| wanted.map(str::to_string)) {
            options.cgroup_root = root;
        }
        write_whole(&options.run_dir.join(ROOT_FILE), &options.cgroup_root)
            .map_err(|e| Error::new(Code::System, format!("{}: {e}", options.run_dir.display())))?;
        Ok(options)
    }
}

fn remembered(run_dir: &Path) -> Option<String> {
    let text = std::fs::read_to_string(run_dir.join(ROOT_FILE)).ok()?;
    Some(text.trim().to_string()).filter(|root| !root.is_empty())
}

/// Whole or not at all, also when the process ends in between.
fn write_whole(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(dir) = path.parent() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    }
    let fresh = path.with_extension("new");
    std::fs::write(&fresh, format!("{text}\n"))?;
    std::fs::rename(&fresh, path)
}

/// What a supervisor on this machine could do whose containers are below that cgroup. None stays.
///
/// # Errors
/// [`Code::System`] when its program cannot be run, or says nothing.
pub async fn look(cgroup_root: &str) -> Result<Capabilities> {
    let failed = |why: String| Error::new(Code::System, format!("the supervisor's program: {why}"));
    let mut program = tokio::process::Command::new("/proc/self/exe");
    // It needs no folder to look.
    program.args(["supervisor", "/nonexistent", "--cgroup-root", cgroup_root, PROBE]);
    let ended = program.kill_on_drop(true).output();
    let ended = tokio::time::timeout(START_MAX, ended).await;
    let ended = ended.map_err(|_| failed(format!("silent for {} s", START_MAX.as_secs())))?;
    let ended = ended.map_err(|e| failed(e.to_string()))?;
    serde_json::from_slice(&ended.stdout).map_err(|_| {
        failed(format!("{}, {}", ended.status, String::from_utf8_lossy(&ended.stderr).trim()))
    })
}

type Waiting = Arc<Mutex<Option<BTreeMap<u64, oneshot::Sender<Result<Told>>>>>>;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is under it is whole between any two statements.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A connection that said hello.
struct Link {
    writer: OwnedWriteHalf,
    waiting: Waiting,
    capabilities: Capabilities,
    /// Whether it answers [`Call::Places`].
    places: bool,
}

/// The mesos and posix backends, by way of the supervisor. Must be used within a tokio runtime.
pub struct Supervised {
    options: Options,
    link: tokio::sync::Mutex<Option<Link>>,
    seq: std::sync::atomic::AtomicU64,
    tell: mpsc::Sender<Event>,
    events: Mutex<Option<mpsc::Receiver<Event>>>,
    networks: Networks,
}

/// Networks of containers that have their own, by what the supervisor told last.
type Networks = Arc<Mutex<BTreeMap<ContainerId, OwnNetwork>>>;

fn lost() -> Error {
    let mut e = Error::new(Code::Unavailable, "the connection to the supervisor is lost");
    e.retry = Retry::Unknown;
    e
}

impl Supervised {
    /// Not connected yet: the first call does that.
    pub fn new(options: Options) -> Supervised {
        let (tell, events) = mpsc::channel(EVENTS_MAX);
        Supervised {
            options,
            link: tokio::sync::Mutex::new(None),
            seq: std::sync::atomic::AtomicU64::new(1),
            tell,
            events: Mutex::new(Some(events)),
            networks: Networks::default(),
        }
    }

    /// A supervisor of an earlier program would leave out what it does not know.
    async fn demand(&self, linux: &Linux) -> Result<()> {
        if *linux == Linux::default() {
            return Ok(());
        }
        let can = self.probe().await?;
        match can.isolators.iter().any(|name| name == "linux/seccomp") {
            true => Ok(()),
            false => Err(Error::new(
                Code::Unavailable,
                "the supervisor of this agent's containers is of an earlier version",
            )
            .hint("it ends with the last task that it holds")),
        }
    }

    /// Ends the supervisor; `kill`: and all its containers, else only if there are none.
    ///
    /// # Errors
    /// `Conflict` when there are containers.
    pub async fn down(&self, kill: bool) -> Result<()> {
        self.call(Call::Down { kill }).await.map(drop)
    }

    async fn call(&self, call: Call) -> Result<Told> {
        let seq = self.seq.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let bytes = frame(&Request { seq, call }, REQUEST_BYTES_MAX)?;
        let (answer, answered) = oneshot::channel();
        {
            let mut slot = self.link.lock().await;
            let link = self.linked(&mut slot).await?;
            match lock(&link.waiting).as_mut() {
                Some(map) if map.len() >= CALLS_MAX => {
                    let cause = format!("{CALLS_MAX} calls to the supervisor are under way");
                    return Err(Error::new(Code::Overloaded, cause));
                }
                Some(map) => map.insert(seq, answer),
                None => return Err(lost()),
            };
            if link.writer.write_all(&bytes).await.is_err() {
                *slot = None;
                return Err(lost());
            }
        }
        answered.await.unwrap_or_else(|_| Err(lost()))
    }

    /// The link, made anew if it broke.
    async fn linked<'a>(&self, slot: &'a mut Option<Link>) -> Result<&'a mut Link> {
        if slot.as_ref().is_some_and(|l| lock(&l.waiting).is_none()) {
            *slot = None;
        }
        match slot {
            Some(link) => Ok(link),
            None => Ok(slot.insert(self.connect().await?)),
        }
    }

    async fn connect(&self) -> Result<Link> {
        let deadline = tokio::time::Instant::now() + START_MAX;
        loop {
            let failed = match open(&home(&self.options.run_dir)).await {
                Ok(stream) => match self.greet(stream).await {
                    Ok(link) => return Ok(link),
                    // One that is just ending hangs up.
                    Err(e) if e.retry != Retry::Unknown => return Err(e),
                    Err(e) => e,
                },
                Err(e) => {
                    self.spawn().await?;
                    Error::new(Code::Unavailable, format!("the supervisor does not listen: {e}"))
                }
            };
            if tokio::time::Instant::now() > deadline {
                return Err(failed);
            }
            // A supervisor that was there before us holds the lock but does not listen yet, or not any more.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn spawn(&self) -> Result<()> {
        let o = &self.options;
        let kept = ENVIRONMENT.iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
        let output = tokio::process::Command::new(&o.binary)
            .env_clear()
            .envs(kept)
            .arg("supervisor")
            .arg(&o.run_dir)
            .args(["--cgroup-root", &o.cgroup_root])
            .args(["--idle-secs", &o.idle.as_secs().to_string()])
            .stdin(std::process::Stdio::null())
            .output();
        let output = tokio::time::timeout(START_MAX, output).await;
        let output = output
            .map_err(|_| Error::new(Code::Timeout, "the supervisor does not come up"))?
            .map_err(|e| Error::new(Code::System, format!("{}: {e}", o.binary.display())))?;
        if output.status.success() {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(Error::new(Code::System, format!("starting the supervisor: {text}")))
    }

    async fn greet(&self, stream: UnixStream) -> Result<Link> {
        let (mut reader, mut writer) = stream.into_split();
        let hello =
            frame(&Request { seq: 0, call: Call::Hello { version: VERSION } }, REQUEST_BYTES_MAX)?;
        writer.write_all(&hello).await.map_err(|_| lost())?;
        let mut buffer = Vec::new();
        let (capabilities, places) = match read(&mut reader, &mut buffer).await? {
            Message::Answer { result, .. } => match result.map_err(Error::from)? {
                Told::Hello { capabilities, places, .. } => (capabilities, places),
                _ => return Err(Error::new(Code::Corrupt, "the supervisor did not say hello")),
            },
            Message::Exited { .. } | Message::SessionEnded { .. } => {
                return Err(Error::new(Code::Corrupt, "the supervisor did not say hello"));
            }
        };
        let waiting: Waiting = Arc::new(Mutex::new(Some(BTreeMap::new())));
        let (tell, networks) = (self.tell.clone(), self.networks.clone());
        tokio::spawn(listen(reader, buffer, waiting.clone(), tell, networks));
        Ok(Link { writer, waiting, capabilities, places })
    }
}

/// By a short name, since the run directory's may be longer than a socket's may be.
async fn open(home: &Path) -> std::io::Result<UnixStream> {
    let dir = File::open(home)?;
    UnixStream::connect(format!("/proc/self/fd/{}/{SOCKET}", dir.as_raw_fd())).await
}

async fn read(reader: &mut OwnedReadHalf, buffer: &mut Vec<u8>) -> Result<Message> {
    loop {
        if let Some(message) = next(buffer, ANSWER_BYTES_MAX)? {
            return Ok(message);
        }
        if reader.read_buf(buffer).await.map_err(|_| lost())? == 0 {
            return Err(lost());
        }
    }
}

/// Passes on what comes, until nothing does.
async fn listen(
    mut reader: OwnedReadHalf,
    mut buffer: Vec<u8>,
    waiting: Waiting,
    tell: mpsc::Sender<Event>,
    networks: Networks,
) {
    loop {
        match read(&mut reader, &mut buffer).await {
            Ok(Message::Answer { seq, result }) => {
                let waits = lock(&waiting).as_mut().and_then(|map| map.remove(&seq));
                if let Some(waits) = waits {
                    // Whoever asked may have gone away.
                    let _ = waits.send(result.map_err(Error::from));
                }
            }
            Ok(Message::Exited { id, record }) => {
                lock(&networks).remove(&id);
                if tell.send(Event::Exited { id, record }).await.is_err() {
                    break;
                }
            }
            // Told on a session's own connection only.
            Ok(Message::SessionEnded { .. }) => {}
            Err(_) => break,
        }
    }
    // Dropping the senders tells every caller.
    *lock(&waiting) = None;
    // Nobody listens any more when this fails.
    let _ = tell.send(Event::SupervisorLost).await;
}

fn wrong<T>() -> Result<T> {
    Err(Error::new(Code::Corrupt, "the supervisor answered something else"))
}

impl Containerizer for Supervised {
    fn probe(&self) -> Answer<'_, Capabilities> {
        Box::pin(async {
            let mut slot = self.link.lock().await;
            Ok(self.linked(&mut slot).await?.capabilities.clone())
        })
    }

    fn recover(&self) -> Answer<'_, Vec<Found>> {
        Box::pin(async {
            match self.call(Call::List).await? {
                Told::List(found) => {
                    let own = found.iter().filter_map(|f| Some((f.id.clone(), f.network.clone()?)));
                    *lock(&self.networks) = own.collect();
                    Ok(found)
                }
                _ => wrong(),
            }
        })
    }

    fn create(&self, spec: ContainerSpec) -> Answer<'_, ()> {
        Box::pin(async {
            spec.validate()?;
            self.demand(&spec.linux).await?;
            let id = spec.id.clone();
            if let Told::Created(network) = self.call(Call::Create(Box::new(spec))).await? {
                lock(&self.networks).insert(id, network);
            }
            Ok(())
        })
    }

    fn start(&self, id: &ContainerId) -> Answer<'_, i32> {
        let call = Call::Start(id.clone());
        Box::pin(async {
            match self.call(call).await? {
                Told::Started(pid) => Ok(pid),
                _ => wrong(),
            }
        })
    }

    fn signal(&self, id: &ContainerId, signal: i32, scope: Scope) -> Answer<'_, ()> {
        let call = Call::Signal { id: id.clone(), signal, scope };
        Box::pin(async { self.call(call).await.map(drop) })
    }

    fn destroy(&self, id: &ContainerId) -> Answer<'_, ()> {
        lock(&self.networks).remove(id);
        let call = Call::Destroy(id.clone());
        Box::pin(async { self.call(call).await.map(drop) })
    }

    fn resize(&self, id: &ContainerId, limits: Limits) -> Answer<'_, ()> {
        let call = Call::Resize { id: id.clone(), limits };
        Box::pin(async { self.call(call).await.map(drop) })
    }

    fn usage(&self, id: &ContainerId) -> Answer<'_, Usage> {
        let call = Call::Usage(id.clone());
        Box::pin(async {
            match self.call(call).await? {
                Told::Usage(usage) => Ok(usage),
                _ => wrong(),
            }
        })
    }

    fn usages(&self, ids: Vec<ContainerId>) -> Answer<'_, BTreeMap<ContainerId, Measured>> {
        Box::pin(self.measure(ids))
    }

    fn exec(&self, id: &ContainerId, request: ExecRequest) -> Answer<'_, ExecOutcome> {
        let ExecRequest { argv, env, cwd, timeout } = request;
        let timeout_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        let call = Call::Exec { id: id.clone(), argv, env, cwd, timeout_ms };
        Box::pin(async {
            match self.call(call).await? {
                Told::Exec(outcome) => Ok(outcome),
                _ => wrong(),
            }
        })
    }

    fn session(&self, id: &ContainerId, request: SessionRequest) -> Answer<'_, Session> {
        let call = streams::call(id, request);
        Box::pin(async {
            // A container that runs has a supervisor; where it was lost, this brings the next one.
            self.probe().await?;
            let stream = open(&home(&self.options.run_dir)).await.map_err(|_| lost())?;
            streams::open(stream, call).await
        })
    }

    fn attach(&self, id: &ContainerId) -> Answer<'_, Attached> {
        let id = id.clone();
        Box::pin(async {
            self.probe().await?;
            let stream = open(&home(&self.options.run_dir)).await.map_err(|_| lost())?;
            streams::attach(stream, id).await
        })
    }

    fn forget(&self, id: &ContainerId) -> Answer<'_, ()> {
        let call = Call::Forget(id.clone());
        Box::pin(async { self.call(call).await.map(drop) })
    }

    fn events(&self) -> Option<mpsc::Receiver<Event>> {
        lock(&self.events).take()
    }

    fn network(&self, id: &ContainerId) -> Option<i32> {
        lock(&self.networks).get(&outermost(id)).map(|network| network.pid)
    }

    /// Of the posix backend none are known: it has no cgroups.
    fn processes(&self, id: &ContainerId) -> Vec<i32> {
        Cgroups::probe(&self.options.cgroup_root).of(id.as_str()).pids_below()
    }

    fn joined(&self, id: &ContainerId) -> Vec<Joined> {
        let networks = lock(&self.networks);
        networks.get(&outermost(id)).map(|network| network.joined.clone()).unwrap_or_default()
    }
}

/// The container that one is nested in, if it is.
fn outermost(id: &ContainerId) -> ContainerId {
    id.as_str().split('.').next().unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cgroup_root_is_remembered_and_kept_while_there_are_containers() {
        let dir = tempfile::tempdir().expect("a folder");
        let run = dir.path().join("run");
        assert_eq!(Options::left(&run).cgroup_root, CGROUP_ROOT);
        assert!(!run.exists(), "asking makes nothing");
        let keep = |wanted| Options::keep(&run, wanted).expect("written").cgroup_root;
        assert_eq!(keep(None), CGROUP_ROOT);
        assert_eq!(keep(Some("one")), "one");
        assert_eq!(Options::left(&run).cgroup_root, "one");
        let container = home(&run).join("containers/c");
        std::fs::create_dir_all(&container).expect("made");
        assert_eq!(keep(Some("two")), "one");
        assert_eq!(Options::left(&run).cgroup_root, "one");
        std::fs::remove_dir(&container).expect("removed");
        assert_eq!(keep(Some("two")), "two");
    }
}
