//! What this agent remembers of its resources because no command line says it: dynamic reservations and persistent volumes.
//! The master says what they are, whole each time; that is written down before volumes are made or destroyed, and told to
//! every master. A container waits until the volumes it uses are as they should be, and nobody else's.

use super::io::{Act, Launch, PersistentVolume, VolumeDirectory};
use super::tables::{Executor, ExecutorKey, Phase};
use super::{AgentCore, Step, records};
use crate::base::error::{Code, Error, Result};
use crate::base::ids::{self, ContainerId};
use crate::base::resources::{Disk, Resource, Resources, SourceKind};
use crate::base::roles;
use crate::mesos::convert::{self, Format};
use crate::mesos::internal::{CheckpointResources, ResourcesRecord};
use crate::mesos::v1;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Reservations and volumes, the record `resources`.
#[derive(Clone, Debug, Default)]
pub(super) struct Remembered {
    /// What is in force.
    pub resources: Resources,
    /// Volumes whose content may still be there.
    pub destroyed: Resources,
    /// How many times the volumes are being made what they should be.
    settling: usize,
}

impl Remembered {
    /// From the record.
    pub fn read(record: &ResourcesRecord) -> std::result::Result<Self, String> {
        Ok(Self {
            resources: convert::resources_from_v1(&record.resources)?,
            destroyed: convert::resources_from_v1(&record.destroyed)?,
            settling: 0,
        })
    }

    /// As it is written down.
    pub fn record(&self) -> ResourcesRecord {
        ResourcesRecord {
            resources: self.told(),
            destroyed: convert::resources_to_v1(&self.destroyed, Format::Post),
        }
    }

    /// For masters.
    pub fn told(&self) -> Vec<v1::Resource> {
        convert::resources_to_v1(&self.resources, Format::Post)
    }

    /// All that an agent has which says `line` of itself.
    ///
    /// # Errors
    /// [`Code::Conflict`] when what is remembered is not in it.
    pub fn total(&self, line: &[v1::Resource]) -> Result<Resources> {
        let conflict = |cause| {
            let hint = "start the agent with at least the resources that are reserved, or that \
                        volumes were made of; unreserve and destroy them first to take them away";
            Error::new(Code::Conflict, cause).hint(hint)
        };
        let line = convert::resources_from_v1(line).map_err(conflict)?;
        line.with_checkpointed(&self.resources).map_err(|why| {
            let all = &self.resources;
            conflict(format!(
                "Checkpointed resources {all} are incompatible with agent resources {line}: {why}"
            ))
        })
    }
}

/// Where a persistent volume is; none for a disk without files.
fn directory(work_dir: &Path, resource: &Resource) -> Option<VolumeDirectory> {
    let disk = resource.disk.as_deref()?;
    let id = disk.persistence.as_ref().map(|p| p.id.as_str())?;
    let role = resource.reserved_for()?.as_str();
    // Masters check this, too: they become parts of a path.
    if ids::check(id).is_err() || roles::validate(role).is_err() {
        return None;
    }
    let (root, whole) = root(work_dir, disk)?;
    let path = match whole {
        true => root,
        // As in the original: a role is one directory, whatever it is below.
        false => root.join("volumes/roles").join(role.replace('/', " ")).join(id),
    };
    Some(VolumeDirectory { path, whole })
}

/// The directory of a disk, and whether it is the volume's alone.
fn root(work_dir: &Path, disk: &Disk) -> Option<(PathBuf, bool)> {
    let Some(source) = &disk.source else { return Some((work_dir.to_path_buf(), false)) };
    // A relative root is below the work directory.
    let root = source.root.as_ref().map(|root| work_dir.join(root));
    match source.kind {
        SourceKind::Path => Some((root?, false)),
        SourceKind::Mount => Some((root?, true)),
        SourceKind::Block | SourceKind::Raw => None,
    }
}

impl AgentCore {
    /// All that this agent has.
    pub(super) fn total(&self) -> Resources {
        let line = &self.identity.info.resources;
        // It was whole when the agent started, and whenever something was remembered since.
        self.remembered.total(line).unwrap_or_default()
    }

    fn directories(&self, of: &Resources) -> BTreeSet<VolumeDirectory> {
        of.iter().filter_map(|r| directory(&self.options.work_dir, r)).collect()
    }

    /// The master says what is reserved and which volumes there are.
    pub(super) fn checkpoint_resources(&mut self, s: &mut Step<'_>, message: CheckpointResources) {
        let Ok(resources) = convert::resources_from_v1(&message.resources) else {
            return self.count("unexpected_messages");
        };
        if resources == self.remembered.resources {
            return;
        }
        let wanted = Remembered { resources, ..self.remembered.clone() };
        if wanted.total(&self.identity.info.resources).is_err() {
            // No master that knows this agent's resources asks for it.
            return self.count("unexpected_messages");
        }
        let before = self.directories(&self.remembered.resources);
        let after = self.directories(&wanted.resources);
        let work_dir = self.options.work_dir.clone();
        let gone = self.remembered.resources.filter(|r| {
            directory(&work_dir, r).is_some_and(|directory| !after.contains(&directory))
        });
        self.remembered.resources = wanted.resources;
        // Nothing twice: what was destroyed once is destroyed.
        let fresh = gone.filter(|r| self.remembered.destroyed.count(r) == 0);
        self.remembered.destroyed += &fresh;
        s.write(records::resources(&self.remembered));
        if !gone.is_empty() || after.difference(&before).next().is_some() {
            self.settle_volumes(s, after.difference(&before).cloned().collect());
        }
    }

    /// After a start: volumes that were not made or removed before the end are now.
    pub(super) fn recover_volumes(&mut self, s: &mut Step<'_>) {
        let all = self.directories(&self.remembered.resources);
        if !all.is_empty() || !self.remembered.destroyed.is_empty() {
            self.settle_volumes(s, all.into_iter().collect());
        }
    }

    fn settle_volumes(&mut self, s: &mut Step<'_>, make: Vec<VolumeDirectory>) {
        self.remembered.settling += 1;
        let work_dir = &self.options.work_dir;
        let of = |r: &Resource| root(work_dir, r.disk.as_deref()?);
        let all = self.remembered.resources.iter().chain(self.remembered.destroyed.iter());
        let roots: BTreeSet<PathBuf> =
            all.filter_map(of).filter(|(_, whole)| !whole).map(|(root, _)| root).collect();
        let remove = self.directories(&self.remembered.destroyed).into_iter().collect();
        s.act(Act::SettleVolumes { make, remove, roots: roots.into_iter().collect() });
    }

    /// Volumes were made and removed; those are `removed` of which nothing is left.
    pub(super) fn volumes_settled(&mut self, s: &mut Step<'_>, removed: &[PathBuf]) {
        self.remembered.settling = self.remembered.settling.saturating_sub(1);
        let work_dir = self.options.work_dir.clone();
        let before = self.remembered.destroyed.len();
        self.remembered.destroyed = self.remembered.destroyed.filter(|r| {
            directory(&work_dir, r).is_some_and(|directory| !removed.contains(&directory.path))
        });
        if self.remembered.destroyed.len() != before {
            s.write(records::resources(&self.remembered));
        }
        self.prepare_held(s);
        let defaults = self.tables.executors.iter().filter(|(_, e)| e.is_default());
        let keys: Vec<ExecutorKey> = defaults.map(|(key, _)| key.clone()).collect();
        for key in keys {
            self.fit(s, &key);
        }
    }

    /// What a container sees of the volumes among these resources.
    ///
    /// # Errors
    /// The text for the status of its task.
    pub(super) fn volumes_among<'a>(
        &self,
        own: Option<&ExecutorKey>,
        resources: impl IntoIterator<Item = &'a v1::Resource>,
    ) -> std::result::Result<Vec<PersistentVolume>, String> {
        let mut all: Vec<PersistentVolume> = Vec::new();
        for resource in resources {
            if resource.disk.as_ref().is_none_or(|disk| disk.persistence.is_none()) {
                continue;
            }
            let resource = convert::resource_from_v1(resource)?;
            let Some(VolumeDirectory { path, .. }) = directory(&self.options.work_dir, &resource)
            else {
                return Err(format!("the volume {resource} has no directory on this agent"));
            };
            let volume = resource.disk.as_ref().and_then(|disk| disk.volume.as_ref());
            let Some(volume) = volume else {
                return Err(format!("the volume {resource} has no path in the container"));
            };
            if all.iter().any(|known| known.path == path) {
                continue;
            }
            all.push(PersistentVolume {
                container_path: volume.container_path.clone(),
                read_only: volume.read_only == Some(true),
                shared: resource.shared,
                give: !resource.shared || !self.is_volume_used(own, &path),
                path,
            });
        }
        Ok(all)
    }

    /// What a container sees of volumes, for those that are nested in it.
    pub(super) fn volumes_in(&self, container: &ContainerId) -> Vec<PersistentVolume> {
        let tasks = &self.tables.tasks;
        if let Some(task) = self.tables.processes.get(container).and_then(|key| tasks.get(key)) {
            return self.volumes_among(None, &task.info.resources).unwrap_or_default();
        }
        let Some(key) = self.tables.of_container(container) else { return Vec::new() };
        let Some(executor) = self.tables.executors.get(&key) else { return Vec::new() };
        let keys = self.tables.tasks_of(&key);
        let own = keys.iter().filter(|_| !executor.is_default()).filter_map(|k| tasks.get(k));
        let resources = executor.info.resources.iter();
        let resources = resources.chain(own.flat_map(|task| &task.info.resources));
        self.volumes_among(Some(&key), resources).unwrap_or_default()
    }

    /// Whether a container of somebody else has it, one that is being destroyed included.
    fn is_volume_used(&self, own: Option<&ExecutorKey>, path: &Path) -> bool {
        let others = self.tables.executors.iter().filter(|(key, _)| Some(*key) != own);
        let mut live = others.filter(|(_, e)| e.phase != Phase::Gone && !e.held);
        live.any(|(_, e)| e.volumes.iter().any(|used| used == path))
    }

    /// Whether a launch has to wait for its volumes.
    pub(super) fn waits_for_volumes(&self, key: &ExecutorKey, launch: &Launch) -> bool {
        let used = |v: &PersistentVolume| !v.shared && self.is_volume_used(Some(key), &v.path);
        !launch.volumes.is_empty()
            && (self.remembered.settling > 0 || launch.volumes.iter().any(used))
    }

    /// The same of a task of a group, whose executor runs.
    pub(super) fn waits_for_volumes_of(&self, task: &v1::TaskInfo) -> bool {
        self.remembered.settling > 0 && has_volumes(&task.resources)
    }

    /// Launches that waited for volumes, or for a directory above their sandbox, go on as far as they can.
    pub(super) fn prepare_held(&mut self, s: &mut Step<'_>) {
        let held = self.tables.executors.iter().filter(|(_, e)| e.held);
        let keys: Vec<ExecutorKey> = held.map(|(key, _)| key.clone()).collect();
        for key in keys {
            let launch = self.tables.executors.get(&key).and_then(|e| e.launch.clone());
            let Some(launch) = launch else { continue };
            let waits = self.sandboxes.is_being_removed(&launch.sandbox)
                || self.waits_for_volumes(&key, &launch);
            if waits {
                continue;
            }
            if let Some(executor) = self.tables.executors.get_mut(&key) {
                executor.held = false;
                self.prepare_now(s, &key, launch);
            }
        }
    }

    /// Asks for the preparation, unless what was destroyed is still in the place of a volume.
    pub(super) fn prepare_now(
        &mut self,
        s: &mut Step<'_>,
        key: &ExecutorKey,
        launch: std::sync::Arc<Launch>,
    ) {
        let left = self.directories(&self.remembered.destroyed);
        let spoiled = launch.volumes.iter().find(|v| left.iter().any(|l| l.path == v.path));
        if let Some(volume) = spoiled {
            let path = volume.path.display();
            let why = format!("what was in the volume {path} before could not be removed");
            return self.fail_launch(s, key, &why);
        }
        s.act(Act::Prepare(launch));
    }

    /// Whether an executor has all volumes of a task that comes to it.
    pub(super) fn sees_volumes(&self, executor: &Executor, task: &v1::TaskInfo) -> bool {
        self.volumes_among(None, &task.resources)
            .is_ok_and(|all| all.iter().all(|volume| executor.volumes.contains(&volume.path)))
    }

    /// Whether this agent remembers what a task or an executor was given.
    pub(super) fn remembers(&self, resources: &[v1::Resource]) -> bool {
        let plain = |r: &v1::Resource| {
            r.reservation.is_none() && r.reservations.is_empty() && r.disk.is_none()
        };
        if resources.iter().all(plain) {
            return true;
        }
        convert::resources_from_v1(resources)
            .is_ok_and(|given| self.remembered.resources.contains(&given.checkpointed()))
    }
}

/// Whether there are persistent volumes among resources.
pub(super) fn has_volumes(resources: &[v1::Resource]) -> bool {
    resources.iter().any(|r| r.disk.as_ref().is_some_and(|disk| disk.persistence.is_some()))
}
