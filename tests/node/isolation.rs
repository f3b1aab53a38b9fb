//! What a task asks of its container, through a framework, a master and an agent.

use super::scheduler::{Scheduler, task};
use super::world::{Home, Node, get, isolates, until};
use serde_json::{Value, json};
use std::net::TcpStream;

fn with(mut task: Value, container: Value) -> Value {
    task["container"] = container;
    task["container"]["type"] = json!("MESOS");
    task
}

fn more(mut task: Value, resource: Value) -> Value {
    task["resources"].as_array_mut().unwrap().push(resource);
    task
}

fn disk(mb: u32) -> Value {
    json!({"name": "disk", "type": "SCALAR", "scalar": {"value": mb}})
}

/// The last update of a task that has ended, and what it said.
fn ended(scheduler: &mut Scheduler, id: &str) -> Value {
    scheduler.until(&format!("{id} ends"), |s| s.has_ended(id));
    scheduler.updates.iter().rfind(|u| u["task_id"]["value"] == id).unwrap().clone()
}

#[test]
fn a_container_is_what_its_task_asks() {
    if !isolates() {
        return eprintln!("SKIPPED a_container_is_what_its_task_asks: needs root");
    }
    let home = Home::new();
    let node = home.up().with_agent();
    let mut scheduler = Scheduler::subscribe("asks", &node.master);
    let (data, out) = (home.beside("shown"), home.beside("out"));
    std::fs::create_dir(&data).unwrap();
    std::fs::create_dir(&out).unwrap();
    std::fs::write(data.join("f"), "from the host\n").unwrap();
    let text = format!(
        "(hostname; ulimit -n; cat in/f; cat key; df -P -k /dev/shm | tail -1 | tr -s ' ' | cut -d' ' -f2
          grep -e CapEff -e Seccomp: -e NoNew /proc/self/status; echo x >in/g) >{}/said 2>&1",
        out.display()
    );
    let container = json!({
        "hostname": "asked",
        "rlimit_info": {"rlimits": [{"type": "RLMT_NOFILE", "soft": 77, "hard": 77}]},
        "linux_info": {"shm_size": 2, "effective_capabilities": {"capabilities": ["CHOWN"]}},
        "volumes": [
            {"container_path": "in", "host_path": data, "mode": "RO"},
            {"container_path": "key", "mode": "RO", "source": {"type": "SECRET",
                "secret": {"type": "VALUE", "value": {"data": "aHVzaAo="}}}},
        ],
    });
    scheduler.launch(vec![with(task("asks", &text), container)]);
    let last = ended(&mut scheduler, "asks");
    assert_eq!(last["state"], "TASK_FAILED", "a read-only volume was written: {last}");
    let said = std::fs::read_to_string(out.join("said")).unwrap();
    let expected = "asked\n77\nfrom the host\nhush\n2048\nCapEff:\t0000000000000001\nNoNewPrivs:\t1\nSeccomp:\t2\n";
    assert!(said.starts_with(expected), "{said}");

    // What cannot be is refused by name, before anything is fetched or made.
    for (id, container, why) in [
        (
            "path",
            json!({"volumes": [{"container_path": "a", "host_path": "/nosuch", "mode": "RW"}]}),
            "does not exist",
        ),
        ("net", json!({"network_infos": [{"name": "nosuch"}]}), "Unknown CNI network 'nosuch'"),
        (
            "limit",
            json!({"rlimit_info": {"rlimits": [{"type": "RLMT_CPU", "soft": 1}]}}),
            "RLIMIT_CPU",
        ),
        (
            "profile",
            json!({"linux_info": {"seccomp": {"profile_name": "x"}}}),
            "--seccomp_config_dir",
        ),
    ] {
        scheduler.launch(vec![with(task(id, "true"), container)]);
        let last = ended(&mut scheduler, id);
        assert_eq!(last["reason"], "REASON_CONTAINER_LAUNCH_FAILED", "{last}");
        assert!(last["message"].as_str().unwrap().contains(why), "{last}");
    }
}

// covers: MES-0850, MES-0852, MES-0853
#[test]
fn a_task_over_its_disk_ends_where_quotas_are_enforced() {
    if !isolates() {
        return eprintln!(
            "SKIPPED a_task_over_its_disk_ends_where_quotas_are_enforced: needs root"
        );
    }
    let fills = || {
        more(task("fills", "dd if=/dev/zero of=big bs=1M count=3 2>/dev/null; sleep 1000"), disk(1))
    };
    let watch = "--container_disk_watch_interval=100ms";
    let home = Home::new();
    let node = home.up_with(&[watch, "--enforce_container_disk_quota"]).with_agent();
    let mut scheduler = Scheduler::subscribe("disk", &node.master);
    scheduler.launch(vec![more(task("fits", "sleep 1000"), disk(64)), fills()]);
    let last = ended(&mut scheduler, "fills");
    assert_eq!(last["state"], "TASK_FAILED");
    assert_eq!(last["reason"], "REASON_CONTAINER_LIMITATION_DISK", "{last}");
    let message = last["message"].as_str().unwrap();
    assert!(
        message.starts_with("Disk usage (") && message.ends_with(") exceeds quota (1MB)"),
        "{last}"
    );
    assert_eq!(last["limitation"]["resources"][0]["name"], "disk", "{last}");
    assert!(!scheduler.has_ended("fits"));
    until("the other's use is told", || {
        used(&node).is_some_and(|(used, limit)| used > 0 && limit == 64 << 20)
    });
    drop(node);

    let home = Home::new();
    let node = home.up_with(&[watch]).with_agent();
    let mut scheduler = Scheduler::subscribe("disk", &node.master);
    scheduler.launch(vec![fills()]);
    scheduler.until("it runs", |s| s.states("fills").contains(&"TASK_RUNNING"));
    until("it is over its quota", || used(&node).is_some_and(|(used, limit)| used > limit));
    assert!(!scheduler.has_ended("fills"));
}

/// What the only task uses of its disk, and may use.
fn used(node: &Node) -> Option<(u64, u64)> {
    let all = get(&node.agent, "/monitor/statistics");
    let one = all.as_array()?.first()?;
    let bytes = |name: &str| one["statistics"][name].as_u64();
    Some((bytes("disk_used_bytes")?, bytes("disk_limit_bytes")?))
}

#[test]
fn a_bridged_task_tells_its_address_and_is_checked_in_its_network() {
    let lacks = ["nft", "busybox"]
        .into_iter()
        .any(|name| mesolith::agent::containerizer::network::command::find(name).is_none());
    if !isolates() || lacks {
        return eprintln!("SKIPPED a_bridged_task_…: needs root, nft and busybox");
    }
    let home = Home::new();
    let device = format!("mn{}", std::process::id());
    let third = std::process::id() % 256;
    let bridge = format!("--bridge_network={device}:10.240.{third}.0/24");
    let node = home.up_with(&[&bridge]).with_agent();
    let mut scheduler = Scheduler::subscribe("bridge", &node.master);
    let ports = json!({"name": "ports", "type": "RANGES",
        "ranges": {"range": [{"begin": 31_517, "end": 31_517}]}});
    let mut web = more(task("web", "exec busybox httpd -f -p 127.0.0.1:8080 -h /etc"), ports);
    web["health_check"] = json!({
        "type": "HTTP", "http": {"port": 8080, "path": "/hostname"},
        "delay_seconds": 0, "interval_seconds": 0.1, "grace_period_seconds": 60,
    });
    let container = json!({"network_infos": [{"name": "mesos-bridge", "port_mappings":
        [{"host_port": 31_517, "container_port": 8080, "protocol": "tcp"}]}]});
    scheduler.launch(vec![with(web, container)]);
    // It listens on its own loopback device, where nobody else is.
    scheduler.until("it is healthy", |s| s.updates.iter().any(|u| u["healthy"] == true));
    let running = &scheduler.updates_of("web", "TASK_RUNNING")[0]["container_status"];
    let network = &running["network_infos"][0];
    assert_eq!(network["name"], "mesos-bridge", "{running}");
    assert_eq!(network["ip_addresses"][0]["ip_address"], format!("10.240.{third}.2"));
    assert_eq!(network["port_mappings"][0]["host_port"], 31_517);
    assert!(TcpStream::connect(("127.0.0.1", 8080)).is_err());

    // The agent is killed, and its successor tells the same.
    node.kill9();
    let node = home.up_with(&[&bridge]).with_agent();
    scheduler.resubscribe(&node.master);
    let seen = scheduler.updates.len();
    scheduler.reconcile();
    scheduler.until("it is told how the task is", |s| s.updates.len() > seen);
    let told = scheduler.updates[seen]["container_status"]["network_infos"][0].clone();
    assert_eq!(told["ip_addresses"][0]["ip_address"], format!("10.240.{third}.2"));
    let kill = json!({"task_id": {"value": "web"}});
    assert!(scheduler.call(json!({"type": "KILL", "kill": kill})));
    ended(&mut scheduler, "web");
    until("the bridge is gone", || !std::path::Path::new("/sys/class/net").join(&device).exists());
}
