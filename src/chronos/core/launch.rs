//! Which run is launched on which offer: in the order of the queue, on the first offer that fits; what fits nowhere stands in
//! nobody's way.

use super::agenda::Due;
use super::offers::Offer;
use super::options::{LAUNCHES_PER_OFFER_MAX, MATCH_SCAN_MAX};
use super::run::{Phase, Run, Task};
use super::runs::RunKey;
use super::task::{self, Place};
use super::{ChronosCore, Out, call_of, now_ms};
use crate::base::resources::{Resource, Resources, Scalar};
use crate::chronos::model::Job;
use crate::chronos::model::name::task_id;
use crate::machine::Cx;
use crate::mesos::v1::offer::{Operation, operation};
use crate::mesos::v1::scheduler::{Call, call};
use crate::mesos::v1::{OfferId, TaskInfo};
use std::sync::Arc;

/// What a run of a job needs.
pub(super) fn needs(job: &Job) -> Resources {
    let mut all = Resources::new();
    for (name, amount) in [("cpus", job.cpus), ("mem", job.mem), ("disk", job.disk)] {
        all.add_one(Resource::scalar(name, amount));
    }
    all
}

/// The same as numbers: what fits nowhere is told apart by them alone.
fn amounts(job: &Job) -> (Scalar, Scalar, Scalar) {
    (Scalar::from_f64(job.cpus), Scalar::from_f64(job.mem), Scalar::from_f64(job.disk))
}

/// An offer and what becomes of it.
struct Table {
    offer: Offer,
    launches: Vec<TaskInfo>,
}

impl ChronosCore {
    /// Uses the offers at hand; those left over go back.
    pub(super) fn match_offers(&mut self, cx: &mut Cx<'_>, out: &mut Out) {
        let offers = self.offers.take();
        if offers.is_empty() {
            return;
        }
        let mut tables: Vec<Table> =
            offers.into_iter().map(|offer| Table { offer, launches: Vec::new() }).collect();
        for key in self.runs.queue(MATCH_SCAN_MAX) {
            let Some(entry) = self.entries.get(&key.0) else { continue };
            let job = entry.job.clone();
            let (cpus, mem, disk) = amounts(&job);
            let found = tables.iter_mut().find_map(|table| {
                let offer = &table.offer;
                let fits = table.launches.len() < LAUNCHES_PER_OFFER_MAX
                    && cpus <= offer.resources.cpus()
                    && mem <= offer.resources.mem()
                    && disk <= offer.resources.disk()
                    && job.constraints.iter().all(|c| c.holds(&offer.attributes, &offer.host));
                if !fits {
                    return None;
                }
                let taken = offer.resources.find(&needs(&job), &self.options.role)?;
                Some((table, taken))
            });
            if let Some((table, taken)) = found {
                table.offer.resources -= &taken;
                let info = self.launch(cx, &key, &job, &table.offer, &taken, out);
                table.launches.extend(info);
            }
        }
        let mut unused: Vec<OfferId> = Vec::new();
        for table in tables {
            // Of an offer with more room than one call may use, the rest is wanted at once.
            if table.launches.len() >= LAUNCHES_PER_OFFER_MAX {
                self.offers.want_more();
            }
            match table.launches.is_empty() {
                true => unused.push(table.offer.id),
                false => self.accept(table, out),
            }
        }
        self.decline(unused, out);
    }

    /// Writes down that the run is launched; the call follows when that is durable.
    fn launch(
        &mut self,
        cx: &mut Cx<'_>,
        key: &RunKey,
        job: &Arc<Job>,
        offer: &Offer,
        taken: &Resources,
        out: &mut Out,
    ) -> Option<TaskInfo> {
        let run = self.runs.get(key)?;
        let arguments = run.arguments.as_ref().unwrap_or(&job.arguments);
        let task = Task {
            id: task_id(run.stamp.unwrap_or(run.due), run.attempt, &job.name, arguments),
            agent_id: offer.agent_id.value.clone(),
            host: offer.host.clone(),
            launched: now_ms(cx),
            ..Task::default()
        };
        let place = Place {
            framework_id: self.framework_id.as_ref(),
            agent_id: &offer.agent_id,
            host: &offer.host,
            resources: taken,
        };
        let info = task::build(job, run, &task, &place);
        let run = Run { phase: Phase::Launched(task), ..run.clone() };
        self.agenda.cancel(&Due::Late(key.clone()));
        self.count("tasks_launched");
        self.put_run(run, out);
        if !job.concurrent {
            self.skip_late(cx, job, out);
        }
        Some(info)
    }

    fn accept(&self, table: Table, out: &mut Out) {
        let launch = Operation {
            r#type: Some(operation::Type::Launch.into()),
            launch: Some(operation::Launch { task_infos: table.launches }),
            ..Operation::default()
        };
        let accept = Some(call::Accept {
            offer_ids: vec![table.offer.id],
            operations: vec![launch],
            filters: Some(self.filters()),
        });
        self.call(Call { accept, ..call_of(call::Type::Accept) }, out);
    }
}
