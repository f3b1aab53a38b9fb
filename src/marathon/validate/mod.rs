//! The rules that definitions keep, checked all at once: every broken rule with its path, in Marathon's words.
//! Pure. The form of a request was checked when it was read (`model::read`).

mod app;
mod checks;
mod container;
mod group;
mod network;
mod role;

pub use app::{INSTANCES_MAX, PORTS_MAX, app};
pub use group::{APPS_MAX, GROUPS_MAX, root};
pub use role::default_role;
