//! Which program this is, and which it is compatible with.

/// The version of Mesos whose APIs this program speaks: digits and dots only, because clients count its parts.
pub const MESOS_VERSION: &str = "1.12.0";

/// The version of this program.
pub const MESOLITH_VERSION: &str = env!("CARGO_PKG_VERSION");

/// When it was built, in seconds since 1970 (`SOURCE_DATE_EPOCH` where the builder sets it).
pub const BUILD_TIME: &str = env!("MESOLITH_BUILD_TIME");

/// The same as a UTC date and time, `2024-01-01 00:00:00`.
pub const BUILD_DATE: &str = env!("MESOLITH_BUILD_DATE");

/// Who built it: a fixed word, so that builds are repeatable.
pub const BUILD_USER: &str = "mesolith";

/// [`BUILD_TIME`] as a number.
pub fn build_time() -> f64 {
    BUILD_TIME.parse().unwrap_or(0.0)
}
