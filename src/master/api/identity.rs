//! What a master's pages say of the master itself: fixed at start.

use crate::base::time::Wall;
use std::collections::BTreeMap;

/// Who this master is, apart from what its core knows.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Name or address that readers can resolve.
    pub hostname: String,
    /// Address told to others.
    pub ip: std::net::IpAddr,
    /// Port told to others.
    pub port: u16,
    /// Display name of the cluster.
    pub cluster: Option<String>,
    /// Folder of log files.
    pub log_dir: Option<String>,
    /// When the process started.
    pub start_time: Wall,
    /// Effective settings, by Mesos's names.
    pub flags: BTreeMap<String, String>,
}

impl Identity {
    /// `master@ip:port`.
    pub fn pid(&self) -> String {
        match self.ip {
            std::net::IpAddr::V4(ip) => format!("master@{ip}:{}", self.port),
            std::net::IpAddr::V6(ip) => format!("master@[{ip}]:{}", self.port),
        }
    }
}
