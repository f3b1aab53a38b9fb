//! `--allowed_devices`: device nodes of the host that containers have, too.

use crate::agent::containerizer::linux::Device;
use crate::mesos::v1;
use std::path::PathBuf;

/// Reads the flag's JSON, a DeviceWhitelist.
///
/// # Errors
/// A text for the operator.
pub fn parse(text: &str) -> Result<Vec<Device>, String> {
    let list: v1::DeviceWhitelist = serde_json::from_str(text)
        .map_err(|e| format!("expected {{\"allowed_devices\": [{{\"device\": …}}]}}: {e}"))?;
    list.allowed_devices.iter().map(device).collect()
}

fn device(entry: &v1::DeviceAccess) -> Result<Device, String> {
    let Some(path) = entry.device.path.as_deref() else {
        return Err("a device without a path cannot be shown in a container".into());
    };
    if entry.access.mknod() {
        return Err(format!("{path}: containers do not make device nodes (mknod)"));
    }
    let path = PathBuf::from(path);
    if !path.starts_with("/dev/") && path.parent().is_none_or(|p| !p.starts_with("/dev")) {
        return Err(format!("{} is not below /dev", path.display()));
    }
    let (read, write) = (entry.access.read(), entry.access.write());
    Ok(Device { path, read, write, number: None })
}
