//! The wire contract by example and by property.

mod bytes;
mod convert;
mod golden;
mod json;
mod properties;
mod records;
