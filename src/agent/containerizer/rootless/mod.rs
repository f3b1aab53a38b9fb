//! Containers of an agent that is no root: the supervisor runs in a user namespace in which it may do everything, and which
//! the kernel lets do nothing that the user could not.
//!
//! One user is mapped, the agent's own, onto itself: tasks are who they would be as plain processes, and all that they leave
//! behind is the user's. Ranges of `/etc/subuid` are not used: what other users of a range leave in a sandbox the agent could
//! not remove. What needs root stays out: bridges and CNI networks, other users, the agent's own pid and ipc namespaces.

pub mod delegated;
mod enter;
pub mod limits;
mod view;

pub use enter::{FLAG, attempt, enter, rename, settle};
pub use view::without_v1;

use std::sync::atomic::{AtomicBool, Ordering};

/// By whose right containers are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rights {
    /// Root's.
    Root,
    /// Those within a user namespace.
    UserNamespace,
    /// None: why there are neither.
    Lacking(String),
}

/// Set once, while there is one thread; children have it by being forked.
static ENTERED: AtomicBool = AtomicBool::new(false);

/// Whether this process is in the supervisor's user namespace.
pub fn entered() -> bool {
    ENTERED.load(Ordering::Relaxed)
}

/// What of a container needs root, if it asks for such.
///
/// # Errors
/// A text.
pub fn check(spec: &super::spec::ContainerSpec) -> Result<(), String> {
    if !entered() {
        return Ok(());
    }
    let shares = |shared: bool| shared && spec.nested.is_none();
    let asked = [
        (!spec.linux.networks.is_empty(), "joining a network"),
        (shares(spec.linux.share_pid), "sharing the agent's pid namespace"),
        (shares(spec.linux.share_ipc), "sharing the agent's IPC namespace"),
    ];
    match asked.iter().find(|(asked, _)| *asked) {
        Some((_, what)) => Err(format!(
            "{what} needs an agent that runs as root; this one makes containers in a user namespace"
        )),
        None => Ok(()),
    }
}
