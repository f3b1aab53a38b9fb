//! A data folder without room: the node says so and lives, the others go on; with room again it has everything.

use super::history;
use super::load::Load;
use super::node::{Node, until};
use super::world::World;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Of each data folder, with both databases.
const SIZE: &str = "size=32m";

/// A small file system, gone when this is dropped.
struct Small(PathBuf);

impl Small {
    fn at(path: PathBuf) -> Self {
        std::fs::create_dir_all(&path).unwrap();
        mount(Some("tmpfs"), &path, Some("tmpfs"), MsFlags::empty(), Some(SIZE)).unwrap();
        Self(path)
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = umount2(&self.0, MntFlags::MNT_DETACH);
    }
}

/// Fills the file system that this folder is on, to the last byte.
fn fill(dir: &Path) -> PathBuf {
    let path = dir.join("filler");
    let mut file = File::create(&path).unwrap();
    for size in [1 << 20, 4096, 1] {
        while file.write_all(&vec![0; size]).is_ok() {}
    }
    path
}

#[test]
fn a_full_disk_ends_nothing() {
    let Some(mut world) = World::prepare(3, &[]) else { return };
    // Gone last: while they are used they cannot be taken away.
    let place = tempfile::tempdir().unwrap();
    let open = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(place.path(), open).unwrap();
    let small: Vec<Small> =
        (1..=3).map(|n| Small::at(place.path().join(format!("small{n}")))).collect();
    for (node, small) in world.nodes.iter_mut().zip(&small) {
        node.keep_in(small.0.join("data"));
    }
    world.found();
    world.join(2);
    world.join(3);
    world.wait_for_voters(3);
    world.wait_for_agents(3);
    let all = [1, 2, 3];
    let load = Load::begin(&world, &all, "d");
    until("writes are under way", || load.acknowledged() > 10);
    let leader = world.leader_among(&all);
    let follower = world.others(&[leader])[0];
    for number in [follower, leader] {
        let filler = fill(&small[number - 1].0);
        let at = load.acknowledged();
        until(&format!("writes go on while h{number} has no room"), || {
            load.acknowledged() > at + 20
        });
        std::thread::sleep(Duration::from_secs(2));
        assert!(world.nodes.iter_mut().all(Node::runs), "a full disk ends no node");
        let said = world.node(number).said();
        assert!(said.contains("the disk is full"), "h{number} says why: {said}");
        let pid = world.node(number).pid();
        std::fs::remove_file(filler).unwrap();
        until(&format!("h{number} starts again"), || {
            world.node(number).said().matches("Stop: Ctrl-C").count() == 2
        });
        assert_eq!(world.node(number).pid(), pid, "the same process");
        assert!(world.node(number).runs());
        world.wait_for_voters(3);
        world.wait_for_agents(3);
        until("all agree again", || world.leader_among(&all) > 0);
    }
    history::check(&world, &all, &load.end());
    drop(world);
    drop(small);
}
