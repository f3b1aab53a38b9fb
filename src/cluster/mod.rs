//! The nodes of a cluster finding each other and agreeing.
//!
//! [`consensus`] is the replicated registry behind one door, [`link`] what masters and agents talk over.

pub mod consensus;
pub mod link;
