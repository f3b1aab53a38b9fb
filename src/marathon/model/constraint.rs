//! Placement constraints: `[field, operator, value?]`.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

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
        let mut fields = fields.into_iter();
        let (Some(field), Some(word)) = (fields.next(), fields.next()) else {
            return Err(serde::de::Error::custom("a constraint has two or three fields"));
        };
        let Some(operator) = Operator::by_word(&word) else {
            return Err(serde::de::Error::custom(format!("unknown operator {word:?}")));
        };
        Ok(Self { field, operator, value: fields.next() })
    }
}
