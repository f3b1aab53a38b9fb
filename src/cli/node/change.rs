//! What is done to a node in one step: removed.

use crate::base::error::{Code, Result};
use crate::cli::client::Method;
use crate::cli::confirm::confirm;
use crate::cli::output::{Format, print_json, text};
use crate::cli::roster::{self, Ask, fetch, name};
use serde_json::Value;

/// The node of that name.
///
/// # Errors
/// As [`fetch`] and [`roster::find`].
pub async fn found(ask: &Ask<'_>, node: &str) -> Result<Value> {
    roster::find(&fetch(ask.master).await?, node).cloned()
}

/// Does it, and prints what the cluster answers where programs read it.
///
/// # Errors
/// As [`crate::cli::client::Client::change`].
pub async fn send(
    ask: &Ask<'_>,
    method: Method,
    path: &str,
    query: &[(&str, &str)],
    body: Option<&Value>,
) -> Result<()> {
    let answer = ask.master.change(method, path, query, body).await?.json();
    if ask.format == Format::Json && !answer.is_null() {
        print_json(&answer)?;
    }
    Ok(())
}

/// `node rm`.
///
/// # Errors
/// As [`send`]; not found, not confirmed; a conflict while it lives and votes.
pub async fn rm(ask: &Ask<'_>, node: &str, force: bool, yes: bool) -> Result<()> {
    let node = found(ask, node).await?;
    let what = format!(
        "this removes node {}, a {}, for good and revokes its certificate",
        name(&node),
        text(&node, "standing")
    );
    confirm(yes, &what)?;
    let query: &[_] = if force { &[("force", "true")] } else { &[] };
    let path = roster::path(&text(&node, "node"), "");
    send(ask, Method::DELETE, &path, query, None).await.map_err(|e| match e.code {
        Code::Conflict if !force => {
            e.hint("let it leave (`mesolith leave` there), or remove it as it is with --force")
        }
        _ => e,
    })?;
    eprintln!("removed {}", name(&node));
    Ok(())
}
