//! Which seccomp profile a container has: the task's, else the operator's, else the built-in one.

use super::Policy;
use crate::agent::containerizer::ContainerSpec;
use crate::agent::containerizer::isolators::seccomp::{Seccomp, profile};
use crate::mesos::v1;
use std::io::Read as _;

impl Policy {
    pub(super) fn seccomp(
        &self,
        asked: Option<&v1::SeccompInfo>,
        spec: &mut ContainerSpec,
    ) -> Result<(), String> {
        let name = asked.and_then(|s| s.profile_name.as_deref());
        let unconfined = asked.is_some_and(|s| s.unconfined());
        if unconfined && name.is_some() {
            return Err("Seccomp 'profile_name' and 'unconfined' cannot both be set".into());
        }
        if !self.isolation.seccomp {
            return match name {
                Some(name) => Err(format!(
                    "the seccomp profile '{name}' cannot be applied: linux/seccomp is not in \
                     force on this agent"
                )),
                None => Ok(()),
            };
        }
        spec.linux.seccomp = match name.or(self.seccomp_profile.as_deref()) {
            _ if unconfined => Seccomp::Unconfined,
            None => Seccomp::Default,
            Some(name) => {
                let text = self.read_profile(name)?;
                let capabilities = spec.effective_capabilities();
                let read = profile::parse(&text, &capabilities, kernel()?);
                let read = read.map_err(|e| format!("the seccomp profile '{name}': {e}"))?;
                Seccomp::Profile(Box::new(read))
            }
        };
        Ok(())
    }

    fn read_profile(&self, name: &str) -> Result<Vec<u8>, String> {
        let Some(dir) = &self.seccomp_dir else {
            return Err(format!(
                "the seccomp profile '{name}' is not known: this agent has no \
                 --seccomp_config_dir"
            ));
        };
        if name.is_empty() || name.contains(['/', '\0']) || name.starts_with('.') {
            return Err(format!("{name:?} cannot be the name of a seccomp profile"));
        }
        let mut text = Vec::new();
        let most = profile::FILE_BYTES_MAX;
        std::fs::File::open(dir.join(name))
            .and_then(|file| file.take(most + 1).read_to_end(&mut text))
            .map_err(|e| format!("the seccomp profile '{name}' cannot be read: {e}"))?;
        if text.len() as u64 > most {
            return Err(format!("the seccomp profile '{name}' is over {most} bytes"));
        }
        Ok(text)
    }
}

fn kernel() -> Result<profile::Kernel, String> {
    let name = nix::sys::utsname::uname().map_err(|e| format!("the kernel's version: {e}"))?;
    let text = name.release().to_string_lossy();
    profile::release(&text).ok_or_else(|| format!("the kernel's version '{text}' cannot be read"))
}
