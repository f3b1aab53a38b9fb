//! `/mesolith/v1/cluster`: who belongs to the cluster and why each node is what it is, join tokens, and what operators say
//! about nodes. The leader answers; other nodes pass requests on before they come here.

mod change;
mod show;
mod tokens;

use super::gossip::Gossip;
use super::identity::NodeId;
use super::link::Via;
use super::membership::Policy;
use super::roster::steer::Steering;
use super::roster::{Place, Seat};
use crate::base::error::{Code, Error, Result};
use crate::http::auth::Realm;
use crate::http::body::Payload;
use crate::http::{Face, PathRest, Query, Refusal};
use axum::Extension;
use axum::extract::State;
use axum::http::{Method, StatusCode};
use axum::response::Response;
use axum::routing::any;
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use tokio::sync::watch;

/// What the endpoints work with.
#[derive(Clone)]
pub struct Api {
    /// This node.
    pub me: NodeId,
    /// Its hold on the book, while it leads.
    pub seat: watch::Receiver<Option<Seat>>,
    /// Who leads, as far as it knows.
    pub leader: watch::Receiver<Option<Place>>,
    /// What was decided last about votes, while it leads.
    pub steering: watch::Receiver<Arc<Steering>>,
    /// Who is there.
    pub gossip: Gossip,
    /// How votes are given.
    pub policy: Policy,
    /// Which agents are on which nodes, while this node leads.
    pub agents: AgentIds,
}

/// Tells the ids of the agents of nodes.
pub type AgentIds =
    Arc<dyn Fn() -> Pin<Box<dyn Future<Output = BTreeMap<NodeId, String>> + Send>> + Send + Sync>;

impl Api {
    fn seat(&self) -> Result<Seat> {
        let none = || {
            Error::new(Code::Unavailable, "this node does not lead, or is not ready yet")
                .hint("ask again in a moment")
        };
        self.seat.borrow().clone().ok_or_else(none)
    }
}

/// The endpoints. Who may read may see the cluster; who may change, change it: tokens are for the latter alone.
pub fn face(api: Api, readonly: &Realm, readwrite: &Realm) -> Face {
    Face::new()
        .endpoint("/mesolith/v1/cluster", readonly.protect(any(read).with_state(api.clone())))
        .endpoint(
            "/mesolith/v1/cluster/tokens",
            readwrite.protect(any(tokens::handle).with_state(api.clone())),
        )
        .endpoint(
            "/mesolith/v1/cluster/nodes",
            readwrite.protect(any(change::handle).with_state(api)),
        )
}

async fn read(
    State(api): State<Api>,
    method: Method,
    Extension(PathRest(rest)): Extension<PathRest>,
    query: Query,
    via: Option<Extension<Via>>,
) -> std::result::Result<Response, Refusal> {
    if !rest.is_empty() {
        return Err(Refusal::of(StatusCode::NOT_FOUND));
    }
    if method != Method::GET && method != Method::HEAD {
        return Err(crate::http::reply::method_not_allowed(&["GET"], &method).into());
    }
    let asked = via.map_or(api.me, |via| via.0.node);
    let agents = (api.agents)().await;
    crate::http::reply::json(&show::cluster(&api, asked, &agents)?, &query)
}

/// The body as JSON; an empty one is an empty object.
fn body<T: serde::de::DeserializeOwned>(body: &Payload) -> Result<T> {
    let bytes: &[u8] = if body.0.is_empty() { b"{}" } else { &body.0 };
    serde_json::from_slice(bytes)
        .map_err(|e| Error::new(Code::Invalid, format!("the body is not what it should be: {e}")))
}

/// Milliseconds since 1970.
fn ms(at: crate::base::time::Wall) -> u64 {
    at.0 / 1_000_000
}
