//! The master's shell: gives the core its inputs (agents' links, schedulers' sessions, operators' requests) and carries
//! out its acts. It decides nothing.

use crate::base::error::Result;
use crate::base::kv::Op;
use crate::cluster::link::Sender;
use crate::cluster::link::local::Arrival;
use crate::framework::queue::{self, EventSender, QueueStats};
use crate::framework::server::{BoxFuture, Refusal, Reply, SchedulerServer, Subscription};
use crate::machine::driver::{Handle, Shell};
use crate::machine::requests::Requests;
use crate::master::core::MasterCore;
use crate::master::core::changes::Changes;
use crate::master::core::io::{Act, Answer, Input, LinkId, NodeId, RequestId, SessionId};
use crate::master::state::State;
use crate::master::streams::{OperatorStream, Streams};
use crate::mesos::internal::MasterMessage;
use crate::mesos::v1::scheduler;
use crate::telemetry::Counter;
use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{broadcast, mpsc};
use tokio_util::sync::CancellationToken;

/// How many requests may wait for an answer of the core.
const REQUESTS_MAX: usize = 64 * 1024;

/// How long the same reason of a refusal is not said again.
const SAID_AGAIN: Duration = Duration::from_secs(60);

/// How many batches of changes may wait for one who watches; a slower one loads everything anew.
const WATCHED_BATCHES_MAX: usize = 256;

/// Makes a batch of registry writes durable under the master's epoch.
pub type Persist = Box<dyn FnMut(Vec<Op>) -> Pin<Box<dyn Future<Output = Result<()>>>>>;

/// What the control thread and the I/O side share.
struct Shared {
    links: Mutex<HashMap<LinkId, AgentLink>>,
    sessions: Mutex<HashMap<SessionId, Arc<EventSender<scheduler::Event>>>>,
    requests: Requests<Answer>,
    next_link: AtomicU64,
    changes: broadcast::Sender<Arc<Changes>>,
    streams: Arc<Streams>,
}

/// A connection with an agent.
struct AgentLink {
    sender: Sender<MasterMessage>,
    /// Nothing more is read from it.
    cut: CancellationToken,
}

/// The locks guard plain maps, whole between statements: a panic elsewhere does not spoil them.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The door to a running master.
#[derive(Clone)]
pub struct Master {
    handle: Handle<MasterCore>,
    state: State,
    shared: Arc<Shared>,
    queues: Arc<QueueStats>,
    io: tokio::runtime::Handle,
}

/// Carries out the core's acts; runs on the control thread.
pub struct MasterShell {
    shared: Arc<Shared>,
    persist: Persist,
    closed: mpsc::UnboundedSender<Input>,
    /// What was said last of a connection that was refused, and when.
    refused: Option<(String, Instant)>,
}

impl Master {
    /// A door to the core behind `handle`, and the shell to run the core with. Tasks are spawned on `io`.
    pub fn new(
        handle: Handle<MasterCore>,
        state: State,
        persist: Persist,
        io: tokio::runtime::Handle,
    ) -> (Self, MasterShell) {
        // One message a lost link, session or stream, each of which was bounded when it was made.
        let (closed, mut closings) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            links: Mutex::default(),
            sessions: Mutex::default(),
            requests: Requests::new(REQUESTS_MAX),
            next_link: AtomicU64::new(0),
            changes: broadcast::Sender::new(WATCHED_BATCHES_MAX),
            streams: Arc::new(Streams::new(closed.clone())),
        });
        let forward = handle.clone();
        io.spawn(async move {
            while let Some(input) = closings.recv().await {
                if forward.send(input).await.is_err() {
                    break;
                }
            }
        });
        let shell = MasterShell { shared: Arc::clone(&shared), persist, closed, refused: None };
        (Self { handle, state, shared, queues: QueueStats::new(), io }, shell)
    }

    /// The core's mailbox, for reads.
    pub fn handle(&self) -> &Handle<MasterCore> {
        &self.handle
    }

    /// Frameworks' own state, as of this incarnation.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// What changes from now on, a message a batch.
    pub fn watch(&self) -> broadcast::Receiver<Arc<Changes>> {
        self.shared.changes.subscribe()
    }

    /// All that happens from the core's next batch on, beginning with a picture.
    ///
    /// # Errors
    /// [`Code::Unavailable`](crate::base::error::Code::Unavailable) when the core has ended.
    pub async fn open_stream(&self) -> Result<OperatorStream> {
        let (stream, events) = self.shared.streams.add()?;
        self.handle.send(Input::OpenStream { stream }).await?;
        Ok(events)
    }

    /// How many operators' streams ended because their reader was too slow.
    pub fn slow_streams(&self) -> &Counter {
        self.shared.streams.slow()
    }

    /// How many subscriptions ended because their reader was too slow.
    pub fn slow_subscribers(&self) -> u64 {
        self.queues.overflows()
    }

    /// Takes agents' connections until the queue closes.
    pub async fn accept(self, mut connections: mpsc::Receiver<Arrival>) {
        while let Some(Arrival { node, end }) = connections.recv().await {
            let node = NodeId(node.0);
            let link = LinkId(self.shared.next_link.fetch_add(1, Ordering::Relaxed));
            let cut = CancellationToken::new();
            let entry = AgentLink { sender: end.sender, cut: cut.clone() };
            lock(&self.shared.links).insert(link, entry);
            let (handle, shared) = (self.handle.clone(), Arc::clone(&self.shared));
            let mut messages = end.receiver;
            self.io.spawn(async move {
                while let Some(Some(message)) = cut.run_until_cancelled(messages.recv()).await {
                    let input = Input::FromAgent { link, node, message: Box::new(message) };
                    if handle.send(input).await.is_err() {
                        break;
                    }
                }
                lock(&shared.links).remove(&link);
                // A core that has ended needs no word of it.
                let _ = handle.send(Input::LinkClosed { link }).await;
            });
        }
    }

    /// Sends a request into the core and waits for its answer.
    ///
    /// # Errors
    /// As [`Requests::ask`].
    pub async fn request(&self, make: impl FnOnce(RequestId) -> Input) -> Result<Answer> {
        self.shared.requests.ask(&self.handle, |request| make(RequestId(request))).await
    }

    async fn open(
        self,
        call: scheduler::Call,
        principal: Option<String>,
    ) -> std::result::Result<Subscription, Refusal> {
        let stream_id = uuid::Uuid::new_v4().to_string();
        let session = SessionId(stream_id.as_str().into());
        let (sender, events) = queue::queue(queue::EVENT_BYTES_MAX, &self.queues);
        let sender = Arc::new(sender);
        lock(&self.shared.sessions).insert(session.clone(), Arc::clone(&sender));
        let id = session.clone();
        let answer = self
            .request(move |request| Input::Subscribe {
                request,
                session: id,
                call: Box::new(call),
                principal,
            })
            .await;
        match outcome(answer) {
            Ok(_) => {
                let handle = self.handle.clone();
                let shared = Arc::clone(&self.shared);
                self.io.spawn(async move {
                    sender.ended().await;
                    if lock(&shared.sessions).remove(&session).is_some() {
                        let _ = handle.send(Input::SessionClosed { session }).await;
                    }
                });
                Ok(Subscription { stream_id, events })
            }
            Err(refusal) => {
                lock(&self.shared.sessions).remove(&session);
                Err(refusal)
            }
        }
    }
}

fn outcome(answer: Result<Answer>) -> std::result::Result<Reply, Refusal> {
    match answer {
        Ok(Answer::Accepted) => Ok(Reply::Accepted),
        Ok(Answer::Done) => Ok(Reply::Done),
        Ok(Answer::Refused { status, text }) => Err(Refusal::new(status, text)),
        Err(e) => Err(Refusal::new(503, e.cause)),
    }
}

impl SchedulerServer for Master {
    fn subscribe(
        &self,
        call: scheduler::Call,
        principal: Option<String>,
    ) -> BoxFuture<std::result::Result<Subscription, Refusal>> {
        Box::pin(self.clone().open(call, principal))
    }

    fn call(
        &self,
        stream_id: Option<&str>,
        call: scheduler::Call,
        principal: Option<String>,
    ) -> BoxFuture<std::result::Result<Reply, Refusal>> {
        let session = stream_id.map(|id| SessionId(id.into()));
        let this = self.clone();
        Box::pin(async move {
            let call = Box::new(call);
            outcome(this.request(|request| Input::Call { request, session, call, principal }).await)
        })
    }
}

impl Shell<MasterCore> for MasterShell {
    fn persist(&mut self, writes: Vec<Op>) -> Pin<Box<dyn Future<Output = Result<()>>>> {
        (self.persist)(writes)
    }

    fn act(&mut self, act: Act) {
        match act {
            Act::ToAgent { link, message } => {
                let failed = match lock(&self.shared.links).get(&link) {
                    Some(to) => to.sender.send(*message).is_err(),
                    None => false,
                };
                // Its reader then sees the end as well and tells the core.
                if failed {
                    lock(&self.shared.links).remove(&link);
                    self.tell(Input::LinkClosed { link });
                }
            }
            Act::CloseLink { link } => {
                lock(&self.shared.links).remove(&link);
            }
            Act::RefuseLink { link, node, why } => {
                if let Some(refused) = lock(&self.shared.links).remove(&link) {
                    refused.cut.cancel();
                }
                self.tell_refused(node, why);
            }
            Act::Event { session, event } => {
                let ended = match lock(&self.shared.sessions).get(&session) {
                    Some(sender) => sender.send(event).is_err(),
                    None => false,
                };
                if ended && lock(&self.shared.sessions).remove(&session).is_some() {
                    self.tell(Input::SessionClosed { session });
                }
            }
            Act::CloseSession { session } => {
                if let Some(sender) = lock(&self.shared.sessions).remove(&session) {
                    sender.close();
                }
            }
            Act::Answer { request, answer } => self.shared.requests.answer(request.0, answer),
            Act::Changed(changes) => {
                // Fails only when nobody watches.
                let _ = self.shared.changes.send(changes);
            }
            Act::StreamOpened { stream, view, heartbeat } => {
                self.shared.streams.opened(stream, view, heartbeat);
            }
            Act::StreamHeartbeat { stream } => self.shared.streams.heartbeat(stream),
            Act::Happened(events) => self.shared.streams.happened(events),
            Act::CloseStream { stream } => self.shared.streams.close(stream),
        }
    }
}

impl Drop for MasterShell {
    fn drop(&mut self) {
        self.shared.requests.end();
        self.shared.streams.end();
    }
}

impl MasterShell {
    /// Says why; not each time that somebody comes again with the same.
    fn tell_refused(&mut self, node: NodeId, why: String) {
        let said = self.refused.as_ref();
        if said.is_some_and(|(what, at)| *what == why && at.elapsed() < SAID_AGAIN) {
            return tracing::debug!("the agent of node {node} was refused again: {why}");
        }
        tracing::warn!("the agent of node {node} was refused: {why}");
        self.refused = Some((why, Instant::now()));
    }

    fn tell(&self, input: Input) {
        // Fails only when the core has ended.
        let _ = self.closed.send(input);
    }
}
