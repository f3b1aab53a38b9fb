//! The rules of networks and ports.

use super::app::PORTS_MAX;
use crate::marathon::model::{App, Engine, Failures, NetworkMode, PortDefinition, PortMapping};
use std::collections::BTreeSet;

pub(super) fn check(app: &App, failures: &mut Failures) {
    networks(app, failures);
    definitions(&app.port_definitions, failures);
    mappings(app, app.port_mappings(), failures);
    if app.service_ports().len() > PORTS_MAX {
        failures.add("/", format!("an app may have at most {PORTS_MAX} ports"));
    }
}

fn networks(app: &App, failures: &mut Failures) {
    let of = |mode| app.networks.iter().filter(|n| n.mode == mode).count();
    let (host, bridge, container) =
        (of(NetworkMode::Host), of(NetworkMode::Bridge), of(NetworkMode::Container));
    if !matches!((host, bridge, container), (1, 0, 0) | (0, 1, 0) | (0, 0, 1..)) {
        failures.add(
            "/networks",
            "May specify a single host network, single bridge network, or else 1-to-n container networks",
        );
    }
    let names: Vec<_> = app.networks.iter().filter_map(|n| n.name.as_deref()).collect();
    if repeats(names.iter()) {
        failures.add("/networks", "Duplicate networks are not allowed");
    }
    for (n, network) in app.networks.iter().enumerate() {
        if network.mode != NetworkMode::Container && network.name.is_some() {
            let message = "is only allowed with container networks";
            failures.add(&format!("/networks({n})/name"), message);
        }
    }
    let docker = app.container.as_ref().is_some_and(|c| c.engine == Engine::Docker);
    if docker && container > 1 {
        let message =
            "may only specify a single container network when using the Docker container engine";
        failures.add("/networks", message);
    }
}

fn definitions(ports: &[PortDefinition], failures: &mut Failures) {
    if repeats(ports.iter().map(|p| p.port).filter(|port| *port != 0)) {
        failures.add("/portDefinitions", "Ports must be unique.");
    }
    if repeats(ports.iter().filter_map(|p| p.name.as_deref())) {
        failures.add("/portDefinitions", "Port names must be unique.");
    }
}

fn mappings(app: &App, mappings: &[PortMapping], failures: &mut Failures) {
    let path = "/container/portMappings";
    if repeats(mappings.iter().filter_map(|m| m.name.as_deref())) {
        failures.add(path, "Port names must be unique.");
    }
    if repeats(mappings.iter().map(|m| m.service_port).filter(|port| *port != 0)) {
        failures.add(path, "ports must be unique");
    }
    // One port on the host can be forwarded to one container port only.
    let hosts = mappings.iter().filter_map(|m| m.host_port).filter(|port| *port != 0);
    if repeats(hosts) {
        failures.add(path, "host ports must be unique");
    }
    let known: BTreeSet<_> = app.networks.iter().filter_map(|n| n.name.as_deref()).collect();
    for (n, mapping) in mappings.iter().enumerate() {
        let place = format!("{path}({n})");
        for name in mapping.network_names.iter().filter(|name| !known.contains(name.as_str())) {
            failures.add(
                &format!("{place}/networkNames"),
                format!("{name} is not the name of a network of the app"),
            );
        }
        let several = app.networks.len() > 1 && mapping.network_names.len() != 1;
        if several && mapping.host_port.is_some() {
            failures.add(
                &place,
                "networkNames must be a single item list when hostPort is specified and more than 1 \
                 container network is defined",
            );
        }
    }
}

/// Whether something is there twice.
fn repeats<T: Ord>(items: impl Iterator<Item = T>) -> bool {
    let mut seen = BTreeSet::new();
    let mut items = items;
    items.any(|item| !seen.insert(item))
}
