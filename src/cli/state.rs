//! What the verbs need to know about tasks, agents and frameworks, read from the master's `/state`.

use super::client::Client;
use super::output::{list, number, text};
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

    /// The newest task of an app or a job of this name; one that still runs before any that has ended. None if a task has
    /// this very id, or if none is of such an app or job.
    pub fn newest_of(&self, name: &str) -> Option<&Value> {
        if self.0.iter().any(|t| t["id"] == name) {
            return None;
        }
        let ours = self.0.iter().filter(|t| is_of_app(t, name) || is_of_job(t, name));
        ours.max_by(|a, b| {
            let age = |t: &Value| (!has_ended(t), first_seen(t));
            let ((a_runs, a_since), (b_runs, b_since)) = (age(a), age(b));
            a_runs.cmp(&b_runs).then(a_since.total_cmp(&b_since))
        })
    }

    /// The one task with this id, or with an id that begins so.
    ///
    /// # Errors
    /// [`Code::NotFound`]; [`Code::Conflict`] when several begin so.
    pub fn find(&self, wanted: &str) -> Result<&Value> {
        find(&self.0, "task", wanted)
    }
}

/// Whether the task is an instance of the app: its id is the app's with `_` for `/`, a dot, and more.
fn is_of_app(task: &Value, app: &str) -> bool {
    let segments: Vec<&str> = app.split('/').filter(|s| !s.is_empty()).collect();
    let id = text(task, "id");
    let rest = id.strip_prefix(&segments.join("_")).and_then(|rest| rest.strip_prefix('.'));
    rest.is_some_and(|rest| rest.starts_with("instance-"))
}

/// Whether the task is a run of the job: `ct:DUE:ATTEMPT:JOB:ARGUMENTS`.
fn is_of_job(task: &Value, job: &str) -> bool {
    let id = text(task, "id");
    let mut parts = id.splitn(5, ':');
    parts.next() == Some("ct") && parts.nth(2) == Some(job)
}

fn has_ended(task: &Value) -> bool {
    !matches!(
        text(task, "state").as_str(),
        "TASK_STAGING" | "TASK_STARTING" | "TASK_RUNNING" | "TASK_KILLING" | "TASK_UNREACHABLE"
    )
}

fn first_seen(task: &Value) -> f64 {
    list(task, "statuses").first().map_or(0.0, |s| number(s, "timestamp"))
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_app_or_a_job_stands_for_its_newest_task() {
        let task = |id: &str, state: &str, at: f64| json!({"id": id, "state": state, "statuses": [{"timestamp": at}, {"timestamp": 99.0}]});
        let tasks = Tasks(vec![
            task("shop_web.instance-1._app.1", "TASK_RUNNING", 1.0),
            task("shop_web.instance-2._app.1", "TASK_RUNNING", 2.0),
            task("shop_web.instance-3._app.1", "TASK_FAILED", 3.0),
            task("shop_web2.instance-4._app.1", "TASK_RUNNING", 4.0),
            task("ct:1000:0:tick:", "TASK_FINISHED", 1.0),
            task("ct:2000:1:tick:a:b", "TASK_FAILED", 2.0),
            task("plain", "TASK_RUNNING", 9.0),
        ]);
        let newest = |name: &str| tasks.newest_of(name).map(|t| text(t, "id"));
        for name in ["/shop/web", "shop/web"] {
            assert_eq!(newest(name).as_deref(), Some("shop_web.instance-2._app.1"));
        }
        assert_eq!(newest("tick").as_deref(), Some("ct:2000:1:tick:a:b"));
        assert_eq!(newest("plain"), None);
        assert_eq!(newest("shop"), None);
        assert_eq!(newest("ct:1000:0:tick:"), None);
    }
}
