//! What a cluster of three nodes costs: how long nobody takes writes after the leader is killed or stopped, durable writes,
//! the way from joining to the first task, from the silent loss of a node to its tasks elsewhere; and whether it stays quiet.
//!
//! `cargo bench --bench cluster [-- ROW… | NAME=VALUE…]`, as root, on an otherwise idle machine. Rows: `killed`, `stopped`,
//! `handed`, `writes`, `join`, `lost`, `quiet`. Values: `repeat=30`, `election=300ms` (the nodes' `--election-timeout`),
//! `loss=2secs` (their `--agent-loss-timeout`), `minutes=10` and `load=4` (busy processes beside it) of `quiet`.
//! The nodes are real processes of the real binary with data folders of their own, on 127.0.0.1, .2 and .3. All values
//! are printed, in the order they were measured. What a client would see is measured: one that asks again when refused.

mod ask;
mod change;
mod nodes;
mod quiet;
mod tasks;
mod writes;

use std::time::Duration;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

const ROWS: [&str; 7] = ["killed", "stopped", "handed", "writes", "join", "lost", "quiet"];

/// What is chosen.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How often each row is measured.
    pub repeat: usize,
    /// The nodes' election time-out, as they read it.
    pub election: String,
    /// After how long a silent agent is lost, as they read it.
    pub loss: String,
    /// How long `quiet` looks.
    pub minutes: u64,
    /// How many busy processes are beside it.
    pub load: usize,
}

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    // `cargo test --benches` asks only whether it runs.
    if args.iter().any(|arg| arg == "--test") {
        return Ok(());
    }
    let mut plan =
        Plan { repeat: 30, election: "300ms".into(), loss: "2secs".into(), minutes: 10, load: 4 };
    let mut rows = Vec::new();
    for arg in &args {
        match arg.split_once('=') {
            Some(("repeat", n)) => plan.repeat = n.parse()?,
            Some(("election", time)) => plan.election = time.into(),
            Some(("loss", time)) => plan.loss = time.into(),
            Some(("minutes", n)) => plan.minutes = n.parse()?,
            Some(("load", n)) => plan.load = n.parse()?,
            None if ROWS.contains(&arg.as_str()) => rows.push(arg.as_str()),
            _ => return Err(format!("no such row or value: {arg}").into()),
        }
    }
    if !nix::unistd::geteuid().is_root() {
        return Err("containers with namespaces and cgroups need root".into());
    }
    println!("three nodes, --election-timeout {}, {} times each", plan.election, plan.repeat);
    // The long one only when it is asked for.
    let wanted = |row: &str| rows.contains(&row) || (rows.is_empty() && row != "quiet");
    if wanted("killed") {
        change::killed(&plan)?;
    }
    if wanted("stopped") {
        change::stopped(&plan)?;
    }
    if wanted("handed") {
        change::handed(&plan)?;
    }
    if wanted("writes") {
        writes::row(&plan)?;
    }
    if wanted("join") {
        tasks::join(&plan)?;
    }
    if wanted("lost") {
        tasks::lost(&plan)?;
    }
    if wanted("quiet") {
        quiet::row(&plan)?;
    }
    Ok(())
}

/// Prints what was measured, in ms.
pub fn print(what: &str, values: &[f64]) {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |part: usize| sorted.get((sorted.len() * part / 100).min(sorted.len().max(1) - 1));
    let number = |value: Option<&f64>| value.copied().unwrap_or(f64::NAN);
    println!(
        "  {what:<44} p50 {:>8.1} ms  p95 {:>8.1}  min {:>8.1}  max {:>8.1}  n {}",
        number(at(50)),
        number(at(95)),
        number(sorted.first()),
        number(sorted.last()),
        sorted.len()
    );
    let all: Vec<String> = values.iter().map(|value| format!("{value:.1}")).collect();
    println!("    {}", all.join(" "));
}

/// In ms.
pub fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
