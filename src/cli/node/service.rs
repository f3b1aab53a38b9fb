//! What is done to the agent of a node: drained, taken out of service and back, declared gone. By Mesos's own calls, so
//! that it works with any master.

use super::Machines;
use crate::base::error::{Code, Error, Result};
use crate::cli::client::Method;
use crate::cli::confirm::confirm;
use crate::cli::exit::End;
use crate::cli::output::{Format, list, print_json, text};
use crate::cli::poll::{self, Look};
use crate::cli::roster::{self, Ask};
use crate::cli::watch::{self, WatchArgs};
use clap::Args;
use serde_json::{Value, json};
use std::time::Duration;

/// How to drain.
#[derive(Debug, Args)]
pub struct DrainArgs {
    /// Node id, id of its agent, the beginning of one, or a host name
    node: String,
    /// The most that a task may take to end, e.g. 30s or 5m; each has its own time unless that is longer
    #[arg(long, value_name = "DURATION", value_parser = watch::duration)]
    deadline: Option<Duration>,
    /// The agent is gone for good afterwards
    #[arg(long)]
    gone: bool,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    how: WatchArgs,
}

/// The agent of a node, and what people call it.
#[derive(Clone, Debug, PartialEq)]
struct Agent {
    id: String,
    host: String,
}

/// The agent of that name: of a member, or one that belongs to none; also one that is away.
fn named(machines: &Machines, wanted: &str) -> Result<Agent> {
    match roster::find(&machines.cluster, wanted) {
        Ok(node) => {
            let host = roster::host(node);
            if let Some(id) = node["agent_id"].as_str() {
                return Ok(Agent { id: id.to_string(), host });
            }
            // Nodes tell each other of their agents a little later than agents register.
            let agent = alone(machines, &host).unwrap_or_else(|| {
                Err(Error::new(Code::NotFound, format!("node {host} has no agent"))
                    .hint("only agents run tasks; see what it is with `mesolith node show`"))
            })?;
            let id = text(agent, "id");
            Ok(Agent { id, host })
        }
        Err(e) if e.code == Code::NotFound && !wanted.is_empty() => {
            let agent = alone(machines, wanted).ok_or(e)??;
            let (id, host) = (text(agent, "id"), text(agent, "hostname"));
            let host = if host.is_empty() { id.clone() } else { host };
            Ok(Agent { id, host })
        }
        Err(e) => Err(e),
    }
}

/// The one agent of no known member that is called so by its id, the beginning of one, or its host name.
fn alone<'a>(machines: &'a Machines, wanted: &str) -> Option<Result<&'a Value>> {
    let there = ["slaves", "recovered_slaves"].into_iter();
    let there = there.flat_map(|key| list(&machines.agents, key));
    let nodes = list(&machines.cluster, "nodes");
    let of_member = |a: &Value| nodes.iter().any(|n| n["agent_id"] == a["id"]);
    let all = there.chain(list(&machines.away, "unreachable")).filter(|a| !of_member(a));
    let all: Vec<&Value> = all.collect();
    if let Some(exact) = all.iter().find(|a| a["id"] == wanted) {
        return Some(Ok(exact));
    }
    let called = |a: &Value| {
        text(a, "id").starts_with(wanted) || text(a, "hostname").eq_ignore_ascii_case(wanted)
    };
    let found: Vec<&Value> = all.into_iter().filter(|a| called(a)).collect();
    match found.as_slice() {
        [] => None,
        [one] => Some(Ok(one)),
        several => {
            let cause = format!("{} agents match {wanted:?}", several.len());
            Some(Err(Error::new(Code::Conflict, cause).hint("give more of the id")))
        }
    }
}

/// Makes one of the master's calls about an agent.
async fn call(ask: &Ask<'_>, kind: &str, agent: &Agent, more: Value) -> Result<()> {
    let field = kind.to_ascii_lowercase();
    let mut body = json!({ "type": kind });
    body[&field] = more;
    body[&field]["agent_id"] = json!({ "value": agent.id });
    ask.master.change(Method::POST, "/api/v1", &[], Some(&body)).await?;
    if ask.format == Format::Json {
        print_json(&json!({ "agent_id": agent.id, "hostname": agent.host }))?;
    }
    Ok(())
}

/// `node drain`.
///
/// # Errors
/// As [`crate::cli::client::Client::change`]; not found, not confirmed.
pub async fn drain(ask: &Ask<'_>, args: DrainArgs) -> Result<End> {
    let agent = named(&Machines::fetch(ask).await?, &args.node)?;
    if args.gone {
        let what =
            format!("this ends the tasks of {} and shuts its agent out for good", agent.host);
        confirm(args.yes, &what)?;
    }
    let mut how = json!({ "mark_gone": args.gone });
    if let Some(most) = args.deadline {
        how["max_grace_period"] =
            json!({ "seconds": most.as_secs(), "nanos": most.subsec_nanos() });
    }
    call(ask, "DRAIN_AGENT", &agent, how).await?;
    if args.how.detach {
        eprintln!("{} begins to drain (see `mesolith node ls`)", agent.host);
        return Ok(End::Done);
    }
    let goes_on = format!("{} goes on draining", agent.host);
    poll::until(ask.interrupt, &goes_on, args.how.timeout, async || {
        let summary = ask.master.get("/state-summary", &[]).await?;
        let away = Machines::away(ask).await?;
        Ok(judge(&summary, &away, &agent))
    })
    .await
}

/// The states of tasks that have not ended.
const LIVE: [&str; 4] = ["TASK_STAGING", "TASK_STARTING", "TASK_RUNNING", "TASK_KILLING"];

/// How far a drain is.
fn judge(summary: &Value, away: &Value, agent: &Agent) -> Look {
    let host = &agent.host;
    let is_it = |a: &&Value| a["id"] == agent.id.as_str();
    let Some(shown) = list(summary, "slaves").iter().find(is_it) else {
        if list(away, "gone").iter().any(|a| is_it(&a)) {
            return Look::Over(End::Done, format!("{host} is drained and gone"));
        }
        return match list(away, "unreachable").iter().any(|a| is_it(&a)) {
            true => Look::Goes(format!("{host} is unreachable: it is drained when it is back")),
            false => Look::Goes(format!("{host} is away: it is drained when it is back")),
        };
    };
    match shown["drain_info"]["state"].as_str() {
        Some("DRAINED") => Look::Over(
            End::Done,
            format!(
                "{host} is drained; `mesolith node activate {host}` puts it into service again"
            ),
        ),
        Some(_) => {
            let left: u64 = LIVE.iter().filter_map(|state| shown[*state].as_u64()).sum();
            let tasks = if left == 1 { "task" } else { "tasks" };
            let waits = if left == 0 { ": their ends are not acknowledged yet" } else { "" };
            Look::Goes(format!("{host} drains: {left} {tasks} left{waits}"))
        }
        None => Look::Over(End::Cancelled, format!("{host} is in service again")),
    }
}

/// `node deactivate`.
///
/// # Errors
/// As [`drain`].
pub async fn deactivate(ask: &Ask<'_>, node: &str) -> Result<()> {
    let agent = named(&Machines::fetch(ask).await?, node)?;
    call(ask, "DEACTIVATE_AGENT", &agent, json!({})).await?;
    eprintln!("{} gets no new tasks; those it has go on", agent.host);
    Ok(())
}

/// `node activate`.
///
/// # Errors
/// As [`drain`]; one that is still draining, or in service.
pub async fn activate(ask: &Ask<'_>, node: &str) -> Result<()> {
    let agent = named(&Machines::fetch(ask).await?, node)?;
    call(ask, "REACTIVATE_AGENT", &agent, json!({})).await.map_err(|e| {
        let host = &agent.host;
        match e.code {
            Code::Invalid if e.cause.contains("DRAINING") => Error::new(
                Code::Conflict,
                format!("{host} is still draining"),
            )
            .hint(
                "wait until its tasks have ended; a shorter time: `mesolith node drain --deadline`",
            ),
            Code::Invalid if e.cause.contains("not deactivated") => {
                Error::new(Code::Conflict, format!("{host} is in service"))
            }
            _ => e,
        }
    })?;
    eprintln!("{} is in service again", agent.host);
    Ok(())
}

/// `node gone`.
///
/// # Errors
/// As [`drain`].
pub async fn gone(ask: &Ask<'_>, node: &str, yes: bool) -> Result<()> {
    let agent = named(&Machines::fetch(ask).await?, node)?;
    let what = format!(
        "this declares the agent of {} gone for good: its tasks are over and replaced, and if it lives it ends",
        agent.host
    );
    confirm(yes, &what)?;
    call(ask, "MARK_AGENT_GONE", &agent, json!({})).await?;
    eprintln!("{} is gone", agent.host);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machines() -> Machines {
        Machines {
            agents: json!({
                "slaves": [{"id": "77aa-S0", "hostname": "n1"}, {"id": "78bb-S1", "hostname": "lone"},
                    {"id": "78ee-S4", "hostname": "new"}],
                "recovered_slaves": [{"id": "78cc-S2", "hostname": "back"}],
            }),
            cluster: json!({"nodes": [
                {"node": "a1", "hostname": "n1", "agent_id": "77aa-S0"},
                {"node": "b1", "hostname": "boss", "agent_id": null},
                {"node": "c1", "hostname": "new", "agent_id": null},
            ]}),
            away: json!({"unreachable": [{"id": "78dd-S3", "hostname": "lost"}], "gone": []}),
        }
    }

    #[test]
    fn an_agent_is_found_by_its_node_and_without_one() {
        let machines = machines();
        for (wanted, id) in [
            ("n1", "77aa-S0"),
            ("a1", "77aa-S0"),
            ("77aa-S0", "77aa-S0"),
            ("lone", "78bb-S1"),
            ("back", "78cc-S2"),
            ("lost", "78dd-S3"),
            ("78dd", "78dd-S3"),
            ("c1", "78ee-S4"),
            ("new", "78ee-S4"),
        ] {
            assert_eq!(named(&machines, wanted).unwrap().id, id, "{wanted}");
        }
        assert_eq!(named(&machines, "78").unwrap_err().code, Code::Conflict);
        for wanted in ["boss", "nobody", ""] {
            assert_eq!(named(&machines, wanted).unwrap_err().code, Code::NotFound, "{wanted:?}");
        }
    }

    #[test]
    fn a_drain_is_watched_to_its_end() {
        let agent = Agent { id: "S0".into(), host: "n1".into() };
        let away = json!({"unreachable": [], "gone": []});
        let look = |summary: Value, away: &Value| judge(&summary, away, &agent);
        let shown = |state: Value, running: u64| {
            json!({"slaves": [{"id": "S0", "drain_info": state, "TASK_RUNNING": running,
                "TASK_KILLED": 7}]})
        };
        let draining = json!({"state": "DRAINING"});
        assert_eq!(
            look(shown(draining.clone(), 3), &away),
            Look::Goes("n1 drains: 3 tasks left".into())
        );
        assert_eq!(
            look(shown(draining, 0), &away),
            Look::Goes("n1 drains: 0 tasks left: their ends are not acknowledged yet".into())
        );
        let over = |look: Look| match look {
            Look::Over(end, _) => Some(end),
            Look::Goes(_) => None,
        };
        assert_eq!(over(look(shown(json!({"state": "DRAINED"}), 0), &away)), Some(End::Done));
        assert_eq!(over(look(shown(Value::Null, 0), &away)), Some(End::Cancelled));
        let nobody = json!({"slaves": []});
        assert_eq!(over(look(nobody.clone(), &away)), None, "a new leader waits for it");
        let gone = json!({"unreachable": [], "gone": [{"id": "S0"}]});
        assert_eq!(over(look(nobody.clone(), &gone)), Some(End::Done));
        let lost = json!({"unreachable": [{"id": "S0"}], "gone": []});
        let Look::Goes(line) = look(nobody, &lost) else { panic!("not over") };
        assert!(line.contains("unreachable"), "{line}");
    }
}
