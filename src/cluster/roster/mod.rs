//! Who belongs to the cluster, as the registry has it: its authority, its tokens, its nodes, and what the operator said
//! about them.
//!
//! - [`Book`] is all of it in memory: each change is a function of it that answers with the writes that make it last.
//! - [`Seat`] is the leader's: one incarnation of it changes the book, under its epoch. Nodes are let in here.
//! - [`Porter`] is every node's: it passes joins and renewals on to the leader.
//! - [`steer`](steer::steer) follows the policy of `membership`: it decides again whenever something changed, and carries
//!   the steps out.
//!
//! It detects no failures (`gossip`, `consensus`) and carries nothing (`link`).

mod book;
mod porter;
mod records;
mod seat;
pub mod steer;
#[cfg(test)]
mod tests;

pub use book::{Book, NODES_MAX, REMOVED_MAX};
pub use porter::{Place, Porter};
pub use records::{NodeRecord, PREFIX, is_leaving, revoked_in};
pub use seat::{Founding, Issued, Seat};
