//! What a node is compared with: a bare fork and exec, and runc with the host's root.

use crate::Result;
use crate::stamp::{Stamps, now};
use crate::stats::{median, ms};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// How many bare starts make one canary.
const CANARIES: usize = 3;

/// Says which peers this machine has.
pub fn tell() {
    match version("runc") {
        Some(text) => println!("runc: {text}"),
        None => println!("runc: not present"),
    }
    match version("crun") {
        Some(text) => println!("crun: {text}; not measured"),
        None => println!("crun: not present"),
    }
    let engine = std::os::unix::net::UnixStream::connect("/var/run/docker.sock").is_ok();
    println!("docker engine: {}", if engine { "present; not measured" } else { "not present" });
}

fn version(program: &str) -> Option<String> {
    let output = Command::new(program).arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).lines().next()?.to_string();
    output.status.success().then_some(text)
}

/// The median of a few bare starts of the stamp, in ms.
pub async fn canary(stamps: &Stamps, round: usize) -> Result<f64> {
    let mut times = Vec::new();
    for n in 0..CANARIES {
        let name = format!("canary-{round}-{n}");
        let command = stamps.command(&name, false)?;
        let start = now();
        let mut child = Command::new(&command[0]).args(&command[1..]).spawn()?;
        child.wait()?;
        times.push(ms(start, stamps.wait(&name).await?));
    }
    Ok(median(&mut times))
}

/// A runc bundle on the host's root; none if there is no runc.
pub struct Runc {
    bundle: PathBuf,
    config: Value,
}

impl Runc {
    /// Prepares the bundle in `dir`: what `runc spec` makes, with the host's root as root.
    pub fn new(dir: &Path) -> Result<Option<Self>> {
        if version("runc").is_none() {
            return Ok(None);
        }
        let bundle = dir.join("bundle");
        std::fs::create_dir_all(bundle.join("rootfs"))?;
        let made = Command::new("runc").arg("spec").current_dir(&bundle).status()?;
        if !made.success() {
            return Err("runc spec failed".into());
        }
        let text = std::fs::read_to_string(bundle.join("config.json"))?;
        let mut config: Value = serde_json::from_str(&text)?;
        config["process"]["terminal"] = json!(false);
        config["root"]["readonly"] = json!(false);
        // As a container of ours: the host's network, and a limit on memory and CPU.
        if let Some(all) = config["linux"]["namespaces"].as_array_mut() {
            all.retain(|namespace| namespace["type"] != "network");
        }
        config["linux"]["resources"]["memory"] = json!({ "limit": 64 * 1024 * 1024 });
        config["linux"]["resources"]["cpu"] = json!({ "shares": 102 });
        let root = bundle.join("rootfs");
        let nothing: Option<&str> = None;
        mount(Some("/"), &root, nothing, MsFlags::MS_BIND, nothing)?;
        let runc = Self { bundle, config };
        mount(nothing, &root, nothing, MsFlags::MS_PRIVATE, nothing)?;
        Ok(Some(runc))
    }

    /// From the start of `runc run` to the stamp, in ms.
    pub async fn run(&mut self, stamps: &Stamps, round: usize) -> Result<f64> {
        let name = format!("runc-{round}");
        self.config["process"]["args"] = json!(stamps.command(&name, false)?);
        std::fs::write(self.bundle.join("config.json"), self.config.to_string())?;
        let id = format!("mesolith-bench-{}-{round}", std::process::id());
        let start = now();
        let output = Command::new("runc")
            .args(["run", "--bundle"])
            .arg(&self.bundle)
            .arg(id)
            .stdin(Stdio::null())
            .output()?;
        if !output.status.success() {
            return Err(format!("runc run: {}", String::from_utf8_lossy(&output.stderr)).into());
        }
        Ok(ms(start, stamps.wait(&name).await?))
    }
}

impl Drop for Runc {
    fn drop(&mut self) {
        if let Err(e) = umount2(&self.bundle.join("rootfs"), MntFlags::MNT_DETACH) {
            eprintln!("{} is still mounted: {e}", self.bundle.join("rootfs").display());
        }
    }
}
