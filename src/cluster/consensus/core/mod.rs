//! What is decided here and not in the protocol itself: pure.

pub mod hasten;
