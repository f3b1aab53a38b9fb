//! CommandInfo, its environment and URIs, and ContainerInfo.

use crate::mesos::v1;
use v1::environment::variable::Type as VariableType;
use v1::volume::source::Type as SourceType;

/// A command: its environment and what it fetches.
pub fn check(command: &v1::CommandInfo) -> Result<(), String> {
    for uri in &command.uris {
        check_uri(uri)?;
    }
    command.environment.as_ref().map_or(Ok(()), check_environment)
}

fn check_uri(uri: &v1::command_info::Uri) -> Result<(), String> {
    if uri.value.trim().is_empty() {
        return Err("The 'value' of a URI must not be empty".into());
    }
    let Some(file) = &uri.output_file else { return Ok(()) };
    if file.starts_with('/') || file.split('/').any(|part| part == "..") {
        return Err(format!(
            "The output file '{file}' of URI '{}' must be a path below the sandbox",
            uri.value
        ));
    }
    Ok(())
}

/// Every variable holds exactly what its type says.
fn check_environment(environment: &v1::Environment) -> Result<(), String> {
    for variable in &environment.variables {
        let name = &variable.name;
        match variable.r#type() {
            VariableType::Secret => {
                let Some(secret) = &variable.secret else {
                    return Err(format!(
                        "Environment variable '{name}' of type 'SECRET' must have a secret set"
                    ));
                };
                if variable.value.is_some() {
                    return Err(format!(
                        "Environment variable '{name}' of type 'SECRET' must not have a value set"
                    ));
                }
                check_secret(secret).map_err(|why| {
                    format!("Environment variable '{name}' specifies an invalid secret: {why}")
                })?;
            }
            VariableType::Value => {
                if variable.value.is_none() {
                    return Err(format!(
                        "Environment variable '{name}' of type 'VALUE' must have a value set"
                    ));
                }
                if variable.secret.is_some() {
                    return Err(format!(
                        "Environment variable '{name}' of type 'VALUE' must not have a secret set"
                    ));
                }
            }
            VariableType::Unknown => {
                return Err("Environment variable of type 'UNKNOWN' is not allowed".into());
            }
        }
    }
    Ok(())
}

fn check_secret(secret: &v1::Secret) -> Result<(), String> {
    use v1::secret::Type;
    match (secret.r#type(), &secret.reference, &secret.value) {
        (Type::Reference, None, _) => {
            Err("Secret of type REFERENCE must have the 'reference' field set".into())
        }
        (Type::Reference, Some(_), Some(_)) => {
            Err("Secret of type REFERENCE must not have the 'value' field set".into())
        }
        (Type::Value, _, None) => {
            Err("Secret of type VALUE must have the 'value' field set".into())
        }
        (Type::Value, Some(_), Some(_)) => {
            Err("Secret of type VALUE must not have the 'reference' field set".into())
        }
        (Type::Value, None, Some(value)) if value.data.contains(&0) => {
            Err("Secret of type VALUE must not contain null bytes in environment".into())
        }
        (Type::Unknown, ..) => Err("Secret of type 'UNKNOWN' is not allowed".into()),
        _ => Ok(()),
    }
}

/// A container: volumes, and what its type needs.
pub fn check_container(container: &v1::ContainerInfo) -> Result<(), String> {
    for volume in &container.volumes {
        check_volume(volume)
            .map_err(|why| format!("Volume '{}' is invalid: {why}", volume.container_path))?;
    }
    if container.r#type() == v1::container_info::Type::Docker {
        let Some(docker) = &container.docker else {
            return Err("DockerInfo 'docker' is not set for DOCKER typed ContainerInfo".into());
        };
        if docker.parameters.iter().any(|p| p.key == "name") {
            return Err("Parameter in DockerInfo must not be 'name'".into());
        }
    }
    Ok(())
}

fn check_volume(volume: &v1::Volume) -> Result<(), String> {
    if volume.container_path.is_empty() {
        return Err("'container_path' must not be empty".into());
    }
    let set = usize::from(volume.host_path.is_some())
        + usize::from(volume.image.is_some())
        + usize::from(volume.source.is_some());
    if set > 1 {
        return Err("Only one of them should be set: 'host_path', 'image' and 'source'".into());
    }
    let Some(source) = &volume.source else { return Ok(()) };
    let (name, there) = match source.r#type.and_then(|t| SourceType::try_from(t).ok()) {
        Some(SourceType::DockerVolume) => ("docker_volume", source.docker_volume.is_some()),
        Some(SourceType::HostPath) => ("host_path", source.host_path.is_some()),
        Some(SourceType::SandboxPath) => ("sandbox_path", source.sandbox_path.is_some()),
        Some(SourceType::Secret) => ("secret", source.secret.is_some()),
        Some(SourceType::CsiVolume) => ("csi_volume", source.csi_volume.is_some()),
        Some(SourceType::Unknown) | None => return Err("'source.type' is unknown".into()),
    };
    if there { Ok(()) } else { Err(format!("'source.{name}' is not set")) }
}
