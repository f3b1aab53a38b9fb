//! The node is killed with kill -9 while its tasks run, and started again: when they are all its own again.

use crate::Result;
use crate::face::Face;
use crate::framework::Framework;
use crate::many::{Kept, TASKS, empty, fill};
use crate::node::Node;
use crate::stamp::{Stamps, now};
use crate::stats::{self, CANARY, Round, ms};
use mesolith::mesos::v1::TaskState;
use std::time::{Duration, Instant};

const ROUNDS: usize = 30;
/// Between two crashes.
const SETTLE: Duration = Duration::from_millis(500);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(1);
/// How long it may take to be whole again.
const WITHIN: Duration = Duration::from_secs(60);

/// The row.
pub async fn row() -> Result<()> {
    let count = stats::tasks(TASKS)?;
    let dir = tempfile::tempdir()?;
    let stamps = Stamps::new(dir.path())?;
    let mut node = Node::start()?;
    node.answers().await?;
    let (master, agent) = (Face::new(node.master)?, Face::new(node.agent)?);
    let mut framework = Framework::subscribe_as(node.master, true).await?;
    fill(&mut framework, &stamps, count).await?;
    let before = Kept::of(&agent, count).await?;
    let mut rounds = Vec::new();
    for round in 0..stats::rounds(ROUNDS)? {
        framework.idle(SETTLE).await?;
        let mut times = Round::new();
        let canary = crate::peers::canary(&stamps, round, Duration::ZERO).await?;
        times.insert(CANARY, canary);
        let killed = now();
        node.crash()?;
        times.insert("(kill -9 until it is started)", ms(killed, node.started));
        node.answers().await?;
        times.insert("… 1 the port is open", ms(node.started, now()));
        let attached = until(&agent, "slave/tasks_running", count).await?;
        times.insert("… 2 the agent has all tasks", ms(node.started, attached));
        let listed = until(&master, "master/tasks_running", count).await?;
        times.insert("… 3 the master has all tasks", ms(node.started, listed));
        rounds.push(times);
    }
    framework.idle(SETTLE).await?;
    if Kept::of(&agent, count).await?.processes != before.processes {
        return Err("some tasks are not those that were launched".into());
    }
    let alive = [TaskState::TaskStaging, TaskState::TaskStarting, TaskState::TaskRunning];
    let told = |(_, state): &&(String, i32)| !alive.iter().any(|s| i32::from(*s) == *state);
    if let Some((task, state)) = framework.seen.keys().find(told) {
        return Err(format!("{task} was told to be in state {state}").into());
    }
    let title = format!("17. kill -9 with {count} tasks, from the exec of the next `up` until …");
    stats::print(&title, &rounds, None);
    empty(&mut framework, count).await?;
    framework.end().await?;
    node.stop()
}

/// Asks for a metric until it has that value; when it had.
async fn until(face: &Face, metric: &str, value: usize) -> Result<u64> {
    let deadline = Instant::now() + WITHIN;
    loop {
        // Nobody may listen yet.
        let seen = face.get("/metrics/snapshot").await.map(|all| all[metric].clone());
        if seen.as_ref().is_ok_and(|seen| seen.as_f64() == Some(value as f64)) {
            return Ok(now());
        }
        if Instant::now() > deadline {
            return Err(format!("{metric} is not {value}: {seen:?}").into());
        }
        tokio::time::sleep(LOOK).await;
    }
}
