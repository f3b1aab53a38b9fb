//! Seccomp: which system calls a task may make. A profile is data ([`profile`] reads the form Docker and Mesos share,
//! [`default`] is ours); it becomes programs of the kernel's packet filter, loaded by the task's own process just before its
//! program is executed.
//!
//! libcontainer without libseccomp drops the profile of a container in silence, so none of this goes through it.

pub mod default;
pub mod profile;
pub mod table;
#[cfg(test)]
mod tests;

pub use profile::{Action, Argument, Comparison, Profile, Rule};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

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

/// Filters ready to be loaded.
#[derive(Clone, Debug, Default)]
pub struct Filters(Vec<BpfProgram>);

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
    /// Loads them for the calling process, for good; with no_new_privs, which the kernel wants for it.
    ///
    /// # Errors
    /// A text: the kernel refused.
    pub fn load(&self) -> Result<(), String> {
        for program in &self.0 {
            seccompiler::apply_filter(program).map_err(|e| format!("seccomp: {e}"))?;
        }
        Ok(())
    }
}

/// One program decides between two outcomes; the kernel takes the strictest of several. So the first tells what is allowed
/// (with a condition or not) from the profile's default, and one more for each other outcome enforces that.
fn compile(profile: &Profile) -> Result<Filters, String> {
    let mut programs = Vec::new();
    if profile.default != Action::Allow {
        let allowed = profile.rules.iter().filter(|rule| rule.action != profile.default);
        programs.push(program(allowed, profile.default, Action::Allow)?);
    }
    let others: BTreeSet<Action> = profile
        .rules
        .iter()
        .map(|rule| rule.action)
        .filter(|action| *action != Action::Allow && *action != profile.default)
        .collect();
    for action in others {
        let rules = profile.rules.iter().filter(|rule| rule.action == action);
        programs.push(program(rules, Action::Allow, action)?);
    }
    Ok(Filters(programs))
}

fn program<'a>(
    rules: impl Iterator<Item = &'a Rule>,
    otherwise: Action,
    matched: Action,
) -> Result<BpfProgram, String> {
    let mut by_call: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    let mut always = BTreeSet::new();
    for rule in rules {
        for number in rule.names.iter().filter_map(|name| table::number(name)) {
            let conditions = rule.arguments.iter().map(condition).collect::<Result<Vec<_>, _>>()?;
            let of_call = by_call.entry(number).or_default();
            if conditions.is_empty() {
                always.insert(number);
            } else {
                of_call.push(SeccompRule::new(conditions).map_err(|e| format!("seccomp: {e}"))?);
            }
        }
    }
    for number in always {
        // A call without conditions has no rules: it always matches.
        by_call.insert(number, Vec::new());
    }
    let filter = SeccompFilter::new(by_call, action(otherwise), action(matched), machine()?);
    filter.and_then(TryInto::try_into).map_err(|e| format!("seccomp: {e}"))
}

fn machine() -> Result<TargetArch, String> {
    std::env::consts::ARCH
        .try_into()
        .map_err(|_| format!("seccomp is not supported on {}", std::env::consts::ARCH))
}

fn action(action: Action) -> SeccompAction {
    match action {
        Action::Allow => SeccompAction::Allow,
        Action::Log => SeccompAction::Log,
        Action::Errno(errno) => SeccompAction::Errno(errno),
        Action::Trap => SeccompAction::Trap,
        Action::KillThread => SeccompAction::KillThread,
        Action::KillProcess => SeccompAction::KillProcess,
    }
}

fn condition(argument: &Argument) -> Result<SeccompCondition, String> {
    let (operator, value) = match argument.comparison {
        Comparison::Equal => (SeccompCmpOp::Eq, argument.value),
        Comparison::NotEqual => (SeccompCmpOp::Ne, argument.value),
        Comparison::Less => (SeccompCmpOp::Lt, argument.value),
        Comparison::LessOrEqual => (SeccompCmpOp::Le, argument.value),
        Comparison::Greater => (SeccompCmpOp::Gt, argument.value),
        Comparison::GreaterOrEqual => (SeccompCmpOp::Ge, argument.value),
        Comparison::MaskedEqual => (SeccompCmpOp::MaskedEq(argument.value), argument.value_two),
    };
    SeccompCondition::new(argument.index, SeccompCmpArgLen::Qword, operator, value)
        .map_err(|e| format!("seccomp: {e}"))
}
