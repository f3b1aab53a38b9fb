//! What an agent says about itself to schedulers: `--attributes=rack:r1;level:10;keys:[1000-1500]`.

use super::resources::{Parsed, Ranges, Scalar, Value, parse_value};
use std::collections::BTreeSet;
use std::fmt;

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttributeValue {
    /// Free text, without spaces when it came from the command line.
    Text(String),
    /// A number with three decimals.
    Scalar(Scalar),
    /// Ranges of numbers.
    Ranges(Ranges),
    /// Named items. Never from the command line: there Mesos refuses sets.
    Set(BTreeSet<String>),
}

/// A name and a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// The name.
    pub name: String,
    /// The value.
    pub value: AttributeValue,
}

/// The attributes of an agent, in the order given. A name may occur more than once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes(pub Vec<Attribute>);

impl Attributes {
    /// Reads `name:value;name:value`; newlines separate as well.
    ///
    /// # Errors
    /// The pair at fault and why.
    pub fn parse(text: &str) -> Result<Self, String> {
        let pairs = text.split([';', '\n']).filter(|t| !t.is_empty());
        pairs.map(Attribute::parse).collect::<Result<_, _>>().map(Self)
    }

    /// The first value of that name.
    pub fn get(&self, name: &str) -> Option<&AttributeValue> {
        self.0.iter().find(|a| a.name == name).map(|a| &a.value)
    }

    /// The attributes in order.
    pub fn iter(&self) -> impl Iterator<Item = &Attribute> {
        self.0.iter()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Attribute {
    fn parse(pair: &str) -> Result<Self, String> {
        let parts = pair.split_once(':').filter(|(k, v)| !k.is_empty() && !v.is_empty());
        let Some((name, text)) = parts else {
            return Err(format!("Invalid attribute key:value pair '{pair}'"));
        };
        let value = match parse_value(text) {
            Ok(Parsed::Text(text)) => AttributeValue::Text(text),
            Ok(Parsed::Value(Value::Scalar(v))) => AttributeValue::Scalar(v),
            Ok(Parsed::Value(Value::Ranges(v))) => AttributeValue::Ranges(v),
            Ok(Parsed::Value(Value::Set(_))) => {
                return Err(format!("Bad type for attribute {name} text {text} type SET"));
            }
            Err(e) => {
                return Err(format!("Failed to parse attribute {name} text {text} error {e}"));
            }
        };
        Ok(Self { name: name.to_string(), value })
    }
}

impl fmt::Display for AttributeValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(v) => f.write_str(v),
            Self::Scalar(v) => v.fmt(f),
            Self::Ranges(v) => v.fmt(f),
            Self::Set(v) => Value::Set(v.clone()).fmt(f),
        }
    }
}

/// The text form.
impl fmt::Display for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, Attribute { name, value }) in self.0.iter().enumerate() {
            let separator = if at == 0 { "" } else { ";" };
            write!(f, "{separator}{name}:{value}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_by_text() {
        let all = Attributes::parse("rack:r1;level:2.5;keys:[1-3, 2-7]\nzone:a:b;neg:-3").unwrap();
        assert_eq!(all.get("rack"), Some(&AttributeValue::Text("r1".into())));
        assert_eq!(all.get("level"), Some(&AttributeValue::Scalar(Scalar::from_f64(2.5))));
        assert_eq!(all.get("keys"), Some(&AttributeValue::Ranges(Ranges::new([(1, 7)]))));
        assert_eq!(all.get("zone"), Some(&AttributeValue::Text("a:b".into())));
        assert_eq!(all.get("neg"), Some(&AttributeValue::Text("-3".into())));
        assert_eq!(all.to_string(), "rack:r1;level:2.5;keys:[1-7];zone:a:b;neg:-3");
        assert_eq!(Attributes::parse(&all.to_string()), Ok(all));
    }

    #[test]
    fn refused() {
        for (text, error) in [
            ("rack", "Invalid attribute key:value pair 'rack'"),
            ("rack:", "Invalid attribute key:value pair 'rack:'"),
            (":r1", "Invalid attribute key:value pair ':r1'"),
            ("a:{x}", "Bad type for attribute a text {x} type SET"),
            ("a:[1-", "Failed to parse attribute a text [1- error Mismatched brackets"),
        ] {
            assert_eq!(Attributes::parse(text), Err(error.to_string()));
        }
        assert!(Attributes::parse("").unwrap().is_empty());
    }
}
