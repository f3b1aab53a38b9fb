//! Putting images together, in the mount namespace of a container's builder: nobody else sees it, and it goes with the last
//! process that does. Devices in them do not work, and set-user-id programs give nothing.

use super::account::Account;
use super::mesos::mounting;
use super::volumes;
use crate::agent::containerizer::spec::{ContainerSpec, ImageRoot, ImageVolume, Root};
use crate::agent::provisioner::root::{COPY, LINKS, MERGED, UPPER, WORK};
use crate::agent::provisioner::tree::{Tree, inside};
use nix::mount::{MsFlags, mount};
use std::path::{Path, PathBuf};

/// What containers of images do not see, beside what none sees.
pub const MASKED: [&str; 5] = [
    "/proc/acpi",
    "/proc/latency_stats",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/sys/firmware",
];
/// Files of the host by which names are found on its network.
const NAMES: [&str; 3] = ["/etc/resolv.conf", "/etc/hosts", "/etc/hostname"];
const NOTHING: Option<&str> = None;
const FLAGS: MsFlags = MsFlags::MS_NODEV.union(MsFlags::MS_NOSUID);

/// Where a volume is put together.
pub fn merged(root: &Root) -> PathBuf {
    root.folder.join(MERGED)
}

/// The files by which names are found: where they really are, and what they are called.
pub fn names() -> impl Iterator<Item = (PathBuf, &'static Path)> {
    let real = |name: &'static str| {
        let source = Path::new(name).canonicalize().ok().filter(|p| p.is_file());
        source.map(|source| (source, Path::new(name)))
    };
    NAMES.into_iter().filter_map(real)
}

/// Puts the container's own image together at `at`, with what must be in it before it is entered.
///
/// # Errors
/// A text: what failed and why.
pub fn mount_root(image: &ImageRoot, at: &Path) -> Result<(), String> {
    put_together(&image.root, at)?;
    let mut tree = Tree::open(at)?;
    tree.folder(&inside(&image.cwd)?)
        .map_err(|e| format!("the working directory cannot be made: {e}"))?;
    // What is mounted over them must not follow links of the image, which may lead nowhere.
    for name in NAMES {
        let path = inside(Path::new(name))?;
        let is_link = |s: &nix::sys::stat::FileStat| s.st_mode & libc::S_IFMT == libc::S_IFLNK;
        let above = path.parent().unwrap_or(Path::new(""));
        if tree.read(above).is_ok() && tree.look(&path)?.as_ref().is_some_and(is_link) {
            tree.remove(&path)?;
        }
    }
    Ok(())
}

/// Puts an image that is a volume together, and makes the place where it is to be seen if that is in the sandbox.
///
/// # Errors
/// A text: what failed and why.
pub fn mount_volume(
    volume: &ImageVolume,
    spec: &ContainerSpec,
    account: &Account,
) -> Result<(), String> {
    if let Ok(path) = volume.target.strip_prefix(spec.sandbox_inside()) {
        volumes::below(&spec.sandbox, path, account, volumes::Kind::Directory)?;
    }
    put_together(&volume.root, &merged(&volume.root))
}

fn put_together(root: &Root, at: &Path) -> Result<(), String> {
    let Some(layers) = root.layers else {
        let copy = root.folder.join(COPY);
        mount(Some(&copy), at, NOTHING, MsFlags::MS_BIND, NOTHING).map_err(mounting("an image"))?;
        let again = FLAGS | MsFlags::MS_REMOUNT | MsFlags::MS_BIND;
        return mount(NOTHING, at, NOTHING, again, NOTHING).map_err(mounting("an image"));
    };
    let links = root.folder.join(LINKS);
    let here = std::env::current_dir().unwrap_or_else(|_| "/".into());
    // Short names, so that those of all layers fit into one page, and none needs escaping.
    std::env::set_current_dir(&links).map_err(|e| format!("{}: {e}", links.display()))?;
    let lower: Vec<String> = (0..layers).map(|n| n.to_string()).collect();
    let data = format!("lowerdir={},upperdir=../{UPPER},workdir=../{WORK}", lower.join(":"));
    let overlay = Some("overlay");
    let mounted = mount(overlay, at, overlay, FLAGS, Some(&*data));
    let back = std::env::set_current_dir(&here);
    mounted.map_err(mounting("the layers of an image"))?;
    back.map_err(|e| format!("{}: {e}", here.display()))
}
