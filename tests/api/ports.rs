//! Ports that tasks listen on, and were not given (`network/ports`).

use super::client::{Scheduler, info, task};
use super::node::{Node, contained};
use mesolith::agent::containerizer::network::command;
use serde_json::{Value, json};
use std::net::TcpStream;

const ISOLATION: &str = "--isolation=linux/nnp,network/ports";
const OFTEN: &str = "--container_ports_watch_interval=100ms";

fn on_port(mut task: Value, port: u16) -> Value {
    let ports = json!({"name": "ports", "type": "RANGES",
        "ranges": {"range": [{"begin": port, "end": port}]}});
    task["resources"].as_array_mut().unwrap().push(ports);
    task
}

fn listens(id: &str, offer: &Value, port: u16) -> Value {
    task(id, offer, &format!("exec busybox httpd -f -p 127.0.0.1:{port} -h /etc"))
}

// covers: MES-0917
#[tokio::test]
async fn who_listens_on_a_port_it_was_not_given_ends() {
    let test = "who_listens_on_a_port_it_was_not_given_ends";
    if !contained() || command::find("busybox").is_none() {
        return eprintln!("SKIPPED {test}: needs root and busybox");
    }
    let node = Node::start(&[
        ISOLATION,
        OFTEN,
        "--enforce_container_ports",
        "--check_agent_port_range_only",
        "--resources=cpus:2;mem:512;disk:1024;ports:[31840-31849]",
    ]);
    let mut scheduler = Scheduler::start(&node, info("ports")).await;
    let offer = scheduler.offer().await;
    let good = on_port(listens("good", &offer, 31_841), 31_841);
    let elsewhere = listens("elsewhere", &offer, 31_850);
    // Through a child, and a session of its own: its cgroup is what counts.
    let mut bad = on_port(listens("bad", &offer, 31_843), 31_842);
    bad["command"]["value"] = json!("setsid busybox httpd -f -p 31843 -h /etc & wait");
    scheduler.launch(&offer, json!([good, elsewhere, bad])).await;
    let failed = scheduler.until("bad", "TASK_FAILED").await.pop().unwrap();
    assert_eq!(failed["reason"], "REASON_CONTAINER_LIMITATION", "{failed}");
    let message = failed["message"].as_str().unwrap();
    assert!(message.ends_with("is listening on unallocated port(s): [31843-31843]"), "{message}");
    let ports = &failed["limitation"]["resources"][0];
    assert_eq!(ports["ranges"]["range"], json!([{"begin": 31843, "end": 31843}]), "{failed}");
    assert!(TcpStream::connect(("127.0.0.1", 31_843)).is_err(), "it is gone");
    // The next one is found later than the others were looked at: they were let be.
    scheduler.call("REVIVE", json!({})).await;
    let offer = scheduler.offer().await;
    scheduler.launch(&offer, json!([listens("next", &offer, 31_844)])).await;
    scheduler.until("next", "TASK_FAILED").await;
    for (id, port) in [("good", 31_841), ("elsewhere", 31_850)] {
        scheduler.until(id, "TASK_RUNNING").await;
        assert!(TcpStream::connect(("127.0.0.1", port)).is_ok(), "{id} listens");
    }
    let state = node.get("/state").await;
    assert_eq!(state["frameworks"][0]["tasks"].as_array().unwrap().len(), 2, "{state:#}");
}

#[test]
fn ports_are_not_watched_of_plain_processes() {
    let dir = tempfile::tempdir().unwrap();
    for (flags, says) in [
        (&["--launcher=posix", ISOLATION][..], "network/ports"),
        (
            &["--check_agent_port_range_only", "--container_ports_isolated_range=[1-9]"],
            "cannot be used with --check_agent_port_range_only",
        ),
        (&["--container_ports_isolated_range=[9-1]"], "container_ports_isolated_range"),
    ] {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_mesolith"))
            .args(["up", "--config=/dev/null", "--master-port=0", "--agent-port=0"])
            .args(["--marathon-port=0", "--chronos-port=0", "--cluster-port=0"])
            .args(["--cluster-ip=127.0.0.1"])
            .arg(format!("--data-dir={}", dir.path().join("data").display()))
            .args(flags)
            .output()
            .unwrap();
        assert!(!output.status.success(), "{flags:?}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(says), "{said}");
    }
}
