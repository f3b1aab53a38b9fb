//! Our one program against seccompiler's several, call by call, in an interpreter.

use super::super::{Action, Argument, Comparison, Filters, Profile, Rule, compile, default, table};
use super::{bpf, oracle};
use crate::base::rng::Rng;
use seccompiler::BpfProgram;
use std::borrow::Cow;

const ACTIONS: [Action; 9] = [
    Action::Allow,
    Action::Log,
    Action::Errno(0),
    Action::Errno(1),
    Action::Errno(38),
    // More than the kernel has room for: cut off as ever.
    Action::Errno(0x1_0002),
    Action::Trap,
    Action::KillThread,
    Action::KillProcess,
];
const COMPARISONS: [Comparison; 7] = [
    Comparison::Equal,
    Comparison::NotEqual,
    Comparison::Less,
    Comparison::LessOrEqual,
    Comparison::Greater,
    Comparison::GreaterOrEqual,
    Comparison::MaskedEqual,
];
/// Where halves of arguments begin and end.
const EDGES: [u64; 9] = [
    0,
    1,
    0x7fff_ffff,
    0xffff_ffff,
    0x1_0000_0000,
    0x1_0000_0001,
    0xffff_ffff_0000_0000,
    0x7fff_ffff_ffff_ffff,
    u64::MAX,
];
const ENOSYS: u32 = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;

fn ours(profile: &Profile) -> Option<BpfProgram> {
    let Filters(program) = compile(profile).unwrap();
    program.inspect(|program| bpf::check(program))
}

fn pick<T: Clone>(rng: &mut Rng, of: &[T]) -> T {
    of[rng.below(of.len() as u64) as usize].clone()
}

fn value(rng: &mut Rng) -> u64 {
    match rng.below(8) {
        0 => rng.next_u64(),
        1 => 1 << rng.below(64),
        _ => pick(rng, &EDGES),
    }
}

fn argument(rng: &mut Rng) -> Argument {
    // Few arguments and few values, so that rules meet.
    let index = if rng.chance(1, 4) { rng.below(6) } else { rng.below(2) } as u8;
    let comparison = pick(rng, &COMPARISONS);
    Argument { index, comparison, value: value(rng), value_two: value(rng) }
}

fn arguments(rng: &mut Rng, most: u64) -> Vec<Argument> {
    (0..rng.below(most + 1)).map(|_| argument(rng)).collect()
}

/// `names` are what the rules are about.
fn profile(rng: &mut Rng, names: &[&'static str], rules: u64, conditions: u64) -> Profile {
    let mut actions = ACTIONS.to_vec();
    rng.shuffle(&mut actions);
    actions.truncate(1 + rng.below(ACTIONS.len() as u64) as usize);
    let rules = (0..rng.below(rules + 1)).map(|_| {
        let of = (0..1 + rng.below(5)).map(|_| Cow::Borrowed(pick(rng, names))).collect();
        let action = pick(rng, &actions);
        let arguments = if rng.chance(1, 3) { Vec::new() } else { arguments(rng, conditions) };
        Rule { names: of, action, arguments }
    });
    let rules = rules.collect();
    Profile { default: pick(rng, &actions), rules }
}

/// Arguments around what the profile compares with.
fn args(rng: &mut Rng, profile: &Profile) -> [u64; 6] {
    let rules: Vec<_> = profile.rules.iter().filter(|r| !r.arguments.is_empty()).collect();
    let mut args = [0; 6].map(|_| value(rng));
    if !rules.is_empty() {
        for Argument { index, comparison, value, value_two } in &pick(rng, &rules).arguments {
            let met = match comparison {
                Comparison::MaskedEqual => *value_two & *value | rng.next_u64() & !*value,
                _ => *value,
            };
            args[usize::from(*index)] = match rng.below(8) {
                0 => met.wrapping_add(1),
                1 => met.wrapping_sub(1),
                2 => met ^ 1 << 32,
                3 => met ^ 1 << rng.below(64),
                _ => met,
            };
        }
    }
    args
}

/// Holds what the profile became against the oracle.
struct Held {
    profile: Profile,
    ours: Option<BpfProgram>,
    theirs: Vec<BpfProgram>,
}

impl Held {
    /// None: it is too large for seccompiler.
    fn new(profile: Profile) -> Option<Self> {
        let theirs = oracle::programs(&profile).ok()?;
        Some(Self { ours: ours(&profile), theirs, profile })
    }

    fn agree(&self, number: u32, args: [u64; 6]) {
        let call = bpf::call(number, args);
        let ours = self.answer(&call);
        // The one difference, and a tighter one: calls by x32 numbers.
        let x32 = cfg!(target_arch = "x86_64") && (0x4000_0000..u32::MAX).contains(&number);
        let open = matches!(self.profile.default, Action::Allow | Action::Log);
        let theirs = match &self.ours {
            Some(_) if x32 && open => ENOSYS,
            _ => oracle::answer(&self.theirs, &call),
        };
        assert_eq!(ours, theirs, "{number} {args:x?} {:?}", self.profile);
    }

    fn answer(&self, call: &libc::seccomp_data) -> u32 {
        let program = self.ours.as_ref();
        program.map_or(libc::SECCOMP_RET_ALLOW, |program| bpf::run(program, call).0)
    }

    fn agree_on_other_machines(&self) {
        for arch in [0, 0x4000_0003, 0xc000_0001] {
            let mut call = bpf::call(0, [0; 6]);
            call.arch = arch;
            assert_eq!(self.answer(&call), oracle::answer(&self.theirs, &call), "{arch:#x}");
        }
    }
}

/// The numbers of these, those beside them, and ends.
fn around(names: &[&str]) -> Vec<u32> {
    let numbers = names.iter().filter_map(|name| table::number(name));
    let mut all: Vec<u32> = numbers.flat_map(|n| [n.saturating_sub(1), n, n + 1]).collect();
    all.extend([
        0,
        500,
        0x3fff_ffff,
        0x4000_0000,
        0x4000_0001,
        0x8000_0000,
        u32::MAX - 1,
        u32::MAX,
    ]);
    all.sort_unstable();
    all.dedup();
    all
}

#[test]
fn random_profiles_mean_what_seccompilers_programs_together_mean() {
    // Neighbours, so that intervals meet, and one that is no call.
    let mut known: Vec<_> = table::all().collect();
    known.sort_by_key(|(_, number)| *number);
    let mut refusing = 0;
    for seed in 0..600 {
        let rng = &mut Rng::new(seed);
        let first = rng.below(known.len() as u64 - 20) as usize;
        let mut names: Vec<_> = known[first..first + 12].iter().map(|(name, _)| *name).collect();
        names.extend([known[0].0, "nosuch"]);
        let rules = pick(rng, &[2, 8, 24]);
        let held = Held::new(profile(rng, &names, rules, 3)).unwrap();
        refusing += usize::from(held.ours.is_some());
        for number in around(&names) {
            for _ in 0..12 {
                let args = args(rng, &held.profile);
                held.agree(number, args);
            }
        }
        held.agree_on_other_machines();
    }
    assert!(refusing > 500, "{refusing} programs");
}

#[test]
fn programs_longer_than_jumps_reach_mean_the_same() {
    let names: Vec<_> = table::all().map(|(name, _)| name).collect();
    let (mut held_against, mut longest, mut far) = (0, 0, 0);
    for seed in 0..30 {
        let rng = &mut Rng::new(seed);
        // Many rules, or some with more conditions than a jump passes over.
        let (rules, conditions) = pick(rng, &[(40, 8), (150, 4), (400, 3), (6, 100)]);
        let Some(held) = Held::new(profile(rng, &names, rules, conditions)) else { continue };
        let Some(program) = &held.ours else { continue };
        held_against += 1;
        longest = longest.max(program.len());
        far += bpf::far_jumps(program);
        for number in around(&names) {
            for _ in 0..2 {
                let args = args(rng, &held.profile);
                held.agree(number, args);
            }
        }
    }
    assert!(held_against >= 15 && longest > 2500 && far > 20, "{held_against} {longest} {far}");
}

/// Each that opens something, alone, none, and all.
fn capabilities() -> Vec<Vec<String>> {
    let each = [
        "CAP_SYS_ADMIN",
        "CAP_BPF",
        "CAP_PERFMON",
        "CAP_SYSLOG",
        "CAP_DAC_READ_SEARCH",
        "CAP_SYS_BOOT",
        "CAP_SYS_CHROOT",
        "CAP_SYS_MODULE",
        "CAP_SYS_PACCT",
        "CAP_SYS_PTRACE",
        "CAP_SYS_RAWIO",
        "CAP_SYS_TIME",
        "CAP_SYS_TTY_CONFIG",
        "CAP_SYS_NICE",
    ];
    let mut sets: Vec<_> = each.iter().map(|one| vec![(*one).to_owned()]).collect();
    sets.extend([Vec::new(), each.map(str::to_owned).to_vec()]);
    sets
}

#[test]
fn the_built_in_profile_means_what_it_meant() {
    for capabilities in capabilities() {
        let held = Held::new(default::profile(&capabilities)).unwrap();
        let edges = [0, 1, 8, 0x2_0000, 0x0200_0000, 0x7e02_0000, 0x4000_0000, 0x0100_0000];
        let families = [libc::AF_INET as u64, libc::AF_ALG as u64, libc::AF_VSOCK as u64];
        let mut first: Vec<u64> = edges.into_iter().chain(families).chain(EDGES).collect();
        let near = first
            .clone()
            .into_iter()
            .flat_map(|v| [v.wrapping_add(1), v ^ 1 << 32, v.wrapping_sub(1)]);
        first.extend(near.collect::<Vec<_>>());
        for number in (0..=500).chain(around(&[])) {
            for first in &first {
                held.agree(number, [*first, 0, 0, 0, 0, 0]);
            }
        }
        held.agree_on_other_machines();
    }
}

#[test]
fn the_built_in_profile_is_a_short_search() {
    for capabilities in capabilities() {
        let profile = default::profile(&capabilities);
        let program = ours(&profile).unwrap();
        assert!(program.len() <= 150, "{} instructions, {capabilities:?}", program.len());
        assert_eq!(bpf::unreachable(&program), 0, "{capabilities:?}");
        let steps = (0..=500).map(|number| bpf::run(&program, &bpf::call(number, [3; 6])).1).max();
        assert!(steps.unwrap() <= 32, "{steps:?} instructions for a call, {capabilities:?}");
        let openat = bpf::call(libc::SYS_openat as u32, [0; 6]);
        assert!(bpf::run(&program, &openat).1 <= 12);
    }
}

fn rule(action: Action, names: &[&'static str], arguments: &[(Comparison, u64)]) -> Rule {
    let arguments = arguments.iter().map(|(comparison, value)| Argument {
        index: 0,
        comparison: *comparison,
        value: *value,
        value_two: 0,
    });
    let names = names.iter().copied().map(Cow::Borrowed).collect();
    Rule { names, action, arguments: arguments.collect() }
}

/// What the program answers to `getpid` with that argument.
fn says(default: Action, rules: &[Rule], first: u64) -> u32 {
    let profile = Profile { default, rules: rules.to_vec() };
    let call = bpf::call(libc::SYS_getpid as u32, [first, 0, 0, 0, 0, 0]);
    bpf::run(&ours(&profile).unwrap(), &call).0
}

#[test]
fn the_strictest_rule_that_matches_holds_and_the_default_is_no_rule() {
    let (allow, log) = (libc::SECCOMP_RET_ALLOW, libc::SECCOMP_RET_LOG);
    let of = |action, arguments: &[_]| rule(action, &["getpid"], arguments);
    let seven = &[(Comparison::Equal, 7)];
    let rules = [of(Action::Log, seven), of(Action::Allow, &[]), of(Action::Trap, seven)];
    assert_eq!(says(Action::KillProcess, &rules, 7), libc::SECCOMP_RET_TRAP);
    assert_eq!(says(Action::KillProcess, &rules, 8), allow);
    assert_eq!(says(Action::KillProcess, &rules[..2], 7), log);
    // The highest of error numbers, wherever it stands.
    let errors = [1, 38, 2].map(|number| of(Action::Errno(number), &[]));
    assert_eq!(says(Action::Allow, &errors, 0), libc::SECCOMP_RET_ERRNO | 38);
    // A rule may be milder than the default, and one that repeats the default is none.
    let errors = [of(Action::Errno(1), &[]), of(Action::Errno(38), &[])];
    assert_eq!(says(Action::Errno(38), &errors, 0), libc::SECCOMP_RET_ERRNO | 1);
    let repeated = [of(Action::Trap, seven), of(Action::Allow, &[])];
    assert_eq!(says(Action::Trap, &repeated, 7), allow);
}

#[cfg(target_arch = "x86_64")]
#[test]
fn x32_numbers_do_not_get_around_what_is_refused() {
    let refuses = [rule(Action::Trap, &["getpid"], &[])];
    for (default, expected) in [
        (Action::Allow, ENOSYS),
        (Action::Log, ENOSYS),
        (Action::Errno(1), libc::SECCOMP_RET_ERRNO | 1),
        (Action::KillThread, libc::SECCOMP_RET_KILL_THREAD),
    ] {
        let program = ours(&Profile { default, rules: refuses.to_vec() }).unwrap();
        let number = 0x4000_0000 | libc::SYS_getpid as u32;
        assert_eq!(bpf::run(&program, &bpf::call(number, [0; 6])).0, expected, "{default:?}");
    }
}

#[test]
fn calls_of_the_same_outcome_share_it() {
    // Every other one: as many intervals as can be, more than a jump passes over.
    let mut known: Vec<_> = table::all().map(|(name, number)| (number, name)).collect();
    known.sort_unstable();
    let names: Vec<_> = known.iter().step_by(2).map(|(_, name)| *name).collect();
    let few = [(Comparison::Less, 5), (Comparison::NotEqual, 2), (Comparison::Greater, 0)];
    for conditions in [&few[..], &[]] {
        let rules = vec![rule(Action::Allow, &names, conditions)];
        let program = ours(&Profile { default: Action::Errno(1), rules }).unwrap();
        // A comparison where an interval begins, the rest once or twice.
        assert!(names.len() > 160 && program.len() < 2 * names.len() + 32, "{}", program.len());
    }
}

#[test]
fn what_no_program_can_be_is_refused_and_what_needs_none_has_none() {
    let one = |value| rule(Action::Trap, &["getpid"], &[(Comparison::Equal, value)]);
    let sized =
        |rules: u64| Profile { default: Action::Allow, rules: (0..rules).map(one).collect() };
    // Four instructions a condition, and some more.
    assert!(ours(&sized(1000)).unwrap().len() > 4000);
    let refused = compile(&sized(1030)).unwrap_err();
    assert!(refused.contains("more than the 4096 instructions"), "{refused}");
    let mut seventh = one(0);
    seventh.arguments[0].index = 6;
    let refused = compile(&Profile { default: Action::Allow, rules: vec![seventh] }).unwrap_err();
    assert!(refused.contains("no argument 6"), "{refused}");
    let open = [rule(Action::Allow, &["getpid"], &[])];
    assert!(ours(&Profile { default: Action::Allow, rules: open.to_vec() }).is_none());
}
