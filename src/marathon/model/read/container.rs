//! Reading containers. Volumes that need what the service has not are refused with the reason.

use super::cursor::{At, FILLED, Object};
use super::network;
use crate::marathon::model::body::{ContainerBody, DockerBody, DockerNetwork};
use crate::marathon::model::container::{
    Docker, Engine, HostVolume, IpcInfo, IpcMode, LinuxInfo, Parameter, ReadMode, Seccomp,
};
use crate::marathon::model::rules::Rules;

const ENGINES: [(&str, Engine); 2] = [("MESOS", Engine::Mesos), ("DOCKER", Engine::Docker)];
const MODES: [(&str, ReadMode); 2] = [("RO", ReadMode::Ro), ("RW", ReadMode::Rw)];
const IPC: [(&str, IpcMode); 2] =
    [("PRIVATE", IpcMode::Private), ("SHARE_PARENT", IpcMode::ShareParent)];
const NETWORKS: [(&str, DockerNetwork); 4] = [
    ("BRIDGE", DockerNetwork::Bridge),
    ("HOST", DockerNetwork::Host),
    ("NONE", DockerNetwork::None),
    ("USER", DockerNetwork::User),
];

pub(super) fn container(at: &At<'_>) -> Option<ContainerBody> {
    let object = at.object()?;
    if let Some(appc) = object.get("appc") {
        appc.refuse("AppC images are not supported; give a Docker image");
    }
    let volumes = object.get("volumes").and_then(|at| at.list(volume));
    Some(ContainerBody {
        engine: object.get("type").and_then(|at| at.word(&ENGINES)),
        docker: object.get("docker").and_then(|at| docker(&at)),
        volumes: volumes.unwrap_or_default(),
        port_mappings: object.get("portMappings").and_then(|at| at.list(network::mapping)),
        linux_info: object.get("linuxInfo").and_then(|at| linux_info(&at)),
    })
}

fn docker(at: &At<'_>) -> Option<DockerBody> {
    let object = at.object()?;
    let flag = |key| object.get(key).and_then(|at| at.boolean()).unwrap_or(false);
    for key in ["pullConfig", "credential"] {
        if let Some(at) = object.get(key) {
            at.refuse(Rules::disabled("secrets"));
        }
    }
    let image = object.required("image").and_then(|at| at.text(FILLED));
    Some(DockerBody {
        docker: Docker {
            force_pull_image: flag("forcePullImage"),
            image: image.unwrap_or_default(),
            parameters: object
                .get("parameters")
                .and_then(|at| at.list(parameter))
                .unwrap_or_default(),
            privileged: flag("privileged"),
        },
        network: object.get("network").and_then(|at| at.word(&NETWORKS)),
        port_mappings: object.get("portMappings").and_then(|at| at.list(network::mapping)),
    })
}

fn parameter(at: &At<'_>) -> Option<Parameter> {
    let object = at.object()?;
    let key = object.required("key").and_then(|at| at.text(FILLED));
    let value = object.required("value").and_then(|at| at.string());
    Some(Parameter { key: key?, value: value? })
}

fn volume(at: &At<'_>) -> Option<HostVolume> {
    let object = at.object()?;
    for (key, reason) in [
        ("persistent", "persistent volumes are not supported yet; give a hostPath".to_string()),
        ("external", Rules::disabled("external_volumes")),
        ("secret", Rules::disabled("secrets")),
    ] {
        if let Some(at) = object.get(key) {
            at.refuse(reason);
            return None;
        }
    }
    let container_path = object.required("containerPath").and_then(|at| at.text(FILLED));
    let host_path = object.required("hostPath").and_then(|at| at.text(FILLED));
    let mode = object.required("mode").and_then(|at| at.word(&MODES));
    Some(HostVolume { container_path: container_path?, host_path: host_path?, mode: mode? })
}

fn linux_info(at: &At<'_>) -> Option<LinuxInfo> {
    let object = at.object()?;
    Some(LinuxInfo {
        seccomp: object.get("seccomp").and_then(|at| seccomp(&at.object()?)),
        ipc_info: object.get("ipcInfo").and_then(|at| ipc_info(&at.object()?)),
    })
}

fn seccomp(object: &Object<'_>) -> Option<Seccomp> {
    Some(Seccomp {
        profile_name: object.get("profileName").and_then(|at| at.string()),
        unconfined: object.get("unconfined").and_then(|at| at.boolean()).unwrap_or(false),
    })
}

fn ipc_info(object: &Object<'_>) -> Option<IpcInfo> {
    Some(IpcInfo {
        mode: object.required("mode")?.word(&IPC)?,
        shm_size: object.get("shmSize").and_then(|at| at.count(0)),
    })
}
