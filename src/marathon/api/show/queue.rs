//! Instances that wait to be launched, and why.

use super::AppInfo;
use crate::base::explain::Explanation;
use crate::marathon::core::view::{QueueView, Reason, Rejects, UnusedOffer};
use crate::marathon::model::Timestamp;
use crate::mesos::v1;
use serde::Serialize;
use serde_json::{Map, Value, json};

/// The JSON of one app's place in the queue.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::marathon::api) struct QueueItem<'a> {
    count: usize,
    role: &'a str,
    delay: Delay,
    since: Timestamp,
    processed_offers_summary: Summary,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_unused_offers: Option<Vec<Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    explanation: Option<&'a Explanation>,
    app: AppInfo<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Delay {
    time_left_seconds: i64,
    overdue: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary {
    processed_offers_count: u64,
    unused_offers_count: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_unused_offer_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_used_offer_at: Option<Timestamp>,
    reject_summary_last_offers: Vec<Declined>,
    reject_summary_launch_attempt: Vec<Declined>,
}

#[derive(Serialize)]
struct Declined {
    reason: &'static str,
    declined: u64,
    processed: u64,
}

/// What is seen only when it is asked for by `embed`: clients may know no other fields than the original's.
#[derive(Clone, Copy, Default)]
pub(in crate::marathon::api) struct Embed {
    /// `lastUnusedOffers`: the offers it could not use.
    pub offers: bool,
    /// `explanation`: all of it in words, with the nearest miss. Not in the original.
    pub explanation: bool,
}

/// What is seen of an app that waits.
pub(in crate::marathon::api) fn queue_item(
    view: &QueueView,
    embed: Embed,
    now: Timestamp,
) -> QueueItem<'_> {
    let left = view.delayed_until.map_or(0, |until| (until.millis() - now.millis()).max(0));
    let unused = || view.last_unused_offers.iter().map(unused_offer).collect();
    QueueItem {
        count: view.count,
        role: &view.app.role,
        // Whole seconds, rounded up: a delay is over when it says 0.
        delay: Delay { time_left_seconds: (left + 999) / 1000, overdue: left == 0 },
        since: view.since,
        processed_offers_summary: Summary {
            processed_offers_count: view.processed,
            unused_offers_count: view.unused,
            last_unused_offer_at: view.last_unused_at,
            last_used_offer_at: view.last_used_at,
            reject_summary_last_offers: declined(&view.rejects_last),
            reject_summary_launch_attempt: declined(&view.rejects_attempt),
        },
        last_unused_offers: embed.offers.then(unused),
        explanation: embed.explanation.then_some(&view.explanation),
        app: AppInfo::bare(&view.app),
    }
}

/// Every reason in order, those without a refusal too.
fn declined(rejects: &[Rejects]) -> Vec<Declined> {
    let of = |reason: Reason| {
        let found = rejects.iter().find(|r| r.reason == reason);
        Declined {
            reason: reason.name(),
            declined: found.map_or(0, |r| r.declined),
            processed: found.map_or(0, |r| r.processed),
        }
    };
    Reason::ALL.into_iter().map(of).collect()
}

fn unused_offer(unused: &UnusedOffer) -> Value {
    let offer = &*unused.offer;
    let resources: Vec<_> = offer.resources.iter().map(resource).collect();
    let attributes: Vec<_> = offer.attributes.iter().map(attribute).collect();
    json!({
        "offer": {
            "id": offer.id.value,
            "hostname": offer.hostname,
            "agentId": offer.agent_id.value,
            "resources": resources,
            "attributes": attributes,
        },
        "reason": [unused.reason.name()],
        "timestamp": unused.at,
    })
}

fn resource(resource: &v1::Resource) -> Value {
    let reserved = resource.reservations.last().and_then(|r| r.role.clone());
    let mut out = Map::new();
    out.insert("name".into(), json!(resource.name));
    out.insert("role".into(), json!(reserved.unwrap_or_else(|| "*".into())));
    values(&mut out, resource.scalar.as_ref(), resource.ranges.as_ref(), resource.set.as_ref());
    Value::Object(out)
}

fn attribute(attribute: &v1::Attribute) -> Value {
    let mut out = Map::new();
    out.insert("name".into(), json!(attribute.name));
    if let Some(text) = &attribute.text {
        out.insert("text".into(), json!(text.value));
    }
    let (scalar, ranges, set) = (&attribute.scalar, &attribute.ranges, &attribute.set);
    values(&mut out, scalar.as_ref(), ranges.as_ref(), set.as_ref());
    Value::Object(out)
}

fn values(
    out: &mut Map<String, Value>,
    scalar: Option<&v1::value::Scalar>,
    ranges: Option<&v1::value::Ranges>,
    set: Option<&v1::value::Set>,
) {
    if let Some(scalar) = scalar {
        out.insert("scalar".into(), json!(scalar.value));
    }
    if let Some(ranges) = ranges {
        let ranges: Vec<_> =
            ranges.range.iter().map(|r| json!({ "begin": r.begin, "end": r.end })).collect();
        out.insert("ranges".into(), json!(ranges));
    }
    if let Some(set) = set {
        out.insert("set".into(), json!(set.item));
    }
}
