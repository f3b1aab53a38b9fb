//! A cluster whose nodes are not all of one version: this program's, and one that speaks the next version of the link too.

use super::cluster::{agents, cluster_address, leader, seen, standing, try_token};
use super::world::{Home, Node, until};
use mesolith::cluster::link::{VERSIONS, Versions};
use mesolith::config::Sources;
use mesolith::node::{self, settings};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::mpsc;

/// The version after this one: it still speaks this one.
const NEXT: Versions = Versions { oldest: VERSIONS.newest, newest: VERSIONS.newest + 1 };

/// A node of another version within this process, until it is dropped.
struct Within {
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Within {
    fn start(home: &Home, join: &Node, token: &str, wire: Versions) -> Self {
        let flags = [
            ("data_dir", home.data().display().to_string()),
            ("master_port", "0".into()),
            ("agent_port", "0".into()),
            ("cluster_port", "0".into()),
            ("cluster_ip", "127.0.0.1".into()),
            ("node_roles", "master".into()),
            ("quiet", "true".into()),
            ("join", cluster_address(join)),
            ("token", token.into()),
        ];
        let flags = flags.map(|(name, text)| (name.to_string(), text)).into();
        let mut options =
            settings::read(&Sources::default(), &BTreeMap::new(), &flags).expect("good settings");
        options.wire = wire;
        let (up, is_up) = mpsc::channel();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            let runtime = node::io_runtime().expect("a runtime");
            runtime.block_on(async move {
                let node = node::start(options, &|_: &str| {}).await;
                up.send(node.as_ref().err().map(|e| e.to_string())).expect("waited for");
                let Ok(node) = node else { return };
                // Dropped is stopped, too.
                let _ = stopped.await;
                node.stop(false).await.expect("stops");
            });
            runtime.shutdown_background();
        });
        let refused = is_up.recv().expect("it says how it went");
        assert_eq!(refused, None);
        Self { stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for Within {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // Its own failure is told by itself.
            let _ = thread.join();
        }
    }
}

#[test]
fn nodes_of_neighbouring_versions_are_one_cluster() {
    let homes = [(); 2].map(|()| Home::new());
    let first = homes[0].up().with_agent();
    let token = || {
        let made = try_token(&first, json!({})).expect("a token");
        made["token"].as_str().unwrap().to_string()
    };
    let second = homes[1].up_with(&[
        &format!("--join={}", cluster_address(&first)),
        &format!("--token={}", token()),
    ]);
    let newer = Home::new();
    let within = Within::start(&newer, &first, &token(), NEXT);
    until("all three vote", || {
        standing(&first, "voter") == 2 && standing(&first, "leader") == 1 && agents(&first) == 2
    });
    first.ask(&["execute", "--name=t", "--command=true"]).ended(0);
    // One after the other is restarted, the leader too; tasks are started all the time.
    let mut nodes = vec![first, second];
    for n in 0..2 {
        let port = cluster_address(&nodes[n]);
        let port = format!("--cluster-port={}", port.rsplit_once(':').unwrap().1);
        let old = nodes.remove(n);
        assert_eq!(old.stop(libc::SIGTERM).code, Some(0));
        nodes.insert(n, homes[n].up_with(&[&port]));
        until("all three vote again", || {
            standing(&nodes[n], "voter") == 2 && standing(&nodes[n], "leader") == 1
        });
        until("its agent is back", || agents(&nodes[n]) == 2);
        nodes[n].ask(&["execute", "--name=t", "--command=true"]).ended(0);
    }
    drop(within);
    until("the newer one is missed, and the others go on", || {
        let nodes_seen = seen(&nodes[0]);
        let listed = nodes_seen["nodes"].as_array().into_iter().flatten();
        leader(&nodes).is_some() && listed.filter(|n| n["alive"] == true).count() == 2
    });
    nodes[0].ask(&["execute", "--name=t", "--command=true"]).ended(0);
}

#[test]
fn versions_that_are_too_far_apart_say_so() {
    let first = Home::new();
    let first = first.up().with_agent();
    let made = try_token(&first, json!({})).expect("a token");
    let far = Versions { oldest: VERSIONS.newest + 1, newest: VERSIONS.newest + 2 };
    let newer = Home::new();
    let token = made["token"].as_str().unwrap().to_string();
    let refused = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        Within::start(&newer, &first, &token, far)
    }));
    let why = refused.err().and_then(|why| why.downcast::<String>().ok()).expect("not let in");
    assert!(why.contains("versions are too far apart"), "{why}");
}
