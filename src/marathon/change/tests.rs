//! What clients of all times send, and the definitions or failures that come of it.

use super::*;
use crate::marathon::model::{Failures, Rejection, Timestamp, read};
use serde_json::{Value, json};

fn id(text: &str) -> PathId {
    PathId::parse(text).expect("an id")
}

fn empty() -> Group {
    Group::new(PathId::root(), Timestamp::from_millis(1))
}

fn rules() -> Rules {
    Rules::default()
}

/// All failures of a body, of form or of rules.
fn failures_in(root: &Group, body: Value, rules: &Rules) -> Failures {
    let read = match read::app(&body, &PathId::root()) {
        Err(Rejection::Form(failures)) => return failures,
        Err(Rejection::Rule(failures)) => return failures,
        Ok(read) => read,
    };
    if !read.refused.is_empty() {
        return read.refused;
    }
    match create(root, &read.body, rules) {
        Err(Refused::Invalid(failures)) => failures,
        other => panic!("not refused as invalid: {other:?}"),
    }
}

fn failures(body: Value) -> Failures {
    failures_in(&empty(), body, &rules())
}

fn created_with(body: Value, rules: &Rules) -> App {
    let read = read::app(&body, &PathId::root()).expect("the right form");
    assert!(read.refused.is_empty(), "{:?}", read.refused);
    let (root, id) = create(&empty(), &read.body, rules).expect("valid");
    App::clone(root.app(&id).expect("it is there"))
}

fn created(body: Value) -> App {
    created_with(body, &rules())
}

fn shown(app: &App) -> Value {
    let mut value = serde_json::to_value(app).expect("JSON");
    let fields = value.as_object_mut().expect("an object");
    fields.remove("version");
    fields.remove("versionInfo");
    value
}

fn with(app: App) -> Group {
    let mut root = empty();
    root.put_app(Arc::new(app), Timestamp::from_millis(1));
    root
}

/// The app after a PUT of that body.
fn put(root: &Group, app: &str, body: Value, partial: bool) -> Result<Group, Refused> {
    let read = read::app_of(&body, &id(app)).expect("the right form");
    assert!(read.refused.is_empty());
    update(root, &[read.body], partial, true, &rules())
}

fn errors(failures: &Failures, path: &str) -> String {
    failures.at(path).join("; ")
}

// covers: MAR-0215, MAR-0220, MAR-0208
#[test]
fn all_keys_that_are_always_there_appear_with_their_defaults() {
    let app = created(json!({ "id": "hello", "cmd": "sleep 10", "env": null }));
    let expected = json!({
        "id": "/hello", "cmd": "sleep 10", "backoffFactor": 1.15, "backoffSeconds": 1, "cpus": 1,
        "disk": 0, "executor": "", "instances": 1, "labels": {}, "maxLaunchDelaySeconds": 300,
        "mem": 128, "gpus": 0, "networks": [{ "mode": "host" }],
        "portDefinitions": [{ "name": "default", "port": 0, "protocol": "tcp" }],
        "requirePorts": false,
        "upgradeStrategy": { "maximumOverCapacity": 1, "minimumHealthCapacity": 1 },
        "killSelection": "YOUNGEST_FIRST",
        "unreachableStrategy": { "inactiveAfterSeconds": 0, "expungeAfterSeconds": 0 },
        "role": "*",
    });
    assert_eq!(shown(&app), expected);
}

/// A definition that uses every key there is.
fn everything() -> Value {
    json!({
        "id": "/all/keys", "acceptedResourceRoles": ["*"], "args": ["a", "b"],
        "backoffFactor": 2.5, "backoffSeconds": 3, "constraints": [["hostname", "LIKE", "a.*"]],
        "container": {
            "type": "MESOS",
            "docker": { "image": "busybox", "forcePullImage": true, "parameters": [],
                        "privileged": false },
            "volumes": [{ "containerPath": "/c", "hostPath": "/h", "mode": "RO" }],
            "portMappings": [{
                "containerPort": 80, "hostPort": 0, "labels": { "VIP_0": "/web:80" },
                "name": "web", "protocol": "udp,tcp", "servicePort": 10100,
                "networkNames": ["net"],
            }],
            "linuxInfo": {
                "seccomp": { "unconfined": true },
                "ipcInfo": { "mode": "PRIVATE", "shmSize": 64 },
            },
        },
        "cpus": 0.5, "dependencies": ["/all/other"], "disk": 1.5, "env": { "A": "b" },
        "executor": "//cmd", "executorResources": { "cpus": 0.2, "mem": 64, "disk": 20 },
        "fetch": [{ "uri": "http://x/a.tgz", "extract": false, "executable": true,
                    "cache": true, "destPath": "b" }],
        "healthChecks": [{
            "gracePeriodSeconds": 1, "ignoreHttp1xx": false, "intervalSeconds": 2,
            "maxConsecutiveFailures": 4, "path": "/up", "portIndex": 0, "protocol": "MESOS_HTTP",
            "ipProtocol": "IPv4", "timeoutSeconds": 5, "delaySeconds": 6,
        }],
        "instances": 7, "labels": { "l": "m" }, "maxLaunchDelaySeconds": 8, "mem": 9.5, "gpus": 0,
        "networks": [{ "mode": "container", "name": "net", "labels": { "n": "o" } }],
        "portDefinitions": [],
        "readinessChecks": [{
            "httpStatusCodesForReady": [200, 302], "intervalSeconds": 20, "name": "ready",
            "path": "/ready", "portName": "web", "preserveLastResponse": false,
            "protocol": "HTTP", "timeoutSeconds": 10,
        }],
        "requirePorts": false, "resourceLimits": { "cpus": "unlimited", "mem": 20 },
        "taskKillGracePeriodSeconds": 11,
        "upgradeStrategy": { "maximumOverCapacity": 0.5, "minimumHealthCapacity": 0.25 },
        "user": "nobody", "killSelection": "OLDEST_FIRST",
        "unreachableStrategy": "disabled", "tty": true, "role": "*",
    })
}

// covers: MAR-0228, MAR-0222
#[test]
fn every_documented_key_comes_back() {
    assert_eq!(shown(&created(everything())), everything());
    let docker = json!({
        "id": "/d",
        "container": {
            "type": "DOCKER", "volumes": [],
            "docker": {
                "image": "busybox", "forcePullImage": false, "privileged": true,
                "parameters": [{ "key": "z", "value": "1" }, { "key": "a", "value": "2" },
                               { "key": "z", "value": "3" }],
            },
        },
    });
    let app = shown(&created(docker.clone()));
    assert_eq!(app["container"], docker["container"]);
}

#[test]
fn what_is_stored_is_read_again() {
    let stored = serde_json::to_vec(&created(everything())).expect("JSON");
    let back: App = serde_json::from_slice(&stored).expect("an app");
    assert_eq!(back, created(everything()));
    let check = json!({ "id": "c", "cmd": "sleep 1", "container": { "type": "MESOS" },
        "check": { "exec": { "command": { "argv": ["true"] } }, "intervalSeconds": 5 } });
    let app = created(check);
    let stored = serde_json::to_value(&app).expect("JSON");
    assert_eq!(stored["check"]["exec"]["command"]["argv"], json!(["true"]));
    assert_eq!(serde_json::from_value::<App>(stored).expect("an app"), app);
}

// covers: MAR-0151, MAR-0152, MAR-0153, MAR-0154, MAR-0155, MAR-0156, MAR-0157, MAR-0158, MAR-0033, MAR-0226
#[test]
fn one_of_cmd_args_and_an_image() {
    let image = json!({ "docker": { "image": "busybox" } });
    for good in [
        json!({ "id": "a", "cmd": "sleep 9" }),
        json!({ "id": "a", "args": ["sleep"] }),
        json!({ "id": "a", "container": image }),
        json!({ "id": "a", "container": image, "cmd": "sleep 9" }),
        json!({ "id": "a", "container": image, "args": ["9"] }),
    ] {
        created(good);
    }
    let either = "AppDefinition must either contain one of 'cmd' or 'args', and/or a 'container'.";
    for bad in [
        json!({ "id": "a" }),
        json!({ "id": "a", "cmd": "sleep 9", "args": ["x"] }),
        json!({ "id": "a", "cmd": "sleep 9", "args": ["x"], "container": image }),
        json!({ "id": "a", "container": { "type": "MESOS" } }),
    ] {
        assert_eq!(errors(&failures(bad.clone()), "/"), either, "{bad}");
    }
    let found = failures(json!({ "id": "a", "container": {} }));
    assert_eq!(errors(&found, "/"), either);
    assert_eq!(errors(&found, "/container/docker"), "not defined");
}

// covers: MAR-0031, MAR-0034, MAR-0252
#[test]
fn every_field_of_the_wrong_form_is_told() {
    let found = failures(json!({
        "id": "a", "cmd": 5, "cpus": -1, "mem": -2, "disk": -0.5, "instances": -3,
        "labels": { "x": 1 }, "env": { "E": [] }, "args": "x",
        "container": { "docker": {}, "volumes": [{ "containerPath": "" }] },
        "upgradeStrategy": { "minimumHealthCapacity": 2 }, "killSelection": "RANDOM",
        "backoffFactor": 0.5, "portDefinitions": [{ "port": 70000 }, { "name": "-a" }],
    }));
    for (path, error) in [
        ("/cmd", "error.expected.jsstring"),
        ("/cpus", "error.min"),
        ("/mem", "error.min"),
        ("/disk", "error.min"),
        ("/instances", "error.min"),
        ("/labels/x", "error.expected.jsstring"),
        ("/env/E", "error.expected.jsstring"),
        ("/args", "error.expected.jsarray"),
        ("/container/docker/image", "error.path.missing"),
        ("/container/volumes(0)/containerPath", "error.minLength"),
        ("/container/volumes(0)/hostPath", "error.path.missing"),
        ("/container/volumes(0)/mode", "error.path.missing"),
        ("/upgradeStrategy/minimumHealthCapacity", "error.max"),
        ("/upgradeStrategy/maximumOverCapacity", "error.path.missing"),
        ("/killSelection", "error.unknown.enum.literal"),
        ("/backoffFactor", "error.min"),
        ("/portDefinitions(0)/port", "error.max"),
        ("/portDefinitions(1)/name", "error.pattern"),
    ] {
        assert_eq!(errors(&found, path), error, "{path}");
    }
    assert_eq!(found.iter().count(), 18);
    let found = failures(json!({ "id": "a", "cmd": "sleep 9", "instances": 0.1 }));
    assert_eq!(errors(&found, "/instances"), "error.expected.int");
    assert_eq!(created(json!({ "id": "a", "cmd": "sleep 9", "instances": 2.0 })).instances, 2);
    for huge in [1e300, 9e18] {
        let found =
            failures(json!({ "id": "a", "cmd": "sleep 9", "instances": huge, "cpus": huge }));
        assert_eq!(errors(&found, "/instances"), "error.max");
        assert_eq!(errors(&found, "/cpus"), "error.max");
    }
    let many = failures(json!({ "id": "a", "cmd": "sleep 9", "instances": 2_000_000_000 }));
    assert!(errors(&many, "/instances").contains("or less"));
}

// covers: MAR-0163, MAR-0164, MAR-0217, MAR-0218
#[test]
fn ids_that_cannot_be() {
    for bad in ["Bad", "/app!", "/a b", "/app-", "/nest./ted", "/nest/-ted", "/.../a", "a_b"] {
        let found = errors(&failures(json!({ "id": bad, "cmd": "sleep 9" })), "/id");
        assert!(found.contains("error.pattern") && found.contains("regular expression"), "{bad}");
    }
    let empty = failures(json!({ "id": "", "cmd": "sleep 9" }));
    assert_eq!(errors(&empty, "/id"), "error.minLength");
    let root = failures(json!({ "id": "/", "cmd": "sleep 9" }));
    assert_eq!(errors(&root, "/id"), "Path must contain at least one path element");
    for reserved in ["/a/restart", "tasks", "/versions"] {
        let found = failures(json!({ "id": reserved, "cmd": "sleep 9" }));
        assert!(errors(&found, "/id").contains("reserved keywords"), "{reserved}");
    }
    let trailing = created(json!({ "id": "/a/b/", "cmd": "sleep 9" }));
    assert_eq!(trailing.id, id("/a/b"));
}

// covers: MAR-0032, MAR-0227, MAR-0185, MAR-0186, MAR-0209, MAR-0258
#[test]
fn ports_and_port_definitions() {
    let of = |fields: Value| {
        let mut body = json!({ "id": "a", "cmd": "sleep 9" });
        let all = body.as_object_mut().expect("an object");
        all.extend(fields.as_object().expect("an object").clone());
        body
    };
    let app = created(of(json!({ "ports": [1000, 1001] })));
    assert_eq!(app.service_ports(), [1000, 1001]);
    assert_eq!(app.port_definitions[0].name.as_deref(), Some("default"));
    assert_eq!(app.port_definitions[1].name, None);
    assert!(created(of(json!({ "ports": [] }))).port_definitions.is_empty());
    assert!(created(of(json!({ "portDefinitions": [] }))).port_definitions.is_empty());
    let both = json!({ "ports": [1], "portDefinitions": [{ "port": 1, "name": "x" }] });
    assert_eq!(created(of(both)).port_definitions[0].name.as_deref(), Some("x"));
    let differ = json!({ "ports": [1], "portDefinitions": [{ "port": 2 }] });
    assert!(errors(&failures(of(differ)), "/ports").contains("cannot specify both"));
    let twice = json!({ "portDefinitions": [{ "port": 5 }, { "port": 5 }] });
    assert_eq!(errors(&failures(of(twice)), "/portDefinitions"), "Ports must be unique.");
    let names = json!({ "portDefinitions": [{ "name": "x" }, { "name": "x" }] });
    assert_eq!(errors(&failures(of(names)), "/portDefinitions"), "Port names must be unique.");
    let zero = json!({ "portDefinitions": [{ "port": 0 }, { "port": 0, "protocol": "tcp,udp" }] });
    assert_eq!(created(of(zero)).port_definitions.len(), 2);
}

// covers: MAR-0023, MAR-0187, MAR-0183, MAR-0210, MAR-0207
#[test]
fn old_docker_networks_become_networks() {
    let docker = |docker: Value, more: Value| {
        let mut body = json!({ "id": "a", "container": { "type": "DOCKER", "docker": docker } });
        let all = body.as_object_mut().expect("an object");
        all.extend(more.as_object().expect("an object").clone());
        body
    };
    let bridge = docker(
        json!({ "image": "x", "network": "BRIDGE",
                "portMappings": [{ "containerPort": 8080, "servicePort": 9000 }] }),
        json!({ "requirePorts": true, "uris": [] }),
    );
    let app = shown(&created(bridge));
    assert_eq!(app["networks"], json!([{ "mode": "container/bridge" }]));
    assert_eq!(
        app["container"]["portMappings"],
        json!([{ "containerPort": 8080, "hostPort": 0, "labels": {}, "protocol": "tcp",
                 "servicePort": 9000 }])
    );
    assert_eq!(app["requirePorts"], json!(false));
    assert_eq!(app["portDefinitions"], json!([]));
    let none = docker(json!({ "image": "x", "network": "BRIDGE", "portMappings": [] }), json!({}));
    assert_eq!(created(none).port_mappings(), []);
    let default = docker(json!({ "image": "x", "network": "BRIDGE" }), json!({}));
    let app = created(default);
    assert_eq!(app.port_mappings()[0].name.as_deref(), Some("default"));
    assert_eq!(app.port_mappings()[0].host_port, Some(0));
    let host = docker(json!({ "image": "x", "network": "host" }), json!({ "requirePorts": true }));
    let app = created(host);
    assert!(app.on_host_network() && app.require_ports);
    let user = docker(
        json!({ "image": "x", "network": "USER", "portMappings": [{ "containerPort": 80 }] }),
        json!({ "ipAddress": { "networkName": "foo", "labels": { "a": "b" } } }),
    );
    let app = shown(&created(user));
    assert_eq!(
        app["networks"],
        json!([{ "mode": "container", "name": "foo", "labels": { "a": "b" } }])
    );
    assert_eq!(app["container"]["portMappings"][0].get("hostPort"), None);
    let nothing = docker(json!({ "image": "x", "network": "NONE" }), json!({}));
    let found = failures(nothing);
    assert_eq!(errors(&found, "/container/docker/network"), "unsupported docker network type");
    let mixed = docker(
        json!({ "image": "x", "network": "BRIDGE" }),
        json!({ "networks": [{ "mode": "host" }] }),
    );
    assert!(errors(&failures(mixed), "/").contains("cannot mix deprecated and canonical"));
    let same = docker(
        json!({ "image": "x", "network": "BRIDGE" }),
        json!({ "networks": [{ "mode": "container/bridge" }] }),
    );
    created(same);
}

// covers: MAR-0013, MAR-0014, MAR-0015, MAR-0019, MAR-0020, MAR-0021, MAR-0024
#[test]
fn networks_have_names() {
    let ip = |address: Value| json!({ "id": "a", "cmd": "sleep 9", "ipAddress": address });
    let named = Rules { default_network_name: Some("bar".into()), ..rules() };
    let name = |app: &App| app.networks[0].name.clone();
    assert!(!failures(ip(json!({}))).at("/networks").is_empty());
    let bare = json!({ "id": "a", "cmd": "sleep 9", "networks": [{ "mode": "container" }] });
    assert!(errors(&failures(bare), "/networks").contains("Network name must be specified"));
    assert_eq!(name(&created_with(ip(json!({})), &named)).as_deref(), Some("bar"));
    let app = created_with(ip(json!({ "networkName": "foo" })), &named);
    assert_eq!(name(&app).as_deref(), Some("foo"));
    assert_eq!(
        app.container.as_ref().map(|c| c.engine),
        Some(crate::marathon::model::Engine::Mesos)
    );
    let plain = created_with(json!({ "id": "a", "cmd": "sleep 9" }), &named);
    assert!(plain.on_host_network());
    let mut discovery = ip(json!({ "networkName": "foo",
        "discovery": { "ports": [{ "name": "web", "number": 80 }] } }));
    let app = created(discovery.clone());
    assert_eq!(
        (app.port_mappings()[0].container_port, app.port_mappings()[0].host_port),
        (80, None)
    );
    discovery["container"] = json!({ "docker": { "image": "x" } });
    assert!(!failures(discovery).at("/ipAddress/discovery").is_empty());
}

// covers: MAR-0167, MAR-0168, MAR-0038
#[test]
fn volumes_are_folders_of_the_agent() {
    let of = |volume: Value| {
        json!({ "id": "a", "cmd": "sleep 9",
                "container": { "docker": { "image": "x" }, "volumes": [volume] } })
    };
    let volume = json!({ "containerPath": "/c", "hostPath": "/h", "mode": "rw" });
    let app = shown(&created(of(volume)));
    let expected = json!([{ "containerPath": "/c", "hostPath": "/h", "mode": "RW" }]);
    assert_eq!(app["container"]["volumes"], expected);
    for (volume, path) in [
        (json!({ "containerPath": "/c", "mode": "RW" }), "/container/volumes(0)/hostPath"),
        (json!({ "hostPath": "/h", "mode": "RW" }), "/container/volumes(0)/containerPath"),
    ] {
        assert_eq!(errors(&failures(of(volume)), path), "error.path.missing");
    }
}

// covers: MAR-0193, MAR-0194, MAR-0195, MAR-0196
#[test]
fn uris_become_fetch() {
    let of = |fields: Value| {
        let mut body = json!({ "id": "a", "cmd": "sleep 9" });
        let all = body.as_object_mut().expect("an object");
        all.extend(fields.as_object().expect("an object").clone());
        body
    };
    let app = created(of(json!({ "uris": ["http://x/a.tgz", "http://x/b.sh"], "fetch": [] })));
    let found: Vec<_> = app.fetch.iter().map(|f| (f.uri.as_str(), f.extract)).collect();
    assert_eq!(found, [("http://x/a.tgz", true), ("http://x/b.sh", false)]);
    let app = created(of(json!({ "fetch": [{ "uri": "http://x/c" }], "uris": [] })));
    assert!(app.fetch[0].extract && app.fetch.len() == 1);
    let same = json!({ "fetch": [{ "uri": "http://x/c" }], "uris": ["http://x/c"] });
    assert_eq!(created(of(same)).fetch.len(), 1);
    let both = json!({ "fetch": [{ "uri": "http://x/c" }], "uris": ["http://x/d"] });
    let found = failures(of(both));
    assert_eq!(errors(&found, "/"), "cannot specify both uris and fetch fields");
    assert_eq!(errors(&found, "/uris"), "may not be set in conjunction with fetch");
    let space = failures(of(json!({ "fetch": [{ "uri": "http://x/ c" }] })));
    assert_eq!(errors(&space, "/fetch(0)/uri"), "URI has invalid syntax.");
}

// covers: MAR-0192, MAR-0230, MAR-0442, MAR-0443, MAR-0444
#[test]
fn health_checks() {
    let of = |check: Value| json!({ "id": "a", "cmd": "sleep 9", "healthChecks": [check] });
    let http = shown(&created(of(json!({}))));
    assert_eq!(
        http["healthChecks"],
        json!([{ "gracePeriodSeconds": 300, "intervalSeconds": 60, "maxConsecutiveFailures": 3,
                 "path": "/", "portIndex": 0, "protocol": "HTTP", "ipProtocol": "IPv4",
                 "timeoutSeconds": 20, "delaySeconds": 15 }])
    );
    let fixed = created(of(json!({ "port": 8080, "protocol": "tcp" })));
    assert_eq!(
        (fixed.health_checks[0].port, fixed.health_checks[0].port_index),
        (Some(8080), None)
    );
    let command =
        shown(&created(of(json!({ "protocol": "COMMAND", "command": { "value": "true" } }))));
    assert_eq!(command["healthChecks"][0]["command"], json!({ "value": "true" }));
    assert_eq!(command["healthChecks"][0].get("portIndex"), None);
    let both = failures(of(json!({ "port": 1, "portIndex": 0 })));
    assert!(errors(&both, "/healthChecks(0)").contains("either a port or a portIndex"));
    let beyond = failures(of(json!({ "portIndex": 1 })));
    assert!(errors(&beyond, "/healthChecks(0)").contains("port indices must address"));
    let nothing = failures(of(json!({ "protocol": "COMMAND" })));
    assert_eq!(errors(&nothing, "/healthChecks(0)/command"), "not defined");
    let all = |checks: Value| json!({ "id": "a", "cmd": "sleep 9", "healthChecks": checks });
    let command = json!({ "protocol": "COMMAND", "command": { "value": "true" } });
    let other = json!({ "protocol": "COMMAND", "command": { "value": "test -e x" } });
    let mesos = json!({ "protocol": "MESOS_TCP" });
    let many = json!([{}, { "path": "/x" }, { "protocol": "TCP" }, { "protocol": "HTTPS" }, mesos]);
    assert_eq!(created(all(many)).health_checks.len(), 5);
    assert_eq!(created(all(json!([command, other]))).health_checks.len(), 2);
    for two in [json!([mesos, { "protocol": "MESOS_HTTP" }]), json!([command, mesos])] {
        assert!(errors(&failures(all(two)), "/healthChecks").contains("at most one"));
    }
    let paths = (0..33).map(|n| json!({ "path": format!("/{n}") })).collect();
    let most = failures(all(Value::Array(paths)));
    assert_eq!(errors(&most, "/healthChecks"), "must not be more than 32");
}

// covers: MAR-0259, MAR-0260, MAR-0255, MAR-0256
#[test]
fn rules_are_told_together_and_by_path() {
    let found = failures(json!({
        "id": "a", "cmd": "sleep 9",
        "constraints": [["hostname", "NEAR"], ["a"], ["rack", "LIKE", "("], ["rack", "UNIQUE"]],
        "secrets": { "s": { "source": "x" } }, "residency": {},
        "container": { "type": "MESOS", "volumes": [
            { "containerPath": "data", "mode": "RW", "persistent": { "size": 1 } }] },
    }));
    assert!(errors(&found, "/constraints(0)").contains("operator must be one of"));
    assert!(errors(&found, "/constraints(1)").contains("either 2 or 3 fields"));
    assert_eq!(errors(&found, "/constraints(2)"), "is not a valid regular expression");
    assert!(found.at("/constraints(3)").is_empty());
    assert!(errors(&found, "/secrets").contains("Feature secrets is not enabled"));
    assert!(!found.at("/residency").is_empty());
    assert!(!found.at("/container/volumes(0)/persistent").is_empty());
    let found = failures(json!({
        "id": "a", "cmd": "x", "gpus": 1, "role": "other", "acceptedResourceRoles": ["third"],
        "resourceLimits": { "cpus": 0.5 },
        "unreachableStrategy": { "inactiveAfterSeconds": 5, "expungeAfterSeconds": 1 },
        "portDefinitions": [{ "port": 5, "name": "x" }, { "port": 5, "name": "x" }],
    }));
    assert_eq!(
        found.at("/portDefinitions"),
        ["Ports must be unique.", "Port names must be unique."]
    );
    assert!(errors(&found, "/gpus").contains("gpu_resources"));
    assert_eq!(errors(&found, "/role"), "got other, expected *");
    assert!(!found.at("/acceptedResourceRoles").is_empty());
    assert!(!found.at("/resourceLimits/cpus").is_empty());
    assert!(!found.at("/unreachableStrategy/expungeAfterSeconds").is_empty());
    assert!(!found.at("/cmd").is_empty());
    let text = serde_json::to_value(&found).expect("JSON");
    let ports = text.as_array().expect("a list").iter().filter(|e| e["path"] == "/portDefinitions");
    assert_eq!(ports.map(|e| e["errors"].as_array().map(Vec::len)).collect::<Vec<_>>(), [Some(2)]);
}

// covers: MAR-0205, MAR-0232, MAR-0012
#[test]
fn an_update_changes_what_it_names() {
    let root = with(created(everything()));
    let same = put(&root, "/all/keys", json!({}), true).expect("valid");
    let (before, after) = (root.app(&id("/all/keys")), same.app(&id("/all/keys")));
    assert!(Arc::ptr_eq(before.expect("there"), after.expect("there")));
    let again = put(&root, "/all/keys", everything(), false).expect("valid");
    assert!(Arc::ptr_eq(before.expect("there"), again.app(&id("/all/keys")).expect("there")));
    let more =
        put(&root, "/all/keys", json!({ "instances": 9, "user": null }), true).expect("valid");
    let expected = App { instances: 9, ..App::clone(before.expect("there")) };
    assert_eq!(**more.app(&id("/all/keys")).expect("there"), expected);
}

// covers: MAR-0035, MAR-0036, MAR-0037, MAR-0048, MAR-0236
#[test]
fn an_update_replaces() {
    let root = with(created(json!({ "id": "a", "cmd": "sleep 9", "mem": 64, "ports": [7000] })));
    let app = |root: Group| App::clone(root.app(&id("/a")).expect("there"));
    let whole = app(put(&root, "/a", json!({ "cmd": "sleep 8" }), false).expect("valid"));
    assert_eq!((whole.mem, whole.cmd.as_deref()), (128.0, Some("sleep 8")));
    assert_eq!(whole.service_ports(), [7000], "the port it had stays");
    let ports = app(put(&root, "/a", json!({ "ports": [1, 2] }), true).expect("valid"));
    assert_eq!(ports.service_ports(), [1, 2]);
    let args = put(&root, "/a", json!({ "args": ["x"] }), true).expect_err("both");
    assert!(matches!(args, Refused::Invalid(f) if f.at("/")[0].contains("must either")));
    let args = app(put(&root, "/a", json!({ "args": ["x"] }), false).expect("valid"));
    assert_eq!((args.cmd, args.args), (None, vec!["x".to_string()]));
    let broken = put(&root, "/a", json!({ "container": { "type": "DOCKER" } }), true);
    let Err(Refused::Invalid(found)) = broken else { panic!("refused") };
    assert_eq!(errors(&found, "/container/docker"), "not defined");
    let user = json!({ "container": { "docker": { "image": "x", "network": "USER" } },
                       "ipAddress": { "networkName": "n" } });
    let moved = app(put(&root, "/a", user, true).expect("valid"));
    assert!(!moved.on_host_network() && moved.port_definitions.is_empty());
    assert_eq!(moved.cmd.as_deref(), Some("sleep 9"));
    let back = with(moved);
    let host = json!({ "networks": [{ "mode": "host" }] });
    let host = app(put(&back, "/a", host, true).expect("valid"));
    assert_eq!(host.port_definitions.len(), 1);
}

// covers: MAR-0237
#[test]
fn a_version_stands_alone() {
    let root = with(created(json!({ "id": "a", "cmd": "sleep 9" })));
    let body = json!({ "version": "2021-02-01T00:00:00.000Z", "instances": 2 });
    let Err(Refused::Invalid(found)) = put(&root, "/a", body, true) else { panic!("refused") };
    let sentence = "The 'version' field may only be combined with the 'id' field.";
    assert_eq!(errors(&found, "/"), sentence);
}

fn group(root: &Group, at: &str, body: Value) -> Result<Group, Refused> {
    let read = read::group(&body, &id(at)).expect("the right form");
    let target = read.body.id.clone().unwrap_or_else(|| id(at));
    update_group(root, &target, &read.body, &rules())
}

fn ids(root: &Group) -> Vec<String> {
    root.all_apps().iter().map(|a| a.id.to_string()).collect()
}

// covers: MAR-0239, MAR-0240, MAR-0241, MAR-0080, MAR-0081
#[test]
fn a_group_update_makes_and_removes() {
    let body = json!({
        "apps": [{ "id": "db", "cmd": "run-db" },
                 { "id": "web", "cmd": "run-web", "dependencies": ["db"] }],
        "groups": [{ "id": "mid/deep", "apps": [{ "id": "x", "cmd": "run-x" }] }],
    });
    let root = group(&empty(), "/prod", body).expect("valid");
    assert_eq!(ids(&root), ["/prod/db", "/prod/web", "/prod/mid/deep/x"]);
    let web = root.app(&id("/prod/web")).expect("there");
    assert_eq!(web.dependencies, [id("/prod/db")]);
    let fewer = json!({ "apps": [{ "id": "/prod/db", "cmd": "run-db" }] });
    let root = group(&root, "/prod", fewer).expect("valid");
    assert_eq!(ids(&root), ["/prod/db", "/prod/mid/deep/x"]);
    let none = group(&root, "/", json!({ "groups": [] })).expect("valid");
    assert_eq!(ids(&none), Vec::<String>::new());
}

// covers: MAR-0244
#[test]
fn a_group_is_scaled_up() {
    let body = json!({ "apps": [{ "id": "a", "cmd": "sleep 9", "instances": 3 },
                                { "id": "b", "cmd": "sleep 9", "instances": 1 }] });
    let root = group(&empty(), "/g", body).expect("valid");
    let root = group(&root, "/g", json!({ "scaleBy": 1.5 })).expect("valid");
    let counts: Vec<_> = root.all_apps().iter().map(|a| a.instances).collect();
    assert_eq!(counts, [5, 2]);
    let huge = group(&root, "/g", json!({ "scaleBy": 1_000_000 }));
    assert!(matches!(huge, Err(Refused::Invalid(f)) if !f.at("/apps//g/a/instances").is_empty()));
}

// covers: MAR-0079, MAR-0438, MAR-0436, MAR-0437
#[test]
fn trees_that_cannot_be() {
    let refused = |body: Value| match group(&empty(), "/g", body) {
        Err(Refused::Invalid(found)) => found,
        other => panic!("not refused: {other:?}"),
    };
    let outside = refused(json!({ "apps": [{ "id": "/h/a", "cmd": "sleep 9" }] }));
    let sentence = "App has to be child of group with parent /g";
    assert_eq!(errors(&outside, "/apps//h/a"), sentence);
    let same =
        refused(json!({ "apps": [{ "id": "x", "cmd": "sleep 9" }], "groups": [{ "id": "x" }] }));
    assert!(errors(&same, "/").contains("may not have the same identifier"));
    let cycle = "Dependency graph has cyclic dependencies.";
    let direct = refused(json!({ "apps": [
        { "id": "a", "cmd": "sleep 9", "dependencies": ["b"] },
        { "id": "b", "cmd": "sleep 9", "dependencies": ["a"] }] }));
    assert_eq!(errors(&direct, "/"), cycle);
    let own = refused(json!({ "apps": [{ "id": "a", "cmd": "sleep 9", "dependencies": ["a"] }] }));
    assert_eq!(errors(&own, "/"), cycle);
    let groups = refused(json!({ "groups": [
        { "id": "x", "dependencies": ["../y"], "apps": [{ "id": "a", "cmd": "sleep 9" }] },
        { "id": "y", "apps": [{ "id": "b", "cmd": "sleep 9", "dependencies": ["/g/x/a"] }] }] }));
    assert_eq!(errors(&groups, "/"), cycle);
    let fine = json!({ "groups": [
        { "id": "x", "dependencies": ["../y"], "apps": [{ "id": "a", "cmd": "sleep 9" }] },
        { "id": "y", "apps": [{ "id": "b", "cmd": "sleep 9", "dependencies": ["../z"] }] }] });
    group(&empty(), "/g", fine).expect("valid");
}

// covers: MAR-0061, MAR-0062, MAR-0063, MAR-0064, MAR-0067, MAR-0440
#[test]
fn roles_follow_groups() {
    let app = |id: &str, role: &str| json!({ "id": id, "cmd": "sleep 9", "role": role });
    assert_eq!(created(json!({ "id": "/a", "cmd": "sleep 9" })).role, "*");
    assert_eq!(created(app("/dev/a", "dev")).role, "dev");
    let found = failures(app("/dev/sub/a", "sub"));
    assert_eq!(errors(&found, "/role"), "got sub, expected one of: [*, dev]");
    let mut root = empty();
    root.make(&id("/dev"), Timestamp::default()).enforce_role = true;
    let read = read::app(&json!({ "id": "/dev/x/a", "cmd": "sleep 9" }), &PathId::root());
    let (root, made) = create(&root, &read.expect("read").body, &rules()).expect("valid");
    assert_eq!(root.app(&made).map(|a| a.role.as_str()), Some("dev"));
    let deep = group(&root, "/dev/x", json!({ "enforceRole": true }));
    assert!(
        matches!(deep, Err(Refused::Invalid(f)) if f.at("/enforceRole")[0].contains("top-level"))
    );
    let both = json!({ "enforceRole": false, "apps": [{ "id": "b", "cmd": "sleep 9" }] });
    assert!(matches!(group(&root, "/dev", both), Err(Refused::Invalid(_))));
    assert!(enforce_role(&root, &id("/dev"), false).is_ok());
    assert!(matches!(enforce_role(&root, &id("/dev/x"), true), Err(Refused::Invalid(_))));
}

#[test]
fn large_bodies_are_bounded() {
    let many: Vec<_> = (0..1001).map(|n| json!([format!("a{n}"), "UNIQUE"])).collect();
    let found = failures(json!({ "id": "a", "cmd": "sleep 9", "constraints": many }));
    assert_eq!(errors(&found, "/constraints"), "error.maxLength");
    let ports: Vec<_> = (0..1001).map(|_| json!({ "port": 0 })).collect();
    let found = failures(json!({ "id": "a", "cmd": "sleep 9", "portDefinitions": ports }));
    assert!(errors(&found, "/").contains("at most 1000 ports"));
    // Each app of a group waits for each of another: the graph is as small as the tree.
    let apps: Vec<_> =
        (0..2000).map(|n| json!({ "id": format!("a{n}"), "cmd": "sleep 9" })).collect();
    let body = json!({ "groups": [
        { "id": "x", "dependencies": ["../y"], "apps": apps.clone() }, { "id": "y", "apps": apps }] });
    assert_eq!(ids(&group(&empty(), "/g", body).expect("valid")).len(), 4000);
}

#[test]
fn any_json_is_answered() {
    let pieces =
        [json!(null), json!(5), json!("x"), json!([]), json!([[1], {}]), json!({ "a": {} })];
    let names: Vec<String> = everything().as_object().expect("an object").keys().cloned().collect();
    let legacy = ["ports", "uris", "ipAddress", "secrets", "storeUrls", "check", "cmd", "version"];
    for name in names.iter().map(String::as_str).chain(legacy) {
        for piece in &pieces {
            let body = json!({ "id": "a", name: piece });
            if let Ok(read) = read::app(&body, &PathId::root()) {
                // Whatever comes of it, it comes as a value.
                let _ = create(&empty(), &read.body, &rules());
            }
        }
    }
    for piece in &pieces {
        let _ = read::app(piece, &PathId::root());
        let _ = read::group(piece, &PathId::root());
        let _ = read::apps(piece);
        let _ = read::task_ids(piece);
        for name in ["apps", "groups", "version", "scaleBy", "enforceRole", "dependencies", "pods"]
        {
            let _ = read::group(&json!({ "id": "g", name: piece }), &PathId::root());
        }
    }
}
