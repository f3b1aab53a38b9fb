//! The container a task runs in, from the flags; none when no flag asks for one. Pure.

use super::options::ExecuteOptions;
use super::plan::Problems;
use crate::mesos::codec::Codec;
use crate::mesos::v1::container_info::{self, DockerInfo, MesosInfo, docker_info};
use crate::mesos::v1::{
    CapabilityInfo, ContainerInfo, Image, LinuxInfo, NetworkInfo, RLimitInfo, TtyInfo, Volume,
    image,
};

pub(super) fn container(
    options: &ExecuteOptions,
    problems: &mut Problems,
) -> Option<ContainerInfo> {
    if options.docker_image.is_some() && options.appc_image.is_some() {
        problems.add("Flags '--docker-image' and '--appc-image' are both set");
    }
    let networks = networks(options);
    let volumes = volumes(options, problems);
    match options.containerizer.as_str() {
        "mesos" => mesos(options, networks, volumes, problems),
        "docker" => docker(options, networks, volumes, problems),
        other => {
            problems.add(format!("--containerizer is mesos or docker, not '{other}'"));
            None
        }
    }
}

fn mesos(
    options: &ExecuteOptions,
    network_infos: Vec<NetworkInfo>,
    volumes: Vec<Volume>,
    problems: &mut Problems,
) -> Option<ContainerInfo> {
    let docker = options.docker_image.clone().map(|name| Image {
        r#type: image::Type::Docker.into(),
        docker: Some(image::Docker { name, ..Default::default() }),
        ..Default::default()
    });
    let appc = options.appc_image.clone().map(|name| Image {
        r#type: image::Type::Appc.into(),
        appc: Some(image::Appc { name, ..Default::default() }),
        ..Default::default()
    });
    let image = docker.or(appc);
    let linux_info = linux(options, problems);
    let rlimit_info = message::<RLimitInfo>("rlimits", &options.rlimits, problems);
    let tty_info = options.tty().then(TtyInfo::default);
    let plain = image.is_none()
        && network_infos.is_empty()
        && volumes.is_empty()
        && linux_info.is_none()
        && rlimit_info.is_none()
        && tty_info.is_none();
    (!plain).then(|| ContainerInfo {
        r#type: container_info::Type::Mesos.into(),
        mesos: image.map(|image| MesosInfo { image: Some(image) }),
        volumes,
        network_infos,
        linux_info,
        rlimit_info,
        tty_info,
        ..Default::default()
    })
}

fn docker(
    options: &ExecuteOptions,
    network_infos: Vec<NetworkInfo>,
    volumes: Vec<Volume>,
    problems: &mut Problems,
) -> Option<ContainerInfo> {
    let Some(image) = options.docker_image.clone() else {
        problems.add("'--docker_image' is needed with '--containerizer=docker'");
        return None;
    };
    if network_infos.len() > 1 {
        problems.add("the docker containerizer joins one network only");
    }
    let unknown = [
        ("tty", options.tty()),
        ("rlimits", options.rlimits.is_some()),
        ("effective_capabilities", options.effective_capabilities.is_some()),
        ("bounding_capabilities", options.bounding_capabilities.is_some()),
    ];
    for (flag, _) in unknown.iter().filter(|(_, given)| *given) {
        problems.add(format!("--{flag} cannot be used with --containerizer=docker"));
    }
    let network = if network_infos.is_empty() {
        docker_info::Network::Host
    } else {
        docker_info::Network::User
    };
    let docker = DockerInfo { image, network: Some(network.into()), ..Default::default() };
    Some(ContainerInfo {
        r#type: container_info::Type::Docker.into(),
        docker: Some(docker),
        volumes,
        network_infos,
        ..Default::default()
    })
}

fn networks(options: &ExecuteOptions) -> Vec<NetworkInfo> {
    let names = options.networks.iter().flat_map(|text| text.split(','));
    let named = names.map(str::trim).filter(|name| !name.is_empty());
    named.map(|name| NetworkInfo { name: Some(name.to_string()), ..Default::default() }).collect()
}

fn volumes(options: &ExecuteOptions, problems: &mut Problems) -> Vec<Volume> {
    let Some(text) = &options.volumes else {
        return Vec::new();
    };
    let read = serde_json::from_str::<Vec<Volume>>(text);
    problems.keep(read.map_err(|e| format!("--volumes: {e}"))).unwrap_or_default()
}

fn linux(options: &ExecuteOptions, problems: &mut Problems) -> Option<LinuxInfo> {
    let effective_capabilities = message::<CapabilityInfo>(
        "effective_capabilities",
        &options.effective_capabilities,
        problems,
    );
    let bounding_capabilities =
        message("bounding_capabilities", &options.bounding_capabilities, problems);
    if effective_capabilities.is_none() && bounding_capabilities.is_none() {
        return None;
    }
    Some(LinuxInfo { effective_capabilities, bounding_capabilities, ..Default::default() })
}

fn message<M>(flag: &str, text: &Option<String>, problems: &mut Problems) -> Option<M>
where
    M: prost::Message + prost::Name + Default + serde::de::DeserializeOwned,
{
    let text = text.as_ref()?;
    let read = Codec::Json.decode::<M>(text.as_bytes());
    problems.keep(read.map_err(|e| format!("--{flag}: {e}")))
}
