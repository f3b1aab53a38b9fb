//! Images made by the tests, registries run by the tests; nothing outside of this machine is asked.

mod fake;
mod files;
mod making;
mod pulling;
mod refusing;
mod storing;
mod unpacking;

use super::*;
use making::Made;
use std::collections::BTreeMap as Map;

/// A provisioner and its folders.
pub struct World {
    pub dir: tempfile::TempDir,
    pub options: Options,
    pub provisioner: Provisioner,
}

impl World {
    pub fn new(home: Home) -> Self {
        Self::with(home, |_| {})
    }

    pub fn with(home: Home, change: impl FnOnce(&mut Options)) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let mut options = Options {
            store_dir: dir.path().join("store"),
            containers_dir: dir.path().join("containers"),
            home,
            credentials: Credentials::default(),
            backend: Backend::Auto,
            stall_timeout: Duration::from_secs(20),
            pull_timeout: Duration::from_secs(60),
            ignore_runtime: false,
            collection: Collection::default(),
        };
        change(&mut options);
        let provisioner = Provisioner::open(options.clone(), &[]).expect("opens");
        Self { dir, options, provisioner }
    }

    /// The agent starts again; these containers live.
    pub fn restart(self, alive: &[&str]) -> Self {
        let Self { dir, options, provisioner } = self;
        drop(provisioner);
        let alive: Vec<ContainerId> = alive.iter().map(|c| ContainerId::from(*c)).collect();
        let provisioner = Provisioner::open(options.clone(), &alive).expect("opens");
        Self { dir, options, provisioner }
    }

    pub async fn provision(&self, container: &str, image: &str) -> Result<Provisioned, String> {
        self.want(container, &wanted(image)).await
    }

    pub async fn want(&self, container: &str, wanted: &Wanted) -> Result<Provisioned, String> {
        self.provisioner.provision(&container.into(), Some(wanted), &[], &|_| {}).await
    }

    pub async fn release(&self, container: &str) {
        self.provisioner.release(&container.into()).await.expect("released");
    }

    pub fn layers(&self) -> usize {
        std::fs::read_dir(self.options.store_dir.join("layers")).expect("readable").count()
    }
}

pub fn wanted(image: &str) -> Wanted {
    Wanted { name: image.into(), cached: true, credentials: None }
}

/// What is in a root file system: paths, and contents of files (`->` and the target of links).
pub fn seen(root: &Root) -> Map<String, String> {
    let root = root.clone();
    let look = move || match root.layers {
        None => walk(&root.folder.join(root::COPY)),
        Some(n) => {
            use nix::mount::{MsFlags, mount};
            const NOTHING: Option<&str> = None;
            let flags = nix::sched::CloneFlags::CLONE_NEWNS | nix::sched::CloneFlags::CLONE_FS;
            nix::sched::unshare(flags).expect("a mount namespace");
            let slave = MsFlags::MS_SLAVE | MsFlags::MS_REC;
            mount(NOTHING, "/", NOTHING, slave, NOTHING).expect("slave");
            std::env::set_current_dir(root.folder.join(root::LINKS)).expect("entered");
            let lower: Vec<String> = (0..n).map(|n| n.to_string()).collect();
            let data = format!("lowerdir={},upperdir=../upper,workdir=../work", lower.join(":"));
            let at = root.folder.join("merged");
            std::fs::create_dir_all(&at).expect("made");
            let overlay = Some("overlay");
            mount(overlay, &at, overlay, MsFlags::empty(), Some(&*data)).expect("mounted");
            walk(&at)
        }
    };
    std::thread::spawn(look).join().expect("no panic")
}

fn walk(root: &Path) -> Map<String, String> {
    let (mut all, mut next) = (Map::new(), vec![root.to_path_buf()]);
    while let Some(dir) = next.pop() {
        for entry in std::fs::read_dir(&dir).expect("readable").flatten() {
            let (path, kind) = (entry.path(), entry.file_type().expect("known"));
            let name = path.strip_prefix(root).expect("below").display().to_string();
            if kind.is_dir() {
                all.insert(name, "/".into());
                next.push(path);
            } else if kind.is_symlink() {
                let to = std::fs::read_link(&path).expect("a link");
                all.insert(name, format!("-> {}", to.display()));
            } else {
                all.insert(name, std::fs::read_to_string(&path).unwrap_or("?".into()));
            }
        }
    }
    all
}

pub fn root_of(provisioned: &Provisioned) -> &Root {
    &provisioned.image.as_ref().expect("an image").1
}

/// Whether mounts can be made here; else says which test is skipped.
pub fn is_root(test: &str) -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        eprintln!("SKIPPED {test}: needs root");
    }
    root
}
