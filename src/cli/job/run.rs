//! `mesolith job run`: a job is uploaded; if it is to run once now, that run is watched.

use super::Ask;
use super::definition::{DefinitionArgs, definition, runs_once_now, upload_path};
use super::watch::Watch;
use crate::base::error::Result;
use crate::cli::client::Method;
use crate::cli::exit::End;
use crate::cli::files;
use crate::cli::output::{Format, print_json, text};
use crate::cli::watch::WatchArgs;
use clap::Args;

/// Which job.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// JSON file with the job, - for stdin
    file: Option<String>,
    /// Job name, over the file's
    #[arg(long, required_unless_present = "file")]
    name: Option<String>,
    #[command(flatten)]
    definition: DefinitionArgs,
    #[command(flatten)]
    watch: WatchArgs,
}

/// Uploads the job.
///
/// # Errors
/// [`crate::base::error::Code::Invalid`] for what is no job; as [`crate::cli::client::Client::change`].
pub async fn run(ask: &Ask<'_>, args: RunArgs) -> Result<End> {
    let file = args.file.as_deref().map(files::read).transpose()?;
    let job = definition(file, args.name.as_deref(), &args.definition)?;
    let name = text(&job, "name");
    let mut watch = match runs_once_now(&job) && !args.watch.detach {
        true => Some(Watch::begin(ask.chronos, &name).await?),
        false => None,
    };
    ask.chronos.change(Method::POST, upload_path(&job), &[], Some(&job)).await?;
    if ask.format == Format::Json {
        print_json(&super::find(ask.chronos, &name).await?)?;
    }
    let Some(watch) = &mut watch else {
        eprintln!("job {name} is registered (see `mesolith job show {name}`)");
        return Ok(End::Done);
    };
    eprintln!("job {name} is registered; it runs now");
    watch.run(ask.interrupt, args.watch.timeout).await
}
