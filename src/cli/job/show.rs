//! `mesolith job show`: one job on one screen.

use super::list::when;
use super::runs::{HEADERS, extension, known, rows, times};
use super::{Ask, api_path};
use crate::base::error::Result;
use crate::cli::client::Client;
use crate::cli::exit::End;
use crate::cli::output::{
    Format, list, megabytes, number, print, print_facts, print_json, print_table, short, text,
};
use crate::cli::why::explanation;
use serde_json::Value;

/// How many of the last runs are shown.
const RUNS_SHOWN: usize = 5;
/// How many of the next planned times are shown.
const NEXT_SHOWN: usize = 3;

/// The job of this name.
///
/// # Errors
/// As [`Client::get`]; not found.
pub async fn find(chronos: &Client, name: &str) -> Result<Value> {
    chronos.get(&api_path(name), &[]).await
}

/// Why a job does not run just now.
///
/// # Errors
/// As [`extension`].
pub async fn explain(chronos: &Client, name: &str) -> Result<Value> {
    extension(chronos, "why", name).await
}

/// Shows it.
///
/// # Errors
/// As [`Client::get`].
pub async fn show(ask: &Ask<'_>, name: &str) -> Result<End> {
    let job = find(ask.chronos, name).await?;
    if ask.format == Format::Json {
        print_json(&job)?;
        return Ok(End::Done);
    }
    print_facts(&facts(&job))?;
    let known = known(ask.chronos, name).await?;
    let next: Vec<String> = times(&known).into_iter().take(NEXT_SHOWN).collect();
    if !next.is_empty() {
        print(&format!("\nnext: {}\n", next.join("  ")))?;
    }
    print("\n")?;
    let rows = rows(&known).into_iter().take(RUNS_SHOWN).collect();
    print_table(HEADERS, rows, "it has not run yet")?;
    let why = explain(ask.chronos, name).await?;
    if !list(&why, "refusals").is_empty() {
        print(&format!("\n{}", explanation(&why, "nodes")))?;
    }
    Ok(End::Done)
}

fn facts(job: &Value) -> Vec<(&'static str, String)> {
    let variable = |v: &Value| format!("{}={}", text(v, "name"), text(v, "value"));
    let env: Vec<String> = list(job, "environmentVariables").iter().map(variable).collect();
    let or_never = |at: String| if at.is_empty() { "never".into() } else { at };
    let counted = |count: &str, last: &str| {
        format!("{}, last: {}", text(job, count), or_never(text(job, last)))
    };
    let facts = vec![
        ("name", text(job, "name")),
        ("description", text(job, "description")),
        ("runs", when(job)),
        ("time zone", text(job, "scheduleTimeZone")),
        ("disabled", if job["disabled"] == true { "yes".into() } else { String::new() }),
        ("command", text(job, "command")),
        (
            "arguments",
            list(job, "arguments").iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" "),
        ),
        ("image", text(&job["container"], "image")),
        (
            "each has",
            format!("{} cpus, {}", short(number(job, "cpus")), megabytes(number(job, "mem"))),
        ),
        ("user", text(job, "runAsUser")),
        ("env", env.join(" ")),
        ("retries", text(job, "retries")),
        ("epsilon", text(job, "epsilon")),
        ("owner", text(job, "owner")),
        ("successes", counted("successCount", "lastSuccess")),
        ("failures", counted("errorCount", "lastError")),
    ];
    facts.into_iter().filter(|(_, value)| !value.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn facts_leave_out_what_is_not_said() {
        let job = json!({"name": "a", "command": "date", "schedule": "R//PT1M", "cpus": 0.1, "mem": 128.0,
            "successCount": 3, "lastSuccess": "t", "errorCount": 0, "lastError": "", "disabled": false,
            "environmentVariables": [{"name": "A", "value": "1"}], "owner": ""});
        let facts = facts(&job);
        let get = |name: &str| facts.iter().find(|(n, _)| *n == name).map(|(_, v)| v.as_str());
        assert_eq!(get("runs"), Some("R//PT1M"));
        assert_eq!(get("successes"), Some("3, last: t"));
        assert_eq!(get("failures"), Some("0, last: never"));
        assert_eq!(get("env"), Some("A=1"));
        assert_eq!((get("owner"), get("disabled")), (None, None));
    }
}
