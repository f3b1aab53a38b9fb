//! Which containers listen on which TCP ports of the agent's own network, by what the kernel says of sockets and of who
//! holds them. What that means is decided by the core.

use super::containerizer::Containerizer;
use crate::base::ids::ContainerId;
use crate::base::resources::Ranges;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

/// The kernel's number of the state in which connections are waited for.
const LISTEN: &str = "0A";
/// Its tables of sockets, of the agent's network.
const TABLES: [&str; 2] = ["/proc/self/net/tcp", "/proc/self/net/tcp6"];

/// Looks, at those of the containers that are in the agent's network.
pub async fn listening(
    containerizer: Arc<dyn Containerizer>,
    mut containers: Vec<ContainerId>,
) -> Vec<(ContainerId, Ranges)> {
    containers.retain(|id| containerizer.network(id).is_none());
    let look = move || {
        let sockets: HashMap<u64, u16> = TABLES
            .iter()
            .filter_map(|table| std::fs::read_to_string(table).ok())
            .flat_map(|text| listeners(&text))
            .collect();
        let of = |id: ContainerId| {
            let processes = containerizer.processes(&id);
            let ports = processes.iter().flat_map(|pid| held(*pid, &sockets));
            let ports = Ranges::new(ports.map(|port| (u64::from(port), u64::from(port))));
            (!ports.is_empty()).then_some((id, ports))
        };
        containers.into_iter().filter_map(of).collect()
    };
    tokio::task::spawn_blocking(look).await.unwrap_or_else(|e| {
        tracing::error!("cannot look at ports: {e}");
        Vec::new()
    })
}

/// The sockets of a table of the kernel's that wait for connections: inode and port.
fn listeners(text: &str) -> Vec<(u64, u16)> {
    text.lines()
        .skip(1)
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let (local, state, inode) = (fields.get(1)?, fields.get(3)?, fields.get(9)?);
            let port = local.rsplit_once(':')?.1;
            let port = u16::from_str_radix(port, 16).ok()?;
            (*state == LISTEN).then_some((inode.parse().ok()?, port))
        })
        .collect()
}

/// The ports of those sockets that a process holds. One that is gone holds none.
fn held(pid: i32, sockets: &HashMap<u64, u16>) -> Vec<u16> {
    let port = |path: &Path| {
        let link = std::fs::read_link(path).ok()?;
        let inode = link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?;
        sockets.get(&inode.parse().ok()?).copied()
    };
    let files = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    files.filter_map(|file| port(&file.path())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_for_connections_is_found_by_its_port() {
        let text = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
             0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 101 1 0 100\n\
             1: 0100007F:1F91 0100007F:1F90 01 00000000:00000000 00:00000000 00000000     0        0 102 1 0 20\n\
             2: broken\n";
        assert_eq!(listeners(text), [(101, 8080)]);
        let six = "head\n   0: 00000000000000000000000000000000:7918 0:0 0A 0:0 0:0 0 0 0 103 1\n";
        assert_eq!(listeners(six), [(103, 31_000)]);
    }

    #[test]
    fn a_process_holds_its_own_sockets() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let text = std::fs::read_to_string(TABLES[0]).expect("a table");
        let sockets: HashMap<u64, u16> = listeners(&text).into_iter().collect();
        let own = i32::try_from(std::process::id()).expect("small");
        assert!(held(own, &sockets).contains(&port));
        drop(listener);
        assert!(!held(own, &sockets).contains(&port));
    }
}
