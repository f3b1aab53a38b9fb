//! The subscription: what the framework is at the master, and whether it wants offers.

use super::event::Kind;
use super::records;
use super::{MarathonCore, Out, Timer};
use crate::base::time::Mono;
use crate::machine::Cx;
use crate::mesos::v1::scheduler::{Call, call};
use crate::mesos::v1::{self, MasterInfo};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// Two calls for offers are at least so far apart, however many apps are started.
const REVIVE_SPACING: Duration = Duration::from_millis(5);
/// So many offers whose answer did not arrive are kept to be declined; the master takes back what is beyond that with the
/// next subscription.
const UNANSWERED_MAX: usize = 10_000;
/// A call that did not arrive is repeated after this.
const REPEAT_AFTER: Duration = Duration::from_secs(1);

/// What the master was told about offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// REVIVE.
    Wanted,
    /// SUPPRESS.
    Unwanted,
}

/// The subscription.
#[derive(Clone, Debug, Default)]
pub(super) struct Session {
    pub framework_id: Option<String>,
    pub subscribed: bool,
    pub master: Option<Arc<MasterInfo>>,
    /// Roles of all services there have been since the start.
    pub roles: BTreeSet<String>,
    /// Not known: it has to be told.
    pub told: Option<Told>,
    /// No call for or against offers before this.
    quiet_until: Option<Mono>,
    /// A call that asks for all tasks did not arrive.
    pub ask_all: bool,
    /// How long was waited for tasks that were not heard of; none when all were.
    pub asked: Option<Duration>,
    /// Offers that nobody has looked at yet.
    pub offers: Vec<Arc<v1::Offer>>,
    /// Offers whose answer did not arrive.
    unanswered: Vec<v1::OfferId>,
}

impl Session {
    /// Not subscribed yet, to these roles.
    pub fn of(roles: BTreeSet<String>) -> Self {
        Self { roles, ..Self::default() }
    }

    /// The master's region.
    pub fn home(&self) -> Option<&str> {
        let domain = self.master.as_ref()?.domain.as_ref()?;
        Some(domain.fault_domain.as_ref()?.region.name.as_str())
    }

    fn master_name(&self) -> String {
        let address = self.master.as_ref().and_then(|m| m.address.as_ref());
        address.map_or_else(String::new, |a| {
            let host = a.hostname.as_deref().or(a.ip.as_deref()).unwrap_or_default();
            format!("{host}:{}", a.port)
        })
    }
}

impl MarathonCore {
    pub(super) fn subscribed(
        &mut self,
        cx: &mut Cx<'_>,
        framework_id: &str,
        master: Option<Box<MasterInfo>>,
        out: &mut Out,
    ) {
        let again = self.session.framework_id.as_deref() == Some(framework_id);
        if !again {
            self.session.framework_id = Some(framework_id.to_string());
            out.write(records::framework(framework_id));
        }
        self.session.subscribed = true;
        self.session.master = master.map(|m| Arc::new(*m));
        self.session.offers.clear();
        self.session.unanswered.clear();
        self.session.told = None;
        self.forget_yielding();
        let master = self.session.master_name();
        let kind = if again {
            Kind::SchedulerReregistered { master }
        } else {
            Kind::SchedulerRegistered { framework_id: framework_id.to_string(), master }
        };
        self.publish(cx, kind, out);
        for app in self.instances.apps().cloned().collect::<Vec<_>>() {
            self.touch(&app);
        }
        // What was asked for before may never have arrived.
        self.kills.all_again();
        self.reconcile_anew(cx, out);
    }

    pub(super) fn disconnected(&mut self, cx: &Cx<'_>, out: &mut Out) {
        if !self.session.subscribed {
            return;
        }
        self.session.subscribed = false;
        self.session.offers.clear();
        self.session.unanswered.clear();
        self.timers.cancel(&Timer::Decline);
        self.timers.cancel(&Timer::Reconcile);
        self.timers.cancel(&Timer::Revive);
        self.publish(cx, Kind::SchedulerDisconnected, out);
    }

    /// A call did not arrive, or nobody knows. What it was for is found out or done again.
    pub(super) fn undelivered(&mut self, cx: &Cx<'_>, call: &Call) {
        match call.r#type() {
            call::Type::Revive | call::Type::Suppress => {
                self.session.told = None;
                self.session.quiet_until = Some(cx.now + REPEAT_AFTER);
            }
            call::Type::Accept => {
                // Launched or not: the master knows.
                self.timers.set(Timer::Reconcile, cx.now + REPEAT_AFTER);
                self.forget_heard_of(call);
                let offers = call.accept.iter().flat_map(|a| &a.offer_ids);
                self.decline_later(cx, offers.cloned());
            }
            call::Type::Decline => {
                let offers = call.decline.iter().flat_map(|d| &d.offer_ids);
                self.decline_later(cx, offers.cloned());
            }
            call::Type::Reconcile => {
                self.session.ask_all |= call.reconcile.as_ref().is_none_or(|r| r.tasks.is_empty());
                self.timers.set(Timer::Reconcile, cx.now + REPEAT_AFTER);
            }
            // Updates are sent again; kills have a timer; inverse offers need no answer.
            _ => {}
        }
    }

    /// Offers that got no answer would be held for ever.
    fn decline_later(&mut self, cx: &Cx<'_>, offers: impl Iterator<Item = v1::OfferId>) {
        let room = UNANSWERED_MAX.saturating_sub(self.session.unanswered.len());
        self.session.unanswered.extend(offers.take(room));
        self.timers.set(Timer::Decline, cx.now + REPEAT_AFTER);
    }

    /// Declines what got no answer.
    pub(super) fn decline_again(&mut self, out: &mut Out) {
        let offers = std::mem::take(&mut self.session.unanswered);
        self.decline(offers, out);
    }

    fn forget_heard_of(&mut self, call: &Call) {
        let operations = call.accept.iter().flat_map(|a| &a.operations);
        let tasks = operations.flat_map(|o| o.launch.iter().flat_map(|l| &l.task_infos));
        for task in tasks {
            if let Some(id) = super::InstanceId::of_task(&task.task_id.value)
                && let Some(instance) = self.instances.get_mut(&id)
            {
                instance.heard = false;
            }
        }
    }

    /// Offers for what still waits may be worth another look.
    pub(super) fn revive_again(&mut self) {
        self.queue.fresh = true;
    }

    /// Tells the master whether offers are wanted.
    pub(super) fn want_offers(&mut self, cx: &mut Cx<'_>, out: &mut Out) {
        if !self.session.subscribed {
            return;
        }
        let wants = self.queue.wants(cx.now);
        let told = if wants { Told::Wanted } else { Told::Unwanted };
        let is_new = self.session.told != Some(told) || (wants && self.queue.fresh);
        if !is_new {
            return;
        }
        if let Some(at) = self.session.quiet_until.filter(|at| *at > cx.now) {
            self.timers.set(Timer::Revive, at);
            return;
        }
        self.session.told = Some(told);
        if !wants {
            let suppress = Some(call::Suppress { roles: Vec::new() });
            self.call_now(call::Type::Suppress, Call { suppress, ..Default::default() }, out);
            self.count("mesos.calls.suppress.counter", 1);
            self.timers.cancel(&Timer::Revive);
            return;
        }
        let revive = Some(call::Revive { roles: Vec::new() });
        self.call_now(call::Type::Revive, Call { revive, ..Default::default() }, out);
        self.count("mesos.calls.revive.counter", 1);
        self.session.quiet_until = Some(cx.now + REVIVE_SPACING);
        self.queue.fresh = false;
        self.timers.set(Timer::Revive, cx.now + self.options.min_revive_offers_interval);
    }
}
