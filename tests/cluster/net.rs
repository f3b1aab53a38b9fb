//! Hosts that are network namespaces, on one bridge in a namespace of its own, and what goes wrong between them: pulled
//! cables (a port of the bridge goes down) and ways that are cut in one direction (nftables on the bridge drops frames, so
//! that nobody is told). Nothing of it is left when it is dropped.

use nix::sched::{CloneFlags, setns};
use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

/// Nets of this process.
static NETS: AtomicU32 = AtomicU32::new(0);

/// What is missing for namespaces to be made, if anything is.
pub fn lacks() -> Option<String> {
    if !nix::unistd::geteuid().is_root() {
        return Some("not root".into());
    }
    for tool in ["ip", "nft"] {
        let mut command = Command::new(tool);
        command.arg("-V").stdout(Stdio::null()).stderr(Stdio::null());
        // `nft -V` shows versions too.
        if command.status().is_err() {
            return Some(format!("the program '{tool}' is missing"));
        }
    }
    let name = format!("mesolith{}probe", std::process::id());
    let made = try_ip(&["netns", "add", &name]);
    let _ = try_ip(&["netns", "del", &name]);
    made.err()
}

fn try_ip(args: &[&str]) -> Result<(), String> {
    let out = Command::new("ip").args(args).output().map_err(|e| e.to_string())?;
    match out.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&out.stderr).trim().to_string()),
    }
}

#[track_caller]
fn ip(line: &str) {
    let args: Vec<&str> = line.split(' ').collect();
    try_ip(&args).unwrap_or_else(|e| panic!("ip {line}: {e}"));
}

/// One namespace, which processes can be started in and threads can enter. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Host(Arc<Inside>);

#[derive(Debug)]
struct Inside {
    number: usize,
    file: File,
    inode: u64,
}

impl Host {
    fn new(name: &str, number: usize) -> Self {
        let path = PathBuf::from("/run/netns").join(name);
        let file = File::open(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let inode = file.metadata().unwrap().ino();
        Self(Arc::new(Inside { number, file, inode }))
    }

    /// Its number, from 1 on.
    pub fn number(&self) -> usize {
        self.0.number
    }

    /// Its address on the bridge.
    pub fn address(&self) -> String {
        address(self.0.number)
    }

    /// The command will run in it.
    pub fn command<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        let inside = Arc::clone(&self.0);
        // SAFETY: setns is a plain system call; nothing is allocated.
        unsafe {
            command.pre_exec(move || {
                setns(&inside.file, CloneFlags::CLONE_NEWNET).map_err(std::io::Error::from)
            })
        }
    }

    /// Does something on a thread that is in it.
    pub fn within<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            let inside = scope.spawn(|| {
                setns(&self.0.file, CloneFlags::CLONE_NEWNET).unwrap();
                act()
            });
            inside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Every process in it.
    pub fn processes(&self) -> Vec<i32> {
        let wanted = PathBuf::from(format!("net:[{}]", self.0.inode));
        let me = i32::try_from(std::process::id()).unwrap();
        let mut found = Vec::new();
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse::<i32>().ok()) else {
                continue;
            };
            let inside = std::fs::read_link(entry.path().join("ns/net"));
            if pid != me && inside.is_ok_and(|at| at == wanted) {
                found.push(pid);
            }
        }
        found
    }
}

fn address(number: usize) -> String {
    format!("10.77.0.{number}")
}

/// Hosts on a bridge.
pub struct Net {
    prefix: String,
    hosts: Vec<Host>,
    cuts: Mutex<BTreeSet<(usize, usize)>>,
}

impl Net {
    /// So many hosts that all reach each other.
    pub fn new(count: usize) -> Self {
        let n = NETS.fetch_add(1, Ordering::Relaxed);
        let prefix = format!("mesolith{}x{n}", std::process::id());
        let mut net = Self { prefix, hosts: Vec::new(), cuts: Mutex::default() };
        let bridge = net.bridge();
        ip(&format!("netns add {bridge}"));
        ip(&format!("-n {bridge} link add br0 type bridge"));
        ip(&format!("-n {bridge} link set br0 up"));
        for number in 1..=count {
            let host = format!("{}h{number}", net.prefix);
            ip(&format!("netns add {host}"));
            net.hosts.push(Host::new(&host, number));
            ip(&format!("-n {host} link set lo up"));
            ip(&format!("-n {bridge} link add v{number} type veth peer name eth0 netns {host}"));
            ip(&format!("-n {bridge} link set v{number} master br0"));
            ip(&format!("-n {bridge} link set v{number} up"));
            ip(&format!("-n {host} addr add {}/24 dev eth0", address(number)));
            ip(&format!("-n {host} link set eth0 up"));
        }
        net.nft(
            "add table bridge faults
             add set bridge faults ways { type ifname . ifname; }
             add chain bridge faults cut { type filter hook forward priority 0; }
             add rule bridge faults cut meta iifname . meta oifname @ways drop",
        );
        net
    }

    fn bridge(&self) -> String {
        format!("{}sw", self.prefix)
    }

    /// The nth host, from 1 on.
    pub fn host(&self, number: usize) -> &Host {
        &self.hosts[number - 1]
    }

    fn nft(&self, script: &str) {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.bridge(), "nft", script]);
        let out = command.output().unwrap();
        assert!(out.status.success(), "nft {script}: {}", String::from_utf8_lossy(&out.stderr));
    }

    /// Frames of `from` do not reach `to` any more. The other direction stays.
    pub fn cut_way(&self, from: usize, to: usize) {
        self.cut_all(&[(from, to)]);
    }

    fn cut_all(&self, ways: &[(usize, usize)]) {
        let mut cuts = self.cuts.lock().unwrap();
        let fresh: Vec<String> = ways
            .iter()
            .filter(|way| cuts.insert(**way))
            .map(|(from, to)| format!("\"v{from}\" . \"v{to}\""))
            .collect();
        if !fresh.is_empty() {
            self.nft(&format!("add element bridge faults ways {{ {} }}", fresh.join(", ")));
        }
    }

    /// None of these reaches any of those, nor the reverse.
    pub fn part(&self, these: &[usize], those: &[usize]) {
        let pairs = these.iter().flat_map(|a| those.iter().map(move |b| (*a, *b)));
        let ways: Vec<_> = pairs.flat_map(|(a, b)| [(a, b), (b, a)]).collect();
        self.cut_all(&ways);
    }

    /// This one reaches nobody, nor the reverse; its own kernel does not know.
    pub fn isolate(&self, number: usize) {
        let others: Vec<usize> = (1..=self.hosts.len()).filter(|other| *other != number).collect();
        self.part(&[number], &others);
    }

    /// All reach all again.
    pub fn heal(&self) {
        self.nft("flush set bridge faults ways");
        self.cuts.lock().unwrap().clear();
    }

    /// Pulls a host's cable, or puts it back: its kernel notices.
    pub fn cable(&self, number: usize, is_in: bool) {
        let state = if is_in { "up" } else { "down" };
        ip(&format!("-n {} link set v{number} {state}", self.bridge()));
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        for host in &self.hosts {
            // Whatever its test has left there.
            for pid in host.processes() {
                // SAFETY: kill has no preconditions.
                unsafe { libc::kill(pid, libc::SIGKILL) };
            }
            let _ = try_ip(&["netns", "del", &format!("{}h{}", self.prefix, host.number())]);
        }
        let _ = try_ip(&["netns", "del", &self.bridge()]);
    }
}
