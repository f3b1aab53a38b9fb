//! Networks of containers: loopback, the built-in bridge with port mappings, plug-ins; and that they are gone afterwards.

use crate::world::{World, isolates, read, run, until};
use mesolith::agent::containerizer::linux::{Bridge, By, Join, PortMapping};
use mesolith::agent::containerizer::network::command;
use mesolith::agent::containerizer::{Backend, ContainerSpec, Containerizer, Network};
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

/// Whether bridges can be made here; else says which test is skipped.
fn bridges(test: &str) -> bool {
    let lacking: Vec<_> =
        ["nft", "busybox"].into_iter().filter(|p| command::find(p).is_none()).collect();
    if !lacking.is_empty() {
        eprintln!("SKIPPED {test}: needs the programs {lacking:?}");
    }
    isolates(test) && lacking.is_empty()
}

/// Nobody else's: by a number of this run's.
fn bridge(n: u8) -> Bridge {
    let device = format!("mt{}x{n}", std::process::id() % 100_000);
    let third = (std::process::id() % 256) as u8;
    Bridge { device, subnet: [10, 232 + n, third, 0].into(), prefix: 24 }
}

fn port(host: u16, container: u16) -> PortMapping {
    PortMapping { host, container, udp: false }
}

fn join(spec: &mut ContainerSpec, by: By, ports: Vec<PortMapping>) {
    spec.network = Network::Own;
    spec.linux.networks.push(Join { name: "net".into(), by, ports, info: None });
}

/// A web server that says who it is.
fn server(w: &mut World, name: &str) -> ContainerSpec {
    let text = "exec busybox httpd -f -p 80 -h web";
    let spec = w.spec(Backend::Mesos, text);
    std::fs::create_dir(spec.sandbox.join("web")).unwrap();
    std::fs::write(spec.sandbox.join("web/index.html"), name).unwrap();
    spec
}

/// What a web server says; nothing while it does not.
fn get(to: SocketAddr) -> Option<String> {
    let mut stream = TcpStream::connect_timeout(&to, Duration::from_secs(2)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    stream.write_all(b"GET /index.html HTTP/1.0\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    text.rsplit_once("\r\n\r\n").map(|(_, body)| body.to_owned())
}

async fn served(to: (impl Into<IpAddr>, u16), expected: &str) {
    let to = SocketAddr::new(to.0.into(), to.1);
    until(&format!("{expected} at {to}"), || get(to).as_deref() == Some(expected)).await;
}

fn device_is_there(name: &str) -> bool {
    Path::new("/sys/class/net").join(name).exists()
}

fn nothing_is_left(bridge: &Bridge) {
    let device = &bridge.device;
    assert!(!device_is_there(device));
    let table = format!("mesolith_{device}");
    assert!(command::run("nft", &["list", "table", "ip", &table], "").is_err());
    assert!(!Path::new("/run/mesolith/networks").join(device).exists());
}

#[test]
fn a_network_of_its_own_has_loopback_and_nothing_else() {
    if !isolates("a_network_of_its_own_has_loopback_and_nothing_else") {
        return;
    }
    run(|mut w| async move {
        let text = "cat /sys/class/net/lo/flags; ls /sys/class/net; hostname
            grep -c localhost /etc/hosts; echo own >/proc/sys/net/ipv4/ip_forward 2>/dev/null; true";
        let mut spec = w.spec(Backend::Mesos, text);
        spec.network = Network::Own;
        w.whole(&spec).await;
        let out = read(&spec.sandbox.join("stdout"));
        assert_eq!(out, format!("0x9\nlo\n{}\n2\n", spec.id), "up, loopback");
        let mut spec = w.spec(Backend::Mesos, "hostname; tail -1 /etc/hosts; cat /etc/hostname");
        spec.hostname = Some("inside".into());
        w.whole(&spec).await;
        let out = read(&spec.sandbox.join("stdout"));
        assert!(out.starts_with("inside\n127.0.1.1\tinside\n"), "{out}");
        assert!(!read(Path::new("/etc/hosts")).contains("inside"));
        w
    });
}

// covers: MES-0915
#[test]
fn the_bridge_connects_containers_and_maps_ports() {
    if !bridges("the_bridge_connects_containers_and_maps_ports") {
        return;
    }
    run(|mut w| async move {
        let bridge = bridge(1);
        let mut one = server(&mut w, "one");
        join(&mut one, By::Bridge(bridge.clone()), vec![port(28_801, 80)]);
        let mut two = server(&mut w, "two");
        join(&mut two, By::Bridge(bridge.clone()), vec![port(28_802, 80)]);
        for spec in [&one, &two] {
            w.start(spec).await;
        }
        let address = |w: &World, spec: &ContainerSpec| w.agent.joined(&spec.id)[0].addresses[0];
        let (first, second) = (address(&w, &one), address(&w, &two));
        assert_eq!(first.to_string(), bridge.address(0).unwrap().to_string());
        assert_ne!(first, second);
        served((first, 80), "one").await;
        // By the host's addresses, loopback too.
        served(([127, 0, 0, 1], 28_801), "one").await;
        served(([127, 0, 0, 1], 28_802), "two").await;
        served((bridge.gateway(), 28_802), "two").await;

        // From a container: to another, and to itself by way of the host.
        let text = format!(
            "busybox wget -qO- http://{second}/index.html; echo
             busybox wget -qO- http://{gateway}:28801/index.html; echo
             busybox wget -qO- -T 2 http://127.0.0.1:28801/ 2>/dev/null && echo loopback
             grep $(hostname) /etc/hosts; ls /sys/class/net | tr '\\n' ' '; echo",
            gateway = bridge.gateway()
        );
        let mut client = w.spec(Backend::Mesos, &text);
        join(&mut client, By::Bridge(bridge.clone()), Vec::new());
        w.whole(&client).await;
        let out = read(&client.sandbox.join("stdout"));
        let third = bridge.address(2).unwrap();
        assert_eq!(out, format!("two\none\n{third}\t{}\neth0 lo \n", client.id));
        assert_eq!(w.agent.network(&one.id).map(|pid| pid > 0), Some(true));

        // Mapped ports end with their container; the other one's stay.
        w.agent.destroy(&one.id).await.unwrap();
        assert_eq!(get(SocketAddr::from(([127, 0, 0, 1], 28_801))), None);
        served(([127, 0, 0, 1], 28_802), "two").await;
        w.agent.destroy(&two.id).await.unwrap();
        nothing_is_left(&bridge);
        w
    });
}

// covers: MES-0907
#[test]
fn a_bridge_outlives_the_supervisor_and_is_removed_by_the_next() {
    if !bridges("a_bridge_outlives_the_supervisor_and_is_removed_by_the_next") {
        return;
    }
    run(|mut w| async move {
        let bridge = bridge(2);
        let mut one = server(&mut w, "one");
        join(&mut one, By::Bridge(bridge.clone()), vec![port(28_803, 80)]);
        w.start(&one).await;
        served(([127, 0, 0, 1], 28_803), "one").await;
        let supervisor = nix::unistd::Pid::from_raw(w.supervisor());
        nix::sys::signal::kill(supervisor, nix::sys::signal::Signal::SIGKILL).unwrap();
        w.reattach();
        let found = w.agent.recover().await.unwrap();
        let network = found[0].network.clone().unwrap();
        assert_eq!(network.joined[0].ports, vec![port(28_803, 80)]);
        assert_eq!(w.agent.joined(&one.id), network.joined);
        served(([127, 0, 0, 1], 28_803), "one").await;

        // Again, and the container ends while nobody looks.
        let supervisor = nix::unistd::Pid::from_raw(w.supervisor());
        nix::sys::signal::kill(supervisor, nix::sys::signal::Signal::SIGKILL).unwrap();
        let keeper = nix::unistd::Pid::from_raw(network.pid);
        nix::sys::signal::kill(keeper, nix::sys::signal::Signal::SIGKILL).unwrap();
        w.reattach();
        w.agent.recover().await.unwrap();
        w.agent.destroy(&one.id).await.unwrap();
        nothing_is_left(&bridge);
        w.end(&one).await;
        w
    });
}

/// A plug-in that gives out one address, by the `ip` program; `before` is done first.
fn plugin(dir: &Path, name: &str, before: &str) {
    let text = format!(
        "#!/bin/bash\nd=$(dirname $0)\necho $CNI_COMMAND $CNI_CONTAINERID >>$d/told
cat >/dev/null\n{before}
if [ $CNI_COMMAND = DEL ]; then nsenter --net=$CNI_NETNS true 2>/dev/null && echo had-network >>$d/told; exit 0; fi
nsenter --net=$CNI_NETNS sh -c \"ip link add $CNI_IFNAME type veth peer name other && ip addr add 10.77.0.9/24 dev $CNI_IFNAME && ip link set $CNI_IFNAME up\" >&2 || exit 1
echo '{{\"cniVersion\":\"0.4.0\",\"ips\":[{{\"version\":\"4\",\"address\":\"10.77.0.9/24\"}}],\"dns\":{{\"nameservers\":[\"10.77.0.1\"]}}}}'\n"
    );
    std::fs::write(dir.join(name), text).unwrap();
    std::fs::set_permissions(dir.join(name), std::fs::Permissions::from_mode(0o755)).unwrap();
}

fn cni(dir: &Path, name: &str) -> By {
    let config = format!(r#"{{"cniVersion":"0.4.0","name":"net","type":"{name}"}}"#);
    By::Cni { config, plugins: vec![dir.into()] }
}

// covers: MES-0905, MES-0912
#[test]
fn plugins_connect_a_container_and_disconnect_it() {
    if !isolates("plugins_connect_a_container_and_disconnect_it") {
        return;
    }
    run(|mut w| async move {
        let dir = w.dir.path().join("plugins");
        std::fs::create_dir(&dir).unwrap();
        plugin(&dir, "good", "");
        let text =
            "cat /sys/class/net/eth0/flags; cat /etc/resolv.conf; tail -1 /etc/hosts; hostname";
        let mut spec = w.spec(Backend::Mesos, text);
        spec.hostname = Some("named".into());
        join(&mut spec, cni(&dir, "good"), Vec::new());
        w.agent.create(spec.clone()).await.unwrap();
        let joined = w.agent.joined(&spec.id);
        assert_eq!(joined[0].addresses, ["10.77.0.9".parse::<IpAddr>().unwrap()]);
        w.agent.start(&spec.id).await.unwrap();
        w.end(&spec).await;
        w.agent.destroy(&spec.id).await.unwrap();
        let out = read(&spec.sandbox.join("stdout"));
        assert!(out.ends_with("nameserver 10.77.0.1\n10.77.0.9\tnamed\nnamed\n"), "{out}");
        let told = read(&dir.join("told"));
        assert_eq!(told, format!("ADD {0}\nDEL {0}\nhad-network\n", spec.id));
        assert!(w.agent.joined(&spec.id).is_empty());
        w
    });
}

// covers: MES-0906, MES-0908
#[test]
fn what_a_plugin_began_is_undone() {
    if !isolates("what_a_plugin_began_is_undone") {
        return;
    }
    run(|mut w| async move {
        let dir = w.dir.path().join("plugins");
        std::fs::create_dir(&dir).unwrap();
        plugin(
            &dir,
            "bad",
            "if [ $CNI_COMMAND = ADD ]; then echo '{\"msg\":\"no more\"}'; exit 1; fi",
        );
        let mut spec = w.spec(Backend::Mesos, "true");
        join(&mut spec, cni(&dir, "bad"), Vec::new());
        let error = w.agent.create(spec.clone()).await.unwrap_err();
        assert!(error.cause.contains("'bad' failed to ADD the container: no more"), "{error}");
        assert_eq!(read(&dir.join("told")), format!("ADD {0}\nDEL {0}\n", spec.id));

        // Destroyed while the plug-in is at it.
        std::fs::remove_file(dir.join("told")).unwrap();
        plugin(&dir, "slow", "if [ $CNI_COMMAND = ADD ]; then sleep 1000; fi");
        let mut spec = w.spec(Backend::Mesos, "true");
        join(&mut spec, cni(&dir, "slow"), Vec::new());
        let told = dir.join("told");
        let (made, destroyed) = tokio::join!(w.agent.create(spec.clone()), async {
            until("the plug-in is at it", || read(&told).starts_with("ADD")).await;
            w.agent.destroy(&spec.id).await
        });
        destroyed.unwrap();
        assert!(made.is_err());
        assert_eq!(read(&told), format!("ADD {0}\nDEL {0}\n", spec.id));
        w
    });
}
