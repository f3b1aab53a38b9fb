//! Profiles as data, and what the kernel makes of them in a child process; what programs mean is in `programs`.

mod bpf;
mod oracle;
mod programs;

use super::profile::{parse, release};
use super::{Action, Profile, Seccomp, default, filters, table};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};

fn caps(names: &[&str]) -> Vec<String> {
    names.iter().map(|n| (*n).to_owned()).collect()
}

/// What a profile says of a call without looking at arguments.
fn says(profile: &Profile, name: &str) -> Vec<Action> {
    let rules = profile.rules.iter().filter(|r| r.names.iter().any(|n| n == name));
    rules.map(|r| r.action).collect()
}

#[test]
fn names_and_numbers_are_each_there_once() {
    let mut names: Vec<_> = table::all().collect();
    for (name, number) in &names {
        // They are looked up by halves: in order of names, or not found.
        assert_eq!(table::number(name).map(i64::from), Some(*number), "{name}");
    }
    let count = names.len();
    names.sort();
    names.dedup_by_key(|(name, _)| *name);
    assert_eq!(names.len(), count);
    names.sort_by_key(|(_, number)| *number);
    names.dedup_by_key(|(_, number)| *number);
    assert_eq!(names.len(), count);
    assert_eq!(table::number("execve"), Some(libc::SYS_execve as u32));
    assert_eq!(table::number("nosuch"), None);
}

#[test]
fn a_capability_opens_what_it_is_for() {
    let plain = default::profile(&caps(&["CAP_CHOWN"]));
    let refused = [Action::Errno(libc::EPERM as u32)];
    for closed in ["mount", "unshare", "bpf", "keyctl", "reboot", "open_by_handle_at"] {
        assert_eq!(says(&plain, closed), refused, "{closed}");
    }
    assert_eq!(says(&plain, "clone3"), []);
    assert_eq!(says(&plain, "openat"), [Action::Allow]);
    let admin = default::profile(&caps(&["CAP_SYS_ADMIN"]));
    for open in ["mount", "unshare", "bpf", "clone3", "perf_event_open"] {
        assert_eq!(says(&admin, open), [Action::Allow], "{open}");
    }
    assert_eq!(says(&admin, "keyctl"), refused);
    assert_eq!(says(&default::profile(&caps(&["CAP_BPF"])), "bpf"), [Action::Allow]);
}

const FILE: &str = r#"{
  "defaultAction": "SCMP_ACT_ALLOW",
  "archMap": [{"architecture": "SCMP_ARCH_X86_64"}],
  "syscalls": [
    {"names": ["uname"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38, "args": null},
    {"name": "mkdirat", "action": "SCMP_ACT_ERRNO",
     "args": [{"index": 2, "value": 511, "valueTwo": 0, "op": "SCMP_CMP_EQ"}]},
    {"names": ["bpf"], "action": "SCMP_ACT_TRAP", "includes": {"caps": ["CAP_BPF"]}},
    {"names": ["acct"], "action": "SCMP_ACT_TRAP", "excludes": {"minKernel": "4.8"}},
    {"names": ["sync"], "action": "SCMP_ACT_LOG", "includes": {"arches": ["amd64", "arm64"]}}
  ]}"#;

#[test]
fn files_are_read_as_they_apply_here() {
    let read = parse(FILE.as_bytes(), &caps(&[]), (6, 1)).unwrap();
    assert_eq!(read.default, Action::Allow);
    assert_eq!(says(&read, "uname"), [Action::Errno(38)]);
    assert_eq!(says(&read, "mkdirat"), [Action::Errno(1)]);
    assert_eq!(says(&read, "bpf"), []);
    assert_eq!(says(&read, "acct"), []);
    let other = parse(FILE.as_bytes(), &caps(&["CAP_BPF"]), (3, 10)).unwrap();
    assert_eq!(says(&other, "bpf"), [Action::Trap]);
    assert_eq!(says(&other, "acct"), [Action::Trap]);
    assert_eq!(release("6.18.44-fc"), Some((6, 18)));
    assert_eq!(release("six"), None);
}

#[test]
fn what_cannot_be_carried_out_is_refused() {
    let refused = |text: &str| parse(text.as_bytes(), &[], (6, 1)).unwrap_err();
    assert!(refused("[]").contains("invalid"));
    assert!(refused(r#"{"defaultAction":"SCMP_ACT_NOTIFY"}"#).contains("SCMP_ACT_NOTIFY"));
    let rule = |op: &str, index: u8| {
        format!(
            r#"{{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{{"names":["read"],
            "action":"SCMP_ACT_ERRNO","args":[{{"index":{index},"value":0,"op":"{op}"}}]}}]}}"#
        )
    };
    assert!(refused(&rule("SCMP_CMP_LIKE", 0)).contains("SCMP_CMP_LIKE"));
    assert!(refused(&rule("SCMP_CMP_EQ", 6)).contains("argument 6"));
}

/// Does `work` in a child with the filters; its answer, or how it died.
fn within(seccomp: &Seccomp, capabilities: &[String], work: fn() -> i32) -> WaitStatus {
    let filters = filters(seccomp, capabilities).unwrap();
    // SAFETY: the child makes system calls only, allocates nothing, and leaves.
    match unsafe { fork() }.unwrap() {
        ForkResult::Child => unsafe {
            let code = match filters.load() {
                Ok(()) => work(),
                Err(_) => 99,
            };
            libc::_exit(code)
        },
        ForkResult::Parent { child } => waitpid(child, None).unwrap(),
    }
}

fn code(status: WaitStatus) -> i32 {
    match status {
        WaitStatus::Exited(_, code) => code,
        other => panic!("{other:?}"),
    }
}

/// The error number a call fails with; 0: it does not.
fn errno(number: i64, first: u64) -> i32 {
    // SAFETY: these calls are refused, or harmless with these arguments.
    let done = unsafe { libc::syscall(number, first, 0, 0, 0, 0, 0) };
    if done == -1 { nix::errno::Errno::last_raw() } else { 0 }
}

// covers: MES-0843
#[test]
fn the_kernel_keeps_the_default_profile() {
    let tried: [(fn() -> i32, i32); 8] = [
        (|| errno(libc::SYS_getpid, 0), 0),
        (|| errno(libc::SYS_unshare, libc::CLONE_NEWUSER as u64), libc::EPERM),
        (|| errno(libc::SYS_keyctl, 0), libc::EPERM),
        (|| errno(libc::SYS_clone3, 0), libc::ENOSYS),
        (|| errno(9999, 0), libc::ENOSYS),
        (|| errno(libc::SYS_clone, libc::CLONE_NEWUSER as u64), libc::ENOSYS),
        (|| errno(libc::SYS_personality, 0xffff_ffff), 0),
        (|| errno(libc::SYS_socket, libc::AF_VSOCK as u64), libc::ENOSYS),
    ];
    for (n, (work, expected)) in tried.into_iter().enumerate() {
        assert_eq!(code(within(&Seccomp::Default, &[], work)), expected, "{n}");
    }
    // Forks and threads go on working: their clone makes no namespaces.
    let forks = || match unsafe { fork() } {
        Ok(ForkResult::Child) => unsafe { libc::_exit(0) },
        Ok(ForkResult::Parent { child }) => i32::from(waitpid(child, None).is_err()),
        Err(_) => 2,
    };
    assert_eq!(code(within(&Seccomp::Default, &[], forks)), 0);
    assert_eq!(
        code(within(&Seccomp::Unconfined, &[], || errno(libc::SYS_keyctl, 9999))),
        libc::EOPNOTSUPP
    );
}

// covers: MES-0844
#[test]
fn the_kernel_keeps_a_profile_of_the_operators() {
    let profile = parse(FILE.as_bytes(), &[], (6, 1)).unwrap();
    let seccomp = Seccomp::Profile(Box::new(profile));
    assert_eq!(code(within(&seccomp, &[], || errno(libc::SYS_uname, 0))), 38);
    assert_eq!(code(within(&seccomp, &[], || errno(libc::SYS_getpid, 0))), 0);
    // One longer than jumps reach is loaded as well.
    let rules = table::all().map(|(name, number)| {
        format!(
            r#"{{"names":["{name}"],"action":"SCMP_ACT_ERRNO","errnoRet":{},
            "args":[{{"index":5,"value":{},"op":"SCMP_CMP_GE"}}]}}"#,
            1 + number % 100,
            (1_u64 << 63) + number as u64
        )
    });
    let rules: Vec<_> = rules.collect();
    let long = format!(r#"{{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{}]}}"#, rules.join(","));
    let seccomp = Seccomp::Profile(Box::new(parse(long.as_bytes(), &[], (6, 1)).unwrap()));
    let program = filters(&seccomp, &[]).unwrap().0.unwrap();
    assert!(program.len() > 1500 && bpf::far_jumps(&program) > 0, "{}", program.len());
    let refused = || {
        let least = (1_u64 << 63) + libc::SYS_getppid as u64;
        // SAFETY: it looks at none of its arguments.
        let call = |last: u64| unsafe { libc::syscall(libc::SYS_getppid, 0, 0, 0, 0, 0, last) };
        if call(least - 1) == -1 || call(least) != -1 {
            return 0;
        }
        nix::errno::Errno::last_raw()
    };
    let number = libc::SYS_getppid as i32;
    assert_eq!(code(within(&seccomp, &[], refused)), 1 + number % 100);
    let killed = r#"{"defaultAction":"SCMP_ACT_ALLOW",
        "syscalls":[{"names":["uname"],"action":"SCMP_ACT_KILL_PROCESS"}]}"#;
    let profile = parse(killed.as_bytes(), &[], (6, 1)).unwrap();
    let seccomp = Seccomp::Profile(Box::new(profile));
    let status = within(&seccomp, &[], || errno(libc::SYS_uname, 0));
    assert!(matches!(status, WaitStatus::Signaled(_, nix::sys::signal::Signal::SIGSYS, _)));
}
