//! What a task writes: read piece by piece through `/files/read`, from the master (which passes it on to the agent),
//! or from the agent itself where the master does not.

use super::core::Sandbox;
use crate::base::error::{Code, Error, Result};
use crate::framework::http::{Ask, Http, HttpOptions};
use crate::framework::server::BoxFuture;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// How long to wait before looking for more output.
pub const POLL_EVERY: Duration = Duration::from_millis(200);
/// How much is read at once, in bytes; the endpoint gives no more.
pub const PIECE_BYTES_MAX: u64 = 64 * 1024;
/// How long the rest of the output of an ended task may take.
pub const DRAIN_MAX: Duration = Duration::from_secs(10);

/// How long a file that is not there is looked for once the task has ended: its container may never have been.
pub const MISSING_MAX: Duration = Duration::from_secs(1);

/// Which of the two streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// The file `stdout`.
    Out,
    /// The file `stderr`.
    Err,
}

impl Stream {
    /// The file's name in the sandbox.
    pub fn file(self) -> &'static str {
        match self {
            Self::Out => "stdout",
            Self::Err => "stderr",
        }
    }
}

/// A part of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Piece {
    /// The bytes, as well as the endpoint can tell them.
    pub data: Vec<u8>,
    /// Where the next piece begins.
    pub next: u64,
}

/// Where a task's output is read from.
pub trait TaskOutput: Send + Sync + 'static {
    /// What is in the file from `offset` on, at most [`PIECE_BYTES_MAX`]; nothing at its end.
    fn read(&self, sandbox: Sandbox, stream: Stream, offset: u64) -> BoxFuture<Result<Piece>>;
}

/// What following tells.
#[derive(Debug)]
pub enum Told {
    /// The task wrote.
    Wrote(Stream, Vec<u8>),
    /// The end was reached after draining; with why not all could be read, if so.
    Done(Option<String>),
}

/// Reads both streams until `drain` turns true and everything is read. Ends when nobody listens.
pub async fn follow(
    output: Arc<dyn TaskOutput>,
    sandbox: Sandbox,
    mut drain: watch::Receiver<bool>,
    tx: mpsc::Sender<Told>,
) {
    let mut offsets = [(Stream::Out, 0), (Stream::Err, 0)];
    let mut began = None;
    loop {
        // Read before the pass: what the task wrote before it ended is then seen by this pass.
        let draining = *drain.borrow_and_update();
        if draining && began.is_none() {
            began = Some(tokio::time::Instant::now());
        }
        let mut failed: Option<Error> = None;
        for (stream, offset) in &mut offsets {
            loop {
                match output.read(sandbox.clone(), *stream, *offset).await {
                    Ok(piece) if piece.data.is_empty() => break,
                    Ok(piece) => {
                        *offset = piece.next;
                        if tx.send(Told::Wrote(*stream, piece.data)).await.is_err() {
                            return;
                        }
                    }
                    Err(error) => {
                        failed = Some(error);
                        break;
                    }
                }
            }
        }
        let allowed = match &failed {
            None => Duration::ZERO,
            Some(error) if error.code == Code::NotFound => MISSING_MAX,
            Some(_) => DRAIN_MAX,
        };
        if began.is_some_and(|at| at.elapsed() >= allowed) {
            // Nobody is left to be told if this fails.
            let _ = tx.send(Told::Done(failed.map(|e| e.cause))).await;
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(POLL_EVERY) => {}
            changed = drain.changed(), if !draining => if changed.is_err() { return },
            () = tx.closed() => return,
        }
    }
}

/// Reads over HTTP.
pub struct HttpOutput {
    master: Http,
}

/// The answer of `/files/read`.
#[derive(Deserialize)]
struct Read {
    data: String,
    offset: u64,
}

impl HttpOutput {
    /// Through this master.
    pub fn new(master: Http) -> Self {
        Self { master }
    }
}

impl TaskOutput for HttpOutput {
    fn read(&self, sandbox: Sandbox, stream: Stream, offset: u64) -> BoxFuture<Result<Piece>> {
        let master = self.master.clone();
        Box::pin(async move { Files { master, sandbox, stream }.piece(offset).await })
    }
}

struct Files {
    master: Http,
    sandbox: Sandbox,
    stream: Stream,
}

impl Files {
    /// The size is asked first, so that exactly so many bytes can be asked for as there are: the JSON of the answer
    /// does not tell how many bytes its text stood for.
    async fn piece(&self, offset: u64) -> Result<Piece> {
        let size = self.ask(-1, 0).await?.offset;
        let available = size.saturating_sub(offset).min(PIECE_BYTES_MAX);
        if available == 0 {
            return Ok(Piece { data: Vec::new(), next: offset });
        }
        let at =
            i64::try_from(offset).map_err(|_| Error::new(Code::Invalid, "the file is too long"))?;
        // A piece that ends within a character of several bytes ends with a replacement: leave the character for later.
        let mut whole = None;
        for less in 0..available.min(4) {
            let length = available - less;
            let read = self.ask(at, length).await?;
            let ends_well = !read.data.ends_with('\u{fffd}');
            let piece = Piece { data: read.data.into_bytes(), next: offset + length };
            if ends_well {
                return Ok(piece);
            }
            whole.get_or_insert(piece);
        }
        // No cut character, then: bytes that are no text.
        Ok(whole.unwrap_or_default())
    }

    async fn ask(&self, offset: i64, length: u64) -> Result<Read> {
        let Sandbox { agent_id, framework_id, executor_id, agent_url } = &self.sandbox;
        let file = format!(
            "/frameworks/{}/executors/{}/runs/latest/{}",
            framework_id.value,
            executor_id.value,
            self.stream.file()
        );
        let file = utf8_percent_encode(&file, NON_ALPHANUMERIC);
        let agent = utf8_percent_encode(&agent_id.value, NON_ALPHANUMERIC);
        let query = format!("/files/read?path={file}&offset={offset}&length={length}");
        let path = format!("/mesolith/v1/agents/{agent}{query}");
        let through_master = self.master.ask(&Ask::get(&path)).await;
        let answer = match through_master {
            Ok(answer) if answer.status == 200 => answer,
            Ok(answer) => {
                // An Apache Mesos master passes nothing on; its agents are asked themselves.
                let text = String::from_utf8_lossy(&answer.body).trim().to_string();
                let refused = Error::new(Code::NotFound, format!("{}: {text}", answer.status));
                let Some(address) = agent_url.as_ref().map(|url| &url.address) else {
                    return Err(refused);
                };
                let host = address.ip.as_ref().or(address.hostname.as_ref());
                let Some(host) = host else { return Err(refused) };
                let agent = format!("{host}:{}", address.port);
                let http = Http::new(HttpOptions::new([&agent]))?;
                let asked = http.ask_one(&agent, &Ask::get(&query)).await;
                match asked.map_err(|t| t.error())? {
                    answer if answer.status == 200 => answer,
                    answer => {
                        let text = String::from_utf8_lossy(&answer.body).trim().to_string();
                        let cause = format!("{}: {text}", answer.status);
                        return Err(Error::new(Code::NotFound, cause));
                    }
                }
            }
            Err(trouble) => return Err(trouble.error()),
        };
        // Bytes that are no UTF-8 stand raw in the original's JSON.
        let text = String::from_utf8_lossy(&answer.body);
        serde_json::from_str(&text)
            .map_err(|e| Error::new(Code::Internal, format!("the answer of /files/read: {e}")))
    }
}
