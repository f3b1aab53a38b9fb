//! `mesolith job ls`: all jobs, when they run, and how their last run ended.

use super::Ask;
use crate::base::error::Result;
use crate::cli::exit::End;
use crate::cli::output::{Format, list, print, print_json, print_table, text};
use clap::Args;
use serde_json::Value;

/// How they are listed.
#[derive(Debug, Default, Args)]
pub struct LsArgs {
    /// Names only, one a line
    #[arg(short, long)]
    quiet: bool,
}

/// Lists them.
///
/// # Errors
/// As [`crate::cli::client::Client::get`].
pub async fn ls(ask: &Ask<'_>, args: LsArgs) -> Result<End> {
    if ask.format == Format::Json && !args.quiet {
        print_json(&ask.chronos.get("/v1/scheduler/jobs", &[]).await?)?;
        return Ok(End::Done);
    }
    let answer = ask.chronos.get("/v1/scheduler/jobs/summary", &[]).await?;
    let jobs = list(&answer, "jobs");
    if args.quiet {
        print(&jobs.iter().map(|j| text(j, "name") + "\n").collect::<String>())?;
        return Ok(End::Done);
    }
    let headers = ["NAME", "RUNS", "STATE", "LAST"];
    let empty =
        "no jobs (register one: `mesolith job run --name tick --command date --schedule R//PT1M`)";
    print_table(&headers, jobs.iter().map(row).collect(), empty)?;
    Ok(End::Done)
}

fn row(job: &Value) -> Vec<String> {
    let state = if job["disabled"] == true { "disabled".into() } else { text(job, "state") };
    let last = match text(job, "status") {
        status if status == "fresh" => "-".into(),
        status => status,
    };
    vec![text(job, "name"), when(job), state, last]
}

/// When a job runs: its schedule, or after which jobs.
pub fn when(job: &Value) -> String {
    let parents: Vec<&str> = list(job, "parents").iter().filter_map(Value::as_str).collect();
    match parents.is_empty() {
        true => text(job, "schedule"),
        false => format!("after {}", parents.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_row_says_when_and_how_it_went() {
        let job = json!({"name": "a", "status": "success", "state": "1 running", "schedule": "R/x/PT1M",
            "parents": [], "disabled": false});
        assert_eq!(row(&job), ["a", "R/x/PT1M", "1 running", "success"]);
        let job = json!({"name": "b", "status": "fresh", "state": "idle", "schedule": "",
            "parents": ["a", "c"], "disabled": true});
        assert_eq!(row(&job), ["b", "after a, c", "disabled", "-"]);
    }
}
