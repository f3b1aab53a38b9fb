//! `mesolith app show`: one app on one screen.

use super::picture::Counts;
use super::{Ask, absolute, api_path, list as listing, waiting};
use crate::base::error::Result;
use crate::cli::client::Client;
use crate::cli::exit::End;
use crate::cli::output::{
    Format, list, megabytes, number, print, print_facts, print_json, print_table, short, text,
};
use serde_json::Value;

/// The app of this id.
///
/// # Errors
/// As [`Client::get`]; not found.
pub async fn find(marathon: &Client, id: &str) -> Result<Value> {
    let answer = marathon.get(&api_path(&absolute(id)?), &[]).await?;
    Ok(answer["app"].clone())
}

/// Shows it.
///
/// # Errors
/// As [`find`].
pub async fn show(ask: &Ask<'_>, id: &str) -> Result<End> {
    let id = absolute(id)?;
    let answer = ask.marathon.get(&api_path(&id), &[]).await?;
    if ask.format == Format::Json {
        print_json(&answer)?;
        return Ok(End::Done);
    }
    let app = &answer["app"];
    let queue = ask.marathon.get("/v2/queue", &waiting::EMBED).await?;
    let deployments = ask.marathon.get("/v2/deployments", &[("embed", "waitsFor")]).await?;
    print_facts(&facts(app, list(&queue, "queue")))?;
    print("\n")?;
    let headers = ["INSTANCE", "STATE", "HEALTH", "NODE", "VERSION"];
    print_table(&headers, instances(app), "no instances")?;
    let mut below = String::new();
    for deployment in deployments.as_array().into_iter().flatten() {
        if list(deployment, "affectedApps").iter().any(|a| *a == *id) {
            below.push_str(&format!("\n{}\n", step(deployment)));
        }
    }
    if let Some(failure) = last_failure(app) {
        below.push_str(&format!("\n{failure}\n"));
    }
    if let Some(entry) = waiting::entry_of(&queue, &id) {
        below.push_str(&format!("\n{}", waiting::explain(entry)));
    }
    print(&below)?;
    Ok(End::Done)
}

fn facts(app: &Value, queue: &[Value]) -> Vec<(&'static str, String)> {
    let pairs = |key: &str| {
        let map = app[key].as_object().into_iter().flatten();
        let one = |(name, value): (&String, &Value)| match value {
            Value::String(value) => format!("{name}={value}"),
            other => format!("{name}={other}"),
        };
        map.map(one).collect::<Vec<_>>().join(" ")
    };
    let constraints: Vec<String> = list(app, "constraints").iter().map(Value::to_string).collect();
    let checks: Vec<String> = list(app, "healthChecks").iter().map(check).collect();
    let strategy = &app["upgradeStrategy"];
    let strategy = match strategy.is_object() {
        false => String::new(),
        true => format!(
            "keeps {} % healthy, up to {} % more",
            short(number(strategy, "minimumHealthCapacity") * 100.0),
            short(number(strategy, "maximumOverCapacity") * 100.0)
        ),
    };
    let facts = vec![
        ("id", text(app, "id")),
        ("status", listing::status(app, queue).to_string()),
        ("instances", Counts::of(app).words()),
        ("cmd", text(app, "cmd")),
        (
            "args",
            app["args"].as_array().map_or(String::new(), |a| Value::from(a.clone()).to_string()),
        ),
        ("image", text(&app["container"]["docker"], "image")),
        (
            "each has",
            format!("{} cpus, {}", short(number(app, "cpus")), megabytes(number(app, "mem"))),
        ),
        ("user", text(app, "user")),
        ("env", pairs("env")),
        ("labels", pairs("labels")),
        ("constraints", constraints.join(" ")),
        ("health", checks.join(", ")),
        ("upgrade", strategy),
        ("version", text(app, "version")),
    ];
    facts.into_iter().filter(|(_, value)| !value.is_empty()).collect()
}

fn check(check: &Value) -> String {
    let what = match text(check, "path") {
        path if path.is_empty() => text(&check["command"], "value"),
        path => path,
    };
    let every = short(number(check, "intervalSeconds"));
    format!("{} {what} every {every} s", text(check, "protocol")).replace("  ", " ")
}

fn instances(app: &Value) -> Vec<Vec<String>> {
    let mut tasks: Vec<&Value> = list(app, "tasks").iter().collect();
    tasks.sort_by_key(|t| (text(t, "stagedAt"), text(t, "id")));
    let checked = !list(app, "healthChecks").is_empty();
    let row = |task: &&Value| {
        let ports: Vec<String> = list(task, "ports").iter().map(Value::to_string).collect();
        let node = match ports.as_slice() {
            [] => text(task, "host"),
            ports => ports
                .iter()
                .map(|p| format!("{}:{p}", text(task, "host")))
                .collect::<Vec<_>>()
                .join(" "),
        };
        vec![
            text(task, "id"),
            text(task, "state").trim_start_matches("TASK_").to_string(),
            health(list(task, "healthCheckResults"), checked).into(),
            node,
            text(task, "version"),
        ]
    };
    tasks.iter().map(row).collect()
}

fn health(results: &[Value], checked: bool) -> &'static str {
    match results {
        _ if !checked => "-",
        [] => "unknown",
        all if all.iter().all(|r| r["alive"] == true) => "healthy",
        _ => "unhealthy",
    }
}

/// A deployment in a line: which step, doing what.
pub fn step(deployment: &Value) -> String {
    let actions: Vec<String> = list(deployment, "currentActions")
        .iter()
        .map(|a| {
            let action = text(a, "action");
            let verb = action.strip_suffix("Application").unwrap_or(&action).to_lowercase();
            let waits = match text(a, "waitsFor") {
                waits if waits.is_empty() => waits,
                waits => format!(" ({waits})"),
            };
            format!("{verb} {}{waits}", text(a, "app"))
        })
        .collect();
    format!(
        "deployment {}: step {} of {}: {}",
        text(deployment, "id"),
        text(deployment, "currentStep"),
        text(deployment, "totalSteps"),
        actions.join(", ")
    )
}

/// The last failure of an app in two lines.
pub fn last_failure(app: &Value) -> Option<String> {
    let failure = &app["lastTaskFailure"];
    failure.is_object().then(|| {
        format!(
            "last failure: {} on {} at {}\n  task {}\n  {}",
            text(failure, "state"),
            text(failure, "host"),
            text(failure, "timestamp"),
            text(failure, "taskId"),
            text(failure, "message"),
        )
        .trim_end()
        .to_string()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn app() -> Value {
        json!({
            "id": "/a", "instances": 2, "cmd": "serve", "cpus": 0.1, "mem": 32, "env": {"A": "1"}, "labels": {},
            "healthChecks": [{"protocol": "HTTP", "path": "/up", "intervalSeconds": 5}],
            "upgradeStrategy": {"minimumHealthCapacity": 0.5, "maximumOverCapacity": 1},
            "tasksRunning": 2, "tasksHealthy": 1, "version": "v2",
            "tasks": [
                {"id": "a.2", "state": "TASK_RUNNING", "host": "n2", "ports": [31001, 31002], "version": "v2",
                 "stagedAt": "2", "healthCheckResults": [{"alive": true}]},
                {"id": "a.1", "state": "TASK_STAGING", "host": "n1", "ports": [], "version": "v2",
                 "stagedAt": "1", "healthCheckResults": []},
            ],
            "lastTaskFailure": {"state": "TASK_FAILED", "host": "n1", "timestamp": "t", "taskId": "a.0",
                "message": "Command exited with status 1"},
        })
    }

    #[test]
    fn instances_are_in_order_with_host_ports_and_health() {
        assert_eq!(
            instances(&app()),
            [
                ["a.1", "STAGING", "unknown", "n1", "v2"],
                ["a.2", "RUNNING", "healthy", "n2:31001 n2:31002", "v2"],
            ]
        );
    }

    #[test]
    fn facts_leave_out_what_is_not_said() {
        let facts = facts(&app(), &[]);
        let get = |name: &str| facts.iter().find(|(n, _)| *n == name).map(|(_, v)| v.as_str());
        assert_eq!(get("instances"), Some("2/2 running, 1/2 healthy"));
        assert_eq!(get("health"), Some("HTTP /up every 5 s"));
        assert_eq!(get("upgrade"), Some("keeps 50 % healthy, up to 100 % more"));
        assert_eq!(get("env"), Some("A=1"));
        assert_eq!(get("labels"), None);
    }

    #[test]
    fn deployments_and_failures_are_told_in_sentences() {
        let deployment = json!({"id": "d", "currentStep": 1, "totalSteps": 2,
            "currentActions": [{"action": "ScaleApplication", "app": "/a"}]});
        assert_eq!(step(&deployment), "deployment d: step 1 of 2: scale /a");
        let told = last_failure(&app()).unwrap();
        assert!(
            told.contains("TASK_FAILED on n1") && told.ends_with("Command exited with status 1")
        );
        assert_eq!(last_failure(&json!({})), None);
    }
}
