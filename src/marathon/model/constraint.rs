//! Placement constraints: `[field, operator, value?]`.

use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How much memory a compiled expression may take, in bytes.
const PATTERN_BYTES_MAX: usize = 256 * 1024;

/// What is compared with the constraint's value, or among the instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// No two instances with the same value.
    Unique,
    /// All instances on one value: the given one, or the first instance's.
    Cluster,
    /// Equal to a text or a number.
    Is,
    /// The whole value matches a regular expression.
    Like,
    /// It does not, or there is no value.
    Unlike,
    /// At most so many instances a value.
    MaxPer,
    /// Evenly over so many values.
    GroupBy,
}

impl Operator {
    /// All of them.
    pub const ALL: [Operator; 7] = [
        Self::Unique,
        Self::Cluster,
        Self::GroupBy,
        Self::Like,
        Self::MaxPer,
        Self::Unlike,
        Self::Is,
    ];

    /// The word in JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Unique => "UNIQUE",
            Self::Cluster => "CLUSTER",
            Self::Is => "IS",
            Self::Like => "LIKE",
            Self::Unlike => "UNLIKE",
            Self::MaxPer => "MAX_PER",
            Self::GroupBy => "GROUP_BY",
        }
    }

    /// The operator of that word, in any case.
    pub fn by_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|op| op.word().eq_ignore_ascii_case(word))
    }
}

/// One rule an offer has to satisfy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Constraint {
    /// `hostname` or `@hostname`, `@region`, `@zone`, or the name of an agent's attribute. Not empty.
    pub field: String,
    /// What is compared.
    pub operator: Operator,
    /// With what. Checked for the operator: a regular expression for LIKE and UNLIKE, a whole number for
    /// MAX_PER and GROUP_BY; none for UNIQUE.
    pub value: Option<String>,
}

impl Constraint {
    /// Reads `[field, operator, value?]` and checks the value for the operator.
    ///
    /// # Errors
    /// The message that Marathon answers with.
    pub fn from_fields(fields: &[String]) -> Result<Self, String> {
        let (field, word, value) = match fields {
            [field, word] => (field, word, None),
            [field, word, value] => (field, word, Some(value)),
            _ => return Err("Each constraint must have either 2 or 3 fields".into()),
        };
        if field.is_empty() {
            return Err("missing field for constraint declaration".into());
        }
        let Some(operator) = Operator::by_word(word) else {
            return Err("operator must be one of the following UNIQUE, CLUSTER, GROUP_BY, LIKE, \
                        MAX_PER, UNLIKE or IS"
                .into());
        };
        let whole = |text: &String| text.parse::<u32>().is_ok_and(|n| n <= i32::MAX as u32);
        let fault = match (operator, value) {
            (Operator::Unique, Some(value)) if !value.is_empty() => {
                "UNIQUE does not accept a value"
            }
            (Operator::GroupBy, Some(value)) if !whole(value) => {
                "GROUP BY must define an integer value or else no value at all"
            }
            (Operator::MaxPer, value) if !value.is_some_and(whole) => {
                "MAX_PER requires an integer value"
            }
            (Operator::Like | Operator::Unlike, value) => match value {
                None => "LIKE and UNLIKE require a non-empty, regular expression value",
                Some(value) if value.is_empty() => {
                    "LIKE and UNLIKE require a non-empty, regular expression value"
                }
                Some(value) if compile(value).is_none() => "is not a valid regular expression",
                Some(_) => "",
            },
            (Operator::Is, None) => {
                "IS only supports Mesos text and float values (see \
                 http://mesos.apache.org/documentation/latest/attributes-resources/)"
            }
            _ => "",
        };
        if !fault.is_empty() {
            return Err(fault.into());
        }
        let value = value.filter(|_| operator != Operator::Unique).cloned();
        Ok(Self { field: field.clone(), operator, value })
    }

    /// The expression of LIKE and UNLIKE, which has to match a whole value. None for other operators.
    pub fn pattern(&self) -> Option<Regex> {
        match self.operator {
            Operator::Like | Operator::Unlike => compile(self.value.as_deref()?),
            _ => None,
        }
    }
}

/// An expression for whole values, if it is one of bearable size.
fn compile(expression: &str) -> Option<Regex> {
    // By itself first: `a)(b` must not become valid by what is put around it.
    RegexBuilder::new(expression).size_limit(PATTERN_BYTES_MAX).build().ok()?;
    let whole = format!("^(?:{expression})$");
    RegexBuilder::new(&whole).size_limit(PATTERN_BYTES_MAX).build().ok()
}

impl Serialize for Constraint {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut fields = vec![self.field.as_str(), self.operator.word()];
        fields.extend(self.value.as_deref());
        fields.serialize(s)
    }
}

impl<'de> Deserialize<'de> for Constraint {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let fields = Vec::<String>::deserialize(d)?;
        Self::from_fields(&fields).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(fields: &[&str]) -> Result<Constraint, String> {
        Constraint::from_fields(&fields.iter().map(|s| s.to_string()).collect::<Vec<_>>())
    }

    // covers: MAR-0259, MAR-0260
    #[test]
    fn fields_are_checked_for_the_operator() {
        for (fields, words) in [
            (&["a"][..], "either 2 or 3 fields"),
            (&["a", "LIKE", "b", "c"], "either 2 or 3 fields"),
            (&["", "UNIQUE"], "missing field"),
            (&["a", "NEAR"], "UNIQUE, CLUSTER, GROUP_BY, LIKE, MAX_PER, UNLIKE or IS"),
            (&["a", "UNIQUE", "x"], "UNIQUE does not accept"),
            (&["a", "GROUP_BY", "x"], "GROUP BY must define an integer"),
            (&["a", "MAX_PER"], "MAX_PER requires"),
            (&["a", "MAX_PER", "-1"], "MAX_PER requires"),
            (&["a", "LIKE"], "LIKE and UNLIKE require"),
            (&["a", "UNLIKE", ""], "LIKE and UNLIKE require"),
            (&["a", "LIKE", "("], "not a valid regular"),
            (&["a", "LIKE", "a)(b"], "not a valid regular"),
            (&["a", "LIKE", "(a{1000}){1000}"], "not a valid regular"),
            (&["a", "IS"], "IS only supports"),
        ] {
            let message = read(fields).expect_err("refused");
            assert!(message.contains(words), "{fields:?}: {message}");
        }
        let good = read(&["rack", "group_by", "3"]).expect("valid");
        assert_eq!(serde_json::to_string(&good).expect("JSON"), r#"["rack","GROUP_BY","3"]"#);
        assert_eq!(read(&["hostname", "UNIQUE", ""]).expect("valid").value, None);
    }

    #[test]
    fn patterns_match_whole_values() {
        let like = read(&["rack", "LIKE", "a|b[0-9]"]).expect("valid").pattern().expect("one");
        assert!(like.is_match("a") && like.is_match("b1"));
        assert!(!like.is_match("ab1") && !like.is_match("b12"));
    }
}
