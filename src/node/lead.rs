//! Leading: while this node leads, a master core runs under an epoch of its own; when the epoch is lost or a write
//! fails, the core and all it had pending are discarded, and a new one is built from the registry.

use super::cluster::Company;
use crate::base::error::{Code, Error, Result};
use crate::base::kv::Op;
use crate::base::rng::Rng;
use crate::base::version::MESOS_VERSION;
use crate::cluster::consensus::{self, Epoch, ProposeError, Registry};
use crate::cluster::link::local::Switchboard;
use crate::cluster::roster::Seat;
use crate::cluster::roster::steer::steer;
use crate::machine::control::Control;
use crate::machine::driver::{self, Clock};
use crate::machine::{Cx, Effects};
use crate::master::api::identity::Identity;
use crate::master::core::{Identity as CoreIdentity, MasterCore};
use crate::master::options::Options;
use crate::master::service::{Master, Persist};
use crate::master::state::State;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::task::{AbortHandle, JoinHandle};

/// First pause after a core was discarded; doubles up to [`PAUSE_MAX`] while none lives for long.
const PAUSE_MIN: Duration = Duration::from_millis(50);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Where the registry keeps what the master's core wrote.
pub const PREFIX: &str = "master/";

/// What leading needs.
#[derive(Clone)]
pub struct Ground {
    /// Where cores run.
    pub control: Control,
    /// The log.
    pub registry: Registry,
    /// Where agents dial.
    pub switchboard: Switchboard,
    /// Who this node is.
    pub identity: Arc<Identity>,
    /// How masters decide.
    pub options: Options,
    /// The process's clocks.
    pub clock: Clock,
    /// The cluster to lead.
    pub company: Company,
}

/// Leads whenever the registry says so, until `stop` fires. `leading` holds the master meanwhile.
pub async fn run(
    ground: Ground,
    leading: watch::Sender<Option<Master>>,
    mut stop: watch::Receiver<bool>,
) {
    let mut leadership = ground.registry.leadership();
    let mut pause = PAUSE_MIN;
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            led = leadership.wait_for(|now| now.is_me) => if led.is_err() { return },
        }
        let started = ground.clock.mono();
        let outcome = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => {
                leading.send_replace(None);
                return;
            }
            outcome = reign(&ground, &leading) => outcome,
        };
        leading.send_replace(None);
        if let Err(e) = outcome {
            tracing::error!("the master's core was discarded: {e}");
        }
        if ground.clock.mono().since(started) > PAUSE_MAX {
            pause = PAUSE_MIN;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// One incarnation of the master: from its epoch to its end.
async fn reign(ground: &Ground, leading: &watch::Sender<Option<Master>>) -> Result<()> {
    let epoch = ground.registry.begin().await.map_err(Error::from)?;
    ground.registry.read_index().await?;
    let company = &ground.company;
    let (founding, open) = (company.founding()?, company.open);
    let seat = Seat::take(ground.registry.clone(), epoch, founding, open).await?;
    company.founded()?;
    let rows = ground.registry.scan(PREFIX)?;
    let records: Vec<(String, Vec<u8>)> =
        rows.into_iter().map(|row| (row.key[PREFIX.len()..].to_string(), row.value)).collect();
    let seed = seed()?;
    let identity = core_identity(&ground.identity, epoch);
    let (handle, mailbox) = driver::mailbox();
    let io = tokio::runtime::Handle::current();
    let persist = persist(ground.registry.clone(), epoch);
    let state = State::new(ground.registry.clone(), epoch, ground.options.state_quota);
    let (options, clock) = (ground.options.clone(), ground.clock.clone());
    let (tell, recovered) = oneshot::channel::<Result<Master>>();
    let running = ground
        .control
        .run(move || async move {
            let mut rng = Rng::new(seed);
            let mut cx = Cx { now: clock.mono(), wall: clock.wall(), rng: &mut rng };
            let mut out = Effects::default();
            let core = MasterCore::recover(
                options.core,
                options.allocator,
                identity,
                records,
                &mut cx,
                &mut out,
            );
            let core = match core {
                Ok(core) => core,
                Err(e) => {
                    drop(tell.send(Err(e)));
                    return Ok(());
                }
            };
            let (master, shell) = Master::new(handle, state, persist(), io);
            drop(tell.send(Ok(master)));
            driver::run(core, shell, clock, rng, mailbox, out).await
        })
        .await?;
    let master = recovered
        .await
        .map_err(|_| Error::new(Code::Internal, "the master's core ended while it was built"))??;
    tracing::info!("leading with epoch {}", epoch.0);
    let accept: JoinHandle<()> = tokio::spawn(master.clone().accept(ground.switchboard.lead()));
    leading.send_replace(Some(master));
    company.seat.send_replace(Some(seat.clone()));
    let (gossip, policy) = (company.gossip.clone(), company.policy.clone());
    let steering = steer(seat, gossip, policy, company.versions, company.steering.clone());
    let _incarnation = Incarnation {
        company: company.clone(),
        tasks: [accept.abort_handle(), tokio::spawn(steering).abort_handle()],
    };
    running.wait().await?
}

/// What goes with an incarnation of the master, however that ends.
struct Incarnation {
    company: Company,
    tasks: [AbortHandle; 2],
}

impl Drop for Incarnation {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
        self.company.seat.send_replace(None);
        self.company.steering.send_replace(Arc::default());
    }
}

fn core_identity(identity: &Identity, epoch: Epoch) -> CoreIdentity {
    CoreIdentity {
        master_id: uuid::Uuid::new_v4().to_string(),
        epoch: epoch.0,
        ip: identity.ip.to_string(),
        hostname: identity.hostname.clone(),
        port: identity.port,
        version: MESOS_VERSION.into(),
        domain: None,
    }
}

/// Proposes batches in order, many at a time.
fn persist(registry: Registry, epoch: Epoch) -> impl FnOnce() -> Persist + Send {
    move || {
        Box::new(move |ops: Vec<Op>| -> Pin<Box<dyn Future<Output = Result<()>>>> {
            let proposed = registry.propose(epoch, ops.into_iter().map(prefixed).collect());
            Box::pin(
                async move { proposed.await.map(|_| ()).map_err(|e: ProposeError| Error::from(e)) },
            )
        })
    }
}

fn prefixed(op: Op) -> consensus::Op {
    match op {
        Op::Put { key, value } => consensus::Op::put(format!("{PREFIX}{key}"), value),
        Op::Delete { key } => consensus::Op::delete(format!("{PREFIX}{key}")),
    }
}

/// A seed from the operating system, for the randomness of one incarnation.
pub fn seed() -> Result<u64> {
    getrandom::u64()
        .map_err(|e| Error::new(Code::System, format!("the system gives no randomness: {e}")))
}
