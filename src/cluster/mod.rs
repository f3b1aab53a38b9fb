//! The nodes of a cluster finding each other and agreeing.
//!
//! So far: [`consensus`], the replicated registry behind one door. It runs with one voter as with
//! five.

pub mod consensus;
