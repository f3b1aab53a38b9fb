//! The nodes of a cluster finding each other and agreeing.
//!
//! - [`consensus`] is the replicated registry behind one door. It runs with one voter as with five.
//! - [`identity`] is who a node is: its key, the cluster's authority, certificates, join tokens.
//! - [`link`] is the one port between nodes; masters and agents talk over it, and everything else.
//! - [`gossip`] tells each node of the others; [`membership`] decides who votes.
//! - [`roster`] is the cluster's own records, and the leader's hold on them; [`api`] shows and changes them.

pub mod api;
pub mod consensus;
pub mod gossip;
pub mod identity;
pub mod link;
pub mod membership;
pub mod roster;
