//! The environment of a task: what Marathon tells every task about itself, its ports, and what the user gave.

use super::host_ports::Port;
use super::options::Options;
use crate::marathon::model::{App, Engine};
use std::collections::BTreeMap;

/// Labels whose name is this long or longer are not told.
const LABEL_NAME_MAX: usize = 493;
/// Labels whose value is this long or longer are not told.
const LABEL_VALUE_MAX: usize = 512;

/// All variables. What comes later in the order of app data, ports, the user's own replaces what comes before.
pub(super) fn environment(
    app: &App,
    task: &str,
    host: &str,
    ports: &[Port],
    enforce_role: bool,
    options: &Options,
) -> BTreeMap<String, String> {
    let mut env = of_labels(app);
    env.extend(of_app(app, task, enforce_role));
    let prefix = &options.env_vars_prefix;
    let mut around = of_ports(app, ports);
    around.insert("HOST".into(), host.to_string());
    env.extend(around.into_iter().map(|(name, value)| (format!("{prefix}{name}"), value)));
    env.extend(app.env.iter().map(|(name, value)| (name.clone(), value.clone())));
    env
}

fn of_app(app: &App, task: &str, enforce_role: bool) -> BTreeMap<String, String> {
    let mut env = BTreeMap::new();
    let mut set = |name: &str, value: String| drop(env.insert(name.to_string(), value));
    set("MESOS_TASK_ID", task.to_string());
    set("MARATHON_APP_ID", app.id.to_string());
    set("MARATHON_APP_VERSION", app.version.to_string());
    if let Some(container) = &app.container
        && let (Engine::Docker, Some(docker)) = (container.engine, &container.docker)
    {
        set("MARATHON_APP_DOCKER_IMAGE", docker.image.clone());
    }
    // With a decimal at least: 32.0.
    set("MARATHON_APP_RESOURCE_CPUS", format!("{:?}", app.cpus));
    set("MARATHON_APP_RESOURCE_MEM", format!("{:?}", app.mem));
    set("MARATHON_APP_RESOURCE_DISK", format!("{:?}", app.disk));
    set("MARATHON_APP_RESOURCE_GPUS", app.gpus.to_string());
    let enforced = if enforce_role { "TRUE" } else { "FALSE" };
    set("MARATHON_APP_ENFORCE_GROUP_ROLE", enforced.to_string());
    env
}

/// Upper case, and one `_` for each run of what no variable's name may have.
fn escape(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for c in name.chars() {
        if c.is_ascii_alphanumeric() || c == '_' {
            out.push(c.to_ascii_uppercase());
        } else if !out.ends_with('\0') {
            out.push('\0');
        }
    }
    out.replace('\0', "_")
}

fn of_labels(app: &App) -> BTreeMap<String, String> {
    let told: BTreeMap<String, &String> = app
        .labels
        .iter()
        .filter(|(name, value)| {
            name.chars().count() < LABEL_NAME_MAX && value.chars().count() < LABEL_VALUE_MAX
        })
        .map(|(name, value)| (escape(name), value))
        .collect();
    let names = told.keys().map(String::as_str).collect::<Vec<_>>().join(" ");
    let mut env: BTreeMap<String, String> = told
        .into_iter()
        .map(|(name, value)| (format!("MARATHON_APP_LABEL_{name}"), value.clone()))
        .collect();
    env.insert("MARATHON_APP_LABELS".into(), names);
    env
}

/// What the definition says of each port: the number that names it, and its name.
pub(super) fn declared(app: &App) -> Vec<(u16, Option<&str>)> {
    if app.on_host_network() {
        app.port_definitions.iter().map(|d| (d.port, d.name.as_deref())).collect()
    } else {
        app.port_mappings().iter().map(|m| (m.container_port, m.name.as_deref())).collect()
    }
}

fn of_ports(app: &App, ports: &[Port]) -> BTreeMap<String, String> {
    let mut env = BTreeMap::new();
    // Those that the task has to be told, because nobody knew them before.
    let mut listed: Vec<u16> = ports.iter().filter_map(|p| p.host).collect();
    for (at, (port, (number, name))) in ports.iter().zip(declared(app)).enumerate() {
        let effective = port.host.unwrap_or(port.container);
        if port.host.is_none() && number == 0 {
            listed.push(port.container);
        }
        let number = if number == 0 { effective } else { number };
        env.insert(format!("PORT{at}"), effective.to_string());
        env.insert(format!("PORT_{number}"), effective.to_string());
        if let Some(name) = name {
            env.insert(format!("PORT_{}", name.to_uppercase()), effective.to_string());
        }
    }
    if let Some(first) = listed.first() {
        env.insert("PORT".into(), first.to_string());
        let all = listed.iter().map(u16::to_string).collect::<Vec<_>>().join(",");
        env.insert("PORTS".into(), all);
    }
    env
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::marathon::model::{
        Container, Docker, Network, NetworkMode, PathId, PortDefinition, PortMapping, Timestamp,
    };

    fn app(ports: &[(u16, Option<&str>)]) -> App {
        let mut app =
            App::new(PathId::parse("/a/b").expect("an id"), "*", Timestamp::from_millis(1000));
        app.port_definitions = ports
            .iter()
            .map(|(port, name)| PortDefinition {
                port: *port,
                name: name.map(str::to_string),
                ..PortDefinition::default()
            })
            .collect();
        app
    }

    fn host(numbers: &[u16]) -> Vec<Port> {
        numbers.iter().map(|n| Port { host: Some(*n), container: *n }).collect()
    }

    fn env(app: &App, ports: &[Port]) -> BTreeMap<String, String> {
        environment(app, "t._app.1", "node1", ports, false, &Options::default())
    }

    fn ports_of(env: &BTreeMap<String, String>) -> Vec<String> {
        let ports = env.iter().filter(|(name, _)| name.starts_with("PORT"));
        ports.map(|(name, value)| format!("{name}={value}")).collect()
    }

    // covers: MAR-0395, MAR-0397, MAR-0398
    #[test]
    fn ports_by_order_number_and_name() {
        let app = app(&[(10_000, Some("http-api")), (0, None)]);
        assert_eq!(
            ports_of(&env(&app, &host(&[31_001, 31_007]))),
            [
                "PORT=31001",
                "PORT0=31001",
                "PORT1=31007",
                "PORTS=31001,31007",
                "PORT_10000=31001",
                "PORT_31007=31007",
                "PORT_HTTP-API=31001"
            ]
        );
    }

    // covers: MAR-0396
    #[test]
    fn without_ports_there_are_no_port_variables() {
        assert!(ports_of(&env(&app(&[]), &[])).is_empty());
    }

    // covers: MAR-0403
    #[test]
    fn container_ports_stand_in_where_there_is_no_host_port() {
        let mut app = app(&[]);
        let mode = NetworkMode::Container;
        app.networks = vec![Network { mode, name: Some("n".into()), ..Network::host() }];
        let mapping = |container_port, host_port, name: Option<&str>| PortMapping {
            container_port,
            host_port,
            name: name.map(str::to_string),
            ..PortMapping::default()
        };
        let mappings = vec![
            mapping(80, None, Some("web")),
            mapping(0, None, None),
            mapping(90, Some(0), None),
        ];
        app.container = Some(Container { port_mappings: Some(mappings), ..Container::default() });
        let ports = [
            Port { host: None, container: 80 },
            Port { host: None, container: 5000 },
            Port { host: Some(31_000), container: 90 },
        ];
        assert_eq!(
            ports_of(&env(&app, &ports)),
            [
                "PORT=31000",
                "PORT0=80",
                "PORT1=5000",
                "PORT2=31000",
                "PORTS=31000,5000",
                "PORT_5000=5000",
                "PORT_80=80",
                "PORT_90=31000",
                "PORT_WEB=80"
            ]
        );
    }

    // covers: MAR-0400, MAR-0401
    #[test]
    fn app_data_and_the_users_last_word() {
        let mut app = app(&[(0, None)]);
        app.env = [("HOST", "mine"), ("X", "1")].map(|(k, v)| (k.into(), v.into())).into();
        app.cpus = 0.1;
        app.mem = 32.0;
        app.container = Some(Container {
            docker: Some(Docker { image: "img".into(), ..Docker::default() }),
            ..Container::default()
        });
        let env = env(&app, &host(&[31_000]));
        for (name, value) in [
            ("MESOS_TASK_ID", "t._app.1"),
            ("MARATHON_APP_ID", "/a/b"),
            ("MARATHON_APP_VERSION", "1970-01-01T00:00:01.000Z"),
            ("MARATHON_APP_DOCKER_IMAGE", "img"),
            ("MARATHON_APP_RESOURCE_CPUS", "0.1"),
            ("MARATHON_APP_RESOURCE_MEM", "32.0"),
            ("MARATHON_APP_RESOURCE_DISK", "0.0"),
            ("MARATHON_APP_RESOURCE_GPUS", "0"),
            ("MARATHON_APP_ENFORCE_GROUP_ROLE", "FALSE"),
            ("MARATHON_APP_LABELS", ""),
            ("HOST", "mine"),
            ("X", "1"),
        ] {
            assert_eq!(env.get(name).map(String::as_str), Some(value), "{name}");
        }
    }

    // covers: MAR-0402
    #[test]
    fn labels_become_safe_names() {
        let mut app = app(&[]);
        let long = "x".repeat(512);
        app.labels = [("a.b--c", "1"), ("ok_1", "two"), ("long", long.as_str())]
            .map(|(k, v)| (k.into(), v.into()))
            .into();
        app.labels.insert("k".repeat(493), "v".into());
        let env = env(&app, &[]);
        let labels: Vec<_> =
            env.iter().filter(|(name, _)| name.starts_with("MARATHON_APP_LABEL")).collect();
        let labels: Vec<String> = labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
        assert_eq!(
            labels,
            [
                "MARATHON_APP_LABELS=A_B_C OK_1",
                "MARATHON_APP_LABEL_A_B_C=1",
                "MARATHON_APP_LABEL_OK_1=two"
            ]
        );
    }

    // covers: MAR-0399
    #[test]
    fn the_prefix_is_for_host_and_ports_alone() {
        let options = Options { env_vars_prefix: "P_".into(), ..Options::default() };
        let env = environment(&app(&[(0, None)]), "t", "node1", &host(&[5]), true, &options);
        assert_eq!(env.get("P_HOST").map(String::as_str), Some("node1"));
        assert!(env.contains_key("P_PORT0") && !env.contains_key("PORT0"));
        assert!(env.contains_key("MARATHON_APP_ID"));
        assert_eq!(env["MARATHON_APP_ENFORCE_GROUP_ROLE"], "TRUE");
    }
}
