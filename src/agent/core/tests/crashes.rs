//! The agent crashes after every single durable batch and every act of a scenario, and once more
//! while it recovers:
//! nothing is started twice, no end of a task is lost, and what is sent again keeps its uuid.

use super::world::*;
use crate::agent::core::io::Answer;
use crate::agent::core::tables::is_terminal;
use crate::mesos::v1::{TaskInfo, TaskState, TaskStatus, executor};
use std::collections::BTreeMap;

/// A custom executor: runs as long as its container does, and outlives the agent.
#[derive(Default)]
struct Exec {
    session: u64,
    sessions: u64,
    seen: usize,
    tasks: BTreeMap<String, TaskInfo>,
    unacknowledged: Vec<TaskStatus>,
    launched: BTreeMap<String, u32>,
    uuid: u8,
}

impl Exec {
    fn play(&mut self, w: &mut World) {
        if w.core.is_none() {
            self.session = 0;
            return;
        }
        let running = w.container("e1").is_some_and(|c| w.containers[&c].state == State::Running);
        if !running {
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
        let status = status(task, state, self.uuid);
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
/// whether it came
/// to the first.
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
    for (name, n) in w.starts.iter().chain(&exec.launched) {
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
            "t1" | "t2" => runs(id),
            _ => runs("e1") && exec.launched.contains_key(id),
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
