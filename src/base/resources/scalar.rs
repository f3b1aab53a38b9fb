//! Scalars in fixed point: thousandths in an integer, so that adding and subtracting never drifts.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Sub, SubAssign};

const UNIT: i64 = 1000;

/// An amount with three decimals (cpus, MB of memory or disk, gpus).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scalar(i64);

impl Scalar {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The largest amount read from outside: all its thousandths are exact in a double, and a thousand of
    /// them add up without overflow.
    pub const MAX: Self = Self(1 << 53);

    /// From thousandths.
    pub const fn from_thousandths(thousandths: i64) -> Self {
        Self(thousandths)
    }

    /// A whole number of units; saturates at the ends of the type.
    pub const fn whole(units: i64) -> Self {
        Self(units.saturating_mul(UNIT))
    }

    /// Rounds to the nearest thousandth, half away from zero. What is beyond [`Scalar::MAX`] (on either
    /// side) becomes it; not-a-number becomes zero. Input from outside goes through [`Scalar::checked`].
    pub fn from_f64(value: f64) -> Self {
        let limit = Self::MAX.0 as f64;
        // A float cast in Rust saturates and makes NaN zero.
        Self((value * UNIT as f64).round().clamp(-limit, limit) as i64)
    }

    /// As [`Scalar::from_f64`], but `None` for what is no finite number within ± [`Scalar::MAX`].
    pub fn checked(value: f64) -> Option<Self> {
        let in_range = value.is_finite() && (value * UNIT as f64).abs() <= Self::MAX.0 as f64;
        in_range.then(|| Self::from_f64(value))
    }

    /// As a double: the whole part and the thousandths are converted apart, which is exact up to the last digit.
    pub fn as_f64(self) -> f64 {
        (self.0 / UNIT) as f64 + (self.0 % UNIT) as f64 / UNIT as f64
    }

    /// The amount in thousandths.
    pub const fn thousandths(self) -> i64 {
        self.0
    }

    /// Whether it is nothing.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// Whether it is less than nothing.
    pub const fn is_negative(self) -> bool {
        self.0 < 0
    }

    /// The difference, but never less than zero.
    pub fn minus_or_zero(self, other: Self) -> Self {
        (self - other).max(Self::ZERO)
    }
}

impl Add for Scalar {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for Scalar {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl AddAssign for Scalar {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl SubAssign for Scalar {
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}

impl Sum for Scalar {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::ZERO, Add::add)
    }
}

/// Without trailing zeros: `4`, `0.5`, `512.125`.
impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (all, sign) = (self.0.unsigned_abs(), if self.0 < 0 { "-" } else { "" });
        let (whole, rest) = (all / UNIT.unsigned_abs(), all % UNIT.unsigned_abs());
        if rest == 0 {
            return write!(f, "{sign}{whole}");
        }
        let fraction = format!("{rest:03}");
        write!(f, "{sign}{whole}.{}", fraction.trim_end_matches('0'))
    }
}
