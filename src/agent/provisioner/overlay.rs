//! Whether overlayfs can be mounted here: tried, not guessed.

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use std::fs;
use std::path::Path;

const NOTHING: Option<&str> = None;

/// Mounts an overlay below `dir` where nobody else sees it, and writes through it.
///
/// # Errors
/// Why it cannot be.
pub fn probe(dir: &Path) -> Result<(), String> {
    let dir = dir.to_path_buf();
    // On a thread of its own: the mounts that it sees go with it.
    let tried = std::thread::spawn(move || {
        let tried = attempt(&dir);
        let removed = super::remove::remove_tree(&dir);
        tried.and_then(|()| removed.map_err(|e| e.to_string()))
    });
    tried.join().unwrap_or_else(|_| Err("it panicked".into()))
}

fn attempt(dir: &Path) -> Result<(), String> {
    let text = |what: &str| {
        let what = what.to_owned();
        move |e: nix::Error| format!("{what}: {e}")
    };
    for name in ["lower", "upper", "work", "merged"] {
        fs::create_dir_all(dir.join(name)).map_err(|e| e.to_string())?;
    }
    fs::write(dir.join("lower/file"), "lower").map_err(|e| e.to_string())?;
    unshare(CloneFlags::CLONE_FS | CloneFlags::CLONE_NEWNS).map_err(text("a mount namespace"))?;
    let slave = MsFlags::MS_SLAVE | MsFlags::MS_REC;
    mount(NOTHING, "/", NOTHING, slave, NOTHING).map_err(text("mounts of its own"))?;
    // By short names, which need no escaping.
    nix::unistd::chdir(dir).map_err(text("its folder"))?;
    let data = "lowerdir=lower,upperdir=upper,workdir=work";
    mount(Some("overlay"), "merged", Some("overlay"), MsFlags::empty(), Some(data))
        .map_err(text("mounting overlayfs"))?;
    let written = fs::read_to_string("merged/file").and_then(|t| fs::write("merged/new", t));
    let outcome = written.map_err(|e| format!("writing through overlayfs: {e}"));
    let gone = nix::mount::umount2("merged", nix::mount::MntFlags::MNT_DETACH);
    outcome.and(gone.map_err(text("unmounting overlayfs")))
}
