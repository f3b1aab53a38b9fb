//! The agent's shell: gives the core its inputs (the master's messages, executors' calls, what containers do) and
//! carries out its acts. It decides nothing.

use super::checks;
use super::containers::{Containers, Op as ContainerOp};
use super::volumes::{Volumes, Wanted};
use super::{ports, sandbox};
use crate::agent::core::AgentCore;
use crate::agent::core::io::{Act, Answer, Input, LinkId, RequestId, SessionId};
use crate::agent::fetcher::Counts;
use crate::base::error::{Code, Error, Result};
use crate::base::kv::Op;
use crate::cluster::link::Sender;
use crate::framework::queue::{self, EventReceiver, EventSender, QueueStats};
use crate::framework::server::{BoxFuture, ExecutorServer, Refusal, Reply};
use crate::http::files::FileTable;
use crate::machine::driver::{Handle, Shell};
use crate::machine::requests::Requests;
use crate::mesos::internal::AgentMessage;
use crate::mesos::v1::executor;
use crate::store::AgentStore;
use std::collections::HashMap;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// How many requests of executors may wait for an answer of the core.
const REQUESTS_MAX: usize = 16 * 1024;

/// What the control thread and the I/O side share.
struct Shared {
    link: Mutex<Option<(LinkId, Sender<AgentMessage>)>>,
    leave: watch::Sender<Option<LinkId>>,
    sessions: Mutex<HashMap<SessionId, Arc<EventSender<executor::Event>>>>,
    requests: Requests<Answer>,
    next: AtomicU64,
    stopped: watch::Sender<Option<Result<usize>>>,
}

/// The locks guard plain maps, whole between statements: a panic elsewhere does not spoil them.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The door to a running agent.
#[derive(Clone)]
pub struct Agent {
    handle: Handle<AgentCore>,
    shared: Arc<Shared>,
    queues: Arc<QueueStats>,
    fetched: Arc<Counts>,
    io: tokio::runtime::Handle,
}

/// Carries out the core's acts; runs on the control thread.
pub struct AgentShell {
    shared: Arc<Shared>,
    handle: Handle<AgentCore>,
    store: Arc<AgentStore>,
    containers: Containers,
    files: FileTable,
    volumes: Volumes,
    work_dir: PathBuf,
    io: tokio::runtime::Handle,
}

/// What a shell works with.
pub struct Tools {
    /// The agent's database.
    pub store: Arc<AgentStore>,
    /// Makes and ends containers.
    pub containers: Containers,
    /// Virtual paths of sandboxes.
    pub files: FileTable,
    /// Where sandboxes are.
    pub work_dir: PathBuf,
}

impl Agent {
    /// A door to the core behind `handle`, and the shell to run the core with. Tasks are spawned on `io`.
    pub fn new(
        handle: Handle<AgentCore>,
        tools: Tools,
        io: tokio::runtime::Handle,
    ) -> (Self, AgentShell) {
        let shared = Arc::new(Shared {
            link: Mutex::default(),
            leave: watch::Sender::default(),
            sessions: Mutex::default(),
            requests: Requests::new(REQUESTS_MAX),
            next: AtomicU64::new(0),
            stopped: watch::Sender::default(),
        });
        let fetched = tools.containers.fetched();
        let shell = AgentShell {
            shared: Arc::clone(&shared),
            handle: handle.clone(),
            store: tools.store,
            containers: tools.containers,
            files: tools.files,
            volumes: Volumes::new(&io),
            work_dir: tools.work_dir,
            io: io.clone(),
        };
        (Self { handle, shared, queues: QueueStats::new(), fetched, io }, shell)
    }

    /// The core's mailbox, for reads.
    pub fn handle(&self) -> &Handle<AgentCore> {
        &self.handle
    }

    /// What was fetched for tasks so far.
    pub fn fetched(&self) -> &Counts {
        &self.fetched
    }

    /// Tells the core to stop, ending the tasks first or leaving them, and waits until it has; answers how many tasks
    /// go on.
    ///
    /// # Errors
    /// [`Code::Unavailable`] when the core has ended otherwise.
    pub async fn stop(&self, kill_tasks: bool) -> Result<usize> {
        let mut stopped = self.shared.stopped.subscribe();
        self.handle.send(Input::Stop { kill_tasks }).await?;
        let left = stopped.wait_for(Option::is_some).await.map_err(|_| ended())?;
        left.clone().unwrap_or_else(|| Err(ended()))
    }

    /// The core has ended without a word: whoever waits for it to stop is told why.
    pub fn give_up(&self, why: Error) {
        self.shared.stopped.send_if_modified(|stopped| {
            let silent = stopped.is_none();
            if silent {
                *stopped = Some(Err(why));
            }
            silent
        });
    }

    /// Completes when the core has stopped; answers how many tasks go on.
    ///
    /// # Errors
    /// Why the core ended without having stopped.
    pub async fn stopped(&self) -> Result<usize> {
        let mut stopped = self.shared.stopped.subscribe();
        let left = stopped.wait_for(Option::is_some).await.map_err(|_| ended())?;
        left.clone().unwrap_or_else(|| Err(ended()))
    }

    /// Asks the core something about a container that is known by its name, and waits for the answer.
    ///
    /// # Errors
    /// [`Code::Overloaded`] when too many wait, [`Code::Unavailable`] when the core has ended.
    pub async fn ask_container(&self, make: impl FnOnce(RequestId) -> Input) -> Result<Answer> {
        self.shared.requests.ask(&self.handle, |request| make(RequestId(request))).await
    }

    /// Takes over a connection with a master until it ends.
    pub async fn serve(&self, connection: crate::cluster::link::local::AgentEnd) {
        let link = LinkId(self.shared.next.fetch_add(1, Ordering::Relaxed));
        *lock(&self.shared.link) = Some((link, connection.sender));
        let mut leave = self.shared.leave.subscribe();
        let mut messages = connection.receiver;
        if self.handle.send(Input::MasterConnected { link }).await.is_err() {
            return;
        }
        loop {
            let message = tokio::select! {
                message = messages.recv() => message,
                _ = leave.wait_for(|left| *left == Some(link)) => None,
            };
            let Some(message) = message else { break };
            let input = Input::FromMaster { link, message: Box::new(message) };
            if self.handle.send(input).await.is_err() {
                return;
            }
        }
        *lock(&self.shared.link) = None;
        // A core that has ended needs no word of it.
        let _ = self.handle.send(Input::MasterLost { link }).await;
    }

    async fn request(
        &self,
        make: impl FnOnce(RequestId) -> Input,
    ) -> std::result::Result<Reply, Refusal> {
        let make = |request| make(RequestId(request));
        match self.shared.requests.ask(&self.handle, make).await {
            Ok(Answer::Accepted) => Ok(Reply::Accepted),
            Ok(Answer::Done | Answer::Ended(_)) => {
                Err(Refusal::new(500, "an executor was answered as somebody else"))
            }
            Ok(Answer::Refused { status, text }) => Err(Refusal::new(status, text)),
            Err(e) => Err(Refusal::new(503, e.cause)),
        }
    }

    async fn open(
        self,
        call: executor::Call,
    ) -> std::result::Result<EventReceiver<executor::Event>, Refusal> {
        let session = SessionId(self.shared.next.fetch_add(1, Ordering::Relaxed));
        let (sender, events) = queue::queue(queue::EVENT_BYTES_MAX, &self.queues);
        let sender = Arc::new(sender);
        lock(&self.shared.sessions).insert(session, Arc::clone(&sender));
        let call = Box::new(call);
        let make = |request| Input::ExecutorSubscribe { request, session, call };
        if let Err(refusal) = self.request(make).await {
            lock(&self.shared.sessions).remove(&session);
            return Err(refusal);
        }
        let (handle, shared) = (self.handle.clone(), Arc::clone(&self.shared));
        self.io.spawn(async move {
            sender.ended().await;
            lock(&shared.sessions).remove(&session);
            let _ = handle.send(Input::ExecutorClosed { session }).await;
        });
        Ok(events)
    }
}

fn ended() -> Error {
    Error::new(Code::Unavailable, "the agent is stopping")
}

impl ExecutorServer for Agent {
    fn subscribe(
        &self,
        call: executor::Call,
        _token: Option<String>,
    ) -> BoxFuture<std::result::Result<EventReceiver<executor::Event>, Refusal>> {
        Box::pin(self.clone().open(call))
    }

    fn call(
        &self,
        call: executor::Call,
        _token: Option<String>,
    ) -> BoxFuture<std::result::Result<Reply, Refusal>> {
        let this = self.clone();
        let call = Box::new(call);
        Box::pin(async move { this.request(|request| Input::ExecutorCall { request, call }).await })
    }
}

impl Drop for AgentShell {
    fn drop(&mut self) {
        self.shared.requests.end();
    }
}

impl AgentShell {
    /// Runs something on the I/O side whose result is an input.
    fn spawn(&self, work: impl Future<Output = Input> + Send + 'static) {
        let handle = self.handle.clone();
        self.io.spawn(async move {
            let input = work.await;
            // A core that has ended needs no result.
            let _ = handle.send(input).await;
        });
    }

    fn to_master(&self, link: LinkId, message: AgentMessage) {
        let mut current = lock(&self.shared.link);
        if let Some((now, sender)) = current.as_ref()
            && *now == link
            && sender.send(message).is_err()
        {
            *current = None;
            self.shared.leave.send_replace(Some(link));
        }
    }

    fn executor_act(&self, act: Act) {
        match act {
            Act::ExecutorEvent { session, event } => {
                let sender = lock(&self.shared.sessions).get(&session).cloned();
                if let Some(sender) = sender {
                    // A queue that has ended tells the core by itself.
                    let _ = sender.send(Arc::new(*event));
                }
            }
            Act::CloseExecutor { session } => {
                if let Some(sender) = lock(&self.shared.sessions).remove(&session) {
                    sender.close();
                }
            }
            Act::Answer { request, answer } => self.shared.requests.answer(request.0, answer),
            _ => {}
        }
    }

    fn sandbox_act(&self, act: Act) {
        match act {
            // One that is not there yet is shown as soon as it is made.
            Act::AttachSandbox { framework_id, executor_id, container, sandbox }
                if sandbox.exists() =>
            {
                sandbox::attach(&self.files, &framework_id, &executor_id, &container, &sandbox);
            }
            Act::RemoveSandbox { path } => {
                sandbox::detach(&self.files, &path);
                let work_dir = self.work_dir.clone();
                self.spawn(async move {
                    let result = sandbox::remove(work_dir, path.clone()).await;
                    Input::SandboxRemoved { path, result: result.map_err(|e| e.cause) }
                });
            }
            Act::SettleVolumes { make, remove, roots } => {
                let settled = self.volumes.settle(Wanted { make, remove, roots });
                self.spawn(async move { Input::VolumesSettled { removed: settled.await } });
            }
            Act::MeasureSandbox { container, path } => {
                self.spawn(async move {
                    let bytes = sandbox::size(path).await;
                    Input::SandboxUsage { container, bytes }
                });
            }
            Act::MeasureDisk => {
                let work_dir = self.work_dir.clone();
                self.spawn(
                    async move { Input::DiskUsage { used: sandbox::disk_used(work_dir).await } },
                );
            }
            _ => {}
        }
    }
}

impl Shell<AgentCore> for AgentShell {
    fn persist(&mut self, writes: Vec<Op>) -> Pin<Box<dyn Future<Output = Result<()>>>> {
        Box::pin(self.store.write(writes))
    }

    fn act(&mut self, act: Act) {
        match act {
            Act::ToMaster { link, message } => self.to_master(link, *message),
            Act::LeaveMaster { link } => {
                self.shared.leave.send_replace(Some(link));
            }
            Act::Prepare(launch) => {
                self.containers.ask(&launch.container.clone(), ContainerOp::Prepare(launch));
            }
            Act::Create(launch) => {
                self.containers.ask(&launch.container.clone(), ContainerOp::Create(launch));
            }
            Act::Start { container } => self.containers.ask(&container, ContainerOp::Start),
            Act::Resize { container, limits } => {
                self.containers.ask(&container, ContainerOp::Resize(limits));
            }
            Act::Signal { container, signal } => {
                self.containers.ask(&container, ContainerOp::Signal(signal));
            }
            Act::Destroy { container } => self.containers.ask(&container, ContainerOp::Destroy),
            Act::Forget { container } => self.containers.ask(&container, ContainerOp::Forget),
            Act::Check { container, task_id, check, which, timeout } => {
                let containerizer = self.containers.containerizer();
                self.spawn(async move {
                    let outcome = checks::run(containerizer, &container, &check, timeout).await;
                    Input::Checked { container, task_id, which, outcome }
                });
            }
            Act::LookAtPorts { containers } => {
                let containerizer = self.containers.containerizer();
                self.spawn(async move {
                    let all = ports::listening(containerizer, containers).await;
                    Input::Listening { all }
                });
            }
            Act::Warn { text } => tracing::warn!("{text}"),
            Act::Stopped { tasks_left } => {
                self.shared.stopped.send_replace(Some(Ok(tasks_left)));
            }
            act @ (Act::ExecutorEvent { .. } | Act::CloseExecutor { .. } | Act::Answer { .. }) => {
                self.executor_act(act);
            }
            act @ (Act::AttachSandbox { .. }
            | Act::RemoveSandbox { .. }
            | Act::SettleVolumes { .. }
            | Act::MeasureSandbox { .. }
            | Act::MeasureDisk) => {
                self.sandbox_act(act);
            }
        }
    }
}
