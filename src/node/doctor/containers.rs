//! What the agent's containers can be here: found out by the supervisor's own program, in a process that ends again.

use super::places::nearest;
use super::{Finding, Grade};
use crate::agent::containerizer::client::{self, CGROUP_ROOT};
use crate::agent::containerizer::docker;
use crate::agent::containerizer::network::command;
use crate::agent::containerizer::rootless::delegated;
use crate::agent::containerizer::rootless::limits::restrictions;
use crate::agent::containerizer::{Capabilities, CgroupVersion};
use crate::agent::core::options::Containerizer;
use crate::agent::gpus;
use crate::agent::options::Launcher;
use crate::agent::probe;
use crate::agent::provisioner::overlay;
use crate::base::error::Error;
use crate::node::settings::{Options, is_root};
use std::path::Path;

/// All of it.
pub async fn examine(options: &Options) -> Vec<Finding> {
    let root = options.agent.cgroups_root.as_deref().unwrap_or(CGROUP_ROOT);
    let can = client::look(root).await;
    let mut all = vec![kind(options.agent.launcher, &can), namespaces(&can), cgroups(&can)];
    all.extend([seccomp(), overlays(options).await, networks()]);
    all.push(engine(options).await);
    all.push(gpu(options));
    all.push(resources(options));
    all
}

/// Whose containers tasks get.
fn kind(launcher: Launcher, can: &Result<Capabilities, Error>) -> Finding {
    let subject = "containers";
    let plain = "plain processes: not isolated, limits not enforced";
    let can = match can {
        _ if launcher == Launcher::Posix => {
            return Finding::limited(subject, format!("{plain}, since --launcher=posix says so"));
        }
        Ok(can) => can,
        Err(e) => return Finding::bad(subject, e.to_string()),
    };
    match (can.mesos, can.user_namespace) {
        (true, false) => Finding::ok(subject, "isolated, and limited by cgroups"),
        (true, true) if can.cgroups.is_some() => {
            Finding::ok(subject, "isolated in a user namespace, and limited by cgroups")
        }
        (true, true) => {
            Finding::limited(subject, "isolated in a user namespace, limits not enforced")
        }
        (false, _) => {
            let lacks: Vec<String> =
                can.missing.iter().map(|(what, why)| format!("{what}: {why}")).collect();
            let grade = match launcher {
                Launcher::Linux => Grade::Bad,
                Launcher::Auto | Launcher::Posix => Grade::Limited,
            };
            Finding::new(subject, grade, format!("{plain} ({})", lacks.join("; ")))
                .advice("run as root, or see to what is missing below")
        }
    }
}

/// Whether an ordinary user may have containers.
fn namespaces(can: &Result<Capabilities, Error>) -> Finding {
    let subject = "user namespaces";
    let forbidding = restrictions();
    let settings: Vec<String> =
        forbidding.iter().map(|r| format!("{} is {}", r.sysctl, r.value)).collect();
    let remedies: Vec<String> = forbidding.iter().map(|r| r.remedy()).collect();
    let finding = match can {
        _ if is_root() && settings.is_empty() => {
            return Finding::ok(subject, "not needed by root; no setting forbids them to others");
        }
        _ if is_root() => {
            let found = format!("not needed by root; forbidden to others: {}", settings.join(", "));
            return Finding::ok(subject, found);
        }
        Ok(can) if can.user_namespace => {
            return Finding::ok(subject, "tried: user, mount, pid, ipc and uts namespaces work");
        }
        Ok(can) => {
            let why = can.missing.iter().find(|(what, _)| what == "namespaces");
            Finding::limited(subject, why.map_or("they do not work", |(_, why)| why))
        }
        Err(_) => Finding::limited(subject, "not tried"),
    };
    match remedies.is_empty() {
        true => finding,
        false => finding.advice(format!("as root: {}", remedies.join("; "))),
    }
}

fn cgroups(can: &Result<Capabilities, Error>) -> Finding {
    let subject = "cgroups";
    let Ok(can) = can else { return Finding::limited(subject, "not tried") };
    let all = "cpu, memory, pids";
    let finding = match can.cgroups {
        Some(CgroupVersion::V2) => return Finding::ok(subject, format!("v2: {all}")),
        Some(CgroupVersion::V1 { hybrid: false }) => {
            return Finding::ok(subject, format!("v1: {all}"));
        }
        Some(CgroupVersion::V1 { hybrid: true }) => {
            return Finding::ok(subject, format!("v1, beside a bare v2: {all}"));
        }
        None => {
            let why = can.missing.iter().find(|(what, _)| what == "cgroups");
            let why = why.map_or("there are none", |(_, why)| why);
            Finding::limited(subject, format!("limits cannot be enforced: {why}"))
        }
    };
    match is_root() {
        true => finding.advice("mount cgroup v2 with the controllers cpu, memory and pids"),
        false => finding.advice(delegated::remedy()),
    }
}

fn seccomp() -> Finding {
    let actions = std::fs::read_to_string("/proc/sys/kernel/seccomp/actions_avail");
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    match actions {
        Ok(text) if text.contains("errno") => Finding::ok("seccomp", "system calls are filtered"),
        // Kernels before 4.14 do not list them.
        Err(_) if status.contains("\nSeccomp:") => {
            Finding::ok("seccomp", "system calls are filtered")
        }
        _ => Finding::limited("seccomp", "the kernel filters no system calls").advice(
            "use a kernel with CONFIG_SECCOMP_FILTER, or leave linux/seccomp out of --isolation",
        ),
    }
}

/// How root file systems of images are put together.
async fn overlays(options: &Options) -> Finding {
    let subject = "overlayfs";
    if !is_root() {
        return Finding::limited(subject, "images are copied for each task: overlays need root");
    }
    // Where images are kept decides: not every file system can be below an overlay.
    let home = nearest(&options.data_dir);
    let dir = home.join(format!(".mesolith-doctor-{}", std::process::id()));
    let tried = tokio::task::spawn_blocking(move || overlay::probe(&dir)).await;
    match tried.unwrap_or_else(|e| Err(e.to_string())) {
        Ok(()) => Finding::ok(subject, "images share their layers"),
        Err(why) => Finding::limited(subject, format!("images are copied for each task: {why}")),
    }
}

/// What networks of containers' own need.
fn networks() -> Finding {
    let subject = "networks";
    if !is_root() {
        return Finding::limited(subject, "the machine's alone: bridges and CNI need root");
    }
    match command::find("nft") {
        Some(path) => {
            Finding::ok(subject, format!("the built-in bridge works by {}", path.display()))
        }
        None => {
            Finding::limited(subject, "no port mappings on the built-in bridge: there is no nft")
                .advice("install the package nftables")
        }
    }
}

async fn engine(options: &Options) -> Finding {
    let subject = "docker";
    let wanted = &options.agent.containerizers;
    if !wanted.all.contains(&Containerizer::Docker) {
        return Finding::ok(subject, "not asked for by --containerizers");
    }
    let socket = &options.agent.docker.socket;
    let (found, advice) = match docker::look(socket).await {
        Ok(version) => return Finding::ok(subject, format!("{version} at {}", socket.display())),
        Err(_) if !socket.exists() => (
            format!("no engine: nothing is at {}", socket.display()),
            "start one, or say where it listens: --docker_socket".to_string(),
        ),
        Err(e) => (e.cause, "let this user speak with it, or start it again".to_string()),
    };
    match wanted.docker_named {
        true => Finding::bad(subject, found).advice(advice),
        // Images need none.
        false => Finding::limited(subject, found).advice(advice),
    }
}

fn gpu(options: &Options) -> Finding {
    let subject = "gpus";
    let machine = gpus::Machine::look(Path::new("/"));
    let names: Vec<&str> =
        machine.gpus.iter().map(|gpu| gpu.model.as_deref().unwrap_or("NVIDIA")).collect();
    let offered = options.isolation.policy.isolation.gpus;
    match (names.is_empty(), machine.missing.is_empty(), offered) {
        (true, _, false) => Finding::ok(subject, "none of NVIDIA's found"),
        (true, _, true) => Finding::limited(subject, "none of NVIDIA's found, gpu/nvidia is named"),
        (false, false, _) => {
            let found = format!("{}, but not {}", names.join(", "), machine.missing.join(", "));
            let grade = if offered { Grade::Bad } else { Grade::Limited };
            Finding::new(subject, grade, found).advice("load the driver's modules")
        }
        (false, true, true) => Finding::ok(subject, names.join(", ")),
        (false, true, false) => {
            Finding::limited(subject, format!("{}, not offered", names.join(", ")))
                .advice("name the isolator gpu/nvidia in --isolation")
        }
    }
}

/// What would be offered.
fn resources(options: &Options) -> Finding {
    let named = options.agent.resources.as_ref();
    let work = nearest(&options.data_dir);
    match probe::resources(named, &options.agent.default_role, &work) {
        Ok(all) => Finding::ok("offers", all.to_string()),
        Err(e) => Finding::bad("offers", e.to_string()),
    }
}
