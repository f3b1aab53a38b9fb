//! What the verbs need to know about tasks, agents and frameworks, read from the master's `/state`.

use super::client::Client;
use super::output::{list, text};
use crate::base::error::{Code, Error, Result};
use serde_json::Value;

/// Every task of the cluster with what is known about it, running ones first.
pub struct Tasks(Vec<Value>);

/// The lists of a framework in which tasks are found.
const TASK_LISTS: &[&str] = &["tasks", "unreachable_tasks", "completed_tasks"];

impl Tasks {
    /// Reads the tasks of all frameworks, of ended ones too.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn fetch(client: &Client) -> Result<Self> {
        Ok(Self::of(&client.get("/state", &[]).await?))
    }

    /// The tasks in a `/state`, each with its framework's name and its agent's host name added.
    pub fn of(state: &Value) -> Self {
        let mut tasks = Vec::new();
        for list_name in TASK_LISTS {
            for frameworks in ["frameworks", "completed_frameworks"] {
                for framework in list(state, frameworks) {
                    for task in list(framework, list_name) {
                        let mut task = task.clone();
                        task["framework_name"] = framework["name"].clone();
                        task["hostname"] = hostname(state, &text(&task, "slave_id"));
                        tasks.push(task);
                    }
                }
            }
        }
        Self(tasks)
    }

    /// All of them.
    pub fn all(&self) -> &[Value] {
        &self.0
    }

    /// The one task with this id, or with an id that begins so.
    ///
    /// # Errors
    /// [`Code::NotFound`]; [`Code::Conflict`] when several begin so.
    pub fn find(&self, wanted: &str) -> Result<&Value> {
        find(&self.0, "task", wanted)
    }
}

fn hostname(state: &Value, agent_id: &str) -> Value {
    let agents = list(state, "slaves").iter().chain(list(state, "recovered_slaves"));
    let found = agents.clone().find(|a| a["id"] == agent_id);
    found.map_or(Value::Null, |a| a["hostname"].clone())
}

/// The one object of a list with this `id` (or `name`), or with an id that begins so.
///
/// # Errors
/// [`Code::NotFound`]; [`Code::Conflict`] when several begin so.
pub fn find<'a>(all: &'a [Value], kind: &str, wanted: &str) -> Result<&'a Value> {
    if let Some(exact) = all.iter().find(|v| v["id"] == wanted) {
        return Ok(exact);
    }
    let matches: Vec<&Value> = all
        .iter()
        .filter(|v| text(v, "id").starts_with(wanted) || text(v, "name") == wanted)
        .collect();
    match matches.as_slice() {
        [one] => Ok(one),
        [] => Err(Error::new(Code::NotFound, format!("there is no {kind} {wanted:?}"))
            .hint(format!("list them with `mesolith {kind}`"))),
        several => {
            let ids: Vec<String> = several.iter().take(5).map(|v| text(v, "id")).collect();
            Err(Error::new(
                Code::Conflict,
                format!("{} {kind}s match {wanted:?}: {}", several.len(), ids.join(", ")),
            )
            .hint("give more of the id"))
        }
    }
}

/// The sandbox of a task as the master's `/files` knows it.
pub fn sandbox(task: &Value) -> String {
    let executor = match text(task, "executor_id") {
        id if id.is_empty() => text(task, "id"),
        id => id,
    };
    format!("/frameworks/{}/executors/{executor}/runs/latest", text(task, "framework_id"))
}
