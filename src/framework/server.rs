//! What a master offers to schedulers and an agent to executors, in HTTP's terms but without HTTP.
//!
//! The HTTP faces and the in-process ports both call these traits, so that a framework inside the process meets the
//! same validation, the same refusals and the same limits as one outside.

use super::queue::EventReceiver;
use crate::base::error::{Code, Error, Retry};
use crate::mesos::v1::{executor, scheduler};
use std::future::Future;
use std::pin::Pin;

/// A boxed future, as trait objects need it.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send + 'static>>;

/// An open subscription of a scheduler.
pub struct Subscription {
    /// The `Mesos-Stream-Id`, at most 128 bytes; goes with every further call.
    pub stream_id: String,
    /// The events; SUBSCRIBED comes first. Dropping it ends the subscription.
    pub events: EventReceiver<scheduler::Event>,
}

/// The answer to a call that was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// 202: what comes of it is told by events.
    Accepted,
    /// 200: done.
    Done,
}

/// The answer to a call that was not taken: an HTTP status and its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// 3xx, 4xx or 5xx.
    pub status: u16,
    /// The body, in the original's words.
    pub text: String,
    /// Of a 307: where the leader is, `//host:port` and the path.
    pub location: Option<String>,
}

impl Refusal {
    /// A refusal without a location.
    pub fn new(status: u16, text: impl Into<String>) -> Self {
        Self { status, text: text.into(), location: None }
    }

    /// The answer of a node that does not lead; `leader` is `host:port`, `path` begins with `/`.
    pub fn redirect(leader: &str, path: &str) -> Self {
        Self { status: 307, text: String::new(), location: Some(format!("//{leader}{path}")) }
    }

    /// Whether the same request can never succeed: the port gives up instead of trying again.
    pub fn is_final(&self) -> bool {
        (400..500).contains(&self.status) && !matches!(self.status, 408 | 425 | 429)
            || self.status == 501
    }

    /// The refusal as this program's error.
    pub fn error(&self) -> Error {
        let code = match self.status {
            401 | 403 => Code::Forbidden,
            404 => Code::NotFound,
            409 | 412 => Code::Conflict,
            408 => Code::Timeout,
            429 => Code::Overloaded,
            400..=499 | 501 => Code::Invalid,
            _ => Code::Unavailable,
        };
        let text = self.text.trim();
        let cause = match (text, self.status) {
            ("", 307) => "this master does not lead".to_string(),
            ("", 401) => "401 Unauthorized".to_string(),
            ("", status) => format!("the answer was {status}"),
            (text, _) => text.to_string(),
        };
        let mut error = Error::new(code, cause);
        if (300..400).contains(&self.status) {
            error.retry = Retry::OtherNode;
        }
        error
    }
}

/// The scheduler side of a master.
pub trait SchedulerServer: Send + Sync + 'static {
    /// Opens an event stream. `call.type` is SUBSCRIBE; `principal` is who is calling, when authenticated.
    ///
    /// A subscription that is refused for what it asks (roles, a removed framework …) is opened all the same: its
    /// only event is ERROR.
    fn subscribe(
        &self,
        call: scheduler::Call,
        principal: Option<String>,
    ) -> BoxFuture<Result<Subscription, Refusal>>;

    /// Any other call. Never waits for room: a full queue is a refusal with 503.
    fn call(
        &self,
        stream_id: Option<&str>,
        call: scheduler::Call,
        principal: Option<String>,
    ) -> BoxFuture<Result<Reply, Refusal>>;
}

/// The executor side of an agent.
pub trait ExecutorServer: Send + Sync + 'static {
    /// Opens an event stream. `call.type` is SUBSCRIBE; `token` is the bearer token, if one was sent.
    fn subscribe(
        &self,
        call: executor::Call,
        token: Option<String>,
    ) -> BoxFuture<Result<EventReceiver<executor::Event>, Refusal>>;

    /// Any other call.
    fn call(
        &self,
        call: executor::Call,
        token: Option<String>,
    ) -> BoxFuture<Result<Reply, Refusal>>;
}
