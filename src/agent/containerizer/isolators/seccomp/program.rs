//! Outcomes as a program of the kernel's packet filter (classic BPF): a binary search over the intervals of numbers leads to
//! an action, or to conditions on arguments that do. So a call costs a handful of instructions, and so does each of the
//! numbers the kernel tries when the program is loaded.
//!
//! Jumps only lead forward, and those with a condition at most 255 instructions far. Programs are therefore written from
//! their end: where a jump leads to is always there already, and when it is too far it is brought near: an action is
//! repeated, all else is reached by a jump without condition.

use super::outcomes::{Outcome, Outcomes};
use super::{Action, Argument, Comparison};
use seccompiler::{BpfProgram, sock_filter};
use std::mem::offset_of;

/// Instructions the kernel takes.
pub(super) const INSTRUCTIONS_MAX: usize = libc::BPF_MAXINSNS as usize;

const LOAD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
const AND: u32 = libc::BPF_ALU | libc::BPF_AND | libc::BPF_K;
const RETURN: u32 = libc::BPF_RET | libc::BPF_K;
const ALWAYS: u32 = libc::BPF_JMP | libc::BPF_JA;
const EQUAL: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
const GREATER: u32 = libc::BPF_JMP | libc::BPF_JGT | libc::BPF_K;
const NOT_LESS: u32 = libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K;

/// An instruction, by how many come after it.
type Label = usize;

/// A program that decides so on a machine the kernel calls `arch` (`AUDIT_ARCH_…`), and kills a process that makes calls of
/// another one.
///
/// # Errors
/// A text: it has more instructions than the kernel takes.
pub(super) fn program(outcomes: &Outcomes<'_>, arch: u32) -> Result<BpfProgram, String> {
    let mut writer = Writer::default();
    let mut labels = Vec::with_capacity(outcomes.all.len());
    for outcome in &outcomes.all {
        labels.push(writer.outcome(outcome)?);
    }
    let search = writer.search(outcomes.lowest, &outcomes.from, &mut labels)?;
    writer.fall_to(search)?;
    let here = writer.load(offset_of!(libc::seccomp_data, nr))?;
    let elsewhere = writer.end(libc::SECCOMP_RET_KILL_PROCESS)?;
    writer.jump(EQUAL, arch, here, elsewhere)?;
    writer.load(offset_of!(libc::seccomp_data, arch))?;
    writer.code.reverse();
    Ok(writer.code)
}

/// A program being written.
#[derive(Default)]
struct Writer {
    /// The last instruction first.
    code: BpfProgram,
    /// Where each answer to the kernel was written last.
    ends: Vec<(u32, Label)>,
}

impl Writer {
    /// A search for the number that is loaded: `lowest` holds below the first of `from`.
    fn search(
        &mut self,
        lowest: usize,
        from: &[(u32, usize)],
        labels: &mut [Label],
    ) -> Result<Label, String> {
        if from.is_empty() {
            labels[lowest] = self.near(labels[lowest])?;
            return Ok(labels[lowest]);
        }
        let middle = from.len() / 2;
        let (number, outcome) = from[middle];
        let above = self.search(outcome, &from[middle + 1..], labels)?;
        let below = self.search(lowest, &from[..middle], labels)?;
        self.jump(NOT_LESS, number, above, below)
    }

    fn outcome(&mut self, outcome: &Outcome<'_>) -> Result<Label, String> {
        let mut next = self.end(answer(outcome.otherwise))?;
        for (action, arguments) in outcome.when.iter().rev() {
            let mut met = self.end(answer(*action))?;
            for argument in arguments.iter().rev() {
                next = self.near(next)?;
                met = self.condition(argument, met, next)?;
            }
            next = met;
        }
        Ok(next)
    }

    /// Leads to `met` if the condition holds, else to `unmet`. An argument has two halves, the instructions one word.
    fn condition(&mut self, on: &Argument, met: Label, unmet: Label) -> Result<Label, String> {
        match on.comparison {
            Comparison::Equal => self.equal(on.index, u64::MAX, on.value, met, unmet),
            Comparison::NotEqual => self.equal(on.index, u64::MAX, on.value, unmet, met),
            Comparison::MaskedEqual => self.equal(on.index, on.value, on.value_two, met, unmet),
            Comparison::Greater => self.greater(GREATER, on, met, unmet),
            Comparison::GreaterOrEqual => self.greater(NOT_LESS, on, met, unmet),
            Comparison::Less => self.greater(NOT_LESS, on, unmet, met),
            Comparison::LessOrEqual => self.greater(GREATER, on, unmet, met),
        }
    }

    /// Whether the bits of `mask` are those of `value`.
    fn equal(
        &mut self,
        index: u8,
        mask: u64,
        value: u64,
        met: Label,
        unmet: Label,
    ) -> Result<Label, String> {
        let mut next = met;
        for half in [Half::Low, Half::High] {
            let (mask, value) = (half.of(mask), half.of(value));
            if mask == 0 {
                continue;
            }
            self.jump(EQUAL, value & mask, next, unmet)?;
            if mask != u32::MAX {
                self.push(AND, mask, 0, 0)?;
            }
            next = self.load(half.offset(index))?;
        }
        Ok(next)
    }

    /// Whether the argument is greater, or by `comparison` not less.
    fn greater(
        &mut self,
        comparison: u32,
        on: &Argument,
        met: Label,
        unmet: Label,
    ) -> Result<Label, String> {
        self.jump(comparison, Half::Low.of(on.value), met, unmet)?;
        let low = self.load(Half::Low.offset(on.index))?;
        let high = Half::High.of(on.value);
        let not_greater = self.jump(EQUAL, high, low, unmet)?;
        self.jump(GREATER, high, met, not_greater)?;
        self.load(Half::High.offset(on.index))
    }

    /// Leads to `yes` if what is loaded compares so to `with`, else to `no`.
    fn jump(&mut self, comparison: u32, with: u32, yes: Label, no: Label) -> Result<Label, String> {
        let yes = self.near(yes)?;
        // This may put one instruction between, which `near` leaves room for.
        let no = self.near(no)?;
        let offset = |label: Label| {
            // It fits; but a jump that led elsewhere would be a hole.
            u8::try_from(self.code.len() - label - 1)
                .map_err(|_| "seccomp: a jump of the program leads too far".to_owned())
        };
        let (yes, no) = (offset(yes)?, offset(no)?);
        self.push(comparison, with, yes, no)
    }

    /// The same as `label`, so near that the next instruction but one can jump to it.
    fn near(&mut self, label: Label) -> Result<Label, String> {
        let between = self.code.len() - label - 1;
        if between < usize::from(u8::MAX) {
            return Ok(label);
        }
        match self.code[label] {
            sock_filter { code, k, .. } if u32::from(code) == RETURN => self.push(RETURN, k, 0, 0),
            _ => self.push(ALWAYS, between as u32, 0, 0),
        }
    }

    /// Goes on at `label`.
    fn fall_to(&mut self, label: Label) -> Result<Label, String> {
        match self.code.len() - label - 1 {
            0 => Ok(label),
            between => self.push(ALWAYS, between as u32, 0, 0),
        }
    }

    /// The program's end with that answer to the kernel.
    fn end(&mut self, answer: u32) -> Result<Label, String> {
        let known = self.ends.iter().position(|(known, _)| *known == answer);
        let label = match known {
            Some(known) => self.near(self.ends[known].1)?,
            None => self.push(RETURN, answer, 0, 0)?,
        };
        match known {
            Some(known) => self.ends[known].1 = label,
            None => self.ends.push((answer, label)),
        }
        Ok(label)
    }

    /// Loads a word of what the kernel tells of a call.
    fn load(&mut self, offset: usize) -> Result<Label, String> {
        self.push(LOAD, offset as u32, 0, 0)
    }

    fn push(&mut self, code: u32, k: u32, yes: u8, no: u8) -> Result<Label, String> {
        if self.code.len() == INSTRUCTIONS_MAX {
            return Err(format!(
                "seccomp: the profile needs more than the {INSTRUCTIONS_MAX} instructions that \
                 the kernel takes"
            ));
        }
        self.code.push(sock_filter { code: code as u16, jt: yes, jf: no, k });
        Ok(self.code.len() - 1)
    }
}

/// Half of an argument.
#[derive(Clone, Copy)]
enum Half {
    Low,
    High,
}

impl Half {
    fn of(self, value: u64) -> u32 {
        match self {
            Self::Low => value as u32,
            Self::High => (value >> 32) as u32,
        }
    }

    /// Where it is in what the kernel tells of a call.
    fn offset(self, index: u8) -> usize {
        let second = matches!(self, Self::High) == cfg!(target_endian = "little");
        offset_of!(libc::seccomp_data, args) + 8 * usize::from(index) + 4 * usize::from(second)
    }
}

/// How the kernel is told of an action.
fn answer(action: Action) -> u32 {
    match action {
        Action::Allow => libc::SECCOMP_RET_ALLOW,
        Action::Log => libc::SECCOMP_RET_LOG,
        Action::Errno(number) => libc::SECCOMP_RET_ERRNO | (number & libc::SECCOMP_RET_DATA),
        Action::Trap => libc::SECCOMP_RET_TRAP,
        Action::KillThread => libc::SECCOMP_RET_KILL_THREAD,
        Action::KillProcess => libc::SECCOMP_RET_KILL_PROCESS,
    }
}
