//! Networks by CNI plug-ins (the specification's 0.1 to 1.0): each plug-in of a list is run in turn, told the container's
//! namespace and what the one before it answered.

use super::command;
use crate::agent::containerizer::linux::Join;
use crate::agent::containerizer::record::Joined;
use serde_json::{Map, Value, json};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Plug-ins of one network, at most.
pub const PLUGINS_MAX: usize = 16;

/// What plug-ins are told of a container.
pub struct Of<'a> {
    /// Its id.
    pub container: &'a str,
    /// Its network namespace; none: it is gone.
    pub namespace: Option<&'a Path>,
    /// Its device in the network.
    pub device: &'a str,
}

/// A plug-in's name, and its configuration.
type Plugin = (String, Map<String, Value>);

/// A network's plug-ins, in their order.
fn plugins(config: &str, join: &Join) -> Result<Vec<Plugin>, String> {
    let invalid = |why: &str| format!("the configuration of network '{}': {why}", join.name);
    let whole: Value = serde_json::from_str(config).map_err(|e| invalid(&e.to_string()))?;
    let version = whole.get("cniVersion").and_then(Value::as_str).unwrap_or("0.2.0").to_owned();
    let list = match whole.get("plugins") {
        Some(Value::Array(list)) => list.clone(),
        Some(_) => return Err(invalid("'plugins' is no list")),
        None => vec![whole],
    };
    if list.is_empty() || list.len() > PLUGINS_MAX {
        return Err(invalid("it has no plug-ins, or too many"));
    }
    list.into_iter()
        .map(|plugin| {
            let Value::Object(mut plugin) = plugin else {
                return Err(invalid("a plug-in is no object"));
            };
            let name = plugin.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
            if name.is_empty() || name.contains('/') {
                return Err(invalid("a plug-in has no 'type'"));
            }
            plugin.insert("name".into(), json!(join.name));
            plugin.insert("cniVersion".into(), json!(version));
            wishes(&mut plugin, join);
            Ok((name, plugin))
        })
        .collect()
}

/// The task's wishes: by the specification's capabilities where a plug-in has them, and in Mesos's own place for its.
fn wishes(plugin: &mut Map<String, Value>, join: &Join) {
    let able = |what: &str| {
        plugin.get("capabilities").and_then(|c| c.get(what)) == Some(&Value::Bool(true))
    };
    if able("portMappings") && !join.ports.is_empty() {
        let mappings: Vec<_> = join
            .ports
            .iter()
            .map(|p| {
                let protocol = if p.udp { "udp" } else { "tcp" };
                json!({"hostPort": p.host, "containerPort": p.container, "protocol": protocol})
            })
            .collect();
        plugin.insert("runtimeConfig".into(), json!({"portMappings": mappings}));
    }
    if let Some(info) = join.info.as_ref().and_then(|i| serde_json::from_str::<Value>(i).ok()) {
        let args = plugin.entry("args").or_insert_with(|| json!({}));
        if let Value::Object(args) = args {
            args.insert("org.apache.mesos".into(), json!({"network_info": info}));
        }
    }
}

fn run(
    verb: &str,
    name: &str,
    config: &Map<String, Value>,
    of: &Of<'_>,
    dirs: &[PathBuf],
) -> Result<Vec<u8>, String> {
    let path = dirs.iter().map(|dir| dir.join(name)).find(|path| command::is_program(path));
    let path = path.ok_or_else(|| {
        let looked: Vec<_> = dirs.iter().map(|d| d.display().to_string()).collect();
        format!("the CNI plug-in '{name}' is not in '{}'", looked.join(":"))
    })?;
    let search = std::env::join_paths(dirs).map_err(|e| format!("CNI plug-ins: {e}"))?;
    let mut program = Command::new(path);
    program
        .env("CNI_COMMAND", verb)
        .env("CNI_CONTAINERID", of.container)
        .env("CNI_NETNS", of.namespace.unwrap_or(Path::new("")))
        .env("CNI_IFNAME", of.device)
        .env("CNI_PATH", search);
    let input = Value::Object(config.clone()).to_string();
    let ended = command::execute(program, name, input.as_bytes())?;
    if ended.good {
        return Ok(ended.output);
    }
    // It tells why as JSON on its output, or in words on the other one.
    let told: Option<Value> = serde_json::from_slice(&ended.output).ok();
    let field = |name: &str| told.as_ref().and_then(|t| t.get(name)?.as_str().map(str::to_owned));
    let why = match (field("msg"), field("details")) {
        (Some(message), Some(details)) if !details.is_empty() => format!("{message}; {details}"),
        (Some(message), _) => message,
        (None, _) => ended.errors.trim().to_owned(),
    };
    Err(format!("the CNI plug-in '{name}' failed to {verb} the container: {why}"))
}

/// Connects a container; `keep` is given each answer before the next plug-in is run.
///
/// # Errors
/// A text that names the plug-in. Those before it have to be undone by [`leave`].
pub fn join(config: &str, dirs: &[PathBuf], join: &Join, of: &Of<'_>) -> Result<Joined, String> {
    let mut before: Option<Value> = None;
    for (name, mut plugin) in plugins(config, join)? {
        if let Some(before) = &before {
            plugin.insert("prevResult".into(), before.clone());
        }
        let output = run("ADD", &name, &plugin, of, dirs)?;
        let answer: Value = serde_json::from_slice(&output)
            .map_err(|e| format!("the CNI plug-in '{name}' answered no JSON: {e}"))?;
        before = Some(answer);
    }
    let result = before.unwrap_or(Value::Null);
    Ok(Joined {
        name: join.name.clone(),
        device: of.device.into(),
        addresses: addresses(&result)?,
        ports: join.ports.clone(),
        result: Some(result.to_string()),
    })
}

/// Disconnects a container, the last plug-in first. All are run, whatever one of them says.
///
/// # Errors
/// A text: what the first one that failed said.
pub fn leave(
    config: &str,
    dirs: &[PathBuf],
    join: &Join,
    of: &Of<'_>,
    result: Option<&str>,
) -> Result<(), String> {
    let before: Option<Value> = result.and_then(|r| serde_json::from_str(r).ok());
    let mut outcome = Ok(());
    for (name, mut plugin) in plugins(config, join)?.into_iter().rev() {
        if let Some(before) = &before {
            plugin.insert("prevResult".into(), before.clone());
        }
        outcome = outcome.and(run("DEL", &name, &plugin, of, dirs).map(drop));
    }
    outcome
}

/// The container's addresses in an answer: a list since 0.3, two fields before.
fn addresses(result: &Value) -> Result<Vec<IpAddr>, String> {
    let list = result.get("ips").and_then(Value::as_array).into_iter().flatten();
    let newer = list.filter_map(|ip| ip.get("address")?.as_str());
    let older = ["ip4", "ip6"].into_iter().filter_map(|f| result.get(f)?.get("ip")?.as_str());
    newer
        .chain(older)
        .map(|text| {
            let address = text.split('/').next().unwrap_or_default();
            address.parse().map_err(|_| format!("a CNI plug-in answered the address '{text}'"))
        })
        .collect()
}

/// What an answer says of name servers, as the lines of a `resolv.conf`; none: nothing.
pub fn resolver(result: &str) -> Option<String> {
    let result: Value = serde_json::from_str(result).ok()?;
    let dns = result.get("dns")?;
    let texts = |name: &str| -> Vec<String> {
        let list = dns.get(name).and_then(Value::as_array).into_iter().flatten();
        // A line is a line.
        list.filter_map(|v| v.as_str().filter(|s| !s.contains('\n')).map(str::to_owned)).collect()
    };
    let servers = texts("nameservers");
    if servers.is_empty() {
        return None;
    }
    let mut text = String::new();
    if let Some(domain) = dns.get("domain").and_then(Value::as_str).filter(|d| !d.is_empty()) {
        text += &format!("domain {domain}\n");
    }
    for (word, list) in [("search", texts("search")), ("options", texts("options"))] {
        if !list.is_empty() {
            text += &format!("{word} {}\n", list.join(" "));
        }
    }
    servers.iter().for_each(|s| text += &format!("nameserver {s}\n"));
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::containerizer::linux::{By, PortMapping};
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    fn join_of(config: &str, dir: &Path) -> Join {
        Join {
            name: "net".into(),
            by: By::Cni { config: config.into(), plugins: vec![dir.into()] },
            ports: vec![PortMapping { host: 31000, container: 80, udp: false }],
            info: Some(r#"{"name":"net"}"#.into()),
        }
    }

    /// A plug-in that keeps what it was told beside itself, and answers that.
    fn plugin(dir: &Path, name: &str, answer: &str, code: i32) {
        let path = dir.join(name);
        let text = format!(
            "#!/bin/sh\nd=$(dirname $0)\n(echo $CNI_COMMAND $CNI_CONTAINERID $CNI_NETNS \
             $CNI_IFNAME; cat; echo) >>$d/{name}.told\necho '{answer}'\nexit {code}\n"
        );
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    const OF: Of<'static> = Of { container: "c1", namespace: None, device: "eth0" };

    #[test]
    fn plugins_are_run_in_turn_and_undone_in_reverse() {
        let dir = tempfile::tempdir().unwrap();
        plugin(dir.path(), "one", r#"{"ips":[{"address":"10.1.2.3/24"}]}"#, 0);
        plugin(
            dir.path(),
            "two",
            r#"{"ips":[{"address":"10.1.2.3/24"},{"address":"fd00::2/64"}],"dns":{"nameservers":["10.1.2.1"],"search":["a","b"]}}"#,
            0,
        );
        let config = r#"{"cniVersion":"0.4.0","name":"net","plugins":[{"type":"one"},
            {"type":"two","capabilities":{"portMappings":true}}]}"#;
        let net = join_of(config, dir.path());
        let dirs = vec![dir.path().to_path_buf()];
        let joined = join(config, &dirs, &net, &OF).unwrap();
        let expected: Vec<IpAddr> = vec!["10.1.2.3".parse().unwrap(), "fd00::2".parse().unwrap()];
        assert_eq!(joined.addresses, expected);
        let result = joined.result.unwrap();
        assert_eq!(resolver(&result).unwrap(), "search a b\nnameserver 10.1.2.1\n");
        leave(config, &dirs, &net, &OF, Some(&result)).unwrap();
        let told =
            |name: &str| fs::read_to_string(dir.path().join(format!("{name}.told"))).unwrap();
        let (one, two) = (told("one"), told("two"));
        assert!(one.starts_with("ADD c1 eth0\n") && one.contains("DEL c1 eth0\n"), "{one}");
        assert!(!one.contains("runtimeConfig") && one.contains("org.apache.mesos"));
        let add = two.split("DEL").next().unwrap();
        assert!(add.contains("prevResult") && add.contains("\"hostPort\":31000"), "{add}");
    }

    // covers: MES-0906
    #[test]
    fn a_failing_plugin_says_why() {
        let dir = tempfile::tempdir().unwrap();
        plugin(dir.path(), "bad", r#"{"code":7,"msg":"no address","details":"pool empty"}"#, 1);
        plugin(dir.path(), "mute", "", 1);
        let dirs = vec![dir.path().to_path_buf()];
        let config = |name: &str| format!(r#"{{"name":"net","type":"{name}"}}"#);
        let outcome = |name: &str| {
            let config = config(name);
            join(&config, &dirs, &join_of(&config, dir.path()), &OF).unwrap_err()
        };
        let why = outcome("bad");
        assert!(why.contains("'bad' failed to ADD") && why.ends_with("no address; pool empty"));
        assert!(outcome("mute").contains("'mute' failed"));
        assert!(outcome("nosuch").contains("'nosuch' is not in"));
        assert!(outcome("../x").contains("no 'type'"));
    }

    #[test]
    fn older_answers_are_read() {
        let old = json!({"ip4": {"ip": "10.0.0.9/16"}});
        assert_eq!(addresses(&old), Ok(vec!["10.0.0.9".parse().unwrap()]));
        assert!(addresses(&json!({"ips": [{"address": "nonsense"}]})).is_err());
        assert_eq!(resolver("{}"), None);
    }
}
