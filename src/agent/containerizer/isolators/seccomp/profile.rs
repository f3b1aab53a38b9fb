//! Profiles in the JSON form that Docker, the OCI tools and Mesos share: a default action, and rules of names, actions and
//! conditions on arguments, some for certain capabilities or kinds of machine only.

use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// The largest profile file, in bytes.
pub const FILE_BYTES_MAX: u64 = 1 << 20;
/// Rules of one profile, at most.
pub const RULES_MAX: usize = 4096;

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Action {
    /// It is made.
    Allow,
    /// It is made, and the kernel logs it.
    Log,
    /// It fails with that error number.
    Errno(u32),
    /// The process gets SIGSYS.
    Trap,
    /// The thread ends.
    KillThread,
    /// The process ends.
    KillProcess,
}

/// How an argument is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Comparison {
    /// To `value`.
    Equal,
    /// To `value`.
    NotEqual,
    /// Than `value`.
    Less,
    /// Than `value`, or equal.
    LessOrEqual,
    /// Than `value`.
    Greater,
    /// Than `value`, or equal.
    GreaterOrEqual,
    /// The bits of `value` are those of `value_two`.
    MaskedEqual,
}

/// A condition on one argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Argument {
    /// Which, from 0.
    pub index: u8,
    /// How it is compared.
    pub comparison: Comparison,
    /// With what.
    pub value: u64,
    /// With what else.
    pub value_two: u64,
}

/// Calls that have something in common.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Names; those this machine does not have are passed over.
    pub names: Vec<Cow<'static, str>>,
    /// What happens to them.
    pub action: Action,
    /// If all of these hold.
    pub arguments: Vec<Argument>,
}

/// What is allowed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// What happens to a call of which no rule tells.
    pub default: Action,
    /// The rules; of several that match, the strictest action holds. One that says what the default says is passed over.
    pub rules: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    default_action: String,
    default_errno_ret: Option<u32>,
    #[serde(default)]
    syscalls: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    #[serde(default)]
    names: Vec<String>,
    /// Older files have one name an entry.
    name: Option<String>,
    action: String,
    errno_ret: Option<u32>,
    #[serde(default)]
    args: Option<Vec<Condition>>,
    #[serde(default)]
    includes: Option<Filter>,
    #[serde(default)]
    excludes: Option<Filter>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Condition {
    index: u8,
    value: u64,
    #[serde(default)]
    value_two: u64,
    op: String,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Filter {
    caps: Vec<String>,
    arches: Vec<String>,
    min_kernel: Option<String>,
}

/// The kernel's release, as far as profiles ask: major and minor.
pub type Kernel = (u32, u32);

/// Reads a profile as it applies to a container with these capabilities (`CAP_…`) on this kernel.
///
/// # Errors
/// A text: what is wrong with it.
pub fn parse(text: &[u8], capabilities: &[String], kernel: Kernel) -> Result<Profile, String> {
    let file: File = serde_json::from_slice(text).map_err(|e| e.to_string())?;
    if file.syscalls.len() > RULES_MAX {
        return Err(format!("more than {RULES_MAX} rules"));
    }
    let default = action(&file.default_action, file.default_errno_ret)?;
    let mut rules = Vec::new();
    for entry in file.syscalls {
        let action = action(&entry.action, entry.errno_ret)?;
        let arguments = entry.args.unwrap_or_default();
        let arguments = arguments.iter().map(argument).collect::<Result<Vec<_>, _>>()?;
        let holds = entry.includes.as_ref().map_or(Ok(true), |f| f.all(capabilities, kernel))?;
        let barred = entry.excludes.as_ref().map_or(Ok(false), |f| f.any(capabilities, kernel))?;
        if holds && !barred {
            let names = entry.names.into_iter().chain(entry.name).map(Cow::Owned).collect();
            rules.push(Rule { names, action, arguments });
        }
    }
    Ok(Profile { default, rules })
}

fn action(name: &str, errno: Option<u32>) -> Result<Action, String> {
    Ok(match name {
        "SCMP_ACT_ALLOW" => Action::Allow,
        "SCMP_ACT_LOG" => Action::Log,
        "SCMP_ACT_ERRNO" => Action::Errno(errno.unwrap_or(libc::EPERM as u32)),
        "SCMP_ACT_TRAP" => Action::Trap,
        "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => Action::KillThread,
        "SCMP_ACT_KILL_PROCESS" => Action::KillProcess,
        _ => return Err(format!("the action '{name}' is not supported")),
    })
}

fn argument(condition: &Condition) -> Result<Argument, String> {
    let comparison = match condition.op.as_str() {
        "SCMP_CMP_EQ" => Comparison::Equal,
        "SCMP_CMP_NE" => Comparison::NotEqual,
        "SCMP_CMP_LT" => Comparison::Less,
        "SCMP_CMP_LE" => Comparison::LessOrEqual,
        "SCMP_CMP_GT" => Comparison::Greater,
        "SCMP_CMP_GE" => Comparison::GreaterOrEqual,
        "SCMP_CMP_MASKED_EQ" => Comparison::MaskedEqual,
        other => return Err(format!("the comparison '{other}' is not supported")),
    };
    let Condition { index, value, value_two, .. } = *condition;
    if index > 5 {
        return Err(format!("a system call has no argument {index}"));
    }
    Ok(Argument { index, comparison, value, value_two })
}

impl Filter {
    /// Whether each thing it names holds, as `includes` wants.
    fn all(&self, capabilities: &[String], kernel: Kernel) -> Result<bool, String> {
        Ok(self.caps.iter().all(|c| capabilities.contains(c))
            && (self.arches.is_empty() || self.arches.iter().any(|a| is_here(a)))
            && self.recent(kernel)?.unwrap_or(true))
    }

    /// Whether anything it names holds, as `excludes` wants.
    fn any(&self, capabilities: &[String], kernel: Kernel) -> Result<bool, String> {
        Ok(self.caps.iter().any(|c| capabilities.contains(c))
            || self.arches.iter().any(|a| is_here(a))
            || self.recent(kernel)?.unwrap_or(false))
    }

    fn recent(&self, kernel: Kernel) -> Result<Option<bool>, String> {
        let Some(text) = &self.min_kernel else { return Ok(None) };
        match release(text) {
            Some(wanted) => Ok(Some(kernel >= wanted)),
            None => Err(format!("'{text}' is no version of a kernel")),
        }
    }
}

/// Major and minor of a kernel's release.
pub fn release(text: &str) -> Option<Kernel> {
    let mut numbers = text.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => Some((major, minor)),
        _ => None,
    }
}

/// Whether that is this kind of machine, in Docker's names and libseccomp's.
fn is_here(arch: &str) -> bool {
    let here: &[&str] = match std::env::consts::ARCH {
        "x86_64" => &["amd64", "x86_64", "SCMP_ARCH_X86_64"],
        "aarch64" => &["arm64", "aarch64", "SCMP_ARCH_AARCH64"],
        other => &[other],
    };
    here.contains(&arch)
}
