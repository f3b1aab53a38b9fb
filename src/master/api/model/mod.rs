//! The older JSON of the master (`/state` and its kin), built from a [`View`](crate::master::core::view::View). Shapes only:
//! what is in them was decided by the core.

pub mod agents;
pub mod frameworks;
pub mod roles;
pub mod state;
pub mod summary;
pub mod tasks;

use crate::base::resources::Resources;
use crate::mesos::convert::resources_from_v1;
use crate::mesos::v0::resources_object;
use crate::mesos::v1;
use serde::Serialize;
use serde_json::{Map, Value};

/// A flat resources object.
pub(super) type Flat = Map<String, Value>;

/// The flat object of v1 resources, which a core has checked before.
pub(super) fn flat(all: &[v1::Resource]) -> Flat {
    // What does not convert was never admitted; an empty object is then the truth.
    resources_object(&resources_from_v1(all).unwrap_or_default())
}

/// The object of task limits: like resources, but infinity is a value.
pub(super) fn limits(all: &std::collections::BTreeMap<String, v1::value::Scalar>) -> Flat {
    let value = |v: f64| if v.is_finite() { Value::from(v) } else { Value::from("Infinity") };
    all.iter().map(|(name, s)| (name.clone(), value(s.value))).collect()
}

/// Labels as the older JSON has them: a list of objects.
pub(super) fn labels(labels: Option<&v1::Labels>) -> Option<Vec<LabelJson<'_>>> {
    labels.map(|all| {
        all.labels.iter().map(|l| LabelJson { key: &l.key, value: l.value.as_deref() }).collect()
    })
}

/// One label.
#[derive(Serialize)]
pub(super) struct LabelJson<'a> {
    key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<&'a str>,
}

/// The total of two bags.
pub(super) fn sum(a: &Resources, b: &Resources) -> Resources {
    let mut total = a.clone();
    total += b.clone();
    total
}
