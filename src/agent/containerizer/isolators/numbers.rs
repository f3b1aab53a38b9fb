//! Reading the kernel's small text files. Many are read for each container each time somebody looks, so it is done with
//! few calls of the system, and nothing is parsed that nobody asks for.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// More than any of them has; what is beyond is read by further calls.
const BYTES: usize = 8192;

/// The whole text; an unreadable file is empty.
fn text(path: &Path) -> Vec<u8> {
    let mut text = Vec::with_capacity(BYTES);
    let Ok(mut file) = File::open(path) else { return text };
    let mut chunk = [0; BYTES];
    // The kernel gives a page of whole lines at a time: what is far from a page is the end.
    while let Ok(got) = file.read(&mut chunk) {
        text.extend_from_slice(chunk.get(..got).unwrap_or_default());
        if got < BYTES / 4 {
            break;
        }
    }
    text
}

fn number(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok()?.trim().parse().ok()
}

/// A file with one number; "max" and unreadable ones are none.
pub fn one(path: &Path) -> Option<u64> {
    let mut file = File::open(path).ok()?;
    let mut chunk = [0; 64];
    let got = file.read(&mut chunk).ok()?;
    number(chunk.get(..got)?)
}

/// A file of `name number` lines.
pub struct Table(Vec<u8>);

impl Table {
    /// The number of that name.
    pub fn get(&self, name: &str) -> Option<u64> {
        let of = |line: &[u8]| number(line.strip_prefix(name.as_bytes())?.strip_prefix(b" ")?);
        self.0.split(|byte| *byte == b'\n').find_map(of)
    }
}

/// Reads one; an unreadable one is empty.
pub fn table(path: &Path) -> Table {
    Table(text(path))
}

/// A file of process ids; an unreadable one is empty.
pub fn pids(path: &Path) -> Vec<i32> {
    let text = text(path);
    let lines = text.split(|byte| *byte == b'\n').filter_map(number);
    lines.filter_map(|pid| i32::try_from(pid).ok()).filter(|pid| *pid > 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_by_their_whole_names() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        std::fs::write(&path, "rss 12\nrss_huge 7\nbad x\ntotal_rss 34\n").unwrap();
        let read = table(&path);
        assert_eq!(["rss", "rss_huge", "total_rss"].map(|n| read.get(n)), [12, 7, 34].map(Some));
        assert_eq!(["bad", "r", "total"].map(|n| read.get(n)), [None; 3]);
        std::fs::write(&path, "max\n").unwrap();
        assert_eq!(one(&path), None);
        std::fs::write(&path, "9223372036854771712\n").unwrap();
        assert_eq!(one(&path), Some(9_223_372_036_854_771_712));
        let many: String = (1..20_000).map(|n| format!("{n}\n")).collect();
        std::fs::write(&path, many).unwrap();
        assert_eq!(pids(&path), (1..20_000).collect::<Vec<_>>());
        assert_eq!(pids(&dir.path().join("none")), Vec::<i32>::new());
    }
}
