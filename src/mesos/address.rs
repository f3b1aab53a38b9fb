//! Network addresses as values: to be read, compared and written. Nothing is reached by them here.

pub use std::net::IpAddr;
