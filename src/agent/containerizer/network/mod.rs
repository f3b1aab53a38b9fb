//! Networks of containers: a namespace with a loopback device that works, the built-in bridge, CNI plug-ins.
//!
//! All of it is done by processes of the supervisor: [`enter`] in a container's builder, which stays in the new namespace,
//! and [`leave`] in a helper once the container is gone. So nothing depends on the agent, and what an earlier supervisor
//! connected the next one disconnects, by what is on disk of the container.

pub mod addresses;
pub mod bridge;
pub mod cni;
pub mod command;
pub mod config;
pub mod files;
pub mod netlink;
mod rules;

use super::linux::{By, Join};
use super::record::Joined;
use super::spec::{ContainerSpec, Network};
use netlink::Netlink;
use nix::sched::{CloneFlags, setns, unshare};
use serde_json::Value;
use std::fs::{self, File};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};

/// The name of the file in a container's directory that tells which networks it has joined.
pub const JOINED: &str = "networks.json";
const LOOPBACK: &str = "lo";

/// A network namespace, held open.
pub struct Namespace(OwnedFd);

impl Namespace {
    /// This thread's.
    ///
    /// # Errors
    /// A text.
    pub fn current() -> Result<Self, String> {
        let file = File::open("/proc/self/ns/net").map_err(|e| format!("network: {e}"))?;
        Ok(Self(file.into()))
    }

    /// That of a process; none: it is gone.
    pub fn of(pid: i32) -> Option<Self> {
        File::open(format!("/proc/{pid}/ns/net")).ok().map(|file| Self(file.into()))
    }

    /// Makes it this thread's.
    ///
    /// # Errors
    /// A text.
    pub fn enter(&self) -> Result<(), String> {
        setns(&self.0, CloneFlags::CLONE_NEWNET).map_err(|e| format!("entering a network: {e}"))
    }

    /// Its descriptor.
    pub fn fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    /// A path to it, for other processes while this one lives.
    fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/fd/{}", std::process::id(), self.fd()))
    }
}

/// Makes a container's network and stays in it; what is to be mounted for it.
///
/// # Errors
/// A text. What was joined before is left by [`leave`].
pub fn enter(spec: &ContainerSpec, dir: &Path) -> Result<Vec<Value>, String> {
    if spec.network == Network::Host {
        return files::make(spec, dir, &[]);
    }
    let host = Namespace::current()?;
    unshare(CloneFlags::CLONE_NEWNET).map_err(|e| format!("a network namespace: {e}"))?;
    let own = Namespace::current()?;
    let index = netlink::index(LOOPBACK).ok_or("a network namespace without loopback")?;
    Netlink::open().and_then(|mut n| n.up(index)).map_err(|e| format!("loopback: {e}"))?;
    let mut joined = Vec::new();
    if !spec.linux.networks.is_empty() {
        host.enter()?;
        for (n, join) in spec.linux.networks.iter().enumerate() {
            joined.push(connect(spec, join, dir, (&host, &own), &device(n))?);
            keep(dir, &joined)?;
        }
        own.enter()?;
    }
    files::make(spec, dir, &joined)
}

/// The container's device in its `n`th network.
fn device(n: usize) -> String {
    format!("eth{n}")
}

fn connect(
    spec: &ContainerSpec,
    join: &Join,
    dir: &Path,
    (host, own): (&Namespace, &Namespace),
    device: &str,
) -> Result<Joined, String> {
    let joined = match &join.by {
        By::Bridge(bridge) => bridge::join(bridge, join, dir, host, own, device),
        By::Cni { config, plugins } => {
            let path = own.path();
            let of = cni::Of { container: spec.id.as_str(), namespace: Some(&path), device };
            cni::join(config, plugins, join, &of)
        }
    };
    joined.map_err(|why| format!("network '{}': {why}", join.name))
}

fn keep(dir: &Path, joined: &[Joined]) -> Result<(), String> {
    let path = dir.join(JOINED);
    let text = serde_json::to_vec(joined).map_err(|e| format!("networks: {e}"))?;
    fs::write(&path, text).map_err(|e| format!("{}: {e}", path.display()))
}

/// The networks that a container has joined, by what its builder wrote down.
pub fn joined(dir: &Path) -> Vec<Joined> {
    let text = fs::read(dir.join(JOINED)).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

/// Disconnects a container from all its networks, also from those its builder had just begun with. May be repeated.
///
/// # Errors
/// A text: the first reason of several.
pub fn leave(spec: &ContainerSpec, dir: &Path, own: Option<&Namespace>) -> Result<(), String> {
    let joined = joined(dir);
    let path = own.map(Namespace::path);
    let mut outcome = Ok(());
    for (n, join) in spec.linux.networks.iter().enumerate().rev() {
        let left = match &join.by {
            By::Bridge(bridge) => bridge::leave(bridge, dir),
            By::Cni { config, plugins } => {
                let device = device(n);
                let namespace = path.as_deref();
                let of = cni::Of { container: spec.id.as_str(), namespace, device: &device };
                let result = joined.get(n).and_then(|j| j.result.as_deref());
                cni::leave(config, plugins, join, &of, result)
            }
        };
        outcome = outcome.and(left.map_err(|why| format!("network '{}': {why}", join.name)));
    }
    outcome
}
