//! A small client of Chromium's DevTools protocol, over a pair of pipes.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, PipeReader, PipeWriter, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// Longer than anything here takes on a busy machine.
pub const DEADLINE: Duration = Duration::from_secs(30);

const NAMES: [&str; 4] =
    ["chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"];

const FLAGS: [&str; 13] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
    "about:blank",
];

/// Where the browser reads commands and writes events.
const CHILD_IN: i32 = 3;
const CHILD_OUT: i32 = 4;

fn find() -> Option<&'static str> {
    let path = std::env::var_os("PATH")?;
    let there = |name: &&&str| std::env::split_paths(&path).any(|dir| dir.join(name).is_file());
    NAMES.iter().find(there).copied()
}

#[derive(Default)]
struct Inbox {
    answers: BTreeMap<u64, Value>,
    events: Vec<Value>,
    ended: bool,
}

/// A browser of one test, with a profile of its own.
pub struct Browser {
    child: Child,
    to: Mutex<(PipeWriter, u64)>,
    inbox: Arc<(Mutex<Inbox>, Condvar)>,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// Starts one; nothing where there is none, which is said.
    pub fn start(test: &str) -> Option<Self> {
        let Some(name) = find() else {
            let required = std::env::var("MESOLITH_REQUIRE_BROWSER").is_ok_and(|v| v == "1");
            assert!(!required, "no chromium, and MESOLITH_REQUIRE_BROWSER=1");
            eprintln!("skipped: no chromium: {test}");
            return None;
        };
        let (child_in, to) = std::io::pipe().unwrap();
        let (from, child_out) = std::io::pipe().unwrap();
        let profile = tempfile::tempdir().unwrap();
        let mut command = Command::new(name);
        command.arg(format!("--user-data-dir={}", profile.path().display())).args(FLAGS);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let (read, write) = (child_in.as_raw_fd(), child_out.as_raw_fd());
        // SAFETY: only calls that may be made between fork and exec.
        unsafe {
            command.pre_exec(move || {
                // Out of the way first: either may be where the other belongs.
                let read = libc::fcntl(read, libc::F_DUPFD, 10);
                let write = libc::fcntl(write, libc::F_DUPFD, 10);
                if read < 0 || write < 0 {
                    return Err(std::io::Error::last_os_error());
                }
                if libc::dup2(read, CHILD_IN) < 0 || libc::dup2(write, CHILD_OUT) < 0 {
                    return Err(std::io::Error::last_os_error());
                }
                libc::close(read);
                libc::close(write);
                Ok(())
            });
        }
        let child = command.spawn().unwrap();
        drop((child_in, child_out));
        let inbox = Arc::<(Mutex<Inbox>, Condvar)>::default();
        let shared = Arc::clone(&inbox);
        std::thread::spawn(move || listen(from, &shared));
        Some(Self { child, to: Mutex::new((to, 0)), inbox, _profile: profile })
    }

    /// Sends a command and waits for its answer.
    #[track_caller]
    pub fn call(&self, session: Option<&str>, method: &str, params: Value) -> Value {
        let id = {
            let mut to = self.to.lock().unwrap();
            to.1 += 1;
            let mut message = json!({"id": to.1, "method": method, "params": params});
            if let Some(session) = session {
                message["sessionId"] = session.into();
            }
            let mut bytes = message.to_string().into_bytes();
            bytes.push(0);
            to.0.write_all(&bytes).unwrap();
            to.1
        };
        let since = Instant::now();
        let (inbox, news) = &*self.inbox;
        let mut inbox = inbox.lock().unwrap();
        loop {
            if let Some(answer) = inbox.answers.remove(&id) {
                assert!(answer.get("error").is_none(), "{method}: {answer}");
                return answer["result"].clone();
            }
            assert!(!inbox.ended, "the browser has ended");
            assert!(since.elapsed() < DEADLINE, "{method} is not answered");
            inbox = news.wait_timeout(inbox, Duration::from_millis(200)).unwrap().0;
        }
    }

    /// All events so far.
    pub fn events(&self) -> Vec<Value> {
        self.inbox.0.lock().unwrap().events.clone()
    }
}

fn listen(from: PipeReader, inbox: &(Mutex<Inbox>, Condvar)) {
    let mut from = BufReader::new(from);
    let mut bytes = Vec::new();
    while from.read_until(0, &mut bytes).is_ok_and(|n| n > 0) {
        bytes.pop();
        let message: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        bytes.clear();
        let mut waiting = inbox.0.lock().unwrap();
        match message["id"].as_u64() {
            Some(id) => drop(waiting.answers.insert(id, message)),
            None => waiting.events.push(message),
        }
        drop(waiting);
        inbox.1.notify_all();
    }
    inbox.0.lock().unwrap().ended = true;
    inbox.1.notify_all();
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
