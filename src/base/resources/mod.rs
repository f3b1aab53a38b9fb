//! Resources and their algebra: what agents have, offers hold and tasks use.
//!
//! Pure values in canonical form, for the cores and the allocator: amounts in fixed point, ranges coalesced, equal
//! kinds merged, nothing empty kept, one order. The text form (`--resources`) is here; the wire forms are in
//! `mesos::convert`. Rules and texts are those of Mesos's `Resources` class.

mod bag;
mod conversion;
mod disk;
mod quantities;
mod ranges;
mod resource;
mod scalar;
mod select;
mod text;
mod value;

pub use bag::Resources;
pub use conversion::Conversion;
pub use disk::{Disk, DiskVolume, Persistence, Source, SourceKind};
pub use quantities::Quantities;
pub use ranges::Ranges;
pub use resource::{Reservation, ReservationKind, Resource};
pub use scalar::Scalar;
pub use text::{Parsed, check_command_line, parse_resource, parse_value};
pub use value::{Value, ValueKind};

#[cfg(test)]
mod tests;
