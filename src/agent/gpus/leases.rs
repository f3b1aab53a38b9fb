//! Which container has which GPU: a file for each container that has some, so that it is known after a restart of the agent.

use super::find::{Gpu, Node};
use crate::base::ids::ContainerId;
use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// All GPUs that an agent gives out.
#[derive(Debug)]
pub struct Leases {
    all: Vec<Gpu>,
    control: Vec<Node>,
    dir: PathBuf,
    /// Held while files are looked at and written.
    turn: Mutex<()>,
}

fn at(path: &Path) -> impl Fn(std::io::Error) -> String + '_ {
    move |e| format!("{}: {e}", path.display())
}

impl Leases {
    /// Of those GPUs, written down in `dir`. What containers had that are not `alive` is free.
    ///
    /// # Errors
    /// A text with the path.
    pub fn open(
        dir: PathBuf,
        all: Vec<Gpu>,
        control: Vec<Node>,
        alive: &[ContainerId],
    ) -> Result<Self, String> {
        fs::create_dir_all(&dir).map_err(at(&dir))?;
        for entry in fs::read_dir(&dir).map_err(at(&dir))?.flatten() {
            let name = entry.file_name();
            if !alive.iter().any(|id| name.to_str() == Some(id.as_str())) {
                fs::remove_file(entry.path()).map_err(at(&entry.path()))?;
            }
        }
        Ok(Self { all, control, dir, turn: Mutex::new(()) })
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.all.len()
    }

    /// Gives a container that many, or those it has already; with the devices that go with all of them.
    ///
    /// # Errors
    /// The text of the status message: there are not so many left, or it cannot be written down.
    pub fn lease(&self, container: &ContainerId, wanted: usize) -> Result<Vec<Node>, String> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let path = self.dir.join(container.as_str());
        let mut mine = read(&path)?;
        if mine.len() != wanted {
            let mut taken = BTreeSet::new();
            for entry in fs::read_dir(&self.dir).map_err(at(&self.dir))?.flatten() {
                if entry.path() != path {
                    taken.extend(read(&entry.path())?);
                }
            }
            let free = self.all.iter().map(|gpu| gpu.node.number.1);
            let free: Vec<u64> = free.filter(|minor| !taken.contains(minor)).collect();
            if free.len() < wanted {
                let free = free.len();
                return Err(format!("Requested {wanted} but only {free} available"));
            }
            mine = free.into_iter().take(wanted).collect();
            write(&path, &mine)?;
        }
        let has = |gpu: &&Gpu| mine.contains(&gpu.node.number.1);
        let own = self.all.iter().filter(has).map(|gpu| gpu.node.clone());
        Ok(self.control.iter().cloned().chain(own).collect())
    }

    /// Takes back what a container has.
    ///
    /// # Errors
    /// A text with the path.
    pub fn release(&self, container: &ContainerId) -> Result<(), String> {
        let path = self.dir.join(container.as_str());
        match fs::remove_file(&path) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(at(&path)(e)),
            _ => Ok(()),
        }
    }
}

/// The minor numbers in a file. One that a crash tore is of a container that had not begun.
fn read(path: &Path) -> Result<Vec<u64>, String> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(text.split_whitespace().filter_map(|word| word.parse().ok()).collect()),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(e) => Err(at(path)(e)),
    }
}

/// Nothing of it needs to outlive the machine: no container does.
fn write(path: &Path, minors: &[u64]) -> Result<(), String> {
    let words: Vec<String> = minors.iter().map(u64::to_string).collect();
    if words.is_empty() {
        return match fs::remove_file(path) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(at(path)(e)),
            _ => Ok(()),
        };
    }
    fs::write(path, words.join(" ")).map_err(at(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leases(dir: &Path, alive: &[ContainerId]) -> Leases {
        let node = |name: String, minor| Node { path: name.into(), number: (195, minor) };
        let gpu = |minor| Gpu { model: None, node: node(format!("/dev/nvidia{minor}"), minor) };
        let control = vec![node("/dev/nvidiactl".into(), 255)];
        Leases::open(dir.to_owned(), [0, 1, 2].map(gpu).into(), control, alive).unwrap()
    }

    #[test]
    fn each_gpu_is_one_container_s_until_that_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let all = leases(dir.path(), &[]);
        let minors = |nodes: Result<Vec<Node>, String>| -> Vec<u64> {
            nodes.unwrap().iter().map(|n| n.number.1).collect()
        };
        let [a, b, c] = ["a", "b", "c"].map(ContainerId::from);
        assert_eq!(minors(all.lease(&a, 2)), [255, 0, 1]);
        assert_eq!(minors(all.lease(&a, 2)), [255, 0, 1], "asked again");
        let why = all.lease(&b, 2).unwrap_err();
        assert_eq!(why, "Requested 2 but only 1 available");
        assert_eq!(minors(all.lease(&b, 1)), [255, 2]);
        assert_eq!(minors(all.lease(&c, 0)), [255], "tools are told that there are none");
        all.release(&a).unwrap();
        all.release(&a).unwrap();
        assert_eq!(minors(all.lease(&c, 1)), [255, 0]);
        // Another agent process: who lives keeps what it has.
        let again = leases(dir.path(), std::slice::from_ref(&b));
        assert_eq!(minors(again.lease(&a, 2)), [255, 0, 1]);
        assert_eq!(minors(again.lease(&b, 1)), [255, 2]);
    }
}
