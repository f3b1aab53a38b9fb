//! Why instances of an app wait to be launched: an entry of `/v2/queue` in sentences, with the nearest miss.
//!
//! Where the server sends an explanation of its own in the entry, that is shown.

use crate::cli::output::{list, megabytes, number, short, text};
use crate::cli::why::explanation;
use serde_json::Value;

/// What an entry of `/v2/queue` is asked for with.
pub const EMBED: [(&str, &str); 2] = [("embed", "lastUnusedOffers"), ("embed", "explanation")];

/// The entry of one app in an answer of `/v2/queue`, if any of its instances wait.
pub fn entry_of<'a>(queue: &'a Value, id: &str) -> Option<&'a Value> {
    list(queue, "queue").iter().find(|e| e["app"]["id"] == id && number(e, "count") > 0.0)
}

/// Whether it is place that is missing, not time.
pub fn lacks_place(entry: &Value) -> bool {
    entry["delay"]["overdue"] != false
}

/// The rules that stand in the way: the same as long as nothing new is to be told.
pub fn rules(entry: &Value) -> Vec<String> {
    if !lacks_place(entry) {
        return vec!["delay".into()];
    }
    let mut rules: Vec<String> = refusals(entry).iter().map(|r| text(r, "reason")).collect();
    rules.extend(list(&entry["explanation"], "refusals").iter().map(|r| text(r, "rule")));
    rules
}

/// The explanation, several lines.
pub fn explain(entry: &Value) -> String {
    let (app, count) = (&entry["app"], number(entry, "count"));
    let plural = if count == 1.0 { "" } else { "s" };
    let mut out = format!("{} waits to launch {count} instance{plural}\n", text(app, "id"));
    if !lacks_place(entry) {
        let seconds = number(&entry["delay"], "timeLeftSeconds");
        out.push_str(&format!(
            "  the next launch is held back for {seconds} s, since its instances failed\n\
             hint: see the last failure with `mesolith app show {}`\n",
            text(app, "id")
        ));
        return out;
    }
    if entry["explanation"].is_object() {
        out.push_str(&explanation(&entry["explanation"], "offers"));
        return out;
    }
    let summary = &entry["processedOffersSummary"];
    let refusals = refusals(entry);
    if refusals.is_empty() {
        match number(summary, "processedOffersCount") {
            0.0 => out.push_str(
                "  no offer has come yet\n\
                 hint: see the nodes with `mesolith node ls`, and `mesolith why marathon`\n",
            ),
            n => {
                out.push_str(&format!("  {n} offers were looked at; none of the last refuses it\n"))
            }
        }
        return out;
    }
    for refusal in &refusals {
        let reason = text(refusal, "reason");
        out.push_str(&format!(
            "  {:>5} × {reason:<22} {}\n",
            text(refusal, "declined"),
            detail(&reason, entry)
        ));
    }
    let first = refusals.iter().max_by_key(|r| number(r, "declined") as u64);
    if let Some(hint) = first.and_then(|r| hint(&text(r, "reason"))) {
        out.push_str(&format!("hint: {hint}\n"));
    }
    out
}

/// Rules that turned down offers: the last of each node, or, while there is none, all since the launch was asked for.
fn refusals(entry: &Value) -> Vec<&Value> {
    let summary = &entry["processedOffersSummary"];
    let declined = |key| -> Vec<&Value> {
        list(summary, key).iter().filter(|r| number(r, "declined") > 0.0).collect()
    };
    match declined("rejectSummaryLastOffers") {
        last if last.is_empty() => declined("rejectSummaryLaunchAttempt"),
        last => last,
    }
}

/// What the rule asks for, and the offer that came nearest.
fn detail(reason: &str, entry: &Value) -> String {
    let app = &entry["app"];
    let scalar = |name: &str, show: fn(f64) -> String| {
        let wanted = format!("needs {}", show(number(app, name)));
        match nearest(entry, reason, name) {
            Some((amount, host)) => {
                format!("{wanted}; the nearest offer had {} on {host}", show(amount))
            }
            None => wanted,
        }
    };
    let cpus = |n: f64| format!("{} cpus", short(n));
    let gpus = |n: f64| format!("{} gpus", short(n));
    match reason {
        "InsufficientCpus" => scalar("cpus", cpus),
        "InsufficientMemory" => scalar("mem", |n| format!("{} of memory", megabytes(n))),
        "InsufficientDisk" => scalar("disk", |n| format!("{} of disk", megabytes(n))),
        "InsufficientGpus" => scalar("gpus", gpus),
        "InsufficientPorts" => format!("needs ports {}", ports(app)),
        "UnfulfilledConstraint" => format!("does not hold: {}", constraints(app)),
        "UnfulfilledRole" => match list(app, "acceptedResourceRoles") {
            [] => format!("needs resources of role {}", text(entry, "role")),
            roles => format!("needs resources of role {}", words(roles, " or ")),
        },
        "NoCorrespondingReservationFound" => "its reserved resources were not offered".into(),
        "AgentMaintenance" => "the node is to be taken down for maintenance".into(),
        "DeclinedScarceResources" => "the node has gpus, and the app needs none".into(),
        _ => String::new(),
    }
}

/// The most of a resource that an offer had which this rule turned down, and where.
fn nearest(entry: &Value, reason: &str, resource: &str) -> Option<(f64, String)> {
    let refused = list(entry, "lastUnusedOffers")
        .iter()
        .filter(|o| list(o, "reason").iter().any(|r| r == reason));
    let amounts = refused.map(|o| {
        let all = list(&o["offer"], "resources").iter().filter(|r| r["name"] == resource);
        (all.map(|r| number(r, "scalar")).sum::<f64>(), text(&o["offer"], "hostname"))
    });
    amounts.max_by(|a, b| a.0.total_cmp(&b.0))
}

fn words(values: &[Value], between: &str) -> String {
    values.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(between)
}

fn ports(app: &Value) -> String {
    let mapped = list(&app["container"], "portMappings").iter().map(|p| text(p, "hostPort"));
    let plain = list(app, "portDefinitions").iter().map(|p| text(p, "port"));
    let wanted: Vec<String> = match app["requirePorts"] == true {
        true => plain.collect(),
        // Only their number matters: any port of the offer will do.
        false => plain.map(|_| "any".into()).chain(mapped).collect(),
    };
    wanted.join(", ")
}

fn constraints(app: &Value) -> String {
    let one = |c: &Value| words(c.as_array().map_or(&[], Vec::as_slice), " ");
    list(app, "constraints").iter().map(one).collect::<Vec<_>>().join(", ")
}

fn hint(reason: &str) -> Option<&'static str> {
    Some(match reason {
        "InsufficientCpus" | "InsufficientMemory" | "InsufficientDisk" | "InsufficientGpus" => {
            "ask for less, end something (`mesolith task ls`), or add a node"
        }
        "InsufficientPorts" => "let the node choose the port (\"port\": 0), or free it",
        "UnfulfilledConstraint" => {
            "see names and attributes with `mesolith node ls`, or ask for fewer instances"
        }
        "UnfulfilledRole" => "see \"acceptedResourceRoles\" of the app, and who has reserved what",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn entry() -> Value {
        let offer = |host: &str, cpus: &[f64], reason: &str| {
            let resources: Vec<Value> =
                cpus.iter().map(|c| json!({"name": "cpus", "role": "*", "scalar": c})).collect();
            json!({"offer": {"hostname": host, "resources": resources}, "reason": [reason]})
        };
        json!({
            "count": 2, "role": "*", "delay": {"timeLeftSeconds": 0, "overdue": true},
            "processedOffersSummary": {
                "processedOffersCount": 9,
                "rejectSummaryLastOffers": [
                    {"reason": "UnfulfilledRole", "declined": 0, "processed": 3},
                    {"reason": "UnfulfilledConstraint", "declined": 1, "processed": 3},
                    {"reason": "InsufficientCpus", "declined": 2, "processed": 2},
                ],
            },
            "lastUnusedOffers": [
                offer("n1", &[1.0], "InsufficientCpus"),
                offer("n2", &[1.0, 2.0], "InsufficientCpus"),
                offer("n3", &[64.0], "UnfulfilledConstraint"),
            ],
            "app": {"id": "/big", "cpus": 4, "constraints": [["hostname", "LIKE", "n3"]]},
        })
    }

    #[test]
    fn rule_count_and_nearest_miss_are_told() {
        assert_eq!(
            explain(&entry()),
            "/big waits to launch 2 instances\n\
             \x20     1 × UnfulfilledConstraint  does not hold: hostname LIKE n3\n\
             \x20     2 × InsufficientCpus       needs 4 cpus; the nearest offer had 3 cpus on n2\n\
             hint: ask for less, end something (`mesolith task ls`), or add a node\n"
        );
        assert_eq!(rules(&entry()), ["UnfulfilledConstraint", "InsufficientCpus"]);
    }

    #[test]
    fn without_offers_the_nodes_are_pointed_to() {
        let mut entry = entry();
        entry["processedOffersSummary"] = json!({"processedOffersCount": 0});
        assert!(explain(&entry).contains("no offer has come yet"));
        assert!(lacks_place(&entry));
    }

    #[test]
    fn a_delay_is_not_taken_for_lack_of_place() {
        let mut entry = entry();
        entry["delay"] = json!({"timeLeftSeconds": 7, "overdue": false});
        assert!(explain(&entry).contains("held back for 7 s"));
        assert!(!lacks_place(&entry));
        assert_eq!(rules(&entry), ["delay"]);
    }

    #[test]
    fn the_servers_own_explanation_is_preferred() {
        let mut entry = entry();
        entry["explanation"] = json!({"subject": "app /big", "candidates": 3, "hint": "do it",
            "refusals": [{"rule": "resources", "count": 3, "detail": "nearest 3 of 4 cpus"}]});
        let told = explain(&entry);
        assert!(
            told.contains("3 offers looked at") && told.contains("nearest 3 of 4 cpus"),
            "{told}"
        );
        assert!(told.ends_with("hint: do it\n") && !told.contains("InsufficientCpus"), "{told}");
    }

    #[test]
    fn an_entry_is_found_by_the_apps_id() {
        let queue = json!({"queue": [entry()]});
        assert!(entry_of(&queue, "/big").is_some());
        assert!(entry_of(&queue, "/small").is_none());
    }
}
