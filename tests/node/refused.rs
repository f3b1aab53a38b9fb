//! What keeps a node from starting: told all at once, with the way out, and nothing is left.

use super::life::sleeping;
use super::world::{Home, finish, mesolith};
use std::net::TcpListener;

#[test]
fn a_second_node_on_the_same_data_is_refused_with_the_first_ones_pid() {
    let home = Home::new();
    let node = home.up();
    let [ports, roles] = ["--master-port=0", "--roles=master,agent"];
    let again = ["up", &home.data_dir(), ports, roles, "--agent-port=0"];
    let said = finish(&mut mesolith(&again)).ended(4);
    let pid = node.talk.child.id().to_string();
    assert!(said.stderr.contains(&pid), "names the holder: {said:#?}");
    assert!(said.stderr.contains(&home.data().display().to_string()), "{said:#?}");
    assert!(said.stderr.contains("hint:"), "{said:#?}");
    node.with_agent();
}

#[test]
fn all_busy_ports_are_told_at_once() {
    let home = Home::new();
    let taken: Vec<TcpListener> =
        (0..4).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let ports: Vec<String> =
        taken.iter().map(|t| t.local_addr().unwrap().port().to_string()).collect();
    let mut command = mesolith(&["up", &home.data_dir()]);
    let flags = ["--master-port", "--agent-port", "--marathon-port", "--chronos-port"];
    for (flag, port) in flags.iter().zip(&ports) {
        command.arg(format!("{flag}={port}"));
    }
    let said = finish(&mut command);
    assert_eq!(said.code, Some(4), "{said:#?}");
    let me = std::process::id().to_string();
    let ports = ports.iter().map(String::as_str);
    for wanted in ports.chain(flags).chain([me.as_str()]) {
        assert!(said.stderr.contains(wanted), "{wanted} in {said:#?}");
    }
    assert!(!home.data().exists(), "nothing was started");
}

#[test]
fn all_faults_of_all_origins_are_told_at_once() {
    let home = Home::new();
    let file = home.beside("mesolith.toml");
    std::fs::write(&file, "agent_prt = 1\nlogging_level = \"LOUD\"\nip = [1]\n").unwrap();
    let mut command = mesolith(&["up", &home.data_dir(), "--master-port=many"]);
    command.arg(format!("--config={}", file.display()));
    command.env("MESOLITH_ON_EXIT", "explode").env("MESOS_AGENT_PORT", "99999");
    let said = finish(&mut command).ended(1);
    let file = file.display().to_string();
    for wanted in [
        "agent_prt",
        "did you mean agent_port?",
        "LOUD",
        "ip is a",
        &file,
        "many",
        "master_port",
        "MESOLITH_ON_EXIT",
        "explode",
        "keep or kill",
        "MESOS_AGENT_PORT",
        "99999",
    ] {
        assert!(said.stderr.contains(wanted), "{wanted} in {said:#?}");
    }
    assert!(!home.data().exists(), "nothing was started");
    let said = finish(&mut mesolith(&["up", "--dta-dir=x"])).ended(1);
    assert!(said.stderr.contains("--data-dir"), "a near name is told: {said:#?}");
    let said = finish(&mut mesolith(&["up", "--config=/nowhere.toml", &home.data_dir()])).ended(1);
    assert!(said.stderr.contains("/nowhere.toml"), "{said:#?}");
    assert!(!home.data().exists(), "nothing was started");
}

#[test]
fn origins_win_in_their_order() {
    let home = Home::new();
    let file = home.beside("mesolith.toml");
    std::fs::write(&file, "cluster = \"file\"\nhostname = \"file\"\nquiet = false\n").unwrap();
    let mut command = home.command(&["--cluster=flag"]);
    command.arg(format!("--config={}", file.display()));
    command.env("MESOLITH_CLUSTER", "environment").env("MESOLITH_HOSTNAME", "environment");
    let node = super::world::Node::start(&mut command).with_agent();
    assert_eq!(node.state()["cluster"], "flag");
    assert_eq!(node.state()["slaves"][0]["hostname"], "environment");
}

#[test]
fn a_broken_database_is_named_with_the_way_out() {
    for name in ["raft.redb", "agent.redb"] {
        let home = Home::new();
        home.up().with_agent().stop(libc::SIGTERM).ended(0);
        let path = home.data().join(name);
        let good = std::fs::read(&path).unwrap();
        std::fs::write(&path, b"this is no database").unwrap();
        let said = finish(&mut home.command(&[])).ended(2);
        assert!(said.stderr.contains(&path.display().to_string()), "{said:#?}");
        assert!(said.stderr.contains("hint:"), "{said:#?}");
        assert!(!said.stderr.contains("panicked"), "{said:#?}");
        // It left the data as it was: with the file back, all goes on.
        assert_eq!(std::fs::read(&path).unwrap(), b"this is no database");
        std::fs::write(&path, good).unwrap();
        home.up().with_agent();
    }
}

#[test]
fn a_lost_database_of_tasks_that_run_is_not_papered_over() {
    let home = Home::new();
    let node = home.up().with_agent();
    let _scheduler = sleeping(&home, &node, 1);
    node.stop(libc::SIGTERM).ended(0);
    let path = home.data().join("agent.redb");
    std::fs::remove_file(&path).unwrap();
    let said = finish(&mut home.command(&[]));
    assert_eq!(said.code, Some(2), "{said:#?}");
    assert!(said.stderr.contains("agent.redb"), "{said:#?}");
    assert!(said.stderr.contains("hint:"), "{said:#?}");
}

#[test]
fn an_agent_that_is_not_what_it_was_is_told_what_changed() {
    let home = Home::new();
    home.up().with_agent().stop(libc::SIGTERM).ended(0);
    let said = finish(&mut home.command(&["--hostname=elsewhere"])).ended(4);
    assert!(said.stderr.contains("host name changed from 127.0.0.1 to elsewhere"), "{said:#?}");
    assert!(!said.stderr.contains("port changed"), "{said:#?}");
    assert!(said.stderr.contains("agent.redb"), "the way out: {said:#?}");
    // Nothing of it was kept.
    home.up().with_agent();
}
