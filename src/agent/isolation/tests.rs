//! Each field of ContainerInfo: acted on, or refused by name.

use super::{BRIDGE_NAME, Policy, options};
use crate::agent::containerizer::isolators::names::Isolation;
use crate::agent::containerizer::isolators::seccomp::Seccomp;
use crate::agent::containerizer::linux::{By, Linux, Source, Target};
use crate::agent::containerizer::{
    Backend, CapabilitySets, Command, ContainerSpec, Limits, Nested, Network,
};
use crate::base::settings::{Origin, Values};
use crate::mesos::v1;
use serde_json::{Value, json};
use std::path::Path;

fn plain(backend: Backend) -> ContainerSpec {
    ContainerSpec {
        id: "c".into(),
        backend,
        sandbox: "/sandbox".into(),
        command: Command::Shell("true".into()),
        env: Vec::new(),
        user: None,
        limits: Limits::default(),
        rlimits: Vec::new(),
        network: Network::Host,
        hostname: None,
        capabilities: CapabilitySets::default(),
        no_new_privs: true,
        stdout: None,
        stderr: None,
        host_root: true,
        mounts: Vec::new(),
        image: None,
        image_volumes: Vec::new(),
        linux: Linux::default(),
        nested: None,
        terminal: None,
    }
}

fn apply_to(policy: &Policy, backend: Backend, info: Value) -> Result<ContainerSpec, String> {
    let mut info = info;
    info["type"] = json!("MESOS");
    let info: v1::ContainerInfo = serde_json::from_value(info).expect("a ContainerInfo");
    let ports: v1::Resource = serde_json::from_value(json!({
        "name": "ports", "type": "RANGES", "ranges": {"range": [{"begin": 31000, "end": 31009}]}
    }))
    .expect("a resource");
    let mut spec = plain(backend);
    policy.apply(Some(&info), &[&ports], None, &mut spec)?;
    spec.validate().map_err(|e| e.cause)?;
    Ok(spec)
}

fn apply(info: Value) -> Result<ContainerSpec, String> {
    apply_to(&Policy::default(), Backend::Mesos, info)
}

fn refused(info: Value, why: &str) {
    let error = apply(info).expect_err(why);
    assert!(error.contains(why), "{error}");
}

// covers: MES-0921
#[test]
fn rlimits() {
    let limit = |l: Value| json!({"rlimit_info": {"rlimits": [l]}});
    let spec = apply(limit(json!({"type": "RLMT_NOFILE", "soft": 10, "hard": 20}))).unwrap();
    let one = &spec.rlimits[0];
    assert_eq!((one.name.as_str(), one.soft, one.hard), ("RLIMIT_NOFILE", Some(10), Some(20)));
    let spec = apply(limit(json!({"type": "RLMT_CORE"}))).unwrap();
    assert_eq!((spec.rlimits[0].soft, spec.rlimits[0].hard), (None, None));
    refused(limit(json!({"type": "RLMT_CPU", "soft": 1})), "both a soft and a hard value");
    refused(limit(json!({"type": "RLMT_CPU", "soft": 2, "hard": 1})), "above the hard limit");
    refused(limit(json!({"soft": 2, "hard": 1})), "Unknown rlimit type");
}

#[test]
fn capabilities() {
    let linux = |l: Value| json!({"linux_info": l});
    let set = |names: &[&str]| json!({"capabilities": names});
    let spec = apply(linux(json!({"effective_capabilities": set(&["NET_RAW"])}))).unwrap();
    let only = Some(vec!["CAP_NET_RAW".to_string()]);
    assert_eq!((&spec.capabilities.effective, &spec.capabilities.bounding), (&only, &only));
    assert!(spec.linux.ambient);
    let older = apply(linux(json!({"capability_info": set(&["NET_RAW"])}))).unwrap();
    assert_eq!(older.capabilities, spec.capabilities);
    let bound = apply(linux(json!({"bounding_capabilities": set(&["CHOWN", "NET_RAW"])}))).unwrap();
    assert_eq!(bound.capabilities.effective, Some(vec!["CAP_CHOWN".to_string()]));
    assert!(!bound.linux.ambient);
    refused(
        linux(json!({"effective_capabilities": set(&["CHOWN"]), "capability_info": set(&[])})),
        "differ",
    );
    refused(
        linux(json!({"effective_capabilities": set(&["CHOWN"]),
            "bounding_capabilities": set(&["KILL"])})),
        "Requested capabilities 'CAP_CHOWN', but only 'CAP_KILL' are allowed",
    );
    let policy = Policy {
        effective: Some(vec!["CAP_KILL".into()]),
        bounding: Some(vec!["CAP_KILL".into(), "CAP_CHOWN".into()]),
        ..Policy::default()
    };
    let spec = apply_to(&policy, Backend::Mesos, json!({})).unwrap();
    assert_eq!(spec.capabilities.effective, policy.effective);
    assert_eq!(spec.capabilities.bounding, policy.bounding);
    for more in ["effective_capabilities", "bounding_capabilities"] {
        let asked = linux(json!({more: set(&["SYS_ADMIN"])}));
        let error = apply_to(&policy, Backend::Mesos, asked).unwrap_err();
        assert!(error.contains("but only 'CAP_KILL, CAP_CHOWN' are allowed"), "{error}");
    }
}

#[test]
fn namespaces_that_are_shared() {
    let linux = |l: Value| json!({"linux_info": l});
    let spec = apply(linux(json!({"share_pid_namespace": true}))).unwrap();
    assert!(spec.linux.share_pid && !spec.linux.share_ipc);
    let spec = apply(linux(json!({"ipc_mode": "SHARE_PARENT"}))).unwrap();
    assert!(spec.linux.share_ipc);
    let spec = apply(linux(json!({"ipc_mode": "PRIVATE", "shm_size": 3}))).unwrap();
    assert_eq!(spec.linux.shm_bytes, Some(3 << 20));
    refused(linux(json!({"ipc_mode": "SHARE_PARENT", "shm_size": 3})), "SHARE_PARENT");
    refused(linux(json!({"shm_size": 0})), "greater than zero");
    let policy =
        Policy { share_pid: false, share_ipc: false, shm_bytes: Some(4096), ..Policy::default() };
    let of = |info| apply_to(&policy, Backend::Mesos, info);
    assert_eq!(of(json!({})).unwrap().linux.shm_bytes, Some(4096));
    let asked = [json!({"share_pid_namespace": true}), json!({"ipc_mode": "SHARE_PARENT"})];
    for info in asked {
        assert!(of(linux(info)).unwrap_err().contains("is disallowed"));
    }
}

// covers: MES-0845, MES-0846
#[test]
fn seccomp_profiles() {
    let dir = tempfile::tempdir().unwrap();
    let text = r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": []}"#;
    std::fs::write(dir.path().join("open.json"), text).unwrap();
    std::fs::write(dir.path().join("bad.json"), "{").unwrap();
    let policy = Policy { seccomp_dir: Some(dir.path().into()), ..Policy::default() };
    let of = |policy: &Policy, seccomp: Value| {
        let info = json!({"linux_info": {"seccomp": seccomp}});
        apply_to(policy, Backend::Mesos, info).map(|spec| spec.linux.seccomp)
    };
    assert_eq!(apply(json!({})).unwrap().linux.seccomp, Seccomp::Default);
    assert_eq!(of(&policy, json!({"unconfined": true})), Ok(Seccomp::Unconfined));
    let named = of(&policy, json!({"profile_name": "open.json"})).unwrap();
    assert!(matches!(named, Seccomp::Profile(_)));
    let usual = Policy { seccomp_profile: Some("open.json".into()), ..policy.clone() };
    assert_eq!(of(&usual, json!({})), Ok(named));
    for (name, why) in
        [("nosuch", "cannot be read"), ("../x", "cannot be the name"), ("bad.json", "bad.json")]
    {
        let error = of(&policy, json!({"profile_name": name})).unwrap_err();
        assert!(error.contains(why), "{error}");
    }
    let both = json!({"profile_name": "open.json", "unconfined": true});
    assert!(of(&policy, both).unwrap_err().contains("cannot both be set"));
    let without = Policy {
        isolation: Isolation { seccomp: false, no_new_privs: false, ..Isolation::default() },
        ..Policy::default()
    };
    assert_eq!(of(&without, json!({})), Ok(Seccomp::Unconfined));
    assert!(!apply_to(&without, Backend::Mesos, json!({})).unwrap().no_new_privs);
    let error = of(&without, json!({"profile_name": "open.json"})).unwrap_err();
    assert!(error.contains("linux/seccomp is not in force"), "{error}");
}

#[test]
fn volumes() {
    let volume = |v: Value| {
        let mut v = v;
        v["mode"] = v.get("mode").cloned().unwrap_or(json!("RW"));
        json!({"volumes": [v]})
    };
    let one = |v: Value| apply(volume(v)).unwrap().linux.volumes.remove(0);
    let host = one(json!({"container_path": "/mnt", "host_path": "/data", "mode": "RO"}));
    assert_eq!(host.source, Source::Host { path: "/data".into(), make: false });
    assert_eq!(host.target, Target::Root("/mnt".into()));
    assert!(host.read_only);
    let newer = one(json!({"container_path": "./a/b",
        "source": {"type": "HOST_PATH", "host_path": {"path": "/data"}}}));
    assert_eq!(newer.target, Target::Sandbox("a/b".into()));
    let relative = one(json!({"container_path": "/mnt", "host_path": "inner"}));
    assert_eq!(relative.source, Source::Sandbox("inner".into()));
    let own = one(json!({"container_path": "/mnt",
        "source": {"type": "SANDBOX_PATH", "sandbox_path": {"type": "SELF", "path": "x/y"}}}));
    assert_eq!(own.source, Source::Sandbox("x/y".into()));
    let private = one(json!({"container_path": "/tmp"}));
    assert_eq!(private.source, Source::Sandbox(".volumes/tmp".into()));
    let secret = one(json!({"container_path": "s", "source": {"type": "SECRET",
        "secret": {"type": "VALUE", "value": {"data": "c2VjcmV0"}}}}));
    assert_eq!(secret.source, Source::Secret(b"secret".to_vec()));
    let policy = Policy { host_path_roots: vec!["/data".into()], ..Policy::default() };
    let made = |path: &str| {
        let info = volume(json!({"container_path": "a", "host_path": path}));
        let spec = apply_to(&policy, Backend::Mesos, info).unwrap();
        matches!(spec.linux.volumes[0].source, Source::Host { make: true, .. })
    };
    assert!(made("/data/x") && !made("/database"));
    let source = |s: Value| volume(json!({"container_path": "a", "source": s}));
    for (info, why) in [
        (volume(json!({"container_path": "../a", "host_path": "/x"})), "below the sandbox"),
        (volume(json!({"container_path": "/", "host_path": "/x"})), "cannot be a container path"),
        (volume(json!({"container_path": "a", "host_path": "/x/../y"})), "'..'"),
        (volume(json!({"container_path": "a", "host_path": "../y"})), "not a path below"),
        (source(json!({"type": "HOST_PATH", "host_path": {"path": "x"}})), "not absolute"),
        (
            source(json!({"type": "HOST_PATH", "host_path":
                {"path": "/x", "mount_propagation": {"mode": "BIDIRECTIONAL"}}})),
            "BIDIRECTIONAL",
        ),
        (
            source(
                json!({"type": "SANDBOX_PATH", "sandbox_path": {"type": "PARENT", "path": "x"}}),
            ),
            "only works for nested container",
        ),
        (
            source(json!({"type": "SECRET", "secret":
                {"type": "REFERENCE", "reference": {"name": "n"}}})),
            "no resolver",
        ),
        (source(json!({"type": "DOCKER_VOLUME", "docker_volume": {"name": "n"}})), "docker volume"),
    ] {
        refused(info, why);
    }
    assert!(Path::new(".volumes").is_relative());
}

// covers: MES-0911
#[test]
fn networks_and_host_names() {
    let net = |n: Value| json!({"network_infos": [n], "hostname": "web"});
    let host = apply(net(json!({}))).unwrap();
    assert_eq!((host.network, host.hostname.as_deref()), (Network::Host, Some("web")));
    let port = |host: u32| json!({"host_port": host, "container_port": 80, "protocol": "UDP"});
    let bridged = apply(net(json!({"name": BRIDGE_NAME, "port_mappings": [port(31001)]}))).unwrap();
    assert_eq!(bridged.network, Network::Own);
    let join = &bridged.linux.networks[0];
    assert!(matches!(&join.by, By::Bridge(b) if b.device == "mesolith0"));
    assert_eq!((join.ports[0].host, join.ports[0].container, join.ports[0].udp), (31001, 80, true));
    refused(net(json!({"name": "nosuch"})), "Unknown CNI network 'nosuch'");
    refused(net(json!({"port_mappings": [port(31001)]})), "need a network with a name");
    refused(
        net(json!({"name": BRIDGE_NAME, "port_mappings": [port(80)]})),
        "Port [80] not included in resources",
    );
    refused(
        net(json!({"name": BRIDGE_NAME, "port_mappings": [port(31001), port(31001)]})),
        "mapped twice",
    );
    refused(net(json!({"name": BRIDGE_NAME, "groups": ["a"]})), "'groups'");
    refused(
        json!({"network_infos": [{"name": BRIDGE_NAME}, {"name": BRIDGE_NAME}]}),
        "multiple times",
    );

    let dir = tempfile::tempdir().unwrap();
    let text = json!({"name": BRIDGE_NAME, "type": "x"}).to_string();
    std::fs::write(dir.path().join("a.conf"), &text).unwrap();
    let policy = Policy {
        cni_config: Some(dir.path().into()),
        cni_plugins: vec!["/plugins".into()],
        ..Policy::default()
    };
    let spec = apply_to(&policy, Backend::Mesos, net(json!({"name": BRIDGE_NAME}))).unwrap();
    assert!(matches!(&spec.linux.networks[0].by, By::Cni { config, .. } if *config == text));
}

#[test]
fn plain_processes_are_given_limits_alone() {
    let of = |info| apply_to(&Policy::default(), Backend::Posix, info);
    let limit = json!({"rlimit_info": {"rlimits": [{"type": "RLMT_CORE"}]}});
    assert_eq!(of(limit).unwrap().rlimits.len(), 1);
    for (info, what) in [
        (json!({"hostname": "x"}), "hostname"),
        (json!({"volumes": [{"container_path": "a", "mode": "RW"}]}), "volumes"),
        (json!({"linux_info": {"share_pid_namespace": true}}), "linux_info"),
        (json!({"network_infos": [{"name": "x"}]}), "network_infos"),
    ] {
        let error = of(info).unwrap_err();
        assert!(error.contains(&format!("ContainerInfo.{what}")), "{error}");
    }
}

fn values(texts: &[(&str, &str)]) -> Values {
    let all = texts.iter().map(|(name, text)| {
        ((*name).to_string(), ((*text).to_string(), Origin::Flag((*name).to_string())))
    });
    Values::new(all.collect())
}

#[test]
fn settings_are_read() {
    let devices = r#"{"allowed_devices": [{"device": {"path": "/dev/fuse"},
        "access": {"read": true, "write": true}}]}"#;
    let mut given = values(&[
        ("isolation", "cgroups/cpu,cgroups/mem,disk/du"),
        ("effective_capabilities", r#"{"capabilities": ["CHOWN"]}"#),
        ("allowed_devices", devices),
        ("bridge_network", "br0:10.9.0.0/24"),
        ("default_container_shm_size", "64MB"),
        ("host_path_volume_force_creation", "/a:/b"),
        ("enforce_container_disk_quota", "true"),
        ("default_container_info", r#"{"type": "MESOS", "hostname": "h"}"#),
    ]);
    let read = options::read(&mut given);
    given.finish().unwrap();
    assert_eq!(read.policy.effective, Some(vec!["CAP_CHOWN".into()]));
    assert!(read.policy.devices[0].read && read.policy.devices[0].write);
    assert_eq!(read.policy.bridge.prefix, 24);
    assert_eq!(read.policy.shm_bytes, Some(64 << 20));
    assert_eq!(read.policy.host_path_roots.len(), 2);
    assert!(read.enforce_disk && read.disk_watch.is_some() && !read.policy.isolation.seccomp);
    assert_eq!(read.container_info.unwrap().hostname.as_deref(), Some("h"));
    let mut none = values(&[("isolation", "cgroups/all")]);
    assert_eq!(options::read(&mut none).disk_watch, None);
}

#[test]
fn a_nested_container_has_what_its_parent_has() {
    let nested = |info: Value| {
        let mut info = info;
        info["type"] = json!("MESOS");
        let info: v1::ContainerInfo = serde_json::from_value(info).expect("a ContainerInfo");
        let parent = Nested { parent: "p".into(), share_pid: false, own_limits: false };
        let mut spec =
            ContainerSpec { id: "p.c".into(), nested: Some(parent), ..plain(Backend::Mesos) };
        Policy::default().apply(Some(&info), &[], Some(Path::new("/outer")), &mut spec)?;
        Ok::<_, String>(spec)
    };
    let linux = |l: Value| json!({"linux_info": l});
    let spec = nested(linux(json!({"share_pid_namespace": true}))).unwrap();
    assert!(spec.linux.share_ipc && !spec.linux.share_pid, "the agent's is another matter");
    assert!(!nested(linux(json!({"ipc_mode": "PRIVATE"}))).unwrap().linux.share_ipc);
    assert_eq!(nested(linux(json!({"shm_size": 2}))).unwrap().linux.shm_bytes, Some(2 << 20));
    assert!(nested(linux(json!({"shm_size": 2, "ipc_mode": "SHARE_PARENT"}))).is_err());
    for asked in [json!({"hostname": "h"}), json!({"network_infos": [{"name": BRIDGE_NAME}]})] {
        assert!(nested(asked).unwrap_err().contains("the one it is in"));
    }
    let volume = |path: &str| {
        json!({"volumes": [{"mode": "RO", "container_path": "a", "source": {
            "type": "SANDBOX_PATH", "sandbox_path": {"type": "PARENT", "path": path}}}]})
    };
    let spec = nested(volume("./b")).unwrap();
    let source = Source::Other { sandbox: "/outer".into(), path: "b".into() };
    assert_eq!((&spec.linux.volumes[0].source, spec.linux.volumes[0].read_only), (&source, true));
    assert!(nested(volume("../b")).is_err());
}

#[test]
fn wrong_settings_are_told_by_name() {
    for (name, text, why) in [
        ("isolation", "nonsense", "'nonsense' is no isolator"),
        ("isolation", "external/gone", "external/gone is no program"),
        ("effective_capabilities", r#"{"capabilities": ["FLY"]}"#, "FLY"),
        (
            "allowed_devices",
            r#"{"allowed_devices": [{"device": {"path": "/etc/x"}, "access": {}}]}"#,
            "not below /dev",
        ),
        ("bridge_network", "br0:10.9.0.1/24", "bits set"),
        ("network_cni_config_dir", "/etc/cni", "network_cni_plugins_dir"),
        ("seccomp_profile_name", "x", "seccomp_config_dir"),
        ("default_container_info", "{", "ContainerInfo"),
        ("host_path_volume_force_creation", "a", "absolute"),
    ] {
        let mut given = values(&[(name, text)]);
        options::read(&mut given);
        let error = given.finish().expect_err(name);
        assert!(error.cause.contains(name) && error.cause.contains(why), "{error}");
    }
}

#[test]
fn what_is_on_a_volume_of_the_parent_comes_from_the_volume() {
    use crate::agent::containerizer::linux::{Source, Target, Volume};
    use crate::agent::core::io::PersistentVolume;
    let persistent = PersistentVolume {
        path: "/work/volumes/roles/eng/v".into(),
        container_path: "./data".into(),
        read_only: true,
        shared: false,
        give: true,
    };
    let of = |sandbox: &str, path: &str| Volume {
        source: Source::Other { sandbox: sandbox.into(), path: path.into() },
        target: Target::Sandbox("common".into()),
        read_only: false,
    };
    let all = [("/p", "data"), ("/p", "data/a/b"), ("/p", "database"), ("/q", "data")];
    let mut volumes = all.map(|(sandbox, path)| of(sandbox, path));
    super::through(&mut volumes, std::path::Path::new("/p"), &[persistent]);
    let path = std::path::PathBuf::from("/work/volumes/roles/eng/v");
    assert_eq!(volumes[0].source, Source::Host { path: path.clone(), make: false });
    assert_eq!(volumes[1].source, Source::Other { sandbox: path, path: "a/b".into() });
    assert!(volumes[0].read_only && volumes[1].read_only);
    assert_eq!(volumes[2..], [of("/p", "database"), of("/q", "data")]);
}
