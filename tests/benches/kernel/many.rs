//! Two hundred tasks in one call: how fast they run, how fast they end.

use crate::Result;
use crate::framework::Framework;
use crate::node::Node;
use crate::stamp::{Stamps, now};
use crate::stats::{median, ms};
use mesolith::mesos::v1::{TaskId, TaskState};

/// How many tasks.
pub const TASKS: usize = 200;
const ROUNDS: usize = 3;

/// The row.
pub async fn row() -> Result<()> {
    println!("\n4. {TASKS} tasks in one ACCEPT ({ROUNDS} rounds, each shown; then medians)");
    let mut all: [Vec<f64>; 4] = Default::default();
    for _ in 0..ROUNDS {
        let times = one().await?;
        println!(
            "  first {:.0} ms, last {:.0} ms, RUNNING seen {:.0} ms, killed {:.0} ms",
            times[0], times[1], times[2], times[3]
        );
        all.iter_mut().zip(times).for_each(|(all, time)| all.push(time));
    }
    let [_, last, running, killed] = all.each_mut().map(|times| median(times));
    let rate = |time: f64| TASKS as f64 / time * 1e3;
    println!("  until the last first instruction  {last:>8.0} ms {:>8.0} tasks/s", rate(last));
    println!(
        "  until all RUNNING are seen        {running:>8.0} ms {:>8.0} tasks/s",
        rate(running)
    );
    println!("  KILL of all until all KILLED      {killed:>8.0} ms {:>8.0} tasks/s", rate(killed));
    Ok(())
}

async fn one() -> Result<[f64; 4]> {
    let dir = tempfile::tempdir()?;
    let stamps = Stamps::new(dir.path())?;
    let mut node = Node::start()?;
    node.answers().await?;
    let mut framework = Framework::subscribe(node.master).await?;
    let sent = fill(&mut framework, &stamps).await?;
    let running = now();
    let mut times: Vec<u64> = stamps.all()?.into_values().collect();
    times.sort_unstable();
    let (Some(first), Some(last)) = (times.first().copied(), times.last().copied()) else {
        return Err("no task ran".into());
    };
    let killing = now();
    empty(&mut framework).await?;
    let killed = now();
    framework.end().await?;
    node.stop()?;
    Ok([ms(sent, first), ms(sent, last), ms(sent, running), ms(killing, killed)])
}

/// Launches all and waits until all run; when it was sent.
pub async fn fill(framework: &mut Framework, stamps: &Stamps) -> Result<u64> {
    let offer = framework.offer().await?;
    let names: Vec<String> = (0..TASKS).map(|n| format!("task-{n}")).collect();
    let tasks = framework.tasks(&offer, &names, stamps, true)?;
    let sent = framework.launch(offer, tasks).await?;
    while framework.count(TaskState::TaskRunning) < TASKS {
        framework.step().await?;
    }
    let last = names.last().map_or("", String::as_str);
    stamps.wait(last).await?;
    Ok(sent)
}

/// Kills all and waits until all are killed.
pub async fn empty(framework: &mut Framework) -> Result<()> {
    for n in 0..TASKS {
        let port = framework.port.clone();
        port.kill(TaskId { value: format!("task-{n}") }, None, None).await?;
    }
    while framework.count(TaskState::TaskKilled) < TASKS {
        framework.step().await?;
    }
    Ok(())
}
