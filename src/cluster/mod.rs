//! Nodes finding each other and agreeing.

pub mod link;
