//! A place in a JSON document, and how values are taken from it. The messages are those of Marathon's JSON reader.

use crate::marathon::model::failures::Failures;
use crate::marathon::model::path::PathId;
use serde_json::{Map, Value};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// Where failures of one document are gathered.
#[derive(Default)]
pub(super) struct Sink {
    form: RefCell<Failures>,
    refused: RefCell<Failures>,
}

impl Sink {
    /// What has not the right form, and what is refused.
    pub(super) fn into_parts(self) -> (Failures, Failures) {
        (self.form.into_inner(), self.refused.into_inner())
    }
}

/// A value and where it is.
pub(super) struct At<'a> {
    value: &'a Value,
    path: String,
    sink: &'a Sink,
}

/// An object and where it is.
pub(super) struct Object<'a> {
    fields: &'a Map<String, Value>,
    path: String,
    sink: &'a Sink,
}

/// What a text has to be.
#[derive(Clone, Copy, Default)]
pub(super) struct Text {
    /// Not empty.
    pub(super) filled: bool,
    /// At most so many characters; 0: any number.
    pub(super) max: usize,
    /// Lower-case letters, digits and, not at the ends, dashes.
    pub(super) name: bool,
    /// With `name`, underscores as well as dashes.
    pub(super) underscores: bool,
}

/// The most constraints, dependencies, checks or roles of one definition.
const SET_ITEMS_MAX: usize = 1000;

/// Any text but the empty one.
pub(super) const FILLED: Text = Text { filled: true, max: 0, name: false, underscores: false };
/// A path or address.
pub(super) const LINE: Text = Text { max: 1024, ..FILLED };
/// A name of a port of any length.
pub(super) const PORT_NAME: Text = Text { name: true, ..FILLED };
/// A name of a network that ports refer to.
pub(super) const NAME: Text = Text { max: 63, ..PORT_NAME };
/// A name of a network.
pub(super) const NETWORK_NAME: Text = Text { underscores: true, ..NAME };

impl<'a> At<'a> {
    pub(super) fn root(value: &'a Value, sink: &'a Sink) -> Self {
        Self { value, path: String::new(), sink }
    }

    /// Notes that the value has not the right form.
    pub(super) fn fail(&self, message: impl Into<String>) {
        self.sink.form.borrow_mut().add(&self.path, message);
    }

    /// Notes that the value cannot be accepted.
    pub(super) fn refuse(&self, message: impl Into<String>) {
        self.sink.refused.borrow_mut().add(&self.path, message);
    }

    fn expected<T>(&self, what: &str) -> Option<T> {
        self.fail(format!("error.expected.{what}"));
        None
    }

    /// Whether it is an empty list or object.
    pub(super) fn is_empty(&self) -> bool {
        match self.value {
            Value::Array(items) => items.is_empty(),
            Value::Object(fields) => fields.is_empty(),
            _ => false,
        }
    }

    pub(super) fn is_object(&self) -> bool {
        self.value.is_object()
    }

    pub(super) fn as_text(&self) -> Option<&'a str> {
        self.value.as_str()
    }

    pub(super) fn object(&self) -> Option<Object<'a>> {
        match self.value {
            Value::Object(fields) => {
                Some(Object { fields, path: self.path.clone(), sink: self.sink })
            }
            _ => self.expected("jsobject"),
        }
    }

    pub(super) fn string(&self) -> Option<String> {
        match self.value {
            Value::String(text) => Some(text.clone()),
            _ => self.expected("jsstring"),
        }
    }

    pub(super) fn text(&self, rule: Text) -> Option<String> {
        let text = self.string()?;
        let mut good = true;
        if rule.filled && text.is_empty() {
            self.fail("error.minLength");
            good = false;
        }
        if rule.max > 0 && text.chars().count() > rule.max {
            self.fail("error.maxLength");
            good = false;
        }
        if rule.name && !text.is_empty() && !is_name(&text, rule.underscores) {
            self.fail("error.pattern");
            good = false;
        }
        good.then_some(text)
    }

    pub(super) fn boolean(&self) -> Option<bool> {
        match self.value {
            Value::Bool(value) => Some(*value),
            _ => self.expected("jsboolean"),
        }
    }

    /// A whole number within the bounds, both included; also one written with a zero fraction.
    fn whole(&self, min: i64, max: i64) -> Option<i64> {
        let Value::Number(number) = self.value else { return self.expected("jsnumber") };
        let whole = number.as_i64().or_else(|| {
            let value = number.as_f64()?;
            // The bounds are far within what a double holds exactly.
            (value.fract() == 0.0 && value.abs() < 9e15).then_some(value as i64)
        });
        match whole {
            None if number.as_f64().is_some_and(|v| v.fract() == 0.0 && v > 0.0) => {
                self.fail("error.max");
                None
            }
            None => self.expected("int"),
            Some(n) if n < min => {
                self.fail("error.min");
                None
            }
            Some(n) if n > max => {
                self.fail("error.max");
                None
            }
            Some(n) => Some(n),
        }
    }

    /// A number of things or of seconds: from `min` to the largest of Marathon's 32-bit integers.
    pub(super) fn count(&self, min: u32) -> Option<u32> {
        let n = self.whole(i64::from(min), i64::from(i32::MAX))?;
        u32::try_from(n).ok()
    }

    /// A number of seconds of Marathon's 64-bit kind; bounded so that it is exact as a double.
    pub(super) fn long(&self) -> Option<u64> {
        u64::try_from(self.whole(0, 1 << 53)?).ok()
    }

    /// A port, 0 included.
    pub(super) fn port(&self) -> Option<u16> {
        u16::try_from(self.whole(0, 65_535)?).ok()
    }

    /// A number within the bounds, both included.
    pub(super) fn number(&self, min: f64, max: f64) -> Option<f64> {
        let Value::Number(number) = self.value else { return self.expected("jsnumber") };
        match number.as_f64() {
            None => self.expected("jsnumber"),
            Some(value) if value < min => {
                self.fail("error.min");
                None
            }
            Some(value) if value > max => {
                self.fail("error.max");
                None
            }
            Some(value) => Some(value),
        }
    }

    /// One of the words, in any case.
    pub(super) fn word<T: Copy>(&self, words: &[(&str, T)]) -> Option<T> {
        let text = self.string()?;
        let found = words.iter().find(|(word, _)| word.eq_ignore_ascii_case(&text));
        if found.is_none() {
            self.fail("error.unknown.enum.literal");
        }
        found.map(|(_, value)| *value)
    }

    /// A list; items that cannot be read are left out (and told).
    pub(super) fn list<T>(&self, each: impl Fn(&At<'a>) -> Option<T>) -> Option<Vec<T>> {
        let Value::Array(items) = self.value else { return self.expected("jsarray") };
        let read =
            |(n, value)| each(&At { value, path: format!("{}({n})", self.path), sink: self.sink });
        Some(items.iter().enumerate().filter_map(read).collect())
    }

    /// The same, without items that were there before; at most [`SET_ITEMS_MAX`].
    pub(super) fn set<T: PartialEq>(&self, each: impl Fn(&At<'a>) -> Option<T>) -> Option<Vec<T>> {
        if self.value.as_array().is_some_and(|items| items.len() > SET_ITEMS_MAX) {
            self.fail("error.maxLength");
            return None;
        }
        let mut unique = Vec::new();
        for item in self.list(each)? {
            if !unique.contains(&item) {
                unique.push(item);
            }
        }
        Some(unique)
    }

    /// An object with values of one kind.
    pub(super) fn map<T>(
        &self,
        each: impl Fn(&At<'a>) -> Option<T>,
    ) -> Option<BTreeMap<String, T>> {
        let object = self.object()?;
        let read = |(key, value): (&String, &'a Value)| {
            let path = format!("{}/{key}", self.path);
            Some((key.clone(), each(&At { value, path, sink: self.sink })?))
        };
        Some(object.fields.iter().filter_map(read).collect())
    }

    pub(super) fn labels(&self) -> Option<BTreeMap<String, String>> {
        self.map(|at| at.string())
    }

    /// An id, relative to `base`.
    pub(super) fn path_id(&self, base: &PathId) -> Option<PathId> {
        let text = self.text(FILLED)?;
        match PathId::resolve(&text, base) {
            Ok(id) => Some(id),
            Err(error) => {
                self.fail("error.pattern");
                self.fail(error.to_string());
                None
            }
        }
    }
}

impl<'a> Object<'a> {
    /// A field that was given: there, and not `null`.
    pub(super) fn get(&self, key: &str) -> Option<At<'a>> {
        let value = self.fields.get(key).filter(|v| !v.is_null())?;
        Some(At { value, path: format!("{}/{key}", self.path), sink: self.sink })
    }

    /// A field that has to be given.
    pub(super) fn required(&self, key: &str) -> Option<At<'a>> {
        let found = self.get(key);
        if found.is_none() {
            let path = format!("{}/{key}", self.path);
            self.sink.form.borrow_mut().add(&path, "error.path.missing");
        }
        found
    }
}

/// `^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`.
fn is_name(text: &str, underscores: bool) -> bool {
    let inner = |b: u8| {
        b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || (underscores && b == b'_')
    };
    let end = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    text.bytes().all(inner) && end(text.bytes().next()) && end(text.bytes().last())
}
