//! Durable writes on three nodes, one after the other, over HTTP: on the leader, and passed on by another node.

use crate::ask::Write;
use crate::nodes::Nodes;
use crate::{Plan, Result, ms};
use std::time::Instant;

const WRITES: usize = 500;

/// The row.
pub fn row(plan: &Plan) -> Result<()> {
    println!("\n4. durable writes of a state key on three nodes, one after the other");
    let nodes = Nodes::three(plan, &[])?;
    let leader = nodes.leader().ok_or("nobody leads")?;
    for (who, at) in [("the leader", leader), ("another node", nodes.other_than(leader, 0))] {
        let at = nodes.nodes[at].faces();
        let mut times = Vec::new();
        for n in 0..WRITES {
            let (took, _) = Write::Key.until_taken(at, n as u64, Instant::now())?;
            times.push(ms(took));
        }
        times.sort_by(f64::total_cmp);
        let at = |part: usize| times[times.len() * part / 100];
        println!(
            "  asked of {who:<35} p50 {:>8.2} ms  p95 {:>8.2}  min {:>8.2}  max {:>8.2}  n {}",
            at(50),
            at(95),
            times[0],
            times[times.len() - 1],
            times.len()
        );
    }
    Ok(())
}
