//! What the engine says of a container, read from its own JSON: other versions leave out or add what they like.

use crate::agent::containerizer::record::{ExitRecord, OomInfo};
use crate::agent::core::docker::Inspected;
use crate::base::time::Wall;
use serde_json::Value;

/// One container's account.
#[derive(Clone, Debug)]
pub(super) struct Account {
    json: Vec<u8>,
    value: Value,
}

impl Account {
    /// Reads an answer of the engine; none if it is no JSON.
    pub fn read(json: Vec<u8>) -> Option<Self> {
        let value = serde_json::from_slice(&json).ok()?;
        Some(Self { json, value })
    }

    fn text(&self, pointer: &str) -> Option<&str> {
        self.value.pointer(pointer)?.as_str().filter(|text| !text.is_empty())
    }

    fn number(&self, pointer: &str) -> Option<i64> {
        self.value.pointer(pointer)?.as_i64()
    }

    fn flag(&self, pointer: &str) -> bool {
        self.value.pointer(pointer).and_then(Value::as_bool).unwrap_or(false)
    }

    /// `created`, `running`, `exited` and so on.
    pub fn status(&self) -> &str {
        self.text("/State/Status").unwrap_or_default()
    }

    /// Whether it has ended.
    pub fn has_ended(&self) -> bool {
        matches!(self.status(), "exited" | "dead" | "removing")
    }

    /// The engine's id of it.
    pub fn id(&self) -> &str {
        self.text("/Id").unwrap_or_default()
    }

    /// The first process.
    pub fn pid(&self) -> Option<i32> {
        self.number("/State/Pid").and_then(|pid| i32::try_from(pid).ok()).filter(|pid| *pid > 0)
    }

    /// The memory limit, in bytes.
    pub fn memory(&self) -> Option<u64> {
        self.number("/HostConfig/Memory").and_then(|n| u64::try_from(n).ok()).filter(|n| *n > 0)
    }

    /// What ends it politely: a name or a number.
    pub fn stop_signal(&self) -> &str {
        self.text("/Config/StopSignal").unwrap_or("SIGTERM")
    }

    /// Whether it has a network of its own.
    pub fn own_network(&self) -> bool {
        self.text("/HostConfig/NetworkMode") != Some("host")
    }

    /// Whether it has a terminal.
    pub fn tty(&self) -> bool {
        self.flag("/Config/Tty")
    }

    /// A label's value.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.value.pointer("/Config/Labels")?.get(name)?.as_str()
    }

    /// How it ended.
    pub fn exit(&self, now: Wall) -> ExitRecord {
        let code = self.number("/State/ExitCode").and_then(|code| i32::try_from(code).ok());
        let limit = self.memory();
        // It may have lost a process and gone on to a good end.
        let oom = self.flag("/State/OOMKilled") && code != Some(0);
        ExitRecord {
            status: code.map(wait_status),
            oom: oom.then(|| OomInfo {
                limit_bytes: limit.unwrap_or(0),
                // What it used last is gone with its cgroup; it was all it had.
                max_usage_bytes: limit.unwrap_or(0),
                memory_stat: String::new(),
            }),
            pids: None,
            at: now,
        }
    }

    /// For statuses of tasks.
    pub fn inspected(&self) -> Inspected {
        let mut json = Vec::with_capacity(self.json.len() + 2);
        json.push(b'[');
        json.extend_from_slice(self.json.trim_ascii());
        json.push(b']');
        let networks = self.value.pointer("/NetworkSettings/Networks").and_then(Value::as_object);
        let mut addresses = Vec::new();
        let mut network = None;
        for (name, endpoint) in networks.into_iter().flatten() {
            for field in ["IPAddress", "GlobalIPv6Address"] {
                let address = endpoint.get(field).and_then(Value::as_str).unwrap_or_default();
                if !address.is_empty() {
                    addresses.push(address.to_string());
                    network.get_or_insert_with(|| name.clone());
                }
            }
        }
        Inspected { json, addresses, network }
    }
}

/// A raw wait status of a process that exited with that code.
pub(super) fn wait_status(code: i32) -> i32 {
    (code & 0xff) << 8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(value: &Value) -> Account {
        Account::read(value.to_string().into_bytes()).expect("JSON")
    }

    #[test]
    fn ends_are_read() {
        let ended = account(&serde_json::json!({
            "State": {"Status": "exited", "ExitCode": 137, "OOMKilled": true, "Pid": 0},
            "HostConfig": {"Memory": 64, "NetworkMode": "host"},
        }));
        let exit = ended.exit(Wall(1));
        assert_eq!(exit.status, Some(137 << 8));
        assert_eq!(exit.oom.expect("out of memory").limit_bytes, 64);
        assert!(ended.has_ended() && ended.pid().is_none() && !ended.own_network());
        let fine = account(&serde_json::json!({"State": {"ExitCode": 0, "OOMKilled": true}}));
        assert_eq!(fine.exit(Wall(1)).oom, None);
    }

    #[test]
    fn addresses_are_read() {
        let runs = account(&serde_json::json!({"NetworkSettings": {"Networks": {
            "bridge": {"IPAddress": "172.17.0.2", "GlobalIPv6Address": ""}}}}));
        let inspected = runs.inspected();
        assert_eq!(inspected.addresses, ["172.17.0.2"]);
        assert_eq!(inspected.network.as_deref(), Some("bridge"));
        let list: Vec<Value> = serde_json::from_slice(&inspected.json).expect("a list");
        assert_eq!(list.len(), 1);
    }
}
