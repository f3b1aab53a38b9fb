//! `mesolith leave`: the node whose master is asked leaves the cluster. It gives up its vote and hands
//! over what it leads, so that it can be stopped; that is watched, at its end through other nodes.

use super::client::{Client, Method};
use super::confirm::confirm;
use super::exit::End;
use super::output::{Format, list, print_json, text};
use super::poll::{self, Look, is_silence};
use super::roster::{self, Ask, by_id, fetch, host, name};
use super::watch::WatchArgs;
use crate::base::error::{Code, Error, Result};
use clap::Args;
use serde_json::Value;
use std::time::Duration;
use tokio::time::Instant;

/// At most so many other nodes are asked how it goes.
const OTHERS_MAX: usize = 8;
/// How long another node may take to answer.
const OTHER_WITHIN: Duration = Duration::from_secs(2);
/// A node that had nothing left to hand over, and nobody knows otherwise, has gone when it was silent for so long.
const SILENT_GONE: Duration = Duration::from_secs(5);

/// How to leave.
#[derive(Debug, Args)]
pub struct LeaveArgs {
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    how: WatchArgs,
}

/// Makes the node leave and, unless detached, watches it go.
///
/// # Errors
/// As [`Client::change`]; not confirmed; [`Code::Unavailable`] when it falls silent while it still votes.
pub async fn run(ask: &Ask<'_>, args: LeaveArgs) -> Result<End> {
    let cluster = fetch(ask.master).await?;
    let id = text(&cluster, "this");
    let node = by_id(&cluster, &id).ok_or_else(|| {
        Error::new(Code::NotFound, format!("the node at {} is in no cluster", ask.master.base()))
    })?;
    let what = format!(
        "node {} at {} leaves the cluster: what runs there is started elsewhere first where its framework can, \
         and ended after a minute; its vote is given up",
        name(node),
        text(node, "address")
    );
    confirm(args.yes, &what)?;
    let path = roster::path(&id, "leave");
    let answer = ask.master.change(Method::POST, &path, &[], None).await?.json();
    if ask.format == Format::Json && !answer.is_null() {
        print_json(&answer)?;
    }
    let host = host(node);
    if args.how.detach {
        eprintln!("{host} begins to leave (see `mesolith cluster status`)");
        return Ok(End::Done);
    }
    let mut leaver = Leaver::new(ask.master, cluster.clone(), id);
    let goes_on = format!("{host} goes on leaving");
    poll::until(ask.interrupt, &goes_on, args.how.timeout, async || leaver.look().await).await
}

/// A node that leaves, and what is known of it.
struct Leaver<'a> {
    master: &'a Client,
    id: String,
    /// The last that was told of the cluster.
    cluster: Value,
    /// Where other nodes can be asked.
    others: Vec<String>,
    /// It was told to be leaving: the node that is asked may lag behind.
    seen: bool,
    answered: Instant,
}

impl<'a> Leaver<'a> {
    fn new(master: &'a Client, cluster: Value, id: String) -> Self {
        let others = others(&cluster, &id);
        Self { master, id, cluster, others, seen: false, answered: Instant::now() }
    }

    async fn look(&mut self) -> Result<Look> {
        let silence = match fetch(self.master).await {
            Ok(cluster) => return Ok(self.take(cluster)),
            Err(e) if is_silence(&e) => e,
            Err(e) => return Err(e),
        };
        // The node itself is gone at the end: others know how that was.
        match self.ask_others().await {
            Some(cluster) => Ok(self.take(cluster)),
            None => {
                match gone_by_silence(&self.cluster, &self.id, self.seen, self.answered.elapsed()) {
                    Some(text) => Ok(Look::Over(End::Done, text)),
                    None => Err(silence),
                }
            }
        }
    }

    fn take(&mut self, cluster: Value) -> Look {
        self.answered = Instant::now();
        let look = judge(&cluster, &self.id, &mut self.seen);
        let others = others(&cluster, &self.id);
        if !others.is_empty() {
            self.others = others;
        }
        self.cluster = cluster;
        look
    }

    /// What another node of the same cluster knows.
    async fn ask_others(&self) -> Option<Value> {
        for address in &self.others {
            let other = self.master.at(address);
            let told = tokio::time::timeout(OTHER_WITHIN, fetch(&other)).await;
            let Ok(Ok(told)) = told else { continue };
            // An address of loopback on another machine is somebody else here.
            if told["cluster"] == self.cluster["cluster"] && told["this"] != self.id.as_str() {
                return Some(told);
            }
        }
        None
    }
}

/// Where the masters of the other nodes listen, those that live first.
fn others(cluster: &Value, id: &str) -> Vec<String> {
    let mut nodes: Vec<&Value> =
        list(cluster, "nodes").iter().filter(|n| n["node"] != id).collect();
    nodes.sort_by_key(|n| n["alive"] != true);
    let faces = nodes.iter().filter_map(|n| n["faces"]["master"].as_str());
    faces.take(OTHERS_MAX).map(String::from).collect()
}

/// How far it is.
fn judge(cluster: &Value, id: &str, seen: &mut bool) -> Look {
    let Some(node) = by_id(cluster, id) else {
        return Look::Over(End::Done, format!("{id} has left the cluster"));
    };
    let host = host(node);
    let (outside, leaving) = (text(node, "standing") == "outside", node["leaving"] == true);
    let explanation = text(node, "explanation");
    let ended = *seen && !leaving;
    *seen |= leaving;
    if outside && (ended || (*seen && node["alive"] != true)) {
        return Look::Over(End::Done, format!("{host} has left the cluster"));
    }
    if ended {
        return Look::Over(End::Cancelled, format!("{host} stays: {explanation}"));
    }
    Look::Goes(format!("{host} leaves: {explanation}"))
}

/// What is to be said when the silence of the node can only mean that it is gone; none while it may mean something else.
fn gone_by_silence(last: &Value, id: &str, seen: bool, silent: Duration) -> Option<String> {
    let node = by_id(last, id)?;
    let votes = !matches!(text(node, "standing").as_str(), "outside" | "learner");
    let gone = seen && !votes && silent >= SILENT_GONE;
    gone.then(|| {
        format!("{} does not answer any more; it was leaving, and had no vote", host(node))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn cluster(standing: &str, leaving: bool, alive: bool) -> Value {
        json!({"nodes": [{"node": "a", "hostname": "n1", "standing": standing, "leaving": leaving,
            "alive": alive, "explanation": "why"}]})
    }

    fn end(cluster: &Value, seen: &mut bool) -> Option<End> {
        match judge(cluster, "a", seen) {
            Look::Goes(_) => None,
            Look::Over(end, _) => Some(end),
        }
    }

    #[test]
    fn it_has_left_when_it_votes_no_more_and_is_done_or_gone() {
        let mut seen = false;
        // Not told yet; an agent was outside all the time.
        assert_eq!(end(&cluster("outside", false, true), &mut seen), None);
        assert_eq!(end(&cluster("leader", true, true), &mut seen), None);
        assert_eq!(end(&cluster("voter", true, true), &mut seen), None);
        assert_eq!(end(&cluster("voter", true, false), &mut seen), None);
        assert_eq!(end(&cluster("outside", true, true), &mut seen), None);
        assert_eq!(end(&cluster("outside", true, false), &mut seen), Some(End::Done));
        assert_eq!(end(&cluster("outside", false, true), &mut seen), Some(End::Done));
        assert_eq!(end(&json!({"nodes": []}), &mut seen), Some(End::Done));
        assert_eq!(end(&cluster("voter", false, true), &mut seen), Some(End::Cancelled));
    }

    #[test]
    fn silence_means_gone_only_of_a_node_without_a_vote_that_was_leaving() {
        let gone = |standing: &str, seen: bool, silent: Duration| {
            gone_by_silence(&cluster(standing, true, true), "a", seen, silent).is_some()
        };
        assert!(gone("outside", true, SILENT_GONE));
        // It may end before it is seen outside, where no other node can be asked.
        assert!(gone("learner", true, SILENT_GONE));
        assert!(!gone("outside", false, SILENT_GONE));
        assert!(!gone("voter", true, SILENT_GONE * 10));
        assert!(!gone("outside", true, SILENT_GONE / 2));
    }

    #[test]
    fn other_nodes_are_asked_the_living_first() {
        let node = |id: &str, alive: bool, face: Value| json!({"node": id, "alive": alive, "faces": {"master": face}});
        let cluster = json!({"nodes": [node("a", true, json!("h:1")), node("b", false, json!("h:2")),
            node("c", true, json!("h:3")), node("d", true, json!(null))]});
        assert_eq!(others(&cluster, "a"), ["h:3", "h:2"]);
    }
}
