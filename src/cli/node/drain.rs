//! `mesolith node drain`: a node runs no tasks any more; watched until it has none.

use super::change::{found, send};
use crate::base::error::{Code, Error, Result};
use crate::cli::client::Method;
use crate::cli::exit::End;
use crate::cli::output::{list, number, text};
use crate::cli::poll::{self, Look};
use crate::cli::roster::{self, Ask, host};
use crate::cli::watch::WatchArgs;
use serde_json::{Value, json};
use std::time::Duration;

/// The states of tasks that a drain still has to end, as the summary counts them.
const LIVE: [&str; 4] = ["TASK_STAGING", "TASK_STARTING", "TASK_RUNNING", "TASK_KILLING"];

/// Drains it and, unless detached, waits until it has no task.
///
/// # Errors
/// As [`send`]; not found; [`Code::Invalid`] of a node without an agent.
pub async fn run(
    ask: &Ask<'_>,
    node: &str,
    deadline: Option<Duration>,
    how: &WatchArgs,
) -> Result<End> {
    let node = found(ask, node).await?;
    let host = host(&node);
    let Some(agent) = node["agent_id"].as_str().filter(|id| !id.is_empty()) else {
        let cause = format!("node {} has no agent: nothing runs there", roster::name(&node));
        return Err(Error::new(Code::Invalid, cause));
    };
    let body = json!({"deadline_seconds": deadline.map(whole_seconds)});
    let path = roster::path(&text(&node, "node"), "drain");
    send(ask, Method::POST, &path, &[], Some(&body)).await?;
    if how.detach {
        eprintln!("{host} is being drained (see `mesolith node show {host}`)");
        return Ok(End::Done);
    }
    let goes_on =
        format!("{host} goes on being drained (take it back with `mesolith node activate {host}`)");
    let mut seen = false;
    poll::until(ask.interrupt, &goes_on, how.timeout, async || {
        let summary = ask.master.get("/state-summary", &[]).await?;
        Ok(judge(&summary, agent, &host, &mut seen))
    })
    .await
}

/// A started second is a second: no task gets less time than was asked for.
fn whole_seconds(deadline: Duration) -> u64 {
    deadline.as_secs() + u64::from(deadline.subsec_nanos() > 0)
}

/// How far it is. `seen` remembers that the agent was drained: the master that is asked may not know of it yet.
fn judge(summary: &Value, agent: &str, host: &str, seen: &mut bool) -> Look {
    let Some(agent) = list(summary, "slaves").iter().find(|a| a["id"] == agent) else {
        let text = format!("{host} is not registered any more; what it ran is not known");
        return Look::Over(End::Failed, text);
    };
    let state = agent["drain_info"]["state"].as_str();
    let draining = agent["deactivated"] == true || state.is_some();
    let tasks = LIVE.iter().map(|state| number(agent, state)).sum::<f64>() as u64;
    let cancelled = *seen && !draining;
    *seen |= draining;
    match tasks {
        _ if cancelled => Look::Over(End::Cancelled, format!("{host} was activated meanwhile")),
        0 if draining && state != Some("DRAINING") => {
            Look::Over(End::Done, format!("{host} is drained"))
        }
        1 => Look::Goes(format!("{host}: 1 task is left")),
        n => Look::Goes(format!("{host}: {n} tasks are left")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(running: u32, deactivated: bool, state: Value, seen: &mut bool) -> Look {
        let agent = json!({"id": "S0", "deactivated": deactivated, "drain_info": {"state": state},
            "TASK_RUNNING": running, "TASK_KILLING": 0, "TASK_FINISHED": 7, "TASK_UNREACHABLE": 1});
        judge(&json!({"slaves": [agent]}), "S0", "n1", seen)
    }

    #[test]
    fn a_node_is_drained_when_it_has_no_live_task() {
        let mut seen = false;
        let null = Value::Null;
        // Idle is not drained.
        assert_eq!(
            look(0, false, null.clone(), &mut seen),
            Look::Goes("n1: 0 tasks are left".into())
        );
        let draining = json!("DRAINING");
        assert_eq!(
            look(2, true, draining.clone(), &mut seen),
            Look::Goes("n1: 2 tasks are left".into())
        );
        assert!(seen);
        assert!(matches!(look(0, true, draining, &mut seen), Look::Goes(_)));
        let done = Look::Over(End::Done, "n1 is drained".into());
        assert_eq!(look(0, true, json!("DRAINED"), &mut seen), done);
        assert_eq!(look(0, true, null.clone(), &mut seen), done);
        assert!(matches!(look(0, false, null, &mut seen), Look::Over(End::Cancelled, _)));
    }

    #[test]
    fn a_node_that_is_lost_meanwhile_is_not_called_drained() {
        let look = judge(&json!({"slaves": []}), "S0", "n1", &mut true);
        assert!(matches!(look, Look::Over(End::Failed, _)));
    }

    #[test]
    fn no_task_gets_less_time_than_was_asked_for() {
        assert_eq!(whole_seconds(Duration::from_millis(1)), 1);
        assert_eq!(whole_seconds(Duration::from_secs(600)), 600);
    }
}
