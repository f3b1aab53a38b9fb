//! What a node uses when nothing happens: memory and CPU of the node and its supervisor, with no task and with many.

use crate::Result;
use crate::framework::Framework;
use crate::many::{TASKS, empty, fill};
use crate::node::{Node, Use, usage};
use crate::stamp::Stamps;
use std::time::Duration;

const SETTLE: Duration = Duration::from_secs(3);
const LOOK: Duration = Duration::from_secs(10);
const MIB: f64 = 1024.0 * 1024.0;

/// The row.
pub async fn row() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let stamps = Stamps::new(dir.path())?;
    let mut node = Node::start()?;
    node.answers().await?;
    println!("\n8. at rest                      RSS MiB   PSS MiB   private MiB   CPU in {LOOK:?}");
    tokio::time::sleep(SETTLE).await;
    let empty_before = look(&node, "no task, nothing ever done").await?;
    let mut whole = Node::whole()?;
    whole.answers().await?;
    tokio::time::sleep(SETTLE).await;
    look(&whole, "the same with Marathon and Chronos").await?;
    whole.stop()?;
    let mut framework = Framework::subscribe(node.master).await?;
    fill(&mut framework, &stamps).await?;
    framework.idle(SETTLE).await?;
    let full = look(&node, &format!("{TASKS} tasks")).await?;
    let mut keepers = Use::default();
    let all = node.keepers()?;
    for pid in &all {
        let one = usage(*pid)?;
        keepers.rss += one.rss;
        keepers.pss += one.pss;
        keepers.private += one.private;
    }
    line(&format!("  its {} keepers together", all.len()), &keepers, None);
    let count = TASKS as f64;
    let per_task = |with: u64, without: u64| (with as f64 - without as f64) / count / 1024.0;
    println!(
        "  a task costs (PSS): node {:.1} KiB, supervisor {:.1} KiB, keeper {:.1} KiB",
        per_task(full[0].pss, empty_before[0].pss),
        per_task(full[1].pss, empty_before[1].pss),
        per_task(keepers.pss, 0),
    );
    empty(&mut framework).await?;
    framework.end().await?;
    tokio::time::sleep(SETTLE).await;
    look(&node, "no task, after them").await?;
    node.stop()
}

async fn look(node: &Node, when: &str) -> Result<[Use; 2]> {
    let pids = [node.pid(), node.supervisor()?];
    let before = [usage(pids[0])?, usage(pids[1])?];
    tokio::time::sleep(LOOK).await;
    let after = [usage(pids[0])?, usage(pids[1])?];
    println!("  {when}");
    for (n, name) in ["node", "supervisor"].into_iter().enumerate() {
        line(&format!("    {name}"), &after[n], Some(after[n].ticks - before[n].ticks));
    }
    Ok(after)
}

fn line(name: &str, used: &Use, ticks: Option<u64>) {
    let mib = |bytes: u64| bytes as f64 / MIB;
    let cpu = ticks.map_or(String::new(), |ticks| format!("{:>8.0} ms", ticks as f64 * 10.0));
    println!(
        "{name:<32} {:>8.1} {:>9.1} {:>13.1} {cpu}",
        mib(used.rss),
        mib(used.pss),
        mib(used.private)
    );
}
