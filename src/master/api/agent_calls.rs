//! `POST /mesolith/v1/agents/<agent id>/api/v1`: the operator API of any agent, asked at any node. The agent's own face
//! answers; requests and answers stream through, for as long as they take. Each face on the way asks who the user is.

use super::files::{AgentFiles, Elsewhere};
use super::{Api, Refusal};
use crate::base::error::{Code, Error, Result};
use crate::base::ids::AgentId;
use crate::master::core::binding::Whereabouts;
use crate::master::core::io::NodeId;
use axum::extract::Request;
use axum::http::Uri;
use axum::response::{IntoResponse as _, Response};

/// The endpoint of an agent's face.
const TARGET: &str = "/api/v1";

/// Asks the agent, wherever it is.
pub(super) async fn ask(elsewhere: &Elsewhere, agent: &AgentId, request: Request) -> Response {
    let (api, agents) = (&elsewhere.api, &*elsewhere.agents);
    if agents.own().await.is_some_and(|(own, _)| own == *agent) {
        return pass_on(api, agents, agent, None, request).await;
    }
    let master = match api.master() {
        Ok(master) => master,
        Err(refusal) => {
            // The leader knows where it is; it is asked for the same path.
            let Some(led) = &api.led else { return refusal.into_response() };
            return led.relay(request).await.unwrap_or_else(|| refusal.into_response());
        }
    };
    let asked = agent.clone();
    match master.handle().look(move |core| core.whereabouts(&asked)).await {
        Err(e) => Refusal::from(e).into_response(),
        Ok(Whereabouts::Unknown) => {
            let cause = format!("No agent with the id '{agent}' is known.\n");
            Refusal::from(Error::new(Code::NotFound, cause)).into_response()
        }
        Ok(Whereabouts::Unbound) => {
            let why = Error::new(Code::Unavailable, "it has not registered since the upgrade");
            not_reached(agent, &why)
        }
        Ok(Whereabouts::Node(node)) => pass_on(api, agents, agent, Some(node), request).await,
    }
}

fn not_reached(agent: &AgentId, why: &Error) -> Response {
    let cause = format!("agent {agent} is not reached: {}", why.cause);
    Refusal::from(Error::new(Code::Unavailable, cause)).into_response()
}

async fn pass_on(
    api: &Api,
    agents: &dyn AgentFiles,
    agent: &AgentId,
    node: Option<NodeId>,
    mut request: Request,
) -> Response {
    *request.uri_mut() = Uri::from_static(TARGET);
    let asked: Result<Response> = match &api.led {
        Some(led) => led.through(request, |request| agents.call(node, request)).await,
        None => agents.call(node, request).await,
    };
    asked.unwrap_or_else(|e| not_reached(agent, &e))
}
