//! The real program on several hosts, which are network namespaces, under real faults: nodes that are killed, stopped, cut
//! off, restarted, full; with writers and readers all the while, and a checker for what they saw.
//!
//! `MESOLITH_CLUSTER_ROUNDS=<n>` does everything n times as long. Needs root, iproute2 and nftables; where they are missing
//! the tests say so and are skipped, unless `MESOLITH_REQUIRE_NAMESPACES` is set.

mod ask;
mod clocks;
mod cuts;
mod disk;
mod growth;
mod history;
mod joins;
mod kills;
mod load;
mod net;
mod node;
mod packages;
mod record;
mod restarts;
mod tasks;
mod ticks;
mod world;
