//! OCI runtimes as peers: runc and crun start the same bundle, whose root is the host's.
//!
//! Each is started by a thread that has mounts of its own. So the host's root never shows up in a folder that others see
//! and somebody will remove, and nothing stays mounted, however this process ends. Where the machine has cgroup v1 and an
//! empty v2 mount beside it, crun takes the machine for one of v2 and fails: its thread takes that mount off, before
//! anything is measured.

use crate::Result;
use crate::peers::version;
use crate::stamp::{Stamps, now};
use crate::stats::ms;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};

/// A memory limit as that of a task of ours.
const MEMORY: u64 = 64 << 20;
/// CPU shares as those of a task of ours.
const SHARES: u64 = 102;
const NOTHING: Option<&str> = None;

/// A bundle on the host's root.
pub struct Bundle {
    path: PathBuf,
    config: Value,
}

impl Bundle {
    /// Prepares it in `dir`: what `runc spec`, or else `crun spec`, makes, with the host's root as root. None without them.
    pub fn new(dir: &Path) -> Result<Option<Self>> {
        let Some(maker) = ["runc", "crun"].into_iter().find(|p| version(p).is_some()) else {
            return Ok(None);
        };
        let path = dir.join("bundle");
        std::fs::create_dir_all(path.join("rootfs"))?;
        if !Command::new(maker).arg("spec").current_dir(&path).status()?.success() {
            return Err(format!("{maker} spec failed").into());
        }
        let text = std::fs::read_to_string(path.join("config.json"))?;
        let mut config: Value = serde_json::from_str(&text)?;
        config["process"]["terminal"] = json!(false);
        config["root"]["readonly"] = json!(false);
        // As a container of ours: the host's network, and a limit on memory and CPU.
        if let Some(all) = config["linux"]["namespaces"].as_array_mut() {
            all.retain(|namespace| namespace["type"] != "network");
        }
        config["linux"]["resources"]["memory"] = json!({ "limit": MEMORY });
        config["linux"]["resources"]["cpu"] = json!({ "shares": SHARES });
        Ok(Some(Self { path, config }))
    }
}

/// A command that was started at that time and has ended.
type Ran = std::io::Result<(u64, Output)>;

/// A program that runs bundles. It is started by a thread of its own.
pub struct Runtime {
    program: &'static str,
    commands: Sender<Command>,
    ran: Receiver<Ran>,
}

impl Runtime {
    /// Makes it ready for that bundle; none if the machine does not have it.
    pub fn new(program: &'static str, bundle: &Bundle) -> Result<Option<Self>> {
        if version(program).is_none() {
            return Ok(None);
        }
        let (commands, asked) = channel();
        let (tell, ran) = channel();
        let (ready, is_ready) = channel();
        let (root, confused) = (bundle.path.join("rootfs"), program == "crun");
        std::thread::spawn(move || {
            let mounted = own_mounts(&root, confused);
            let serves = mounted.is_ok();
            if ready.send(mounted).is_ok() && serves {
                serve(&asked, &tell);
            }
        });
        is_ready.recv()??;
        Ok(Some(Self { program, commands, ran }))
    }

    /// From the start of `run` to the stamp, in ms.
    pub async fn run(&mut self, bundle: &mut Bundle, stamps: &Stamps, name: &str) -> Result<f64> {
        let name = format!("{name}-{}", self.program);
        bundle.config["process"]["args"] = json!(stamps.command(&name, false)?);
        std::fs::write(bundle.path.join("config.json"), bundle.config.to_string())?;
        let mut command = Command::new(self.program);
        command.args(["run", "--bundle"]).arg(&bundle.path);
        command.arg(format!("mesolith-bench-{}-{name}", std::process::id())).stdin(Stdio::null());
        self.commands.send(command).map_err(|_| "nobody starts runtimes any more")?;
        let (start, output) = self.ran.recv()??;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(format!("{} run: {}, {said}", self.program, output.status).into());
        }
        Ok(ms(start, stamps.wait(&name).await?))
    }
}

/// Runs commands until nobody asks any more.
fn serve(asked: &Receiver<Command>, tell: &Sender<Ran>) {
    while let Ok(mut command) = asked.recv() {
        let start = now();
        if tell.send(command.output().map(|output| (start, output))).is_err() {
            return;
        }
    }
}

/// Gives this thread, and the children it will have, mounts of their own: the host's root on `root`, and if the runtime
/// is confused by it, no v2 mount on a machine of v1.
fn own_mounts(root: &Path, confused: bool) -> std::io::Result<()> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    mount(NOTHING, "/", NOTHING, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NOTHING)?;
    mount(Some("/"), root, NOTHING, MsFlags::MS_BIND, NOTHING)?;
    let mounts = std::fs::read_to_string("/proc/thread-self/mountinfo")?;
    let is_v1 = mounts.lines().any(|line| line.contains(" - cgroup "));
    for line in mounts.lines().filter(|l| confused && is_v1 && l.contains(" - cgroup2 ")) {
        if let Some(at) = line.split(' ').nth(4) {
            umount2(at, MntFlags::MNT_DETACH)?;
        }
    }
    Ok(())
}
