//! `/v2/queue`: instances that wait to be launched.

use super::apps::json_list;
use super::ask::{Ask, path_id};
use super::show::{Embed, queue_item};
use super::{Api, answer, not_allowed, reads};
use crate::http::Refusal;
use crate::marathon::core::io::{Answer, Command};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse as _, Response};

pub(super) async fn serve(api: &Api, ask: &Ask, rest: &[&str]) -> Result<Response, Refusal> {
    match rest {
        [] if reads(&ask.method) => {
            let embeds = ask.all("embed");
            let embed = Embed {
                offers: embeds.contains(&"lastUnusedOffers"),
                explanation: embeds.contains(&"explanation"),
            };
            let (view, now) = (api.view().await?, api.now());
            let items: Vec<_> = view.queue.iter().map(|q| queue_item(q, embed, now)).collect();
            Ok(answer::ok(&json_list("queue", &items)))
        }
        [] => Err(not_allowed("GET, HEAD")),
        [id @ .., "delay"] if ask.method == Method::DELETE => {
            match api.request(Command::ResetDelay { app: path_id(id)? }).await? {
                Answer::Done => Ok(StatusCode::NO_CONTENT.into_response()),
                other => Err(answer::refusal(other)),
            }
        }
        [_, ..] => Err(not_allowed("DELETE")),
    }
}
