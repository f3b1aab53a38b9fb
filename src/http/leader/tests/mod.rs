//! Who leads, and what becomes of requests elsewhere: the decision as a table, and nodes in one process.

mod deciding;
mod lasting;
mod nodes;
mod passing;
