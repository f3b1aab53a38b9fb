//! What a launch says of images, in the provisioner's words; and what that makes of the container. Of the original's rules
//! those of its `docker/runtime` and `volume/image` isolators are here.

use crate::agent::containerizer::{Backend, ContainerSpec, ImageRoot, ImageVolume};
use crate::agent::core::docker;
use crate::agent::core::io::Launch;
use crate::agent::provisioner::credentials::Credentials;
use crate::agent::provisioner::{Provisioned, Provisioner, Wanted, users};
use crate::base::error::{Code, Error, Result};
use crate::base::ids::ContainerId;
use crate::mesos::v1;
use std::path::{Component, Path, PathBuf};
use tokio::sync::watch;

/// Images for tasks of the mesos containerizer.
#[derive(Clone)]
pub struct Images {
    provisioner: std::result::Result<Provisioner, String>,
    sandbox_directory: PathBuf,
}

/// An image as a volume.
struct Volume {
    image: Wanted,
    /// As it was given: absolute, or within the sandbox.
    target: PathBuf,
    read_only: bool,
}

impl Images {
    /// Provides images by `provisioner`; or says why there are none. Within their containers the sandbox is at
    /// `sandbox_directory`.
    pub fn new(
        provisioner: std::result::Result<Provisioner, String>,
        sandbox_directory: impl Into<PathBuf>,
    ) -> Self {
        Self { provisioner, sandbox_directory: sandbox_directory.into() }
    }

    /// Has all images of a launch, and its root file system made. `told` hears how far that is.
    ///
    /// # Errors
    /// The text of the status message.
    pub async fn provide(
        &self,
        launch: &Launch,
        told: &watch::Sender<String>,
    ) -> std::result::Result<(), String> {
        let (image, volumes) = (wanted(launch)?, volumes(launch)?);
        if image.is_none() && volumes.is_empty() {
            return Ok(());
        }
        let provisioner = self.provisioner.as_ref().map_err(Clone::clone)?;
        for volume in &volumes {
            self.target(launch, &volume.target, image.is_some())?;
        }
        let wanted: Vec<Wanted> = volumes.into_iter().map(|v| v.image).collect();
        let tell = |words| drop(told.send_replace(words));
        let container = &launch.container;
        let provided = provisioner.provision(container, image.as_ref(), &wanted, &tell).await?;
        // What cannot be run fails here, with its reason, and not when it is started.
        let spoken = self.spoken(launch, &provided);
        spoken.map(drop)
    }

    /// Puts what was provided into the container.
    ///
    /// # Errors
    /// It was not provided.
    pub fn put(&self, launch: &Launch, mut spec: ContainerSpec) -> Result<ContainerSpec> {
        let failed = |why: String| Error::new(Code::Conflict, why);
        let wants = wanted(launch).map_err(failed)?.is_some();
        let volumes = volumes(launch).map_err(failed)?;
        if !wants && volumes.is_empty() {
            return Ok(spec);
        }
        if spec.backend != Backend::Mesos {
            return Err(failed("plain processes have no images".into()));
        }
        let provisioner = self.provisioner.as_ref().map_err(|why| failed(why.clone()))?;
        let provided = provisioner
            .provisioned(&launch.container)
            .filter(|p| p.volumes.len() == volumes.len() && p.image.is_some() == wants)
            .ok_or_else(|| failed("its image was not provided".into()))?;
        for (volume, root) in volumes.iter().zip(&provided.volumes) {
            spec.image_volumes.push(ImageVolume {
                root: root.clone(),
                target: self.target(launch, &volume.target, wants).map_err(failed)?,
                read_only: volume.read_only,
            });
        }
        if let Some(own) = self.spoken(launch, &provided).map_err(failed)? {
            spec.host_root = false;
            (spec.command, spec.env, spec.image) = (own.command, own.env, Some(own.root));
        }
        Ok(spec)
    }

    /// Removes all images that nobody uses, but these and those the operator excludes for ever. Where none are provided
    /// there are none to remove.
    ///
    /// # Errors
    /// They cannot be read, or removed.
    pub async fn prune(&self, excluded: &[v1::Image]) -> std::result::Result<(), String> {
        let Ok(provisioner) = &self.provisioner else { return Ok(()) };
        let removed = provisioner.prune(&names(excluded)).await?;
        tracing::info!("asked to: {} images, {} layers removed", removed.images, removed.layers);
        Ok(())
    }

    /// Removes what was made for a container.
    ///
    /// # Errors
    /// It cannot be removed.
    pub async fn release(&self, container: &ContainerId) -> std::result::Result<(), String> {
        match &self.provisioner {
            Ok(provisioner) => provisioner.release(container).await,
            Err(_) => Ok(()),
        }
    }

    /// What a container of the image does for this launch.
    fn spoken(
        &self,
        launch: &Launch,
        provided: &Provisioned,
    ) -> std::result::Result<Option<Spoken>, String> {
        let Some((image, root)) = &provided.image else { return Ok(None) };
        let (command, runtime) = (&launch.command, &image.runtime);
        let named = |name: &str| {
            let variables = command.environment.iter().flat_map(|e| &e.variables);
            variables.into_iter().any(|v| v.name == name)
        };
        let cwd = runtime.folder().map_or(self.sandbox_directory.clone(), PathBuf::from);
        // As in the original, the task's or the framework's user comes first.
        let account = match (&launch.user, &runtime.user) {
            (None, Some(user)) => Some(users::find(root, user)?),
            _ => None,
        };
        let value = command.value.as_deref();
        Ok(Some(Spoken {
            command: match launch.pause {
                true => crate::agent::containerizer::Command::Pause,
                false => runtime.command(command.shell(), value, &command.arguments)?,
            },
            env: runtime.environment(&launch.environment, named),
            root: ImageRoot {
                root: root.clone(),
                sandbox: self.sandbox_directory.clone(),
                cwd,
                account: account.map(|a| (a.uid, a.gid, a.groups)),
            },
        }))
    }

    /// Where a volume is to be seen.
    fn target(
        &self,
        launch: &Launch,
        target: &Path,
        has_image: bool,
    ) -> std::result::Result<PathBuf, String> {
        let shown = target.display();
        if target.components().any(|c| c == Component::ParentDir) {
            return Err(format!("the volume '{shown}' leads upwards"));
        }
        if !target.is_absolute() {
            let sandbox = if has_image { &self.sandbox_directory } else { &launch.sandbox };
            return Ok(sandbox.join(target));
        }
        // What is missing on the host is not made there.
        match has_image || target.is_dir() {
            true => Ok(target.into()),
            false => Err(format!("the volume '{shown}' needs a folder of that name on the host")),
        }
    }
}

/// What an image makes of a launch.
struct Spoken {
    command: crate::agent::containerizer::Command,
    env: Vec<(String, String)>,
    root: ImageRoot,
}

fn container(launch: &Launch) -> Option<&v1::ContainerInfo> {
    launch.container_info().filter(|c| !docker::is_docker(Some(c)))
}

/// The image of the container itself.
fn wanted(launch: &Launch) -> std::result::Result<Option<Wanted>, String> {
    let mesos = container(launch).and_then(|c| c.mesos.as_ref());
    mesos.and_then(|m| m.image.as_ref()).map(image).transpose()
}

fn volumes(launch: &Launch) -> std::result::Result<Vec<Volume>, String> {
    let all = container(launch).into_iter().flat_map(|c| &c.volumes);
    all.filter_map(|v| {
        let image = image(v.image.as_ref()?);
        Some(image.map(|image| Volume {
            image,
            target: v.container_path.as_str().into(),
            read_only: v.mode() == v1::volume::Mode::Ro,
        }))
    })
    .collect()
}

fn image(image: &v1::Image) -> std::result::Result<Wanted, String> {
    if image.r#type() != v1::image::Type::Docker {
        return Err("images of type APPC are not supported: use type DOCKER".into());
    }
    let docker = image.docker.as_ref();
    let docker = docker.ok_or("'Image.docker' must be set for an image of type DOCKER")?;
    let credentials = match &docker.config {
        Some(secret) => {
            let data = secret.value.as_ref().map(|v| v.data.as_slice());
            let data = data.ok_or(
                "the config of an image is a secret that cannot be resolved here: only those of \
                 type VALUE are supported",
            )?;
            let read = Credentials::read(data);
            Some(read.map_err(|why| format!("the config of the image cannot be read: {why}"))?)
        }
        None => own_login(docker),
    };
    Ok(Wanted { name: docker.name.clone(), cached: image.cached(), credentials })
}

/// A name and a password, in the older form.
fn own_login(docker: &v1::image::Docker) -> Option<Credentials> {
    // Deprecated, and still sent.
    #[allow(deprecated)]
    let credential = docker.credential.as_ref()?;
    let secret = credential.secret.as_deref().unwrap_or_default();
    Some(Credentials::password(&credential.principal, secret))
}

/// The names of images that an operator wants to keep.
pub fn names(images: &[v1::Image]) -> Vec<String> {
    images.iter().filter_map(|i| i.docker.as_ref()).map(|d| d.name.clone()).collect()
}
