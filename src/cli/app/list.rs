//! `mesolith app ls`: all apps, how many of their instances run, and what is happening to them.

use super::Ask;
use super::picture::Counts;
use crate::base::error::Result;
use crate::cli::exit::End;
use crate::cli::output::{
    Format, list, megabytes, number, print, print_json, print_table, short, text,
};
use clap::Args;
use serde_json::Value;

/// Which apps.
#[derive(Debug, Default, Args)]
pub struct LsArgs {
    /// With labels like this, e.g. 'tier==web' or 'env in (prod,qa)'
    #[arg(short, long, value_name = "SELECTOR")]
    label: Option<String>,
    /// With this in their id
    #[arg(long, value_name = "TEXT")]
    id: Option<String>,
    /// Ids only, one a line
    #[arg(short, long)]
    quiet: bool,
}

/// Lists them.
///
/// # Errors
/// As [`crate::cli::client::Client::get`].
pub async fn ls(ask: &Ask<'_>, args: LsArgs) -> Result<End> {
    let mut query = Vec::new();
    query.extend(args.label.as_deref().map(|l| ("label", l)));
    query.extend(args.id.as_deref().map(|i| ("id", i)));
    let answer = ask.marathon.get("/v2/apps", &query).await?;
    let mut apps: Vec<&Value> = list(&answer, "apps").iter().collect();
    apps.sort_by_key(|a| text(a, "id"));
    if args.quiet {
        print(&apps.iter().map(|a| text(a, "id") + "\n").collect::<String>())?;
        return Ok(End::Done);
    }
    if ask.format == Format::Json {
        print_json(&answer)?;
        return Ok(End::Done);
    }
    let queue = ask.marathon.get("/v2/queue", &[]).await?;
    let rows = apps.iter().map(|app| row(app, list(&queue, "queue"))).collect();
    let headers = ["ID", "STATUS", "RUNNING", "HEALTHY", "CPUS", "MEMORY", "CMD"];
    print_table(
        &headers,
        rows,
        "no apps (run one: `mesolith app run --id hello --cmd 'sleep 60'`)",
    )?;
    Ok(End::Done)
}

/// The longest command that is shown, in characters.
const CMD_CHARS_MAX: usize = 40;

fn row(app: &Value, queue: &[Value]) -> Vec<String> {
    let counts = Counts::of(app);
    let cmd = match text(app, "cmd") {
        cmd if cmd.is_empty() => text(&app["container"]["docker"], "image"),
        cmd => cmd,
    };
    let mut shown: String =
        cmd.lines().next().unwrap_or_default().chars().take(CMD_CHARS_MAX).collect();
    if shown.len() < cmd.len() {
        shown.push('…');
    }
    vec![
        text(app, "id"),
        status(app, queue).into(),
        format!("{}/{}", counts.running, counts.target),
        match counts.healthy {
            Some(healthy) => format!("{healthy}/{}", counts.target),
            None => "-".into(),
        },
        short(number(app, "cpus")),
        megabytes(number(app, "mem")),
        shown,
    ]
}

/// What an app is doing, in Marathon's words.
pub fn status(app: &Value, queue: &[Value]) -> &'static str {
    let waits = queue.iter().find(|e| e["app"]["id"] == app["id"] && number(e, "count") > 0.0);
    match waits {
        Some(entry) if entry["delay"]["overdue"] == false => "delayed",
        Some(_) => "waiting",
        None if !list(app, "deployments").is_empty() => "deploying",
        None if number(app, "instances") == 0.0 => "suspended",
        None if number(app, "tasksUnhealthy") > 0.0 => "unhealthy",
        None => "running",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_status_says_what_is_in_the_way_first() {
        let app = |deploying: bool, instances: u32| {
            let deployments = if deploying { json!([{"id": "d"}]) } else { json!([]) };
            json!({"id": "/a", "instances": instances, "deployments": deployments})
        };
        let queue = |overdue: bool| {
            [json!({"app": {"id": "/a"}, "count": 1, "delay": {"overdue": overdue}})]
        };
        assert_eq!(status(&app(true, 1), &queue(true)), "waiting");
        assert_eq!(status(&app(true, 1), &queue(false)), "delayed");
        assert_eq!(status(&app(true, 1), &[]), "deploying");
        assert_eq!(status(&app(false, 0), &[]), "suspended");
        assert_eq!(status(&app(false, 1), &[]), "running");
    }

    #[test]
    fn a_row_shows_instances_and_health() {
        let app = json!({"id": "/a", "instances": 3, "tasksRunning": 2, "tasksHealthy": 1, "cpus": 0.5,
            "mem": 64, "cmd": "echo one\necho two", "healthChecks": [{}], "deployments": []});
        assert_eq!(row(&app, &[]), ["/a", "running", "2/3", "1/3", "0.5", "64 MiB", "echo one…"]);
    }
}
