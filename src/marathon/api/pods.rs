//! `/v2/pods`: there are none. Clients ask with HEAD whether the API knows of pods at all; making one is refused.

use super::ask::Ask;
use super::{answer, not_allowed};
use crate::http::Refusal;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse as _, Response};

pub(super) fn serve(ask: &Ask, rest: &[&str]) -> Result<Response, Refusal> {
    let id = rest.join("/");
    match (&ask.method, rest) {
        (&Method::HEAD, []) => Ok(StatusCode::OK.into_response()),
        (&Method::GET, [] | ["::status"]) => Ok(answer::ok(&[(); 0])),
        (&Method::GET | &Method::HEAD | &Method::PUT | &Method::DELETE, [_, ..]) => {
            let id = id.split("::").next().unwrap_or_default().trim_end_matches('/');
            let text = format!("Pod '/{id}' does not exist");
            Err(answer::message(StatusCode::NOT_FOUND, &text))
        }
        (&Method::POST, []) => Err(answer::message(
            StatusCode::NOT_IMPLEMENTED,
            "pods are not supported yet; run each container as an app, in a group of their own",
        )),
        (_, []) => Err(not_allowed("GET, HEAD, POST")),
        _ => Err(not_allowed("DELETE, GET, HEAD, PUT")),
    }
}
