//! Apps of a cluster, and the processes they are.

use super::ask::MARATHON;
use super::node::until;
use super::world::{World, host_number};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What becomes of instances on nodes that are lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    ReplacedAtOnce,
    WaitedFor,
}

impl World {
    /// A command that can be told from all others on the machine, and sleeps for days.
    pub fn sleeper(&self, n: u64) -> String {
        format!("sleep {}.{n:03}", self.marker)
    }

    /// Deploys an app of such commands, an equal part on each host. Instances on lost nodes are replaced at once, or
    /// after minutes.
    #[track_caller]
    pub fn deploy(&self, node: usize, id: &str, n: u64, instances: usize, lost: Lost) {
        let mut app = json!({
            "id": id, "cmd": format!("exec {}", self.sleeper(n)), "instances": instances,
            "cpus": 0.1, "mem": 16, "constraints": [["hostname", "GROUP_BY"]],
        });
        // The default is at once, too.
        if lost == Lost::WaitedFor {
            app["unreachableStrategy"] =
                json!({"inactiveAfterSeconds": 300, "expungeAfterSeconds": 600});
        }
        let answer = self.ask(node, MARATHON, "POST /v2/apps", &app.to_string()).unwrap();
        assert_eq!(answer.status, 201, "{answer:?}");
        until(&format!("{instances} of {id} run"), || self.running(node, id).len() == instances);
    }

    /// The tasks of an app that run, as the node is told, and on which host.
    pub fn running(&self, asked: usize, id: &str) -> BTreeMap<String, usize> {
        let seen = self.look(asked, MARATHON, &format!("/v2/apps{id}/tasks"));
        let all = seen["tasks"].as_array().into_iter().flatten();
        let running = all.filter(|task| task["state"] == "TASK_RUNNING");
        let host = |task: &Value| host_number(task["host"].as_str().unwrap_or_default());
        running.map(|task| (task["id"].as_str().unwrap().to_string(), host(task))).collect()
    }

    /// The processes of a sleeper on every host: pid → task id.
    pub fn processes(&self, n: u64) -> BTreeMap<i32, String> {
        let command = self.sleeper(n);
        self.nodes.iter().flat_map(|node| node.tasks(&command)).collect()
    }

    /// The same, counted by host.
    pub fn spread(&self, n: u64) -> BTreeMap<usize, usize> {
        let command = self.sleeper(n);
        let each = self.nodes.iter().map(|node| (node.host.number(), node.tasks(&command).len()));
        each.filter(|(_, count)| *count > 0).collect()
    }
}
