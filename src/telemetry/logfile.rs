//! The log file: appended to, rotated by size, a bounded number of old ones kept.

use crate::base::error::{Code, Error, Result};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// How large a log file grows, and how many are kept beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogFileOptions {
    /// Bytes from which on the file is rotated.
    pub bytes_max: u64,
    /// Rotated files kept: `mesolith.log.1` is the newest.
    pub rotated_max: u32,
}

impl Default for LogFileOptions {
    fn default() -> Self {
        Self { bytes_max: 64 * 1024 * 1024, rotated_max: 4 }
    }
}

/// A shared log file. A write that fails (disk full) loses its line, never the program.
#[derive(Clone, Debug)]
pub struct LogFile(Arc<Mutex<Inner>>, Arc<Path>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    file: File,
    bytes: u64,
    options: LogFileOptions,
}

impl LogFile {
    /// Opens `<directory>/mesolith.log` for appending, making the directory.
    ///
    /// # Errors
    /// [`Code::System`] when that is not possible.
    pub fn open(directory: &Path, options: LogFileOptions) -> Result<Self> {
        let path = directory.join("mesolith.log");
        let opened = fs::create_dir_all(directory).and_then(|()| append(&path));
        let (file, bytes) = opened.map_err(|e| {
            let what = format!("cannot write the log file '{}': {e}", path.display());
            Error::new(Code::System, what).hint("Check --log_dir and its permissions.")
        })?;
        let shown = Arc::from(path.as_path());
        Ok(Self(Arc::new(Mutex::new(Inner { path, file, bytes, options })), shown))
    }

    /// Where it is: what the files endpoints serve as `/master/log` and `/slave/log`.
    pub fn path(&self) -> &Path {
        &self.1
    }
}

impl Write for LogFile {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.bytes > 0 && inner.bytes + line.len() as u64 > inner.options.bytes_max {
            inner.rotate()?;
        }
        // One write for a line, so that lines of several threads never mix.
        inner.file.write_all(line)?;
        inner.bytes += line.len() as u64;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).file.flush()
    }
}

impl Inner {
    fn rotate(&mut self) -> io::Result<()> {
        let numbered = |n: u32| {
            let mut name = self.path.clone().into_os_string();
            name.push(format!(".{n}"));
            PathBuf::from(name)
        };
        for n in (1..self.options.rotated_max).rev() {
            match fs::rename(numbered(n), numbered(n + 1)) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
        }
        if self.options.rotated_max == 0 {
            fs::remove_file(&self.path)?;
        } else {
            fs::rename(&self.path, numbered(1))?;
        }
        (self.file, self.bytes) = append(&self.path)?;
        Ok(())
    }
}

fn append(path: &Path) -> io::Result<(File, u64)> {
    let file = OpenOptions::new().create(true).append(true).open(path)?;
    let bytes = file.metadata()?.len();
    Ok((file, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_appends_and_rotates_within_its_bounds() {
        let dir = tempfile::tempdir().unwrap();
        let options = LogFileOptions { bytes_max: 10, rotated_max: 2 };
        let open = || LogFile::open(&dir.path().join("logs"), options).unwrap();
        open().write_all(b"first\n").unwrap();
        let mut log = open();
        log.write_all(b"2nd\n").unwrap();
        for line in ["third\n", "fourth is long\n", "fifth\n"] {
            log.write_all(line.as_bytes()).unwrap();
        }
        let read = |name: &str| fs::read_to_string(dir.path().join("logs").join(name));
        assert_eq!(read("mesolith.log").unwrap(), "fifth\n");
        assert_eq!(read("mesolith.log.1").unwrap(), "fourth is long\n");
        assert_eq!(read("mesolith.log.2").unwrap(), "third\n");
        assert!(read("mesolith.log.3").is_err(), "the oldest is gone");
        assert_eq!(log.path(), dir.path().join("logs/mesolith.log"));
    }

    #[test]
    fn an_impossible_directory_is_an_error_with_a_way_out() {
        let error = LogFile::open(Path::new("/proc/none"), LogFileOptions::default()).unwrap_err();
        assert!(error.cause.contains("/proc/none/mesolith.log"), "{error}");
        assert!(error.hint.unwrap().contains("--log_dir"));
    }
}
