//! Layers: what becomes of good ones, and what of bad ones.

use super::making::{Entry, dir, file, gzip, layer, link, other, zstd};
use super::*;
use crate::agent::provisioner::unpack::{HEADERS_BYTES_MAX, Limits, Unpacked, unpack};
use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};

fn into(bytes: &[u8], limits: Limits) -> (tempfile::TempDir, Result<Unpacked, String>) {
    let dir = tempfile::tempdir().expect("a folder");
    let outcome = unpack(bytes, dir.path(), limits, &CancellationToken::new());
    (dir, outcome)
}

fn good(entries: &[Entry]) -> (tempfile::TempDir, Unpacked) {
    let (dir, outcome) = into(&layer(entries), Limits::default());
    (dir, outcome.expect("a good layer"))
}

fn refused(entries: &[Entry]) -> String {
    let (dir, outcome) = into(&layer(entries), Limits::default());
    let why = outcome.expect_err("a bad layer");
    assert!(!dir.path().parent().expect("above").join("escaped").exists());
    why
}

#[test]
fn every_packing_gives_the_same() {
    let plain = layer(&[dir("a"), file("a/b", "text")]);
    for packed in [plain.clone(), gzip(&plain), zstd(&plain)] {
        let (dir, unpacked) = into(&packed, Limits::default());
        assert_eq!(unpacked.expect("good").diff_id, Digest::of(&plain));
        assert_eq!(fs::read_to_string(dir.path().join("a/b")).expect("there"), "text");
    }
}

#[test]
fn owners_modes_times_and_names_are_kept_and_nothing_that_gives_rights() {
    if !is_root("owners_modes_times_and_names_are_kept_and_nothing_that_gives_rights") {
        return;
    }
    let mut suid = file("su", "x");
    (suid.mode, suid.ids) = (0o6755, (0, 0));
    let mut own = file("own", "x");
    (own.mode, own.ids) = (0o640, (1234, 4321));
    let mut tmp = dir("tmp");
    tmp.mode = 0o1777;
    let mut second = other("second", tar::EntryType::Link);
    second.to = "/own";
    let (dir, _) = good(&[suid, own, tmp, file("tmp/later", ""), second, link("l", "/etc/x")]);
    let meta = |name: &str| fs::symlink_metadata(dir.path().join(name)).expect(name);
    assert_eq!(meta("su").mode() & 0o7777, 0o755);
    assert_eq!((meta("own").uid(), meta("own").gid()), (1234, 4321));
    assert_eq!(meta("own").mode() & 0o7777, 0o640);
    assert_eq!(meta("tmp").mode() & 0o7777, 0o1777);
    for name in ["own", "tmp", "l"] {
        assert_eq!(meta(name).mtime(), 1_000_000_000, "{name}");
    }
    assert_eq!(meta("second").ino(), meta("own").ino());
    let to = fs::read_link(dir.path().join("l")).expect("a link");
    assert_eq!(to, Path::new("/etc/x"), "it means the container's");
}

#[test]
fn what_leads_out_is_refused_or_stays_inside() {
    assert!(refused(&[file("../escaped", "")]).contains("leads upwards"));
    assert!(refused(&[file("a/../../escaped", "")]).contains("leads upwards"));
    let mut hard = other("a", tar::EntryType::Link);
    hard.to = "../escaped";
    assert!(refused(&[hard]).contains("leads upwards"));
    let mut hard = other("a", tar::EntryType::Link);
    hard.to = "/etc/passwd";
    assert!(refused(&[hard]).contains("no file of this layer"));
    // Through links: as far as the root of the layer, no farther.
    let (root, _) = good(&[
        link("up", "../../../../../.."),
        link("abs", "/"),
        file("up/one", "1"),
        file("abs/two", "2"),
        link("etc", "/elsewhere"),
        file("etc/three", "3"),
        file("/four", "4"),
    ]);
    let read = |name: &str| fs::read_to_string(root.path().join(name)).expect(name);
    assert_eq!([read("one"), read("two"), read("elsewhere/three")], ["1", "2", "3"]);
    assert_eq!(read("four"), "4");
    let self_made = refused(&[link("a", "a"), file("a/b", "")]);
    assert!(self_made.contains("no folder"), "{self_made}");
    let deep = "a/".repeat(48) + "f";
    let deep: &'static str = deep.leak();
    assert!(good(&[file(deep, "")]).0.path().join(deep).exists());
}

#[test]
fn devices_are_refused_but_where_no_container_sees_them() {
    for kind in [tar::EntryType::Char, tar::EntryType::Block] {
        let why = refused(&[other("x/sda", kind)]);
        assert!(why.contains("is a device") && why.contains("x/sda"), "{why}");
        let (dir, _) = good(&[other("dev/sda", kind), file("ok", "")]);
        assert!(!dir.path().join("dev/sda").exists());
    }
    let (dir, _) = good(&[other("pipe", tar::EntryType::Fifo)]);
    assert!(fs::metadata(dir.path().join("pipe")).expect("there").file_type().is_fifo());
}

#[test]
fn bombs_end_at_the_limits() {
    let zeros = Entry { content: vec![0; 1 << 20], ..file("zeros", "") };
    let packed = gzip(&layer(&[zeros]));
    let small = Limits { bytes: 64 << 10, entries: 10 };
    let why = into(&packed, small).1.expect_err("too long");
    assert!(why.contains("more than 65536 bytes"), "{why}");
    // Zeros after the end are read for the digest, not for ever.
    let mut tail = layer(&[file("a", "")]);
    tail.extend(vec![0; 1 << 20]);
    let why = into(&gzip(&tail), small).1.expect_err("too long");
    assert!(why.contains("more than 65536 bytes"), "{why}");
    let many: Vec<Entry> = (0..11).map(|_| file("same", "")).collect();
    let why = into(&layer(&many), small).1.expect_err("too many");
    assert!(why.contains("more than 10 entries"), "{why}");
    let long = Entry {
        kind: tar::EntryType::GNULongName,
        content: vec![b'a'; (HEADERS_BYTES_MAX + 1024) as usize],
        ..file("x", "")
    };
    let why = refused(&[long, file("y", "")]);
    assert!(why.contains("the head of an entry"), "{why}");
}

#[test]
fn what_is_no_tar_file_is_told() {
    for bad in [&b"<html>not a layer</html>"[..], &gzip(b"neither")[..], &[0x1f, 0x8b, 9, 9][..]] {
        let bytes = [bad, &[7; 2048]].concat();
        assert!(into(&bytes, Limits::default()).1.is_err());
    }
    let cut = layer(&[file("a", &"x".repeat(5000))]);
    assert!(into(&cut[..2048], Limits::default()).1.is_err());
}

#[test]
fn whoever_gives_up_ends_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let token = CancellationToken::new();
    token.cancel();
    let plain = layer(&[file("a", "x")]);
    let why = unpack(plain.as_slice(), dir.path(), Limits::default(), &token).expect_err("ended");
    assert!(why.contains("given up"), "{why}");
}

#[test]
fn what_hides_itself_is_refused_and_the_rest_marked() {
    if !is_root("what_hides_itself_is_refused_and_the_rest_marked") {
        return;
    }
    for bad in [".wh.", "a/.wh...", "a/.wh.."] {
        assert!(refused(&[file(bad, "")]).contains("hides nothing"), "{bad}");
    }
    let (dir, unpacked) = good(&[
        file("a/.wh.gone", ""),
        dir("b"),
        file("b/.wh..wh..opq", ""),
        dir("both"),
        file(".wh.both", ""),
        file(".wh..wh.plnk", ""),
        file("new", "1"),
        file(".wh.new", ""),
    ]);
    let gone = fs::symlink_metadata(dir.path().join("a/gone")).expect("a mark");
    assert!(gone.file_type().is_char_device() && gone.rdev() == 0);
    assert_eq!(unpacked.hidden, ["a/gone", "both", "new"].map(PathBuf::from));
    assert_eq!(unpacked.opaque, ["b", "both"].map(PathBuf::from));
    assert!(unpacked.overlay);
    assert!(!dir.path().join(".wh..wh.plnk").exists());
    assert_eq!(fs::read_to_string(dir.path().join("new")).expect("there"), "1");
}
