//! The nodes of a cluster finding each other and agreeing.
//!
//! [`consensus`] is the replicated registry behind one door, [`link`] what masters and agents talk over.
//! So far: [`consensus`], the replicated registry behind one door. It runs with one voter as with
//! five.

pub mod consensus;
pub mod gossip;
pub mod identity;
pub mod link;
pub mod membership;
