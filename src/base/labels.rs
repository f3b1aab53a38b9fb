//! Labels: key and optional value, as frameworks and operators attach them to reservations, tasks and frameworks.

use std::cmp::Ordering;
use std::fmt;

/// A list of labels. Two lists with the same labels in another order are equal, as in Mesos; the order
/// they came in is kept, so that they go out as they came.
#[derive(Clone, Debug, Default)]
pub struct Labels(pub Vec<(String, Option<String>)>);

impl Labels {
    /// Labels without order, for comparing.
    fn sorted(&self) -> Vec<&(String, Option<String>)> {
        let mut all: Vec<_> = self.0.iter().collect();
        all.sort();
        all
    }

    /// The value of the first label with that key; `None` when there is none or it has no value.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(k, _)| k == key).and_then(|(_, v)| v.as_deref())
    }

    /// Whether there is no label.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl PartialEq for Labels {
    fn eq(&self, other: &Self) -> bool {
        self.0.len() == other.0.len() && self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Labels {}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Labels {
    fn cmp(&self, other: &Self) -> Ordering {
        self.sorted().cmp(&other.sorted())
    }
}

/// As Mesos prints labels in messages: `{key: value, lonely}`.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (at, (key, value)) in self.0.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}{key}")?;
            if let Some(value) = value {
                write!(f, ": {value}")?;
            }
        }
        f.write_str("}")
    }
}

#[cfg(test)]
mod tests {
    use super::Labels;

    #[test]
    fn order_does_not_matter_for_equality() {
        let a = Labels(vec![("a".into(), None), ("b".into(), Some("1".into()))]);
        let b = Labels(vec![("b".into(), Some("1".into())), ("a".into(), None)]);
        assert_eq!(a, b);
        assert_ne!(a, Labels(vec![("a".into(), None)]));
        assert_eq!(b.to_string(), "{b: 1, a}");
        assert_eq!(b.get("b"), Some("1"));
        assert_eq!(b.get("a"), None);
    }
}
