//! What a container made ahead of need is told when it becomes one: all that it is, and its streams and status file.
//!
//! It is told once, whole, before it is let go; the socket keeps it until then, whoever ends meanwhile.

use super::account::Account;
use super::{open_status, own, streams};
use crate::agent::containerizer::logs;
use crate::agent::containerizer::spec::ContainerSpec;
use crate::base::error::{Code, Error, Result};
use std::io::Read;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::path::Path;

/// What may be told, in bytes: less than any socket's buffer holds.
pub const TOLD_BYTES_MAX: usize = 64 * 1024;

/// What is to be told of a container; none when that is too much, and it is made as others are.
///
/// # Errors
/// It cannot be written as JSON.
pub fn message(spec: &ContainerSpec) -> Result<Option<Vec<u8>>> {
    let text = serde_json::to_vec(spec)
        .map_err(|e| Error::new(Code::Internal, format!("a container as JSON: {e}")))?;
    let length = u32::try_from(text.len()).ok().filter(|_| text.len() <= TOLD_BYTES_MAX);
    Ok(length.map(|length| [length.to_le_bytes().as_slice(), &text].concat()))
}

/// Tells it. Its sandbox gets `stdout` and `stderr`, and `dir` a status file.
///
/// # Errors
/// A stream cannot be opened; nobody is at the other end.
pub fn tell(
    gate: RawFd,
    message: &[u8],
    sandbox: &Path,
    account: &Account,
    dir: &Path,
) -> Result<()> {
    let failed = |why: String| Error::new(Code::System, why);
    let (stdout, stderr) = logs::open_streams(sandbox, account.uid, account.gid).map_err(failed)?;
    let status = own(open_status(dir).map_err(failed)?);
    let fds = [stdout.as_raw_fd(), stderr.as_raw_fd(), status.as_raw_fd()];
    match streams::send_with(gate, message, &fds) {
        Ok(sent) if sent == message.len() => Ok(()),
        Ok(sent) => Err(failed(format!("{sent} bytes of {} were taken", message.len()))),
        Err(e) => Err(failed(format!("telling it what it is: {e}"))),
    }
}

/// Hears it, and takes the streams as its own; where the status goes.
///
/// # Errors
/// A text: it was not told, or not in full.
pub fn hear(gate: RawFd) -> std::result::Result<(ContainerSpec, RawFd), String> {
    let mut length = [0; 4];
    let (read, fds) = match streams::receive(gate, &mut length) {
        Ok(came) => came,
        Err(e) => return Err(format!("it was not told what it is: {e}")),
    };
    let [stdout, stderr, status]: [OwnedFd; 3] =
        fds.try_into().map_err(|_| "its streams have not come".to_owned())?;
    let length = u32::from_le_bytes(length) as usize;
    if read != 4 || length > TOLD_BYTES_MAX {
        return Err("what it was told is torn".into());
    }
    let mut text = vec![0; length];
    let mut gate = std::fs::File::from(own(gate));
    gate.read_exact(&mut text).map_err(|e| format!("what it was told is torn: {e}"))?;
    // The number stays taken, as everywhere in a container.
    std::mem::forget(gate);
    let spec = serde_json::from_slice(&text).map_err(|e| format!("what it was told: {e}"))?;
    for (stream, at) in [(stdout, 1), (stderr, 2)] {
        nix::unistd::dup2(stream.as_raw_fd(), at).map_err(|e| format!("its streams: {e}"))?;
    }
    let kept = status.as_raw_fd();
    std::mem::forget(status);
    Ok((spec, kept))
}
