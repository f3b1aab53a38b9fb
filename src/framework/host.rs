//! Hosts a framework of our own: takes its state, builds its core from it and drives it, keeps it subscribed.
//!
//! What a framework decides is in its core, what its users see in its own room. Whatever fails here (the state, the
//! subscription, a write) discards the core with all it had pending, and a new one is built from the rows.

use super::http::{Http, HttpOptions};
use super::scheduler::{Endpoint, Port, PortEvent, PortEvents, Subscriber};
use super::server::SchedulerServer;
use super::state::{Journal, Scope, StatePort, StateServer};
use crate::base::error::{Code, Error, Result, Retry};
use crate::base::kv::Op;
use crate::base::rng::Rng;
use crate::machine::control::Control;
use crate::machine::driver::{self, Clock, Handle, Shell};
use crate::machine::{Cx, Effects, Machine};
use crate::mesos::v1::scheduler::{Call, Event, event};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::JoinSet;

/// How many calls of a core may wait to be sent; beyond that the subscription is given up, and the core reconciles.
pub const CALLS_WAITING_MAX: usize = 16 * 1024;

/// First pause after a core was discarded; doubles up to [`PAUSE_MAX`] while none lives for long.
const PAUSE_MIN: Duration = Duration::from_millis(50);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// A framework that can be hosted.
pub trait Framework: Send + Sync + 'static {
    /// Its core.
    type Core: Machine<Write = Op, Input: Send> + 'static;
    /// What carries out its acts.
    type Shell: Shell<Self::Core> + Send;
    /// What its HTTP face works with.
    type Door: Clone + Send + Sync + 'static;

    /// Builds the core from all its rows.
    ///
    /// # Errors
    /// Rows that cannot be read.
    fn recover(
        &self,
        rows: Vec<(String, Vec<u8>)>,
        cx: &mut Cx<'_>,
        out: &mut Effects<Self::Core>,
    ) -> Result<Self::Core>;

    /// What the core wants to be subscribed as.
    fn subscriber(&self, core: &Self::Core) -> Subscriber;

    /// The door, and the shell to drive the core with.
    fn open(&self, tools: Tools<Self::Core>) -> (Self::Door, Self::Shell);

    /// Subscribed, for the first time or again.
    fn subscribed(&self, subscribed: event::Subscribed) -> <Self::Core as Machine>::Input;

    /// The subscription is lost.
    fn disconnected(&self, why: String) -> <Self::Core as Machine>::Input;

    /// An event of the master.
    fn event(&self, event: Arc<Event>) -> <Self::Core as Machine>::Input;

    /// A call was refused, or may not have arrived.
    fn undelivered(&self, call: Call) -> <Self::Core as Machine>::Input;

    /// What makes the rows forget the framework's id: the master does not want it any more.
    fn forget_id(&self) -> Vec<Op>;
}

/// What a shell works with.
pub struct Tools<M: Machine> {
    /// The core's mailbox.
    pub handle: Handle<M>,
    /// Takes the core's writes.
    pub journal: Arc<Journal>,
    /// Takes the core's calls.
    pub caller: Caller,
    /// Notified, it ends this life of the core; another begins, here or elsewhere.
    pub leave: Arc<Notify>,
}

/// Takes calls, in order, from a shell that must not wait.
#[derive(Clone)]
pub struct Caller {
    calls: mpsc::Sender<Call>,
    lost: Arc<watch::Sender<u64>>,
}

impl Caller {
    /// Sends a call after those before it. One that fails is told to the core as undelivered.
    pub fn call(&self, call: Call) {
        if self.calls.try_send(call).is_err() {
            self.lost.send_modify(|lost| *lost += 1);
        }
    }
}

/// When hosting ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// Never: this process is the framework's home.
    Never,
    /// When it is refused for good, or another process has taken the state over.
    WhenRefused,
}

/// Where a framework lives.
#[derive(Clone)]
pub struct Ground {
    /// Where it subscribes.
    pub scheduler: Endpoint,
    /// Where its rows are.
    pub state: StatePort,
    /// Where its core runs.
    pub control: Control,
    /// The process's clocks.
    pub clock: Clock,
    /// Who this process is, for people who read the state.
    pub holder: String,
    /// When to give up.
    pub ends: Ends,
}

impl Ground {
    /// Where a master lives in the same process.
    ///
    /// # Errors
    /// [`Code::Invalid`] for a bad namespace.
    pub fn in_process(
        master: Arc<dyn SchedulerServer>,
        state: Arc<dyn StateServer>,
        namespace: &str,
        control: Control,
        clock: Clock,
    ) -> Result<Self> {
        let scope = Scope { namespace: namespace.to_string(), principal: None };
        Ok(Self {
            scheduler: Endpoint::in_process(master, None),
            state: StatePort::in_process(state, scope)?,
            control,
            clock,
            holder: format!("{namespace}, process {}", std::process::id()),
            ends: Ends::Never,
        })
    }

    /// Where the masters are asked over HTTP.
    ///
    /// # Errors
    /// As `Http::new`; [`Code::Invalid`] for a bad namespace.
    pub fn over_http(
        options: HttpOptions,
        namespace: &str,
        control: Control,
        clock: Clock,
    ) -> Result<Self> {
        let http = Http::new(options)?;
        Ok(Self {
            scheduler: Endpoint::with_client(http.clone()),
            state: StatePort::http(http, namespace)?,
            control,
            clock,
            holder: format!("{namespace}, process {}", std::process::id()),
            ends: Ends::WhenRefused,
        })
    }
}

/// Hosts the framework until `stop` fires. `running` holds its door while there is a core.
///
/// # Errors
/// As [`Ground::ends`] says.
pub async fn run<F: Framework>(
    framework: Arc<F>,
    ground: Ground,
    running: &watch::Sender<Option<F::Door>>,
    mut stop: watch::Receiver<bool>,
) -> Result<()> {
    let mut pause = PAUSE_MIN;
    let mut told = None;
    loop {
        let started = ground.clock.mono();
        let outcome = tokio::select! {
            // The sender outlives this, or there is nobody to host for.
            _ = stop.wait_for(|stop| *stop) => Ok(()),
            outcome = live(&framework, &ground, running) => outcome,
        };
        running.send_replace(None);
        let Err(e) = outcome else { return Ok(()) };
        if ground.ends == Ends::WhenRefused && is_final(&e) {
            return Err(e);
        }
        if ground.clock.mono().since(started) > PAUSE_MAX {
            (pause, told) = (PAUSE_MIN, None);
        }
        let text = e.to_string();
        if told.as_ref() != Some(&text) {
            tracing::warn!("{}: {text}; trying again", ground.holder);
            told = Some(text);
        }
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return Ok(()),
            () = tokio::time::sleep(pause) => {}
        }
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

fn is_final(e: &Error) -> bool {
    let refused =
        matches!(e.code, Code::Conflict | Code::Forbidden | Code::Invalid | Code::Corrupt);
    refused && e.retry == Retry::Never
}

/// One life of the core: from its rows to the first failure.
async fn live<F: Framework>(
    framework: &Arc<F>,
    ground: &Ground,
    running: &watch::Sender<Option<F::Door>>,
) -> Result<()> {
    let (journal, rows) = Journal::open(ground.state.clone(), &ground.holder).await?;
    let journal = Arc::new(journal);
    let (handle, mailbox) = driver::mailbox();
    let (calls, waiting) = mpsc::channel(CALLS_WAITING_MAX);
    let (lost, overflow) = watch::channel(0);
    let caller = Caller { calls, lost: Arc::new(lost) };
    let leave = Arc::new(Notify::new());
    let tools =
        Tools { handle: handle.clone(), journal: journal.clone(), caller, leave: leave.clone() };
    let seed = getrandom::u64()
        .map_err(|e| Error::new(Code::System, format!("the system gives no randomness: {e}")))?;
    let (clock, builder) = (ground.clock.clone(), framework.clone());
    let (tell, built) = oneshot::channel();
    // Dropped with this life, whoever ends it: the core is discarded then, also where a shell holds its own mailbox.
    let (life, over) = oneshot::channel::<()>();
    let driven = ground.control.run(move || async move {
        let mut rng = Rng::new(seed);
        let mut cx = Cx { now: clock.mono(), wall: clock.wall(), rng: &mut rng };
        let mut out = Effects::default();
        let core = match builder.recover(rows, &mut cx, &mut out) {
            Ok(core) => core,
            Err(e) => {
                drop(tell.send(Err(e)));
                return Ok(());
            }
        };
        let (door, shell) = builder.open(tools);
        drop(tell.send(Ok((door, builder.subscriber(&core)))));
        tokio::select! {
            ended = driver::run(core, shell, clock, rng, mailbox, out) => ended,
            _ = over => Ok(()),
        }
    });
    let driven = driven.await?;
    let built = built.await;
    let (door, subscriber) =
        built.map_err(|_| Error::new(Code::Internal, "a core ended while it was built"))??;
    let (port, events) = ground.scheduler.clone().connect_as(subscriber);
    // Ended with this life: what it holds of the core goes with it.
    let mut helpers = JoinSet::new();
    helpers.spawn(call_all(port.clone(), waiting, overflow, framework.clone(), handle.clone()));
    running.send_replace(Some(door));
    let failed = tokio::select! {
        failed = hear(framework, events, &handle) => Some(failed),
        () = leave.notified() => {
            Some(Error::new(Code::Unavailable, "it was asked to give up leading"))
        }
        // Only a failure ends the core while its mailbox is held.
        () = handle.ended() => None,
    };
    running.send_replace(None);
    helpers.shutdown().await;
    drop(life);
    let ended = driven.wait().await;
    let Some(failed) = failed else {
        ended??;
        return Err(Error::new(Code::Internal, "a core ended without a reason"));
    };
    if is_removed(&failed) {
        journal.write(framework.forget_id()).await?;
    }
    Err(failed)
}

/// Whether the master will never take this framework's id again.
fn is_removed(e: &Error) -> bool {
    e.cause.contains("Framework has been removed")
}

/// Tells the core what the port says, until it says its last.
async fn hear<F: Framework>(
    framework: &Arc<F>,
    mut events: PortEvents,
    handle: &Handle<F::Core>,
) -> Error {
    while let Some(event) = events.next().await {
        let input = match event {
            PortEvent::Connected(subscribed) => framework.subscribed(*subscribed),
            PortEvent::Disconnected { why } => framework.disconnected(why),
            PortEvent::Event(event) => framework.event(event),
            PortEvent::Failed(e) => return e.context("the master refused the framework"),
        };
        if let Err(e) = handle.send(input).await {
            return e;
        }
    }
    Error::new(Code::Unavailable, "the scheduler port has ended")
}

/// Sends the core's calls one after the other.
async fn call_all<F: Framework>(
    port: Port,
    mut waiting: mpsc::Receiver<Call>,
    mut overflow: watch::Receiver<u64>,
    framework: Arc<F>,
    handle: Handle<F::Core>,
) {
    loop {
        let call = tokio::select! {
            call = waiting.recv() => match call {
                Some(call) => call,
                None => return,
            },
            lost = overflow.changed() => {
                if lost.is_err() {
                    return;
                }
                tracing::warn!("calls came faster than they were sent; subscribing again");
                port.reconnect();
                continue;
            }
        };
        if let Err(e) = port.call(call.clone()).await {
            tracing::debug!("{} was not delivered: {e}", call.r#type().as_str_name());
            // It may arrive yet. On another subscription it is refused then, whatever the core does meanwhile.
            if matches!(e.code, Code::Timeout | Code::Unavailable) {
                port.reconnect();
            }
            if handle.send(framework.undelivered(call)).await.is_err() {
                return;
            }
        }
    }
}
