//! What a ContainerInfo comes to, and what is refused with which words.

use super::*;
use crate::mesos::v1::container_info::docker_info::{Network, PortMapping as Mapping};
use crate::mesos::v1::{CommandInfo, NetworkInfo, Parameter, volume};

fn info() -> ContainerInfo {
    ContainerInfo {
        r#type: container_info::Type::Docker as i32,
        docker: Some(DockerInfo { image: "centos".into(), ..Default::default() }),
        ..Default::default()
    }
}

fn docker(info: &mut ContainerInfo) -> &mut DockerInfo {
    info.docker.as_mut().expect("a DockerInfo")
}

fn shell(text: &str) -> CommandInfo {
    CommandInfo { value: Some(text.into()), ..Default::default() }
}

fn argv(value: Option<&str>, arguments: &[&str]) -> CommandInfo {
    CommandInfo {
        shell: Some(false),
        value: value.map(str::to_string),
        arguments: arguments.iter().map(|a| a.to_string()).collect(),
        ..Default::default()
    }
}

fn options() -> Options {
    Options::new(v1::AgentInfo::default(), "127.0.0.1", "/work")
}

fn ports(begin: u64, end: u64) -> v1::Resource {
    v1::Resource {
        name: "ports".into(),
        r#type: v1::value::Type::Ranges as i32,
        ranges: Some(v1::value::Ranges { range: vec![v1::value::Range { begin, end }] }),
        ..Default::default()
    }
}

fn made_as(options: &Options, info: &ContainerInfo, command: &CommandInfo) -> Result<Run, String> {
    let own = [ports(31_000, 31_001)];
    run(&Of {
        volumes: &[],
        options,
        container: info,
        command,
        resources: vec![&own],
        sandbox: Path::new("/work/sandbox"),
        executor: false,
    })
}

fn made(info: &ContainerInfo, command: &CommandInfo) -> Result<Run, String> {
    made_as(&options(), info, command)
}

fn refused(info: &ContainerInfo) -> String {
    made(info, &shell("x")).expect_err("refused")
}

fn words(text: &[&str]) -> Option<Vec<String>> {
    Some(text.iter().map(|w| w.to_string()).collect())
}

// covers: MES-0933, MES-0934, MES-0935
#[test]
fn commands_shells_and_the_images_own() {
    for (command, entrypoint, arguments) in [
        (shell("echo $X"), words(&["/bin/sh"]), words(&["-c", "echo $X"])),
        (argv(None, &[]), None, None),
        (argv(Some("echo"), &["a"]), None, words(&["echo", "a"])),
        (argv(None, &["a", "b"]), None, words(&["a", "b"])),
    ] {
        let run = made(&info(), &command).expect("made");
        assert_eq!((run.entrypoint, run.arguments), (entrypoint, arguments));
    }
    let mut own = info();
    docker(&mut own).parameters =
        vec![Parameter { key: "entrypoint".into(), value: "/bin/bash".into() }];
    let run = made(&own, &shell("echo")).expect("made");
    assert_eq!(run.entrypoint, words(&["/bin/bash"]));
    let why = made(&info(), &CommandInfo::default()).expect_err("no command");
    assert!(why.ends_with("Shell specified but no command value provided"), "{why}");
}

#[test]
fn networks() {
    let of = |network: Network, names: &[&str]| {
        let mut info = info();
        docker(&mut info).network = Some(network as i32);
        let named = |name: &&str| NetworkInfo { name: Some((*name).into()), ..Default::default() };
        info.network_infos = names.iter().map(named).collect();
        made(&info, &shell("x")).map(|run| run.network)
    };
    assert_eq!(made(&info(), &shell("x")).expect("made").network, "host", "the default");
    assert_eq!(of(Network::Bridge, &[]).expect("made"), "bridge");
    assert_eq!(of(Network::None, &[]).expect("made"), "none");
    assert_eq!(of(Network::User, &["weave"]).expect("made"), "weave");
    for (names, why) in [
        (&[][..], "No network info found in container info"),
        (&["a", "b"][..], "Only a single network can be defined in Docker run"),
        (&[""][..], "No network name found in network info"),
    ] {
        assert!(of(Network::User, names).expect_err("refused").ends_with(why));
    }
}

// covers: MES-0952
#[test]
fn mapped_ports_are_the_tasks_own() {
    let with = |network: Network, host_port: u32, protocol: Option<&str>| {
        let mut info = info();
        docker(&mut info).network = Some(network as i32);
        docker(&mut info).port_mappings =
            vec![Mapping { host_port, container_port: 80, protocol: protocol.map(str::to_string) }];
        made(&info, &shell("x")).map(|run| run.ports)
    };
    let mapped = |protocol: &str| {
        vec![PortMapping { host: 31_001, container: 80, protocol: protocol.into() }]
    };
    assert_eq!(with(Network::Bridge, 31_001, None), Ok(mapped("tcp")));
    assert_eq!(with(Network::Bridge, 31_001, Some("UDP")), Ok(mapped("udp")));
    let why = |outcome: Result<Vec<PortMapping>, String>| outcome.expect_err("refused");
    assert_eq!(
        why(with(Network::Bridge, 8080, None)),
        "Failed to create docker run options: Port [8080] not included in resources"
    );
    assert!(why(with(Network::Host, 31_001, None)).contains("only supported for bridge"));
    assert!(why(with(Network::Bridge, 31_001, Some("icmp"))).contains("'icmp'"));
}

// covers: MES-0953, MES-0954
#[test]
fn volumes_begin_at_the_sandbox_where_they_are_relative() {
    let with = |host: Option<&str>, path: &str| {
        let mut info = info();
        info.volumes = vec![v1::Volume {
            mode: volume::Mode::Ro as i32,
            container_path: path.into(),
            host_path: host.map(str::to_string),
            ..Default::default()
        }];
        made(&info, &shell("x")).map(|run| run.volumes)
    };
    let all = with(Some("data"), "/data").expect("made");
    assert_eq!(all[0].from, VolumeFrom::Host("/work/sandbox".into()), "the sandbox itself");
    assert_eq!((all[0].target.as_str(), all[0].read_only), ("/mnt/mesos/sandbox", false));
    assert_eq!(all[1].from, VolumeFrom::Host("/work/sandbox/data".into()));
    assert!(all[1].read_only);
    let below = with(Some("/srv"), "data").expect("made");
    assert_eq!(below[1].target, "/mnt/mesos/sandbox/data");
    assert_eq!(with(None, "/new").expect("made")[1].from, VolumeFrom::New);
    assert!(with(Some("../other"), "/x").expect_err("refused").contains("leaves the sandbox"));
    assert!(with(Some("/srv"), "../x").expect_err("refused").contains("'../x'"));
}

// covers: MES-0955
#[test]
fn volumes_of_two_drivers_are_refused() {
    let named = |driver: &str, path: &str| v1::Volume {
        mode: volume::Mode::Rw as i32,
        container_path: path.into(),
        source: Some(volume::Source {
            docker_volume: Some(volume::source::DockerVolume {
                driver: Some(driver.into()),
                name: "v".into(),
                driver_options: None,
            }),
            ..Default::default()
        }),
        ..Default::default()
    };
    let mut info = info();
    info.volumes = vec![named("rexray", "/a"), named("rexray", "/b")];
    let made = made(&info, &shell("x")).expect("one driver").volumes;
    let driver = Some("rexray".to_string());
    let (name, options) = ("v".to_string(), Vec::new());
    assert_eq!(made[2].from, VolumeFrom::Named { driver, name, options });
    info.volumes[1] = named("convoy", "/b");
    assert!(refused(&info).contains("Only one volume driver"));
}

#[test]
fn parameters_become_fields_or_are_refused_by_name() {
    let with = |key: &str, value: &str, allowed: bool| {
        let mut info = info();
        docker(&mut info).network = Some(Network::Bridge as i32);
        docker(&mut info).parameters = vec![Parameter { key: key.into(), value: value.into() }];
        let options = Options { docker_allow_privileged: allowed, ..options() };
        made_as(&options, &info, &shell("x")).map(|run| run.settings)
    };
    let host = |key: &str, value: &str| {
        serde_json::Value::from(with(key, value, true).expect("known").host).to_string()
    };
    assert_eq!(host("shm-size", "64m"), r#"{"ShmSize":67108864}"#);
    assert_eq!(host("add-host", "a:1.2.3.4"), r#"{"ExtraHosts":["a:1.2.3.4"]}"#);
    assert_eq!(host("sysctl", "net.core.somaxconn=1"), r#"{"Sysctls":{"net.core.somaxconn":"1"}}"#);
    assert_eq!(
        host("ulimit", "nofile=10:20"),
        r#"{"Ulimits":[{"Hard":20,"Name":"nofile","Soft":10}]}"#
    );
    assert_eq!(host("log-driver", "syslog"), r#"{"LogConfig":{"Type":"syslog"}}"#);
    assert!(host("device", "/dev/fuse:rw").contains(r#""CgroupPermissions":"rw""#));
    for (key, value) in [
        ("cap-add", "SYS_ADMIN"),
        ("device", "/dev/sda"),
        ("privileged", "true"),
        ("pid", "host"),
        ("security-opt", "seccomp=unconfined"),
    ] {
        let why = with(key, value, false).expect_err("a power over the host");
        assert!(why.contains(key) && why.contains("--docker_allow_privileged"), "{why}");
        assert!(with(key, value, true).is_ok());
    }
    assert!(with("pid", "container:x", false).is_ok());
    for (key, value) in
        [("memory", "1g"), ("name", "x"), ("publish", "80:80"), ("nonsense", "1"), ("ulimit", "x")]
    {
        assert!(with(key, value, true).expect_err("refused").contains(&format!("'{key}'")));
    }
}

#[test]
fn what_cannot_be_is_refused_with_its_reason() {
    let mut privileged = info();
    docker(&mut privileged).privileged = Some(true);
    assert!(refused(&privileged).contains("--docker_allow_privileged"));
    let allowed = Options { docker_allow_privileged: true, ..options() };
    assert!(made_as(&allowed, &privileged, &shell("x")).expect("allowed").privileged);
    let mut named = info();
    named.hostname = Some("h".into());
    assert!(refused(&named).ends_with("Unable to set hostname with host network mode"));
    for image in ["", "a b", "../../containers", "a//b", "x\n"] {
        let mut wrong = info();
        docker(&mut wrong).image = image.into();
        assert!(refused(&wrong).contains("is not the name of an image"), "{image:?}");
    }
    let mut bare = info();
    bare.docker = None;
    assert!(refused(&bare).contains("DockerInfo 'docker' is not set"));
}

#[test]
fn the_first_enabled_containerizer_that_takes_it() {
    let of = |all: &[Containerizer], container: Option<&ContainerInfo>| {
        let options = Options { containerizers: all.to_vec(), ..options() };
        containerizer(&options, container)
    };
    use Containerizer::{Docker, Mesos};
    assert_eq!(of(&[Docker, Mesos], Some(&info())), Ok(Docker));
    assert_eq!(of(&[Docker, Mesos], None), Ok(Mesos));
    let text = "None of the enabled containerizers (mesos) could create a container for the \
                provided TaskInfo/ExecutorInfo message";
    assert_eq!(of(&[Mesos], Some(&info())), Err(text.into()));
    assert!(of(&[Docker], None).is_err());
}

// covers: MES-0924
#[test]
fn an_executor_must_be_able_to_reach_the_agent() {
    let mut bridged = info();
    docker(&mut bridged).network = Some(Network::Bridge as i32);
    let (options, command) = (options(), shell("./executor"));
    let of = |container| Of {
        volumes: &[],
        options: &options,
        container,
        command: &command,
        resources: vec![],
        sandbox: Path::new("/work/sandbox"),
        executor: true,
    };
    assert!(run(&of(&bridged)).expect_err("unreachable").contains("use the network HOST"));
    assert_eq!(run(&of(&info())).expect("made").network, "host");
}
