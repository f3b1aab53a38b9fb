//! Finding and executing a program with exactly the given arguments and environment.

use nix::unistd::{AccessFlags, execve};
use std::ffi::CString;
use std::path::{Path, PathBuf};

/// The file a program name means to this process: a path as it is, a name by the search path of the environment.
///
/// # Errors
/// A text that names the program.
pub fn find(name: &str, env: &[(String, String)]) -> Result<PathBuf, String> {
    if name.contains('/') {
        let path = PathBuf::from(name);
        return match path.metadata() {
            Err(e) => Err(format!("executable '{name}' cannot be used: {e}")),
            Ok(_) if runnable(&path) => Ok(path),
            Ok(_) => Err(format!("'{name}' is not an executable file for this user")),
        };
    }
    let search = env.iter().find(|(n, _)| n == "PATH").map_or("", |(_, v)| v);
    std::env::split_paths(search)
        .map(|dir| dir.join(name))
        .find(|path| runnable(path))
        .ok_or_else(|| format!("executable '{name}' not found in PATH ({search})"))
}

fn runnable(path: &Path) -> bool {
    path.is_file()
        && nix::unistd::faccessat(None, path, AccessFlags::X_OK, nix::fcntl::AtFlags::AT_EACCESS)
            .is_ok()
}

/// Becomes the program; comes back only with a reason.
pub fn execute(path: &Path, argv: &[String], env: &[(String, String)]) -> String {
    let text = |s: &str| CString::new(s).map_err(|_| "an argument contains a zero byte".to_owned());
    let all = || -> Result<_, String> {
        let argv = argv.iter().map(|a| text(a)).collect::<Result<Vec<_>, _>>()?;
        let env: Result<Vec<_>, _> = env.iter().map(|(n, v)| text(&format!("{n}={v}"))).collect();
        Ok((text(&path.to_string_lossy())?, argv, env?))
    };
    match all() {
        Err(e) => e,
        Ok((file, argv, env)) => match execve(&file, &argv, &env) {
            // Infallible's match needs no arm for success.
            Err(e) => format!("executing '{}': {e}", path.display()),
            Ok(never) => match never {},
        },
    }
}
