//! Images in files: `docker save`, OCI layouts as folders and tar files, and those that are not what they say.

use super::making::{file, gzip, layer};
use super::*;
use std::fs;

fn folder() -> (tempfile::TempDir, World) {
    let dir = tempfile::tempdir().expect("a folder");
    let world = World::new(Home::parse(&format!("file://{}", dir.path().display())).expect("good"));
    (dir, world)
}

fn name_in(provisioned: &Provisioned) -> String {
    seen(root_of(provisioned)).get("etc/name").cloned().unwrap_or_default()
}

// covers: MES-0888
#[tokio::test]
async fn a_saved_image_is_found_by_name_and_tag() {
    if !is_root("a_saved_image_is_found_by_name_and_tag") {
        return;
    }
    let (dir, world) = folder();
    let image = |text: &str| Made::simple(text);
    fs::write(dir.path().join("alpine:latest.tar"), image("one").save(&["alpine:latest"]))
        .expect("written");
    fs::create_dir_all(dir.path().join("a")).expect("made");
    fs::write(dir.path().join("a/b:v1.tar"), image("two").save(&["x:y"])).expect("written");
    assert_eq!(name_in(&world.provision("c1", "alpine").await.expect("there")), "one");
    assert_eq!(name_in(&world.provision("c2", "a/b:v1").await.expect("there")), "two");
    let by_path = dir.path().join("a/b:v1.tar").display().to_string();
    assert_eq!(name_in(&world.provision("c3", &by_path).await.expect("there")), "two");
    let why = world.provision("c4", "alpine:other").await.expect_err("not there");
    assert!(why.contains("alpine:other.tar"), "{why}");
    // Another file of that name is another image.
    fs::write(dir.path().join("alpine:latest.tar"), image("three!").save(&[])).expect("written");
    assert_eq!(name_in(&world.provision("c5", "alpine").await.expect("there")), "three!");
}

#[tokio::test]
async fn layouts_are_read_as_folders_and_as_tar_files() {
    if !is_root("layouts_are_read_as_folders_and_as_tar_files") {
        return;
    }
    let (dir, world) = folder();
    let own = dir.path().join("app:1");
    Made::simple("folder").layout(&own, "1");
    assert_eq!(name_in(&world.provision("c1", "app:1").await.expect("there")), "folder");
    let packed = tempfile::tempdir().expect("a folder");
    Made::simple("tar").layout(packed.path(), "2");
    let mut tar = tar::Builder::new(fs::File::create(dir.path().join("app:2.tar")).expect("made"));
    tar.append_dir_all(".", packed.path()).expect("packed");
    tar.into_inner().expect("written");
    assert_eq!(name_in(&world.provision("c2", "app:2").await.expect("there")), "tar");
    // The folder itself may be a layout, with images by name.
    Made::simple("whole").layout(dir.path(), "app:3");
    assert_eq!(name_in(&world.provision("c3", "app:3").await.expect("there")), "whole");
}

#[tokio::test]
async fn files_elsewhere_are_not_read_for_a_task() {
    let (_dir, world) = folder();
    let elsewhere = tempfile::tempdir().expect("a folder");
    let path = elsewhere.path().join("x.tar");
    fs::write(&path, Made::simple("secret").save(&[])).expect("written");
    let why = world.provision("c1", &path.display().to_string()).await.expect_err("refused");
    assert!(why.contains("is not in"), "{why}");
    let why = world.provision("c1", "/etc/../etc/shadow").await.expect_err("refused");
    assert!(why.contains("is not in"), "{why}");
    let registry = World::new(Home::Registry("https://registry.invalid".into()));
    let why = registry.provision("c1", "/etc/shadow").await.expect_err("refused");
    assert!(why.contains("no folder of images is set"), "{why}");
}

#[tokio::test]
async fn a_layout_names_only_what_is_in_it() {
    let (dir, world) = folder();
    fs::write(dir.path().join("secret"), layer(&[file("s", "")])).expect("written");
    let own = dir.path().join("evil:latest");
    fs::create_dir_all(&own).expect("made");
    let config = Made::simple("x").config;
    fs::write(own.join("config"), config).expect("written");
    std::os::unix::fs::symlink("/etc/passwd", own.join("link")).expect("linked");
    for (layer, word) in [("../secret", "leads upwards"), ("link", "holds no")] {
        let list = format!(r#"[{{"Config":"config","Layers":["{layer}"]}}]"#);
        fs::write(own.join("manifest.json"), list).expect("written");
        let why = world.provision("c1", "evil").await.expect_err("refused");
        assert!(why.contains(word), "{why}");
    }
}

#[tokio::test]
async fn what_is_no_image_is_told() {
    let (dir, world) = folder();
    let good = Made::simple("x");
    let mut other = Made::simple("x");
    other.layers[0].0 = layer(&[file("other", "")]);
    let mut few = Made::new(vec![layer(&[file("a", "")]), layer(&[file("b", "")])], gzip);
    few.layers.pop();
    let cut = good.save(&[])[..900].to_vec();
    for (name, bytes, word) in [
        ("text", b"just text, and more of it than a head has".repeat(20), "no tar file"),
        ("empty", Vec::new(), "no image"),
        ("packed", gzip(&good.save(&[])), "gzip"),
        ("other", other.save(&[]), "in fact"),
        ("few", few.save(&[]), "names 2"),
        ("cut", cut, "cut:latest.tar"),
    ] {
        fs::write(dir.path().join(format!("{name}:latest.tar")), bytes).expect("written");
        let why = world.provision("c1", name).await.expect_err(name);
        assert!(why.contains(word) && why.contains(name), "{name}: {why}");
    }
    assert_eq!(world.layers(), 0);
}
