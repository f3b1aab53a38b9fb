//! When a task's first instruction ran: this very binary, started again, reads the clock as its first act.

use crate::Result;
use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The first argument that makes this binary a stamp: `stamp FILE NAME [hold]`.
pub const ARGUMENT: &str = "stamp";
/// How long a stamp may take to come.
const WITHIN: Duration = Duration::from_secs(60);

/// The monotonic clock, in nanoseconds; the same in every process of the machine.
pub fn now() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` outlives the call, which writes nothing else.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Notes the time under a name, in one write; with `hold`, stays until it is killed.
pub fn leave(args: &[String]) -> Result<()> {
    let line = now();
    let [file, name, hold @ ..] = args else { return Err("stamp FILE NAME [hold]".into()) };
    let line = format!("{name} {line}\n");
    OpenOptions::new().append(true).open(file)?.write_all(line.as_bytes())?;
    while !hold.is_empty() {
        // SAFETY: waits for a signal, touches nothing.
        unsafe { libc::pause() };
    }
    Ok(())
}

/// The file that stamps are left in.
pub struct Stamps(PathBuf);

impl Stamps {
    /// A new, empty one.
    pub fn new(dir: &Path) -> Result<Self> {
        let path = dir.join("stamps");
        std::fs::write(&path, "")?;
        Ok(Self(path))
    }

    /// The command line that leaves one.
    pub fn command(&self, name: &str, hold: bool) -> Result<Vec<String>> {
        let own = std::env::current_exe()?.display().to_string();
        let mut line = vec![own, ARGUMENT.into(), self.0.display().to_string(), name.into()];
        line.extend(hold.then(|| "hold".to_string()));
        Ok(line)
    }

    /// All so far.
    pub fn all(&self) -> Result<BTreeMap<String, u64>> {
        let text = std::fs::read_to_string(&self.0)?;
        let pair = |line: &str| {
            let (name, time) = line.split_once(' ')?;
            Some((name.to_string(), time.parse().ok()?))
        };
        Ok(text.lines().filter_map(pair).collect())
    }

    /// Waits for one.
    pub async fn wait(&self, name: &str) -> Result<u64> {
        let deadline = Instant::now() + WITHIN;
        loop {
            if let Some(time) = self.all()?.get(name) {
                return Ok(*time);
            }
            if Instant::now() > deadline {
                return Err(format!("no stamp '{name}' within {WITHIN:?}").into());
            }
            tokio::time::sleep(Duration::from_micros(500)).await;
        }
    }
}
