//! Scripted frameworks: what one remembers, and what it does by itself as time passes.

mod calls;
mod hear;

use super::chronos::CHRONOS;
use super::marathon::MARATHON;
use super::queue::What;
use super::world::World;
use crate::base::rng::Rng;
use crate::base::time::Mono;
use crate::master::core::io::SessionId;
use crate::mesos::make;
use crate::mesos::v1::scheduler::call;
use crate::mesos::v1::{self, TaskState, framework_info::capability};
use std::collections::BTreeMap;
use std::time::Duration;

/// Between two looks of a framework.
const TICK: u64 = 2000;
/// Without an event for so long, a session is given up.
const SILENCE_MAX: Duration = Duration::from_secs(45);
/// Live tasks of one framework.
const TASKS_MAX: usize = 6;

/// What a framework remembers of a task, also over its crashes.
#[derive(Clone, Debug)]
pub(super) struct Belief {
    pub agent: v1::AgentId,
    pub state: TaskState,
    /// An agent said that it ended.
    pub ended: bool,
}

impl Belief {
    pub fn is_over(&self) -> bool {
        self.ended || make::is_terminal(self.state)
    }
}

/// One framework's scheduler.
pub(super) struct Scheduler {
    pub number: usize,
    pub info: v1::FrameworkInfo,
    pub tasks: BTreeMap<String, Belief>,
    pub session: Option<SessionId>,
    pub subscribed: bool,
    /// It launches no more.
    pub draining: bool,
    /// The one that comes when all faults have ended: its first task must run and finish.
    pub last: bool,
    pub up: bool,
    heard: Mono,
    made: u64,
    lives: u64,
}

impl Scheduler {
    pub fn new(number: usize, rng: &mut Rng) -> Self {
        let capability =
            |t: capability::Type| v1::framework_info::Capability { r#type: Some(t as i32) };
        let mut capabilities = Vec::new();
        if rng.chance(2, 3) {
            capabilities.push(capability(capability::Type::PartitionAware));
        }
        if rng.chance(1, 2) {
            capabilities.push(capability(capability::Type::TaskKillingState));
        }
        let timeout = if rng.chance(1, 4) { 20.0 } else { 100_000.0 };
        let info = v1::FrameworkInfo {
            user: "root".into(),
            name: format!("framework{number}"),
            checkpoint: Some(rng.chance(4, 5)),
            failover_timeout: Some(timeout),
            capabilities,
            ..Default::default()
        };
        Self {
            number,
            info,
            tasks: BTreeMap::new(),
            session: None,
            subscribed: false,
            draining: false,
            last: false,
            up: true,
            heard: Mono(0),
            made: 0,
            lives: 0,
        }
    }

    pub fn id(&self) -> &str {
        self.info.id.as_ref().map_or("", |id| &id.value)
    }

    /// Tasks that are not known to have ended.
    pub fn open_tasks(&self) -> impl Iterator<Item = (&String, &Belief)> {
        self.tasks.iter().filter(|(_, belief)| !belief.is_over())
    }

    /// It has ended at the master: whatever comes is another framework.
    fn begin_anew(&mut self) {
        self.info.id = None;
        self.tasks.clear();
        self.lives += 1;
        (self.session, self.subscribed) = (None, false);
    }

    fn name_task(&mut self) -> String {
        self.made += 1;
        format!("f{}-{}-t{}", self.number, self.lives, self.made)
    }

    fn wants_more(&self) -> bool {
        !self.draining && self.open_tasks().count() < TASKS_MAX
    }
}

impl World {
    /// A framework looks at where it stands.
    pub(super) fn tick(&mut self, n: usize) {
        let pause = self.between(TICK / 2, TICK);
        self.after(pause, What::Tick(n));
        let now = self.now;
        let Some(scheduler) = self.schedulers.get_mut(n).filter(|s| s.up) else { return };
        let Some(session) = scheduler.session.clone() else { return self.subscribe(n) };
        if now.since(scheduler.heard) > SILENCE_MAX {
            self.cut_session(&session);
            return self.session_lost(n, &session);
        }
        if scheduler.subscribed {
            self.act_by_itself(n);
        }
    }

    fn act_by_itself(&mut self, n: usize) {
        let Some(scheduler) = self.schedulers.get(n) else { return };
        let (draining, last) = (scheduler.draining, scheduler.last);
        let open: Vec<String> = scheduler.open_tasks().map(|(id, _)| id.clone()).collect();
        if draining && !last {
            self.reconcile(n, &open, true);
            for task in open {
                self.kill(n, &task);
            }
            return;
        }
        match self.rng.below(12) {
            0 | 1 if !last => {
                let at = self.rng.below(open.len() as u64) as usize;
                if let Some(task) = open.get(at) {
                    self.kill(n, &task.clone());
                }
            }
            2 => self.reconcile(n, &open, false),
            3 => self.reconcile(n, &[], false),
            4 => self.simple_call(n, call::Type::Revive),
            5 if self.rng.chance(1, 4) && !last => self.simple_call(n, call::Type::Suppress),
            6 if self.rng.chance(1, 20) && !last => self.simple_call(n, call::Type::Teardown),
            _ if last => self.simple_call(n, call::Type::Revive),
            _ => {}
        }
    }

    /// The process ends; it remembers its tasks and its id.
    pub(super) fn scheduler_crash(&mut self, n: usize) {
        let most = if self.rng.chance(1, 4) { 60_000 } else { 3000 };
        let pause = self.between(10, most);
        let Some(scheduler) = self.schedulers.get_mut(n).filter(|s| s.up) else { return };
        (scheduler.up, scheduler.subscribed) = (false, false);
        if let Some(session) = scheduler.session.take() {
            self.cut_session(&session);
        }
        self.after(pause, What::SchedulerUp(n));
    }

    pub(super) fn scheduler_up(&mut self, n: usize) {
        if let Some(scheduler) = self.schedulers.get_mut(n) {
            scheduler.up = true;
        }
    }

    /// Its session is gone; it subscribes again some time.
    pub(super) fn session_lost(&mut self, n: usize, session: &SessionId) {
        if n == MARATHON {
            return self.marathon_session_lost(session);
        }
        if n == CHRONOS {
            return self.chronos_session_lost(session);
        }
        let Some(scheduler) = self.schedulers.get_mut(n) else { return };
        if scheduler.session.as_ref() == Some(session) {
            (scheduler.session, scheduler.subscribed) = (None, false);
        }
    }
}
