//! The calls of scripted frameworks.

use super::Belief;
use crate::base::rng::Rng;
use crate::mesos::v1::scheduler::{Call, call};
use crate::mesos::v1::{self, TaskState, offer};
use crate::mesos::{convert, make};
use crate::sim::invariants::Seen;
use crate::sim::queue::What;
use crate::sim::world::World;

impl World {
    pub(super) fn call(&mut self, n: usize, kind: call::Type, call: Call) {
        let Some(scheduler) = self.schedulers.get(n).filter(|s| s.up) else { return };
        let Some(session) = scheduler.session.clone() else { return };
        let call =
            Call { framework_id: scheduler.info.id.clone(), r#type: Some(kind as i32), ..call };
        self.show_kill(&call);
        self.send_call(n, &session, call);
    }

    pub(super) fn subscribe(&mut self, n: usize) {
        let now = self.now;
        let Some(scheduler) = self.schedulers.get_mut(n) else { return };
        scheduler.heard = now;
        let info = scheduler.info.clone();
        let suppressed_roles =
            if scheduler.draining && !scheduler.last { vec!["*".to_string()] } else { Vec::new() };
        let call = Call {
            framework_id: info.id.clone(),
            r#type: Some(call::Type::Subscribe as i32),
            subscribe: Some(call::Subscribe {
                framework_info: info,
                suppressed_roles,
                ..Default::default()
            }),
            ..Default::default()
        };
        let session = self.open_session(n, call);
        if let Some(scheduler) = self.schedulers.get_mut(n) {
            (scheduler.session, scheduler.subscribed) = (session, false);
        }
    }

    /// Calls that say nothing but what they are.
    pub(super) fn simple_call(&mut self, n: usize, kind: call::Type) {
        if kind == call::Type::Teardown {
            let id = self.schedulers.get(n).map_or(String::new(), |s| s.id().to_string());
            self.see(&Seen::TeardownAsked { framework: &id });
        }
        self.call(n, kind, Call::default());
    }

    pub(super) fn kill(&mut self, n: usize, task: &str) {
        let agent = self.schedulers.get(n).and_then(|s| s.tasks.get(task)).map(|b| b.agent.clone());
        let agent_id = agent.filter(|_| self.rng.chance(1, 2));
        let kill = call::Kill { task_id: make::task_id(task), agent_id, kill_policy: None };
        self.call(n, call::Type::Kill, Call { kill: Some(kill), ..Default::default() });
    }

    pub(super) fn reconcile(&mut self, n: usize, tasks: &[String], with_agent: bool) {
        let named = with_agent || self.rng.chance(1, 2);
        let Some(scheduler) = self.schedulers.get(n) else { return };
        let task = |id: &String| call::reconcile::Task {
            task_id: make::task_id(id),
            agent_id: scheduler.tasks.get(id).map(|b| b.agent.clone()).filter(|_| named),
        };
        let reconcile = call::Reconcile { tasks: tasks.iter().map(task).collect() };
        let call = Call { reconcile: Some(reconcile), ..Default::default() };
        self.call(n, call::Type::Reconcile, call);
    }

    pub(super) fn acknowledge(&mut self, n: usize, status: &v1::TaskStatus) {
        let (Some(agent_id), Some(uuid)) = (status.agent_id.clone(), status.uuid.clone()) else {
            return;
        };
        let task_id = status.task_id.clone();
        let acknowledge = call::Acknowledge { agent_id, task_id, uuid };
        let call = Call { acknowledge: Some(acknowledge), ..Default::default() };
        match self.rng.below(10) {
            // Not at all: it will be sent again.
            0 if !self.calm => return,
            1 | 2 if !self.calm => {
                let pause = self.between(10, 15_000);
                let id = self.schedulers.get(n).and_then(|s| s.info.id.clone());
                let kind = call::Type::Acknowledge as i32;
                let call = Call { framework_id: id, r#type: Some(kind), ..call };
                self.after(pause, What::Later { scheduler: n, call: Box::new(call) });
            }
            _ => self.call(n, call::Type::Acknowledge, call),
        }
        self.report.acknowledged += 1;
        let id = self.schedulers.get(n).map_or(String::new(), |s| s.id().to_string());
        self.see(&Seen::Acknowledged { framework: &id, status });
    }

    /// A call whose time has come, if the framework is still the one that it was.
    pub(in crate::sim) fn later(&mut self, n: usize, call: Call) {
        if self.schedulers.get(n).is_some_and(|s| s.subscribed && s.info.id == call.framework_id) {
            self.call(n, call.r#type(), call);
        }
    }

    /// An offer: taken for some tasks, turned down, or kept for a while.
    pub(super) fn offered(&mut self, n: usize, offer: &v1::Offer) {
        let Some(scheduler) = self.schedulers.get(n) else { return };
        let done = scheduler.last && !scheduler.tasks.is_empty();
        let wants = scheduler.wants_more() && !done;
        if !wants || (!self.calm && self.rng.chance(1, 5)) {
            let seconds = if scheduler.last { 0.1 } else { self.rng.below(10) as f64 };
            return self.decline(n, offer, seconds);
        }
        let infos = self.fill(n, offer);
        let launch = offer::Operation {
            r#type: Some(offer::operation::Type::Launch as i32),
            launch: Some(offer::operation::Launch { task_infos: infos }),
            ..Default::default()
        };
        let accept = call::Accept {
            offer_ids: vec![offer.id.clone()],
            operations: vec![launch],
            filters: Some(v1::Filters { refuse_seconds: Some(1.0) }),
        };
        let call = Call { accept: Some(accept), ..Default::default() };
        if !self.calm && self.rng.chance(1, 8) {
            let pause = self.between(10, 8000);
            let id = self.schedulers.get(n).and_then(|s| s.info.id.clone());
            let kind = call::Type::Accept as i32;
            let call = Call { framework_id: id, r#type: Some(kind), ..call };
            return self.after(pause, What::Later { scheduler: n, call: Box::new(call) });
        }
        self.call(n, call::Type::Accept, call);
    }

    fn decline(&mut self, n: usize, offer: &v1::Offer, seconds: f64) {
        let decline = call::Decline {
            offer_ids: vec![offer.id.clone()],
            filters: Some(v1::Filters { refuse_seconds: Some(seconds) }),
        };
        self.call(n, call::Type::Decline, Call { decline: Some(decline), ..Default::default() });
    }

    /// Tasks for an offer, remembered before anybody is told. Now and then one asks for too much.
    fn fill(&mut self, n: usize, offer: &v1::Offer) -> Vec<v1::TaskInfo> {
        let available = convert::resources_from_v1(&offer.resources).unwrap_or_default();
        let amount = |name: &str| {
            let of = offer.resources.iter().filter(|r| r.name == name);
            of.filter_map(|r| r.scalar.as_ref()).map(|s| s.value).sum::<f64>()
        };
        let (mut cpus, mut mem) = (amount("cpus"), amount("mem"));
        let most = if available.is_empty() { 0 } else { 1 + self.rng.below(3) };
        let mut infos = Vec::new();
        for _ in 0..most {
            let (c, m) = self.size();
            let greedy = !self.calm && self.rng.chance(1, 40);
            if (c > cpus || m > mem) && !greedy {
                continue;
            }
            (cpus, mem) = (cpus - c, mem - m);
            let Some(scheduler) = self.schedulers.get_mut(n) else { break };
            let id = scheduler.name_task();
            let belief = Belief {
                agent: offer.agent_id.clone(),
                state: TaskState::TaskStaging,
                ended: false,
            };
            scheduler.tasks.insert(id.clone(), belief);
            let last = scheduler.last;
            infos.push(task(&id, &offer.agent_id, c, m));
            if last {
                break;
            }
        }
        infos
    }

    fn size(&mut self) -> (f64, f64) {
        let mut pick = |all: [f64; 4]| pick(&mut self.rng, all);
        (pick([0.5, 1.0, 1.5, 2.5]), pick([32.0, 64.0, 128.0, 400.0]))
    }
}

fn pick(rng: &mut Rng, all: [f64; 4]) -> f64 {
    all.get(rng.below(4) as usize).copied().unwrap_or(1.0)
}

fn task(id: &str, agent: &v1::AgentId, cpus: f64, mem: f64) -> v1::TaskInfo {
    v1::TaskInfo {
        name: id.into(),
        task_id: make::task_id(id),
        agent_id: agent.clone(),
        resources: vec![make::scalar("cpus", cpus), make::scalar("mem", mem)],
        command: Some(v1::CommandInfo { value: Some("work".into()), ..Default::default() }),
        ..Default::default()
    }
}
