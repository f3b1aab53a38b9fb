//! Finding GPUs by what the driver shows: `/dev/nvidia<minor>`, and a folder for each by its place on the bus in
//! `/proc/driver/nvidia/gpus`.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

/// Devices that every program needs to speak with the driver.
const CONTROL: [&str; 2] = ["nvidiactl", "nvidia-uvm"];
/// One that tools use, where it is.
const TOOLS: &str = "nvidia-uvm-tools";
/// GPUs of one machine, at most.
pub const GPUS_MAX: usize = 256;

/// A device file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Node {
    /// Below `/dev`, in containers.
    pub path: PathBuf,
    /// Its number.
    pub number: (u64, u64),
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gpu {
    /// What it is called, if the driver says so.
    pub model: Option<String>,
    /// Its device file.
    pub node: Node,
}

/// All of a machine, in the order of their places on the bus, by which they are numbered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    /// The GPUs.
    pub gpus: Vec<Gpu>,
    /// The devices that go with all of them.
    pub control: Vec<Node>,
    /// Of those, which are missing.
    pub missing: Vec<String>,
}

impl Machine {
    /// Looks below `root`, which is `/` but in tests.
    pub fn look(root: &Path) -> Self {
        let dev = root.join("dev");
        let node = |name: &str| node(&dev, name);
        let mut gpus = Vec::new();
        let mut minors: BTreeMap<u32, ()> = BTreeMap::new();
        for (minor, model) in by_bus(&root.join("proc/driver/nvidia/gpus")) {
            if let Some(node) = node(&format!("nvidia{minor}")) {
                minors.insert(minor, ());
                gpus.push(Gpu { model, node });
            }
        }
        // A driver that tells nothing in /proc still has its device files.
        for minor in device_files(&dev).filter(|minor| !minors.contains_key(minor)) {
            let node = node(&format!("nvidia{minor}"));
            gpus.extend(node.map(|node| Gpu { model: None, node }));
        }
        gpus.truncate(GPUS_MAX);
        if gpus.is_empty() {
            return Self::default();
        }
        let missing = CONTROL.iter().filter(|name| node(name).is_none());
        let missing = missing.map(|name| format!("/dev/{name}")).collect();
        let control = CONTROL.into_iter().chain([TOOLS]).filter_map(node).collect();
        Self { gpus, control, missing }
    }
}

fn node(dev: &Path, name: &str) -> Option<Node> {
    let meta = fs::metadata(dev.join(name)).ok()?;
    let number = meta.rdev();
    meta.file_type().is_char_device().then(|| Node {
        path: Path::new("/dev").join(name),
        number: (nix::sys::stat::major(number), nix::sys::stat::minor(number)),
    })
}

/// The numbers of the device files, in order.
fn device_files(dev: &Path) -> impl Iterator<Item = u32> {
    let entries = fs::read_dir(dev).into_iter().flatten().flatten();
    let mut minors: Vec<u32> = entries
        .filter_map(|e| e.file_name().to_str()?.strip_prefix("nvidia")?.parse().ok())
        .collect();
    minors.sort_unstable();
    minors.into_iter()
}

/// Minor numbers and names, in the order of the bus: the folders' names are addresses on it.
fn by_bus(folder: &Path) -> Vec<(u32, Option<String>)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = entries.map(|e| e.path()).collect();
    folders.sort();
    let of = |folder: &PathBuf| {
        let text = fs::read_to_string(folder.join("information")).ok()?;
        let value = |key: &str| {
            let line =
                text.lines().find_map(|line| line.strip_prefix(key)?.trim().strip_prefix(':'));
            line.map(|value| value.trim().to_owned())
        };
        Some((value("Device Minor")?.parse().ok()?, value("Model").filter(|m| !m.is_empty())))
    };
    folders.iter().filter_map(of).collect()
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use nix::sys::stat::{Mode, SFlag, makedev, mknod};

    /// A machine with device files of these minors; none: this user may not make such.
    pub fn machine(minors: &[u64], models: &[(&str, u32, &str)]) -> Option<tempfile::TempDir> {
        if !nix::unistd::geteuid().is_root() {
            eprintln!("SKIPPED: device files need root");
            return None;
        }
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("dev")).unwrap();
        let make = |name: &str, major, minor| {
            let path = root.path().join("dev").join(name);
            mknod(&path, SFlag::S_IFCHR, Mode::from_bits_truncate(0o666), makedev(major, minor))
                .is_ok()
        };
        let made = minors.iter().all(|minor| make(&format!("nvidia{minor}"), 195, *minor))
            && make("nvidiactl", 195, 255)
            && make("nvidia-uvm", 511, 0);
        for (bus, minor, model) in models {
            let folder = root.path().join("proc/driver/nvidia/gpus").join(bus);
            fs::create_dir_all(&folder).unwrap();
            let text = format!("Model: \t\t {model}\nIRQ:   \t\t 33\nDevice Minor: \t {minor}\n");
            fs::write(folder.join("information"), text).unwrap();
        }
        made.then_some(root)
    }

    #[test]
    fn they_are_numbered_as_on_the_bus() {
        let models =
            [("0000:0a:00.0", 1, "Tesla T4"), ("0000:03:00.0", 0, "A100"), ("bad", 9, "gone")];
        let Some(root) = machine(&[0, 1, 2], &models) else { return };
        let found = Machine::look(root.path());
        let told: Vec<_> = found.gpus.iter().map(|g| (g.model.as_deref(), g.node.number)).collect();
        assert_eq!(
            told,
            [(Some("A100"), (195, 0)), (Some("Tesla T4"), (195, 1)), (None, (195, 2))]
        );
        assert_eq!(found.gpus[1].node.path, Path::new("/dev/nvidia1"));
        let control: Vec<_> = found.control.iter().map(|n| n.path.to_str().unwrap()).collect();
        assert_eq!(control, ["/dev/nvidiactl", "/dev/nvidia-uvm"]);
        assert_eq!(found.missing, Vec::<String>::new());
    }

    #[test]
    fn files_that_are_no_devices_are_no_gpus() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("dev")).unwrap();
        for name in ["nvidia0", "nvidiactl", "nvidia-modeset"] {
            fs::write(root.path().join("dev").join(name), "").unwrap();
        }
        assert_eq!(Machine::look(root.path()), Machine::default());
        assert_eq!(Machine::look(&root.path().join("nowhere")), Machine::default());
    }
}
