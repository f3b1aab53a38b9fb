//! The store and root file systems: what is kept, what goes, over restarts too; overlays and copies alike.

use super::fake::Registry;
use super::making::{dir, file, gzip, layer, link, other};
use super::*;

/// Three layers that hide, replace and renew things of each other.
fn crossed() -> Made {
    let low = layer(&[
        dir("keep"),
        file("keep/a", "low"),
        dir("gone"),
        file("gone/deep/x", "low"),
        file("file", "low"),
        dir("was-dir"),
        file("was-dir/x", "low"),
        file("was-file", "low"),
        link("was-link", "/keep"),
        dir("opaque"),
        file("opaque/old", "low"),
        dir("renewed"),
        file("renewed/old", "low"),
        file("kept", "low"),
    ]);
    let middle = layer(&[
        file("keep/b", "middle"),
        file(".wh.gone", ""),
        file("file", "middle"),
        file("was-dir", "now a file"),
        dir("was-file"),
        file("was-file/x", "middle"),
        dir("was-link"),
        file("was-link/x", "middle"),
        dir("opaque"),
        file("opaque/.wh..wh..opq", ""),
        file("opaque/new", "middle"),
        file(".wh.renewed", ""),
        dir("renewed"),
        file("renewed/new", "middle"),
    ]);
    let mut second = other("second", tar::EntryType::Link);
    second.to = "first";
    let high = layer(&[file("keep/.wh.a", ""), file("gone", "back"), file("first", "1"), second]);
    Made::new(vec![low, middle, high], gzip)
}

fn expected() -> Map<String, String> {
    [
        ("keep", "/"),
        ("keep/b", "middle"),
        ("gone", "back"),
        ("file", "middle"),
        ("was-dir", "now a file"),
        ("was-file", "/"),
        ("was-file/x", "middle"),
        ("was-link", "/"),
        ("was-link/x", "middle"),
        ("opaque", "/"),
        ("opaque/new", "middle"),
        ("renewed", "/"),
        ("renewed/new", "middle"),
        ("kept", "low"),
        ("first", "1"),
        ("second", "1"),
    ]
    .map(|(name, content)| (name.to_owned(), content.to_owned()))
    .into()
}

// covers: MES-0895, MES-0896, MES-0899, MES-0901
#[tokio::test]
async fn overlays_and_copies_show_the_same() {
    if !is_root("overlays_and_copies_show_the_same") {
        return;
    }
    let registry = Registry::start().await;
    registry.push("app", "latest", &crossed());
    for backend in [Backend::Overlay, Backend::Copy] {
        let world = World::with(registry.home(), |o| o.backend = backend);
        let provisioned = world.provision("c1", "app").await.expect("pulled");
        let root = root_of(&provisioned);
        assert_eq!(root.layers.is_some(), backend == Backend::Overlay);
        assert_eq!(seen(root), expected(), "{backend:?}");
        world.release("c1").await;
        assert!(!root.folder.exists());
    }
}

// covers: MES-0900
#[tokio::test]
async fn many_layers_work() {
    if !is_root("many_layers_work") {
        return;
    }
    let registry = Registry::start().await;
    let one = |n: usize| layer(&[file("all", &n.to_string()), file(format!("f{n}").leak(), "")]);
    registry.push("app", "latest", &Made::new((0..120).map(one).collect(), gzip));
    let world = World::new(registry.home());
    let provisioned = world.provision("c1", "app").await.expect("pulled");
    let all = seen(root_of(&provisioned));
    assert_eq!((all.len(), all["all"].as_str()), (121, "119"));
}

#[tokio::test]
async fn a_layer_may_hide_all_that_is_below() {
    if !is_root("a_layer_may_hide_all_that_is_below") {
        return;
    }
    let registry = Registry::start().await;
    let layers =
        vec![layer(&[file("old", "")]), layer(&[file(".wh..wh..opq", ""), file("new", "")])];
    registry.push("app", "latest", &Made::new(layers, gzip));
    registry.push("empty", "latest", &Made::new(Vec::new(), gzip));
    for backend in [Backend::Overlay, Backend::Copy] {
        let world = World::with(registry.home(), |o| o.backend = backend);
        let provisioned = world.provision("c1", "app").await.expect("pulled");
        assert_eq!(seen(root_of(&provisioned)).into_keys().collect::<Vec<_>>(), ["new"]);
        let empty = world.provision("c2", "empty").await.expect("pulled");
        assert!(seen(root_of(&empty)).is_empty());
    }
}

#[tokio::test]
async fn what_is_used_stays_when_the_rest_is_removed() {
    let registry = Registry::start().await;
    let shared = layer(&[file("base", "")]);
    for name in ["used", "unused", "excluded"] {
        let own = layer(&[file("own", name)]);
        registry.push(name, "latest", &Made::new(vec![shared.clone(), own], gzip));
    }
    let world = World::new(registry.home());
    for (container, image) in [("c1", "used"), ("c2", "unused"), ("c3", "excluded")] {
        world.provision(container, image).await.expect("pulled");
    }
    let nothing = world.provisioner.prune(&[]).await.expect("pruned");
    assert_eq!(nothing, Default::default());
    world.release("c2").await;
    world.release("c3").await;
    let removed = world.provisioner.prune(&["excluded:latest".into()]).await.expect("pruned");
    assert_eq!((removed.images, removed.layers), (1, 1));
    // The agent starts again; the container lives on.
    let world = world.restart(&["c1"]);
    let removed = world.provisioner.prune(&[]).await.expect("pruned");
    assert_eq!((removed.images, removed.layers), (1, 1));
    assert_eq!(world.layers(), 2);
    world.release("c1").await;
    let removed = world.provisioner.prune(&[]).await.expect("pruned");
    assert_eq!((removed.images, removed.layers, world.layers()), (1, 2, 0));
    // What was removed can be had again.
    world.provision("c4", "unused").await.expect("pulled");
}

#[tokio::test]
async fn a_full_disk_costs_those_that_were_used_longest_ago() {
    let registry = Registry::start().await;
    for name in ["old", "new"] {
        registry.push(name, "latest", &Made::simple(name));
    }
    // Fuller than its headroom allows, whatever the disk.
    let full = Collection { headroom: 1.0, ..Collection::default() };
    let world = World::with(registry.home(), |o| o.collection = full);
    for (container, image) in [("c1", "old"), ("c2", "new")] {
        world.provision(container, image).await.expect("pulled");
    }
    world.release("c1").await;
    let names: Vec<String> =
        world.provisioner.0.store.images().iter().map(|i| i.name.clone()).collect();
    assert_eq!(names, ["old", "new"], "the order in which they would go");
    let removed = world.provisioner.collect().await.expect("collected");
    assert_eq!((removed.images, removed.layers), (1, 1));
    let roomy = World::with(registry.home(), |o| o.collection.headroom = 0.0);
    roomy.provision("c1", "old").await.expect("pulled");
    roomy.release("c1").await;
    let removed = roomy.provisioner.collect().await.expect("collected");
    assert_eq!(removed, Default::default());
}

// covers: MES-0894
#[tokio::test]
async fn a_restart_keeps_images_and_removes_what_is_of_no_container() {
    let registry = Registry::start().await;
    registry.push("app", "latest", &Made::simple("x"));
    let world = World::new(registry.home());
    world.provision("c1", "app").await.expect("pulled");
    world.provision("c2", "app").await.expect("here");
    let store = world.options.store_dir.clone();
    std::fs::create_dir_all(store.join("staging/7/fs")).expect("made");
    std::fs::write(store.join("images/torn"), "{\"schema\":1,\"key").expect("written");
    std::fs::write(store.join("images/torn.new"), "{").expect("written");
    let world = world.restart(&["c2"]);
    let left: Vec<_> = std::fs::read_dir(&world.options.containers_dir)
        .expect("readable")
        .flatten()
        .map(|e| e.file_name())
        .collect();
    assert_eq!(left, ["c2"]);
    assert_eq!(std::fs::read_dir(store.join("staging")).expect("readable").count(), 0);
    assert_eq!(std::fs::read_dir(store.join("images")).expect("readable").count(), 1);
    let before = registry.asked("");
    world.provision("c3", "app").await.expect("here");
    assert_eq!(registry.asked(""), before);
}

#[tokio::test]
async fn two_agents_do_not_share_a_store() {
    let dir = tempfile::tempdir().expect("a folder");
    let lock = std::fs::File::create(dir.path().join("lock")).expect("made");
    // The lock of another open file, as another process would have it.
    let flags = libc::LOCK_EX | libc::LOCK_NB;
    // SAFETY: a call on an open file.
    let held = unsafe { libc::flock(std::os::fd::AsRawFd::as_raw_fd(&lock), flags) };
    assert_eq!(held, 0);
    let why = store::Store::open(dir.path()).map(drop).expect_err("in use");
    assert!(why.contains("used by another agent"), "{why}");
    drop(lock);
    let store = store::Store::open(dir.path()).expect("free");
    let same = store::Store::open(dir.path()).expect("ours");
    assert!(Arc::ptr_eq(&store, &same));
}

#[tokio::test]
async fn what_was_released_is_not_made_any_more() {
    let registry = Registry::start().await;
    registry.push("app", "latest", &Made::simple("x"));
    let world = World::new(registry.home());
    let id = ContainerId::from("c1");
    world.provision("c1", "app").await.expect("pulled");
    assert!(world.provisioner.provisioned(&id).is_some());
    world.release("c1").await;
    assert!(world.provisioner.provisioned(&id).is_none());
    // Releasing what is not there is good.
    world.release("c1").await;
    world.release("never").await;
}
