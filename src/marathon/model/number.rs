//! How Marathon writes numbers: whole ones without a point, whatever their type.

use serde::Serializer;

/// Beyond this not every whole number is a double.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// Writes a double; `2.0` as `2`.
pub(super) fn serialize<S: Serializer>(value: &f64, s: S) -> Result<S::Ok, S::Error> {
    if value.fract() == 0.0 && value.abs() < EXACT_MAX {
        s.serialize_i64(*value as i64)
    } else {
        s.serialize_f64(*value)
    }
}
