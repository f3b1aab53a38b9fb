//! Placement constraints: whether an agent satisfies all of an app's, given where its instances are. Pure.

use super::view::Placement;
use crate::base::attributes::AttributeValue;
use crate::marathon::model::{Constraint, Operator};
use regex::Regex;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The text form of an attribute, as constraints compare it.
pub(super) fn text_of(value: &AttributeValue) -> String {
    match value {
        AttributeValue::Text(text) => text.clone(),
        AttributeValue::Scalar(scalar) => number(scalar.as_f64()),
        AttributeValue::Ranges(ranges) => {
            let part = |(begin, end): (u64, u64)| format!("{begin}-{end}");
            format!("[{}]", ranges.iter().map(part).collect::<Vec<_>>().join(","))
        }
        AttributeValue::Set(items) => {
            format!("{{{}}}", items.iter().map(String::as_str).collect::<Vec<_>>().join(","))
        }
    }
}

/// At most three decimals, none of them a zero at the end.
fn number(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_string()
}

/// What a field says about a place; none if it has no such attribute.
pub(super) fn value<'a>(field: &str, place: &'a Placement) -> Option<Cow<'a, str>> {
    match field {
        "hostname" | "@hostname" => Some(Cow::Borrowed(&place.host)),
        "@region" => place.region.as_deref().map(Cow::Borrowed),
        "@zone" => place.zone.as_deref().map(Cow::Borrowed),
        name => {
            let found = place.attributes.iter().find(|(key, _)| key == name);
            found.map(|(_, text)| Cow::Borrowed(text.as_str()))
        }
    }
}

/// The constraints of one app with how its placed instances are spread, kept up while instances are placed.
#[derive(Clone, Debug)]
pub(super) struct Spread {
    rules: Vec<Rule>,
    instances: usize,
}

#[derive(Clone, Debug)]
struct Rule {
    constraint: Constraint,
    regex: Option<Regex>,
    /// How many instances have each value.
    counts: BTreeMap<String, usize>,
    /// The value of the instance that was placed first.
    first: Option<String>,
}

impl Spread {
    /// The constraints of an app of so many instances, with none placed.
    pub fn new(constraints: &[Constraint], instances: usize) -> Self {
        let rule = |constraint: &Constraint| {
            let is_regex = matches!(constraint.operator, Operator::Like | Operator::Unlike);
            let text = constraint.value.as_deref().filter(|_| is_regex);
            // The whole value has to match.
            let regex = text.and_then(|text| Regex::new(&format!("^(?:{text})$")).ok());
            Rule { constraint: constraint.clone(), regex, counts: BTreeMap::new(), first: None }
        };
        Self { rules: constraints.iter().map(rule).collect(), instances }
    }

    /// An instance is at that place.
    pub fn place(&mut self, place: &Placement) {
        for rule in &mut self.rules {
            if let Some(value) = value(&rule.constraint.field, place) {
                rule.first.get_or_insert_with(|| value.to_string());
                *rule.counts.entry(value.into_owned()).or_default() += 1;
            }
        }
    }

    /// Whether one more may be at that place; else which constraint is against it, counted from 0.
    pub fn allows(&self, place: &Placement) -> Result<(), usize> {
        match self.rules.iter().position(|rule| !rule.allows(place, self.instances)) {
            None => Ok(()),
            Some(at) => Err(at),
        }
    }

    /// Whether instances are to be spread evenly over as many groups as there are: then more may fit where the other
    /// groups have had theirs.
    pub fn is_even(&self) -> bool {
        self.rules.iter().any(Rule::is_even)
    }

    /// Groups that could take an instance now, besides those that have some. (The original knows of groups only what it
    /// has placed: an offer that comes first may get all.)
    pub fn reckon_with<'a>(&mut self, places: impl Iterator<Item = &'a Placement> + Clone) {
        for rule in self.rules.iter_mut().filter(|rule| rule.is_even()) {
            rule.counts.retain(|_, count| *count > 0);
            for value in places.clone().filter_map(|p| value(&rule.constraint.field, p)) {
                rule.counts.entry(value.into_owned()).or_default();
            }
        }
    }

    /// Whether regions are chosen by a constraint.
    pub fn names_region(&self) -> bool {
        self.rules.iter().any(|rule| rule.constraint.field == "@region")
    }
}

impl Rule {
    /// GROUP_BY without a number of groups.
    fn is_even(&self) -> bool {
        let number = self.constraint.value.as_deref().and_then(|w| w.parse::<usize>().ok());
        self.constraint.operator == Operator::GroupBy && number.is_none_or(|n| n == 0)
    }

    fn allows(&self, place: &Placement, instances: usize) -> bool {
        let wanted = self.constraint.value.as_deref();
        let Some(value) = value(&self.constraint.field, place) else {
            // Where there is no value, nothing can be unlike it but UNLIKE.
            return self.constraint.operator == Operator::Unlike;
        };
        let value = value.as_ref();
        let here = self.counts.get(value).copied().unwrap_or(0);
        match self.constraint.operator {
            Operator::Unique => here == 0,
            Operator::Cluster => match wanted.filter(|w| !w.is_empty()) {
                Some(wanted) => value == wanted,
                None => self.first.as_deref().is_none_or(|first| first == value),
            },
            Operator::Is => wanted.is_some_and(|wanted| is_equal(value, wanted)),
            Operator::Like => self.regex.as_ref().is_some_and(|r| r.is_match(value)),
            Operator::Unlike => self.regex.as_ref().is_some_and(|r| !r.is_match(value)),
            Operator::MaxPer => {
                wanted.and_then(|w| w.parse::<usize>().ok()).is_some_and(|most| here < most)
            }
            Operator::GroupBy => match wanted.and_then(|w| w.parse::<usize>().ok()) {
                Some(groups) if groups > 0 => self.spreads(value, here, groups, instances),
                _ => self.evens_out(value, here),
            },
        }
    }

    /// GROUP_BY with a number of groups: every group gets its part, the remainder goes to whoever comes first.
    fn spreads(&self, value: &str, here: usize, groups: usize, instances: usize) -> bool {
        if !self.counts.contains_key(value) {
            return self.counts.len() < groups;
        }
        let (part, remainder) = (instances / groups, instances % groups);
        let used: usize = self.counts.values().map(|count| count.saturating_sub(part)).sum();
        here < part || (here == part && used < remainder)
    }

    /// GROUP_BY without one: a new value, or one of those that have the fewest.
    fn evens_out(&self, value: &str, here: usize) -> bool {
        let least = self.counts.values().min().copied().unwrap_or(0);
        !self.counts.contains_key(value) || here <= least
    }
}

/// Equal as texts, or as numbers with three decimals.
fn is_equal(value: &str, wanted: &str) -> bool {
    let as_number = |text: &str| text.parse::<f64>().ok().filter(|n| n.is_finite()).map(number);
    value == wanted || (as_number(wanted).is_some() && as_number(value) == as_number(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::attributes::Attributes;

    fn place(host: &str, attributes: &str) -> Placement {
        let attributes = Attributes::parse(attributes).expect("attributes");
        Placement {
            agent_id: host.into(),
            host: host.into(),
            region: Some("r1".into()),
            zone: None,
            attributes: attributes.iter().map(|a| (a.name.clone(), text_of(&a.value))).collect(),
        }
    }

    fn rule(field: &str, operator: Operator, value: Option<&str>) -> Constraint {
        Constraint { field: field.into(), operator, value: value.map(str::to_string) }
    }

    fn allows(rules: &[Constraint], placed: &[(&str, &str)], at: (&str, &str)) -> bool {
        let mut spread = Spread::new(rules, 4);
        placed.iter().for_each(|(host, attributes)| spread.place(&place(host, attributes)));
        spread.allows(&place(at.0, at.1)).is_ok()
    }

    // covers: MAR-0357, MAR-0358, MAR-0359, MAR-0360, MAR-0362, MAR-0365, MAR-0367, MAR-0368, MAR-0617
    #[test]
    fn operators() {
        use Operator::*;
        let on_a: &[(&str, &str)] = &[("a", "rack:1")];
        for (rule, placed, at, expected) in [
            (rule("hostname", Unique, None), on_a, ("a", ""), false),
            (rule("@hostname", Unique, None), on_a, ("b", ""), true),
            (rule("rack", Unique, None), on_a, ("b", "rack:1"), false),
            (rule("rack", Unique, None), on_a, ("b", ""), false),
            (rule("rack", Cluster, Some("2")), on_a, ("b", "rack:1"), false),
            (rule("rack", Cluster, Some("2")), &[], ("b", "rack:2"), true),
            (rule("hostname", Cluster, None), on_a, ("b", ""), false),
            (rule("hostname", Cluster, None), on_a, ("a", ""), true),
            (rule("hostname", Cluster, None), &[], ("b", ""), true),
            (rule("rack", Is, Some("1.0")), &[], ("b", "rack:1"), true),
            (rule("rack", Is, Some("1.5")), &[], ("b", "rack:1"), false),
            (rule("rack", Is, Some("x")), &[], ("b", "rack:x"), true),
            (rule("rack", Like, Some("x[0-9]+")), &[], ("b", "rack:x12"), true),
            (rule("rack", Like, Some("x")), &[], ("b", "rack:xx"), false),
            (rule("rack", Like, Some("a|bb")), &[], ("b", "rack:bbb"), false),
            (rule("rack", Like, Some(".*")), &[], ("b", ""), false),
            (rule("rack", Unlike, Some("x.*")), &[], ("b", "rack:x1"), false),
            (rule("rack", Unlike, Some("x.*")), &[], ("b", "rack:y"), true),
            (rule("rack", Unlike, Some("x.*")), &[], ("b", ""), true),
            (rule("rack", MaxPer, Some("2")), on_a, ("b", "rack:1"), true),
            (rule("rack", MaxPer, Some("1")), on_a, ("b", "rack:1"), false),
            (rule("@region", Is, Some("r1")), &[], ("b", ""), true),
            (rule("@zone", Like, Some(".*")), &[], ("b", ""), false),
        ] {
            assert_eq!(
                allows(std::slice::from_ref(&rule), placed, at),
                expected,
                "{rule:?} {placed:?} {at:?}"
            );
        }
    }

    // covers: MAR-0370, MAR-0371
    #[test]
    fn all_have_to_hold() {
        let rules =
            [rule("hostname", Operator::Unique, None), rule("rack", Operator::Cluster, Some("1"))];
        assert!(allows(&rules, &[("a", "rack:1")], ("b", "rack:1")));
        assert!(!allows(&rules, &[("a", "rack:1")], ("a", "rack:1")));
        assert!(!allows(&rules, &[("a", "rack:1")], ("b", "rack:2")));
        let mut spread = Spread::new(&rules, 1);
        spread.place(&place("a", "rack:1"));
        assert_eq!(spread.allows(&place("a", "rack:1")), Err(0));
        assert_eq!(spread.allows(&place("b", "rack:2")), Err(1));
    }

    /// Places instances where it is allowed, trying racks in turn; how many are on each.
    fn spread_over(racks: usize, instances: usize, groups: Option<&str>) -> Vec<usize> {
        let rules = [rule("rack", Operator::GroupBy, groups)];
        let mut spread = Spread::new(&rules, instances);
        let mut counts = vec![0; racks];
        let (mut placed, mut tries) = (0, 0);
        while placed < instances && tries < 100 {
            let rack = tries % racks;
            let at = place("h", &format!("rack:r{rack}"));
            if spread.allows(&at).is_ok() {
                spread.place(&at);
                counts[rack] += 1;
                placed += 1;
            }
            tries += 1;
        }
        counts
    }

    // covers: MAR-0361, MAR-0364
    #[test]
    fn groups_are_evened_out() {
        assert_eq!(spread_over(3, 9, None), [3, 3, 3]);
        assert_eq!(spread_over(3, 9, Some("3")), [3, 3, 3]);
        assert_eq!(spread_over(3, 8, Some("3")).iter().sum::<usize>(), 8);
        assert!(spread_over(3, 8, Some("3")).iter().all(|n| (2..=3).contains(n)));
        assert_eq!(spread_over(1, 4, Some("2")), [2]);
        assert_eq!(spread_over(3, 4, Some("2")), [2, 2, 0]);
    }

    // covers: MAR-0366
    #[test]
    fn attributes_as_text() {
        let at = place("a", "n:4;f:2.50;t:ab;r:[5-9,1-3]");
        for (name, text) in [("n", "4"), ("f", "2.5"), ("t", "ab"), ("r", "[1-3,5-9]")] {
            assert_eq!(value(name, &at).as_deref(), Some(text));
        }
        let set = AttributeValue::Set(["b", "a"].map(String::from).into());
        assert_eq!(text_of(&set), "{a,b}");
    }
}
