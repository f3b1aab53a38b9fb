//! From the exec of `mesolith up` on nothing to the first instruction of the first task.

use crate::Result;
use crate::framework::Framework;
use crate::node::Node;
use crate::stamp::{Stamps, now};
use crate::stats::{CANARY, Round, ms, print, rounds};
use mesolith::mesos::v1::TaskState;
use std::time::Duration;

const ROUNDS: usize = 15;

/// The row.
pub async fn row() -> Result<()> {
    let mut all = Vec::new();
    for round in 0..rounds(ROUNDS)? {
        all.push(one(round).await?);
    }
    print("1. cold start: exec of `up` on a fresh data folder, until …", &all, None);
    Ok(())
}

async fn one(round: usize) -> Result<Round> {
    let dir = tempfile::tempdir()?;
    let stamps = Stamps::new(dir.path())?;
    let canary = crate::peers::canary(&stamps, round, Duration::ZERO).await?;
    let mut node = Node::start()?;
    node.answers().await?;
    let answered = now();
    let mut framework = Framework::subscribe(node.master).await?;
    let offer = framework.offer().await?;
    let offered = now();
    let tasks = framework.tasks(&offer, &["first".into()], &stamps, false)?;
    let sent = framework.launch(offer, tasks).await?;
    framework.until("first", TaskState::TaskFinished).await?;
    let ran = stamps.wait("first").await?;
    framework.end().await?;
    let stopping = now();
    let started = node.started;
    node.stop()?;
    Ok(Round::from([
        (CANARY, canary),
        ("… 1 the port is open", ms(started, answered)),
        ("… 2 an offer has come", ms(started, offered)),
        ("… 3 the first instruction", ms(started, ran)),
        ("(of this: ACCEPT to instruction)", ms(sent, ran)),
        ("(and: SIGTERM until it has ended)", ms(stopping, now())),
    ]))
}
