//! A thousand tasks on one agent: how fast they start, and how fast the agent then lists them.

use crate::Result;
use crate::face::Face;
use crate::framework::Framework;
use crate::many::{empty, fill};
use crate::node::Node;
use crate::stamp::{Stamps, now};
use crate::stats::{self, median, ms};
use std::time::Duration;

const TASKS: usize = 1000;
/// How often the list is asked for.
const LISTS: usize = 20;
/// Between two lists.
const PAUSE: Duration = Duration::from_millis(20);
/// Until the last first instruction, in seconds.
const TARGET_START: f64 = 20.0;
/// The median of the answers, in ms.
const TARGET_LIST: f64 = 50.0;

/// The row.
pub async fn row() -> Result<()> {
    let (count, lists) = (stats::tasks(TASKS)?, stats::rounds(LISTS)?);
    let dir = tempfile::tempdir()?;
    let stamps = Stamps::new(dir.path())?;
    let mut node = Node::start()?;
    node.answers().await?;
    let agent = Face::new(node.agent)?;
    let mut framework = Framework::subscribe(node.master).await?;
    println!("\n16. {count} tasks on one agent (load {})", stats::load());
    let sent = fill(&mut framework, &stamps, count).await?;
    let running = ms(sent, now()) / 1e3;
    let last = stamps.all()?.into_values().max().ok_or("no task ran")?;
    let last = ms(sent, last) / 1e3;
    println!(
        "  the last first instruction after {last:.2} s, all RUNNING seen after {running:.2} s"
    );
    let (mut times, mut bytes) = (Vec::new(), 0);
    for _ in 0..lists {
        let asked = now();
        let text = agent.text("GET", "/containers", &serde_json::Value::Null).await?;
        times.push(ms(asked, now()));
        bytes = text.len();
        let list: Vec<serde_json::Value> = serde_json::from_str(&text)?;
        if list.len() != count {
            return Err(format!("/containers has {} of {count}", list.len()).into());
        }
        framework.idle(PAUSE).await?;
    }
    let middle = median(&mut times);
    println!(
        "  /containers, {lists} times, {} KiB: p50 {middle:.1} ms, min {:.1}, max {:.1}; load {}",
        bytes / 1024,
        times.first().copied().unwrap_or(f64::NAN),
        times.last().copied().unwrap_or(f64::NAN),
        stats::load()
    );
    let used = node.whole_use()?.pss as f64 / 1048576.0;
    println!("  PSS of node, supervisor and keepers: {used:.1} MiB");
    let killing = now();
    empty(&mut framework, count).await?;
    println!("  KILL of all until all KILLED: {:.2} s", ms(killing, now()) / 1e3);
    stats::at_most("all started", last, TARGET_START, " s");
    stats::at_most("/containers, p50", middle, TARGET_LIST, " ms");
    framework.end().await?;
    node.stop()
}
