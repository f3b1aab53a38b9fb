//! A program run to its end, in a process with one thread: what it is told by a file in memory, what it says in another.

use nix::sys::memfd::{MemFdCreateFlag, memfd_create};
use std::ffi::CStr;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long one may take.
pub const TIMEOUT: Duration = Duration::from_secs(60);
/// How much of what it says is read, in bytes.
pub const OUTPUT_BYTES_MAX: u64 = 1 << 20;
/// Between two looks whether it has ended.
const LOOK: Duration = Duration::from_millis(2);
/// Where administrators' programs are, whatever the search path of whoever started us.
const ALSO: [&str; 3] = ["/usr/sbin", "/sbin", "/usr/local/sbin"];

/// How a program ended that could be run.
#[derive(Debug)]
pub struct Ended {
    /// Whether it says it did well.
    pub good: bool,
    /// What it wrote to its output.
    pub output: Vec<u8>,
    /// What it wrote to its errors.
    pub errors: String,
}

/// The file of a program.
pub fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs = std::env::split_paths(&path).chain(ALSO.iter().map(PathBuf::from));
    dirs.map(|dir| dir.join(name)).find(|file| file.is_file())
}

/// Runs a program by its name; its output.
///
/// # Errors
/// A text: there is none, or it did not do well.
pub fn run(name: &str, arguments: &[&str], input: &str) -> Result<Vec<u8>, String> {
    let path = find(name).ok_or_else(|| format!("the program '{name}' is not installed"))?;
    let mut command = Command::new(path);
    command.args(arguments);
    let ended = execute(command, name, input.as_bytes())?;
    match ended.good {
        true => Ok(ended.output),
        false => Err(format!("{name} {}: {}", arguments.join(" "), ended.errors.trim())),
    }
}

fn memory(name: &CStr) -> Result<File, String> {
    memfd_create(name, MemFdCreateFlag::MFD_CLOEXEC)
        .map(File::from)
        .map_err(|e| format!("a file in memory: {e}"))
}

/// Runs it to its end; killed when that takes too long. It dies with us.
///
/// # Errors
/// A text that begins with `name`.
pub fn execute(mut command: Command, name: &str, input: &[u8]) -> Result<Ended, String> {
    let told = |e: std::io::Error| format!("{name}: {e}");
    let (mut stdin, stdout, stderr) = (memory(c"in")?, memory(c"out")?, memory(c"err")?);
    stdin.write_all(input).and_then(|()| stdin.seek(SeekFrom::Start(0))).map_err(told)?;
    let clone = |file: &File| file.try_clone().map(Stdio::from).map_err(told);
    command.stdin(Stdio::from(stdin)).stdout(clone(&stdout)?).stderr(clone(&stderr)?);
    // SAFETY: only sets a flag of the process, before it executes.
    unsafe {
        command.pre_exec(|| {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            Ok(())
        });
    }
    let mut child = command.spawn().map_err(told)?;
    let since = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().map_err(told)? {
            break status;
        }
        if since.elapsed() > TIMEOUT {
            child.kill().and_then(|()| child.wait()).map_err(told)?;
            return Err(format!("{name}: did not end within {} s", TIMEOUT.as_secs()));
        }
        std::thread::sleep(LOOK);
    };
    let output = content(stdout).map_err(told)?;
    let errors = String::from_utf8_lossy(&content(stderr).map_err(told)?).into_owned();
    Ok(Ended { good: status.success(), output, errors })
}

fn content(mut file: File) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.take(OUTPUT_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Whether that file could be executed at all.
pub fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata().is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_told_and_tells() {
        assert_eq!(run("cat", &[], "hello").unwrap(), b"hello");
        assert_eq!(
            run("sh", &["-c", "echo no >&2; exit 3"], "").unwrap_err(),
            "sh -c echo no >&2; exit 3: no"
        );
        assert!(run("nosuch-program", &[], "").unwrap_err().contains("not installed"));
        assert!(is_program(Path::new("/bin/sh")) && !is_program(Path::new("/etc/passwd")));
    }
}
