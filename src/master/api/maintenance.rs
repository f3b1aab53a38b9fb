//! `/maintenance/schedule`, `/maintenance/status`, `/machine/down`, `/machine/up`: the older form of these calls of the
//! operator API, in JSON.

use super::operator::maintenance::{down, look, replace, up};
use super::{Api, Realms, Refusal};
use crate::http::body::Payload;
use crate::http::{Face, Query, reply};
use crate::mesos::codec::Codec;
use crate::mesos::v1::MachineId;
use crate::mesos::v1::maintenance::Schedule;
use crate::mesos::v1::master::call::StartMaintenance;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use serde_json::{Value, json};

pub(super) fn face(api: Api, realms: &Realms) -> Face {
    let write = &realms.readwrite;
    let schedule = get(show_schedule).post(update_schedule).with_state(api.clone());
    let status = get(show_status).with_state(api.clone());
    Face::new()
        .endpoint("/maintenance/schedule", write.protect(schedule))
        .endpoint("/maintenance/status", realms.readonly.protect(status))
        .endpoint("/machine/down", write.protect(post(machines_down).with_state(api.clone())))
        .endpoint("/machine/up", write.protect(post(machines_up).with_state(api)))
}

async fn show_schedule(State(api): State<Api>, query: Query) -> Result<Response, Refusal> {
    let (schedule, _) = look(&api).await?;
    reply::json_bytes(Codec::Json.encode(&*schedule), &query)
}

async fn show_status(State(api): State<Api>, query: Query) -> Result<Response, Refusal> {
    let (_, status) = look(&api).await?;
    reply::json_bytes(Codec::Json.encode(&status), &query)
}

async fn update_schedule(State(api): State<Api>, body: Payload) -> Result<Response, Refusal> {
    let schedule: Schedule =
        Codec::Json.decode(&body.0).map_err(|e| Refusal::bad_request(e.to_string()))?;
    replace(&api, schedule).await
}

async fn machines_down(State(api): State<Api>, body: Payload) -> Result<Response, Refusal> {
    down(&api, machines(&body)?).await
}

async fn machines_up(State(api): State<Api>, body: Payload) -> Result<Response, Refusal> {
    up(&api, machines(&body)?).await
}

/// The body is a list of machines.
fn machines(body: &Payload) -> Result<Vec<MachineId>, Refusal> {
    let wrong = |why: &str| Refusal::bad_request(format!("Failed to parse body into JSON: {why}"));
    let list: Value = serde_json::from_slice(&body.0).map_err(|e| wrong(&e.to_string()))?;
    if !list.is_array() {
        return Err(wrong("it is not a list"));
    }
    // Read by way of a message that holds such a list.
    let whole = json!({"machines": list}).to_string();
    let read = Codec::Json.decode::<StartMaintenance>(whole.as_bytes());
    read.map(|read| read.machines).map_err(|e| wrong(&e.to_string()))
}
