//! Containers: one trait for the agent, and the supervisor behind it.
//!
//! [`Containerizer`] is what the agent's shell holds. [`client::Supervised`] carries it out by talking to the
//! [`supervisor`], a process of its own that is the parent of all containers and outlives the agent. A container of the
//! mesos backend has its own pid, mount, ipc and uts namespaces and cgroups; one of the posix backend is a process tree.
//! Nothing here decides what a container's end means.

pub mod both;
pub mod client;
pub mod docker;
pub mod isolators;
mod launch;
pub mod linux;
pub mod logs;
pub mod measure;
pub mod network;
pub mod record;
pub mod rootless;
pub mod session;
pub mod spec;
pub mod supervisor;
pub mod wire;

use crate::base::error::{Code, Error, Result};
use crate::base::ids::ContainerId;
pub use measure::Measured;
pub use record::{
    Capabilities, CgroupVersion, Event, ExecOutcome, ExitRecord, Found, Joined, OomInfo,
    OwnNetwork, Scope, State, Usage,
};
pub use session::{Attached, Session, SessionRequest};
pub use spec::{
    Backend, BindMount, CapabilitySets, Command, ContainerSpec, ImageRoot, ImageVolume, Limits,
    Nested, Network, Rlimit, Root, Rotation, Window,
};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;
use tokio::sync::mpsc;

/// An answer that takes time.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// A command run in a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExecRequest {
    /// Program (looked up in the container's `PATH`) and arguments.
    pub argv: Vec<String>,
    /// Added to the container's environment; wins.
    pub env: Vec<(String, String)>,
    /// Working directory; none: the sandbox.
    pub cwd: Option<String>,
    /// When it is killed with its process group.
    pub timeout: Duration,
}

/// What makes, holds and ends containers.
///
/// Calls may be repeated: `destroy` and `forget` of what is not there are good; `create` of a known id is `Conflict`.
/// `Retry::Unknown` means the supervisor was lost with the call under way: ask `recover` what became of it.
pub trait Containerizer: Send + Sync {
    /// What this machine can do.
    fn probe(&self) -> Answer<'_, Capabilities>;
    /// All containers known. One the agent knows of and that is not here is gone.
    fn recover(&self) -> Answer<'_, Vec<Found>>;
    /// Makes a container and parks it before its first instruction. Nothing of it is left if that fails.
    fn create(&self, spec: ContainerSpec) -> Answer<'_, ()>;
    /// Lets it go; the task's process, once its program runs. If that cannot be executed the reason comes back, and the
    /// container ends with status 127.
    fn start(&self, id: &ContainerId) -> Answer<'_, i32>;
    /// Sends a signal to its first process or to all of them.
    fn signal(&self, id: &ContainerId, signal: i32, scope: Scope) -> Answer<'_, ()>;
    /// Kills everything in it and removes all of it but the exit record.
    fn destroy(&self, id: &ContainerId) -> Answer<'_, ()>;
    /// Sets other limits; a hard memory limit is never lowered. The posix backend enforces none.
    fn resize(&self, id: &ContainerId, limits: Limits) -> Answer<'_, ()>;
    /// What it uses.
    fn usage(&self, id: &ContainerId) -> Answer<'_, Usage>;
    /// What those of them use that run.
    fn usages(&self, ids: Vec<ContainerId>) -> Answer<'_, BTreeMap<ContainerId, Measured>> {
        Box::pin(async { Ok(measure::one_by_one(self, ids).await) })
    }
    /// Runs a command in it, to its end or its timeout.
    fn exec(&self, id: &ContainerId, request: ExecRequest) -> Answer<'_, ExecOutcome>;
    /// Runs a command in it with its streams in the caller's hands; it ends when the [`Session`] is dropped.
    fn session(&self, _id: &ContainerId, _request: SessionRequest) -> Answer<'_, Session> {
        Box::pin(async {
            let cause = "this containerizer runs no commands with streams of their own";
            Err(Error::new(Code::Unavailable, cause))
        })
    }
    /// The terminal of a container that was made with one.
    fn attach(&self, id: &ContainerId) -> Answer<'_, Attached> {
        let cause = format!("container {id} has no terminal to attach to");
        Box::pin(async { Err(Error::new(Code::System, cause)) })
    }
    /// Drops the exit record, once the terminal update is stored.
    fn forget(&self, id: &ContainerId) -> Answer<'_, ()>;
    /// What happens; can be taken once.
    fn events(&self) -> Option<mpsc::Receiver<Event>>;
    /// A process in whose network the container's ports are; none where they are in the agent's own.
    fn network(&self, _: &ContainerId) -> Option<i32> {
        None
    }
    /// All processes in a container and in those nested in it; empty where that is not known. Blocks.
    fn processes(&self, _: &ContainerId) -> Vec<i32> {
        Vec::new()
    }
    /// The networks a container has joined, with its addresses there; empty for one in the agent's own.
    fn joined(&self, _: &ContainerId) -> Vec<Joined> {
        Vec::new()
    }
}
