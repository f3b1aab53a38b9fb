//! How the supervisor comes to be: `mesolith supervisor <run-dir>`, dispatched before anything else in `main`.
//!
//! The process started by the agent ends as soon as the supervisor, its child, listens; or tells why it does not.

use super::peers::Peers;
use super::poll::{Poll, Source};
use super::{Options, Supervisor, disk};
use crate::agent::containerizer::isolators::Cgroups;
use crate::agent::containerizer::launch::{self, Split, private_dir, split};
use crate::agent::containerizer::record::Capabilities;
use crate::agent::containerizer::rootless::{self, Rights};
use crate::agent::containerizer::wire::VERSION;
use crate::agent::probe;
use crate::base::error::{Code, Error, Result};
use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What a supervisor is called among processes.
pub const PROCESS_NAME: &str = "mesolith-superv";
/// The name of the socket in `<run dir>/v<version>`.
pub const SOCKET: &str = "supervisor.sock";
/// The parent cgroup of all containers, unless told otherwise.
pub const CGROUP_ROOT: &str = "mesolith";
/// How long a supervisor without containers waits for an agent.
pub const IDLE: Duration = Duration::from_secs(30);
/// How little the kernel likes to kill it when memory runs out.
const OOM_SCORE_ADJ: &str = "-900";
/// The argument by which it tells what it could do, and ends.
pub const PROBE: &str = "--probe";
const USAGE: &str =
    "usage: mesolith supervisor <run-dir> [--cgroup-root <name>] [--idle-secs <n>] [--probe]";

fn system(doing: &str) -> impl Fn(std::io::Error) -> Error + '_ {
    move |e| Error::new(Code::System, format!("{doing}: {e}"))
}

/// Where a supervisor of this version keeps its things.
pub fn home(run_dir: &Path) -> PathBuf {
    run_dir.join(format!("v{VERSION}"))
}

/// What is asked of this process.
struct Asked {
    options: Options,
    /// It tells what this machine can do, and ends.
    probe: bool,
    /// It was executed anew in a user namespace.
    inside: bool,
}

fn parse(args: &[String]) -> Result<Asked> {
    let invalid = |what: &str| Error::new(Code::Invalid, format!("{what}; {USAGE}"));
    let (mut dir, mut cgroup_root, mut idle) = (None, CGROUP_ROOT.to_owned(), IDLE);
    let (mut probe, mut inside) = (false, false);
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| invalid(&format!("{arg} needs a value")));
        match arg.as_str() {
            "--cgroup-root" => cgroup_root = value()?.clone(),
            PROBE => probe = true,
            rootless::FLAG => inside = true,
            "--idle-secs" => {
                let secs = value()?.parse().map_err(|_| invalid("not a number of seconds"))?;
                idle = Duration::from_secs(secs);
            }
            _ if dir.is_none() && !arg.starts_with('-') => dir = Some(home(Path::new(arg))),
            _ => return Err(invalid(&format!("unknown argument '{arg}'"))),
        }
    }
    if cgroup_root.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err(invalid("the cgroup root must be a relative path"));
    }
    let dir = dir.ok_or_else(|| invalid("the run directory is missing"))?;
    Ok(Asked { options: Options { dir, cgroup_root, idle }, probe, inside })
}

/// Runs as the supervisor, or starts it; the exit code. Must be called with one thread.
pub fn main(args: &[String]) -> i32 {
    if nix::unistd::geteuid().is_root()
        && let Err(why) = super::seal::seal()
    {
        eprintln!("mesolith supervisor: containers can write to the program's file: {why}");
    }
    match parse(args).and_then(|asked| run(&asked)) {
        Ok(()) => 0,
        Err(e) => {
            eprintln!("mesolith supervisor: {e}");
            1
        }
    }
}

fn run(asked: &Asked) -> Result<()> {
    let rights = rights(asked.inside);
    match asked.probe {
        true => tell(&asked.options, &rights),
        false => start(&asked.options, &rights),
    }
}

/// By whose right containers are made; not to be root, and to be able to have a user namespace, leads into one: this
/// process is executed anew.
fn rights(inside: bool) -> Rights {
    if inside {
        return Rights::UserNamespace;
    }
    if nix::unistd::geteuid().is_root() {
        return Rights::Root;
    }
    let why = match rootless::attempt() {
        Ok(()) => rootless::enter(),
        Err(why) => why,
    };
    Rights::Lacking(format!("not running as root, and {why}"))
}

/// Prints what a supervisor started like this could do.
fn tell(options: &Options, rights: &Rights) -> Result<()> {
    settle(rights)?;
    let cgroups = Cgroups::probe(&options.cgroup_root);
    let (capabilities, made) = probe(&cgroups, rights, *rights == Rights::Root);
    if made {
        cgroups.remove_parent();
    }
    let told = serde_json::to_string(&capabilities);
    println!("{}", told.map_err(|e| Error::new(Code::Internal, e.to_string()))?);
    Ok(())
}

fn start(options: &Options, rights: &Rights) -> Result<()> {
    for dir in [options.dir.clone(), options.dir.join("containers")] {
        fs::create_dir_all(dir.parent().unwrap_or(&dir)).map_err(system("run directory"))?;
        if !dir.exists() {
            private_dir(&dir)?;
        }
    }
    let lock = private(&options.dir.join("lock"))?;
    let Ok(lock) = Flock::lock(lock, FlockArg::LockExclusiveNonblock) else {
        // One is there already: that is what was wanted.
        return Ok(());
    };
    let (told, tell) = launch::pipe()?;
    match split(None)? {
        Split::Parent(_) => {
            drop(tell);
            let mut text = String::new();
            File::from(told).read_to_string(&mut text).map_err(system("waiting for it"))?;
            match text.strip_prefix("ready") {
                Some(_) => Ok(()),
                None if text.is_empty() => Err(Error::new(Code::System, "it ended at once")),
                None => Err(Error::new(Code::System, text)),
            }
        }
        Split::Child { .. } => {
            drop(told);
            let mut tell = File::from(tell);
            let ran = detach(options, rights, &mut tell, &lock).and_then(|(supervisor, dir)| {
                // A starter that went away does not matter.
                let _ = tell.write_all(b"ready");
                drop(tell);
                let (cgroups, mark, made) = dir;
                let ran = supervisor.run();
                // Whoever locks next binds anew.
                let _ = fs::remove_file(options.dir.join(SOCKET));
                if made || mark.exists() {
                    cgroups.remove_parent();
                    let _ = fs::remove_file(mark);
                }
                ran
            });
            let code = match ran {
                Ok(()) => 0,
                Err(e) => {
                    eprintln!("the supervisor ends: {e}");
                    1
                }
            };
            // SAFETY: ends the process; nothing is left to do.
            unsafe { libc::_exit(code) }
        }
    }
}

fn private(path: &Path) -> Result<File> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
        .map_err(system(&path.display().to_string()))
}

type Ready = (Supervisor, (Cgroups, PathBuf, bool));

/// Leaves everything of the starter behind and gets ready; a failure is told by the pipe.
fn detach(
    options: &Options,
    rights: &Rights,
    tell: &mut File,
    lock: &Flock<File>,
) -> Result<Ready> {
    // What looks users up is loaded once here, and not anew by each of our children. Nobody is looked for.
    let _ = launch::account::resolve(Some("root"));
    let ready = leave_starter(options, tell, lock).and_then(|()| make(options, rights));
    if let Err(e) = &ready {
        // A starter that went away does not matter.
        let _ = tell.write_all(e.cause.as_bytes());
    }
    ready
}

fn leave_starter(options: &Options, tell: &File, lock: &Flock<File>) -> Result<()> {
    let keep = [tell.as_raw_fd(), lock.as_raw_fd()];
    let open = fs::read_dir("/proc/self/fd").map_err(system("/proc/self/fd"))?;
    let open: Vec<i32> =
        open.flatten().filter_map(|e| e.file_name().to_str()?.parse().ok()).collect();
    for fd in open.into_iter().filter(|fd| *fd > 2 && !keep.contains(fd)) {
        // SAFETY: nothing in this process uses a descriptor it inherited.
        unsafe { libc::close(fd) };
    }
    let log = private(&options.dir.join("supervisor.log"))?;
    let null = File::open("/dev/null").map_err(system("/dev/null"))?;
    let errno = |e: nix::Error| Error::new(Code::System, format!("leaving the starter: {e}"));
    for (fd, place) in [(&null, 0), (&log, 1), (&log, 2)] {
        nix::unistd::dup2(fd.as_raw_fd(), place).map_err(errno)?;
    }
    nix::unistd::setsid().map_err(errno)?;
    nix::unistd::chdir("/").map_err(errno)?;
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o022));
    // SAFETY: flags of this process.
    unsafe {
        libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
        let name = std::ffi::CString::new(PROCESS_NAME).unwrap_or_default();
        libc::prctl(libc::PR_SET_NAME, name.as_ptr());
    }
    // Without the right to do it, it is as likely a victim as any.
    let _ = fs::write("/proc/self/oom_score_adj", OOM_SCORE_ADJ);
    Ok(())
}

/// In a user namespace: the rest of the way into it.
fn settle(rights: &Rights) -> Result<()> {
    match rights {
        Rights::UserNamespace => rootless::settle().map_err(|why| Error::new(Code::System, why)),
        Rights::Root | Rights::Lacking(_) => Ok(()),
    }
}

fn make(options: &Options, rights: &Rights) -> Result<Ready> {
    settle(rights)?;
    let cgroups = Cgroups::probe(&options.cgroup_root);
    if rootless::entered() {
        let hidden = rootless::without_v1(&options.dir);
        hidden.map_err(|why| Error::new(Code::System, why))?;
    }
    let mark = options.dir.join("cgroup-parent-made");
    let (capabilities, made) = probe(&cgroups, rights, true);
    if made {
        private(&mark)?;
    }
    let mut signals = SigSet::empty();
    for s in [Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        signals.add(s);
    }
    let errno = |e: nix::Error| Error::new(Code::System, format!("signals: {e}"));
    signals.thread_block().map_err(errno)?;
    let signals = SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
        .map_err(errno)?;
    let listener = listen(&options.dir)?;
    let mut poll = Poll::new()?;
    poll.add(&signals, Source::Signals)?;
    poll.add(&listener, Source::Listener)?;
    let supervisor = Supervisor {
        options: options.clone(),
        cgroups: cgroups.clone(),
        capabilities,
        boot_id: disk::boot_id(),
        memory: probe::memory()?,
        listener,
        signals,
        poll,
        peers: Peers::default(),
        table: BTreeMap::new(),
        queue: VecDeque::new(),
        building: 0,
        parked: Default::default(),
        execs: BTreeMap::new(),
        execs_made: 0,
        sessions: BTreeMap::new(),
        sessions_made: 0,
        children: BTreeMap::new(),
        strays: BTreeMap::new(),
        unsynced: Vec::new(),
        syncing: false,
        idle_since: None,
        ending: None,
        over: false,
    };
    Ok((supervisor, (cgroups, mark, made)))
}

/// Listens; by a short name, since the run directory's may be longer than a socket's may be.
fn listen(dir: &Path) -> Result<UnixListener> {
    let path = dir.join(SOCKET);
    match fs::remove_file(&path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            return Err(system("removing the old socket")(e));
        }
        _ => {}
    }
    let handle = File::open(dir).map_err(system("run directory"))?;
    let short = format!("/proc/self/fd/{}/{SOCKET}", handle.as_raw_fd());
    let listener = UnixListener::bind(short).map_err(system("listening"))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).map_err(system("socket"))?;
    listener.set_nonblocking(true).map_err(system("socket"))?;
    Ok(listener)
}

/// What this machine can do, and whether the cgroup parent was made for it: if it is to be. (In a delegated cgroup that
/// moves others' processes aside.)
fn probe(cgroups: &Cgroups, rights: &Rights, make: bool) -> (Capabilities, bool) {
    let mut missing = Vec::new();
    let mut made = false;
    let mut version = None;
    if let Rights::Lacking(why) = rights {
        missing.push(("namespaces".into(), why.clone()));
    }
    match cgroups.version() {
        Err(why) => missing.push(("cgroups".into(), why.into())),
        Ok(v) if !make => version = Some(v),
        Ok(v) => match cgroups.make_parent() {
            Err(e) => missing.push(("cgroups".into(), e.cause)),
            Ok(new) => {
                made = new;
                version = Some(v);
            }
        },
    }
    let user_namespace = *rights == Rights::UserNamespace;
    let mesos = user_namespace || missing.is_empty();
    if user_namespace {
        missing.push(("networks of containers".into(), "not running as root".into()));
    }
    let mut isolators = vec!["posix/rlimits"];
    if mesos {
        isolators.extend([
            "filesystem/linux",
            "linux/capabilities",
            "linux/devices",
            "linux/nnp",
            "linux/seccomp",
            "namespaces/ipc",
            "namespaces/pid",
            "volume/host_path",
            "volume/sandbox_path",
            "volume/secret",
        ]);
    } else {
        isolators.push("filesystem/posix");
    }
    match mesos && version.is_some() {
        true => isolators.extend(["cgroups/cpu", "cgroups/mem", "cgroups/pids"]),
        false => isolators.extend(["posix/cpu", "posix/mem"]),
    }
    isolators.extend((mesos && !user_namespace).then_some("network/cni"));
    isolators.sort_unstable();
    let isolators = isolators.into_iter().map(str::to_owned).collect();
    (Capabilities { mesos, user_namespace, isolators, cgroups: version, missing }, made)
}
