//! Volumes of a container.

use super::Policy;
use crate::agent::containerizer::ContainerSpec;
use crate::agent::containerizer::linux::{Source, Target, Volume, inner_path, outer_path};
use crate::agent::core::io::PersistentVolume;
use crate::mesos::v1;
use std::path::{Component, Path, PathBuf};
use v1::mount_propagation::Mode as Propagation;
use v1::volume::Mode;
use v1::volume::source::{Type, sandbox_path};

/// Where in the sandbox the directories are of volumes that have no source.
const PRIVATE: &str = ".volumes";

impl Policy {
    pub(super) fn volume(
        &self,
        volume: &v1::Volume,
        parent: Option<&Path>,
        spec: &mut ContainerSpec,
    ) -> Result<(), String> {
        let target = target(&volume.container_path)?;
        if volume.image.is_some() {
            // Mounted where the images are: see `agent/images`.
            return match (&volume.host_path, &volume.source) {
                (None, None) => Ok(()),
                _ => {
                    Err("Only one of them should be set: 'image', 'host_path' and 'source'".into())
                }
            };
        }
        let source = match (&volume.host_path, &volume.source) {
            (Some(path), None) => self.legacy(path)?,
            (None, Some(source)) => self.source(source, parent)?,
            (None, None) => Source::Sandbox(private(&target)),
            (Some(_), Some(_)) => {
                return Err("Only one of them should be set: 'host_path' and 'source'".into());
            }
        };
        if let (Source::Sandbox(from), Target::Sandbox(to)) = (&source, &target)
            && (from.starts_with(to) || to.starts_with(from))
        {
            return Err("a directory of the sandbox cannot be shown within itself".into());
        }
        let read_only = volume.mode() == Mode::Ro;
        spec.linux.volumes.push(Volume { source, target, read_only });
        Ok(())
    }

    /// `host_path`: a relative one is below the sandbox.
    fn legacy(&self, path: &str) -> Result<Source, String> {
        if path.starts_with('/') { self.host(path) } else { sandbox(path) }
    }

    fn host(&self, path: &str) -> Result<Source, String> {
        if !path.starts_with('/') {
            return Err(format!("Path '{path}' in HOST_PATH volume is not absolute"));
        }
        let path = PathBuf::from(path);
        if path.components().any(|c| c == Component::ParentDir) {
            return Err(format!("Path '{}' in HOST_PATH volume has '..' in it", path.display()));
        }
        let make = self.host_path_roots.iter().any(|root| path.starts_with(root));
        Ok(Source::Host { path, make })
    }

    fn source(&self, source: &v1::volume::Source, parent: Option<&Path>) -> Result<Source, String> {
        let missing = |what: &str| format!("'source.{what}' is not set");
        match source.r#type() {
            Type::HostPath => {
                let host = source.host_path.as_ref().ok_or_else(|| missing("host_path"))?;
                let propagation = host.mount_propagation.as_ref().map(|p| p.mode());
                if propagation == Some(Propagation::Bidirectional) {
                    return Err("mount propagation BIDIRECTIONAL is not supported: what a \
                                container mounts is never seen on the host"
                        .into());
                }
                self.host(&host.path)
            }
            Type::SandboxPath => {
                let inner = source.sandbox_path.as_ref().ok_or_else(|| missing("sandbox_path"))?;
                match (inner.r#type(), parent) {
                    (sandbox_path::Type::Self_, _) => sandbox(&inner.path),
                    (sandbox_path::Type::Parent, Some(parent)) => {
                        let (sandbox, path) = (parent.to_owned(), below(&inner.path)?);
                        Ok(Source::Other { sandbox, path })
                    }
                    (sandbox_path::Type::Parent, None) => {
                        Err("PARENT sandbox path only works for nested container".into())
                    }
                    (sandbox_path::Type::Unknown, _) => {
                        Err("'source.sandbox_path.type' is unknown".into())
                    }
                }
            }
            Type::Secret => secret(source.secret.as_ref().ok_or_else(|| missing("secret"))?),
            Type::DockerVolume => Err("docker volume drivers are not supported".into()),
            Type::CsiVolume => Err("CSI volumes are not supported".into()),
            Type::Unknown => Err("'source.type' is unknown".into()),
        }
    }
}

/// A persistent volume, which is there already.
///
/// # Errors
/// The text for the task's status, when it cannot be where it is to be.
pub fn persistent(volume: &PersistentVolume) -> Result<Volume, String> {
    let wrong = |why| format!("persistent volume '{}': {why}", volume.container_path);
    Ok(Volume {
        source: Source::Host { path: volume.path.clone(), make: false },
        target: target(&volume.container_path).map_err(wrong)?,
        read_only: volume.read_only,
    })
}

/// What is asked of the parent's sandbox and is on a volume that the parent sees there is that volume's: on the host there
/// is only the place where the parent has it.
pub fn through(volumes: &mut [Volume], parent: &Path, of_parent: &[PersistentVolume]) {
    for volume in volumes {
        let Source::Other { sandbox, path } = &volume.source else { continue };
        if sandbox != parent {
            continue;
        }
        let on = of_parent.iter().find_map(|persistent| match target(&persistent.container_path) {
            Ok(Target::Sandbox(at)) => Some((persistent, path.strip_prefix(at).ok()?)),
            _ => None,
        });
        let Some((persistent, rest)) = on else { continue };
        let read_only = volume.read_only || persistent.read_only;
        let source = match rest.as_os_str().is_empty() {
            true => Source::Host { path: persistent.path.clone(), make: false },
            false => Source::Other { sandbox: persistent.path.clone(), path: rest.to_owned() },
        };
        *volume = Volume { source, read_only, target: volume.target.clone() };
    }
}

/// A `container_path`: absolute, or below the sandbox.
fn target(text: &str) -> Result<Target, String> {
    let path = Path::new(text);
    if text.starts_with('/') {
        let normal: PathBuf = path.components().collect();
        return match outer_path(&normal) {
            true => Ok(Target::Root(normal)),
            false => Err("it cannot be a container path".into()),
        };
    }
    // `./a` is a way to write `a`.
    let normal: PathBuf = path.components().filter(|c| *c != Component::CurDir).collect();
    match inner_path(&normal) {
        true => Ok(Target::Sandbox(normal)),
        false => Err("a relative container path must be below the sandbox".into()),
    }
}

fn sandbox(text: &str) -> Result<Source, String> {
    below(text).map(Source::Sandbox)
}

/// A path below a sandbox.
fn below(text: &str) -> Result<PathBuf, String> {
    let normal: PathBuf =
        Path::new(text).components().filter(|c| *c != Component::CurDir).collect();
    match inner_path(&normal) {
        true => Ok(normal),
        false => Err(format!("'{text}' is not a path below the sandbox")),
    }
}

/// The directory of a volume that has no source: the sandbox's own, by the place where it is seen.
fn private(target: &Target) -> PathBuf {
    let path = match target {
        Target::Sandbox(path) => path,
        Target::Root(path) => path.strip_prefix("/").unwrap_or(path),
    };
    Path::new(PRIVATE).join(path)
}

fn secret(secret: &v1::Secret) -> Result<Source, String> {
    use v1::secret::Type;
    match (secret.r#type(), &secret.value) {
        (Type::Value, Some(value)) => Ok(Source::Secret(value.data.to_vec())),
        (Type::Value, None) => Err("Secret of type VALUE must have the 'value' field set".into()),
        (Type::Reference, _) => {
            Err("a secret of type REFERENCE cannot be resolved: this agent has no resolver".into())
        }
        (Type::Unknown, _) => Err("Secret of type 'UNKNOWN' is not allowed".into()),
    }
}
