//! A container's output, from the engine into `stdout` and `stderr` of its sandbox, rotated as that of other tasks.
//!
//! The engine keeps what was written and stamps it, so an agent that comes back goes on where it was: how far it has come is
//! written down after each batch, and what was written into the sandbox after that is taken back first.

use super::engine::Engine;
use super::inspect::Account;
use crate::agent::containerizer::logs::{Log, open_streams};
use crate::agent::containerizer::spec::Rotation;
use crate::base::error::{Code, Error, Result};
use bollard::container::LogOutput;
use bollard::query_parameters::LogsOptionsBuilder;
use bytes::Bytes;
use futures_util::StreamExt as _;
use http_body_util::BodyExt as _;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// Output that is written together, in bytes, about.
const BATCH_BYTES: usize = 256 * 1024;
/// For how long it is gathered.
const GATHER: Duration = Duration::from_millis(20);
/// Before the engine is asked again after it was lost.
const AGAIN: Duration = Duration::from_secs(1);
/// So much of what was read is read again by who comes back.
const OVERLAP_SECS: i64 = 2;
/// The engine's stamps are as long, and end with a blank.
const STAMP_BYTES: usize = 30;

/// Whose output is followed.
pub(super) struct Job {
    pub engine: Arc<Engine>,
    /// The container's name.
    pub name: String,
    pub sandbox: PathBuf,
    pub rotation: Rotation,
    /// Where is written down how far it has come.
    pub position: PathBuf,
    /// Its output comes without stamps, and all of it as `stdout`.
    pub tty: bool,
}

/// How far one stream has come.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq, Eq)]
struct Place {
    /// The newest stamp.
    stamp: String,
    /// How many pieces have that stamp.
    count: u32,
    /// Length of the file after them.
    length: u64,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq, Eq)]
struct Position {
    /// `stdout`, `stderr`.
    streams: [Place; 2],
    /// Seconds since 1970 of the last batch without stamps.
    until: u64,
}

struct Stream {
    file: File,
    log: Log,
    max_bytes: u64,
    place: Place,
    /// Pieces with the stamp of `place` still to be passed over: they were written before.
    skip: u32,
}

/// The two files.
struct Writer {
    streams: [Stream; 2],
    position: PathBuf,
    until: u64,
    failed: bool,
}

/// Output of one kind: 0 is `stdout`, 1 is `stderr`.
type Piece = (usize, Bytes);

/// Follows the output until the container has ended and all was read.
pub(super) async fn follow(job: Job) {
    let (sandbox, rotation, position) = (job.sandbox.clone(), job.rotation, job.position.clone());
    let opened = blocking(move || Writer::open(&sandbox, rotation, position)).await;
    let mut writer = match opened {
        Ok(writer) => writer,
        Err(e) => return tracing::warn!("the output of {} is not kept: {e}", job.name),
    };
    loop {
        let (back, read) = job.read(writer).await;
        let Some(back) = back else { return };
        writer = back;
        match read {
            Ok(()) if job.has_ended().await => return,
            Ok(()) => {}
            Err(e) if matches!(e.code, Code::Unavailable | Code::Timeout) => {}
            Err(e) if e.code == Code::NotFound => return,
            Err(e) => {
                let text = format!("The output of this container cannot be read: {e}\n");
                let note = (1, Bytes::from(text));
                let _ = blocking(move || Ok(writer.write(vec![note], false))).await;
                return;
            }
        }
        tokio::time::sleep(AGAIN).await;
        writer.start_again();
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|e| Err(Error::new(Code::Internal, format!("file work: {e}"))))
}

impl Job {
    async fn has_ended(&self) -> bool {
        match self.engine.get(&format!("/containers/{}/json", self.name)).await {
            Ok(json) => Account::read(json).is_some_and(|account| account.has_ended()),
            Err(e) => e.code == Code::NotFound,
        }
    }

    /// Reads until the engine has no more to say; the writer comes back unless writing has panicked.
    async fn read(&self, writer: Writer) -> (Option<Writer>, Result<()>) {
        if self.tty {
            return self.read_terminal(writer).await;
        }
        let client = match self.engine.client().await {
            Ok(client) => client,
            Err(e) => return (Some(writer), Err(e)),
        };
        let options = LogsOptionsBuilder::new()
            .follow(true)
            .stdout(true)
            .stderr(true)
            .timestamps(true)
            .since(writer.since())
            .build();
        let piece = |piece| match piece {
            Ok(LogOutput::StdErr { message }) => Ok((1, message)),
            Ok(other) => Ok((0, other.into_bytes())),
            Err(e) => Err(self.engine.fault(e)),
        };
        write_all(writer, true, client.logs(&self.name, Some(options)).map(piece)).await
    }

    async fn read_terminal(&self, writer: Writer) -> (Option<Writer>, Result<()>) {
        let path = format!(
            "/containers/{}/logs?follow=true&stdout=true&stderr=true&since={}",
            self.name, writer.until
        );
        let body = match self.engine.open(&path).await {
            Ok(body) => body,
            Err(e) => return (Some(writer), Err(e)),
        };
        let piece = |piece: std::result::Result<Bytes, hyper::Error>| {
            let lost = |e| Error::new(Code::Unavailable, format!("the output breaks off: {e}"));
            piece.map(|bytes| (0, bytes)).map_err(lost)
        };
        write_all(writer, false, body.into_data_stream().map(piece)).await
    }
}

/// Writes what comes until nothing does. The engine sends line by line: what comes within a moment is written together.
async fn write_all(
    mut writer: Writer,
    stamped: bool,
    pieces: impl futures_util::Stream<Item = Result<Piece>>,
) -> (Option<Writer>, Result<()>) {
    let mut pieces = std::pin::pin!(pieces);
    let mut end = None;
    while end.is_none() {
        let (mut ready, mut bytes) = (Vec::new(), 0);
        let mut next = pieces.next().await;
        let moment = tokio::time::Instant::now() + GATHER;
        loop {
            match next {
                Some(Ok(piece)) => {
                    bytes += piece.1.len();
                    ready.push(piece);
                }
                Some(Err(e)) => end = Some(Err(e)),
                None => end = Some(Ok(())),
            }
            if end.is_some() || bytes >= BATCH_BYTES {
                break;
            }
            match tokio::time::timeout_at(moment, pieces.next()).await {
                Ok(more) => next = more,
                Err(_) => break,
            }
        }
        match blocking(move || Ok(writer.write(ready, stamped))).await {
            Ok(back) => writer = back,
            Err(e) => return (None, Err(e)),
        }
    }
    (Some(writer), end.unwrap_or(Ok(())))
}

impl Writer {
    fn open(sandbox: &Path, rotation: Rotation, position: PathBuf) -> Result<Self> {
        let fault = |e: String| Error::new(Code::System, e);
        let owner = sandbox.metadata().map_err(|e| fault(e.to_string()))?;
        let (out, err) = open_streams(sandbox, owner.uid(), owner.gid()).map_err(fault)?;
        let before: Option<Position> =
            std::fs::read(&position).ok().and_then(|text| serde_json::from_slice(&text).ok());
        let until = before.as_ref().map_or(0, |p| p.until);
        let [out_place, err_place] = before.map_or_else(Default::default, |p| p.streams);
        let stream = |file: File, name: &'static str, place: Place| -> Result<Stream> {
            let length = file.metadata().map_err(|e| fault(e.to_string()))?.len();
            if !place.stamp.is_empty() && length > place.length {
                file.set_len(place.length).map_err(|e| fault(e.to_string()))?;
            }
            let length = file.metadata().map_err(|e| fault(e.to_string()))?.len();
            let log = Log::new(sandbox, name, rotation, Instant::now());
            let skip = place.count;
            let place = Place { length, ..place };
            Ok(Stream { file, log, max_bytes: rotation.max_bytes, place, skip })
        };
        let streams =
            [stream(out.into(), "stdout", out_place)?, stream(err.into(), "stderr", err_place)?];
        Ok(Self { streams, position, until, failed: false })
    }

    /// The engine is asked from here on, in its whole seconds.
    fn since(&self) -> i32 {
        let seconds = |stream: &Stream| {
            let stamp: Option<jiff::Timestamp> = stream.place.stamp.parse().ok();
            stamp.map(jiff::Timestamp::as_second)
        };
        // The two are stamped apart, and may be a little out of order.
        let newest = self.streams.iter().filter_map(seconds).max().unwrap_or(0);
        i32::try_from(newest.saturating_sub(OVERLAP_SECS).max(0)).unwrap_or(i32::MAX)
    }

    /// The engine is about to say again what came last.
    fn start_again(&mut self) {
        for stream in &mut self.streams {
            stream.skip = stream.place.count;
        }
    }

    fn write(mut self, pieces: Vec<Piece>, stamped: bool) -> Self {
        let mut ready: [Vec<u8>; 2] = Default::default();
        for (which, bytes) in pieces {
            let (Some(stream), Some(ready)) = (self.streams.get_mut(which), ready.get_mut(which))
            else {
                continue;
            };
            match stamped.then(|| stamp(&bytes)).flatten() {
                Some((stamp, rest)) => {
                    if stream.is_new(stamp) {
                        ready.extend_from_slice(rest);
                    }
                }
                None => ready.extend_from_slice(&bytes),
            }
        }
        for (stream, ready) in self.streams.iter_mut().zip(ready) {
            if let Err(e) = stream.append(&ready)
                && !std::mem::replace(&mut self.failed, true)
            {
                // A full disk: what cannot be kept is lost, and said once.
                tracing::warn!("output of a container is lost: {e}");
            }
        }
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        self.until = now.map_or(0, |now| now.as_secs());
        self.note();
        self
    }

    fn note(&self) {
        let [out, err] = &self.streams;
        let position =
            Position { streams: [out.place.clone(), err.place.clone()], until: self.until };
        let Ok(text) = serde_json::to_vec(&position) else { return };
        let fresh = self.position.with_extension("new");
        // Without it some lines come twice after a restart.
        let noted =
            std::fs::write(&fresh, text).and_then(|()| std::fs::rename(&fresh, &self.position));
        if let Err(e) = noted {
            tracing::debug!("{}: {e}", self.position.display());
        }
    }
}

/// Takes the engine's stamp off a piece.
fn stamp(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (head, rest) = bytes.split_at_checked(STAMP_BYTES + 1)?;
    let stamp = std::str::from_utf8(head.get(..STAMP_BYTES)?).ok()?;
    (stamp.ends_with('Z') && head.last() == Some(&b' ')).then_some((stamp, rest))
}

impl Stream {
    /// Whether a piece with that stamp was not written before; notes that it is now.
    fn is_new(&mut self, stamp: &str) -> bool {
        match stamp.cmp(&self.place.stamp) {
            std::cmp::Ordering::Less => false,
            std::cmp::Ordering::Equal if self.skip > 0 => {
                self.skip -= 1;
                false
            }
            std::cmp::Ordering::Equal => {
                self.place.count += 1;
                true
            }
            std::cmp::Ordering::Greater => {
                self.place.stamp = stamp.to_string();
                (self.place.count, self.skip) = (1, 0);
                true
            }
        }
    }

    fn append(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let mut file = &self.file;
        file.write_all(bytes)?;
        self.place.length = self.file.metadata()?.len();
        if self.place.length >= self.max_bytes {
            self.log.look(Instant::now()).map_err(std::io::Error::other)?;
            self.place.length = self.file.metadata()?.len();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROTATION: Rotation = Rotation { max_bytes: 4096, files: 2 };

    fn piece(which: usize, nanos: u32, text: &str) -> Piece {
        (which, Bytes::from(format!("2026-11-26T22:47:12.{nanos:09}Z {text}")))
    }

    #[test]
    fn who_comes_back_writes_each_line_once() {
        let dir = tempfile::tempdir().expect("a folder");
        let open =
            || Writer::open(dir.path(), ROTATION, dir.path().join("position")).expect("opened");
        let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).expect("there");
        let lines =
            [piece(0, 1, "a\n"), piece(1, 1, "e\n"), piece(0, 2, "b\n"), piece(0, 2, "c\n")];
        let writer = open().write(lines.to_vec(), true);
        assert_eq!(writer.since(), 1_795_733_230);
        // A line that was written just before the end, its place not noted.
        (&writer.streams[0].file).write_all(b"d\n").expect("written");
        drop(writer);
        let mut all = lines.to_vec();
        all.push(piece(0, 2, "d\n"));
        all.push(piece(0, 3, "f\n"));
        open().write(all, true);
        assert_eq!((read("stdout").as_str(), read("stderr").as_str()), ("a\nb\nc\nd\nf\n", "e\n"));
    }

    #[test]
    fn output_is_rotated() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut writer =
            Writer::open(dir.path(), ROTATION, dir.path().join("position")).expect("opened");
        for n in 0..20 {
            writer = writer.write(vec![piece(0, n, &"x".repeat(500))], true);
        }
        assert!(dir.path().join("stdout.1").exists());
        assert!(dir.path().join("stdout").metadata().expect("there").len() < 5000);
    }
}
