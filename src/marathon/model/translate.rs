//! Old spellings of networks, ports and addresses, told in the present one. Which of Marathon's times a body
//! comes from need not be known; the same thing said twice is no conflict.

use super::app::{App, Fetch};
use super::body::{AppBody, ContainerBody, DockerNetwork, IpAddressBody};
use super::container::{Container, Engine};
use super::failures::Failures;
use super::network::{Network, NetworkMode, PortDefinition, PortMapping};
use super::rules::Rules;
use super::update::AppUpdate;
use std::collections::BTreeMap;

/// Ends of addresses that old `uris` unpack.
const ARCHIVES: [&str; 9] =
    [".tar", ".tar.gz", ".tar.bz2", ".tar.xz", ".gz", ".tgz", ".tbz2", ".txz", ".zip"];

/// Tells the body in the present spelling. `base` is the app that it changes, if it changes one.
pub(super) fn translate(
    body: &AppBody,
    base: Option<&App>,
    rules: &Rules,
    failures: &mut Failures,
) -> AppUpdate {
    let mut update = body.update.clone();
    translate_uris(body, &mut update, failures);
    translate_networks(body, &mut update, rules, failures);
    let default = Network::host();
    let networks = match (&update.networks, base) {
        (Some(networks), _) => networks.as_slice(),
        (None, Some(app)) => app.networks.as_slice(),
        (None, None) => std::slice::from_ref(&default),
    };
    let host = networks.iter().all(|n| n.mode == NetworkMode::Host);
    update.container = body.container.as_ref().map(|c| translate_container(c, failures));
    if let Some(address) = &body.ip_address {
        translate_discovery(address, body, &mut update, failures);
    }
    translate_ports(body, &mut update, host, failures);
    update
}

fn translate_uris(body: &AppBody, update: &mut AppUpdate, failures: &mut Failures) {
    let Some(uris) = &body.uris else { return };
    let given = update.fetch.as_deref().unwrap_or_default();
    if given.is_empty() {
        update.fetch = Some(uris.iter().map(|uri| fetch_of(uri)).collect());
        return;
    }
    let same = given.iter().map(|f| &f.uri).eq(uris);
    if !uris.is_empty() && !same {
        failures.add("/", "cannot specify both uris and fetch fields");
        failures.add("/uris", "may not be set in conjunction with fetch");
    }
}

fn fetch_of(uri: &str) -> Fetch {
    let extract = ARCHIVES.iter().any(|end| uri.ends_with(end));
    Fetch { uri: uri.into(), extract, executable: false, cache: false, dest_path: None }
}

fn translate_networks(
    body: &AppBody,
    update: &mut AppUpdate,
    rules: &Rules,
    failures: &mut Failures,
) {
    let docker = body.container.as_ref().and_then(|c| c.docker.as_ref());
    let mode = docker.and_then(|d| d.network);
    let old = match mode {
        Some(DockerNetwork::None) => {
            failures.add("/container/docker/network", "unsupported docker network type");
            return;
        }
        Some(DockerNetwork::Host) => Some(Network::host()),
        Some(DockerNetwork::Bridge) => {
            Some(Network { mode: NetworkMode::Bridge, ..Network::host() })
        }
        Some(DockerNetwork::User) => Some(named(body.ip_address.as_ref(), rules)),
        None => body.ip_address.as_ref().map(|address| {
            let network = named(Some(address), rules);
            if network.name.as_ref() == Some(&rules.mesos_bridge_name) {
                return Network { mode: NetworkMode::Bridge, name: None, ..network };
            }
            network
        }),
    };
    match (&update.networks, old) {
        (_, None) => {}
        (None, Some(network)) => update.networks = Some(vec![network]),
        (Some(networks), Some(network)) => {
            let same = match networks.as_slice() {
                [one] => one.mode == network.mode && one.name == network.name,
                _ => false,
            };
            if same {
                return;
            }
            failures.add("/", "cannot mix deprecated and canonical network APIs");
            if mode.is_some() {
                failures.add("/", "must not specify both container.docker.network and networks");
            } else {
                failures.add("/", "must not specify both networks and ipAddress");
            }
        }
    }
}

/// A network of the container kind, as an old address names it.
fn named(address: Option<&IpAddressBody>, rules: &Rules) -> Network {
    let name = address.and_then(|a| a.network_name.clone());
    Network {
        mode: NetworkMode::Container,
        name: name.or_else(|| rules.default_network_name.clone()),
        labels: address.map(|a| a.labels.clone()).unwrap_or_default(),
    }
}

fn translate_container(body: &ContainerBody, failures: &mut Failures) -> Container {
    let engine = body.engine.unwrap_or_default();
    let mut mappings = body.port_mappings.clone();
    if let Some(docker) = &body.docker {
        if engine == Engine::Mesos {
            for (given, field) in [
                (docker.network.is_some(), "network"),
                (!docker.docker.parameters.is_empty(), "parameters"),
                (docker.port_mappings.as_ref().is_some_and(|m| !m.is_empty()), "portMappings"),
            ] {
                if given {
                    failures.add(&format!("/container/docker/{field}"), "must be empty");
                }
            }
        }
        mappings = match (mappings, &docker.port_mappings) {
            (Some(present), Some(old)) if !old.is_empty() && present != *old => {
                if present.is_empty() {
                    failures.add("/container", "cannot mix empty and non-empty portMappings");
                } else {
                    let message = "cannot specify both portMappings and docker.portMappings";
                    failures.add("/container", message);
                }
                Some(present)
            }
            (None, Some(old)) => Some(old.clone()),
            (mappings, _) => mappings,
        };
    }
    Container {
        engine,
        docker: body.docker.as_ref().map(|d| d.docker.clone()),
        volumes: body.volumes.clone(),
        port_mappings: mappings,
        linux_info: body.linux_info.clone(),
    }
}

/// Ports of an old address become mappings without a port on the host.
fn translate_discovery(
    address: &IpAddressBody,
    body: &AppBody,
    update: &mut AppUpdate,
    failures: &mut Failures,
) {
    let docker = body.container.as_ref().is_some_and(|c| c.docker.is_some());
    if docker && !address.discovery.is_empty() {
        let message = "ipAddress/discovery is not allowed for Docker containers";
        failures.add("/ipAddress/discovery", message);
        return;
    }
    let mesos = || Container { engine: Engine::Mesos, ..Container::default() };
    let container = update.container.get_or_insert_with(mesos);
    if address.discovery.is_empty() {
        return;
    }
    if container.port_mappings.as_ref().is_some_and(|m| !m.is_empty()) {
        failures
            .add("/ipAddress/discovery", "cannot specify both discovery ports and portMappings");
        return;
    }
    let mapping = |port: &PortDefinition| PortMapping {
        container_port: port.port,
        labels: port.labels.clone(),
        name: port.name.clone(),
        protocol: port.protocol,
        ..PortMapping::default()
    };
    container.port_mappings = Some(address.discovery.iter().map(mapping).collect());
}

/// Old `ports`: definitions on the host's network; elsewhere their number is the least number of mappings.
fn translate_ports(body: &AppBody, update: &mut AppUpdate, host: bool, failures: &mut Failures) {
    let Some(ports) = &body.ports else { return };
    if let Some(definitions) = &update.port_definitions {
        if !definitions.iter().map(|d| d.port).eq(ports.iter().copied()) {
            failures.add("/ports", "cannot specify both ports and port definitions");
        }
        return;
    }
    if host {
        let definition = |(n, port): (usize, &u16)| PortDefinition {
            labels: BTreeMap::new(),
            name: (n == 0).then(|| "default".into()),
            port: *port,
            ..PortDefinition::default()
        };
        update.port_definitions = Some(ports.iter().enumerate().map(definition).collect());
    } else if let Some(Container { port_mappings: Some(mappings), .. }) = &mut update.container {
        let least = mappings.len().max(ports.len());
        mappings.resize_with(least, PortMapping::default);
    }
}
