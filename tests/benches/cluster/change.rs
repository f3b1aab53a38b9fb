//! Changes of the leader: from its end until another node takes the next write, of each kind at the same time.

use crate::ask::{WRITES, Write};
use crate::nodes::Nodes;
use crate::{Plan, Result, ms, print};
use nix::sys::signal::Signal;
use std::thread;
use std::time::{Duration, Instant};

/// What becomes of the leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Killed,
    Stopped,
    HandsOver,
}

impl End {
    fn signal(self) -> Signal {
        match self {
            Self::Killed => Signal::SIGKILL,
            Self::Stopped => Signal::SIGSTOP,
            Self::HandsOver => Signal::SIGTERM,
        }
    }
}

/// `kill -9` of the leader's process.
pub fn killed(plan: &Plan) -> Result<()> {
    println!("\n1. the leader is killed → another node takes the next write");
    row(plan, End::Killed)
}

/// SIGSTOP of the leader's process: silence.
pub fn stopped(plan: &Plan) -> Result<()> {
    println!("\n2. the leader is stopped (SIGSTOP) → another node takes the next write");
    row(plan, End::Stopped)
}

/// SIGTERM: it hands over.
pub fn handed(plan: &Plan) -> Result<()> {
    println!("\n3. the leader is told to end (SIGTERM) → another node takes the next write");
    row(plan, End::HandsOver)
}

fn row(plan: &Plan, end: End) -> Result<()> {
    let mut nodes = Nodes::three(plan, &[])?;
    let mut times = WRITES.map(|_| Vec::new());
    let mut tries = WRITES.map(|_| 0);
    for round in 0..plan.repeat {
        nodes.settle()?;
        let leader = nodes.leader().ok_or("nobody leads")?;
        let at = nodes.nodes[nodes.other_than(leader, round)].faces();
        let n = round as u64;
        let warm = Instant::now();
        Write::Key.until_taken(at, n, warm)?;
        // Not always at the same time after a heartbeat.
        thread::sleep(Duration::from_millis(37 * (n % 7)));
        let from = Instant::now();
        nodes.nodes[leader].signal(end.signal())?;
        let writers = WRITES.map(|write| thread::spawn(move || write.until_taken(at, n, from)));
        for (kind, writer) in writers.into_iter().enumerate() {
            let (took, tried) = writer.join().map_err(|_| "a writer has panicked")??;
            times[kind].push(ms(took));
            tries[kind] += tried;
        }
        if end == End::Stopped {
            nodes.nodes[leader].signal(Signal::SIGCONT)?;
        } else {
            nodes.nodes[leader].ended()?;
            nodes.again(leader)?;
        }
    }
    for ((write, times), tries) in WRITES.iter().zip(&times).zip(tries) {
        print(write.name(), times);
        println!("    {:.1} tries each", tries as f64 / times.len().max(1) as f64);
    }
    Ok(())
}
