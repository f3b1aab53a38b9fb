//! What one node costs: cold start, launch latency, launch rate, memory; beside what the machine and runc cost.
//!
//! `cargo bench --bench kernel [-- ROW…]`, as root, on an otherwise idle machine; rows: `cold`, `launch`, `many`,
//! `idle`. The node is the real binary on a fresh data folder, the framework speaks the v1 scheduler API over HTTP.
//! Rows that compare run their variants in turn, and a round in which a bare fork and exec took 30 % more or less than
//! usual is thrown away. Read the ratios; the times are this machine's.

mod cold;
mod framework;
mod idle;
mod launch;
mod many;
mod node;
mod peers;
mod stamp;
mod stats;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.first().map(String::as_str) == Some(stamp::ARGUMENT) {
        return stamp::leave(&args[1..]);
    }
    // `cargo test --benches` asks only whether it runs.
    if args.iter().any(|arg| arg == "--test") {
        return Ok(());
    }
    if !nix::unistd::geteuid().is_root() {
        return Err("containers with namespaces and cgroups need root".into());
    }
    let rows: Vec<&str> = args.iter().map(String::as_str).filter(|a| !a.starts_with('-')).collect();
    let wanted = |row: &str| rows.is_empty() || rows.contains(&row);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    peers::tell();
    if wanted("cold") {
        runtime.block_on(cold::row())?;
    }
    if wanted("launch") {
        runtime.block_on(launch::row())?;
    }
    if wanted("many") {
        runtime.block_on(many::row())?;
    }
    if wanted("idle") {
        runtime.block_on(idle::row())?;
    }
    Ok(())
}
