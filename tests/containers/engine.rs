//! A docker engine for the tests: one that runs already, or one of their own, which ends with the process that started it.
//!
//! Where there is none each test says that it was skipped; with `MESOLITH_REQUIRE_DOCKER=1` it fails.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// How long an engine may take to come up.
const START_MAX: Duration = Duration::from_secs(60);
/// Where a machine's own engine listens.
const USUAL: &str = "/var/run/docker.sock";
/// Ways to start one, the best first: not every machine has overlayfs, or filters.
const WAYS: [&[&str]; 3] = [
    &[],
    &["--storage-driver=vfs"],
    &["--storage-driver=vfs", "--iptables=false", "--ip6tables=false"],
];
/// What goes before the number of a process in the name of its engine's folder.
const DIR_PREFIX: &str = "mesolith-docker-";
/// The program whose names are the commands of the images.
const BUSYBOX: &str = "/bin/busybox";

/// A running engine.
pub struct Engine {
    pub socket: PathBuf,
}

/// The engine, or a word on why this test is skipped.
pub fn engine(test: &str) -> Option<&'static Engine> {
    static ENGINE: OnceLock<Result<Engine, String>> = OnceLock::new();
    match ENGINE.get_or_init(find) {
        Ok(engine) => Some(engine),
        Err(why) => {
            let required = std::env::var("MESOLITH_REQUIRE_DOCKER").is_ok_and(|v| v == "1");
            assert!(!required, "no docker engine ({why}), and MESOLITH_REQUIRE_DOCKER=1");
            eprintln!("skipped: no docker engine: {test} ({why})");
            None
        }
    }
}

fn find() -> Result<Engine, String> {
    let named = std::env::var_os("MESOLITH_DOCKER_SOCKET").map(PathBuf::from);
    let running = named.into_iter().chain([PathBuf::from(USUAL)]).find(|s| answers(s));
    let engine = match running {
        Some(socket) => Engine { socket },
        None => start()?,
    };
    engine.images()?;
    Ok(engine)
}

fn answers(socket: &Path) -> bool {
    socket.exists() && run(socket, &["version"]).is_ok()
}

fn run(socket: &Path, args: &[&str]) -> Result<String, String> {
    let mut command = Command::new("docker");
    command.arg("-H").arg(format!("unix://{}", socket.display())).args(args);
    let output = command.stdin(Stdio::null()).output().map_err(|e| format!("docker: {e}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_string());
    }
    Err(format!("docker {args:?}: {}", String::from_utf8_lossy(&output.stderr).trim()))
}

fn start() -> Result<Engine, String> {
    if !nix::unistd::geteuid().is_root() {
        return Err("needs root".into());
    }
    clear();
    let dir = std::env::temp_dir().join(format!("{DIR_PREFIX}{}", std::process::id()));
    std::fs::create_dir_all(&dir).map_err(|e| e.to_string())?;
    let mut why = String::new();
    for way in WAYS {
        match start_as(&dir, way) {
            Ok(engine) => return Ok(engine),
            Err(e) => why = e,
        }
    }
    Err(why)
}

/// Waits for engines to end whose processes are gone, and removes what they leave.
fn clear() {
    let alive = |pid: &str| Path::new("/proc").join(pid.trim()).exists();
    for entry in std::fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(owner) = name.strip_prefix(DIR_PREFIX).filter(|owner| !alive(owner)) else {
            continue;
        };
        let engine = std::fs::read_to_string(entry.path().join("pid")).unwrap_or_default();
        let since = Instant::now();
        while !engine.is_empty() && alive(&engine) && since.elapsed() < START_MAX {
            std::thread::sleep(Duration::from_millis(50));
        }
        unmount(&entry.path());
        if let Err(e) = std::fs::remove_dir_all(entry.path()) {
            eprintln!("what the engine of process {owner} left stays: {e}");
        }
    }
}

/// An engine that was killed leaves its namespaces and file systems mounted.
fn unmount(below: &Path) {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let points = mounts.lines().filter_map(|line| line.split(' ').nth(4)).map(Path::new);
    let points: Vec<_> = points.filter(|point| point.starts_with(below)).collect();
    for point in points.into_iter().rev() {
        if let Err(e) = nix::mount::umount2(point, nix::mount::MntFlags::MNT_DETACH) {
            eprintln!("{} stays mounted: {e}", point.display());
        }
    }
}

/// The thread that starts it stays: with it the engine would end, as it shall with this process.
fn start_as(dir: &Path, way: &'static [&'static str]) -> Result<Engine, String> {
    let (tell, told) = mpsc::channel();
    let home = dir.to_path_buf();
    std::thread::spawn(move || {
        let mut engine = match spawn(&home, way) {
            Ok(child) => child,
            Err(e) => return drop(tell.send(Err(format!("dockerd: {e}")))),
        };
        let (socket, since) = (home.join("docker.sock"), Instant::now());
        while !answers(&socket) {
            let ended = matches!(engine.try_wait(), Ok(Some(_)));
            if ended || since.elapsed() > START_MAX {
                let _ = engine.kill();
                let _ = engine.wait();
                let log = std::fs::read_to_string(home.join("log")).unwrap_or_default();
                let last = log.lines().last().unwrap_or_default().to_string();
                return drop(tell.send(Err(format!("dockerd {way:?} does not start: {last}"))));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        drop(tell.send(Ok(Engine { socket })));
        let _ = engine.wait();
    });
    told.recv().map_err(|e| e.to_string())?
}

fn spawn(home: &Path, way: &[&str]) -> std::io::Result<std::process::Child> {
    let log = std::fs::File::create(home.join("log"))?;
    let mut command = Command::new("dockerd");
    command
        .arg(format!("--data-root={}", home.join("root").display()))
        .arg(format!("--exec-root={}", home.join("exec").display()))
        .arg(format!("--pidfile={}", home.join("pid").display()))
        .arg(format!("--host=unix://{}", home.join("docker.sock").display()))
        .args(way)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log);
    // SAFETY: one call that may be made between fork and exec.
    unsafe {
        command.pre_exec(|| {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM);
            Ok(())
        });
    }
    command.spawn()
}

impl Engine {
    /// What `docker` says.
    pub fn docker(&self, args: &[&str]) -> String {
        run(&self.socket, args).unwrap()
    }

    /// Whether there is a container of that name.
    pub fn has(&self, name: &str) -> bool {
        run(&self.socket, &["inspect", name]).is_ok()
    }

    /// The images that the tests use, made of the system's own busybox.
    fn images(&self) -> Result<(), String> {
        let root = tempfile::tempdir().map_err(|e| e.to_string())?;
        let tar = fill(root.path())?;
        for (name, changes) in [
            ("libmesos/ubuntu", &[][..]),
            ("centos", &[]),
            ("mesolith/test-cmd", &["CMD [\"echo\",\"from the image\"]", "ENV OF_IMAGE=yes"]),
            ("mesolith/test-entry", &["ENTRYPOINT [\"echo\",\"entry\"]", "CMD [\"default\"]"]),
        ] {
            let mut args = vec!["import"];
            args.extend(changes.iter().flat_map(|change| ["--change", change]));
            args.extend([tar.as_str(), name]);
            run(&self.socket, &args)?;
        }
        Ok(())
    }
}

/// A root file system, as an archive.
fn fill(root: &Path) -> Result<String, String> {
    let told = |e: std::io::Error| e.to_string();
    if !Path::new(BUSYBOX).exists() {
        return Err(format!("{BUSYBOX} is not there (busybox-static)"));
    }
    for dir in ["bin", "etc", "tmp", "dev", "proc", "sys", "root"] {
        std::fs::create_dir_all(root.join("image").join(dir)).map_err(told)?;
    }
    let image = root.join("image");
    std::fs::copy(BUSYBOX, image.join("bin/busybox")).map_err(told)?;
    let list = Command::new(BUSYBOX).arg("--list").output().map_err(told)?;
    for name in String::from_utf8_lossy(&list.stdout).lines().filter(|n| *n != "busybox") {
        std::os::unix::fs::symlink("busybox", image.join("bin").join(name)).map_err(told)?;
    }
    let users = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n";
    std::fs::write(image.join("etc/passwd"), users).map_err(told)?;
    let tar = root.join("image.tar");
    let made = Command::new("tar").arg("-C").arg(&image).arg("-cf").arg(&tar).arg(".").status();
    match made {
        Ok(status) if status.success() => Ok(tar.display().to_string()),
        other => Err(format!("tar: {other:?}")),
    }
}
