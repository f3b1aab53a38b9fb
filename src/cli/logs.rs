//! `mesolith logs`: what a task wrote, from its sandbox, followed while it runs. Of an app or a job it is the newest task.

use super::client::Client;
use super::output::{number, print, text};
use super::state::{Tasks, sandbox};
use crate::base::error::{Code, Error, Result};
use clap::Args;
use std::time::Duration;

/// Between two looks at a followed file.
const FOLLOW_INTERVAL: Duration = Duration::from_millis(250);
/// How much is asked for at a time, in bytes; what the master hands out at most.
const PIECE_BYTES: u64 = 65_536;
/// Where `--tail` stops looking back, in bytes.
const TAIL_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Which logs.
#[derive(Debug, Args)]
pub struct LogsArgs {
    /// App id or job name, for its newest task; or a task id, or the beginning of one
    #[arg(value_name = "APP|JOB|TASK")]
    task: String,
    /// Go on until the task has ended
    #[arg(short, long)]
    follow: bool,
    /// What was written to stderr, not stdout
    #[arg(long)]
    stderr: bool,
    /// Another file of the sandbox
    #[arg(long, conflicts_with = "stderr")]
    file: Option<String>,
    /// Only the last lines
    #[arg(short = 'n', long)]
    tail: Option<usize>,
}

/// Prints the log.
///
/// # Errors
/// As [`Client::get`]; not found.
pub async fn run(client: &Client, args: LogsArgs) -> Result<()> {
    let tasks = Tasks::fetch(client).await?;
    let task = match tasks.newest_of(&args.task) {
        Some(task) => {
            eprintln!("task {}", text(task, "id"));
            task
        }
        None => tasks.find(&args.task)?,
    };
    let id = text(task, "id");
    let name = args.file.unwrap_or_else(|| if args.stderr { "stderr" } else { "stdout" }.into());
    let file = File { path: format!("{}/{name}", sandbox(task)), agent: text(task, "slave_id") };
    let mut offset = match args.tail {
        None => 0,
        Some(lines) => tail_start(client, &file, lines).await?,
    };
    loop {
        // Asked before reading, so that nothing written before the end is missed.
        let ended = !args.follow || has_ended(client, &id).await?;
        offset = drain(client, &file, offset).await?;
        if ended {
            return Ok(());
        }
        tokio::time::sleep(FOLLOW_INTERVAL).await;
    }
}

/// A file of a sandbox.
struct File {
    path: String,
    /// Whose sandbox it is: several agents may have an executor of the same name, and the master forgets ended ones.
    agent: String,
}

async fn has_ended(client: &Client, id: &str) -> Result<bool> {
    let answer = client.get("/tasks", &[("task_id", id), ("limit", "1")]).await?;
    let state = text(&answer["tasks"][0], "state");
    Ok(!matches!(
        state.as_str(),
        "TASK_STAGING" | "TASK_STARTING" | "TASK_RUNNING" | "TASK_KILLING"
    ))
}

/// Prints from `offset` to the end; answers the end.
async fn drain(client: &Client, file: &File, mut offset: u64) -> Result<u64> {
    loop {
        let piece = read(client, file, offset, PIECE_BYTES).await?;
        if piece.is_empty() {
            return Ok(offset);
        }
        offset += piece.len() as u64;
        print(&piece)?;
    }
}

async fn read(client: &Client, file: &File, offset: u64, length: u64) -> Result<String> {
    let (offset, length) = (offset.to_string(), length.to_string());
    let File { path, agent } = file;
    let query = [
        ("path", path.as_str()),
        ("agent_id", agent),
        ("offset", offset.as_str()),
        ("length", length.as_str()),
    ];
    match client.get("/files/read", &query).await {
        Ok(answer) => Ok(text(&answer, "data")),
        Err(e) if e.code == Code::NotFound => {
            Err(Error::new(Code::NotFound, format!("the sandbox has no file {path}"))
                .hint("it may not have been written yet, or the sandbox was collected"))
        }
        Err(e) => Err(e),
    }
}

/// Where the last `lines` lines begin.
async fn tail_start(client: &Client, file: &File, lines: usize) -> Result<u64> {
    let query = [("path", file.path.as_str()), ("agent_id", &file.agent), ("offset", "-1")];
    let answer = client.get("/files/read", &query).await?;
    let size = number(&answer, "offset") as u64;
    let mut start = size;
    let mut seen = Vec::new();
    let newlines = |bytes: &[u8]| bytes.iter().filter(|b| **b == b'\n').count();
    while start > 0 && newlines(&seen) <= lines && size - start < TAIL_BYTES_MAX {
        let from = start.saturating_sub(PIECE_BYTES);
        let mut piece = read(client, file, from, start - from).await?.into_bytes();
        piece.extend_from_slice(&seen);
        seen = piece;
        start = from;
    }
    Ok(start + tail_offset(&seen, lines) as u64)
}

/// The offset in `bytes` at which the last `lines` lines begin; an unfinished last line counts.
fn tail_offset(bytes: &[u8], lines: usize) -> usize {
    let body = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let mut left = lines;
    for (at, byte) in body.iter().enumerate().rev() {
        if *byte == b'\n' {
            if left <= 1 {
                return at + 1;
            }
            left -= 1;
        }
    }
    if lines == 0 { bytes.len() } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::tail_offset;

    #[test]
    fn the_last_lines_begin_after_a_newline() {
        assert_eq!(tail_offset(b"a\nb\nc\n", 1), 4);
        assert_eq!(tail_offset(b"a\nb\nc\n", 2), 2);
        assert_eq!(tail_offset(b"a\nb\nc\n", 9), 0);
        assert_eq!(tail_offset(b"a\nb", 1), 2, "an unfinished line is a line");
        assert_eq!(tail_offset(b"", 3), 0);
        assert_eq!(tail_offset(b"a\n", 0), 2);
    }
}
