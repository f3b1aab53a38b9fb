//! What is decided, and that it is safe.

mod tables;
mod worlds;
