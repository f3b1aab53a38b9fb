//! The user ports: bound before anything else starts, served when everything has.

use super::agent;
use super::agent_files::NodeFiles;
use super::cluster::Cluster;
use super::settings::Options;
use super::standalone::Led;
use crate::agent::api as agent_api;
use crate::base::error::{Code, Error, Result};
use crate::cluster::api as cluster_api;
use crate::cluster::gossip::Role;
use crate::cluster::identity::NodeId;
use crate::cluster::link::{FaceName, FaceService, face};
use crate::console::{self, Links, Place, Section};
use crate::http::auth::Realm;
use crate::http::files::{self, FileTable};
use crate::http::leader::LedFace;
use crate::http::{HostPolicy, Running, Server, bind, observe};
use crate::machine::driver::Clock;
use crate::master::api as master_api;
use crate::master::api::identity::Identity;
use crate::master::service::Master;
use crate::security::{Credentials, HttpAuthentication, check_exposure};
use crate::telemetry::{Logging, Metrics};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// The bound ports.
pub struct Doors {
    master: Option<TcpListener>,
    agent: Option<TcpListener>,
    marathon: Option<TcpListener>,
    chronos: Option<TcpListener>,
    /// Between nodes; taken when the node enters its cluster.
    pub cluster: Option<TcpListener>,
    /// Where they are.
    pub addresses: Addresses,
    /// Who asks users.
    pub authentication: HttpAuthentication,
}

/// Where the faces of a node are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// The master's, where it is served.
    pub master: Option<SocketAddr>,
    /// The agent's, where there is one.
    pub agent: Option<SocketAddr>,
    /// Marathon's, where it is served.
    pub marathon: Option<SocketAddr>,
    /// Chronos', where it is served.
    pub chronos: Option<SocketAddr>,
}

impl Addresses {
    /// By what runs there.
    pub fn by_role(&self) -> BTreeMap<Role, SocketAddr> {
        let all = [
            (Role::Master, self.master),
            (Role::Agent, self.agent),
            (Role::Marathon, self.marathon),
            (Role::Chronos, self.chronos),
        ];
        all.into_iter().filter_map(|(role, at)| Some((role, at?))).collect()
    }

    /// Where the pages find each other.
    pub fn links(&self) -> Links {
        let place = |address: SocketAddr| Place::Port(address.port());
        Links {
            mesos: self.master.map(place),
            marathon: self.marathon.map(place),
            chronos: self.chronos.map(place),
        }
    }
}

/// Binds all ports, or none.
///
/// # Errors
/// All that is in the way, a line each: busy ports with who holds them, an open door without authentication.
pub async fn open(options: &Options) -> Result<Doors> {
    let authentication = authentication(options)?;
    let mut faults: Vec<Error> = Vec::new();
    let complete = authentication.is_complete();
    let exposed = SocketAddr::new(options.ip, options.master_port);
    faults.extend(check_exposure(exposed, complete, options.insecure).err());
    let served = options.faces;
    let wanted = [
        (served.master, options.master_port, "--master-port"),
        (options.roles.agent, options.agent_port, "--agent-port"),
        (served.marathon, options.marathon_port, "--marathon-port"),
        (served.chronos, options.chronos_port, "--chronos-port"),
    ];
    let mut bound = [None, None, None, None];
    // An agent that moves cannot keep its id: with any port free to choose, it is the one it had.
    let before = port_before(&options.data_dir);
    let before = before.filter(|_| options.agent_port == 0 && options.roles.agent);
    if let Some(port) = before {
        bound[1] = bind(SocketAddr::new(options.ip, port), "--agent-port").await.ok();
    }
    for (place, (_, port, flag)) in bound.iter_mut().zip(wanted).filter(|(_, (on, ..))| *on) {
        if place.is_some() {
            continue;
        }
        match bind(SocketAddr::new(options.ip, port), flag).await {
            Ok(listener) => *place = Some(listener),
            Err(e) => faults.push(e),
        }
    }
    let between = SocketAddr::new(options.cluster_ip, options.cluster_port);
    let mut cluster = bind(between, "--cluster-port").await;
    if let (Err(_), Some(port)) = (&cluster, options.cluster_port_else) {
        let between = SocketAddr::new(options.cluster_ip, port);
        // That the usual one is taken is what is told when this one is, too.
        cluster = bind(between, "--cluster-port").await.or(cluster);
    }
    let cluster = cluster.map_err(|e| faults.push(e)).ok();
    let [master, agent, marathon, chronos] = bound;
    if !faults.is_empty() {
        return Err(together(faults));
    }
    let address = |listener: &TcpListener| {
        let failed = |e| Error::new(Code::System, format!("a listener has no address: {e}"));
        listener.local_addr().map_err(failed)
    };
    let addresses = Addresses {
        master: master.as_ref().map(address).transpose()?,
        agent: agent.as_ref().map(address).transpose()?,
        marathon: marathon.as_ref().map(address).transpose()?,
        chronos: chronos.as_ref().map(address).transpose()?,
    };
    Ok(Doors { master, agent, marathon, chronos, cluster, addresses, authentication })
}

/// File of the data folder with the port the agent had last.
const PORT_FILE: &str = "agent.port";

fn port_before(data_dir: &Path) -> Option<u16> {
    let text = std::fs::read_to_string(data_dir.join(PORT_FILE)).ok()?;
    text.trim().parse().ok().filter(|port| *port != 0)
}

/// Remembers the agent's port for a next start that names none.
///
/// # Errors
/// [`Code::System`] when it cannot be written.
pub fn remember_port(data_dir: &Path, port: u16) -> Result<()> {
    if port_before(data_dir) == Some(port) {
        return Ok(());
    }
    let path = data_dir.join(PORT_FILE);
    std::fs::write(&path, format!("{port}\n"))
        .map_err(|e| Error::new(Code::System, format!("cannot write {}: {e}", path.display())))
}

/// Several errors as one: the first one's code, all causes and hints.
fn together(faults: Vec<Error>) -> Error {
    let causes: Vec<&str> = faults.iter().map(|e| e.cause.as_str()).collect();
    let hints: Vec<&str> = faults.iter().filter_map(|e| e.hint.as_deref()).collect();
    let code = faults.first().map_or(Code::Internal, |e| e.code);
    let error = Error::new(code, causes.join("\n"));
    if hints.is_empty() { error } else { error.hint(hints.join(" ")) }
}

fn authentication(options: &Options) -> Result<HttpAuthentication> {
    let credentials = match &options.credentials {
        Some(path) => Some(Credentials::load(path)?),
        None => None,
    };
    Ok(HttpAuthentication {
        readonly: options.authenticate_readonly,
        readwrite: options.authenticate_readwrite,
        frameworks: options.authenticate_frameworks,
        credentials,
    })
}

/// What the faces of the master and the agent tell and read.
pub struct About<'a> {
    /// Who this node is.
    pub identity: Arc<Identity>,
    /// Holds the master while this node leads.
    pub leading: watch::Receiver<Option<Master>>,
    /// What is logged, to be changed.
    pub logging: Option<Logging>,
    /// The process's clocks.
    pub clock: Clock,
    /// Who leads.
    pub led: Led,
    /// The node's cluster.
    pub cluster: &'a Cluster,
}

/// The servers that run, and the ways in for requests that other nodes pass on.
pub type Served = (Vec<Running>, BTreeMap<FaceName, FaceService>);

/// Serves all faces.
///
/// # Errors
/// When a realm asks and has no credentials, or a listener cannot be used.
pub fn serve(
    doors: Doors,
    options: &Options,
    about: About<'_>,
    agent: Option<&agent::Role>,
    [marathon, chronos]: [Option<Server>; 2],
) -> Result<Served> {
    let About { identity, leading, logging, clock, led, cluster } = about;
    let log = options.log_dir.as_ref().map(|dir| dir.join("mesolith.log"));
    let own = FileTable::new();
    if let Some(log) = &log {
        own.attach("/master/log", log)?;
        if let Some(agent) = agent {
            agent.files.attach("/slave/log", log)?;
        }
    }
    let (asked, ticks) = (logging.clone(), clock.clone());
    let about = (identity.clone(), cluster, led, ticks);
    let role = agent;
    let agent = match (role, doors.addresses.agent) {
        (Some(agent), Some(at)) => {
            Some(agent_server(&doors, at, options, &identity, agent, logging)?)
        }
        _ => None,
    };
    let elsewhere = NodeFiles::of(cluster, role, agent.as_ref().map(Server::inside));
    let master = match doors.addresses.master {
        Some(at) => Some(master_server(&doors, at, about, leading, elsewhere, asked, own)?),
        None => None,
    };
    let hosts = || HostPolicy::new().name(&options.hostname);
    let (mut running, mut inside) = (Vec::new(), BTreeMap::new());
    let own = [
        (FaceName::Marathon, doors.marathon, marathon),
        (FaceName::Chronos, doors.chronos, chronos),
        (FaceName::Master, doors.master, master),
        (FaceName::Agent, doors.agent, agent),
    ];
    for (name, listener, server) in own {
        if let (Some(listener), Some(server)) = (listener, server) {
            let server = server.hosts(hosts());
            inside.insert(name, face(server.inside()));
            running.push(server.start(listener)?);
        }
    }
    Ok((running, inside))
}

fn master_server(
    doors: &Doors,
    at: SocketAddr,
    (identity, cluster, led, clock): (Arc<Identity>, &Cluster, Led, Clock),
    leading: watch::Receiver<Option<Master>>,
    elsewhere: NodeFiles,
    logging: Option<Logging>,
    own: FileTable,
) -> Result<Server> {
    let metrics = Metrics::new().with_system();
    let asks = &doors.authentication;
    let realm = |name: &str, on| Realm::configured(name, on, asks, &metrics);
    let realms = master_api::Realms {
        readonly: realm("mesos-master-readonly", asks.readonly)?,
        readwrite: realm("mesos-master-readwrite", asks.readwrite)?,
        scheduler: realm("mesos-master-scheduler", asks.frameworks)?,
    };
    master_api::metrics::bridge(&metrics, leading.clone(), clock.clone());
    let led = led.before(LedFace::Master, &identity.hostname, at.port(), &metrics);
    let ruling = leading.clone();
    let api = master_api::Api::new(leading, identity, clock).led(led.clone()).showing(
        own.clone(),
        metrics.clone(),
        logging.clone(),
    );
    let nodes = cluster_api::Api {
        me: cluster.link.node(),
        seat: cluster.company.seat.subscribe(),
        leader: cluster.leader.clone(),
        steering: cluster.company.steering.subscribe(),
        gossip: cluster.gossip.clone(),
        policy: cluster.company.policy.clone(),
        agents: agent_ids(ruling),
    };
    let face = master_api::face(api.clone(), &realms)
        .with(cluster_api::face(nodes, &realms.readonly, &realms.readwrite).led_by(Some(&led)))
        .with(console::face(Section::Mesos, &doors.addresses.links()))
        .with(master_api::files::face(api, own, Arc::new(elsewhere), &realms))
        .with(observe::routes(&metrics, logging, &realms.readonly, &realms.readwrite));
    Ok(Server::new("master", face).metrics(&metrics))
}

/// Which agents are on which nodes, as the master knows while it leads.
fn agent_ids(leading: watch::Receiver<Option<Master>>) -> cluster_api::AgentIds {
    Arc::new(move || {
        let master = leading.borrow().clone();
        Box::pin(async move {
            let Some(master) = master else { return BTreeMap::new() };
            // One that has just ended knows of none.
            let of_nodes = master.handle().look(|core| core.agents_by_node()).await;
            let of_nodes = of_nodes.unwrap_or_default().into_iter();
            of_nodes.map(|(node, agent)| (NodeId(node.0), agent.to_string())).collect()
        })
    })
}

fn agent_server(
    doors: &Doors,
    at: SocketAddr,
    options: &Options,
    identity: &Identity,
    role: &agent::Role,
    logging: Option<Logging>,
) -> Result<Server> {
    let metrics = Metrics::new().with_system();
    let asks = &doors.authentication;
    let realm = |name: &str, on| Realm::configured(name, on, asks, &metrics);
    let realms = agent_api::Realms {
        readonly: realm("mesos-agent-readonly", asks.readonly)?,
        readwrite: realm("mesos-agent-readwrite", asks.readwrite)?,
        // Executors prove nothing yet: they are this machine's own, started by this agent.
        executor: Realm::open("mesos-agent-executor"),
    };
    agent_api::metrics::bridge(&metrics, role.agent.clone());
    let about = agent_api::identity::Identity {
        hostname: options.hostname.clone(),
        ip: at.ip(),
        port: at.port(),
        master_hostname: identity.hostname.clone(),
        start_time: identity.start_time,
        log_dir: identity.log_dir.clone(),
        flags: identity.flags.clone(),
    };
    let (agent, containerizer, images) =
        (role.agent.clone(), role.containerizer.clone(), role.images.clone());
    let api = agent_api::Api::new(agent, containerizer, images, Arc::new(about)).showing(
        role.files.clone(),
        metrics.clone(),
        logging.clone(),
    );
    let face = agent_api::face(api, &realms)
        .with(console::face(Section::Agent, &doors.addresses.links()))
        .with(files::routes(role.files.clone(), None, &realms.readonly))
        .with(observe::routes(&metrics, logging, &realms.readonly, &realms.readwrite));
    Ok(Server::new("agent", face).metrics(&metrics))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Sources;
    use std::collections::BTreeMap;

    #[tokio::test]
    async fn without_a_named_port_the_agent_has_the_one_it_had_while_that_is_free() {
        let dir = tempfile::tempdir().expect("a folder");
        let flags = [
            ("data_dir", dir.path().to_string_lossy().into_owned()),
            ("master_port", "0".into()),
            ("agent_port", "0".into()),
            ("cluster_port", "0".into()),
            ("node_roles", "master,agent".into()),
        ];
        let flags = flags.map(|(name, text)| (name.to_string(), text)).into();
        let options = super::super::settings::read(&Sources::default(), &BTreeMap::new(), &flags);
        let options = options.expect("good settings");
        let first = open(&options).await.expect("two free ports");
        let had = first.addresses.agent.expect("an agent").port();
        remember_port(dir.path(), had).expect("written");
        let other = open(&options).await.expect("others, for that one is taken");
        assert_ne!(other.addresses.agent.expect("an agent").port(), had);
        drop((first, other));
        let again = open(&options).await.expect("free again");
        assert_eq!(again.addresses.agent.expect("an agent").port(), had);
        std::fs::write(dir.path().join(PORT_FILE), "nonsense").expect("written");
        drop(open(&options).await.expect("what cannot be read is not used"));
    }
}
