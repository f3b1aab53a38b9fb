//! Every kind of archive, whole and broken.

use super::*;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

/// A `.tar.xz` with the file `in.txt`, which holds `hello`.
const XZ: &str = "/Td6WFoAAATm1rRGAgAhARYAAAB0L+Wj4Af/AEFdADSbgcXSTDWFxZTAxEHVd9FhwALHLIcWbxgbF+IRzROM\
    kV0mrqGACViATlr3ngNEKfJfyKraCHVV17dGPYCAEBQAAAAAAKdm5Ab6mwPQAAFdgBAAAAD5KLqSscRn+wIAAAAABFla";
/// The same, asking for a dictionary of 512 MiB.
const XZ_GREEDY: &str = "/Td6WFoAAATm1rRGAgAhASIAAACCQKzc4Af/AEFdADSbgcXSTDWFxZTAxEHUocPYTlGKjPE1\
    Hqdiq2pKn7nBuH6UMBNVvrPCNytG/RYo19JnwEsViyzbohKBDPpZKXoAAAAAAKdm5Ab6mwPQAAFdgBAAAAD5KLqSscRn+wIA\
    AAAABFla";

fn xz(text: &str) -> Vec<u8> {
    BASE64_STANDARD.decode(text).expect("base64")
}

fn gz(content: &[u8]) -> Vec<u8> {
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(content).expect("in memory");
    gz.finish().expect("whole")
}

fn zst(content: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(content, 1).expect("in memory")
}

fn zip_of(entries: &[(&str, &str)]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, content) in entries {
        let options = zip::write::SimpleFileOptions::default().unix_permissions(0o755);
        zip.start_file(*name, options).expect("in memory");
        zip.write_all(content.as_bytes()).expect("in memory");
    }
    zip.finish().expect("whole").into_inner()
}

/// Fetches a file of that name with that content into a new sandbox.
async fn fetched(name: &str, content: &[u8]) -> (tempfile::TempDir, Result<(), String>) {
    let (from, to) = (tempfile::tempdir().expect("dir"), tempfile::tempdir().expect("dir"));
    fs::write(from.path().join(name), content).expect("written");
    let uris = vec![uri(from.path().join(name).to_string_lossy())];
    let outcome = fetcher().fetch(&launch(to.path(), uris)).await;
    (to, outcome)
}

fn text(dir: &tempfile::TempDir, name: &str) -> String {
    fs::read_to_string(dir.path().join(name)).expect(name)
}

// covers: MES-0479
#[tokio::test]
async fn tars_however_compressed() {
    let tar = tar_of(&[("in.txt", b"hello", 0o640)]);
    let mut bz2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    bz2.write_all(&tar).expect("in memory");
    let bz2 = bz2.finish().expect("whole");
    let zst = zst(&tar);
    for (name, content) in [
        ("a.tar", tar.clone()),
        ("a.tar.gz", gz(&tar)),
        ("a.tgz", gz(&tar)),
        ("a.tar.bz2", bz2.clone()),
        ("a.tbz2", bz2),
        ("a.tar.xz", xz(XZ)),
        ("a.txz", xz(XZ)),
        ("a.tar.zst", zst.clone()),
        ("a.tzst", zst),
    ] {
        let (to, outcome) = fetched(name, &content).await;
        outcome.expect(name);
        assert_eq!(text(&to, "in.txt"), "hello", "{name}");
        assert!(to.path().join(name).exists(), "the archive is kept");
    }
}

// covers: MES-0480
#[tokio::test]
async fn a_single_gzipped_file_is_replaced_by_what_is_in_it() {
    let (to, outcome) = fetched("data.txt.gz", &gz(b"hello")).await;
    outcome.expect("fetched");
    assert_eq!(text(&to, "data.txt"), "hello");
    assert!(!to.path().join("data.txt.gz").exists());
}

#[tokio::test]
async fn a_single_file_of_zstd_is_replaced_by_all_its_frames() {
    let frames = [zst(b"hel"), zst(b"lo")].concat();
    let (to, outcome) = fetched("data.txt.zst", &frames).await;
    outcome.expect("fetched");
    assert_eq!(text(&to, "data.txt"), "hello");
    assert!(!to.path().join("data.txt.zst").exists());
    // From the cache it is unpacked as well.
    let from = tempfile::tempdir().expect("dir");
    fs::write(from.path().join("data.zst"), &frames).expect("written");
    let kept = v1::command_info::Uri {
        cache: Some(true),
        ..uri(from.path().join("data.zst").to_string_lossy())
    };
    for _ in 0..2 {
        let to = tempfile::tempdir().expect("dir");
        fetcher().fetch(&launch(to.path(), vec![kept.clone()])).await.expect("fetched");
        assert_eq!(text(&to, "data"), "hello");
        assert!(!to.path().join("data.zst").exists());
    }
    let (_, outcome) = fetched("data.txt.zst", &frames[..frames.len() - 1]).await;
    assert!(outcome.expect_err("cut").contains("cannot unpack"));
}

// covers: MES-0481, MES-0482
#[tokio::test]
async fn zips_and_broken_ones() {
    let whole = zip_of(&[("a/b.txt", "hello"), ("c", "")]);
    let (to, outcome) = fetched("x.zip", &whole).await;
    outcome.expect("fetched");
    assert_eq!(text(&to, "a/b.txt"), "hello");
    let mode = fs::metadata(to.path().join("c")).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o755);
    let (_, outcome) = fetched("x.zip", &whole[..whole.len() / 2]).await;
    assert!(outcome.expect_err("cut").contains("cannot unpack"));
    let (to, outcome) = fetched("x.zip", &zip_of(&[("../evil", "x")])).await;
    assert!(outcome.expect_err("leads out").contains("leads out"));
    assert!(!to.path().join("../evil").exists());
}

#[tokio::test]
async fn memory_is_bounded_whatever_an_archive_asks_for() {
    let (_, outcome) = fetched("a.txz", &xz(XZ_GREEDY)).await;
    let why = outcome.expect_err("too greedy");
    assert!(why.contains("cannot unpack"), "{why}");
    // A window of 256 MiB, one beyond what is allowed.
    let mut greedy = zstd::stream::write::Encoder::new(Vec::new(), 1).expect("in memory");
    greedy.window_log(28).expect("a window");
    greedy.write_all(b"hello").expect("in memory");
    let (_, outcome) = fetched("a.zst", &greedy.finish().expect("whole")).await;
    let why = outcome.expect_err("too greedy");
    assert!(why.contains("cannot unpack"), "{why}");
    // A name that is longer than memory should hold.
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::GNULongName);
    header.set_size(2 * archive::HEADERS_BYTES_MAX);
    header.set_cksum();
    let name = vec![b'x'; 2 * archive::HEADERS_BYTES_MAX as usize];
    builder.append(&header, &name[..]).expect("in memory");
    let (_, outcome) = fetched("a.tar", &builder.into_inner().expect("whole")).await;
    let why = outcome.expect_err("too long");
    assert!(why.contains("the head of an entry"), "{why}");
}

#[tokio::test]
async fn a_link_of_an_archive_leads_no_later_entry_out() {
    let outside = tempfile::tempdir().expect("dir");
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_size(0);
    builder.append_link(&mut header, "sub", outside.path()).expect("in memory");
    let mut header = tar::Header::new_gnu();
    header.set_size(1);
    builder.append_data(&mut header, "sub/evil", &b"x"[..]).expect("in memory");
    let (to, outcome) = fetched("a.tar", &builder.into_inner().expect("whole")).await;
    assert!(outcome.expect_err("through a link").contains("in the way"));
    assert!(to.path().join("sub").is_symlink() && !outside.path().join("evil").exists());
}

#[tokio::test]
async fn a_second_name_of_a_file_is_a_copy() {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(5);
    header.set_mode(0o750);
    builder.append_data(&mut header, "a", &b"hello"[..]).expect("in memory");
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Link);
    header.set_size(0);
    builder.append_link(&mut header, "b", "a").expect("in memory");
    let (to, outcome) = fetched("a.tar", &builder.into_inner().expect("whole")).await;
    outcome.expect("fetched");
    assert_eq!(text(&to, "b"), "hello");
    let mode = fs::metadata(to.path().join("b")).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o750);
}
