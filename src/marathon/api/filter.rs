//! Which apps a list shows: by command, by id, by label selector.

use super::answer;
use super::ask::Ask;
use crate::http::Refusal;
use crate::marathon::model::App;
use axum::http::StatusCode;

/// The most clauses of a selector.
const CLAUSES_MAX: usize = 100;

/// All of it has to hold.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Filter {
    cmd: Option<String>,
    id: Option<String>,
    label: Vec<Clause>,
}

/// One clause of a label selector. All kinds ask for the label to be there.
#[derive(Debug, PartialEq)]
struct Clause {
    key: String,
    test: Test,
}

#[derive(Debug, PartialEq)]
enum Test {
    Exists,
    In(Vec<String>),
    NotIn(Vec<String>),
}

impl Filter {
    /// What the query asks for.
    pub(super) fn of(ask: &Ask) -> Result<Self, Refusal> {
        let word = |name| ask.query.get(name).filter(|v| !v.is_empty()).map(str::to_lowercase);
        let selector = ask.query.get("label").filter(|v| !v.trim().is_empty());
        let label = match selector.map(|text| (text, parse(text))) {
            None => Vec::new(),
            Some((_, Some(clauses))) => clauses,
            Some((text, None)) => {
                let message = format!("Can not parse label selector {text}");
                return Err(answer::message(StatusCode::UNPROCESSABLE_ENTITY, &message));
            }
        };
        Ok(Self { cmd: word("cmd"), id: word("id"), label })
    }

    /// Whether the app is shown.
    pub(super) fn takes(&self, app: &App) -> bool {
        let contains = |part: &Option<String>, whole: &str| {
            part.as_ref().is_none_or(|part| whole.to_lowercase().contains(part))
        };
        contains(&self.cmd, app.cmd.as_deref().unwrap_or_default())
            && contains(&self.id, app.id.as_str())
            && self.label.iter().all(|clause| clause.holds(app))
    }
}

impl Clause {
    fn holds(&self, app: &App) -> bool {
        let Some(value) = app.labels.get(&self.key) else { return false };
        match &self.test {
            Test::Exists => true,
            Test::In(values) => values.contains(value),
            Test::NotIn(values) => !values.contains(value),
        }
    }
}

/// Reads `a, b==c, d!=e, f in (g, h), i notin (j)`.
fn parse(text: &str) -> Option<Vec<Clause>> {
    let mut scan = Scan { rest: text };
    let mut clauses = Vec::new();
    loop {
        let key = scan.word()?;
        let test = if scan.take("==") {
            Test::In(vec![scan.word()?])
        } else if scan.take("!=") {
            Test::NotIn(vec![scan.word()?])
        } else if scan.take("notin") {
            Test::NotIn(scan.list()?)
        } else if scan.take("in") {
            Test::In(scan.list()?)
        } else {
            Test::Exists
        };
        clauses.push(Clause { key, test });
        if clauses.len() > CLAUSES_MAX {
            return None;
        }
        if scan.at_end() {
            return Some(clauses);
        }
        if !scan.take(",") {
            return None;
        }
    }
}

/// A text being read from its front.
struct Scan<'a> {
    rest: &'a str,
}

impl Scan<'_> {
    fn take(&mut self, token: &str) -> bool {
        let rest = self.rest.trim_start();
        match rest.strip_prefix(token) {
            Some(after) => {
                self.rest = after;
                true
            }
            None => false,
        }
    }

    fn at_end(&self) -> bool {
        self.rest.trim_start().is_empty()
    }

    /// Letters, digits, `-`, `_`, `.`, and whatever follows a backslash.
    fn word(&mut self) -> Option<String> {
        let mut word = String::new();
        let rest = self.rest.trim_start();
        let mut chars = rest.char_indices();
        let mut end = rest.len();
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' => word.push(chars.next()?.1),
                c if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') => word.push(c),
                _ => {
                    end = at;
                    break;
                }
            }
        }
        self.rest = rest.get(end..)?;
        (!word.is_empty()).then_some(word)
    }

    fn list(&mut self) -> Option<Vec<String>> {
        if !self.take("(") {
            return None;
        }
        let mut words = vec![self.word()?];
        while self.take(",") {
            words.push(self.word()?);
        }
        self.take(")").then_some(words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::marathon::model::{PathId, Timestamp};

    fn holds(selector: &str) -> Option<bool> {
        let mut app = App::new(PathId::root(), "*", Timestamp::default());
        for (key, value) in [("tier", "web"), ("env", "prod"), ("a b", "c,d")] {
            app.labels.insert(key.into(), value.into());
        }
        parse(selector).map(|clauses| clauses.iter().all(|c| c.holds(&app)))
    }

    // covers: MAR-0555, MAR-0556, MAR-0557, MAR-0558, MAR-0559, MAR-0560, MAR-0562
    #[test]
    fn selectors() {
        for (selector, expected) in [
            ("tier", Some(true)),
            ("nope", Some(false)),
            ("tier==web", Some(true)),
            ("tier == db", Some(false)),
            ("tier!=db", Some(true)),
            ("nope!=db", Some(false)),
            ("env in (qa, prod)", Some(true)),
            ("env in (qa)", Some(false)),
            ("env notin (qa,test)", Some(true)),
            ("env notin (prod)", Some(false)),
            ("nope notin (prod)", Some(false)),
            ("tier==web, env in (qa,prod)", Some(true)),
            ("tier==web,env==qa", Some(false)),
            ("a\\ b==c\\,d", Some(true)),
            ("", None),
            ("tier=web", None),
            ("tier==", None),
            ("env in qa", None),
            ("env in (qa", None),
            ("a,,b", None),
            ("a\\", None),
        ] {
            assert_eq!(holds(selector), expected, "{selector}");
        }
    }
}
