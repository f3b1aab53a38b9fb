//! Scalar amounts by name, without kinds: what quota, shares and headroom are counted in.

use super::{Scalar, text};
use std::fmt;
use std::sync::Arc;

/// Scalar totals by name, ascending, none of them zero.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quantities(Vec<(Arc<str>, Scalar)>);

impl Quantities {
    /// From `cpus:10;mem:20`, the form of `--min_allocatable_resources` and quota.
    ///
    /// # Errors
    /// The text Mesos answers with.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut out = Self::default();
        for token in text.split(';').filter(|t| !t.is_empty()) {
            let Some((name, value)) = token.split_once(':') else {
                return Err(format!("Failed to parse '{token}': missing or extra ':'"));
            };
            if value.contains(':') {
                return Err(format!("Failed to parse '{token}': missing or extra ':'"));
            }
            let refuse = |why: &str| Err(format!("Failed to parse '{value}' to quantity: {why}"));
            match text::parse_value(value) {
                Ok(text::Parsed::Value(super::Value::Scalar(v))) => {
                    out.add_one(&name.trim().into(), v)
                }
                Ok(_) => return refuse("only scalar values are allowed"),
                Err(e) => return refuse(&e),
            }
        }
        Ok(out)
    }

    /// The amount of that name.
    pub fn get(&self, name: &str) -> Scalar {
        self.find(name).map_or(Scalar::ZERO, |at| self.0[at].1)
    }

    fn find(&self, name: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(n, _)| (**n).cmp(name))
    }

    /// Name and amount, ascending by name.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, Scalar)> {
        self.0.iter().map(|(name, amount)| (name, *amount))
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds an amount.
    pub fn add_one(&mut self, name: &Arc<str>, amount: Scalar) {
        match self.find(name) {
            Ok(at) => {
                self.0[at].1 += amount;
                if self.0[at].1.is_zero() {
                    self.0.remove(at);
                }
            }
            Err(_) if amount.is_zero() => {}
            Err(at) => self.0.insert(at, (name.clone(), amount)),
        }
    }

    /// Whether there is at least as much of everything.
    pub fn contains(&self, other: &Self) -> bool {
        other.iter().all(|(name, amount)| amount <= self.get(name))
    }
}

impl std::ops::AddAssign<&Quantities> for Quantities {
    fn add_assign(&mut self, other: &Quantities) {
        for (name, amount) in other.iter() {
            self.add_one(name, amount);
        }
    }
}

/// Down to zero, never below.
impl std::ops::SubAssign<&Quantities> for Quantities {
    fn sub_assign(&mut self, other: &Quantities) {
        for (name, amount) in other.iter() {
            let left = self.get(name).min(amount);
            self.add_one(name, Scalar::ZERO - left);
        }
    }
}

/// `cpus:1; mem:128`; nothing is `{}`.
impl fmt::Display for Quantities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("{}");
        }
        for (at, (name, amount)) in self.iter().enumerate() {
            let comma = if at == 0 { "" } else { "; " };
            write!(f, "{comma}{name}:{amount}")?;
        }
        Ok(())
    }
}
