//! `mesolith app run`: an app is created or changed by one PUT, then watched.

use super::definition::{DefinitionArgs, definition, present_instances};
use super::{Ask, ChangeArgs, api_path, change};
use crate::base::error::{Code, Error, Result};
use crate::cli::client::Method;
use crate::cli::exit::End;
use crate::cli::files;
use crate::cli::output::text;
use clap::Args;

/// Which app.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// JSON file with the app, - for stdin
    file: Option<String>,
    /// App id, over the file's
    #[arg(long, required_unless_present = "file")]
    id: Option<String>,
    #[command(flatten)]
    definition: DefinitionArgs,
    #[command(flatten)]
    how: ChangeArgs,
}

/// Creates or changes the app.
///
/// # Errors
/// [`Code::Invalid`] for what is no app; as [`crate::cli::client::Client::change`].
pub async fn run(ask: &Ask<'_>, args: RunArgs) -> Result<End> {
    let file = args.file.as_deref().map(files::read).transpose()?;
    let whole = file.is_some();
    let mut app = definition(file, args.id.as_deref(), &args.definition)?;
    let id = text(&app, "id");
    let rollback = app.get("version").is_some();
    if whole && !rollback && app.get("instances").is_none() {
        // Who scaled it by hand does not lose that by a file that says nothing of it.
        if let Some(instances) = present_instances(ask.marathon, &id).await? {
            app["instances"] = instances;
        }
    }
    if !whole && app.as_object().is_some_and(|o| o.len() == 1) {
        return Err(Error::new(Code::Invalid, format!("nothing is said of app {id}"))
            .hint("give --cmd 'COMMAND', or a file"));
    }
    let mut query = change::force(&args.how);
    if whole && !rollback {
        query.push(("partialUpdate", "false"));
    }
    let method = Method::PUT;
    change::change(
        ask,
        change::Change { method, path: api_path(&id), query, body: Some(app), id },
        &args.how,
    )
    .await
}
