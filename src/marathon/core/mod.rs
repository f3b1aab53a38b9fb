//! Marathon's decisions, as one deterministic machine: definitions and their versions, deployments, instances, offers.
//!
//! No I/O: the master is called by acts, what is remembered is a list of writes. Whatever happens marks the apps it
//! concerns as dirty; once for each batch ([`evaluate`]) every dirty app is compared with what it shall be, and the next
//! moves follow from that alone. So the same code starts, heals, replaces, continues after a crash.
//!
//! The state lies in a few tables ([`tree`], [`instances`], [`deployments`], [`queue`]); each other file is one
//! concern's rules over them.

mod backoff;
mod cancel;
mod change;
mod checks;
mod constraints;
mod container;
mod deployments;
mod env;
mod evaluate;
pub mod event;
mod explain;
mod health;
mod host_ports;
pub mod ids;
mod instances;
pub mod io;
mod kill;
mod kills;
mod launch;
mod matcher;
pub mod options;
mod picture;
mod planner;
mod queue;
mod reconcile;
mod records;
mod recovery;
mod rollout;
mod service_ports;
mod session;
mod status;
mod steps;
mod task;
mod tree;
mod unreachable;
mod victims;
pub mod view;
mod yielding;

#[cfg(test)]
mod tests;

pub use ids::{DeploymentId, InstanceId};
pub use options::{AcceptedRoles, GpuScheduling, Options};
pub use records::{commits, forget_framework};

use crate::base::kv::Op;
use crate::base::time::Mono;
use crate::machine::timers::Timers;
use crate::machine::{Cx, Effects, Machine};
use crate::marathon::model::{PathId, Timestamp};
use crate::mesos::v1::scheduler::{self, Call, call};
use event::{Event, Kind};
use io::{Act, Answer, Command, Input, RequestId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use view::TaskFailure;

/// Marathon's core.
pub struct MarathonCore {
    options: Options,
    tree: tree::Tree,
    service_ports: service_ports::ServicePorts,
    instances: instances::Instances,
    deployments: deployments::Deployments,
    queue: queue::Queue,
    session: session::Session,
    kills: kills::Kills,
    yielding: yielding::Yielding,
    timers: Timers<Timer>,
    /// The last failure of each app.
    failures: BTreeMap<PathId, Arc<TaskFailure>>,
    /// Apps to be compared with what they shall be.
    dirty: BTreeSet<PathId>,
    counters: BTreeMap<&'static str, u64>,
    /// When the last batch was: a picture shows that moment.
    seen_at: (Mono, Timestamp),
    pictures: picture::Pictures,
}

/// What the core waits for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    /// The launch delay of an app is over.
    Delay(PathId),
    /// A launched task must run by now.
    Overdue(InstanceId),
    /// An unreachable instance is to be replaced or forgotten.
    Unreachable(InstanceId),
    /// A kill without effect is to be repeated.
    Kill(InstanceId),
    /// Time to ask what the master knows.
    Reconcile,
    /// Time to call for offers again.
    Revive,
    /// Time to decline again what the master holds for offered.
    Decline,
}

type Out = Effects<MarathonCore>;

impl Machine for MarathonCore {
    type Input = Input;
    type Write = Op;
    type Act = Act;

    fn step(&mut self, cx: &mut Cx<'_>, input: Input, out: &mut Out) {
        match input {
            Input::Request { request, command } => self.request(cx, request, command, out),
            Input::Subscribed { framework_id, master } => {
                self.subscribed(cx, framework_id.as_str(), master, out);
            }
            Input::Disconnected => self.disconnected(cx, out),
            Input::Event(event) => self.event(cx, &event, out),
            Input::Undelivered(call) => self.undelivered(cx, &call),
        }
    }

    fn wake(&mut self, cx: &mut Cx<'_>, out: &mut Out) {
        while let Some(timer) = self.timers.pop(cx.now) {
            match timer {
                // What waited for it is looked at when the batch settles.
                Timer::Delay(_) => self.queue.fresh = true,
                Timer::Revive => self.revive_again(),
                Timer::Decline => self.decline_again(out),
                Timer::Overdue(id) => self.overdue(cx, &id, out),
                Timer::Unreachable(id) => self.unreachable_timed_out(cx, &id, out),
                Timer::Kill(id) => self.kills.again(&id),
                Timer::Reconcile => self.reconcile(cx, out),
            }
        }
    }

    fn settle(&mut self, cx: &mut Cx<'_>, out: &mut Out) {
        self.still_yielding();
        self.evaluate(cx, out);
        self.match_offers(cx, out);
        self.send_kills(cx, out);
        self.want_offers(cx, out);
        self.seen_at = (cx.now, Timestamp::from(cx.wall));
    }

    fn wake_at(&self) -> Option<Mono> {
        self.timers.first()
    }
}

impl MarathonCore {
    fn request(&mut self, cx: &mut Cx<'_>, request: RequestId, command: Command, out: &mut Out) {
        let answer = match command {
            Command::Change(change) => self.change(cx, &change, out),
            Command::Kill(kill) => self.kill(cx, &kill, out),
            Command::Cancel { deployment, force } => self.cancel(cx, &deployment, force, out),
            Command::ResetDelay { app } => self.reset_delay(&app),
        };
        out.act(Act::Answer { request, answer });
    }

    fn event(&mut self, cx: &mut Cx<'_>, event: &scheduler::Event, out: &mut Out) {
        use scheduler::event::Type;
        match event.r#type() {
            Type::Offers => {
                let offers = event.offers.iter().flat_map(|o| &o.offers);
                self.session.offers.extend(offers.cloned().map(Arc::new));
                if let Some(offers) = &event.offers {
                    self.count("mesos.offers.incoming.counter", offers.offers.len());
                }
            }
            Type::Rescind => {
                let gone = event.rescind.as_ref().map(|r| &r.offer_id);
                self.session.offers.retain(|offer| Some(&offer.id) != gone);
            }
            Type::Update => {
                if let Some(update) = &event.update {
                    self.updated(cx, &update.status, out);
                }
            }
            Type::InverseOffers => {
                let all = event.inverse_offers.iter().flat_map(|o| &o.inverse_offers);
                self.inverse_offers(cx, all.cloned(), out);
            }
            Type::RescindInverseOffer => {
                if let Some(gone) = &event.rescind_inverse_offer {
                    self.rescind_inverse_offer(&gone.inverse_offer_id);
                }
            }
            Type::Failure => {
                if let Some(failure) = event.failure.as_ref().filter(|f| f.executor_id.is_none()) {
                    self.agent_lost(failure.agent_id.as_ref(), out);
                }
            }
            _ => {}
        }
    }

    fn reset_delay(&mut self, app: &PathId) -> Answer {
        if self.queue.get(app).is_none() {
            return Answer::NotFound(io::NotFound::Queued(app.clone()));
        }
        self.undelay(app);
        Answer::Done
    }

    /// Nothing holds the app's next launch back.
    fn undelay(&mut self, app: &PathId) {
        self.queue.reset(app);
        self.timers.cancel(&Timer::Delay(app.clone()));
    }

    /// Something of that app has changed: it is compared with what it shall be when the batch settles.
    fn touch(&mut self, app: &PathId) {
        self.dirty.insert(app.clone());
        self.pictures.touch(app);
    }

    /// Now, as records say it; not before the present version.
    fn stamp(&self, cx: &Cx<'_>) -> Timestamp {
        Timestamp::from(cx.wall).max(self.tree.root().version)
    }

    /// Calls the master after all writes so far; not while there is no subscription.
    fn call(&self, kind: call::Type, call: Call, out: &mut Out) {
        if self.session.subscribed {
            out.act(Act::Call(Box::new(self.addressed(kind, call))));
        }
    }

    /// The same without waiting for writes.
    fn call_now(&self, kind: call::Type, call: Call, out: &mut Out) {
        if self.session.subscribed {
            out.act_now(Act::Call(Box::new(self.addressed(kind, call))));
        }
    }

    fn addressed(&self, kind: call::Type, call: Call) -> Call {
        let framework_id =
            self.session.framework_id.as_deref().map(crate::mesos::make::framework_id);
        Call { r#type: Some(kind as i32), framework_id, ..call }
    }

    /// Tells those who listen, after all writes so far.
    fn publish(&self, cx: &Cx<'_>, kind: Kind, out: &mut Out) {
        out.act(Act::Publish(Arc::new(Event { at: Timestamp::from(cx.wall), kind })));
    }

    fn count(&mut self, name: &'static str, more: usize) {
        *self.counters.entry(name).or_default() += more as u64;
    }
}
