//! What the endpoints need of the running service, whoever runs it.

use crate::base::error::Result;
use crate::marathon::core::io::{Answer, Command};
use crate::marathon::core::view::View;
use crate::marathon::model::{App, Group, PathId, Timestamp};
use std::pin::Pin;
use std::sync::Arc;

/// An answer that is waited for.
pub type Wait<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// The way to the core.
pub trait Door: Send + Sync {
    /// The picture of the moment; all it shows is durable.
    fn view(&self) -> Wait<'_, Arc<View>>;

    /// Asks for a change, and waits until it is answered.
    fn request(&self, command: Command) -> Wait<'_, Answer>;

    /// An earlier, or the present, version of an app; none when it is not kept.
    fn app_version(&self, app: PathId, version: Timestamp) -> Wait<'_, Option<Arc<App>>>;

    /// An earlier, or the present, root group; none when it is not kept.
    fn root_version(&self, version: Timestamp) -> Wait<'_, Option<Arc<Group>>>;

    /// Gives up leading; somebody else, or this node again, takes over.
    fn abdicate(&self) -> Wait<'_, ()>;
}
