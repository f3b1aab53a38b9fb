//! The pipe by which a container in the making tells how far it is. Its end means: the task's program runs (or all is over).

use std::fs::File;
use std::io::{Read, Write};
use std::mem::ManuallyDrop;
use std::os::fd::{FromRawFd, RawFd};

/// The longest report, in bytes.
pub const REPORT_BYTES_MAX: usize = 16 * 1024;

/// What was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// It is parked; this is its first process.
    Made(i32),
    /// It could not be made.
    Failed(String),
    /// It was let go, but its program could not be executed.
    NotExecuted(String),
}

/// The writing end. It lives at a fixed number, so that it needs no owner across clones.
pub struct Report(ManuallyDrop<File>);

impl Report {
    /// The one at that number.
    pub fn at(fd: RawFd) -> Report {
        // SAFETY: never dropped, so never closed twice.
        Report(ManuallyDrop::new(unsafe { File::from_raw_fd(fd) }))
    }

    fn line(&mut self, tag: char, text: &str) {
        let one_line: String =
            text.chars().take(2000).map(|c| if c.is_control() { ' ' } else { c }).collect();
        // If nobody listens there is nobody to tell.
        let _ = self.0.write_all(format!("{tag}{one_line}\n").as_bytes());
    }

    /// It is parked, with that first process.
    pub fn made(&mut self, pid: i32) {
        self.line('P', &pid.to_string());
    }

    /// It cannot be made.
    pub fn failed(&mut self, why: &str) {
        self.line('E', why);
    }

    /// A detail of a failure to come.
    pub fn why(&mut self, text: &str) {
        self.line('L', text);
    }

    /// Its program cannot be executed.
    pub fn not_executed(&mut self, why: &str) {
        self.line('X', why);
    }
}

/// The reading end.
#[derive(Debug)]
pub struct Reader {
    pipe: File,
    text: Vec<u8>,
    why: Option<String>,
}

impl Reader {
    /// On a pipe, which must not block.
    pub fn new(pipe: File) -> Reader {
        Reader { pipe, text: Vec::new(), why: None }
    }

    /// What was told since, and whether that was all.
    pub fn read(&mut self) -> (Vec<Told>, bool) {
        let mut end = false;
        let mut chunk = [0; 1024];
        while self.text.len() < REPORT_BYTES_MAX {
            match self.pipe.read(&mut chunk) {
                Ok(0) => end = true,
                Ok(n) => {
                    self.text.extend_from_slice(chunk.get(..n).unwrap_or_default());
                    continue;
                }
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(_) => end = true,
            }
            break;
        }
        let mut told = Vec::new();
        while let Some(at) = self.text.iter().position(|b| *b == b'\n') {
            let line: Vec<u8> = self.text.drain(..=at).collect();
            told.extend(self.parse(String::from_utf8_lossy(&line).trim_end()));
        }
        (told, end)
    }

    /// The first detail told is the one nearest to the failure; it goes with it.
    fn parse(&mut self, line: &str) -> Option<Told> {
        let mut chars = line.chars();
        let tag = chars.next()?;
        let rest = chars.as_str();
        match tag {
            'P' => rest.parse().ok().map(Told::Made),
            'L' => {
                self.why.get_or_insert_with(|| rest.to_owned());
                None
            }
            'E' => Some(Told::Failed(match self.why.take() {
                Some(why) if !rest.contains(&why) => format!("{rest} ({why})"),
                _ => rest.into(),
            })),
            'X' => Some(Told::NotExecuted(rest.into())),
            _ => None,
        }
    }
}
