//! What Marathon's clients send and see, as types: apps, groups, and changes of both.
//!
//! An [`App`] is whole and normalised: nothing in it is left to a default, old spellings are gone. What a
//! client sends is read as an [`AppUpdate`] or a [`GroupUpdate`] (`read`), which is laid over what there is.
//! Rules between fields are in `validate`; what is done with an app is in `core`.

mod app;
mod body;
mod complete;
mod constraint;
mod container;
mod failures;
mod group;
mod health;
mod network;
mod number;
mod path;
pub mod read;
mod resources;
mod rules;
mod strategy;
mod timestamp;
mod translate;
mod update;

pub use app::{App, Fetch, VersionInfo};
pub use body::AppBody;
pub use complete::define;
pub use constraint::{Constraint, Operator};
pub use container::{
    Container, Docker, Engine, HostVolume, IpcInfo, IpcMode, LinuxInfo, Parameter, ReadMode,
    Seccomp,
};
pub use failures::{Failures, Rejection};
pub use group::{Group, GroupUpdate};
pub use health::{
    Check, CheckKind, HealthCheck, HealthProtocol, HttpScheme, IpProtocol, MesosCommand,
    ReadinessCheck,
};
pub use network::{Network, NetworkMode, PortDefinition, PortMapping, Protocol};
pub use path::{PathError, PathId};
pub use resources::{ExecutorResources, Limit, ResourceLimits};
pub use rules::Rules;
pub use strategy::{KillSelection, UnreachableStrategy, UpgradeStrategy};
pub use timestamp::Timestamp;
pub use update::AppUpdate;
