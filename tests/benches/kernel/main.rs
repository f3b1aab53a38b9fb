//! What one node costs: cold start, launch latency, launch rate, memory; beside what the machine, crun, runc and docker cost.
//! And what its parts do without containers: durable writes, allocation, placements.
//!
//! `cargo bench --bench kernel [-- ROW…]`, on an otherwise idle machine. Rows that launch containers, as root: `cold`,
//! `launch`, `many`, `thousand`, `restart`, `idle`, `docker`, and with Marathon and Chronos `apps`, `jobs`; there the node is
//! the real binary on a fresh data folder, and the framework speaks the v1 scheduler API over HTTP. Rows about parts, in this
//! process: `writes`, `allocation`, `placements`.
//! Rows that compare run their variants in turn, and a round in which a bare fork and exec took 30 % more or less than
//! usual is thrown away. A peer that the machine does not have is named. Read the ratios; the times are this machine's.

#[path = "../allocation.rs"]
mod allocation;
mod cold;
mod docker;
// The tests need more of it.
#[allow(dead_code)]
#[path = "../../containers/engine.rs"]
mod engine;
mod face;
mod framework;
mod idle;
mod launch;
mod many;
mod node;
mod peers;
mod placements;
mod restart;
mod runtimes;
mod services;
mod stamp;
mod stats;
mod thousand;
mod writes;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Rows that launch containers.
const CONTAINERS: [&str; 9] =
    ["cold", "launch", "many", "thousand", "restart", "docker", "apps", "jobs", "idle"];
/// Rows about parts, in this process.
const PARTS: [&str; 3] = ["writes", "allocation", "placements"];

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.first().map(String::as_str) == Some(stamp::ARGUMENT) {
        return stamp::leave(&args[1..]);
    }
    // `cargo test --benches` asks only whether it runs.
    if args.iter().any(|arg| arg == "--test") {
        return Ok(());
    }
    let rows: Vec<&str> = args.iter().map(String::as_str).filter(|a| !a.starts_with('-')).collect();
    let known = |row: &&str| CONTAINERS.contains(row) || PARTS.contains(row);
    if let Some(row) = rows.iter().find(|row| !known(row)) {
        return Err(format!("no such row: {row}").into());
    }
    let wanted = |row: &str| rows.is_empty() || rows.contains(&row);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    if CONTAINERS.iter().any(|row| wanted(row)) {
        if !nix::unistd::geteuid().is_root() {
            return Err("containers with namespaces and cgroups need root".into());
        }
        peers::tell();
    }
    let told = all(&runtime, wanted);
    // Whatever became of the rows, an engine started for them ends.
    docker::stop()?;
    told
}

fn all(runtime: &tokio::runtime::Runtime, wanted: impl Fn(&str) -> bool) -> Result<()> {
    if wanted("cold") {
        runtime.block_on(cold::row())?;
    }
    if wanted("launch") {
        runtime.block_on(launch::row())?;
    }
    if wanted("many") {
        runtime.block_on(many::row())?;
    }
    if wanted("thousand") {
        runtime.block_on(thousand::row())?;
    }
    if wanted("restart") {
        runtime.block_on(restart::row())?;
    }
    if wanted("docker") {
        runtime.block_on(docker::row())?;
    }
    if wanted("writes") {
        runtime.block_on(writes::row())?;
    }
    if wanted("allocation") {
        println!("\n6. the allocator");
        allocation::row(false);
    }
    if wanted("placements") {
        placements::row()?;
    }
    if wanted("apps") {
        runtime.block_on(services::apps())?;
    }
    if wanted("jobs") {
        runtime.block_on(services::jobs())?;
    }
    if wanted("idle") {
        runtime.block_on(idle::row())?;
    }
    Ok(())
}
