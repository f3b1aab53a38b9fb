//! The profile of tasks that name none: every call this program knows, but those that reach beyond the container, that
//! few programs need, or that have a history of holes. A capability the container has opens what it is for.
//!
//! What is known and closed fails with EPERM, what is unknown with ENOSYS: libraries then use what came before it.

use super::table;
use super::{Action, Argument, Comparison, Profile, Rule};
use std::borrow::Cow;

/// Closed, unless the container has one of the capabilities.
const CLOSED: &[(&[&str], &[&str])] = &[
    (
        &["CAP_SYS_ADMIN"],
        &[
            "fanotify_init",
            "fsconfig",
            "fsmount",
            "fsopen",
            "fspick",
            "lookup_dcookie",
            "mount",
            "mount_setattr",
            "move_mount",
            "open_tree",
            "pivot_root",
            "quotactl",
            "quotactl_fd",
            "setdomainname",
            "sethostname",
            "setns",
            "swapoff",
            "swapon",
            "umount2",
            "unshare",
        ],
    ),
    (&["CAP_SYS_ADMIN", "CAP_BPF"], &["bpf"]),
    (&["CAP_SYS_ADMIN", "CAP_PERFMON"], &["perf_event_open"]),
    (&["CAP_SYS_ADMIN", "CAP_SYSLOG"], &["syslog"]),
    (&["CAP_DAC_READ_SEARCH"], &["open_by_handle_at"]),
    (&["CAP_SYS_BOOT"], &["kexec_file_load", "kexec_load", "reboot"]),
    (&["CAP_SYS_CHROOT"], &["chroot"]),
    (&["CAP_SYS_MODULE"], &["delete_module", "finit_module", "init_module"]),
    (&["CAP_SYS_PACCT"], &["acct"]),
    (&["CAP_SYS_PTRACE"], &["kcmp", "pidfd_getfd", "process_madvise"]),
    (&["CAP_SYS_RAWIO"], &["ioperm", "iopl"]),
    (&["CAP_SYS_TIME"], &["clock_settime", "settimeofday"]),
    (&["CAP_SYS_TTY_CONFIG"], &["vhangup"]),
    (
        &["CAP_SYS_NICE"],
        &[
            "get_mempolicy",
            "mbind",
            "migrate_pages",
            "move_pages",
            "set_mempolicy",
            "set_mempolicy_home_node",
        ],
    ),
    // The kernel's keyrings are not divided among containers.
    (&[], &["add_key", "keyctl", "request_key"]),
    // Ways to hold the kernel up, or around what is filtered here.
    (&[], &["io_uring_enter", "io_uring_register", "io_uring_setup", "userfaultfd"]),
    // Of kernels long gone.
    (
        &[],
        &[
            "_sysctl",
            "afs_syscall",
            "create_module",
            "get_kernel_syms",
            "getpmsg",
            "nfsservctl",
            "putpmsg",
            "query_module",
            "security",
            "sysfs",
            "tuxcall",
            "uselib",
            "ustat",
            "vserver",
        ],
    ),
];

/// Allowed under conditions only, see [`conditional`].
const CONDITIONAL: [&str; 4] = ["clone", "clone3", "personality", "socket"];

/// `clone` flags that make namespaces.
const CLONE_NAMESPACES: u64 = 0x7e02_0000;
/// What `personality` may ask: plain Linux, 32-bit addresses or not, fixed addresses or not, and the question itself.
const PERSONALITIES: [u64; 5] = [0x0, 0x8, 0x2_0000, 0x2_0008, 0xffff_ffff];
/// Families of sockets that reach around the container's network: the hypervisor's, the kernel's ciphers.
const FAMILIES_CLOSED: [u64; 2] = [libc::AF_VSOCK as u64, libc::AF_ALG as u64];

/// The profile for a container with these capabilities (`CAP_…`).
pub fn profile(capabilities: &[String]) -> Profile {
    let has = |wanted: &str| capabilities.iter().any(|c| c == wanted);
    let mut closed: Vec<&'static str> = CLOSED
        .iter()
        .filter(|(openers, _)| !openers.iter().any(|c| has(c)))
        .flat_map(|(_, calls)| calls.iter().copied())
        .collect();
    closed.sort_unstable();
    let open = table::all()
        .map(|(name, _)| name)
        .filter(|name| closed.binary_search(name).is_err() && !CONDITIONAL.contains(name))
        .map(Cow::Borrowed)
        .collect();
    let mut rules = vec![
        Rule { names: open, action: Action::Allow, arguments: Vec::new() },
        Rule {
            names: closed.into_iter().map(Cow::Borrowed).collect(),
            action: Action::Errno(libc::EPERM as u32),
            arguments: Vec::new(),
        },
    ];
    rules.extend(conditional(has("CAP_SYS_ADMIN")));
    Profile { default: Action::Errno(libc::ENOSYS as u32), rules }
}

fn argument(comparison: Comparison, value: u64, value_two: u64) -> Argument {
    Argument { index: 0, comparison, value, value_two }
}

fn conditional(admin: bool) -> Vec<Rule> {
    let allow = |name: &'static str, arguments: Vec<Argument>| Rule {
        names: vec![Cow::Borrowed(name)],
        action: Action::Allow,
        arguments,
    };
    let families = FAMILIES_CLOSED.map(|family| argument(Comparison::NotEqual, family, 0));
    let mut rules = vec![allow("socket", families.to_vec())];
    rules.extend(
        PERSONALITIES.map(|p| allow("personality", vec![argument(Comparison::Equal, p, 0)])),
    );
    if admin {
        rules.extend([allow("clone", Vec::new()), allow("clone3", Vec::new())]);
    } else {
        // The flags of clone3 are out of a filter's sight: it is unknown here, and clone is used.
        let plain = argument(Comparison::MaskedEqual, CLONE_NAMESPACES, 0);
        rules.push(allow("clone", vec![plain]));
    }
    rules
}
