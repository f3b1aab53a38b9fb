//! From what a client sent to a whole definition: old spellings are translated, what is given is laid over
//! what there is, and what is then missing is put in.

use super::app::App;
use super::body::AppBody;
use super::container::{Container, Engine};
use super::failures::Failures;
use super::network::{Network, NetworkMode, PortDefinition, PortMapping};
use super::path::PathId;
use super::rules::Rules;
use super::timestamp::Timestamp;
use super::translate::translate;
use super::update::AppUpdate;

/// The definition that a body makes: of a new app, or of `base` changed. `role` is what an app without one
/// gets. Version and version info are the base's, or zero. It is not validated.
///
/// # Errors
/// What contradicts itself in the body.
pub fn define(
    id: &PathId,
    body: &AppBody,
    base: Option<&App>,
    role: &str,
    rules: &Rules,
) -> Result<App, Failures> {
    let mut failures = Failures::default();
    let update = translate(body, base, rules, &mut failures);
    let fresh;
    let start = match base {
        Some(app) => app,
        None => {
            fresh = App::new(id.clone(), role, Timestamp::default());
            &fresh
        }
    };
    let mut app = update.apply(start);
    app.id = id.clone();
    complete(&mut app, &update, start.on_host_network(), rules, &mut failures);
    if failures.is_empty() { Ok(app) } else { Err(failures) }
}

fn complete(
    app: &mut App,
    given: &AppUpdate,
    was_on_host: bool,
    rules: &Rules,
    failures: &mut Failures,
) {
    for network in &mut app.networks {
        let wants_name = network.mode == NetworkMode::Container && network.name.is_none();
        if wants_name {
            network.name = rules.default_network_name.clone();
        }
        if wants_name && network.name.is_none() {
            failures.add(
                "/networks",
                "Network name must be specified when container network is selected.",
            );
        }
    }
    if app.networks.is_empty() {
        app.networks.push(Network::host());
    }
    if app.on_host_network() {
        complete_on_host(app, given, was_on_host, failures);
    } else {
        complete_off_host(app, given, failures);
    }
    let ports = app.service_ports().len();
    for check in &mut app.health_checks {
        if check.protocol.has_path() && check.path.is_none() {
            check.path = Some("/".into());
        }
        let portless = check.port.is_none() && check.port_index.is_none();
        if check.protocol.has_port() && portless && ports > 0 {
            check.port_index = Some(0);
        }
    }
}

fn complete_on_host(app: &mut App, given: &AppUpdate, was_on_host: bool, failures: &mut Failures) {
    let mapped = given.container.as_ref().and_then(|c| c.port_mappings.as_ref());
    if mapped.is_some_and(|m| !m.is_empty()) {
        let message = "portMappings are not allowed with host-networking";
        failures.add("/container/portMappings", message);
    }
    if let Some(container) = &mut app.container {
        container.port_mappings = None;
    }
    if !was_on_host && given.port_definitions.is_none() {
        let default = PortDefinition { name: Some("default".into()), ..PortDefinition::default() };
        app.port_definitions = vec![default];
    }
}

fn complete_off_host(app: &mut App, given: &AppUpdate, failures: &mut Failures) {
    if given.port_definitions.as_ref().is_some_and(|p| !p.is_empty()) {
        failures.add("/portDefinitions", "portDefinitions are only allowed with host-networking");
    }
    app.port_definitions.clear();
    app.require_ports = false;
    let bridge = app.networks.iter().any(|n| n.mode == NetworkMode::Bridge);
    let mesos = || Container { engine: Engine::Mesos, ..Container::default() };
    let container = app.container.get_or_insert_with(mesos);
    let mappings = container.port_mappings.get_or_insert_with(|| {
        vec![PortMapping { name: Some("default".into()), ..PortMapping::default() }]
    });
    if bridge {
        for mapping in mappings {
            mapping.host_port.get_or_insert(0);
        }
    }
}
