//! Reading the kernel's small text files. Many are read for each container each time somebody looks, so it is done with
//! few calls of the system, into a buffer that is used again, and no number is parsed that nobody asks for.

use std::fs::File;
use std::io::Read;
use std::path::Path;

/// More than most of them have; what is beyond is read by further calls.
const BYTES: usize = 8192;

/// A buffer for the text of one file after the other.
#[derive(Default)]
pub struct Page {
    buffer: Vec<u8>,
    len: usize,
}

impl Page {
    /// Takes the whole text of a file in place of what it had. None: it cannot be read, its cgroup may be gone.
    pub fn fill(&mut self, mut file: impl Read) -> Option<&[u8]> {
        self.len = 0;
        let mut len = 0;
        loop {
            if self.buffer.len() < len + BYTES {
                self.buffer.resize(len + BYTES, 0);
            }
            let got = file.read(self.buffer.get_mut(len..)?).ok()?;
            len += got;
            // The kernel gives a page of whole lines at a time: what is far from a page is the end.
            if got < BYTES / 4 {
                self.len = len;
                return Some(self.text());
            }
        }
    }

    /// The text it was filled with last.
    pub fn text(&self) -> &[u8] {
        self.buffer.get(..self.len).unwrap_or_default()
    }
}

/// The text of a file; an unreadable one is empty.
fn page(path: &Path) -> Page {
    let mut page = Page::default();
    if let Ok(file) = File::open(path) {
        page.fill(file);
    }
    page
}

/// The number that a line or file has, but for blanks around it; none where there is something else.
pub fn number(text: &[u8]) -> Option<u64> {
    let digits = text.trim_ascii();
    let digit = |sum: u64, byte: &u8| {
        let one = byte.checked_sub(b'0').filter(|one| *one < 10)?;
        sum.checked_mul(10)?.checked_add(one.into())
    };
    digits.iter().try_fold(0, digit).filter(|_| !digits.is_empty())
}

/// Calls `see` with the name and the number, as text, of each `name number` line.
pub fn each<'a>(text: &'a [u8], mut see: impl FnMut(&'a [u8], &'a [u8])) {
    for line in text.split(|byte| *byte == b'\n') {
        if let Some(blank) = line.iter().position(|byte| *byte == b' ') {
            let (name, rest) = line.split_at(blank);
            see(name, rest);
        }
    }
}

/// A file with one number; "max" and unreadable ones are none.
pub fn one(path: &Path) -> Option<u64> {
    number(page(path).text())
}

/// A file of `name number` lines.
pub struct Table(Page);

impl Table {
    /// The number of that name.
    pub fn get(&self, name: &str) -> Option<u64> {
        let mut found = None;
        each(self.0.text(), |of, text| {
            if of == name.as_bytes() {
                found = number(text);
            }
        });
        found
    }
}

/// Reads one; an unreadable one is empty.
pub fn table(path: &Path) -> Table {
    Table(page(path))
}

/// A file of process ids; an unreadable one is empty.
pub fn pids(path: &Path) -> Vec<i32> {
    let page = page(path);
    let lines = page.text().split(|byte| *byte == b'\n').filter_map(number);
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

    #[test]
    fn what_is_no_number_is_none() {
        for text in ["", " ", "\n", "-1", "1 2", "x", "1x", "18446744073709551616"] {
            assert_eq!(number(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(number(b" 18446744073709551615\n"), Some(u64::MAX));
    }

    #[test]
    fn a_buffer_used_again_has_only_the_last_text() {
        let mut page = Page::default();
        let long = vec![b'x'; 3 * BYTES];
        assert_eq!(page.fill(&long[..]), Some(&long[..]));
        assert_eq!(page.fill(&b"12\n"[..]), Some(&b"12\n"[..]));
        assert_eq!(page.fill(&b""[..]), Some(&b""[..]));
    }
}
