//! `mesolith doctor`: what this machine can do for a node, line by line, and what to do about the rest.

use super::exit::End;
use super::flags::SettingFlags;
use super::output::{self, Fit, Format, print, print_json, terminal_width};
use crate::base::error::Result;
use crate::config;
use crate::node::doctor::{Finding, Grade, examine, would_run};
use crate::node::{self, settings};
use clap::Args;
use serde_json::json;

/// What is examined: the settings of the node that is to run.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Read settings from this TOML file instead of /etc/mesolith/config.toml
    #[arg(long, value_name = "FILE")]
    config: Option<String>,
    #[command(flatten)]
    settings: SettingFlags,
}

/// Examines this machine, and says whether `up` with the same settings would run.
///
/// # Errors
/// All that is wrong with the settings.
pub fn run(args: DoctorArgs, format: Format) -> Result<End> {
    let env = std::env::vars().collect();
    let sources = config::standard_sources(args.config.as_deref());
    let options = settings::read(&sources, &env, &args.settings.0)?;
    let runtime = node::io_runtime()?;
    let findings = runtime.block_on(examine(&options));
    runtime.shutdown_background();
    let runs = would_run(&findings);
    match args.json || format == Format::Json {
        true => print_json(&json!({ "up_would_run": runs, "findings": findings }))?,
        false => print(&report(&findings, terminal_width()))?,
    }
    Ok(if runs { End::Done } else { End::Refused(1) })
}

/// A table, and the verdict.
fn report(findings: &[Finding], width: Option<u16>) -> String {
    let word = |grade| match grade {
        Grade::Ok => "ok",
        Grade::Limited => "limited",
        Grade::Bad => "NO",
    };
    let row = |f: &Finding| {
        let advice = f.advice.clone().unwrap_or_default();
        vec![f.subject.to_string(), word(f.grade).to_string(), f.found.clone(), advice]
    };
    let rows: Vec<Vec<String>> = findings.iter().map(row).collect();
    let fit = Fit { whole: &["WHAT", "STATE"], spare: &[] };
    let table = output::table(&["WHAT", "STATE", "FOUND", "WHAT TO DO"], rows, fit, width);
    let bad = findings.iter().filter(|f| f.grade == Grade::Bad).count();
    let limited = findings.iter().filter(|f| f.grade == Grade::Limited).count();
    let verdict = match (bad, limited) {
        (0, 0) => "`mesolith up` would run, with all that it can do.".to_string(),
        (0, n) => format!("`mesolith up` would run; {n} of its abilities are limited here."),
        (n, _) => format!("`mesolith up` would not run: {n} in the way (NO)."),
    };
    format!("{table}\n{verdict}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(subject: &'static str, grade: Grade, advice: Option<&str>) -> Finding {
        let found = "some words about what was found there".into();
        Finding { subject, grade, found, advice: advice.map(String::from) }
    }

    #[test]
    fn the_table_fits_the_terminal_and_the_verdict_is_the_worst() {
        let mut all = vec![
            finding("kernel", Grade::Ok, None),
            finding("user namespaces", Grade::Limited, Some("as root: sysctl -w a.b=1")),
        ];
        let told = report(&all, Some(72));
        assert!(told.lines().all(|line| line.chars().count() <= 72), "{told}");
        assert!(told.contains("user namespaces") && told.contains("limited"), "{told}");
        assert!(told.ends_with("would run; 1 of its abilities are limited here.\n"), "{told}");
        all.push(finding("ports", Grade::Bad, None));
        let told = report(&all, None);
        assert!(told.ends_with("would not run: 1 in the way (NO).\n"), "{told}");
        let good = report(&all[..1], None);
        assert!(good.ends_with("with all that it can do.\n"), "{good}");
    }
}
