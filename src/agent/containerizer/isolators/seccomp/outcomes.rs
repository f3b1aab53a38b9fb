//! What a profile says of each call: the rules that name it joined into one outcome, and numbers of the same outcome joined
//! into intervals. Knows nothing of the kernel's instructions.
//!
//! Of the rules that match a call the strictest action holds, whether or not it is stricter than the profile's default; the
//! default is for calls that no rule matches. A rule that asks for what the default says anyway is passed over: it
//! neither keeps a call from the other rules that match it, nor is it one of them. Of several error numbers the
//! highest holds.

use super::table;
use super::{Action, Argument, Profile};

/// Arguments of a system call.
const ARGUMENTS: u8 = 6;

/// From here on x86_64 kernels that have it take numbers for the x32 machine, which shares this machine's tables.
const X32: u32 = 0x4000_0000;
/// Not a number of that machine: how a debugger says that a call is not to be made.
const SKIPPED: u32 = u32::MAX;

/// What happens to a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Outcome<'a> {
    /// Actions and their conditions, of which all must hold; the strictest first.
    pub when: Vec<(Action, &'a [Argument])>,
    /// What happens when none of them applies.
    pub otherwise: Action,
}

/// What happens to every number.
#[derive(Debug)]
pub(super) struct Outcomes<'a> {
    /// All that differ.
    pub all: Vec<Outcome<'a>>,
    /// The outcome of the lowest numbers, by its place in `all`.
    pub lowest: usize,
    /// The numbers from which on another outcome holds, ascending.
    pub from: Vec<(u32, usize)>,
}

impl<'a> Outcomes<'a> {
    /// Those of a profile.
    ///
    /// # Errors
    /// A text: a rule is about an argument that no call has.
    pub fn of(profile: &'a Profile) -> Result<Self, String> {
        let default = Outcome { when: Vec::new(), otherwise: profile.default };
        let mut outcomes = Self { all: vec![default.clone()], lowest: 0, from: Vec::new() };
        let calls = calls(profile)?;
        let mut next = 0;
        for rules in calls.chunk_by(|(one, _), (other, _)| one == other) {
            let number = rules[0].0;
            if next < number {
                outcomes.begin(next, default.clone());
            }
            let rules = rules.iter().map(|(_, rule)| &profile.rules[*rule]);
            let always = rules.clone().filter(|r| r.arguments.is_empty()).map(|r| r.action).max();
            let mut when: Vec<_> = rules
                .filter(|r| !r.arguments.is_empty() && Some(r.action) > always)
                .map(|r| (r.action, r.arguments.as_slice()))
                .collect();
            when.sort_by(|(one, _), (other, _)| other.cmp(one));
            when.dedup();
            let otherwise = always.unwrap_or(profile.default);
            outcomes.begin(number, Outcome { when, otherwise });
            next = number + 1;
        }
        outcomes.begin(next, default.clone());
        // The rules name calls of this machine only. Where the default lets a call be made they would be got around by the
        // same call's x32 number, so there are none of those: as on a kernel without x32.
        if cfg!(target_arch = "x86_64") && profile.default < Action::Errno(0) {
            let unknown = Action::Errno(libc::ENOSYS as u32);
            outcomes.begin(X32, Outcome { when: Vec::new(), otherwise: unknown });
            outcomes.begin(SKIPPED, default);
        }
        Ok(outcomes)
    }

    /// From `number` on, which is above all before, `outcome` holds.
    fn begin(&mut self, number: u32, outcome: Outcome<'a>) {
        let place = self.all.iter().position(|known| *known == outcome).unwrap_or_else(|| {
            self.all.push(outcome);
            self.all.len() - 1
        });
        if number == 0 {
            self.lowest = place;
        } else if self.from.last().map_or(self.lowest, |(_, before)| *before) != place {
            self.from.push((number, place));
        }
    }
}

/// The numbers rules are about, ascending, each with the places of its rules.
fn calls(profile: &Profile) -> Result<Vec<(u32, usize)>, String> {
    let mut calls = Vec::new();
    for (place, rule) in profile.rules.iter().enumerate() {
        if rule.action == profile.default {
            continue;
        }
        if let Some(argument) = rule.arguments.iter().find(|a| a.index >= ARGUMENTS) {
            return Err(format!("seccomp: a system call has no argument {}", argument.index));
        }
        let numbers = rule.names.iter().filter_map(|name| table::number(name));
        calls.extend(numbers.map(|number| (number, place)));
    }
    calls.sort_unstable();
    calls.dedup();
    Ok(calls)
}
