//! Changes of one app: sent, told, and watched until their deployment is done.

use super::watch::Watch;
use super::{Ask, ChangeArgs, absolute, api_path};
use crate::base::error::Result;
use crate::cli::client::{Answer, Method};
use crate::cli::confirm::confirm;
use crate::cli::exit::End;
use crate::cli::output::{Format, list, print, print_json, text};
use serde_json::{Value, json};

/// One call of Marathon that may start a deployment.
pub struct Change {
    /// How.
    pub method: Method,
    /// Where.
    pub path: String,
    /// With which query.
    pub query: Vec<(&'static str, &'static str)>,
    /// With which body.
    pub body: Option<Value>,
    /// Of which app, an absolute id.
    pub id: String,
}

/// The query of a change that may be forced. It is always said: the server's own default differs between calls.
pub fn force(how: &ChangeArgs) -> Vec<(&'static str, &'static str)> {
    vec![("force", if how.force { "true" } else { "false" })]
}

/// The deployment an answer names, and the version it deploys.
pub fn deployment_of(answer: &Answer) -> Option<(String, String)> {
    let body = answer.json();
    let named = answer.deployment.clone().or_else(|| body["deploymentId"].as_str().map(Into::into));
    let id = named.or_else(|| list(&body, "deployments").first().map(|d| text(d, "id")))?;
    Some((id, text(&body, "version")))
}

/// Makes the change and, unless detached, watches it.
///
/// # Errors
/// As [`crate::cli::client::Client::change`].
pub async fn change(ask: &Ask<'_>, change: Change, how: &ChangeArgs) -> Result<End> {
    let mut watch = match how.watch.detach {
        true => None,
        // Before the change, so that its end cannot be missed.
        false => Some(Watch::begin(ask.marathon).await),
    };
    let Change { method, path, query, body, id } = change;
    let removes = method == Method::DELETE;
    let answer = ask.marathon.change(method, &path, &query, body.as_ref()).await?;
    if ask.format == Format::Json {
        print_json(&answer.json())?;
    }
    let did = match answer.status {
        _ if removes => "is being removed",
        201 => "created",
        _ => "changed",
    };
    let Some((deployment, version)) = deployment_of(&answer) else {
        eprintln!("{id}: {did}, without a deployment");
        return Ok(End::Done);
    };
    let Some(watch) = &mut watch else {
        if ask.format == Format::Table {
            print(&format!("{deployment}\n"))?;
        }
        return Ok(End::Done);
    };
    eprintln!("{id}: {did}, deployment {deployment}");
    watch.add(deployment, version, &[id]);
    watch.run(ask.interrupt, how.watch.timeout).await
}

/// `app scale`.
///
/// # Errors
/// As [`change`].
pub async fn scale(ask: &Ask<'_>, id: &str, instances: u32, how: &ChangeArgs) -> Result<End> {
    let id = absolute(id)?;
    // A PUT would make an app of it that has nothing but a number.
    super::find(ask.marathon, &id).await?;
    let body = Some(json!({"instances": instances}));
    let (method, path, query) = (Method::PUT, api_path(&id), force(how));
    change(ask, Change { method, path, query, body, id }, how).await
}

/// `app restart`.
///
/// # Errors
/// As [`change`].
pub async fn restart(ask: &Ask<'_>, id: &str, how: &ChangeArgs) -> Result<End> {
    let id = absolute(id)?;
    let path = format!("{}/restart", api_path(&id));
    let (method, query) = (Method::POST, force(how));
    change(ask, Change { method, path, query, body: None, id }, how).await
}

/// `app rm`.
///
/// # Errors
/// As [`change`]; [`crate::base::error::Code::Invalid`] when it is not confirmed.
pub async fn rm(ask: &Ask<'_>, id: &str, yes: bool, how: &ChangeArgs) -> Result<End> {
    let id = absolute(id)?;
    let app = super::find(ask.marathon, &id).await?;
    let instances = text(&app, "instances");
    confirm(
        yes,
        &format!("this removes app {id} with its versions and ends its {instances} instances"),
    )?;
    let (method, path, query) = (Method::DELETE, api_path(&id), force(how));
    change(ask, Change { method, path, query, body: None, id }, how).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deployment_is_found_wherever_a_release_names_it() {
        let answer = |deployment: Option<&str>, body: Value| Answer {
            status: 200,
            text: body.to_string(),
            deployment: deployment.map(Into::into),
        };
        let found = |a: Answer| deployment_of(&a).map(|(id, version)| id + " " + &version);
        let body = json!({"deploymentId": "d1", "version": "v1"});
        assert_eq!(found(answer(None, body.clone())).as_deref(), Some("d1 v1"));
        assert_eq!(found(answer(Some("d2"), body)).as_deref(), Some("d2 v1"));
        let created = json!({"id": "/a", "version": "v2", "deployments": [{"id": "d3"}]});
        assert_eq!(found(answer(None, created)).as_deref(), Some("d3 v2"));
        assert_eq!(found(answer(None, json!({"tasks": []}))), None);
    }
}
