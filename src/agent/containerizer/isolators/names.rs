//! The `--isolation` list: Mesos's names, and what each of them means here.
//!
//! Most of what Mesos leaves to the operator is always on: a container of the mesos backend has its own namespaces, limits,
//! capabilities and mounts. So most names are accepted and change nothing; those in [`CHOSEN`] are in force only if they are
//! named (or nothing is). What this program cannot do is refused by name.

/// What is in force when nobody names anything.
pub const DEFAULT: &str = "disk/du,linux/devices,linux/nnp,linux/seccomp";

/// In force in every container of namespaces, named or not.
pub const ALWAYS: [&str; 19] = [
    "cgroups/all",
    "cgroups/cpu",
    "cgroups/mem",
    "cgroups/pids",
    "docker/runtime",
    "environment_secret",
    "filesystem/linux",
    "filesystem/posix",
    "linux/capabilities",
    "namespaces/ipc",
    "namespaces/pid",
    "network/cni",
    "posix/cpu",
    "posix/mem",
    "posix/rlimits",
    "volume/host_path",
    "volume/image",
    "volume/sandbox_path",
    "volume/secret",
];

/// In force if named.
pub const CHOSEN: [&str; 7] = [
    "cgroups/devices",
    "disk/du",
    "gpu/nvidia",
    "linux/devices",
    "linux/nnp",
    "linux/seccomp",
    "network/ports",
];

/// Known to Mesos, not to us; and why.
pub const MISSING: [(&str, &str); 12] = [
    ("appc/runtime", "appc images are not supported"),
    ("cgroups/blkio", "the blkio controller is not used"),
    ("cgroups/cpuset", "the cpuset controller is not used"),
    ("cgroups/hugetlb", "the hugetlb controller is not used"),
    ("cgroups/net_cls", "the net_cls controller is not used"),
    ("cgroups/net_prio", "the net_prio controller is not used"),
    ("cgroups/perf_event", "performance events are not sampled"),
    ("disk/xfs", "project quotas are not set; use disk/du"),
    ("docker/volume", "docker volume drivers are not supported"),
    ("filesystem/shared", "volumes do what it did"),
    ("network/port_mapping", "use a network with port mappings"),
    ("volume/csi", "CSI volumes are not supported"),
];

/// Before the name of an isolator outside this program.
pub const EXTERNAL: &str = "external/";

/// What of it may be left out, or added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Isolation {
    /// The disk use of sandboxes is measured, and kept within the quota if that is enforced.
    pub disk_du: bool,
    /// No task can make device nodes, whatever capabilities it asks for: those that it has were given to it.
    pub no_mknod: bool,
    /// The operator's devices are in every container.
    pub devices: bool,
    /// Tasks that ask for GPUs get them.
    pub gpus: bool,
    /// No task gains rights by executing a program.
    pub no_new_privs: bool,
    /// System calls are filtered. Implies `no_new_privs`, which the kernel wants for it.
    pub seccomp: bool,
    /// Tasks on the agent's network are looked at for ports that they were not given.
    pub ports: bool,
    /// Isolators outside this program, by their names, in their order.
    pub external: Vec<String>,
}

impl Default for Isolation {
    fn default() -> Self {
        Self {
            disk_du: true,
            no_mknod: false,
            devices: true,
            gpus: false,
            no_new_privs: true,
            seccomp: true,
            ports: false,
            external: Vec::new(),
        }
    }
}

impl Isolation {
    /// Reads a list.
    ///
    /// # Errors
    /// A text for the operator: a name that is unknown, or is known and cannot be had.
    pub fn parse(text: &str) -> Result<Self, String> {
        let names: Vec<&str> = text.split(',').map(str::trim).collect();
        let mut external = Vec::new();
        for name in &names {
            if let Some(program) = name.strip_prefix(EXTERNAL) {
                if program.is_empty() || program.contains('/') || program.starts_with('.') {
                    return Err(format!("'{name}' names no program"));
                }
                external.push(program.to_owned());
                continue;
            }
            if let Some((_, why)) = MISSING.iter().find(|(missing, _)| missing == name) {
                return Err(format!("the isolator '{name}' is not available: {why}"));
            }
            if !ALWAYS.contains(name) && !CHOSEN.contains(name) {
                let mut known: Vec<&str> = ALWAYS.iter().chain(&CHOSEN).copied().collect();
                known.sort_unstable();
                return Err(format!("'{name}' is no isolator; known are {}", known.join(", ")));
            }
        }
        let named = |name: &str| names.contains(&name);
        let seccomp = named("linux/seccomp");
        Ok(Self {
            disk_du: named("disk/du"),
            no_mknod: named("cgroups/devices"),
            devices: named("linux/devices"),
            gpus: named("gpu/nvidia"),
            no_new_privs: named("linux/nnp") || seccomp,
            seccomp,
            ports: named("network/ports"),
            external,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_list_is_the_default() {
        assert_eq!(Isolation::parse(DEFAULT), Ok(Isolation::default()));
    }

    #[test]
    fn what_is_not_named_is_not_in_force() {
        let mesos = Isolation::parse("posix/cpu,posix/mem").unwrap();
        assert!(!mesos.no_new_privs && !mesos.seccomp && !mesos.disk_du && !mesos.devices);
        let filtered = Isolation::parse("cgroups/all, linux/seccomp").unwrap();
        assert!(!filtered.ports && Isolation::parse("network/ports").unwrap().ports);
        assert!(filtered.seccomp && filtered.no_new_privs && !filtered.disk_du);
        let gpus = Isolation::parse("cgroups/devices,filesystem/linux,gpu/nvidia").unwrap();
        assert!(gpus.gpus && gpus.no_mknod && !Isolation::default().gpus);
    }

    #[test]
    fn other_names_are_refused_with_the_reason() {
        let unknown = Isolation::parse("cgroups/cpu,nonsense").unwrap_err();
        assert!(unknown.contains("'nonsense' is no isolator"), "{unknown}");
        assert!(unknown.contains("linux/seccomp") && unknown.contains("volume/host_path"));
        let missing = Isolation::parse("disk/xfs").unwrap_err();
        assert!(missing.contains("project quotas are not set"), "{missing}");
        assert!(Isolation::parse("").is_err());
        assert!(Isolation::parse("external/../x").is_err());
        assert_eq!(Isolation::parse("external/a,external/b").unwrap().external, ["a", "b"]);
    }

    #[test]
    fn no_name_means_two_things() {
        let all: Vec<_> = ALWAYS.iter().chain(&CHOSEN).collect();
        let missing = MISSING.iter().map(|(name, _)| name);
        let mut names: Vec<_> = all.into_iter().chain(missing).collect();
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
