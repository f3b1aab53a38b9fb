//! Offers and what waits for them: each offer is filled with instances, one of each app in turn, and answered by one
//! ACCEPT; what nobody can use is declined.

use super::constraints::Spread;
use super::ids::InstanceId;
use super::matcher::{self, Candidate, Fit, Miss};
use super::options::Options;
use super::task::{self, Parts};
use super::view::{Condition, Placement};
use super::{MarathonCore, Out, Timer};
use crate::base::ids::AgentId;
use crate::machine::Cx;
use crate::marathon::model::{App, PathId, Timestamp};
use crate::mesos::v1::offer::{Operation, operation};
use crate::mesos::v1::scheduler::{Call, call};
use crate::mesos::v1::{self, Filters, TaskInfo};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// Apps that one offer is tried for; others are first with the next one.
const APPS_PER_OFFER_MAX: usize = 1000;

/// An app that waits, while offers are filled.
struct Open {
    app: Arc<App>,
    waiting: VecDeque<InstanceId>,
    spread: Spread,
}

impl Open {
    /// Groups that could take an instance now are to be thought of, though they have none.
    fn reckon(&mut self, tables: &[Table], options: &Options, cx: &mut Cx<'_>) {
        let anywhere = Spread::new(&[], 0);
        let room = tables.iter().filter(|table| {
            let mut candidate = table.candidate.clone();
            let roomy = table.tasks.len() < options.max_instances_per_offer;
            roomy && matcher::fit(&self.app, &mut candidate, &anywhere, options, cx.rng).is_ok()
        });
        let places: Vec<Arc<Placement>> = room.map(|table| table.candidate.place.clone()).collect();
        self.spread.reckon_with(places.iter().map(|place| &**place));
    }
}

/// An offer, while it is filled.
struct Table {
    offer: Arc<v1::Offer>,
    candidate: Candidate,
    tasks: Vec<TaskInfo>,
}

/// An offer that an app could not use.
struct Missed {
    app: PathId,
    agent: AgentId,
    offer: Arc<v1::Offer>,
    at: Timestamp,
    is_even: bool,
    miss: Miss,
}

impl MarathonCore {
    /// Answers all offers that have come. They are filled in rounds: where instances are to be spread over groups, an
    /// offer may take another one when the other groups have had theirs.
    pub(super) fn match_offers(&mut self, cx: &mut Cx<'_>, out: &mut Out) {
        let offers = std::mem::take(&mut self.session.offers);
        if offers.is_empty() || !self.session.subscribed {
            return;
        }
        let mut open: Vec<Open> =
            self.queue.ready(cx.now).into_iter().filter_map(|app| self.open(&app)).collect();
        let (mut tables, mut unused) = (Vec::new(), Vec::new());
        for offer in offers {
            let home = self.session.home();
            match Candidate::new(&offer, &self.options, home, cx.wall) {
                Some(mut candidate) => {
                    candidate.maintenance |= self.yielding.has(&offer.agent_id.value);
                    tables.push(Table { offer, candidate, tasks: Vec::new() });
                }
                None => unused.push(offer.id.clone()),
            }
        }
        let mut first = true;
        loop {
            for app in open.iter_mut().filter(|app| app.spread.is_even()) {
                app.reckon(&tables, &self.options, cx);
            }
            let (mut more, mut misses) = (false, Vec::new());
            for table in &mut tables {
                more |= self.fill(cx, table, &mut open, first, &mut misses, out);
                open.retain(|app| !app.waiting.is_empty());
            }
            first = false;
            more &= open.iter().any(|app| app.spread.is_even());
            // Of an app that is tried again only the last refusal of an offer counts.
            misses.retain(|miss: &Missed| {
                let again = more && miss.is_even;
                if !again && let Some(waiting) = self.queue.get_mut(&miss.app) {
                    waiting.tally.missed(&miss.agent, &miss.offer, miss.at, miss.miss);
                }
                again
            });
            if !more {
                break;
            }
        }
        let most = self.options.max_instances_per_offer;
        for Table { offer, tasks, .. } in tables {
            match tasks.is_empty() {
                true => unused.push(offer.id.clone()),
                false => {
                    let full = tasks.len() >= most;
                    self.accept(&offer, tasks, full, out);
                }
            }
        }
        self.decline(unused, out);
    }

    fn open(&self, id: &PathId) -> Option<Open> {
        let waiting = self.queue.get(id)?;
        let app = waiting.spec.clone();
        let mut spread = Spread::new(&app.constraints, app.instances as usize);
        let config = app.version_info.last_config_change_at;
        let mut placed: Vec<_> = self
            .instances
            .of(id)
            .filter(|i| i.is_launched() && i.config() == config)
            .filter(|i| i.condition != Condition::UnreachableInactive && !i.yields)
            .filter_map(|i| Some((i.staged_at, i.placement.clone()?)))
            .collect();
        placed.sort_by_key(|(staged, _)| *staged);
        placed.iter().for_each(|(_, place)| spread.place(place));
        Some(Open { app, waiting: waiting.ids.iter().cloned().collect(), spread })
    }

    /// Fills one offer; answers whether anything was launched. In a round after the first only apps are tried that
    /// spread over groups.
    fn fill(
        &mut self,
        cx: &mut Cx<'_>,
        table: &mut Table,
        open: &mut [Open],
        first: bool,
        misses: &mut Vec<Missed>,
        out: &mut Out,
    ) -> bool {
        let most = self.options.max_instances_per_offer;
        let before = table.tasks.len();
        let mut turn: VecDeque<usize> = (0..open.len().min(APPS_PER_OFFER_MAX)).collect();
        while let Some(at) = turn.pop_front() {
            if table.tasks.len() >= most {
                break;
            }
            let Some(app) = open.get_mut(at) else { continue };
            let is_even = app.spread.is_even();
            if !(first || is_even) {
                continue;
            }
            let candidate = &mut table.candidate;
            let fit = matcher::fit(&app.app, candidate, &app.spread, &self.options, cx.rng);
            let now = self.stamp(cx);
            let place = candidate.place.clone();
            match fit {
                Err(miss) => misses.push(Missed {
                    app: app.app.id.clone(),
                    agent: place.agent_id.clone(),
                    offer: table.offer.clone(),
                    at: now,
                    is_even,
                    miss,
                }),
                Ok(fit) => {
                    if let Some(waiting) = self.queue.get_mut(&app.app.id) {
                        waiting.tally.used(&place.agent_id, &table.offer, now);
                    }
                    let Some(id) = app.waiting.pop_front() else { continue };
                    app.spread.place(&place);
                    let spec = app.app.clone();
                    table.tasks.extend(self.provision(cx, &id, &spec, &place, &fit, out));
                    self.queue.served = Some(spec.id.clone());
                    if !app.waiting.is_empty() {
                        turn.push_back(at);
                    }
                }
            }
        }
        table.tasks.len() > before
    }

    /// The instance is launched: remembered first, asked for when that is durable.
    fn provision(
        &mut self,
        cx: &mut Cx<'_>,
        id: &InstanceId,
        spec: &Arc<App>,
        place: &Arc<Placement>,
        fit: &Fit,
        out: &mut Out,
    ) -> Option<TaskInfo> {
        let now = self.stamp(cx);
        let enforce_role = spec
            .id
            .top_level()
            .and_then(|group| self.tree.root().group(&group))
            .is_some_and(|group| group.enforce_role);
        let instance = self.instances.get_mut(id)?;
        instance.spec = spec.clone();
        instance.placement = Some(place.clone());
        instance.host_ports = fit.ports.iter().filter_map(|p| p.host).collect();
        instance.staged_at = Some(now);
        instance.stored = true;
        // What is asked for now is answered later.
        instance.heard = true;
        let task = instance.task();
        self.turn(cx, id, Condition::Provisioned, out);
        out.write(self.instances.get(id)?.row());
        let until = cx.now + self.options.task_launch_confirm_timeout;
        self.timers.set(Timer::Overdue(id.clone()), until);
        let parts = Parts { task: &task, place, fit, enforce_role, options: &self.options };
        Some(task::build(spec, &parts))
    }

    fn accept(&mut self, offer: &v1::Offer, task_infos: Vec<TaskInfo>, full: bool, out: &mut Out) {
        self.count("tasks.launched.counter", task_infos.len());
        self.count("mesos.offers.used.counter", 1);
        self.count("mesos.offer-operations.launch.counter", task_infos.len());
        // An offer that took all it may take is wanted again at once.
        let refuse = if full { Duration::ZERO } else { self.options.decline_offer_duration };
        let launch = Operation {
            r#type: Some(operation::Type::Launch as i32),
            launch: Some(operation::Launch { task_infos }),
            ..Default::default()
        };
        let accept = Some(call::Accept {
            offer_ids: vec![offer.id.clone()],
            operations: vec![launch],
            filters: Some(Filters { refuse_seconds: Some(refuse.as_secs_f64()) }),
        });
        self.call(call::Type::Accept, Call { accept, ..Default::default() }, out);
    }

    pub(super) fn decline(&mut self, offer_ids: Vec<v1::OfferId>, out: &mut Out) {
        if offer_ids.is_empty() {
            return;
        }
        self.count("mesos.offers.declined.counter", offer_ids.len());
        let refuse = self.options.decline_offer_duration.as_secs_f64();
        let filters = Some(Filters { refuse_seconds: Some(refuse) });
        let decline = Some(call::Decline { offer_ids, filters });
        self.call_now(call::Type::Decline, Call { decline, ..Default::default() }, out);
    }
}
