//! Shapes of the older JSON (`/state` and its kin) that several pages share: resources and attributes as flat objects.

use crate::base::attributes::{AttributeValue, Attributes};
use crate::base::resources::{Resource, Resources, Scalar, Value};
use serde_json::{Map, Value as Json};
use std::collections::BTreeSet;

/// The names that are always there.
const ALWAYS: [&str; 4] = ["cpus", "gpus", "mem", "disk"];

/// `{"cpus":4.0,"gpus":0,"mem":512.0,"disk":0,"ports":"[31000-31005]"}`: totals by name, over reservations and
/// allocations; ranges and sets as text; what may be taken back under `<name>_revocable`.
pub fn resources_object(all: &Resources) -> Map<String, Json> {
    let mut out = Map::new();
    for name in ALWAYS {
        // Mesos writes these as an integer, amounts that are there as doubles.
        out.insert(name.into(), 0.into());
    }
    fill(&mut out, &all.non_revocable(), "");
    fill(&mut out, &all.revocable(), "_revocable");
    out
}

fn fill(out: &mut Map<String, Json>, all: &Resources, suffix: &str) {
    for name in all.names() {
        let sample = all.iter().find(|r| &*r.name == name);
        let value = match sample.map(|r| &r.value) {
            Some(Value::Scalar(_)) => double(all.scalar(name)),
            Some(Value::Ranges(_)) => all.ranges(name).to_string().into(),
            Some(Value::Set(_)) => Value::Set(items(all, name)).to_string().into(),
            None => continue,
        };
        out.insert(format!("{name}{suffix}"), value);
    }
}

fn items(all: &Resources, name: &str) -> BTreeSet<String> {
    let sets = all.iter().filter(|r: &&Resource| &*r.name == name).filter_map(|r| match &r.value {
        Value::Set(set) => Some(set),
        _ => None,
    });
    sets.flatten().cloned().collect()
}

/// `{"rack":"r1","level":10.0,"keys":"[1000-1500]"}`; of a name given twice the last stays.
pub fn attributes_object(all: &Attributes) -> Map<String, Json> {
    let value = |v: &AttributeValue| match v {
        AttributeValue::Scalar(v) => double(*v),
        text => text.to_string().into(),
    };
    all.iter().map(|a| (a.name.clone(), value(&a.value))).collect()
}

fn double(v: Scalar) -> Json {
    // A scalar is a finite number, so this is never null.
    Json::from(v.as_f64())
}
