//! `/v2/deployments`: those that run, and giving one up.

use super::ask::Ask;
use super::show::deployment;
use super::{Api, answer, not_allowed, reads};
use crate::http::Refusal;
use crate::marathon::core::io::{Answer, Command};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse as _, Response};

pub(super) async fn serve(api: &Api, ask: &Ask, rest: &[&str]) -> Result<Response, Refusal> {
    match rest {
        [] if reads(&ask.method) => {
            let view = api.view().await?;
            let waits = ask.all("embed").contains(&"waitsFor");
            let all: Vec<_> = view.deployments.iter().map(|d| deployment(d, waits)).collect();
            Ok(answer::ok(&all))
        }
        [] => Err(not_allowed("GET, HEAD")),
        [id] if ask.method == Method::DELETE => cancel(api, ask, id).await,
        [_] => Err(not_allowed("DELETE")),
        _ => Err(answer::message(StatusCode::NOT_FOUND, "URI not found")),
    }
}

async fn cancel(api: &Api, ask: &Ask, id: &str) -> Result<Response, Refusal> {
    let force = ask.flag("force", false)?;
    let cancel = Command::Cancel { deployment: id.into(), force };
    match api.request(cancel).await? {
        Answer::Done => Ok(StatusCode::ACCEPTED.into_response()),
        other => Ok(answer::deploying(StatusCode::OK, &answer::deployed(other)?)),
    }
}
