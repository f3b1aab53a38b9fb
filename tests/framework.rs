//! The ports of frameworks and executors: one suite over both implementations, and the faults of the wire.

#[path = "framework/execute.rs"]
mod execute;
#[path = "framework/executor.rs"]
mod executor;
#[path = "framework/faults.rs"]
mod faults;
#[path = "framework/host.rs"]
mod host;
#[path = "framework/master.rs"]
mod master;
#[path = "framework/scripted.rs"]
mod scripted;
#[path = "framework/serve.rs"]
mod serve;
#[path = "framework/state.rs"]
mod state;
#[path = "framework/suite.rs"]
mod suite;
