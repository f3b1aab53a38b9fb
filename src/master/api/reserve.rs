//! `/reserve`, `/unreserve`, `/create-volumes`, `/destroy-volumes`: the older form of these calls of the operator API. The
//! body is a form with the agent's id and resources in JSON.

use super::operator::{operate, operation};
use super::{Api, Refusal};
use crate::http::auth::Realm;
use crate::http::body::Payload;
use crate::http::{Face, Query};
use crate::mesos::codec::Codec;
use crate::mesos::v1::Resource;
use crate::mesos::v1::offer::Operation;
use crate::mesos::v1::offer::operation::{Create, Destroy, Reserve, Type, Unreserve};
use crate::security::Principal;
use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use axum::routing::post;
use serde_json::{Value, json};

type Who = Option<Extension<Principal>>;

pub(super) fn face(api: Api, realm: &Realm) -> Face {
    Face::new()
        .endpoint("/reserve", realm.protect(post(reserve).with_state(api.clone())))
        .endpoint("/unreserve", realm.protect(post(unreserve).with_state(api.clone())))
        .endpoint("/create-volumes", realm.protect(post(create).with_state(api.clone())))
        .endpoint("/destroy-volumes", realm.protect(post(destroy).with_state(api)))
}

async fn reserve(State(api): State<Api>, who: Who, body: Payload) -> Result<Response, Refusal> {
    let form = form(&body);
    let agent = agent(&form)?;
    let resources = wanted(&form, "resources")?;
    let source = listed(&form, "source")?.unwrap_or_default();
    let reserve = Some(Reserve { source, resources });
    operate(&api, agent, Operation { reserve, ..operation(Type::Reserve) }, name(who)).await
}

async fn unreserve(State(api): State<Api>, who: Who, body: Payload) -> Result<Response, Refusal> {
    let form = form(&body);
    let agent = agent(&form)?;
    let unreserve = Some(Unreserve { resources: wanted(&form, "resources")? });
    operate(&api, agent, Operation { unreserve, ..operation(Type::Unreserve) }, name(who)).await
}

async fn create(State(api): State<Api>, who: Who, body: Payload) -> Result<Response, Refusal> {
    let form = form(&body);
    let agent = agent(&form)?;
    let create = Some(Create { volumes: wanted(&form, "volumes")? });
    operate(&api, agent, Operation { create, ..operation(Type::Create) }, name(who)).await
}

async fn destroy(State(api): State<Api>, who: Who, body: Payload) -> Result<Response, Refusal> {
    let form = form(&body);
    let agent = agent(&form)?;
    let destroy = Some(Destroy { volumes: wanted(&form, "volumes")? });
    operate(&api, agent, Operation { destroy, ..operation(Type::Destroy) }, name(who)).await
}

fn form(body: &Payload) -> Query {
    Query::parse(&String::from_utf8_lossy(&body.0))
}

fn name(who: Who) -> Option<String> {
    who.and_then(|Extension(principal)| principal.value)
}

fn absent(parameter: &str) -> Refusal {
    let text = format!("Missing '{parameter}' query parameter in the request body");
    Refusal::bad_request(text)
}

fn agent(form: &Query) -> Result<&str, Refusal> {
    form.get("slaveId").ok_or_else(|| absent("slaveId"))
}

fn wanted(form: &Query, parameter: &str) -> Result<Vec<Resource>, Refusal> {
    listed(form, parameter)?.ok_or_else(|| absent(parameter))
}

/// A parameter that is a list of resources in JSON.
fn listed(form: &Query, parameter: &str) -> Result<Option<Vec<Resource>>, Refusal> {
    let Some(text) = form.get(parameter) else { return Ok(None) };
    let wrong = |why: &str| {
        let text =
            format!("Error in parsing '{parameter}' query parameter in the request body: {why}");
        Refusal::bad_request(text)
    };
    let list: Value = serde_json::from_str(text).map_err(|e| wrong(&e.to_string()))?;
    if !list.is_array() {
        return Err(wrong("it is not a list"));
    }
    // Read by way of a message that holds such a list.
    let whole = json!({"resources": list}).to_string();
    let read = Codec::Json.decode::<Unreserve>(whole.as_bytes());
    read.map(|read| Some(read.resources)).map_err(|e| wrong(&e.to_string()))
}
