//! The pages in a real browser: headless Chromium, driven over its own protocol. Each journey ends
//! with: no error in the console, nothing the policy forbids, no request to another origin.
//!
//! Where there is no Chromium each test says that it was skipped; with `MESOLITH_REQUIRE_BROWSER=1`
//! it fails. `MESOLITH_CONSOLE_SHOTS=<folder>` keeps pictures.

mod browser;
mod chronos;
mod fake_chronos;
mod fake_marathon;
mod marathon;
mod mesos;
mod page;
mod real;
#[allow(dead_code, reason = "shared with the tests of nodes, which use more of it")]
#[path = "../node/world.rs"]
mod world;
