//! The request that makes a container. Pure, but for the directories of the host that it names.

use super::{DockerSpec, LABEL_CONTAINER, LABEL_NODE, LABEL_SANDBOX};
use crate::agent::containerizer::spec::{CFS_PERIOD_US, Limits};
use crate::agent::core::docker::{Run, Volume, VolumeFrom};
use crate::base::error::{Code, Error, Result};
use bollard::models::{
    ContainerCreateBody, ContainerUpdateBody, HostConfig, HostConfigLogConfig, Mount, MountType,
    MountVolumeOptions, MountVolumeOptionsDriverConfig, PortBinding, RestartPolicy,
    RestartPolicyNameEnum,
};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::path::Path;

/// Files of output that the engine itself keeps for us until we have read them.
const ENGINE_LOG_FILES: &str = "2";
/// The least size of one, in bytes: what a flood writes faster than it is read is lost when both are full.
const ENGINE_LOG_BYTES_MIN: u64 = 32 << 20;

/// The whole request; `node` is who may remove it, `memory` the machine's in bytes.
///
/// # Errors
/// `Invalid` for options whose values the API does not have.
pub(super) fn body(spec: &DockerSpec, node: &str, memory: u64) -> Result<ContainerCreateBody> {
    let run = &*spec.run;
    let mut body: ContainerCreateBody = settings(&run.settings.config)?;
    body.image = Some(run.image.clone());
    body.cmd = run.arguments.clone();
    body.entrypoint = run.entrypoint.clone().or(body.entrypoint);
    body.hostname = run.hostname.clone().or(body.hostname);
    body.tty = Some(run.tty || body.tty == Some(true));
    let mut env: Vec<String> = spec.env.iter().map(|(n, v)| format!("{n}={v}")).collect();
    env.extend(body.env.take().unwrap_or_default());
    body.env = Some(env);
    let labels = body.labels.get_or_insert_default();
    for (label, value) in [
        (LABEL_NODE, node),
        (LABEL_CONTAINER, spec.id.as_str()),
        (LABEL_SANDBOX, &*spec.sandbox.to_string_lossy()),
    ] {
        labels.insert(label.into(), value.into());
    }
    let mut exposed = body.exposed_ports.take().unwrap_or_default();
    exposed.extend(run.ports.iter().map(|p| format!("{}/{}", p.container, p.protocol)));
    body.exposed_ports = Some(exposed);
    body.host_config = Some(host(spec, memory)?);
    Ok(body)
}

fn settings<T: DeserializeOwned>(given: &Map<String, Value>) -> Result<T> {
    serde_json::from_value(Value::Object(given.clone())).map_err(|e| {
        Error::new(Code::Invalid, format!("the parameters cannot be carried out: {e}"))
    })
}

fn host(spec: &DockerSpec, memory: u64) -> Result<HostConfig> {
    let run = &*spec.run;
    let mut host: HostConfig = settings(&run.settings.host)?;
    let (limits, asked) = (limits(&spec.limits), host.pids_limit.filter(|n| *n > 0));
    host.cpu_shares = limits.cpu_shares;
    host.cpu_period = limits.cpu_period;
    host.cpu_quota = limits.cpu_quota;
    host.memory = limits.memory;
    host.memory_reservation = limits.memory_reservation;
    // A task may have less than the agent allows, not more.
    host.pids_limit = match (asked, limits.pids_limit) {
        (Some(asked), Some(most)) => Some(asked.min(most)),
        (asked, most) => asked.or(most),
    };
    // Unless the task says so itself.
    host.oom_score_adj = host.oom_score_adj.or(spec.limits.oom_score_adj(memory).map(i64::from));
    host.network_mode = Some(run.network.clone());
    host.port_bindings = (!run.ports.is_empty()).then(|| bindings(run));
    host.privileged = Some(run.privileged || host.privileged == Some(true));
    host.restart_policy =
        Some(RestartPolicy { name: Some(RestartPolicyNameEnum::NO), maximum_retry_count: None });
    host.auto_remove = Some(false);
    host.mounts = Some(run.volumes.iter().map(mount).collect());
    if host.log_config.as_ref().is_none_or(|log| log.typ.is_none()) {
        let config = host.log_config.take().and_then(|log| log.config);
        let mut config = config.unwrap_or_default();
        let size = spec.rotation.max_bytes.max(ENGINE_LOG_BYTES_MIN).to_string();
        config.entry("max-size".into()).or_insert(size);
        config.entry("max-file".into()).or_insert_with(|| ENGINE_LOG_FILES.into());
        let typ = Some("json-file".to_string());
        host.log_config = Some(HostConfigLogConfig { typ, config: Some(config) });
    }
    Ok(host)
}

fn bindings(run: &Run) -> HashMap<String, Option<Vec<PortBinding>>> {
    let mut all: HashMap<String, Option<Vec<PortBinding>>> = HashMap::new();
    for port in &run.ports {
        let binding = PortBinding { host_ip: None, host_port: Some(port.host.to_string()) };
        let key = format!("{}/{}", port.container, port.protocol);
        all.entry(key).or_default().get_or_insert_default().push(binding);
    }
    all
}

fn mount(volume: &Volume) -> Mount {
    let mut mount = Mount {
        target: Some(volume.target.clone()),
        read_only: Some(volume.read_only),
        ..Default::default()
    };
    match &volume.from {
        VolumeFrom::Host(path) => {
            mount.typ = Some(MountType::BIND);
            mount.source = Some(path.to_string_lossy().into_owned());
        }
        VolumeFrom::Named { driver, name, options } => {
            mount.typ = Some(MountType::VOLUME);
            mount.source = Some(name.clone());
            let config = driver.clone().map(|driver| MountVolumeOptionsDriverConfig {
                name: Some(driver),
                options: Some(options.iter().cloned().collect()),
            });
            mount.volume_options =
                Some(MountVolumeOptions { driver_config: config, ..Default::default() });
        }
        VolumeFrom::New => mount.typ = Some(MountType::VOLUME),
    }
    mount
}

/// Limits as the engine takes them.
pub(super) fn limits(limits: &Limits) -> ContainerUpdateBody {
    let signed = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    let quota = limits.quota_us();
    // Of memory that may be taken back under pressure there cannot be more than there may be at all.
    let soft = match (limits.mem_soft_bytes, limits.mem_bytes) {
        (Some(soft), Some(hard)) => Some(soft.min(hard)),
        (soft, _) => soft,
    };
    ContainerUpdateBody {
        cpu_shares: Some(signed(limits.shares())),
        cpu_period: quota.map(|_| signed(CFS_PERIOD_US)),
        cpu_quota: quota.map(signed),
        memory: limits.mem_bytes.map(signed),
        memory_reservation: soft.map(signed),
        pids_limit: limits.pids_max.map(signed),
        ..Default::default()
    }
}

/// Makes the directories of the host that are to be shown and are not there yet, as `docker run` does.
///
/// # Errors
/// `System`, with the path.
pub(super) fn make_directories(run: &Run) -> Result<()> {
    for volume in &run.volumes {
        if let VolumeFrom::Host(path) = &volume.from
            && !Path::exists(path)
        {
            std::fs::create_dir_all(path).map_err(|e| {
                Error::new(Code::System, format!("cannot make volume {}: {e}", path.display()))
            })?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::containerizer::spec::Rotation;
    use crate::agent::core::docker::PortMapping;
    use std::sync::Arc;

    fn spec(run: Run) -> DockerSpec {
        DockerSpec {
            id: "c1".into(),
            run: Arc::new(run),
            sandbox: "/work/a:b".into(),
            env: vec![("A".into(), "1".into())],
            limits: Limits {
                cpus: 0.5,
                cpu_hard: Some(0.5),
                mem_bytes: Some(64 << 20),
                mem_soft_bytes: Some(80 << 20),
                pids_max: Some(100),
            },
            rotation: Rotation { max_bytes: 1 << 20, files: 3 },
        }
    }

    // covers: MES-0945, MES-0946
    #[test]
    fn limits_become_options_of_the_engine() {
        let made = |spec: &DockerSpec| {
            body(spec, "n1", 640 << 20).expect("made").host_config.expect("there")
        };
        let mut spec = spec(Run { network: "bridge".into(), ..Run::default() });
        let host = made(&spec);
        assert_eq!((host.cpu_shares, host.cpu_quota), (Some(512), Some(50_000)));
        assert_eq!((host.memory, host.memory_reservation), (Some(64 << 20), Some(64 << 20)));
        assert_eq!((host.pids_limit, host.oom_score_adj), (Some(100), None));
        // Who may have more than it asked for; unless the task says otherwise.
        spec.limits.mem_soft_bytes = Some(32 << 20);
        assert_eq!(made(&spec).oom_score_adj, Some(950));
        let mut run = Run { network: "bridge".into(), ..Run::default() };
        run.settings.host.insert("OomScoreAdj".into(), serde_json::json!(-5));
        spec.run = Arc::new(run);
        assert_eq!(made(&spec).oom_score_adj, Some(-5));
    }

    // covers: MES-0939
    #[test]
    fn what_is_asked_for_is_asked_of_the_engine() {
        let mut run = Run { network: "bridge".into(), image: "i".into(), ..Run::default() };
        let mapping =
            |protocol: &str| PortMapping { host: 31_000, container: 53, protocol: protocol.into() };
        run.ports = vec![mapping("tcp"), mapping("udp")];
        run.volumes = vec![Volume {
            from: VolumeFrom::Host("/work/a:b".into()),
            target: "/mnt/mesos/sandbox".into(),
            read_only: false,
        }];
        run.settings.config.insert("Labels".into(), serde_json::json!({LABEL_NODE: "forged"}));
        run.settings.config.insert("Env".into(), serde_json::json!(["B=2"]));
        run.settings.host.insert("PidsLimit".into(), serde_json::json!(5000));
        let body = body(&spec(run), "n1", 1 << 30).expect("made");
        assert_eq!(body.env.as_deref(), Some(&["A=1".to_string(), "B=2".to_string()][..]));
        assert_eq!(body.labels.expect("labels").get(LABEL_NODE).map(String::as_str), Some("n1"));
        let host = body.host_config.expect("there");
        assert_eq!(host.pids_limit, Some(100), "not more than the agent allows");
        let ports = host.port_bindings.expect("ports");
        assert_eq!(ports.len(), 2);
        assert!(ports.contains_key("53/udp"));
        let mounts = host.mounts.expect("mounts");
        assert_eq!(mounts[0].source.as_deref(), Some("/work/a:b"), "a colon is no separator");
    }
}
