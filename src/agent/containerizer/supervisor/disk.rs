//! What the supervisor keeps of each container in `<run>/v1/containers/<id>/`, so that the next one can take over.
//!
//! - `spec.json`: what was asked for; first to be there, last to go;
//! - `state.json`: its first process, once it is parked; `started`: that it was let go;
//! - `status`: the task's wait status, written by the keeper;
//! - `exit.json`: how it ended; renamed into place, and synced soon after.
//!
//! What is written survives any crash of ours without a sync. After a crash of the machine there is no container
//! anyway, so on the launch path nothing is synced. Exit records are, by a forked child and many at a time: a sync in
//! the supervisor itself would hold up all others (20 ms each on a busy disk).

use crate::agent::containerizer::launch::volumes::SECRETS;
use crate::agent::containerizer::launch::within::SHM;
use crate::agent::containerizer::launch::{STATUS_FILE, private_dir};
use crate::agent::containerizer::network::JOINED;
use crate::agent::containerizer::network::files::HOME as ETC;
use crate::agent::containerizer::record::ExitRecord;
use crate::agent::containerizer::spec::ContainerSpec;
use crate::base::error::{Code, Error, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
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
        self.put("spec.json", spec).map(drop)
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

    fn put(&self, name: &str, value: &impl Serialize) -> Result<File> {
        let path = self.0.join(name);
        let bytes = serde_json::to_vec(value).map_err(|e| failed(&path, e))?;
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)
            .map_err(|e| failed(&path, e))?;
        file.write_all(&bytes).map_err(|e| failed(&path, e))?;
        Ok(file)
    }

    fn get<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        let path = self.0.join(name);
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|e| Error::new(Code::Corrupt, format!("{}: {e}", path.display()))),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(failed(&path, e)),
        }
    }

    /// What was asked for.
    ///
    /// # Errors
    /// `Corrupt` when it cannot be read as such.
    pub fn spec(&self) -> Result<Option<ContainerSpec>> {
        self.get("spec.json")
    }

    /// Its first process, if it got that far.
    ///
    /// # Errors
    /// `Corrupt` when it cannot be read as such.
    pub fn keeper(&self) -> Result<Option<Keeper>> {
        self.get("state.json")
    }

    /// Notes its first process.
    ///
    /// # Errors
    /// The path and the kernel's reason.
    pub fn put_keeper(&self, keeper: &Keeper) -> Result<()> {
        self.put("state.json", keeper).map(drop)
    }

    /// Whether it was let go.
    pub fn started(&self) -> bool {
        self.0.join("started").exists()
    }

    /// Notes that it is let go.
    ///
    /// # Errors
    /// The path and the kernel's reason.
    pub fn put_started(&self) -> Result<()> {
        self.put("started", &true).map(drop)
    }

    /// Whether its networks were left.
    pub fn left(&self) -> bool {
        self.0.join("left").exists()
    }

    /// Notes that its networks were left.
    ///
    /// # Errors
    /// The path and the kernel's reason.
    pub fn put_left(&self) -> Result<()> {
        self.put("left", &true).map(drop)
    }

    /// How the task ended, if its keeper could tell.
    pub fn status(&self) -> Option<i32> {
        let bytes = fs::read(self.0.join(STATUS_FILE)).ok()?;
        Some(i32::from_le_bytes(*bytes.first_chunk::<4>()?))
    }

    /// How it ended, if it did.
    ///
    /// # Errors
    /// `Corrupt` when it cannot be read as such.
    pub fn exit(&self) -> Result<Option<ExitRecord>> {
        self.get("exit.json")
    }

    /// Notes how it ended; to be synced.
    ///
    /// # Errors
    /// The path and the kernel's reason.
    pub fn put_exit(&self, record: &ExitRecord) -> Result<()> {
        self.put("exit.json.new", record)?;
        fs::rename(self.0.join("exit.json.new"), self.0.join("exit.json"))
            .map_err(|e| failed(&self.0, e))
    }

    /// Makes `exit.json` durable; slow.
    ///
    /// # Errors
    /// The kernel's reason.
    pub fn sync_exit(&self) -> std::io::Result<()> {
        File::open(self.0.join("exit.json"))?.sync_all()?;
        File::open(&self.0)?.sync_all()
    }

    /// Removes what only a living container needs. `rootfs` may be a mount point in a dying namespace: it is never
    /// entered.
    pub fn shrink(&self) {
        // What is missing needs no removal; what cannot be removed goes (or fails aloud) with the whole.
        let _ = fs::remove_dir(self.0.join("rootfs"));
        let _ = fs::remove_dir(self.0.join(SECRETS));
        let _ = fs::remove_dir(self.0.join(SHM));
        for name in ["state", ETC] {
            let _ = fs::remove_dir_all(self.0.join(name));
        }
        for name in ["config.json", STATUS_FILE, "started", "state.json", JOINED] {
            let _ = fs::remove_file(self.0.join(name));
        }
    }

    /// Removes all of it.
    ///
    /// # Errors
    /// The path and the kernel's reason.
    pub fn remove(&self) -> Result<()> {
        self.shrink();
        for name in ["left", "exit.json", "exit.json.new", "spec.json"] {
            match fs::remove_file(self.0.join(name)) {
                Err(e) if e.kind() != ErrorKind::NotFound => return Err(failed(&self.0, e)),
                _ => {}
            }
        }
        match fs::remove_dir(&self.0) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(failed(&self.0, e)),
            _ => Ok(()),
        }
    }
}
