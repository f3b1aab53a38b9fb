//! `mesolith status`: the cluster on one screen.

use super::client::Client;
use super::output::{Format, list, megabytes, number, print_facts, print_json, short, text};
use super::reach::Reach;
use crate::base::error::Result;
use serde_json::{Value, json};
use std::time::Duration;

/// How long the summary waits for Marathon and Chronos, which need not be there.
const SERVICES_WAIT: Duration = Duration::from_secs(3);

/// Shows who leads, what there is, what is used, and what runs.
///
/// # Errors
/// As [`Client::get`], of the master.
pub async fn run(reach: &Reach, format: Format) -> Result<()> {
    let (state, marathon, chronos) = tokio::join!(
        reach.master.get("/state", &[]),
        tokio::time::timeout(SERVICES_WAIT, services(&reach.marathon)),
        tokio::time::timeout(SERVICES_WAIT, jobs(&reach.chronos)),
    );
    let mut summary = summarize(reach.master.base(), &state?);
    // Who does not answer has no counts; that is shown, and no reason to keep the rest back.
    summary["marathon"] = marathon.ok().and_then(Result::ok).unwrap_or_default();
    summary["chronos"] = chronos.ok().and_then(Result::ok).unwrap_or_default();
    match format {
        Format::Json => print_json(&summary),
        Format::Table => print_facts(&facts(&summary)),
    }
}

/// Counts of what Marathon has.
async fn services(marathon: &Client) -> Result<Value> {
    let apps = marathon.get("/v2/apps", &[]).await?;
    let deployments = marathon.get("/v2/deployments", &[]).await?;
    let queue = marathon.get("/v2/queue", &[]).await?;
    let waiting: f64 = list(&queue, "queue").iter().map(|e| number(e, "count")).sum();
    Ok(json!({
        "apps": list(&apps, "apps").len(),
        "deployments": deployments.as_array().map_or(0, Vec::len),
        "waiting_instances": waiting as u64,
    }))
}

/// Counts of what Chronos has.
async fn jobs(chronos: &Client) -> Result<Value> {
    let answer = chronos.get("/v1/scheduler/jobs/summary", &[]).await?;
    let jobs = list(&answer, "jobs");
    let count = |has: &dyn Fn(&Value) -> bool| jobs.iter().filter(|j| has(j)).count();
    Ok(json!({
        "jobs": jobs.len(),
        "running": count(&|j| text(j, "state").ends_with("running")),
        "queued": count(&|j| text(j, "state") == "queued"),
        "failing": count(&|j| text(j, "status") == "failure"),
    }))
}

/// A count and, behind it, the parts that are not zero.
fn counted(summary: &Value, of: &str, parts: &[(&str, &str)]) -> String {
    if summary.is_null() {
        return "no answer".into();
    }
    let mut text = number(summary, of).to_string();
    for (key, word) in parts {
        if number(summary, key) > 0.0 {
            text.push_str(&format!(", {} {word}", number(summary, key)));
        }
    }
    text
}

fn summarize(base: &str, state: &Value) -> Value {
    let sum = |field: &str, name: &str| -> f64 {
        list(state, "slaves").iter().map(|a| number(&a[field], name)).sum()
    };
    let mut tasks = serde_json::Map::new();
    for framework in list(state, "frameworks") {
        for task in list(framework, "tasks") {
            let count = tasks.entry(text(task, "state")).or_insert(json!(0));
            *count = json!(count.as_u64().unwrap_or(0) + 1);
        }
    }
    let active = list(state, "frameworks").iter().filter(|f| f["active"] == true).count();
    json!({
        "master": base,
        "leader": state["leader_info"],
        "version": state["mesolith_version"],
        "compatible_with": state["version"],
        "cluster": state["cluster"],
        "agents": {
            "active": state["activated_slaves"],
            "inactive": state["deactivated_slaves"],
            "unreachable": state["unreachable_slaves"],
            "expected_back": list(state, "recovered_slaves").len(),
        },
        "resources": {
            "cpus": {"total": sum("resources", "cpus"), "used": sum("used_resources", "cpus")},
            "mem": {"total": sum("resources", "mem"), "used": sum("used_resources", "mem")},
            "disk": {"total": sum("resources", "disk"), "used": sum("used_resources", "disk")},
        },
        "frameworks": {"active": active, "known": list(state, "frameworks").len()},
        "tasks": tasks,
    })
}

fn facts(summary: &Value) -> Vec<(&'static str, String)> {
    let used = |name: &str, show: fn(f64) -> String| {
        let r = &summary["resources"][name];
        format!("{} of {} used", show(number(r, "used")), show(number(r, "total")))
    };
    let agents = &summary["agents"];
    let mut agent_text = format!("{} active", number(agents, "active"));
    for (key, word) in [
        ("inactive", "inactive"),
        ("unreachable", "unreachable"),
        ("expected_back", "expected back"),
    ] {
        if number(agents, key) > 0.0 {
            agent_text.push_str(&format!(", {} {word}", number(agents, key)));
        }
    }
    let empty = serde_json::Map::new();
    let tasks = summary["tasks"].as_object().unwrap_or(&empty);
    let task_text: Vec<String> = tasks
        .iter()
        .map(|(state, n)| format!("{n} {}", state.trim_start_matches("TASK_").to_lowercase()))
        .collect();
    let leader = &summary["leader"];
    vec![
        (
            "master",
            format!(
                "{} (leader {}:{})",
                text(summary, "master"),
                text(leader, "hostname"),
                text(leader, "port")
            ),
        ),
        (
            "version",
            format!("{} (Mesos {})", text(summary, "version"), text(summary, "compatible_with")),
        ),
        ("agents", agent_text),
        ("cpus", used("cpus", short)),
        ("memory", used("mem", megabytes)),
        ("disk", used("disk", megabytes)),
        ("frameworks", format!("{} active", number(&summary["frameworks"], "active"))),
        ("tasks", if task_text.is_empty() { "none".into() } else { task_text.join(", ") }),
        (
            "apps",
            counted(
                &summary["marathon"],
                "apps",
                &[("deployments", "deployments"), ("waiting_instances", "instances waiting")],
            ),
        ),
        (
            "jobs",
            counted(
                &summary["chronos"],
                "jobs",
                &[("running", "running"), ("queued", "queued"), ("failing", "failing")],
            ),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_the_state_holds() {
        let state = json!({
            "activated_slaves": 1, "deactivated_slaves": 0, "unreachable_slaves": 2,
            "recovered_slaves": [],
            "slaves": [{"resources": {"cpus": 4.0, "mem": 2048.0}, "used_resources": {"cpus": 0.5}}],
            "frameworks": [{"active": true, "tasks": [{"state": "TASK_RUNNING"}, {"state": "TASK_RUNNING"}]}],
        });
        let mut summary = summarize("http://m", &state);
        summary["marathon"] = json!({"apps": 3, "deployments": 1, "waiting_instances": 0});
        let facts = facts(&summary);
        let get = |name: &str| facts.iter().find(|(n, _)| *n == name).map(|(_, v)| v.clone());
        assert_eq!(get("cpus").as_deref(), Some("0.5 of 4 used"));
        assert_eq!(get("memory").as_deref(), Some("0 MiB of 2 GiB used"));
        assert_eq!(get("agents").as_deref(), Some("1 active, 2 unreachable"));
        assert_eq!(get("tasks").as_deref(), Some("2 running"));
        assert_eq!(get("apps").as_deref(), Some("3, 1 deployments"));
        assert_eq!(get("jobs").as_deref(), Some("no answer"));
    }
}
