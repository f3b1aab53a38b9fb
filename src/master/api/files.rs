//! `/files` of the master: its own log, and the sandboxes of all agents by asking the agent that has them.
//!
//! A path names its agent by itself (`…/slaves/<agent id>/…`, as sandboxes are laid out), through the executor in it
//! (`/frameworks/<id>/executors/<id>/…`), or by `/mesolith/v1/agents/<agent id>/files/…`.

use super::Api;
use crate::base::ids::AgentId;
use crate::http::auth::Realm;
use crate::http::files::{self, FileOperation, FileRequest, FileSource, FileTable, Served};
use crate::http::{Face, PathRest, Query, Refusal};
use crate::master::core::view::View;
use crate::security::Principal;
use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::get;
use std::fmt;
use std::sync::Arc;

/// The way to the files of an agent.
pub trait AgentFiles: Send + Sync + 'static {
    /// Answers a request about a file of that agent, or nothing when it cannot be reached or has no such file.
    fn serve<'a>(&'a self, agent: &AgentId, request: FileRequest) -> Served<'a>;
}

/// Where the master finds files that are not its own.
#[derive(Clone)]
struct Elsewhere {
    api: Api,
    agents: Arc<dyn AgentFiles>,
}

impl fmt::Debug for Elsewhere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the agents' files")
    }
}

impl FileSource for Elsewhere {
    fn serve(&self, request: FileRequest) -> Served<'_> {
        Box::pin(async move {
            let view = self.api.view().await.ok()?;
            let agent = agent_of(&view, &request)?;
            self.agents.serve(&agent, request).await
        })
    }
}

/// The agent that a request is about.
fn agent_of(view: &View, request: &FileRequest) -> Option<AgentId> {
    let named = request.query.get("agent_id").or_else(|| request.query.get("slave_id"));
    if let Some(id) = named {
        return Some(AgentId::from(id));
    }
    let parts: Vec<&str> = request.path.split('/').collect();
    let after = |word: &str| {
        let at = parts.iter().position(|part| *part == word)?;
        parts.get(at + 1).copied()
    };
    match after("slaves") {
        Some(id) => Some(AgentId::from(id)),
        None => of_executor(view, after("frameworks")?, after("executors")?),
    }
}

/// Where an executor runs, or ran last.
fn of_executor(view: &View, framework: &str, executor: &str) -> Option<AgentId> {
    let frameworks = view.frameworks.iter().chain(&view.completed_frameworks);
    let mut of_it =
        frameworks.filter(|f| f.info.id.as_ref().is_some_and(|id| id.value == framework));
    let framework = of_it.next()?;
    let tasks = framework.tasks.iter().chain(&framework.unreachable_tasks);
    // Of ended tasks the newest, which is the last.
    let mut tasks = tasks.chain(framework.completed_tasks.iter().rev());
    let task = tasks.find(|t| {
        // The executor of a command task has the task's id.
        let id = t.executor_id.as_ref().map_or(&t.task_id.value, |e| &e.value);
        id == executor
    });
    task.map(|t| AgentId::from(t.agent_id.value.as_str())).or_else(|| {
        let mut custom = framework.executors.iter();
        custom.find(|(_, e)| e.executor_id.value == executor).map(|(agent, _)| agent.clone())
    })
}

/// `/files` and the files of one agent; `own` holds the master's log.
pub fn face(api: Api, own: FileTable, agents: Arc<dyn AgentFiles>, realm: &Realm) -> Face {
    let elsewhere = Elsewhere { api, agents };
    let of_agent = get(serve_agent).with_state(elsewhere.clone());
    Face::new()
        .with(files::routes(own, Some(Arc::new(elsewhere)), realm))
        .endpoint("/mesolith/v1/agents", realm.protect(of_agent))
}

async fn serve_agent(
    State(elsewhere): State<Elsewhere>,
    principal: Option<Extension<Principal>>,
    rest: Extension<PathRest>,
    query: Query,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let parts: Vec<&str> = rest.0.0.iter().map(String::as_str).collect();
    let (agent, operation) = match parts.as_slice() {
        [agent, "files", "browse"] => (agent, FileOperation::Browse),
        [agent, "files", "read"] => (agent, FileOperation::Read),
        [agent, "files", "download"] => (agent, FileOperation::Download),
        _ => return Err(Refusal::of(StatusCode::NOT_FOUND)),
    };
    let Some(path) = query.get("path").filter(|path| !path.is_empty()).map(str::to_owned) else {
        return Err(Refusal::bad_request("Expecting 'path=value' in query.\n"));
    };
    let principal = principal.map(|p| p.0);
    let request = FileRequest { operation, path, query, principal, headers };
    let served = elsewhere.agents.serve(&AgentId::from(*agent), request).await;
    served.ok_or_else(|| Refusal::of(StatusCode::NOT_FOUND))
}
