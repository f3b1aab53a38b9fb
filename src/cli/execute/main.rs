//! The program around [`run`]: arguments, runtime, terminal, and the cluster of `--local`.

use super::options::ExecuteOptions;
use super::plan::plan;
use super::run::{DEFAULT_MASTER, World, run};
use super::{INTERRUPTED, OWN_FAILURE};
use crate::base::error::{Code, Error, Result};
use crate::framework::server::BoxFuture;
use clap::Parser as _;
use std::io::{stderr, stdout};
use std::process::ExitCode;
use tokio::sync::mpsc;

/// How many Ctrl-C wait to be taken; the second already means to leave at once.
const INTERRUPTS_MAX: usize = 2;

/// What is done with the address of a cluster's master; answers with the exit code.
pub type WithMaster = Box<dyn FnOnce(String) -> BoxFuture<Result<i32>> + Send>;

/// Runs `mesos-execute`; the first argument is its name. `local` brings a cluster up, has the task run on it, and takes
/// it down again: that is `--local`.
pub fn main(args: Vec<String>, local: impl FnOnce(WithMaster) -> Result<i32>) -> ExitCode {
    let options = match ExecuteOptions::try_parse_from(args) {
        Ok(options) => options,
        Err(e) => {
            let code = if e.use_stderr() { OWN_FAILURE } else { 0 };
            // There is nowhere else to say it.
            let _ = e.print();
            return exit(code);
        }
    };
    let outcome = if options.local && problems(&options).is_empty() {
        local(Box::new(move |master| {
            let options = ExecuteOptions { master: Some(master), local: false, ..options };
            Box::pin(async move { Ok(at_terminal(options).await) })
        }))
    } else {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime
            .map(|runtime| runtime.block_on(at_terminal(options)))
            .map_err(|e| Error::new(Code::System, format!("cannot start the I/O runtime: {e}")))
    };
    match outcome {
        Ok(code) => exit(code),
        Err(error) => {
            eprintln!("{error}");
            error.hint.iter().for_each(|hint| eprintln!("{hint}"));
            exit(OWN_FAILURE)
        }
    }
}

/// What is wrong with the flags, looked at before a cluster is brought up for nothing.
fn problems(options: &ExecuteOptions) -> Vec<String> {
    let mut options = options.clone();
    let expanded = options.expand(|path| std::fs::read_to_string(path));
    expanded.and_then(|()| plan(&options, &user())).err().unwrap_or_default()
}

async fn at_terminal(options: ExecuteOptions) -> i32 {
    let (tx, interrupts) = mpsc::channel(INTERRUPTS_MAX);
    tokio::spawn(async move {
        while tokio::signal::ctrl_c().await.is_ok() {
            if tx.try_send(()).is_err() {
                // Nobody takes them any more: what is left must not keep the terminal.
                std::process::exit(INTERRUPTED);
            }
        }
    });
    let (mut stdout, mut stderr) = (stdout(), stderr());
    let world = World {
        stdout: &mut stdout,
        stderr: &mut stderr,
        interrupts,
        local: true,
        user: user(),
        default_master: DEFAULT_MASTER.to_string(),
    };
    run(options, world).await
}

/// The name of who runs this program; the number where there is no name.
fn user() -> String {
    let uid = nix::unistd::geteuid();
    match nix::unistd::User::from_uid(uid) {
        Ok(Some(user)) => user.name,
        _ => uid.to_string(),
    }
}

fn exit(code: i32) -> ExitCode {
    ExitCode::from(u8::try_from(code).unwrap_or(OWN_FAILURE as u8))
}
