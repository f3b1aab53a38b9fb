//! As much of the kernel's packet filter as programs here use: what it accepts, and what a program answers to a call.

use seccompiler::sock_filter;
use std::mem::{offset_of, size_of};

const LOAD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
const AND: u32 = libc::BPF_ALU | libc::BPF_AND;
const RETURN: u32 = libc::BPF_RET;
const ALWAYS: u32 = libc::BPF_JMP | libc::BPF_JA;
const EQUAL: u32 = libc::BPF_JMP | libc::BPF_JEQ;
const GREATER: u32 = libc::BPF_JMP | libc::BPF_JGT;
const NOT_LESS: u32 = libc::BPF_JMP | libc::BPF_JGE;

/// A call as the kernel shows it to a program, on this machine.
pub fn call(number: u32, args: [u64; 6]) -> libc::seccomp_data {
    let arch = super::super::machine().unwrap();
    libc::seccomp_data { nr: number.cast_signed(), arch, instruction_pointer: 0, args }
}

/// What the program answers, and after how many instructions.
pub fn run(program: &[sock_filter], call: &libc::seccomp_data) -> (u32, usize) {
    let (mut at, mut loaded) = (0, 0);
    for steps in 1.. {
        let sock_filter { code, jt, jf, k } = program[at];
        at += 1;
        let choose = |yes: bool| usize::from(if yes { jt } else { jf });
        match u32::from(code) {
            LOAD => loaded = word(call, k),
            AND => loaded &= k,
            RETURN => return (k, steps),
            ALWAYS => at += k as usize,
            EQUAL => at += choose(loaded == k),
            GREATER => at += choose(loaded > k),
            NOT_LESS => at += choose(loaded >= k),
            other => panic!("instruction {other:#x} at {at}"),
        }
    }
    unreachable!()
}

fn word(call: &libc::seccomp_data, offset: u32) -> u32 {
    let offset = offset as usize;
    if offset == offset_of!(libc::seccomp_data, nr) {
        return call.nr.cast_unsigned();
    }
    if offset == offset_of!(libc::seccomp_data, arch) {
        return call.arch;
    }
    let inside = offset.checked_sub(offset_of!(libc::seccomp_data, args)).unwrap();
    let bytes = call.args[inside / 8].to_ne_bytes();
    u32::from_ne_bytes(bytes[inside % 8..][..4].try_into().unwrap())
}

/// Panics over what the kernel would refuse: no end, jumps out of the program, words that are none.
pub fn check(program: &[sock_filter]) {
    assert!((1..=4096).contains(&program.len()), "{} instructions", program.len());
    assert_eq!(u32::from(program.last().unwrap().code), RETURN);
    for (at, sock_filter { code, jt, jf, k }) in program.iter().enumerate() {
        let most = match u32::from(*code) {
            LOAD => {
                assert!(k % 4 == 0 && (*k as usize) < size_of::<libc::seccomp_data>(), "{at}");
                0
            }
            ALWAYS => *k as usize,
            EQUAL | GREATER | NOT_LESS => usize::from(*jt.max(jf)),
            _ => 0,
        };
        assert!(at + most + 1 < program.len() || u32::from(*code) == RETURN, "a jump out at {at}");
    }
}

/// How many instructions no call gets to.
pub fn unreachable(program: &[sock_filter]) -> usize {
    let mut reached = vec![false; program.len()];
    reached[0] = true;
    for (at, sock_filter { code, jt, jf, k }) in program.iter().enumerate() {
        // Jumps only lead forward: what is not reached by now never is.
        if reached[at] {
            let next: &[usize] = match u32::from(*code) {
                RETURN => &[],
                ALWAYS => &[*k as usize],
                EQUAL | GREATER | NOT_LESS => &[usize::from(*jt), usize::from(*jf)],
                _ => &[0],
            };
            next.iter().for_each(|offset| reached[at + 1 + offset] = true);
        }
    }
    reached.iter().filter(|reached| !**reached).count()
}

/// Jumps without condition: there are some where others do not reach.
pub fn far_jumps(program: &[sock_filter]) -> usize {
    program.iter().filter(|i| u32::from(i.code) == ALWAYS).count()
}
