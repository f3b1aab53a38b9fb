//! Who this master is, and the ids it hands out.

use crate::base::ids::{AgentId, FrameworkId, OfferId};
use crate::base::time::Wall;
use crate::mesos::v1;

/// One incarnation of the leading master.
#[derive(Clone, Debug)]
pub struct Identity {
    /// A random uuid, new for every incarnation: all ids it makes begin with it.
    pub master_id: String,
    /// Carried by every message to an agent: the log index of the entry that made it the leader.
    pub epoch: u64,
    /// Its address as text, e.g. `127.0.0.1`.
    pub ip: String,
    /// Its name, an address unless one was configured.
    pub hostname: String,
    /// Of its HTTP API.
    pub port: u16,
    /// Digits and dots, as `/version` says.
    pub version: String,
    /// Where it stands, if told.
    pub domain: Option<v1::DomainInfo>,
}

impl Identity {
    /// As SUBSCRIBED and `/state` tell it.
    pub fn master_info(&self) -> v1::MasterInfo {
        use v1::master_info::{Capability, capability};
        let capability = |kind: capability::Type| Capability { r#type: Some(kind as i32) };
        v1::MasterInfo {
            id: self.master_id.clone(),
            ip: ipv4(&self.ip),
            port: u32::from(self.port),
            pid: Some(format!("master@{}:{}", self.ip, self.port)),
            hostname: Some(self.hostname.clone()),
            version: Some(self.version.clone()),
            address: Some(v1::Address {
                hostname: Some(self.hostname.clone()),
                ip: Some(self.ip.clone()),
                port: i32::from(self.port),
            }),
            domain: self.domain.clone(),
            capabilities: vec![
                capability(capability::Type::AgentUpdate),
                capability(capability::Type::AgentDraining),
            ],
        }
    }
}

/// `MasterInfo.ip` holds the four bytes of an address in network order, read as a little-endian
/// number; 0 for what is no IPv4 address (`address` is what readers go by).
fn ipv4(text: &str) -> u32 {
    let mut bytes = [0u8; 4];
    let mut parts = text.split('.');
    for byte in &mut bytes {
        match parts.next().and_then(|part| part.parse().ok()) {
            Some(value) => *byte = value,
            None => return 0,
        }
    }
    if parts.next().is_some() { 0 } else { u32::from_le_bytes(bytes) }
}

/// This incarnation's counters. They start at 0; the uuid in front makes the ids unique.
#[derive(Debug)]
pub(super) struct Mint {
    uuid: String,
    frameworks: u64,
    agents: u64,
    offers: u64,
    /// When this master was elected.
    pub elected: Wall,
}

impl Mint {
    pub fn new(uuid: &str, elected: Wall) -> Self {
        Self { uuid: uuid.to_string(), frameworks: 0, agents: 0, offers: 0, elected }
    }

    pub fn framework(&mut self) -> FrameworkId {
        let id = FrameworkId::from(format!("{}-{:04}", self.uuid, self.frameworks));
        self.frameworks += 1;
        id
    }

    pub fn agent(&mut self) -> AgentId {
        let id = AgentId::from(format!("{}-S{}", self.uuid, self.agents));
        self.agents += 1;
        id
    }

    pub fn offer(&mut self) -> OfferId {
        let id = OfferId::from(format!("{}-O{}", self.uuid, self.offers));
        self.offers += 1;
        id
    }
}
