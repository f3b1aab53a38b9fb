//! A command run in a container, to its end or its time-out.

use super::engine::{Engine, QUICK_MAX};
use super::inspect::wait_status;
use crate::agent::containerizer::ExecRequest;
use crate::agent::containerizer::record::ExecOutcome;
use crate::base::error::{Code, Error, Result};
use bollard::exec::{StartExecOptions, StartExecResults};
use bollard::models::ExecConfig;
use futures_util::StreamExt as _;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Output that is kept, in bytes.
const OUTPUT_BYTES_MAX: usize = 64 * 1024;
/// Processes of one command that are looked for to be killed.
const DESCENDANTS_MAX: usize = 4096;

/// Runs it.
pub(super) async fn run(engine: &Engine, name: &str, request: ExecRequest) -> Result<ExecOutcome> {
    let env = request.env.iter().map(|(n, v)| format!("{n}={v}")).collect();
    let config = ExecConfig {
        cmd: Some(request.argv),
        env: Some(env),
        working_dir: request.cwd,
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        ..Default::default()
    };
    let container = name.to_string();
    let made = engine
        .call(QUICK_MAX, |client| async move { client.create_exec(&container, config).await })
        .await?;
    let mut outcome = ExecOutcome { status: None, output: String::new(), truncated: false };
    let (id, client) = (made.id.clone(), engine.client().await?);
    let work = async {
        let started = client.start_exec(&id, None::<StartExecOptions>).await;
        let StartExecResults::Attached { mut output, input: _input } =
            started.map_err(|e| engine.fault(e))?
        else {
            return Err(Error::new(Code::Corrupt, "the docker engine did not attach a command"));
        };
        let mut bytes = Vec::new();
        while let Some(chunk) = output.next().await {
            let chunk = chunk.map_err(|e| engine.fault(e))?.into_bytes();
            let room = OUTPUT_BYTES_MAX.saturating_sub(bytes.len());
            outcome.truncated |= chunk.len() > room;
            bytes.extend_from_slice(chunk.get(..room.min(chunk.len())).unwrap_or_default());
        }
        outcome.output = String::from_utf8_lossy(&bytes).into_owned();
        Ok(())
    };
    let ended = tokio::time::timeout(request.timeout, work).await;
    let asked = made.id;
    let end = engine.call(QUICK_MAX, |client| async move { client.inspect_exec(&asked).await });
    let end = end.await?;
    match ended {
        Ok(done) => {
            done?;
            let code = end.exit_code.and_then(|code| i32::try_from(code).ok()).unwrap_or(-1);
            outcome.status = Some(wait_status(code));
        }
        // The engine cannot end a command; the machine can.
        Err(_) => end_process(end.pid.and_then(|pid| i32::try_from(pid).ok()).unwrap_or(0)),
    }
    Ok(outcome)
}

/// Kills a process with all that descend from it.
fn end_process(pid: i32) {
    if pid <= 0 {
        return;
    }
    let (mut all, mut at) = (vec![pid], 0);
    while let Some(parent) = all.get(at).copied()
        && all.len() < DESCENDANTS_MAX
    {
        let children = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"));
        all.extend(children.unwrap_or_default().split(' ').filter_map(|c| c.parse::<i32>().ok()));
        at += 1;
    }
    for pid in all {
        // What has ended by itself needs no signal.
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
}
