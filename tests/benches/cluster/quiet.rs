//! Whether the leader stays the leader while the machine is busy: no change may be seen, counted by epoch.

use crate::nodes::Nodes;
use crate::{Plan, Result};
use std::io::Write as _;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const LOOK: Duration = Duration::from_secs(1);
/// What is written to the disk beside it, again and again.
const BLOCK: usize = 4 << 20;

/// Processes that are busy until this is dropped.
struct Load(Vec<Child>);

impl Load {
    fn start(n: usize) -> Result<Self> {
        let mut all = Self(Vec::new());
        for _ in 0..n {
            let mut busy = Command::new("sh");
            busy.args(["-c", "while :; do :; done"]).stdin(Stdio::null());
            all.0.push(busy.spawn()?);
        }
        Ok(all)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        for busy in &mut self.0 {
            let _ = busy.kill();
            let _ = busy.wait();
        }
    }
}

/// The row.
pub fn row(plan: &Plan) -> Result<()> {
    println!(
        "\n7. quiet: {} minutes beside {} busy processes and a writer that syncs",
        plan.minutes, plan.load
    );
    let nodes = Nodes::three(plan, &[])?;
    let first = nodes.seen(0)["epoch"].as_u64().ok_or("nobody leads")?;
    let _load = Load::start(plan.load)?;
    let stop = Arc::new(AtomicBool::new(false));
    let writer = {
        let (stop, path) = (Arc::clone(&stop), nodes.beside("written"));
        std::thread::spawn(move || -> std::io::Result<()> {
            let block = vec![7; BLOCK];
            while !stop.load(Ordering::Relaxed) {
                let mut file = std::fs::File::create(&path)?;
                file.write_all(&block)?;
                file.sync_data()?;
            }
            Ok(())
        })
    };
    let (mut epoch, mut changes, mut unanswered) = (first, 0, 0);
    let since = Instant::now();
    while since.elapsed() < Duration::from_secs(60 * plan.minutes) {
        std::thread::sleep(LOOK);
        match nodes.seen(0)["epoch"].as_u64() {
            Some(now) if now != epoch => {
                changes += 1;
                println!("  after {:.0?}: epoch {epoch} → {now}", since.elapsed());
                epoch = now;
            }
            Some(_) => {}
            None => unanswered += 1,
        }
    }
    stop.store(true, Ordering::Relaxed);
    writer.join().map_err(|_| "the writer has panicked")??;
    println!("  changes of the leader: {changes}; looks without an answer: {unanswered}");
    Ok(())
}
