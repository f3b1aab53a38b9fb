//! One definition sent to whom it belongs.

use super::read::{Item, Kind};
use crate::base::error::{Code, Result};
use crate::cli::app::{api_path, deployment_of, present_instances};
use crate::cli::client::{Client, Method, encode};
use crate::cli::job;
use serde_json::json;

/// What came of it.
pub struct Sent {
    /// `created` or `changed`.
    pub did: &'static str,
    /// The deployment it started, and the version that deploys.
    pub deployment: Option<(String, String)>,
}

/// Sends it.
///
/// # Errors
/// As [`Client::change`].
pub async fn send(marathon: &Client, chronos: &Client, item: &Item, force: bool) -> Result<Sent> {
    match item.kind {
        Kind::App => app(marathon, item, force).await,
        Kind::Group => group(marathon, item, force).await,
        Kind::Job => upload(chronos, item).await,
    }
}

fn did(created: bool) -> &'static str {
    if created { "created" } else { "changed" }
}

async fn app(marathon: &Client, item: &Item, force: bool) -> Result<Sent> {
    let mut body = item.body.clone();
    body["id"] = json!(item.id);
    let rollback = body.get("version").is_some();
    if !rollback && body.get("instances").is_none() {
        // Who scaled it by hand does not lose that by a file that says nothing of it.
        if let Some(instances) = present_instances(marathon, &item.id).await? {
            body["instances"] = instances;
        }
    }
    let mut query = vec![("force", if force { "true" } else { "false" })];
    if !rollback {
        query.push(("partialUpdate", "false"));
    }
    let answer = marathon.change(Method::PUT, &api_path(&item.id), &query, Some(&body)).await?;
    Ok(Sent { did: did(answer.status == 201), deployment: deployment_of(&answer) })
}

async fn group(marathon: &Client, item: &Item, force: bool) -> Result<Sent> {
    let segments: Vec<String> = item.id.split('/').filter(|s| !s.is_empty()).map(encode).collect();
    let mut path = "/v2/groups".to_string();
    for segment in &segments {
        path.push('/');
        path.push_str(segment);
    }
    let created = match segments.is_empty() {
        // The root is always there.
        true => false,
        false => match marathon.get(&path, &[]).await {
            Ok(_) => false,
            Err(e) if e.code == Code::NotFound => true,
            Err(e) => return Err(e),
        },
    };
    let query = [("force", if force { "true" } else { "false" })];
    let answer = marathon.change(Method::PUT, &path, &query, Some(&item.body)).await?;
    Ok(Sent { did: did(created), deployment: deployment_of(&answer) })
}

async fn upload(chronos: &Client, item: &Item) -> Result<Sent> {
    let created = match job::find(chronos, &item.id).await {
        Ok(_) => false,
        Err(e) if e.code == Code::NotFound => true,
        Err(e) => return Err(e),
    };
    chronos.change(Method::POST, job::upload_path(&item.body), &[], Some(&item.body)).await?;
    Ok(Sent { did: did(created), deployment: None })
}
