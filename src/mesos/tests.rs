//! The wire contract by example and by property.

mod convert;
