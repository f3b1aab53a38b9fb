//! What a container may use, from the resources of its tasks and its executor.

use super::io::Limits;
use super::options::Options;
use crate::base::resources::Scalar;
use crate::mesos::v1;

/// What the command executor itself is counted with, in cpus: every command task's container gets
/// it on top.
pub const COMMAND_EXECUTOR_CPUS: f64 = 0.1;
/// The same in MB of memory.
pub const COMMAND_EXECUTOR_MEM: f64 = 32.0;
/// The least memory limit of a container, in MB.
pub const MEM_MIN: f64 = 32.0;

/// How much of a scalar resource there is in a list.
pub fn scalar(resources: &[v1::Resource], name: &str) -> f64 {
    sum(resources.iter(), name)
}

/// How much of it may be taken back at any time, or may not.
pub fn scalar_revocable(resources: &[v1::Resource], name: &str, revocable: bool) -> f64 {
    sum(resources.iter().filter(|r| r.revocable.is_some() == revocable), name)
}

/// The sum of a scalar resource.
pub fn sum<'a>(resources: impl Iterator<Item = &'a v1::Resource>, name: &str) -> f64 {
    let mut sum = Scalar::from_f64(0.0);
    for resource in resources.filter(|r| r.name == name) {
        if let Some(scalar) = &resource.scalar {
            sum += Scalar::from_f64(scalar.value);
        }
    }
    sum.as_f64()
}

/// An unreserved scalar resource.
pub fn resource(name: &str, value: f64) -> v1::Resource {
    v1::Resource {
        name: name.into(),
        r#type: v1::value::Type::Scalar as i32,
        scalar: Some(v1::value::Scalar { value }),
        ..Default::default()
    }
}

/// The limits of an executor's container with these tasks in it.
///
/// A request is the weight (cpu) or the soft limit (memory). The hard limit is the sum of `limits`
/// where a task has one, else of its request; an infinite one lifts it. Cpus are limited hard only
/// on demand.
pub fn container<'a>(
    options: &Options,
    executor: &v1::ExecutorInfo,
    tasks: impl Iterator<Item = &'a v1::TaskInfo>,
) -> Limits {
    let mut cpus = scalar(&executor.resources, "cpus");
    let mut mem = scalar(&executor.resources, "mem");
    let (mut cpus_hard, mut mem_hard) = (cpus, mem);
    let mut cpus_limited = options.cgroups_enable_cfs;
    for task in tasks {
        let (c, m) = (scalar(&task.resources, "cpus"), scalar(&task.resources, "mem"));
        cpus += c;
        mem += m;
        cpus_hard += task.limits.get("cpus").map_or(c, |l| l.value);
        mem_hard += task.limits.get("mem").map_or(m, |l| l.value);
        cpus_limited |= task.limits.contains_key("cpus");
    }
    Limits {
        cpus,
        cpus_hard: (cpus_limited && cpus_hard.is_finite()).then_some(cpus_hard),
        memory_bytes: mem_hard.is_finite().then(|| megabytes(mem_hard)),
        memory_soft_bytes: Some(megabytes(mem)),
        pids: options.pids_limit,
    }
}

fn megabytes(mb: f64) -> u64 {
    (mb.max(MEM_MIN) * 1024.0 * 1024.0) as u64
}
