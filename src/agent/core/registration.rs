//! The link with the leading master: registering until answered, pings, and the fence against old
//! leaders.

use super::io::{Act, LinkId};
use super::tables::aware;
use super::{AgentCore, Step, Stopping, Timer, records, words};
use crate::base::ids::{AgentId, FrameworkId, TaskId};
use crate::base::time::duration_from_secs;
use crate::mesos::address::IpAddr;
use crate::mesos::internal::{
    AgentMessage, AgentRegistered, MasterMessage, Pong, ReconcileTasks, RegisterAgent,
};
use crate::mesos::v1::{self, TaskState, task_status::Reason};
use std::sync::Arc;
use std::time::Duration;

/// The longest pause between two registrations.
pub const REGISTRATION_BACKOFF_MAX: Duration = Duration::from_secs(60);
/// How long an agent hears no ping before it looks for a master again, unless the master says
/// otherwise.
const PING_TIMEOUT: Duration = Duration::from_secs(75);

/// Where the agent stands with its master.
#[derive(Clone, Debug, Default)]
pub(super) struct Link {
    /// The connection, if there is one.
    pub link: Option<LinkId>,
    /// The master of this connection has answered.
    pub registered: bool,
    attempts: u32,
    ping_timeout: Option<Duration>,
}

impl Link {
    /// The connection over which updates may be sent.
    pub fn ready(&self) -> Option<LinkId> {
        if self.registered { self.link } else { None }
    }
}

impl AgentCore {
    pub(super) fn connected(&mut self, s: &mut Step<'_>, link: LinkId) {
        self.master = Link { link: Some(link), ..Link::default() };
        self.timers.cancel(&Timer::Ping);
        self.register(s);
    }

    pub(super) fn lost(&mut self, link: LinkId) {
        if self.master.link == Some(link) {
            self.master = Link::default();
            self.timers.cancel(&Timer::Ping);
            self.timers.cancel(&Timer::Register);
        }
    }

    /// Sends the account of this agent, and again until it is answered.
    ///
    /// The first goes at once (connections come back one by one, so there is no herd to spread);
    /// each further one waits for half to all of a pause that doubles.
    pub(super) fn register(&mut self, s: &mut Step<'_>) {
        let Some(link) = self.master.link else { return };
        if self.reconnecting || self.master.registered || self.stopping == Some(Stopping::Unwanted)
        {
            return;
        }
        let message = AgentMessage { register: Some(self.account()), ..Default::default() };
        s.act(Act::ToMaster { link, message: Box::new(message) });
        let factor = self.options.registration_backoff_factor;
        let pause = factor
            .saturating_mul(1 << self.master.attempts.min(16))
            .clamp(Duration::from_millis(10), REGISTRATION_BACKOFF_MAX);
        self.master.attempts += 1;
        let pause = pause / 2 + s.rng.up_to(pause / 2);
        self.timers.set(Timer::Register, s.now + pause);
    }

    fn account(&self) -> RegisterAgent {
        let tables = &self.tables;
        RegisterAgent {
            agent_info: (*self.identity.info).clone(),
            version: self.options.version.clone(),
            capabilities: self.options.capabilities.clone(),
            tasks: tables.tasks.values().map(|t| (*t.shown).clone()).collect(),
            executors: tables
                .executors
                .values()
                .filter(|e| !e.command_task && !e.is_over())
                .map(|e| (*e.info).clone())
                .collect(),
            frameworks: tables.frameworks.values().map(|f| (*f.info).clone()).collect(),
            checkpointed_resources: self.remembered.told(),
            epoch: Some(self.identity.epoch),
            ip: own_ip(&self.options.ip),
        }
    }

    /// Obeys a message unless it comes over an old connection or from an old leader.
    pub(super) fn heard(&mut self, s: &mut Step<'_>, link: LinkId, message: MasterMessage) {
        if self.master.link != Some(link) || message.epoch < self.identity.epoch {
            self.count("fenced_messages");
            return;
        }
        if message.epoch > self.identity.epoch {
            self.identity.epoch = message.epoch;
            self.write_identity(s);
        }
        if let Some(ping) = message.ping {
            self.ping(s, link, ping.connected);
        }
        if let Some(shutdown) = message.shutdown {
            return self.unwanted(s, &shutdown.message);
        }
        match message.registered {
            Some(registered) => self.registered(s, link, registered),
            // Only an answer makes a master ours; what else comes before it is not obeyed.
            None if !self.master.registered && message.ping.is_none() => {
                return self.count("unexpected_messages");
            }
            None => {}
        }
        if !self.master.registered {
            return;
        }
        if let Some(drain) = message.drain {
            self.set_drain(s, drain.config);
        }
        if let Some(checkpoint) = message.checkpoint_resources {
            self.checkpoint_resources(s, checkpoint);
        }
        if let Some(run) = message.run_task {
            self.run_task(s, run);
        }
        if let Some(group) = message.run_task_group {
            self.run_group(s, group);
        }
        if let Some(kill) = message.kill_task {
            self.kill_asked(s, kill);
        }
        if let Some(m) = message.shutdown_executor {
            self.shutdown_executor_asked(s, &m);
        }
        if let Some(m) = message.shutdown_framework {
            let id = FrameworkId::from(m.framework_id.value.as_str());
            self.shutdown_framework(s, &id);
        }
        if let Some(ack) = message.acknowledge {
            self.acknowledged(s, &ack);
        }
        if let Some(m) = message.framework_message {
            self.framework_message(s, m);
        }
        if let Some(update) = message.update_framework {
            self.update_framework(s, update.framework_info);
        }
    }

    pub(super) fn write_identity(&mut self, s: &mut Step<'_>) {
        s.write(records::agent(&self.identity));
    }

    fn ping(&mut self, s: &mut Step<'_>, link: LinkId, connected: bool) {
        // Says nothing but that the agent lives, so it waits for no disk.
        let message = AgentMessage { pong: Some(Pong {}), ..Default::default() };
        s.out.act_now(Act::ToMaster { link, message: Box::new(message) });
        if self.master.registered {
            let timeout = self.master.ping_timeout.unwrap_or(PING_TIMEOUT);
            self.timers.set(Timer::Ping, s.now + timeout);
            if !connected {
                self.master.registered = false;
                self.master.attempts = 0;
                self.timers.cancel(&Timer::Ping);
                self.register(s);
            }
        }
    }

    /// The master does not answer any more: look for the leading one again.
    pub(super) fn ping_timeout(&mut self, s: &mut Step<'_>) {
        if let Some(link) = self.master.link {
            self.count("ping_timeouts");
            self.lost(link);
            s.act(Act::LeaveMaster { link });
        }
    }

    fn registered(&mut self, s: &mut Step<'_>, link: LinkId, answer: AgentRegistered) {
        let given = AgentId::from(answer.agent_id.value.as_str());
        match self.identity.id() {
            None => {
                let mut info = (*self.identity.info).clone();
                info.id = Some(answer.agent_id);
                self.identity.info = Arc::new(info);
                self.write_identity(s);
            }
            Some(own) if own != given => {
                // Not an answer to us. Nothing is stored; another connection may do better.
                self.count("foreign_registrations");
                self.lost(link);
                return s.act(Act::LeaveMaster { link });
            }
            Some(_) => {}
        }
        self.timers.cancel(&Timer::Register);
        let timeout = answer.ping_timeout_secs.and_then(duration_from_secs);
        let timeout = timeout.filter(|t| !t.is_zero()).unwrap_or(PING_TIMEOUT);
        self.master =
            Link { link: Some(link), registered: true, attempts: 0, ping_timeout: Some(timeout) };
        self.timers.set(Timer::Ping, s.now + timeout);
        for key in self.streams.reset() {
            self.forward(s, &key);
        }
        for asked in &answer.reconcile {
            self.reconcile(s, asked);
        }
        self.set_drain(s, answer.drain);
    }

    /// Tells a master of the tasks that it holds and this agent does not.
    fn reconcile(&mut self, s: &mut Step<'_>, asked: &ReconcileTasks) {
        let framework = FrameworkId::from(asked.framework_id.value.as_str());
        for status in &asked.statuses {
            let key = (framework.clone(), TaskId::from(status.task_id.value.as_str()));
            if self.tables.tasks.contains_key(&key) || self.streams.has(&key) {
                continue;
            }
            // A framework that is not known here may say by the status which word it understands.
            let state = match (self.tables.framework(&framework), status.state()) {
                (None, known @ (TaskState::TaskDropped | TaskState::TaskGone)) => known,
                (info, _) => aware(info, TaskState::TaskDropped),
            };
            let text = "Reconciliation: Task is unknown to the agent";
            self.report_unknown(s, &key, None, state, Reason::Reconciliation, text.into());
        }
    }

    fn update_framework(&mut self, s: &mut Step<'_>, info: v1::FrameworkInfo) {
        let Some(id) = info.id.as_ref().map(|id| FrameworkId::from(id.value.as_str())) else {
            return self.count("unexpected_messages");
        };
        if let Some(framework) = self.tables.frameworks.get_mut(&id) {
            framework.info = Arc::new(info);
            s.write(records::framework(&id, framework));
        }
    }

    /// Custom executors had their time to come back.
    pub(super) fn reconnect_timeout(&mut self, s: &mut Step<'_>) {
        let late: Vec<_> = self
            .tables
            .executors
            .iter()
            .filter(|(_, e)| super::recovery::is_awaited(e))
            .map(|(k, _)| k.clone())
            .collect();
        let within = words::duration(self.options.executor_reregistration_timeout);
        for key in late {
            let state = aware(self.tables.framework(&key.0), TaskState::TaskGone);
            let message = format!("Executor did not reregister within {within}");
            self.end_executor(s, &key, state, Reason::ExecutorReregistrationTimeout, message);
        }
        self.reconnected(s);
    }

    /// Registers once nobody is awaited any more.
    pub(super) fn reconnected(&mut self, s: &mut Step<'_>) {
        if self.reconnecting && !self.tables.executors.values().any(super::recovery::is_awaited) {
            self.reconnecting = false;
            self.recovery.1 = Some(s.now.since(self.recovery.0));
            self.timers.cancel(&Timer::Reconnect);
            self.register(s);
        }
    }
}

/// The address the agent's API listens on, unless it is every one.
fn own_ip(text: &str) -> Option<String> {
    let ip: IpAddr = text.parse().ok()?;
    (!ip.is_unspecified()).then(|| ip.to_string())
}
