//! Reading one JSON object key by key, as leniently as the original did: numbers and booleans may be texts, `null` is
//! absent; but what cannot be read is refused, naming the field.

use super::problem::Problem;
use serde_json::{Map, Value};

/// An object, and where it stands.
pub(super) struct Fields<'a> {
    map: &'a Map<String, Value>,
    path: String,
}

impl<'a> Fields<'a> {
    pub fn new(value: &'a Value, path: &str) -> Result<Self, Problem> {
        let no_object = || {
            let what = if path.is_empty() { "the body" } else { path };
            Problem { field: None, message: format!("{what} must be a JSON object") }
        };
        let map = value.as_object().ok_or_else(no_object)?;
        Ok(Self { map, path: path.to_string() })
    }

    /// The whole name of a key.
    pub fn name(&self, key: &str) -> String {
        match self.path.as_str() {
            "" => key.to_string(),
            path => format!("{path}.{key}"),
        }
    }

    pub fn get(&self, key: &str) -> Option<&'a Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    /// Whether the key is there, even with `null`.
    pub fn has(&self, key: &str) -> bool {
        self.map.contains_key(key)
    }

    pub fn wrong(&self, key: &str, why: impl std::fmt::Display) -> Problem {
        let field = self.name(key);
        Problem { message: format!("'{field}' {why}"), field: Some(field) }
    }

    /// A text; a number is taken as it is written.
    pub fn text(&self, key: &str) -> Result<Option<String>, Problem> {
        match self.get(key) {
            None => Ok(None),
            Some(value) => match text_of(value) {
                Some(text) if text.contains('\0') => {
                    Err(self.wrong(key, "must not hold a zero character"))
                }
                Some(text) => Ok(Some(text)),
                None => Err(self.wrong(key, "must be a text")),
            },
        }
    }

    pub fn text_or(&self, key: &str, default: &str) -> Result<String, Problem> {
        Ok(self.text(key)?.unwrap_or_else(|| default.to_string()))
    }

    pub fn required(&self, key: &str) -> Result<String, Problem> {
        self.text(key)?.ok_or_else(|| self.wrong(key, "is missing"))
    }

    pub fn flag(&self, key: &str, default: bool) -> Result<bool, Problem> {
        match self.get(key) {
            None => Ok(default),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(Value::String(text)) if text.eq_ignore_ascii_case("true") => Ok(true),
            Some(Value::String(text)) if text.eq_ignore_ascii_case("false") => Ok(false),
            Some(_) => Err(self.wrong(key, "must be true or false")),
        }
    }

    /// A whole number from 0 to `most`.
    pub fn count(&self, key: &str, most: u64) -> Result<Option<u64>, Problem> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let number = match value {
            Value::Number(n) => n.as_u64().or_else(|| whole(n.as_f64()?)),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        match number {
            Some(n) if n <= most => Ok(Some(n)),
            _ => Err(self.wrong(key, format!("must be a whole number from 0 to {most}"))),
        }
    }

    /// A number that is not negative and at most `most`.
    pub fn amount(&self, key: &str, most: f64) -> Result<Option<f64>, Problem> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let number = match value {
            Value::Number(n) => n.as_f64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        match number {
            Some(n) if n >= 0.0 && n <= most => Ok(Some(n)),
            _ => Err(self.wrong(key, format!("must be a number from 0 to {most}"))),
        }
    }

    pub fn list(&self, key: &str) -> Result<&'a [Value], Problem> {
        match self.get(key) {
            None => Ok(&[]),
            Some(Value::Array(items)) => Ok(items),
            Some(_) => Err(self.wrong(key, "must be a list")),
        }
    }

    /// A list of texts.
    pub fn texts(&self, key: &str) -> Result<Vec<String>, Problem> {
        let items = self.list(key)?.iter().map(text_of);
        let texts: Option<Vec<String>> = items.collect();
        let texts = texts.ok_or_else(|| self.wrong(key, "must be a list of texts"))?;
        match texts.iter().any(|text| text.contains('\0')) {
            true => Err(self.wrong(key, "must not hold a zero character")),
            false => Ok(texts),
        }
    }
}

fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn whole(number: f64) -> Option<u64> {
    (number >= 0.0 && number.fract() == 0.0 && number < u64::MAX as f64).then_some(number as u64)
}
