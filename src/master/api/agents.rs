//! `/mesolith/v1/agents`: agents that are not there: unreachable ones and gone ones, which the older
//! documents only count.

use super::{Api, Refusal};
use crate::http::auth::Realm;
use crate::http::{Face, Query, reply};
use crate::master::core::view::{DepartedView, View};
use crate::mesos::v1;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use serde::Serialize;

pub(super) fn face(api: Api, realm: &Realm) -> Face {
    Face::new().endpoint("/mesolith/v1/agents", realm.protect(get(list).with_state(api)))
}

/// One agent.
#[derive(Serialize)]
struct Departed<'a> {
    id: &'a str,
    hostname: &'a str,
    /// When it left, in seconds since 1970.
    since: f64,
    /// An operator took it out of service: so it stays when it comes back.
    deactivated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    drain_info: Option<&'a v1::DrainInfo>,
}

#[derive(Serialize)]
struct Agents<'a> {
    unreachable: Vec<Departed<'a>>,
    gone: Vec<Departed<'a>>,
}

async fn list(State(api): State<Api>, query: Query) -> Result<Response, Refusal> {
    let view = api.view().await?;
    reply::json(&agents(&view), &query)
}

fn agents(view: &View) -> Agents<'_> {
    Agents {
        unreachable: view.unreachable_agents.iter().map(|a| departed(view, a)).collect(),
        gone: view.gone_agents.iter().map(|a| departed(view, a)).collect(),
    }
}

fn departed<'a>(view: &'a View, a: &'a DepartedView) -> Departed<'a> {
    let how = view.drained_elsewhere.get(&a.id);
    Departed {
        id: a.id.as_str(),
        hostname: &a.hostname,
        since: a.since.secs(),
        deactivated: how.is_some(),
        drain_info: how.and_then(|drain| drain.as_ref()).map(|drain| &drain.info),
    }
}
