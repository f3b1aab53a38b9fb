//! The nodes of the cluster as a master's port tells them: asked for, and found by what people call them.
//! Knows nothing of tasks and resources: those are in the master's state.

use super::client::{Client, encode};
use super::output::{Format, list, text};
use super::watch::Interrupt;
use crate::base::error::{Code, Error, Result};
use serde_json::Value;

/// Where a node tells what it knows of the cluster.
pub const PATH: &str = "/mesolith/v1/cluster";
/// So many of several nodes are named in an error.
const NAMED_MAX: usize = 5;

/// What the verbs about nodes work with.
#[derive(Clone, Copy)]
pub struct Ask<'a> {
    /// The master's port of a node.
    pub master: &'a Client,
    /// How to print.
    pub format: Format,
    /// What Ctrl-C says.
    pub interrupt: &'a Interrupt,
}

/// What the node knows of the cluster.
///
/// # Errors
/// As [`Client::get`]; [`Code::NotFound`] when it is no node of a cluster at all.
pub async fn fetch(master: &Client) -> Result<Value> {
    master.get(PATH, &[]).await.map_err(|e| no_cluster(master, e))
}

/// What it means that an endpoint which every node of a cluster has is not there.
pub fn no_cluster(master: &Client, e: Error) -> Error {
    if e.code != Code::NotFound {
        return e;
    }
    let cause = format!("the master at {} knows of no cluster of nodes", master.base());
    Error::new(Code::NotFound, cause)
        .hint("it is an older mesolith, or Mesos itself: see `mesolith status`")
}

/// The path of what is done to a node; `verb` is empty for the node itself.
pub fn path(id: &str, verb: &str) -> String {
    let node = format!("{PATH}/nodes/{}", encode(id));
    if verb.is_empty() { node } else { format!("{node}/{verb}") }
}

/// The node with this very id.
pub fn by_id<'a>(cluster: &'a Value, id: &str) -> Option<&'a Value> {
    list(cluster, "nodes").iter().find(|n| n["node"] == id)
}

/// The one node that is called so: by its id or its agent's, by a beginning of one of them, or by its host name.
///
/// # Errors
/// [`Code::NotFound`]; [`Code::Conflict`] when several are.
pub fn find<'a>(cluster: &'a Value, wanted: &str) -> Result<&'a Value> {
    let nodes = list(cluster, "nodes");
    if let Some(exact) = nodes.iter().find(|n| n["node"] == wanted || n["agent_id"] == wanted) {
        return Ok(exact);
    }
    // Ids are written in small letters; host names do not differ by case.
    let small = wanted.to_ascii_lowercase();
    let begins = |n: &Value, key| !small.is_empty() && text(n, key).starts_with(&small);
    let called = |n: &&Value| {
        begins(n, "node")
            || begins(n, "agent_id")
            || (!wanted.is_empty() && text(n, "hostname").eq_ignore_ascii_case(wanted))
    };
    let found: Vec<&Value> = nodes.iter().filter(called).collect();
    match found.as_slice() {
        [one] => Ok(one),
        [] => Err(Error::new(Code::NotFound, format!("there is no node {wanted:?}"))
            .hint("list them with `mesolith node ls`")),
        several => {
            let mut named: Vec<String> = several.iter().take(NAMED_MAX).map(|n| name(n)).collect();
            if several.len() > NAMED_MAX {
                named.push("…".into());
            }
            let cause = format!("{} nodes match {wanted:?}: {}", several.len(), named.join(", "));
            Err(Error::new(Code::Conflict, cause).hint("give more of the id"))
        }
    }
}

/// A node in a sentence: `n1 (1f2e3d4c5b6a7988)`.
pub fn name(node: &Value) -> String {
    match text(node, "hostname") {
        host if host.is_empty() => text(node, "node"),
        host => format!("{host} ({})", text(node, "node")),
    }
}

/// What people call it: its host name, or its id while that is not known.
pub fn host(node: &Value) -> String {
    match text(node, "hostname") {
        host if host.is_empty() => text(node, "node"),
        host => host,
    }
}

/// What runs on it, as one word where it is everything.
pub fn roles(node: &Value) -> String {
    const ALL: [&str; 4] = ["master", "agent", "marathon", "chronos"];
    let roles: Vec<&str> = list(node, "roles").iter().filter_map(Value::as_str).collect();
    match ALL.iter().all(|role| roles.contains(role)) {
        true => "all".into(),
        false => roles.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn cluster() -> Value {
        json!({"nodes": [
            {"node": "a1b2c3d4e5f60718", "hostname": "n1", "agent_id": "77aa-S0"},
            {"node": "a1ffffffffffffff", "hostname": "n2.example", "agent_id": "77aa-S1"},
            {"node": "b000000000000000", "hostname": "a1b2", "agent_id": null},
            {"node": "c000000000000000", "hostname": "twin", "agent_id": "77aa-S10"},
            {"node": "d000000000000000", "hostname": "twin", "agent_id": null},
        ]})
    }

    #[test]
    fn a_node_is_found_by_what_it_is_called_if_that_is_one() {
        let cluster = cluster();
        let found = |wanted: &str| match find(&cluster, wanted) {
            Ok(node) => text(node, "node")[..2].to_string(),
            Err(e) => format!("{:?}", e.code),
        };
        for (wanted, expected) in [
            ("a1b2c3d4e5f60718", "a1"),
            ("a1f", "a1"),
            ("A1FF", "a1"),
            ("b", "b0"),
            ("n1", "a1"),
            ("N2.Example", "a1"),
            // The id of an agent that is the beginning of another one.
            ("77aa-S1", "a1"),
            ("77aa-S10", "c0"),
            ("a1", "Conflict"),
            // A host name that another node's id begins with names neither.
            ("a1b2", "Conflict"),
            ("twin", "Conflict"),
            ("77aa", "Conflict"),
            ("n", "NotFound"),
            ("n2", "NotFound"),
            ("", "NotFound"),
            ("a1b2c3d4e5f607180", "NotFound"),
        ] {
            assert_eq!(found(wanted), expected, "{wanted:?}");
        }
        assert_eq!(text(find(&cluster, "n1").unwrap(), "node"), "a1b2c3d4e5f60718");
        let error = find(&cluster, "twin").unwrap_err();
        assert_eq!(
            error.cause,
            "2 nodes match \"twin\": twin (c000000000000000), twin (d000000000000000)"
        );
        assert_eq!(error.hint.as_deref(), Some("give more of the id"));
    }

    #[test]
    fn nobody_is_called_by_nothing() {
        let nameless = json!({"nodes": [{"node": "a000000000000000", "hostname": ""}]});
        assert_eq!(find(&nameless, "").unwrap_err().code, Code::NotFound);
        assert_eq!(name(&nameless["nodes"][0]), "a000000000000000");
    }
}
