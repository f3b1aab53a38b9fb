//! The agent crashes after every single durable batch and every act of a scenario, and once more
//! while it recovers: nothing is started twice, no end of a task is lost, and what is sent again
//! keeps its uuid.

use super::world::*;
use crate::agent::core::io::Answer;
use crate::agent::core::tables::is_terminal;
use crate::base::ids::ContainerId;
use crate::base::rng::Rng;
use crate::mesos::v1::{TaskInfo, TaskState, TaskStatus, executor};
use std::collections::BTreeMap;

/// A custom executor: runs as long as its container does, and outlives the agent.
#[derive(Default)]
struct Exec {
    container: Option<ContainerId>,
    session: u64,
    sessions: u64,
    seen: usize,
    tasks: BTreeMap<String, TaskInfo>,
    unacknowledged: Vec<TaskStatus>,
    launched: BTreeMap<String, u32>,
    uuid: u64,
}

impl Exec {
    fn play(&mut self, w: &mut World) {
        if w.core.is_none() {
            self.session = 0;
            return;
        }
        let container = w.container("e1").filter(|c| w.containers[c].state == State::Running);
        if container != self.container {
            // Another process: it knows nothing of the one before.
            self.container = container.clone();
            self.session = 0;
            self.tasks.clear();
            self.unacknowledged.clear();
        }
        if container.is_none() {
            (self.session, self.seen) = (0, w.events.len());
            return;
        }
        if self.session == 0 {
            self.sessions += 1;
            let subscribe = executor::call::Subscribe {
                unacknowledged_tasks: self.tasks.values().cloned().collect(),
                unacknowledged_updates: self
                    .unacknowledged
                    .iter()
                    .map(|s| executor::call::Update { status: s.clone() })
                    .collect(),
            };
            if w.subscribe(self.sessions, "e1", subscribe) == Answer::Accepted {
                self.session = self.sessions;
            }
        }
        while let Some((session, event)) = w.events.get(self.seen).cloned() {
            self.seen += 1;
            if session.0 != self.session {
                // It was sent to a stream that is closed: it came before the crash all the same.
                assert!(session.0 <= self.sessions);
            }
            if let Some(launch) = event.launch {
                let id = launch.task.task_id.value.clone();
                *self.launched.entry(id.clone()).or_default() += 1;
                self.tasks.insert(id.clone(), launch.task);
                self.send(w, &id, TaskState::TaskRunning);
            }
            if let Some(kill) = event.kill
                && self.launched.contains_key(&kill.task_id.value)
            {
                self.send(w, &kill.task_id.value, TaskState::TaskKilled);
            }
            if let Some(ack) = event.acknowledged {
                self.tasks.remove(&ack.task_id.value);
                self.unacknowledged.retain(|s| s.uuid.as_ref() != Some(&ack.uuid));
            }
        }
    }

    fn send(&mut self, w: &mut World, task: &str, state: TaskState) {
        self.uuid += 1;
        let mut status = status(task, state, 0);
        status.uuid = Some([self.uuid.to_be_bytes(), [1; 8]].concat());
        self.unacknowledged.push(status.clone());
        w.call(update("e1", status));
    }
}

type Action = fn(&mut World);

/// A master does not kill what it knows to be over.
fn kill(w: &mut World, id: &str) {
    if !w.is_over(id) {
        w.kill(id, Some(1));
    }
}

/// Launches, a kill, an exit, a restart of the master's link, a kill of a custom executor's task.
const SCENARIO: [Action; 9] = [
    World::connect,
    |w| w.run(task("t1")),
    |w| w.run(custom("c1", "e1")),
    |w| w.run(task("t2")),
    |w| w.run(custom("c2", "e1")),
    |w| kill(w, "t1"),
    |w| w.task_exits("t2", 3 << 8),
    |w| kill(w, "c1"),
    |w| w.connect(),
];

/// Plays the scenario with a crash after `first` effects and another `second` effects after that;
/// whether it came to the first.
fn play(first: usize, second: Option<usize>) -> bool {
    let mut w = World::new();
    w.options.executor_reregistration_timeout = seconds(2);
    w.budget = Some(first);
    let mut exec = Exec::default();
    let (mut crashed, mut second) = (false, second);
    for action in SCENARIO {
        action(&mut w);
        w.advance(seconds(1));
        exec.play(&mut w);
        while w.dead {
            crashed = true;
            exec.play(&mut w);
            w.crash();
            w.budget = second.take();
            w.start().expect("its records can be read");
            exec.play(&mut w);
            w.connect();
            w.advance(seconds(1));
            exec.play(&mut w);
        }
    }
    for _ in 0..4 {
        w.advance(seconds(400));
        exec.play(&mut w);
    }
    judge(&w, &exec, &format!("crash after {first}, then {second:?}"));
    crashed
}

fn judge(w: &World, exec: &Exec, when: &str) {
    // An executor that ended is rightly started again for new tasks.
    let commands = w.starts.iter().filter(|(name, _)| !name.starts_with('e'));
    for (name, n) in commands.chain(&exec.launched) {
        assert!(*n <= 1, "{name} was started {n} times: {when}");
    }
    let runs = |id: &str| w.container(id).is_some_and(|c| w.containers[&c].state == State::Running);
    for (_, id) in &w.launched {
        let states = w.states(id);
        for state in &states {
            let same = states.iter().filter(|s| *s == state).count();
            assert_eq!(same, 1, "{id}: {states:?}: {when}");
        }
        let ends = states.iter().filter(|s| is_terminal(**s)).count();
        let alive = match id.as_str() {
            _ if id.starts_with('c') => runs("e1") && exec.launched.contains_key(id),
            _ => runs(id),
        };
        match (ends, alive) {
            (1, _) => {
                let last = states.last().copied();
                assert!(last.is_some_and(is_terminal), "{id}: {states:?}: {when}");
            }
            (0, true) => assert!(states.contains(&TaskState::TaskRunning), "{id}: {when}"),
            _ => panic!("{id} was lost: {states:?}, alive: {alive}: {when}"),
        }
    }
    let of = |table: &str| w.disk.keys().filter(|k| k.starts_with(table)).count();
    let running = w.containers.values().filter(|c| c.state == State::Running).count();
    let leftover = (of("executors/"), running, w.containers.len());
    assert!(leftover.0 == leftover.1 && leftover.1 == leftover.2, "{leftover:?}: {when}");
    let alive = w.launched.iter().filter(|(_, id)| !w.is_over(id)).count();
    assert_eq!((of("tasks/"), of("states/")), (alive, alive), "{when}");
    let waiting: Vec<_> = w.disk.keys().filter(|k| k.starts_with("updates/")).collect();
    assert!(waiting.is_empty(), "{waiting:?}: {when}");
}

// covers: MES-0376, MES-0377, MES-0396, MES-0400
#[test]
fn a_crash_at_every_step_loses_nothing_and_repeats_nothing() {
    let mut steps = 0;
    while play(steps, None) {
        steps += 1;
    }
    assert!(steps > 50, "the scenario has only {steps} steps");
}

#[test]
fn a_second_crash_during_recovery_changes_nothing() {
    for first in 0..60 {
        for second in 0..8 {
            play(first, Some(second));
        }
    }
}

/// One thing that may happen, by chance.
fn happen(w: &mut World, exec: &mut Exec, rng: &mut Rng, n: u64) {
    let some = |w: &World, rng: &mut Rng| {
        let at = rng.below(w.launched.len() as u64) as usize;
        w.launched.get(at).map(|(_, id)| id.clone()).unwrap_or_default()
    };
    match rng.below(24) {
        0..=4 => w.run(task(&format!("t{n}"))),
        5..=7 => w.run(custom(&format!("c{n}"), "e1")),
        8..=10 => {
            let id = some(w, rng);
            kill(w, &id);
        }
        11..=13 => {
            let id = some(w, rng);
            w.task_exits(&id, (rng.below(3) as i32) << 8);
        }
        14..=16 => w.advance(seconds(rng.below(30))),
        17 => w.connect(),
        18 => w.acknowledge = !w.acknowledge,
        19 => w.obedient = !w.obedient,
        20 => w.task_exits("e1", 0),
        21 => w.budget = Some(rng.below(6) as usize),
        22 if rng.chance(1, 3) => {
            w.reboot();
            w.connect();
        }
        _ => {
            w.restart();
            exec.play(w);
            w.connect();
        }
    }
}

#[test]
fn whatever_happens_in_whatever_order_nothing_is_lost() {
    for seed in 0..150 {
        let mut rng = Rng::new(seed);
        let (mut w, mut exec) = (World::ready(), Exec::default());
        for n in 0..80 {
            happen(&mut w, &mut exec, &mut rng, n);
            exec.play(&mut w);
            while w.dead {
                exec.play(&mut w);
                w.restart();
                exec.play(&mut w);
                w.connect();
            }
        }
        (w.acknowledge, w.obedient, w.budget) = (true, true, None);
        w.connect();
        for _ in 0..6 {
            w.advance(seconds(400));
            exec.play(&mut w);
        }
        w.connect();
        judge(&w, &exec, &format!("seed {seed}"));
    }
}
