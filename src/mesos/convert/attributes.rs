//! Attributes of agents.

use super::read::{read_ranges, read_set};
use crate::base::attributes::{Attribute, AttributeValue, Attributes};
use crate::base::resources::Scalar;
use crate::mesos::v1::{self, value};

/// Reads attributes.
///
/// # Errors
/// The attribute at fault: no name, a type without its value, or a value that is none.
pub fn attributes_from_v1(all: &[v1::Attribute]) -> Result<Attributes, String> {
    all.iter().map(read).collect::<Result<_, _>>().map(Attributes)
}

fn read(a: &v1::Attribute) -> Result<Attribute, String> {
    let invalid = |why: &str| format!("Invalid attribute '{}': {why}", a.name);
    if a.name.is_empty() {
        return Err(invalid("it has no name"));
    }
    let missing = || invalid("it has no value of its type");
    let value = match value::Type::try_from(a.r#type) {
        Ok(value::Type::Text) => {
            AttributeValue::Text(a.text.as_ref().ok_or_else(missing)?.value.clone())
        }
        Ok(value::Type::Scalar) => {
            let number = a.scalar.as_ref().ok_or_else(missing)?.value;
            let scalar = Scalar::checked(number).ok_or_else(|| invalid("its number is too large"));
            AttributeValue::Scalar(scalar?)
        }
        Ok(value::Type::Ranges) => {
            let ranges = read_ranges(a.ranges.as_ref().ok_or_else(missing)?);
            AttributeValue::Ranges(ranges.map_err(|e| invalid(&e))?)
        }
        Ok(value::Type::Set) => {
            let set = read_set(a.set.as_ref().ok_or_else(missing)?);
            AttributeValue::Set(set.map_err(|e| invalid(&e))?)
        }
        Err(_) => return Err(invalid("its type is unknown")),
    };
    Ok(Attribute { name: a.name.clone(), value })
}

/// Attributes for the wire.
pub fn attributes_to_v1(all: &Attributes) -> Vec<v1::Attribute> {
    all.iter().map(write).collect()
}

fn write(a: &Attribute) -> v1::Attribute {
    let mut out = v1::Attribute { name: a.name.clone(), ..Default::default() };
    match &a.value {
        AttributeValue::Text(text) => {
            out.set_type(value::Type::Text);
            out.text = Some(value::Text { value: text.clone() });
        }
        AttributeValue::Scalar(v) => {
            out.set_type(value::Type::Scalar);
            out.scalar = Some(value::Scalar { value: v.as_f64() });
        }
        AttributeValue::Ranges(v) => {
            out.set_type(value::Type::Ranges);
            let range = v.iter().map(|(begin, end)| value::Range { begin, end }).collect();
            out.ranges = Some(value::Ranges { range });
        }
        AttributeValue::Set(v) => {
            out.set_type(value::Type::Set);
            out.set = Some(value::Set { item: v.iter().cloned().collect() });
        }
    }
    out
}
