//! Nodes of one process gossiping over the in-process courier.

mod frames;
mod nodes;
