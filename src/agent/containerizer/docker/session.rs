//! A command run in a container with its streams in the caller's hands. The engine carries them over a connection of the
//! command's own; what it cannot do, end a command, the machine can.

use super::engine::{Engine, QUICK_MAX};
use super::exec::end_process;
use super::inspect::wait_status;
use crate::agent::containerizer::session::{Hold, Output, Session, Terminal};
use crate::agent::containerizer::{Answer, SessionRequest, Window};
use crate::base::error::{Code, Error, Result};
use bollard::container::LogOutput;
use bollard::exec::{StartExecOptions, StartExecResults};
use bollard::models::ExecConfig;
use bollard::query_parameters::ResizeExecOptionsBuilder;
use futures_util::StreamExt as _;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncWriteExt as _, DuplexStream, duplex};
use tokio::sync::watch;

/// What may wait to be read of one stream, in bytes; then the command waits.
const STREAM_BYTES_MAX: usize = 64 * 1024;
/// How often the engine is asked for the pid of a command that it has just started.
const PID_TRIES: u32 = 100;
const PID_PAUSE: Duration = Duration::from_millis(10);

/// Begins it.
pub(super) async fn open(
    engine: &Arc<Engine>,
    container: &str,
    request: SessionRequest,
) -> Result<Session> {
    let window = request.terminal;
    let config = ExecConfig {
        cmd: Some(request.argv),
        env: Some(request.env.iter().map(|(n, v)| format!("{n}={v}")).collect()),
        working_dir: request.cwd,
        user: request.user,
        attach_stdin: Some(true),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        tty: Some(window.is_some()),
        console_size: window.map(|w| vec![usize::from(w.rows), usize::from(w.columns)]),
        ..Default::default()
    };
    let container = container.to_string();
    let make =
        |client: bollard::Docker| async move { client.create_exec(&container, config).await };
    let id = engine.call(QUICK_MAX, make).await?.id;
    let client = engine.client().await?;
    let options = StartExecOptions { tty: window.is_some(), ..Default::default() };
    let started = tokio::time::timeout(QUICK_MAX, client.start_exec(&id, Some(options))).await;
    let late = |_| Error::new(Code::Timeout, "the docker engine does not start the command");
    let started = started.map_err(late)?.map_err(|e| engine.fault(e))?;
    let StartExecResults::Attached { output, input } = started else {
        return Err(Error::new(Code::Corrupt, "the docker engine did not attach a command"));
    };
    let pid = pid(engine, &id).await?;
    let (out, said) = duplex(STREAM_BYTES_MAX);
    let (errors, complained) = duplex(STREAM_BYTES_MAX);
    let (tell, ended) = watch::channel(None);
    tokio::spawn(carry(engine.clone(), id.clone(), output, (said, complained), tell));
    let errors: Option<Output> = match window {
        Some(_) => None,
        None => Some(Box::new(errors)),
    };
    let terminal =
        window.map(|_| Box::new(Size { engine: engine.clone(), id }) as Box<dyn Terminal>);
    let hold = Box::new(Held { pid, ended });
    Ok(Session { pid, input: Box::new(input), output: Box::new(out), errors, terminal, hold })
}

/// The command's process on this machine; 0 for one that has ended already.
async fn pid(engine: &Engine, id: &str) -> Result<i32> {
    for _ in 0..PID_TRIES {
        let asked = id.to_string();
        let look = |client: bollard::Docker| async move { client.inspect_exec(&asked).await };
        let told = engine.call(QUICK_MAX, look).await?;
        match told.pid.and_then(|pid| i32::try_from(pid).ok()) {
            Some(pid) if pid > 0 => return Ok(pid),
            _ if told.running == Some(false) => return Ok(0),
            _ => tokio::time::sleep(PID_PAUSE).await,
        }
    }
    Err(Error::new(Code::Timeout, "the docker engine does not say which process the command is"))
}

type Said = Pin<
    Box<
        dyn futures_util::Stream<Item = std::result::Result<LogOutput, bollard::errors::Error>>
            + Send,
    >,
>;

/// Its output, until it ends; then how it did.
async fn carry(
    engine: Arc<Engine>,
    id: String,
    mut output: Said,
    (mut said, mut complained): (DuplexStream, DuplexStream),
    tell: watch::Sender<Option<Option<i32>>>,
) {
    while let Some(Ok(piece)) = output.next().await {
        let written = match piece {
            LogOutput::StdErr { message } => complained.write_all(&message).await,
            other => said.write_all(&other.into_bytes()).await,
        };
        // Who does not read it any more does not need the rest of it.
        if written.is_err() {
            break;
        }
    }
    drop((said, complained));
    let look = |client: bollard::Docker| async move { client.inspect_exec(&id).await };
    let told = engine.call(QUICK_MAX, look).await.ok().and_then(|told| told.exit_code);
    let status = told.and_then(|code| i32::try_from(code).ok()).map(wait_status);
    tell.send_replace(Some(status));
}

struct Held {
    pid: i32,
    ended: watch::Receiver<Option<Option<i32>>>,
}

impl Hold for Held {
    fn ended(&mut self) -> Pin<Box<dyn Future<Output = Option<i32>> + Send + '_>> {
        Box::pin(async {
            match self.ended.wait_for(Option::is_some).await {
                Ok(status) => status.flatten(),
                Err(_) => None,
            }
        })
    }

    fn signal(&mut self, signal: i32) -> Answer<'_, ()> {
        let sent = match (Signal::try_from(signal), self.pid) {
            (Err(_), _) => Err(Error::new(Code::Invalid, format!("{signal} is no signal"))),
            (Ok(Signal::SIGKILL), pid) => {
                end_process(pid);
                Ok(())
            }
            (Ok(signal), pid) if pid > 0 && self.ended.borrow().is_none() => {
                kill(Pid::from_raw(pid), signal)
                    .map_err(|e| Error::new(Code::Conflict, format!("the command: {e}")))
            }
            _ => Err(Error::new(Code::Conflict, "the command does not run")),
        };
        Box::pin(std::future::ready(sent))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.ended.borrow().is_none() {
            end_process(self.pid);
        }
    }
}

struct Size {
    engine: Arc<Engine>,
    id: String,
}

impl Terminal for Size {
    fn resize(&self, window: Window) -> io::Result<()> {
        let (engine, id) = (self.engine.clone(), self.id.clone());
        tokio::spawn(async move {
            let size = ResizeExecOptionsBuilder::new()
                .h(i32::from(window.rows))
                .w(i32::from(window.columns))
                .build();
            let set = |client: bollard::Docker| async move { client.resize_exec(&id, size).await };
            if let Err(e) = engine.call(QUICK_MAX, set).await {
                tracing::debug!("a terminal in a docker container keeps its size: {e}");
            }
        });
        Ok(())
    }
}
