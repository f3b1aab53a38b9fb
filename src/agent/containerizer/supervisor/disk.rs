//! What the supervisor keeps of each container in `<run>/v1/containers/<id>/`, so that the next one can take over.
//!
//! - `record`: one line of JSON for each thing that came to pass: what was asked for, its first process once it is parked,
//!   that it was let go, how it ended; first to be there, last to go;
//! - `status`: the task's wait status, written by the keeper; `gate`: what the keeper waits at.
//!
//! Few files, each made once: to make and remove them is a good part of what a short task costs. What is written survives any
//! crash of ours without a sync. After a crash of the machine there is no container anyway, so on the launch path nothing
//! is synced. Ends are, by a forked child and many at a time: a sync in the supervisor itself would hold up all others
//! (20 ms each on a busy disk). A line that was torn, and all after it, is taken for not written.

use crate::agent::containerizer::launch::{GATE_FILE, STATUS_FILE, private_dir};
use crate::agent::containerizer::network::JOINED;
use crate::agent::containerizer::network::files::HOME as ETC;
use crate::agent::containerizer::record::ExitRecord;
use crate::agent::containerizer::spec::ContainerSpec;
use crate::base::error::{Code, Error, Result};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// A container's first process. The boot and the start time tell it from a later one with its number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keeper {
    /// Its number on the host.
    pub pid: i32,
    /// When it started, in clock ticks since boot.
    pub start_time: u64,
    /// Which boot.
    pub boot_id: String,
}

const RECORD: &str = "record";

/// A line of the record.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line<'a> {
    Spec(Box<Cow<'a, ContainerSpec>>),
    Keeper(Cow<'a, Keeper>),
    Started,
    Left,
    Exit(Cow<'a, ExitRecord>),
}

/// All that is known of a container by its record.
#[derive(Debug, Default)]
pub struct Known {
    /// What was asked for.
    pub spec: Option<ContainerSpec>,
    /// Its first process, if it got that far.
    pub keeper: Option<Keeper>,
    /// Whether it was let go.
    pub started: bool,
    /// Whether its networks were left.
    pub left: bool,
    /// How it ended, if it did.
    pub exit: Option<ExitRecord>,
}

fn failed(path: &Path, e: impl std::fmt::Display) -> Error {
    Error::new(Code::System, format!("{}: {e}", path.display()))
}

/// This boot of the machine.
pub fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

/// A container's directory.
#[derive(Clone, Debug)]
pub struct Dir(pub PathBuf);

impl Dir {
    /// Makes it, with what was asked for in it.
    ///
    /// # Errors
    /// `Conflict` when it exists; else the path and the kernel's reason.
    pub fn make(path: PathBuf, spec: &ContainerSpec) -> Result<Dir> {
        if path.exists() {
            return Err(Error::new(Code::Conflict, format!("container {} exists", spec.id)));
        }
        private_dir(&path)?;
        let dir = Dir(path);
        dir.put_spec(spec)?;
        Ok(dir)
    }

    /// Makes that of a container nobody has asked for yet.
    ///
    /// # Errors
    /// The path and the kernel's reason.
    pub fn make_blank(path: PathBuf) -> Result<Dir> {
        private_dir(&path)?;
        Ok(Dir(path))
    }

    /// Notes what was asked for.
    ///
    /// # Errors
    /// The path and the kernel's reason.
    pub fn put_spec(&self, spec: &ContainerSpec) -> Result<()> {
        self.put(&Line::Spec(Box::new(Cow::Borrowed(spec))))
    }

    /// From now on it is there, with all that is in it.
    ///
    /// # Errors
    /// `Conflict` when there is one already; else the path and the kernel's reason.
    pub fn become_dir(&mut self, path: PathBuf) -> Result<()> {
        if path.exists() {
            return Err(Error::new(Code::Conflict, format!("{} exists", path.display())));
        }
        fs::rename(&self.0, &path).map_err(|e| failed(&self.0, e))?;
        self.0 = path;
        Ok(())
    }

    /// Adds a line, whole or not at all.
    fn put(&self, line: &Line<'_>) -> Result<()> {
        let path = self.0.join(RECORD);
        let mut bytes = serde_json::to_vec(line).map_err(|e| failed(&path, e))?;
        bytes.push(b'\n');
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(&path);
        let mut file = file.map_err(|e| failed(&path, e))?;
        let before = file.metadata().map_err(|e| failed(&path, e))?.len();
        file.write_all(&bytes).map_err(|e| {
            // On a full disk a part of it may have gone in, which would tear what is added later.
            match file.set_len(before) {
                Ok(()) => failed(&path, e),
                Err(torn) => {
                    failed(&path, format!("{e}; and what was written of it stays: {torn}"))
                }
            }
        })
    }

    /// All that is known of it. What was torn is cut off, so that what is noted from now on is known later.
    ///
    /// # Errors
    /// The path and the kernel's reason.
    pub fn known(&self) -> Result<Known> {
        let path = self.0.join(RECORD);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Known::default()),
            Err(e) => return Err(failed(&path, e)),
        };
        let mut known = Known::default();
        let mut whole = 0;
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            // Without its end it is torn.
            let told = line.strip_suffix(b"\n").and_then(|line| serde_json::from_slice(line).ok());
            match told {
                Some(Line::Spec(spec)) => known.spec = Some(spec.into_owned()),
                Some(Line::Keeper(keeper)) => known.keeper = Some(keeper.into_owned()),
                Some(Line::Started) => known.started = true,
                Some(Line::Left) => known.left = true,
                Some(Line::Exit(exit)) => known.exit = Some(exit.into_owned()),
                None => break,
            }
            whole += line.len() as u64;
        }
        if whole < bytes.len() as u64 {
            let file = OpenOptions::new().write(true).open(&path);
            file.and_then(|file| file.set_len(whole)).map_err(|e| failed(&path, e))?;
        }
        Ok(known)
    }

    /// Notes its first process.
    ///
    /// # Errors
    /// The path and the kernel's reason.
    pub fn put_keeper(&self, keeper: &Keeper) -> Result<()> {
        self.put(&Line::Keeper(Cow::Borrowed(keeper)))
    }

    /// Notes that it is let go.
    ///
    /// # Errors
    /// The path and the kernel's reason.
    pub fn put_started(&self) -> Result<()> {
        self.put(&Line::Started)
    }

    /// Notes that its networks were left.
    ///
    /// # Errors
    /// The path and the kernel's reason.
    pub fn put_left(&self) -> Result<()> {
        self.put(&Line::Left)
    }

    /// How the task ended, if its keeper could tell.
    pub fn status(&self) -> Option<i32> {
        let bytes = fs::read(self.0.join(STATUS_FILE)).ok()?;
        Some(i32::from_le_bytes(*bytes.first_chunk::<4>()?))
    }

    /// Notes how it ended; to be synced.
    ///
    /// # Errors
    /// The path and the kernel's reason.
    pub fn put_exit(&self, record: &ExitRecord) -> Result<()> {
        self.put(&Line::Exit(Cow::Borrowed(record)))
    }

    /// Makes the record durable; slow.
    ///
    /// # Errors
    /// The kernel's reason.
    pub fn sync(&self) -> std::io::Result<()> {
        File::open(self.0.join(RECORD))?.sync_all()?;
        File::open(&self.0)?.sync_all()
    }

    /// Removes what only a living container needs.
    pub fn shrink(&self) {
        // What is missing needs no removal; what cannot be removed goes (or fails aloud) with the whole.
        let _ = fs::remove_dir_all(self.0.join(ETC));
        for name in [GATE_FILE, STATUS_FILE, JOINED] {
            let _ = fs::remove_file(self.0.join(name));
        }
    }

    /// Removes all of it.
    ///
    /// # Errors
    /// The path and the kernel's reason.
    pub fn remove(&self) -> Result<()> {
        self.shrink();
        match fs::remove_file(self.0.join(RECORD)) {
            Err(e) if e.kind() != ErrorKind::NotFound => return Err(failed(&self.0, e)),
            _ => {}
        }
        match fs::remove_dir(&self.0) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(failed(&self.0, e)),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::Wall;

    fn keeper(pid: i32) -> Keeper {
        Keeper { pid, start_time: 7, boot_id: "b".into() }
    }

    #[test]
    fn what_was_noted_is_known_and_what_was_torn_is_not() {
        let home = tempfile::tempdir().unwrap();
        let dir = Dir::make_blank(home.path().join("c")).unwrap();
        assert_eq!(dir.known().unwrap().keeper, None, "nothing yet");
        dir.put_keeper(&keeper(1)).unwrap();
        dir.put_started().unwrap();
        let record = ExitRecord { status: Some(256), oom: None, pids: None, at: Wall(5_000) };
        dir.put_exit(&record).unwrap();
        let known = dir.known().unwrap();
        assert_eq!((known.keeper, known.exit), (Some(keeper(1)), Some(record)));
        assert_eq!((known.started, known.left, known.spec.is_some()), (true, false, false));
        dir.put_left().unwrap();
        assert!(dir.known().unwrap().left);
        // A machine that crashed wrote the last line in part, and whatever after it.
        let path = dir.0.join(RECORD);
        let whole = fs::read(&path).unwrap();
        let torn = whole.len() - br#""left"."#.len();
        for cut in torn..whole.len() {
            fs::write(&path, &whole[..cut]).unwrap();
            let known = dir.known().unwrap();
            assert!(known.exit.is_some() && !known.left, "{cut}");
            dir.put_left().unwrap();
            assert!(dir.known().unwrap().left, "what is noted after it: {cut}");
        }
        fs::write(&path, [b"\0\0\n".as_slice(), &whole].concat()).unwrap();
        assert!(!dir.known().unwrap().started, "nothing after it is believed");
        dir.remove().unwrap();
        assert!(!dir.0.exists());
    }
}
