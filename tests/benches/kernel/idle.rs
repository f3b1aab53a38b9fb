//! What a node uses when nothing happens: memory and CPU of the node, its supervisor and its keepers, with no task and with many.

use crate::Result;
use crate::framework::Framework;
use crate::many::{TASKS, empty, fill};
use crate::node::{Node, Use, usage};
use crate::stamp::Stamps;
use crate::stats;
use std::time::Duration;

const SETTLE: Duration = Duration::from_secs(3);
const LOOK: Duration = Duration::from_secs(10);
const MIB: f64 = 1024.0 * 1024.0;
/// PSS that a running task may cost, all told, in MiB.
const TARGET: f64 = 1.0;

/// The row.
pub async fn row() -> Result<()> {
    let count = stats::tasks(TASKS)?;
    let dir = tempfile::tempdir()?;
    let stamps = Stamps::new(dir.path())?;
    let mut node = Node::start()?;
    node.answers().await?;
    println!(
        "\n8. at rest (load {})       RSS MiB   PSS MiB   private MiB   CPU in {LOOK:?}",
        stats::load()
    );
    tokio::time::sleep(SETTLE).await;
    let before = look(&node, "no task, nothing ever done").await?;
    let mut whole = Node::whole()?;
    whole.answers().await?;
    tokio::time::sleep(SETTLE).await;
    look(&whole, "the same with Marathon and Chronos").await?;
    whole.stop()?;
    let mut framework = Framework::subscribe(node.master).await?;
    fill(&mut framework, &stamps, count).await?;
    framework.idle(SETTLE).await?;
    let full = look(&node, &format!("{count} tasks")).await?;
    let per_task = |n: usize| (full[n].pss as f64 - before[n].pss as f64) / count as f64;
    let costs = [0, 1, 2].map(per_task);
    println!(
        "  a task costs (PSS): node {:.1} KiB, supervisor {:.1} KiB, keeper {:.1} KiB",
        costs[0] / 1024.0,
        costs[1] / 1024.0,
        costs[2] / 1024.0,
    );
    let cpu: u64 = full.iter().map(|part| part.cpu).sum();
    println!(
        "  CPU with {count} idle tasks: {:.2} % of a core; load {}",
        cpu as f64 / LOOK.as_nanos() as f64 * 100.0,
        stats::load()
    );
    empty(&mut framework, count).await?;
    framework.end().await?;
    tokio::time::sleep(SETTLE).await;
    look(&node, "no task, after them").await?;
    stats::at_most("a running task, PSS", costs.iter().sum::<f64>() / MIB, TARGET, " MiB");
    node.stop()
}

/// What node, supervisor, and all keepers together use: memory at the end, CPU in the time it looks.
async fn look(node: &Node, when: &str) -> Result<[Use; 3]> {
    let before = parts(node)?;
    tokio::time::sleep(LOOK).await;
    let mut after = parts(node)?;
    println!("  {when}");
    for (n, name) in ["node", "supervisor", "keepers together"].into_iter().enumerate() {
        // Keepers that have ended took their time with them.
        after[n].cpu = after[n].cpu.saturating_sub(before[n].cpu);
        line(&format!("    {name}"), &after[n]);
    }
    Ok(after)
}

fn parts(node: &Node) -> Result<[Use; 3]> {
    let mut keepers = Use::default();
    for pid in node.keepers()? {
        keepers += usage(pid)?;
    }
    Ok([usage(node.pid())?, usage(node.supervisor()?)?, keepers])
}

fn line(name: &str, used: &Use) {
    let mib = |bytes: u64| bytes as f64 / MIB;
    println!(
        "{name:<32} {:>8.1} {:>9.1} {:>13.1} {:>8.1} ms",
        mib(used.rss),
        mib(used.pss),
        mib(used.private),
        used.cpu as f64 / 1e6
    );
}
