//! What the endpoints need of the running service, whoever runs it.

use crate::base::error::Result;
use crate::base::explain::Explanation;
use crate::chronos::core::io::{Answer, Command};
use crate::chronos::core::run::Run;
use crate::chronos::core::view::{JobDetail, Numbers, View};
use std::pin::Pin;
use std::sync::Arc;

/// An answer that is waited for.
pub type Wait<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// The way to the core. All that a read shows is durable.
pub trait Door: Send + Sync {
    /// All jobs.
    fn view(&self) -> Wait<'_, View>;

    /// One job; `None` if there is none of that name.
    fn job(&self, name: String) -> Wait<'_, Option<JobDetail>>;

    /// All runs that are not over.
    fn runs(&self) -> Wait<'_, Vec<Arc<Run>>>;

    /// Why a job does not run just now; `None` if there is none of that name.
    fn why(&self, name: String) -> Wait<'_, Option<Explanation>>;

    /// Numbers for `/metrics`.
    fn numbers(&self) -> Wait<'_, Numbers>;

    /// Asks for a change, and waits until it is durable or refused.
    fn request(&self, command: Command) -> Wait<'_, Answer>;
}
