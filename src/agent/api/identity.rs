//! What an agent's pages say of the agent itself: fixed at start.

use crate::base::time::Wall;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Who this agent is, apart from what its core knows.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Name or address that readers can resolve.
    pub hostname: String,
    /// Address told to others.
    pub ip: IpAddr,
    /// Port told to others.
    pub port: u16,
    /// The master's name, for links in pages.
    pub master_hostname: String,
    /// When the process started.
    pub start_time: Wall,
    /// Folder of log files.
    pub log_dir: Option<String>,
    /// Effective settings, by Mesos's names.
    pub flags: BTreeMap<String, String>,
}

impl Identity {
    /// `slave(1)@ip:port`.
    pub fn pid(&self) -> String {
        match self.ip {
            IpAddr::V4(ip) => format!("slave(1)@{ip}:{}", self.port),
            IpAddr::V6(ip) => format!("slave(1)@[{ip}]:{}", self.port),
        }
    }
}
