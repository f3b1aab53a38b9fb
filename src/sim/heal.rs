//! The end of every run: all faults end, everything must come to rest, and a new framework's task must run and finish.

use super::node::Node;
use super::queue::What;
use super::scheduler::{Belief, Scheduler};
use super::world::World;
use crate::base::ids::AgentId;
use crate::mesos::v1::{self, TaskState};
use std::time::Duration;

/// Between two looks whether everything has come to rest.
const LOOK: Duration = Duration::from_secs(5);
/// It must come to rest so long after the last fault.
const REST_MAX: Duration = Duration::from_secs(3600);

impl World {
    /// All faults end; old masters learn that they lead no more.
    pub(super) fn heal(&mut self) {
        self.calm = true;
        self.heal_cluster();
        let newest = self.log.epoch;
        let old: Vec<u64> =
            self.masters.iter().filter(|(_, m)| m.epoch < newest).map(|(p, _)| *p).collect();
        for proc in old {
            self.end_master(proc);
        }
        for scheduler in &mut self.schedulers {
            scheduler.draining = true;
        }
        self.after(LOOK, What::Look);
    }

    /// Is everything as it should be yet?
    pub(super) fn look(&mut self) {
        if self.profile.operator {
            self.end_operations();
        }
        let marathon = self.marathon_at_rest();
        let chronos = self.chronos_at_rest();
        let cluster = self.cluster.as_ref().map_or(Ok(()), |c| c.at_rest(self.now));
        let state = cluster.and(marathon).and(chronos).and_then(|()| self.at_rest());
        let newcomer = self.schedulers.last().filter(|s| s.last);
        match (state, newcomer) {
            (Ok(()), None) => {
                self.show_log();
                if let Err((invariant, what)) = self.owed() {
                    return self.violated(invariant, what);
                }
                let number = self.schedulers.len();
                let mut scheduler = Scheduler::new(number, &mut self.rng);
                scheduler.last = true;
                self.schedulers.push(scheduler);
                self.after(LOOK, What::Tick(number));
            }
            (Ok(()), Some(newcomer)) => {
                let ended = |s: TaskState| s == TaskState::TaskFinished;
                if newcomer.tasks.values().any(|b| b.ended && ended(b.state)) {
                    self.finished = true;
                } else if newcomer.open_tasks().next().is_none() && !newcomer.tasks.is_empty() {
                    return self.violated("convergence", "the last task did not finish".into());
                }
            }
            (Err(why), _) if self.now.since(self.healed_at()) > REST_MAX => {
                // What was lost says more than that something is missing.
                let (invariant, what) = self.owed().err().unwrap_or(("convergence", why));
                return self.violated(invariant, what);
            }
            _ => {}
        }
        if self.now.since(self.healed_at()) > REST_MAX * 2 {
            return self.violated("convergence", "the last task never ran".into());
        }
        self.after(LOOK, What::Look);
    }

    /// Whether the task was for an agent that never stored the id it was given, and so never comes back under it:
    /// nobody can say more of the task.
    fn is_beyond(&self, belief: &Belief) -> bool {
        let id = |node: &Node| node.agent.as_ref().and_then(|a| a.machine.view().agent.id.clone());
        let is_unsure = matches!(belief.state, TaskState::TaskUnreachable | TaskState::TaskUnknown);
        is_unsure && self.nodes.iter().all(|node| id(node).is_none_or(|id| id != belief.agent))
    }

    pub(super) fn healed_at(&self) -> crate::base::time::Mono {
        crate::base::time::Mono(1) + self.profile.chaos
    }

    /// Everybody is where they should be, and nothing is left of what has ended.
    ///
    /// # Errors
    /// What is not so, in a sentence.
    fn at_rest(&self) -> Result<(), String> {
        let epoch = self.log.epoch;
        let leader = self.masters.values().find(|m| m.epoch == epoch);
        let view = leader.ok_or("nobody leads")?.driven.machine.view();
        for scheduler in &self.schedulers {
            let known = view
                .frameworks
                .iter()
                .find(|f| f.info.id.as_ref().is_some_and(|id| id.value == scheduler.id()));
            let number = scheduler.number;
            if known.is_none_or(|f| !f.connected) || !scheduler.subscribed {
                return Err(format!("framework {number} is not subscribed"));
            }
            let open = scheduler.open_tasks().find(|(_, b)| !self.is_beyond(b));
            if let Some((task, belief)) = open {
                let state = belief.state.as_str_name();
                return Err(format!("framework {number} holds {task} as {state}"));
            }
        }
        let is_back = |id: &v1::AgentId| view.agents.iter().any(|a| a.info.id.as_ref() == Some(id));
        for framework in &view.frameworks {
            let unreachable = framework.unreachable_tasks.iter().find(|t| is_back(&t.agent_id));
            if let Some(task) = framework.tasks.first().or(unreachable) {
                return Err(format!("the master holds {} as live", task.task_id.value));
            }
        }
        let departed = |n: usize| self.cluster.as_ref().is_some_and(|c| c.departed(n));
        for (n, node) in self.nodes.iter().enumerate().filter(|(n, _)| !departed(*n)) {
            if node.link.and_then(|id| self.links.get(&id)).is_none_or(|link| link.cut) {
                return Err(format!("agent {n} has no link, or one that is cut"));
            }
            let id = node_at_rest(node).map_err(|why| format!("agent {n}: {why}"))?;
            let known = view
                .agents
                .iter()
                .find(|a| a.info.id.as_ref().is_some_and(|known| known.value == id.as_str()));
            let Some(agent) = known.filter(|a| a.connected && a.active) else {
                return Err(format!("agent {n} is not connected at the master"));
            };
            if !agent.used.is_empty() {
                return Err(format!("{} of agent {n} are still used", agent.used));
            }
        }
        if let Some(agent) = view.agents.iter().find(|a| !a.connected) {
            return Err(format!("the master waits for {}", agent.info.hostname));
        }
        Ok(())
    }
}

fn node_at_rest(node: &Node) -> Result<AgentId, String> {
    let agent = node.agent.as_ref().ok_or("it does not run")?;
    let view = agent.machine.view();
    if !view.registered {
        return Err("it is not registered".into());
    }
    if let Some(framework) = view.frameworks.first() {
        return Err(format!("it still hosts framework {}", framework.id));
    }
    if let Some((id, container)) = node.containers.iter().next() {
        return Err(format!("container {id} is left, {:?}", container.state));
    }
    if let Some(key) = node.disk.keys().find(|k| k.starts_with("updates/")) {
        return Err(format!("{key} is left"));
    }
    view.agent.id.as_ref().map(AgentId::from).ok_or_else(|| "it has no id".into())
}
