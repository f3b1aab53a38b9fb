//! `mesolith cluster recover`: what the survivors of a lost majority hold, and, with `--force`, one of them going on alone.
//! It asks no cluster: it reads data folders of nodes that do not run.

use crate::base::error::{Code, Error, Result};
use crate::cli::output::{Format, print, print_json};
use crate::node::recover::{self, Survivor};
use crate::node::settings;
use clap::Args;
use serde_json::json;
use std::path::{Path, PathBuf};

/// What to look at, and what to do.
#[derive(Debug, Args)]
pub struct RecoverArgs {
    /// Data folder of a survivor, which must not run (default: where `up` keeps its data); several to compare them
    #[arg(long, value_name = "DIR")]
    data_dir: Vec<PathBuf>,
    /// Do it: this node alone votes from now on. What only lost nodes had is lost, and they must never run again
    #[arg(long)]
    force: bool,
}

/// Shows what they hold; with `--force` makes one of them go on alone.
///
/// # Errors
/// As [`recover::look`]; [`Code::Invalid`] for several folders with `--force`.
pub fn run(args: &RecoverArgs, format: Format) -> Result<()> {
    let env = std::env::vars().collect();
    let dirs = match args.data_dir.is_empty() {
        true => vec![settings::default_data_dir(&env)],
        false => args.data_dir.clone(),
    };
    if args.force && dirs.len() > 1 {
        return Err(Error::new(Code::Invalid, "one node goes on alone, not several")
            .hint("name the folder of the survivor with the newest last entry"));
    }
    let mut survivors = Vec::new();
    for dir in &dirs {
        let found = recover::look(dir).map_err(|e| running(e, dir))?;
        survivors.push((dir.clone(), found));
    }
    match format {
        Format::Json => print_json(&json(&survivors))?,
        Format::Table => print(&text(&survivors))?,
    }
    let (dir, survivor) = &survivors[0];
    if !args.force {
        eprint!("{}", advice(&survivors));
        return Ok(());
    }
    recover::go_on_alone(dir)?;
    eprint!("{}", done(dir, survivor));
    Ok(())
}

fn running(e: Error, dir: &Path) -> Error {
    match e.code {
        Code::Conflict => e.hint(format!(
            "stop the node first: `mesolith down --data-dir {}` (its tasks go on)",
            dir.display()
        )),
        _ => e,
    }
}

fn entry(last: Option<(u64, u64)>) -> String {
    last.map_or_else(|| "none".into(), |(term, index)| format!("{index} of term {term}"))
}

/// The one that has all that the others have.
fn newest(survivors: &[(PathBuf, Survivor)]) -> Option<&(PathBuf, Survivor)> {
    survivors.iter().max_by_key(|(_, survivor)| survivor.last)
}

fn text(survivors: &[(PathBuf, Survivor)]) -> String {
    let mut out = String::new();
    for (dir, found) in survivors {
        out.push_str(&format!("{}\n", dir.display()));
        out.push_str(&format!("  node        {}\n  cluster     {}\n", found.node, found.cluster));
        out.push_str(&format!("  last entry  {}\n", entry(found.last)));
        let applied = found.applied.map_or("none".into(), |index| index.to_string());
        out.push_str(&format!("  agreed on   up to {applied}\n"));
        for member in &found.members {
            let word = match (member.node == found.node, member.votes) {
                (true, true) => "voter, this one",
                (true, false) => "learner, this one",
                (false, true) => "voter",
                (false, false) => "learner",
            };
            out.push_str(&format!(
                "  member      {}  {:<21}  {:<20}  {word}\n",
                member.node, member.address, member.hostname
            ));
        }
    }
    out
}

fn json(survivors: &[(PathBuf, Survivor)]) -> serde_json::Value {
    let one = |(dir, found): &(PathBuf, Survivor)| {
        let members: Vec<_> = found
            .members
            .iter()
            .map(|m| json!({"node": m.node, "hostname": m.hostname, "address": m.address, "votes": m.votes}))
            .collect();
        json!({
            "data_dir": dir.display().to_string(),
            "node": found.node,
            "cluster": found.cluster,
            "term": found.term,
            "last": found.last.map(|(term, index)| json!({"term": term, "index": index})),
            "applied": found.applied,
            "members": members,
        })
    };
    survivors.iter().map(one).collect()
}

fn advice(survivors: &[(PathBuf, Survivor)]) -> String {
    let Some((dir, best)) = newest(survivors) else { return String::new() };
    let voters = best.members.iter().filter(|m| m.votes).count();
    let mut out = format!(
        "\nNothing was changed. {voters} nodes vote; {} of them are a majority: if so many can be started again, do that instead.\n",
        voters / 2 + 1
    );
    if survivors.len() == 1 {
        out.push_str("Look at every other survivor in the same way: the one with the greatest last entry (term first) has the most.\n");
    }
    out.push_str(&format!(
        "If the others are lost for good, let that one go on alone:\n  mesolith cluster recover --data-dir {} --force\n",
        dir.display()
    ));
    out
}

fn done(dir: &Path, survivor: &Survivor) -> String {
    let mut out = format!(
        "\nNode {} votes alone from now on. Start it (`mesolith up --data-dir {}`), then the other survivors as usual: they follow it.\n",
        survivor.node,
        dir.display()
    );
    out.push_str(
        "Nodes that are lost must never run again with their data. Shut each of them out:\n",
    );
    for member in survivor.members.iter().filter(|m| m.node != survivor.node && m.votes) {
        out.push_str(&format!(
            "  mesolith node rm --force {}   # {} unless it survived\n",
            member.node, member.address
        ));
    }
    out
}
