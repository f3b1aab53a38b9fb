//! The same profile in seccompiler's hands: programs that know two outcomes each, all of them loaded, of which the kernel takes
//! the strictest. What our one program is held against.

use super::super::{Action, Argument, Comparison, Profile, Rule, table};
use super::bpf;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};
use std::collections::{BTreeMap, BTreeSet};

/// In the order they are loaded. An error: seccompiler's text.
pub fn programs(profile: &Profile) -> Result<Vec<BpfProgram>, String> {
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
    Ok(programs)
}

/// What the kernel makes of several programs: it asks the one loaded last first, and another's answer counts if its action is
/// stricter.
pub fn answer(programs: &[BpfProgram], call: &libc::seccomp_data) -> u32 {
    let strictness = |answer: u32| (answer & libc::SECCOMP_RET_ACTION_FULL).cast_signed();
    programs.iter().rev().fold(libc::SECCOMP_RET_ALLOW, |strictest, program| {
        let (answer, _) = bpf::run(program, call);
        if strictness(answer) < strictness(strictest) { answer } else { strictest }
    })
}

fn program<'a>(
    rules: impl Iterator<Item = &'a Rule>,
    otherwise: Action,
    matched: Action,
) -> Result<BpfProgram, String> {
    let mut by_call: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    let mut always = BTreeSet::new();
    for rule in rules {
        for number in rule.names.iter().filter_map(|name| table::number(name)).map(i64::from) {
            let conditions: Vec<_> = rule.arguments.iter().map(condition).collect();
            let of_call = by_call.entry(number).or_default();
            if conditions.is_empty() {
                always.insert(number);
            } else {
                of_call.push(SeccompRule::new(conditions).unwrap());
            }
        }
    }
    for number in always {
        // A call without conditions has no rules: it always matches.
        by_call.insert(number, Vec::new());
    }
    let machine = std::env::consts::ARCH.try_into().unwrap();
    let filter = SeccompFilter::new(by_call, action(otherwise), action(matched), machine);
    filter.and_then(TryInto::try_into).map_err(|e| e.to_string())
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

fn condition(argument: &Argument) -> SeccompCondition {
    let (operator, value) = match argument.comparison {
        Comparison::Equal => (SeccompCmpOp::Eq, argument.value),
        Comparison::NotEqual => (SeccompCmpOp::Ne, argument.value),
        Comparison::Less => (SeccompCmpOp::Lt, argument.value),
        Comparison::LessOrEqual => (SeccompCmpOp::Le, argument.value),
        Comparison::Greater => (SeccompCmpOp::Gt, argument.value),
        Comparison::GreaterOrEqual => (SeccompCmpOp::Ge, argument.value),
        Comparison::MaskedEqual => (SeccompCmpOp::MaskedEq(argument.value), argument.value_two),
    };
    SeccompCondition::new(argument.index, SeccompCmpArgLen::Qword, operator, value).unwrap()
}
