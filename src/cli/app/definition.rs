//! Definitions of apps: what a file says, with what the flags say put over it. Whether it is valid is Marathon's to say.

use super::path::api_path;
use crate::base::error::{Code, Error, Result};
use crate::cli::client::Client;
use crate::cli::files;
use clap::Args;
use serde_json::{Map, Value, json};

/// What Marathon shows of an app and nobody sets: dropped, so that what it shows can be sent back.
const READ_ONLY: &[&str] = &[
    "version",
    "versionInfo",
    "tasks",
    "tasksStaged",
    "tasksRunning",
    "tasksHealthy",
    "tasksUnhealthy",
    "deployments",
    "lastTaskFailure",
    "readinessCheckResults",
    "taskStats",
    "tasksStats",
];

/// An app on the command line.
#[derive(Debug, Default, Args)]
pub struct DefinitionArgs {
    /// Command that a shell runs
    #[arg(long, value_name = "COMMAND")]
    pub cmd: Option<String>,
    /// How many instances
    #[arg(long, value_name = "N")]
    pub instances: Option<u32>,
    /// Share of cpus
    #[arg(long, value_name = "N")]
    pub cpus: Option<f64>,
    /// Memory in MiB
    #[arg(long, value_name = "MIB")]
    pub mem: Option<f64>,
    /// Disk in MiB
    #[arg(long, value_name = "MIB")]
    pub disk: Option<f64>,
    /// Environment variable; may be given several times
    #[arg(short, long, value_name = "NAME=VALUE")]
    pub env: Vec<String>,
    /// Label; may be given several times
    #[arg(short, long, value_name = "NAME=VALUE")]
    pub label: Vec<String>,
    /// Port of the app, 0 for any; may be given several times ($PORT0 is the first on the node)
    #[arg(short, long, value_name = "PORT")]
    pub port: Vec<u16>,
    /// Constraint, e.g. hostname:UNIQUE or rack:LIKE:r1; may be given several times
    #[arg(long, value_name = "FIELD:OPERATOR[:VALUE]")]
    pub constraint: Vec<String>,
    /// What to fetch into the sandbox; may be given several times
    #[arg(long, value_name = "URI")]
    pub uri: Vec<String>,
    /// User to run as
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
}

/// The definition: `file` (an object) if there is one, with the flags over it. It has an absolute `id`.
///
/// # Errors
/// [`Code::Invalid`] when there is no id, when a flag is malformed, or when the file is no app.
pub fn definition(file: Option<Value>, id: Option<&str>, args: &DefinitionArgs) -> Result<Value> {
    let mut app = match file {
        None => Map::new(),
        Some(value) => of_file(value)?,
    };
    if let Some(id) = id {
        app.insert("id".into(), json!(id));
    }
    let Some(id) = app.get("id").and_then(Value::as_str) else {
        return Err(Error::new(Code::Invalid, "the app has no id").hint("give it one with --id"));
    };
    let id = super::absolute(id)?;
    app.insert("id".into(), json!(id));
    for (name, value) in [
        ("cmd", args.cmd.as_ref().map(|v| json!(v))),
        ("instances", args.instances.map(|v| json!(v))),
        ("cpus", args.cpus.map(|v| json!(v))),
        ("mem", args.mem.map(|v| json!(v))),
        ("disk", args.disk.map(|v| json!(v))),
        ("user", args.user.as_ref().map(|v| json!(v))),
    ] {
        if let Some(value) = value {
            app.insert(name.into(), value);
        }
    }
    for (name, flag, given) in [("env", "--env", &args.env), ("labels", "--label", &args.label)] {
        let given = files::pairs(flag, given)?;
        if !given.is_empty() {
            match app.entry(name).or_insert_with(|| json!({})) {
                Value::Object(present) => present.extend(given),
                other => *other = Value::Object(given),
            }
        }
    }
    if !args.port.is_empty() {
        let ports = args.port.iter().enumerate().map(|(n, port)| port_definition(n, *port));
        app.insert("portDefinitions".into(), ports.collect());
        app.remove("ports");
        // A fixed port is asked for on the node only with this.
        if args.port.iter().any(|p| *p != 0) {
            app.insert("requirePorts".into(), json!(true));
        }
    }
    if !args.constraint.is_empty() {
        let constraints = args.constraint.iter().map(|c| constraint(c)).collect::<Result<_>>()?;
        app.insert("constraints".into(), Value::Array(constraints));
    }
    if !args.uri.is_empty() {
        app.insert("fetch".into(), args.uri.iter().map(|uri| json!({"uri": uri})).collect());
        app.remove("uris");
    }
    Ok(Value::Object(app))
}

fn port_definition(n: usize, port: u16) -> Value {
    json!({"port": port, "protocol": "tcp", "name": format!("port{n}")})
}

fn constraint(text: &str) -> Result<Value> {
    let parts: Vec<&str> = text.splitn(3, ':').collect();
    if parts.len() < 2 || parts.iter().any(|p| p.is_empty()) {
        return Err(Error::new(Code::Invalid, format!("{text:?} is no constraint"))
            .hint("write FIELD:OPERATOR or FIELD:OPERATOR:VALUE, like hostname:UNIQUE"));
    }
    Ok(json!(parts))
}

fn of_file(value: Value) -> Result<Map<String, Value>> {
    let Value::Object(mut object) = value else {
        return Err(Error::new(Code::Invalid, "the file holds no JSON object: it is no app")
            .hint("several apps, groups and jobs are taken by `mesolith apply FILE`"));
    };
    // What `app show -o json` prints.
    if object.len() == 1
        && let Some(Value::Object(inner)) = object.remove("app")
    {
        object = inner;
    }
    if object.contains_key("apps") || object.contains_key("groups") {
        return Err(Error::new(Code::Invalid, "the file holds a group, not an app")
            .hint("groups are taken by `mesolith apply FILE`"));
    }
    strip_read_only(&mut object);
    Ok(object)
}

/// Drops what Marathon shows of an app and nobody sets. A lone `version` (a roll-back) stays.
pub fn strip_read_only(app: &mut Map<String, Value>) {
    if app.keys().all(|k| k == "id" || k == "version") {
        return;
    }
    for key in READ_ONLY {
        app.remove(*key);
    }
}

/// How many instances the app of this absolute id is to have now; none if there is no such app.
///
/// # Errors
/// As [`Client::get`], but for the unknown app.
pub async fn present_instances(marathon: &Client, id: &str) -> Result<Option<Value>> {
    match marathon.get(&api_path(id), &[]).await {
        Ok(answer) => Ok(Some(answer["app"]["instances"].clone()).filter(|n| !n.is_null())),
        Err(e) if e.code == Code::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_make_an_app() {
        let args = DefinitionArgs {
            cmd: Some("sleep 1".into()),
            cpus: Some(0.1),
            env: vec!["A=1".into()],
            port: vec![0, 8080],
            constraint: vec!["hostname:UNIQUE".into(), "rack:LIKE:a:b".into()],
            uri: vec!["http://h/a.tgz".into()],
            ..DefinitionArgs::default()
        };
        assert_eq!(
            definition(None, Some("hello"), &args).unwrap(),
            json!({
                "id": "/hello", "cmd": "sleep 1", "cpus": 0.1, "env": {"A": "1"},
                "portDefinitions": [
                    {"port": 0, "protocol": "tcp", "name": "port0"},
                    {"port": 8080, "protocol": "tcp", "name": "port1"},
                ],
                "requirePorts": true,
                "constraints": [["hostname", "UNIQUE"], ["rack", "LIKE", "a:b"]],
                "fetch": [{"uri": "http://h/a.tgz"}],
            })
        );
    }

    #[test]
    fn flags_stand_over_the_file_and_add_to_its_maps() {
        let file = json!({"id": "/a", "cmd": "x", "env": {"A": "0", "B": "2"}, "instances": 4, "odd": [1]});
        let args = DefinitionArgs {
            instances: Some(2),
            env: vec!["A=1".into()],
            ..DefinitionArgs::default()
        };
        assert_eq!(
            definition(Some(file), Some("/b"), &args).unwrap(),
            json!({"id": "/b", "cmd": "x", "env": {"A": "1", "B": "2"}, "instances": 2, "odd": [1]})
        );
    }

    #[test]
    fn what_marathon_shows_can_be_sent_back() {
        let shown = json!({"app": {"id": "/a", "cmd": "x", "version": "v", "tasks": [], "tasksRunning": 1,
            "versionInfo": {}, "deployments": []}});
        let args = DefinitionArgs::default();
        let sent = definition(Some(shown), None, &args).unwrap();
        assert_eq!(sent, json!({"id": "/a", "cmd": "x"}));
        let back = json!({"id": "/a", "version": "v"});
        assert_eq!(definition(Some(back.clone()), None, &args).unwrap(), back);
    }

    #[test]
    fn what_is_no_app_is_refused_before_anything_is_sent() {
        let refused =
            |file: Option<Value>, args: DefinitionArgs| definition(file, None, &args).unwrap_err();
        let none = DefinitionArgs::default;
        assert!(refused(None, none()).hint.is_some_and(|h| h.contains("--id")));
        assert!(refused(Some(json!([])), none()).hint.is_some_and(|h| h.contains("apply")));
        assert!(refused(Some(json!({"id": "/g", "apps": []})), none()).cause.contains("group"));
        let env = DefinitionArgs { env: vec!["A".into()], ..none() };
        assert!(refused(Some(json!({"id": "a"})), env).cause.contains("--env"));
        for text in ["hostname", "hostname:", ":UNIQUE"] {
            let bad = DefinitionArgs { constraint: vec![text.into()], ..none() };
            assert!(refused(Some(json!({"id": "a"})), bad).cause.contains("constraint"), "{text}");
        }
    }
}
