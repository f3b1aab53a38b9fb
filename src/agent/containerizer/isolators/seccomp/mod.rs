//! Seccomp: which system calls a task may make. A profile is data ([`profile`] reads the form Docker and Mesos share,
//! [`default`] is ours); it becomes one program of the kernel's packet filter, loaded by the task's own process just before
//! its program is executed: `outcomes` tells what the profile says of each number, `program` writes that down.
//!
//! The kernel runs a program for each number of each kind of call when it is loaded, and then at each call: it is a search,
//! not a list. libcontainer without libseccomp drops the profile of a container in silence, so none of this goes through it.

pub mod default;
mod outcomes;
pub mod profile;
mod program;
pub mod table;
#[cfg(test)]
mod tests;

use outcomes::Outcomes;
pub use profile::{Action, Argument, Comparison, Profile, Rule};
use seccompiler::BpfProgram;
use serde::{Deserialize, Serialize};

/// What a container's calls are held against.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Seccomp {
    /// Nothing.
    #[default]
    Unconfined,
    /// Our own profile, by the capabilities the container has.
    Default,
    /// A profile of the operator's.
    Profile(Box<Profile>),
}

/// A filter ready to be loaded, or none.
#[derive(Clone, Debug, Default)]
pub struct Filters(Option<BpfProgram>);

/// What `seccomp` asks of a task with these capabilities (`CAP_…`).
///
/// # Errors
/// A text: the profile cannot be expressed on this machine.
pub fn filters(seccomp: &Seccomp, capabilities: &[String]) -> Result<Filters, String> {
    match seccomp {
        Seccomp::Unconfined => Ok(Filters::default()),
        Seccomp::Default => compile(&default::profile(capabilities)),
        Seccomp::Profile(profile) => compile(profile),
    }
}

impl Filters {
    /// Loads it for the calling process, for good; with no_new_privs, which the kernel wants for it.
    ///
    /// # Errors
    /// A text: the kernel refused.
    pub fn load(&self) -> Result<(), String> {
        match &self.0 {
            Some(program) => {
                seccompiler::apply_filter(program).map_err(|e| format!("seccomp: {e}"))
            }
            None => Ok(()),
        }
    }
}

/// A profile that keeps nothing from being made needs no program.
fn compile(profile: &Profile) -> Result<Filters, String> {
    let actions = profile.rules.iter().map(|rule| rule.action);
    if actions.chain([profile.default]).all(|action| action == Action::Allow) {
        return Ok(Filters::default());
    }
    let arch = machine()?;
    Ok(Filters(Some(program::program(&Outcomes::of(profile)?, arch)?)))
}

/// What the kernel calls this machine (`AUDIT_ARCH_…`): its number among ELF's machines, 64 bits, little-endian.
fn machine() -> Result<u32, String> {
    let elf = match std::env::consts::ARCH {
        "x86_64" => libc::EM_X86_64,
        "aarch64" => libc::EM_AARCH64,
        "riscv64" => libc::EM_RISCV,
        other => return Err(format!("seccomp is not supported on {other}")),
    };
    Ok(u32::from(elf) | 0xc000_0000)
}
