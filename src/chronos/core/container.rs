//! The container of a run's task, as Mesos is told to make it. Pure; what an agent cannot do it refuses itself.

use crate::chronos::model::{Container, Engine, Network, Pair, Volume};
use crate::mesos::v1::{self, ContainerInfo, container_info, volume};

/// The container.
pub(super) fn build(container: &Container, task: &str) -> ContainerInfo {
    let mut info = ContainerInfo {
        volumes: container.volumes.iter().map(volume).collect(),
        network_infos: networks(container),
        ..ContainerInfo::default()
    };
    match container.engine {
        Engine::Docker => {
            info.r#type = container_info::Type::Docker as i32;
            info.docker = Some(docker(container, task));
        }
        Engine::Mesos => {
            info.r#type = container_info::Type::Mesos as i32;
            let image = v1::Image {
                r#type: v1::image::Type::Docker as i32,
                docker: Some(v1::image::Docker {
                    name: container.image.clone(),
                    ..Default::default()
                }),
                cached: Some(!container.force_pull_image),
                ..Default::default()
            };
            info.mesos = Some(container_info::MesosInfo { image: Some(image) });
        }
    }
    info
}

fn docker(container: &Container, task: &str) -> container_info::DockerInfo {
    use container_info::docker_info;
    let network = match container.network {
        Network::Host => docker_info::Network::Host,
        Network::Bridge => docker_info::Network::Bridge,
        Network::User => docker_info::Network::User,
    };
    let mut parameters = parameters(&container.parameters);
    // So that who looks at the docker engine finds the task.
    parameters.push(v1::Parameter { key: "label".into(), value: format!("MESOS_TASK_ID={task}") });
    container_info::DockerInfo {
        image: container.image.clone(),
        network: Some(network as i32),
        parameters,
        force_pull_image: Some(container.force_pull_image),
        ..Default::default()
    }
}

fn parameters(pairs: &[Pair]) -> Vec<v1::Parameter> {
    let parameter = |p: &Pair| v1::Parameter { key: p.key.clone(), value: p.value.clone() };
    pairs.iter().map(parameter).collect()
}

fn networks(container: &Container) -> Vec<v1::NetworkInfo> {
    let label = |p: &Pair| v1::Label { key: p.key.clone(), value: Some(p.value.clone()) };
    let mut all: Vec<_> = container
        .network_infos
        .iter()
        .map(|info| v1::NetworkInfo {
            name: Some(info.name.clone()),
            labels: (!info.labels.is_empty())
                .then(|| v1::Labels { labels: info.labels.iter().map(label).collect() }),
            ..Default::default()
        })
        .collect();
    if let (true, Some(name)) = (all.is_empty(), &container.network_name) {
        all.push(v1::NetworkInfo { name: Some(name.clone()), ..Default::default() });
    }
    all
}

fn volume(given: &Volume) -> v1::Volume {
    let mode = if given.mode == "RO" { volume::Mode::Ro } else { volume::Mode::Rw };
    let source = given.external.as_ref().map(|external| volume::Source {
        r#type: Some(volume::source::Type::DockerVolume as i32),
        docker_volume: Some(volume::source::DockerVolume {
            driver: Some(external.provider.clone()),
            name: external.name.clone(),
            driver_options: Some(v1::Parameters { parameter: parameters(&external.options) }),
        }),
        ..Default::default()
    });
    v1::Volume {
        mode: mode as i32,
        container_path: given.container_path.clone(),
        host_path: given.host_path.clone(),
        source,
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::Wall;
    use crate::chronos::core::Options;
    use crate::chronos::model::read;

    #[test]
    fn everything_reaches_the_agent() {
        let job = serde_json::json!({
            "name": "j", "schedule": "R1//PT1H", "container": {"image": "i", "network": "USER",
                "networkInfos": [{"name": "n", "labels": [{"key": "a", "value": "b"}]}],
                "forcePullImage": true, "parameters": [{"key": "dns", "value": "1.1.1.1"}],
                "volumes": [{"containerPath": "/c", "hostPath": "/h", "mode": "RO"},
                    {"containerPath": "/d", "external": {"name": "v", "provider": "p",
                        "options": [{"key": "size", "value": "1"}]}}]}});
        let (job, _) = read(&job, &Options::default().rules, Wall(0)).expect("a job");
        let info = build(job.container.as_ref().expect("a container"), "ct:1:0:j:");
        assert_eq!(info.network_infos[0].name(), "n");
        let docker = info.docker.expect("docker");
        assert_eq!((docker.image.as_str(), docker.force_pull_image()), ("i", true));
        let parameters: Vec<_> =
            docker.parameters.iter().map(|p| format!("{}={}", p.key, p.value)).collect();
        assert_eq!(parameters, ["dns=1.1.1.1", "label=MESOS_TASK_ID=ct:1:0:j:"]);
        assert_eq!(info.volumes[0].host_path(), "/h");
        assert_eq!(info.volumes[0].mode(), volume::Mode::Ro);
        let named = info.volumes[1].source.as_ref().and_then(|s| s.docker_volume.as_ref());
        let named = named.expect("a volume of the driver");
        assert_eq!((named.name.as_str(), named.driver()), ("v", "p"));
    }
}
