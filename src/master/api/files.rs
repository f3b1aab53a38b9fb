//! `/files` of the master: its own log, and the sandboxes of all agents by asking the node that has them.
//!
//! A path names its agent by itself (`…/slaves/<agent id>/…`, as sandboxes are laid out), through the executor in it
//! (`/frameworks/<id>/executors/<id>/…`), by `agent_id=`, or by `/mesolith/v1/agents/<agent id>/files/…`. The agent of this
//! node is asked here; of others the leader alone knows where they are, so that a node which does not lead passes the
//! request on to it, and it to the agent's node. Each face on the way asks who the user is.

#[cfg(test)]
mod tests;

use super::{Api, Realms, agent_calls};
use crate::base::error::{Code, Error};
use crate::base::ids::AgentId;
use crate::http::files::{self, FileOperation, FileRequest, FileSource, FileTable, Served};
use crate::http::{Face, PathRest, Query, Refusal};
use crate::master::core::binding::Whereabouts;
use crate::master::core::io::NodeId;
use crate::master::core::view::View;
use axum::Extension;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// What [`AgentFiles::ask`] will answer.
pub type Asking<'a> =
    Pin<Box<dyn Future<Output = crate::base::error::Result<Response>> + Send + 'a>>;

/// What [`AgentFiles::own`] will answer.
pub type Own<'a> = Pin<Box<dyn Future<Output = Option<(AgentId, FileTable)>> + Send + 'a>>;

/// The way to the files of agents. The node has it.
pub trait AgentFiles: Send + Sync + 'static {
    /// This node's own agent, if it runs one that has an id, and its files.
    fn own(&self) -> Own<'_>;

    /// Passes a request on to the agent's face of another node.
    ///
    /// # Errors
    /// Why it could not be asked.
    fn ask<'a>(&'a self, node: NodeId, request: Request) -> Asking<'a>;

    /// Passes a call on to the agent's face of another node, or of this one, and waits for its answer as long as it takes.
    ///
    /// # Errors
    /// Why it could not be asked.
    fn call<'a>(&'a self, node: Option<NodeId>, request: Request) -> Asking<'a>;
}

/// Where the master finds files that are not its own.
#[derive(Clone)]
pub(super) struct Elsewhere {
    pub(super) api: Api,
    pub(super) agents: Arc<dyn AgentFiles>,
}

impl fmt::Debug for Elsewhere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the agents' files")
    }
}

impl FileSource for Elsewhere {
    fn serve(&self, request: FileRequest) -> Served<'_> {
        Box::pin(async move {
            let named = agent_in(&request);
            let own = self.agents.own().await;
            if let Some(agent) = named {
                return Some(self.of_agent(&agent, own, request).await);
            }
            let here = own.as_ref().filter(|(_, table)| table.is_attached(&request.path));
            let here = here.map(|(_, table)| table.clone());
            let view = match (self.api.view().await, here) {
                (Ok(view), _) => view,
                // Who does not lead knows no more of it.
                (Err(_), Some(table)) => return Some(answer(table, request).await),
                (Err(refusal), None) => return Some(self.relay(request, None, refusal).await),
            };
            match (of_executor(&view, &request.path), own) {
                (Some(agent), own) => Some(self.of_agent(&agent, own, request).await),
                // It ran before this master was elected.
                (None, Some((_, table))) if table.is_attached(&request.path) => {
                    Some(answer(table, request).await)
                }
                (None, _) => None,
            }
        })
    }
}

impl Elsewhere {
    /// Answers a request about a file of that agent.
    async fn of_agent(
        &self,
        agent: &AgentId,
        own: Option<(AgentId, FileTable)>,
        request: FileRequest,
    ) -> Response {
        if let Some((_, table)) = own.filter(|(id, _)| id == agent) {
            return answer(table, request).await;
        }
        let master = match self.api.master() {
            Ok(master) => master,
            Err(refusal) => return self.relay(request, Some(agent), refusal).await,
        };
        let asked = agent.clone();
        let place = match master.handle().look(move |core| core.whereabouts(&asked)).await {
            Ok(place) => place,
            Err(e) => return Refusal::from(e).into_response(),
        };
        let not_reached = |why: String| {
            let cause = format!("agent {agent} is not reached: {why}");
            Refusal::from(Error::new(Code::Unavailable, cause)).into_response()
        };
        match place {
            Whereabouts::Unknown => {
                let text = format!("No agent with the id '{agent}' is known.\n");
                Refusal::new(StatusCode::NOT_FOUND, text).into_response()
            }
            Whereabouts::Unbound => not_reached("it has not registered since the upgrade".into()),
            Whereabouts::Node(node) => match self.pass_on(node, request).await {
                Ok(response) => response,
                Err(e) => not_reached(e.cause),
            },
        }
    }

    async fn pass_on(
        &self,
        node: NodeId,
        request: FileRequest,
    ) -> crate::base::error::Result<Response> {
        let request = request.to_pass_on(None);
        match &self.api.led {
            Some(led) => led.through(request, |request| self.agents.ask(node, request)).await,
            None => self.agents.ask(node, request).await,
        }
    }

    /// Asks the leader; `refusal` is the answer where there is none.
    async fn relay(
        &self,
        request: FileRequest,
        agent: Option<&AgentId>,
        refusal: Refusal,
    ) -> Response {
        let Some(led) = &self.api.led else { return refusal.into_response() };
        let request = request.to_pass_on(agent.map(|agent| ("agent_id", agent.as_str())));
        led.relay(request).await.unwrap_or_else(|| refusal.into_response())
    }
}

async fn answer(table: FileTable, request: FileRequest) -> Response {
    files::answer(table, request).await.unwrap_or_else(Refusal::response)
}

/// The agent that a request names.
fn agent_in(request: &FileRequest) -> Option<AgentId> {
    let named = request.query.get("agent_id").or_else(|| request.query.get("slave_id"));
    named.or_else(|| after(&request.path, "slaves")).map(AgentId::from)
}

/// What follows a segment of a path.
fn after<'a>(path: &'a str, word: &str) -> Option<&'a str> {
    let mut parts = path.split('/').skip_while(|part| *part != word);
    parts.next()?;
    parts.next()
}

/// Where the executor in a path runs, or ran last.
fn of_executor(view: &View, path: &str) -> Option<AgentId> {
    let (framework, executor) = (after(path, "frameworks")?, after(path, "executors")?);
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

/// `/files`, the files of one agent, and its operator API; `own` holds the master's log.
pub fn face(api: Api, own: FileTable, agents: Arc<dyn AgentFiles>, realms: &Realms) -> Face {
    let elsewhere = Elsewhere { api, agents };
    let of_agent = realms.readonly.protect(get(serve_agent).with_state(elsewhere.clone()));
    let calls = realms.readwrite.protect(post(call_agent).with_state(elsewhere.clone()));
    Face::new()
        .with(files::routes(own, Some(Arc::new(elsewhere)), &realms.readonly))
        .endpoint("/mesolith/v1/agents", of_agent.merge(calls))
}

async fn call_agent(
    State(elsewhere): State<Elsewhere>,
    rest: Extension<PathRest>,
    request: Request,
) -> Result<Response, Refusal> {
    let parts: Vec<&str> = rest.0.0.iter().map(String::as_str).collect();
    let [agent, "api", "v1"] = parts.as_slice() else {
        return Err(Refusal::of(StatusCode::NOT_FOUND));
    };
    Ok(agent_calls::ask(&elsewhere, &AgentId::from(*agent), request).await)
}

async fn serve_agent(
    State(elsewhere): State<Elsewhere>,
    rest: Extension<PathRest>,
    query: Query,
    request: Request,
) -> Result<Response, Refusal> {
    let parts: Vec<&str> = rest.0.0.iter().map(String::as_str).collect();
    let (agent, operation) = match parts.as_slice() {
        [agent, "files", "browse"] => (agent, FileOperation::Browse),
        [agent, "files", "read"] => (agent, FileOperation::Read),
        [agent, "files", "download"] => (agent, FileOperation::Download),
        _ => return Err(Refusal::of(StatusCode::NOT_FOUND)),
    };
    let request = FileRequest::of(operation, query, &request)?;
    let own = elsewhere.agents.own().await;
    Ok(elsewhere.of_agent(&AgentId::from(*agent), own, request).await)
}
