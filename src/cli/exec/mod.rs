//! `mesolith exec` and `mesolith attach`: a command beside a task, and a task's own terminal, from any node. What is
//! typed goes there and what is written comes back, until one of them ends.

mod calls;
mod keys;
mod terminal;
mod typed;

use super::client::Client;
use super::exit::End;
use super::output::{list, text};
use super::state::Tasks;
use crate::base::error::{Code, Error, Result};
use crate::mesos::v1;
use crate::mesos::v1::agent::process_io::data::Type as Stream;
use calls::{Agent, Heard};
use clap::Args;
use serde_json::Value;
use std::io::{IsTerminal as _, Write as _};
use terminal::Raw;
use tokio::signal::unix::{SignalKind, signal};

/// What is run where.
#[derive(Debug, Args)]
pub struct ExecArgs {
    /// Pass on what is typed, or comes by a pipe
    #[arg(short, long)]
    interactive: bool,
    /// On a terminal: for shells and what draws on the screen
    #[arg(short, long)]
    tty: bool,
    /// Who it runs as, instead of the task's user
    #[arg(short, long)]
    user: Option<String>,
    /// A variable for it, as NAME=VALUE; may be given several times
    #[arg(short, long, value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// App id or job name, for its newest task; or a task id, or the beginning of one
    #[arg(value_name = "APP|JOB|TASK")]
    task: String,
    /// The command and its arguments
    #[arg(required = true, last = true)]
    command: Vec<String>,
}

/// Whose terminal.
#[derive(Debug, Args)]
pub struct AttachArgs {
    /// Only look: pass nothing on
    #[arg(long)]
    no_stdin: bool,
    /// App id or job name, for its newest task; or a task id, or the beginning of one
    #[arg(value_name = "APP|JOB|TASK")]
    task: String,
}

/// Runs a command in the container of a task; ends with its exit code.
///
/// # Errors
/// As [`Client::get`]; not found; what the agent refuses.
pub async fn exec(client: &Client, args: ExecArgs) -> Result<End> {
    if args.tty && args.interactive && !std::io::stdin().is_terminal() {
        return Err(Error::new(Code::Invalid, "-t needs a terminal, and this input is none")
            .hint("leave -t away to pass on what comes by the pipe"));
    }
    let place = place(client, &args.task).await?;
    let agent = Agent::new(client, &place.agent);
    let id = calls::new_id(&place.container);
    let command = command(&args)?;
    let window = args.tty.then(|| terminal::size().unwrap_or_default());
    let raw = match args.tty && args.interactive {
        true => Some(Raw::set()?),
        false => None,
    };
    let mut output = agent.session(&id, command, window).await?;
    let input = input(&agent, &id, args.interactive, args.tty, false);
    let cut = tokio::select! {
        done = pass(&mut output) => { done?; None }
        ended = input => Some(ended?),
        signal = ending_signal() => return Ok(End::Refused(signal)),
    };
    // The input's end is not the command's, but where its user has gone away.
    if cut == Some(Typed::Left) {
        return Ok(End::Interrupted);
    }
    if cut.is_some() {
        tokio::select! {
            done = pass(&mut output) => done?,
            signal = ending_signal() => return Ok(End::Refused(signal)),
        }
    }
    drop(raw);
    let status = agent.wait(&id).await?;
    let lost = || Error::new(Code::Unavailable, "the command was lost with its container");
    Ok(End::Refused(shell_code(status.ok_or_else(lost)?)))
}

/// Shows the terminal of a task and types at it; Ctrl-P Ctrl-Q leaves it alone.
///
/// # Errors
/// As [`Client::get`]; not found; the task has no terminal.
pub async fn attach(client: &Client, args: AttachArgs) -> Result<End> {
    let place = place(client, &args.task).await?;
    let agent = Agent::new(client, &place.agent);
    let typing = !args.no_stdin && std::io::stdin().is_terminal();
    let mut output = agent.attach(&place.container).await.map_err(|e| match e.code {
        Code::Internal | Code::Invalid => e.hint(format!(
            "only a task with 'tty_info' has one; see what it writes with `mesolith logs -f {}`, \
             or run a shell beside it with `mesolith exec -it {} -- sh`",
            args.task, args.task
        )),
        _ => e,
    })?;
    let raw = if typing { Some(Raw::set()?) } else { None };
    if typing {
        eprint!("attached; Ctrl-P Ctrl-Q leaves it alone\r\n");
    }
    // Only by the keys is it left before all is shown: the task may have ended on what was typed last.
    let leaving = async {
        match input(&agent, &place.container, typing, true, true).await? {
            Typed::Left => Ok(End::Done),
            Typed::All => std::future::pending().await,
        }
    };
    let end = tokio::select! {
        done = pass(&mut output) => done.map(|()| End::Done),
        left = leaving => left,
        signal = ending_signal() => Ok(End::Refused(signal)),
    };
    drop(raw);
    if typing {
        eprintln!();
    }
    end
}

/// Where a task runs.
struct Place {
    agent: String,
    container: v1::ContainerId,
}

async fn place(client: &Client, wanted: &str) -> Result<Place> {
    let tasks = Tasks::fetch(client).await?;
    let task = match tasks.newest_of(wanted) {
        Some(task) => task,
        None => tasks.find(wanted)?,
    };
    let (id, state) = (text(task, "id"), text(task, "state"));
    if !matches!(state.as_str(), "TASK_RUNNING" | "TASK_KILLING") {
        let cause = format!("task {id} does not run: it is {state}");
        return Err(Error::new(Code::Conflict, cause));
    }
    let told = list(task, "statuses").iter().rev().map(|s| &s["container_status"]["container_id"]);
    let container = told.filter_map(container).next();
    let none =
        || Error::new(Code::NotFound, format!("nothing tells which container task {id} has"));
    Ok(Place { agent: text(task, "slave_id"), container: container.ok_or_else(none)? })
}

fn container(told: &Value) -> Option<v1::ContainerId> {
    let value = told["value"].as_str()?.to_string();
    Some(v1::ContainerId { value, parent: container(&told["parent"]).map(Box::new) })
}

fn command(args: &ExecArgs) -> Result<v1::CommandInfo> {
    let mut variables = Vec::new();
    if args.tty
        && let Ok(kind) = std::env::var("TERM")
    {
        variables.push(("TERM".to_string(), kind));
    }
    for pair in &args.env {
        let (name, value) =
            pair.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or_else(|| {
                Error::new(Code::Invalid, format!("--env {pair:?} has no name and value"))
            })?;
        variables.push((name.to_string(), value.to_string()));
    }
    let variable = |(name, value): (String, String)| v1::environment::Variable {
        name,
        value: Some(value),
        ..Default::default()
    };
    let variables: Vec<_> = variables.into_iter().map(variable).collect();
    Ok(v1::CommandInfo {
        shell: Some(false),
        value: args.command.first().cloned(),
        arguments: args.command.clone(),
        user: args.user.clone(),
        environment: (!variables.is_empty()).then_some(v1::Environment { variables }),
        ..Default::default()
    })
}

/// Prints what comes, to its end.
async fn pass(output: &mut calls::Output) -> Result<()> {
    while let Some(heard) = output.next().await? {
        let Heard { stream, bytes } = heard;
        let written = match stream {
            Stream::Stderr => std::io::stderr().write_all(&bytes),
            _ => {
                let mut stdout = std::io::stdout().lock();
                stdout.write_all(&bytes).and_then(|()| stdout.flush())
            }
        };
        match written {
            Ok(()) => {}
            // Whoever read it has enough.
            Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => return Ok(()),
            Err(e) => return Err(Error::new(Code::System, format!("cannot write: {e}"))),
        }
    }
    Ok(())
}

/// Why nothing more is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Typed {
    /// The input ended.
    All,
    /// By the keys that leave.
    Left,
}

/// Passes on what is typed, and the sizes of the window; without that, that there is nothing.
async fn input(
    agent: &Agent<'_>,
    id: &v1::ContainerId,
    interactive: bool,
    tty: bool,
    leaves: bool,
) -> Result<Typed> {
    if !interactive && tty {
        return std::future::pending().await;
    }
    let (send, records) = calls::records(id);
    let typing = async {
        if interactive {
            let typed = typed::pass(&send, tty, leaves).await;
            drop(send);
            return typed;
        }
        // A command that reads finds the end at once.
        send.end().await;
        drop(send);
        Typed::All
    };
    let (typed, answered) = tokio::join!(typing, agent.input(records));
    // A command that has ended by then needs no input.
    match answered {
        Err(e) if e.code != Code::NotFound && e.code != Code::Conflict => Err(e),
        _ => Ok(typed),
    }
}

/// A signal that ends this program: what is on the terminal is put right before.
async fn ending_signal() -> u8 {
    let caught = |kind: SignalKind| async move {
        match signal(kind) {
            Ok(mut signals) => drop(signals.recv().await),
            // Where it cannot be caught it ends the program by itself.
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        () = caught(SignalKind::terminate()) => 128 + 15,
        () = caught(SignalKind::hangup()) => 128 + 1,
        () = caught(SignalKind::quit()) => 128 + 3,
    }
}

/// The exit code that a shell would have.
fn shell_code(status: i32) -> u8 {
    let signal = status & 0x7f;
    let code = if signal == 0 { (status >> 8) & 0xff } else { 128 + signal };
    u8::try_from(code).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn exit_codes_are_those_of_a_shell() {
        assert_eq!(shell_code(0), 0);
        assert_eq!(shell_code(7 << 8), 7);
        assert_eq!(shell_code(9), 137);
        assert_eq!(shell_code(0x80 | 11), 139, "a core makes no difference");
    }

    #[test]
    fn a_nested_container_has_its_parents() {
        let told = json!({"value": "a", "parent": {"value": "b", "parent": {"value": "c"}}});
        let id = container(&told).expect("an id");
        assert_eq!(crate::mesos::make::flat_container_id(&id).expect("good").as_str(), "c.b.a");
        assert!(container(&json!({})).is_none());
    }
}
