//! The command line: one module a verb. Output goes to what the caller hands in, never to the process's own streams.

pub mod execute;
pub mod resolve;
