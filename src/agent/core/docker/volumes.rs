//! What a docker container sees of the host: its sandbox, and the volumes it asks for.

use super::super::io::PersistentVolume;
use super::Of;
use crate::mesos::v1::container_info::DockerInfo;
use crate::mesos::v1::{self, volume};
use std::path::{Component, Path, PathBuf};

/// Volumes of one container, at most.
pub const VOLUMES_MAX: usize = 256;

/// What is shown in a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum From {
    /// A file or directory of the host; a directory is made if there is nothing.
    Host(PathBuf),
    /// A volume of the engine, of that driver and with that name.
    Named {
        /// None: the engine's own.
        driver: Option<String>,
        /// Made if there is none.
        name: String,
        /// The driver's options.
        options: Vec<(String, String)>,
    },
    /// A new volume, removed with the container.
    New,
}

/// Something shown in a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// What.
    pub from: From,
    /// Where in the container, absolute.
    pub target: String,
    /// Whether it may only be read.
    pub read_only: bool,
}

/// The sandbox, and all volumes.
pub(super) fn all(of: &Of<'_>, docker: &DockerInfo) -> Result<Vec<Volume>, String> {
    let mapped = &of.options.sandbox_directory;
    let mut all = vec![Volume {
        from: From::Host(of.sandbox.to_path_buf()),
        target: mapped.clone(),
        read_only: false,
    }];
    for volume in of.volumes {
        all.push(persistent(of, volume)?);
    }
    if of.container.volumes.len() + of.volumes.len() > VOLUMES_MAX {
        return Err(format!("more than {VOLUMES_MAX} volumes"));
    }
    // Deprecated and still sent by old frameworks.
    #[allow(deprecated)]
    let mut driver = docker.volume_driver.clone();
    for info in &of.container.volumes {
        let volume = one(of, info, driver.as_deref())?;
        if let From::Named { driver: Some(own), .. } = &volume.from
            && driver.get_or_insert_with(|| own.clone()) != own
        {
            let text = "Only one volume driver can be used by the volumes of a container";
            return Err(text.into());
        }
        all.push(volume);
    }
    Ok(all)
}

fn persistent(of: &Of<'_>, volume: &PersistentVolume) -> Result<Volume, String> {
    let target = target(of, &volume.container_path)?;
    Ok(Volume { from: From::Host(volume.path.clone()), target, read_only: volume.read_only })
}

/// The place in the container; a relative one is below the sandbox.
fn target(of: &Of<'_>, path: &str) -> Result<String, String> {
    if path.is_empty() || path.contains('\0') || climbs(path) {
        return Err(format!("'{path}' is not a path in a container"));
    }
    Ok(match path.starts_with('/') {
        true => path.to_string(),
        false => format!("{}/{path}", of.options.sandbox_directory.trim_end_matches('/')),
    })
}

fn one(of: &Of<'_>, info: &v1::Volume, driver: Option<&str>) -> Result<Volume, String> {
    let path = info.container_path.as_str();
    let target = target(of, path)?;
    if info.image.is_some() {
        return Err(format!(
            "the volume '{path}' has an image: docker containers cannot have that"
        ));
    }
    let from = match (&info.host_path, &info.source) {
        (Some(host), _) => host_path(of, host, driver)?,
        (None, Some(source)) => sourced(of, path, source, driver)?,
        (None, None) => From::New,
    };
    Ok(Volume { from, target, read_only: info.mode() == volume::Mode::Ro })
}

fn climbs(path: &str) -> bool {
    Path::new(path).components().any(|c| c == Component::ParentDir)
}

fn host_path(of: &Of<'_>, host: &str, driver: Option<&str>) -> Result<From, String> {
    if host.is_empty() || host.contains('\0') {
        return Err(format!("'{host}' is not a path of the host"));
    }
    if host.starts_with('/') {
        return Ok(From::Host(host.into()));
    }
    if let Some(driver) = driver {
        let (driver, name) = (Some(driver.to_string()), host.to_string());
        return Ok(From::Named { driver, name, options: Vec::new() });
    }
    if climbs(host) {
        return Err(format!("the host path '{host}' leaves the sandbox"));
    }
    Ok(From::Host(of.sandbox.join(host)))
}

fn sourced(
    of: &Of<'_>,
    path: &str,
    source: &volume::Source,
    driver: Option<&str>,
) -> Result<From, String> {
    if let Some(named) = &source.docker_volume {
        let given = named.driver_options.iter().flat_map(|all| &all.parameter);
        let options = given.map(|p| (p.key.clone(), p.value.clone())).collect();
        return Ok(From::Named { driver: named.driver.clone(), name: named.name.clone(), options });
    }
    if let Some(host) = &source.host_path {
        return host_path(of, &host.path, driver);
    }
    Err(format!(
        "the volume '{path}' has a source that docker containers cannot have: only DOCKER_VOLUME \
         and HOST_PATH are supported"
    ))
}
