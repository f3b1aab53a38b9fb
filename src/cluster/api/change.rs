//! What operators say about nodes.

use super::Api;
use crate::base::error::{Code, Error, Result};
use crate::cluster::identity::{NodeId, wall_now};
use crate::cluster::membership::Order;
use crate::http::{PathRest, Query, Refusal, reply};
use axum::Extension;
use axum::extract::State;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde_json::json;

pub(super) async fn handle(
    State(api): State<Api>,
    method: Method,
    Extension(PathRest(rest)): Extension<PathRest>,
    query: Query,
) -> std::result::Result<Response, Refusal> {
    let parts: Vec<&str> = rest.iter().map(String::as_str).collect();
    match (method.as_str(), parts.as_slice()) {
        ("POST", [node, order @ ("promote" | "demote" | "pin" | "unpin")]) => {
            let node = node_id(node)?;
            let order = match *order {
                "promote" => Order::Promote,
                "demote" => Order::Demote,
                "pin" => Order::Pin,
                _ => Order::None,
            };
            api.seat()?.order(node, order).await?;
            Ok(axum::Json(json!({"explanation": explanation(&api, node)})).into_response())
        }
        ("POST", [node, "leave"]) => {
            let (seat, node) = (api.seat()?, node_id(node)?);
            if seat.book().borrow().nodes().all(|other| other.node == node) {
                let cause = "it is the only node: nobody would have what it has";
                return Err(Error::new(Code::Conflict, cause)
                    .hint("`mesolith down --kill` stops it and its tasks")
                    .into());
            }
            seat.leave(node, true).await?;
            Ok(StatusCode::ACCEPTED.into_response())
        }
        ("DELETE", [node]) => {
            let force = match query.get("force") {
                None | Some("false") => false,
                Some("true" | "") => true,
                Some(other) => {
                    let text = format!("'force' is {other:?}: expected true or false");
                    return Err(Refusal::bad_request(text));
                }
            };
            remove(&api, node_id(node)?, force).await?;
            Ok(StatusCode::OK.into_response())
        }
        (_, [_]) => Err(reply::method_not_allowed(&["DELETE"], &method).into()),
        (_, [_, "promote" | "demote" | "pin" | "unpin" | "leave"]) => {
            Err(reply::method_not_allowed(&["POST"], &method).into())
        }
        _ => Err(Refusal::of(StatusCode::NOT_FOUND)),
    }
}

fn node_id(text: &str) -> Result<NodeId> {
    let bad = || {
        Error::new(Code::Invalid, format!("'{text}' is no node's id"))
            .hint("it has 16 hexadecimal digits: see `mesolith cluster status`")
    };
    let id = (text.len() == 16).then(|| u64::from_str_radix(text, 16).ok()).flatten();
    id.map(NodeId).ok_or_else(bad)
}

fn explanation(api: &Api, node: NodeId) -> String {
    let steering = api.steering.borrow().clone();
    let told = steering.explanations.iter().find(|e| e.node == node.0);
    told.map(|e| e.text.clone()).unwrap_or_default()
}

/// Removes a node that is gone. One that votes has to lose its vote first, or a majority could be lost with it.
async fn remove(api: &Api, node: NodeId, force: bool) -> Result<()> {
    let seat = api.seat()?;
    let registry = seat.registry();
    if node == api.me {
        return Err(Error::new(Code::Conflict, "this node leads: it cannot remove itself")
            .hint("let it leave: `mesolith leave`"));
    }
    let alive = api.gossip.members().borrow().nodes.get(&node.0).is_some_and(|seen| seen.alive);
    let voters = registry.voters();
    if voters.contains(&node.0) && !force {
        let (cause, hint) = match alive {
            true => ("it is alive and votes", "let it leave: `mesolith leave` there"),
            false => (
                "it votes; it is replaced by itself when another node is ready",
                "`--force` removes it though fewer voters are left then",
            ),
        };
        return Err(Error::new(Code::Conflict, format!("node {node}: {cause}")).hint(hint));
    }
    if alive && !force {
        return Err(Error::new(Code::Conflict, format!("node {node} is alive"))
            .hint("let it leave: `mesolith leave` there; `--force` shuts it out at once"));
    }
    if voters.contains(&node.0) {
        let rest = voters.into_iter().filter(|voter| *voter != node.0).collect();
        registry.change_voters(rest).await?;
    }
    if registry.members().contains_key(&node.0) {
        registry.remove_learners([node.0].into()).await?;
    }
    seat.remove(node, wall_now()).await?;
    api.gossip.forget(node.0).await;
    Ok(())
}
