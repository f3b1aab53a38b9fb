//! The executor port: what a custom executor needs to live on an agent. The twin of the scheduler port.
//!
//! One type over two implementations: an [`ExecutorServer`] in this process, and the agent's v1 executor API over
//! HTTP. Tasks and updates that the agent has not acknowledged are kept and told again with every subscription, so an
//! agent's restart loses nothing. When the agent stays away (longer than the recovery timeout, or at all without
//! checkpointing) the port says [`ExecutorEvent::Shutdown`]: kill the tasks and exit.

mod env;
mod ledger;
mod run;

pub use env::ExecutorEnv;
pub use ledger::UNACKNOWLEDGED_MAX;

use super::http::{CALL_TIMEOUT, Http, Trouble};
use super::server::ExecutorServer;
use crate::base::error::{Code, Error, Result};
use crate::mesos::v1::executor::{Call, Event, call, event};
use crate::mesos::v1::{ExecutorId, FrameworkId, TaskStatus, task_status};
use ledger::Ledger;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::sync::{mpsc, watch};

/// The path of the executor API on an agent.
pub const EXECUTOR_PATH: &str = "/api/v1/executor";

/// How many events wait between a port and its executor.
pub const EXECUTOR_EVENTS_MAX: usize = 256;

/// What a port tells its executor, in order.
#[derive(Clone, Debug)]
pub enum ExecutorEvent {
    /// Subscribed, for the first time or again.
    Connected(Box<event::Subscribed>),
    /// The subscription is lost; the port goes on trying.
    Disconnected {
        /// One sentence without a full stop.
        why: String,
    },
    /// LAUNCH, LAUNCH_GROUP, KILL, MESSAGE, ACKNOWLEDGED. Heartbeats are not told.
    Event(Arc<Event>),
    /// Kill the tasks, send what updates can be sent, exit: the agent said so, or it is gone for good.
    Shutdown {
        /// One sentence without a full stop.
        why: String,
    },
    /// The last thing a port says: an ERROR event, or a refusal that will not change.
    Failed(Error),
}

/// Where an executor's agent is.
#[derive(Clone)]
pub enum ExecutorEndpoint {
    /// In this process; with the token the agent gave, if it gave one.
    InProcess(Arc<dyn ExecutorServer>, Option<String>),
    /// Over HTTP; the one "master" of its options is the agent.
    Http(Http),
}

/// How an executor behaves towards its agent: `MESOS_*` of its environment, see [`ExecutorEnv`].
#[derive(Clone, Debug)]
pub struct ExecutorOptions {
    /// The framework it belongs to.
    pub framework_id: FrameworkId,
    /// Its own id.
    pub executor_id: ExecutorId,
    /// Whether it outlives its agent's restarts.
    pub checkpoint: bool,
    /// How long it waits for its agent to come back.
    pub recovery_timeout: Duration,
    /// The longest wait between two tries to subscribe again.
    pub backoff_max: Duration,
    /// How often it tells the agent that it lives.
    pub heartbeat: Duration,
}

struct Shared {
    endpoint: ExecutorEndpoint,
    options: ExecutorOptions,
    ledger: Mutex<Ledger>,
    /// The number of the open subscription; 0 when there is none.
    connected: watch::Sender<u64>,
    /// The subscription that must not be read on: an update could not be sent.
    condemned: watch::Sender<u64>,
}

impl Shared {
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn call_of(&self, kind: call::Type) -> Call {
        Call {
            framework_id: self.options.framework_id.clone(),
            executor_id: self.options.executor_id.clone(),
            r#type: Some(kind.into()),
            ..Default::default()
        }
    }

    async fn send(&self, call: Call) -> std::result::Result<(), Trouble> {
        match &self.endpoint {
            ExecutorEndpoint::InProcess(server, token) => {
                let sent = tokio::time::timeout(CALL_TIMEOUT, server.call(call, token.clone()));
                sent.await.map_err(|_| Trouble::TimedOut)?.map(drop).map_err(Trouble::Refused)
            }
            ExecutorEndpoint::Http(http) => {
                http.call(&http.host(), EXECUTOR_PATH, None, &call).await.map(drop)
            }
        }
    }
}

/// The events of a port.
pub struct ExecutorEvents(mpsc::Receiver<ExecutorEvent>);

impl ExecutorEvents {
    /// The next event; `None` after [`ExecutorEvent::Failed`] or [`ExecutorEvent::Shutdown`] for good.
    pub async fn next(&mut self) -> Option<ExecutorEvent> {
        self.0.recv().await
    }
}

/// The calling side of a port. Cheap to clone.
#[derive(Clone)]
pub struct ExecutorPort(Arc<Shared>);

impl ExecutorPort {
    /// Starts a port. Must be called within a tokio runtime; it lives until its [`ExecutorEvents`] are dropped.
    pub fn connect(
        endpoint: ExecutorEndpoint,
        options: ExecutorOptions,
    ) -> (ExecutorPort, ExecutorEvents) {
        let (tx, rx) = mpsc::channel(EXECUTOR_EVENTS_MAX);
        let shared = Arc::new(Shared {
            endpoint,
            options,
            ledger: Mutex::new(Ledger::default()),
            connected: watch::Sender::new(0),
            condemned: watch::Sender::new(0),
        });
        tokio::spawn(run::run(shared.clone(), tx));
        (ExecutorPort(shared), ExecutorEvents(rx))
    }

    /// Tells the agent a task's state. The port fills in uuid, source, executor id and time, keeps the update until it
    /// is acknowledged, and tells it again after a reconnection; so `Ok` means kept, not arrived. Updates of one task
    /// must be sent in order, by one caller.
    ///
    /// # Errors
    /// [`Code::Overloaded`] when [`UNACKNOWLEDGED_MAX`] updates are kept, [`Code::Invalid`] for what the agent refuses
    /// to take at all (such an update is not kept).
    pub async fn update(&self, mut status: TaskStatus) -> Result<()> {
        let mut uuid = [0; 16];
        getrandom::fill(&mut uuid)
            .map_err(|e| Error::new(Code::System, format!("no randomness for a uuid: {e}")))?;
        let uuid = uuid.to_vec();
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        status.uuid = Some(uuid.clone());
        status.timestamp = Some(now.as_secs_f64());
        status.executor_id = Some(self.0.options.executor_id.clone());
        status.source = Some(task_status::Source::Executor.into());
        let update = call::Update { status };
        let session = {
            let mut ledger = self.0.ledger();
            ledger.updated(update.clone())?;
            // Read under the lock: see `run::tell_the_rest`.
            let session = *self.0.connected.borrow();
            if session == 0 {
                return Ok(());
            }
            ledger.untold();
            session
        };
        let call = Call { update: Some(update), ..self.0.call_of(call::Type::Update) };
        match self.0.send(call).await {
            Ok(()) => Ok(()),
            Err(Trouble::Refused(refusal)) if refusal.status == 400 => {
                self.0.ledger().forget(&uuid);
                Err(refusal.error())
            }
            Err(_) => {
                // A new subscription tells it again.
                self.0.condemned.send_replace(session);
                Ok(())
            }
        }
    }

    /// Sends a message to the framework; best effort.
    ///
    /// # Errors
    /// [`Code::Unavailable`] when not subscribed, else why it could not be sent.
    pub async fn message(&self, data: Vec<u8>) -> Result<()> {
        if *self.0.connected.borrow() == 0 {
            return Err(Error::new(Code::Unavailable, "not subscribed"));
        }
        let message = Some(call::Message { data });
        let call = Call { message, ..self.0.call_of(call::Type::Message) };
        self.0.send(call).await.map_err(|trouble| trouble.error())
    }

    /// Waits until the agent has acknowledged every update, or until the time is over; tells which.
    pub async fn drained(&self, within: Duration) -> bool {
        let mut changes = self.0.ledger().watch();
        let all = changes.wait_for(|updates| *updates == 0);
        tokio::time::timeout(within, all).await.is_ok()
    }
}
