//! Constraints: `["rack", "LIKE", "rack-[1-3]"]`, against the attributes of an agent.
//!
//! An operator the original does not know was ignored there and is refused here.

use crate::base::attributes::{AttributeValue, Attributes};
use regex::{Regex, RegexBuilder};

/// The most memory one compiled expression may take, in bytes.
const REGEX_BYTES_MAX: usize = 1 << 20;

/// How an attribute is compared.
#[derive(Clone, Debug)]
pub enum Operator {
    /// Some attribute of that name has that text.
    Equals,
    /// An attribute of that name matches as a whole.
    Like(Regex),
    /// An attribute of that name is there and does not match.
    Unlike(Regex),
}

/// One constraint.
#[derive(Clone, Debug)]
pub struct Constraint {
    /// Of which attribute.
    pub attribute: String,
    /// How.
    pub operator: Operator,
    /// With what.
    pub value: String,
}

impl PartialEq for Constraint {
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts()
    }
}

impl Constraint {
    /// Reads the three parts; the operator in any case.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn new(attribute: &str, operator: &str, value: &str) -> Result<Self, String> {
        let operator = match operator.to_ascii_uppercase().as_str() {
            "EQUALS" => Operator::Equals,
            "LIKE" => Operator::Like(whole(value)?),
            "UNLIKE" => Operator::Unlike(whole(value)?),
            _ => {
                return Err(format!("the operator '{operator}' is none of EQUALS, LIKE, UNLIKE"));
            }
        };
        Ok(Self { attribute: attribute.into(), operator, value: value.into() })
    }

    /// As it is written.
    pub fn parts(&self) -> [&str; 3] {
        let operator = match self.operator {
            Operator::Equals => "EQUALS",
            Operator::Like(_) => "LIKE",
            Operator::Unlike(_) => "UNLIKE",
        };
        [&self.attribute, operator, &self.value]
    }

    /// Whether it holds on an agent with these attributes. An agent without an attribute `hostname` has that of `host`.
    pub fn holds(&self, attributes: &Attributes, host: &str) -> bool {
        let mut named = attributes.iter().filter(|a| a.name == self.attribute).peekable();
        if named.peek().is_none() && self.attribute == "hostname" {
            let own = AttributeValue::Text(host.to_string());
            return self.holds_of(&own);
        }
        named.any(|a| self.holds_of(&a.value))
    }

    fn holds_of(&self, value: &AttributeValue) -> bool {
        let matches = |regex: &Regex| match value {
            AttributeValue::Text(text) => regex.is_match(text),
            AttributeValue::Scalar(number) => regex.is_match(&format!("{:?}", number.as_f64())),
            AttributeValue::Set(items) => items.iter().any(|item| regex.is_match(item)),
            AttributeValue::Ranges(_) => false,
        };
        match &self.operator {
            Operator::Equals => {
                matches!(value, AttributeValue::Text(text) if *text == self.value)
            }
            Operator::Like(regex) => matches(regex),
            Operator::Unlike(regex) => !matches(regex),
        }
    }
}

/// An expression that must match the whole text.
fn whole(text: &str) -> Result<Regex, String> {
    let bad = |e: regex::Error| format!("the regular expression '{text}' is wrong: {e}");
    // First alone, so that an unbalanced bracket cannot close the group around it.
    RegexBuilder::new(text).size_limit(REGEX_BYTES_MAX).build().map_err(bad)?;
    RegexBuilder::new(&format!("^(?:{text})$")).size_limit(REGEX_BYTES_MAX).build().map_err(bad)
}
