//! Agents coming back with an id: after a lost link, a change of master, or a partition.

use super::agents::{self, Agent};
use super::events::{self, Verdict};
use super::frameworks::Framework;
use super::io::{Act, LinkId, NodeId};
use super::tasks::Task;
use super::{AGENTS_MAX, MasterCore, Out, registry};
use crate::base::ids::{AgentId, ExecutorId, FrameworkId, TaskId};
use crate::base::resources::Resources;
use crate::machine::Cx;
use crate::mesos::internal::{MasterMessage, RegisterAgent, ShutdownFramework, UpdateFramework};
use crate::mesos::v1;
use std::collections::BTreeSet;
use std::sync::Arc;
use v1::task_status::Reason;

impl MasterCore {
    pub(super) fn reregister(
        &mut self,
        cx: &mut Cx<'_>,
        link: LinkId,
        node: NodeId,
        register: RegisterAgent,
        total: Resources,
        out: &mut Out,
    ) {
        let id = AgentId::from(register.agent_info.id.as_ref().map_or("", |id| &id.value));
        if self.agents.gone.get(id.as_str()).is_some() {
            return self.turn_away(link, "Agent has been marked gone".into(), out);
        }
        if let Err(why) = self.check_unmoved(&id, &register.agent_info) {
            return self.turn_away(link, why, out);
        }
        let address = agents::address(&register.agent_info, Some(node));
        if let Some(older) = self.agents.by_address.get(&address).filter(|o| **o != id).cloned() {
            let why = "another agent registered at the same address";
            let counter = Some("slave_removals/reason_registered");
            self.remove_agent(cx, &older, why, counter, out);
        }
        let is_new = !self.agents.registered.contains_key(&id);
        if is_new && self.agents.registered.len() >= AGENTS_MAX {
            self.metrics.add("slaves_over_limit");
            return out.act(Act::CloseLink { link });
        }
        self.metrics.add("slave_reregistrations");
        self.own(cx, &id, node, out);
        self.recover_frameworks(cx, &register, out);
        if is_new {
            self.readmit(cx, &id, link, &register, total, out);
        } else {
            self.welcome_back(cx, &id, link, &register, total, out);
        }
    }

    /// An agent keeps its address for its life.
    fn check_unmoved(&self, id: &AgentId, info: &v1::AgentInfo) -> Result<(), String> {
        let known = self.agents.registered.get(id).map(|a| &a.info);
        let known = known.or_else(|| self.agents.recovered.get(id));
        let Some(known) = known else { return Ok(()) };
        if agents::address(known, None) == agents::address(info, None) {
            return Ok(());
        }
        Err(format!(
            "Agent {id} attempted to re-register as {}:{}, but is known as {}:{}",
            info.hostname,
            info.port(),
            known.hostname,
            known.port()
        ))
    }

    /// Frameworks that only the agent knows: their tasks live, so they may come back.
    fn recover_frameworks(&mut self, cx: &mut Cx<'_>, register: &RegisterAgent, out: &mut Out) {
        for info in &register.frameworks {
            let Some(id) = info.id.as_ref().map(FrameworkId::from) else { continue };
            let known = self.frameworks.registered.contains_key(&id);
            if !known && !self.frameworks.removed.contains_key(&id) {
                let mut framework = Framework::new(info.clone(), cx.wall);
                framework.recovered = true;
                self.enlist_recovered(cx.now, cx.wall, id, framework, out);
            }
        }
    }

    /// An agent that is not in the table: awaited since the change of master, unreachable until
    /// now, or unknown.
    fn readmit(
        &mut self,
        cx: &mut Cx<'_>,
        id: &AgentId,
        link: LinkId,
        register: &RegisterAgent,
        total: Resources,
        out: &mut Out,
    ) {
        let was_awaited = self.agents.recovered.remove(id).is_some();
        if was_awaited {
            self.agents.last_return = Some(cx.now);
        }
        let was_unreachable = self.agents.unreachable.remove(id.as_str());
        if was_unreachable {
            self.metrics.add("slave_unreachable_canceled");
            self.forget_turn(id);
            out.write(registry::reachable(id));
        }
        self.admit(cx, id, &register.agent_info, out);
        let account = self.read_account(id, register);
        let used = account.used();
        let mut agent = Agent::new(register.agent_info.clone(), total, cx.wall);
        agent.reregistered = Some(cx.wall);
        self.enlist(id, agent, &used);
        self.bind(cx, id, link, register, out);
        self.confirm(id, link, Vec::new(), out);
        let place = self.streams.place();
        let message =
            if was_unreachable { "Unreachable agent reregistered" } else { "Agent reregistered" };
        for (framework, task) in account.tasks {
            if !was_awaited && task.is_live() && !self.was_put_aside(&framework, &task) {
                self.tell_back(cx, &framework, &task, message, out);
            }
            self.forget_unreachable(&framework, &task);
            self.add_task(&framework, task);
        }
        if !was_awaited {
            self.tell_lost(cx, id, "came back without the task", out);
            self.forget_unlisted(id);
        }
        for (framework, executor) in account.executors {
            self.add_executor(&framework, id, executor);
        }
        self.tell_agent_added(place, id);
        self.clean_up(id, account.unwanted, account.ended, out);
        self.refresh_frameworks(id, register, out);
    }

    /// An agent that is in the table: its link was lost, or it asks again. What it does not list is
    /// lost.
    fn welcome_back(
        &mut self,
        cx: &mut Cx<'_>,
        id: &AgentId,
        link: LinkId,
        register: &RegisterAgent,
        total: Resources,
        out: &mut Out,
    ) {
        let account = self.read_account(id, register);
        let remembered = total.checkpointed();
        let total = self.total_again(id, &register.agent_info, total);
        let forgot = remembered != total.checkpointed();
        self.drop_unlisted_executors(cx, id, register, out);
        let reconcile = self.unlisted_tasks(id, register);
        self.take_info(cx, id, register, total, out);
        for (framework_id, task) in account.tasks {
            let Some(framework) = self.frameworks.change(&framework_id) else {
                continue;
            };
            let task_id = TaskId::from(&task.record.task_id);
            if !framework.tasks.contains_key(&task_id) {
                if task.is_live() {
                    self.allocator.assign(&framework_id, id, &task.resources);
                }
                self.add_task(&framework_id, task);
            }
        }
        for (framework_id, executor) in account.executors {
            let Some(framework) = self.frameworks.registered.get(&framework_id) else { continue };
            let key = (id.clone(), ExecutorId::from(&executor.info.executor_id));
            if !framework.executors.contains_key(&key) {
                self.allocator.assign(&framework_id, id, &executor.resources);
                self.add_executor(&framework_id, id, executor);
            }
        }
        self.bind(cx, id, link, register, out);
        self.confirm(id, link, reconcile, out);
        if forgot {
            self.tell_checkpointed(id, out);
        }
        self.clean_up(id, account.unwanted, account.ended, out);
        self.replay_kills(id, out);
        self.refresh_frameworks(id, register, out);
    }

    /// Takes what changed of the agent itself. Offers of other resources than it has are no offers
    /// any more.
    fn take_info(
        &mut self,
        cx: &mut Cx<'_>,
        id: &AgentId,
        register: &RegisterAgent,
        total: Resources,
        out: &mut Out,
    ) {
        let Some(agent) = self.agents.change(id) else { return };
        agent.reregistered = Some(cx.wall);
        let resized = agent.total != total;
        if resized {
            agent.set_total(total.clone());
        }
        if *agent.info != register.agent_info {
            agent.info = Arc::new(register.agent_info.clone());
            self.admit(cx, id, &register.agent_info, out);
        }
        if resized {
            self.allocator.update_agent_total(id, total);
            self.rescind_agent(id, cx.now, out);
        }
    }

    /// A task that was given up for lost lives: its newest state, with a reason that says why it is
    /// told.
    fn tell_back(
        &self,
        cx: &Cx<'_>,
        framework: &FrameworkId,
        task: &Task,
        message: &str,
        out: &mut Out,
    ) {
        let verdict = Verdict { state: task.state(), reason: Reason::AgentReregistered, message };
        let status = super::reconcile::known(&task.record, &verdict, cx.wall);
        self.send(framework, events::update(status), out);
    }

    fn forget_unreachable(&mut self, framework: &FrameworkId, task: &Task) {
        if let Some(framework) = self.frameworks.change(framework) {
            framework.unreachable.remove(&task.record.task_id.value);
        }
    }

    /// Tasks that were unreachable with the agent and did not come back with it are nowhere any more: they reconcile as
    /// gone.
    fn forget_unlisted(&mut self, id: &AgentId) {
        for (framework, task) in self.unreachable_tasks(id) {
            self.marks.task(&framework, &TaskId::from(&task.task_id));
            if let Some(framework) = self.frameworks.change(&framework) {
                framework.unreachable.remove(&task.task_id.value);
            }
        }
    }

    fn drop_unlisted_executors(
        &mut self,
        cx: &mut Cx<'_>,
        id: &AgentId,
        register: &RegisterAgent,
        out: &mut Out,
    ) {
        let listed: BTreeSet<(&str, &str)> = register
            .executors
            .iter()
            .filter_map(|e| Some((e.framework_id.as_ref()?.value.as_str(), &*e.executor_id.value)))
            .collect();
        let executors = self.agents.get(id.as_str()).map(|agent| agent.executors.clone());
        for (framework, executor) in executors.unwrap_or_default() {
            if !listed.contains(&(framework.as_str(), executor.as_str())) {
                self.drop_executor(&framework, id, &executor, cx.now);
                self.send(&framework, events::failure(id, Some(&executor), None), out);
            }
        }
    }

    /// Ends on the agent what has ended here.
    fn clean_up(
        &self,
        id: &AgentId,
        unwanted: BTreeSet<FrameworkId>,
        ended: Vec<(FrameworkId, v1::TaskId)>,
        out: &mut Out,
    ) {
        for framework in unwanted {
            let shutdown = ShutdownFramework { framework_id: framework.into() };
            let message = MasterMessage { shutdown_framework: Some(shutdown), ..self.message() };
            self.to_agent(id, message, out);
        }
        for (framework, task) in ended {
            self.send_kill(id, &framework, task, None, out);
        }
    }

    fn replay_kills(&self, id: &AgentId, out: &mut Out) {
        let Some(agent) = self.agents.registered.get(id) else { return };
        for ((framework, task), policy) in &agent.kills {
            self.send_kill(id, framework, task.into(), *policy, out);
        }
    }

    /// The agent learns what changed in its frameworks while it was away.
    fn refresh_frameworks(&self, id: &AgentId, register: &RegisterAgent, out: &mut Out) {
        for info in &register.frameworks {
            let framework = info.id.as_ref().and_then(|id| self.frameworks.get(&id.value));
            let Some(framework) = framework else { continue };
            if *framework.info != *info {
                let update = UpdateFramework { framework_info: (*framework.info).clone() };
                let message = MasterMessage { update_framework: Some(update), ..self.message() };
                self.to_agent(id, message, out);
            }
        }
    }
}
