//! The GPUs of a launch: how many its resources have, and that its container gets them.

use super::Leases;
use super::find::Node;
use crate::agent::containerizer::ContainerSpec;
use crate::agent::containerizer::linux::Device;
use crate::agent::core::io::Launch;
use crate::mesos::v1;

/// How many GPUs it asks for. The master lets no part of one through.
pub fn wanted(launch: &Launch) -> usize {
    let task = launch.task.iter().flat_map(|task| &task.resources);
    // What a container is in has its own.
    let executor = launch.executor.resources.iter().filter(|_| launch.nested.is_none());
    let amount = |r: &v1::Resource| r.scalar.as_ref().map_or(0.0, |scalar| scalar.value);
    let gpus = task.chain(executor).filter(|r| r.name == "gpus").map(amount);
    gpus.sum::<f64>() as usize
}

/// Gives the container what it asks for. One that asks for none has the devices by which tools are told so.
///
/// # Errors
/// The text of the status message: there are not so many.
pub fn put(gpus: &Leases, launch: &Launch, spec: &mut ContainerSpec) -> Result<(), String> {
    let wanted = wanted(launch);
    if gpus.count() == 0 && wanted == 0 {
        return Ok(());
    }
    let nodes = gpus.lease(&launch.container, wanted)?;
    let device =
        |node: Node| Device { path: node.path, read: true, write: true, number: Some(node.number) };
    spec.linux.devices.extend(nodes.into_iter().map(device));
    Ok(())
}
