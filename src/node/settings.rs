//! The node's own settings, and all settings of `mesolith up` together.

use crate::base::settings::{Kind, Setting, Values};
use crate::cluster::consensus::Pace;
use crate::cluster::identity::{OpenDoor, Token};
use crate::cluster::link::join::seed;
use crate::cluster::link::{VERSIONS, Versions};
use crate::config::ancestors::{Ensemble, ensemble, quorum_note};
use crate::config::{self, Flags, Sources};
use crate::framework::masters::{self, Named};
use crate::{agent, chronos, marathon, master};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

const DATA_DIR: Setting = Setting::new(
    "data_dir",
    Kind::Text,
    "Where everything is kept (default: /var/lib/mesolith as root, else ~/.local/share/mesolith)",
)
.also(&["work_dir"]);
const EPHEMERAL: Setting = Setting::new(
    "ephemeral",
    Kind::Bool,
    "Keep nothing: a temporary data folder, tasks end with it",
)
.or("false");
const ON_EXIT: Setting = Setting::new(
    "on_exit",
    Kind::Text,
    "What becomes of tasks when this stops: keep (they go on) or kill",
);
const IP: Setting =
    Setting::new("ip", Kind::Text, "Address that people and frameworks connect to").or("127.0.0.1");
const HOSTNAME: Setting = Setting::new(
    "hostname",
    Kind::Text,
    "Name or address told to others; it must resolve for them (default: --ip; of a node that joins, its address)",
);
const MASTER_PORT: Setting =
    Setting::new("master_port", Kind::Number, "Port of the Mesos master").or("5050");
const AGENT_PORT: Setting =
    Setting::new("agent_port", Kind::Number, "Port of the Mesos agent").or("5051");
const MARATHON_PORT: Setting =
    Setting::new("marathon_port", Kind::Number, "Port of Marathon").or("8080");
const CHRONOS_PORT: Setting =
    Setting::new("chronos_port", Kind::Number, "Port of Chronos").or("4400");
const CLUSTER_PORT: Setting = Setting::new(
    "cluster_port",
    Kind::Number,
    "Port between nodes: the only one a firewall between them must open",
)
.or("5052");
const CLUSTER_IP: Setting = Setting::new(
    "cluster_ip",
    Kind::Text,
    "Address that other nodes connect to (default: all of this machine)",
)
.or("0.0.0.0");
const JOIN: Setting = Setting::new(
    "join",
    Kind::Text,
    "Join the cluster of the node at HOST[:PORT]; several with commas, any member will do",
);
const TOKEN: Setting = Setting::new(
    "token",
    Kind::Text,
    "What lets this node into the cluster: `mesolith token create` on a member makes one",
);
const ZONE: Setting =
    Setting::new("zone", Kind::Text, "Failure domain of this node; voters are spread over them");
const VOTERS_MAX: Setting = Setting::new(
    "voters_max",
    Kind::Number,
    "How many nodes vote when there are enough: 1, 3, 5 or 7",
)
.or("5");
const ELECTION_TIMEOUT: Setting = Setting::new(
    "election_timeout",
    Kind::Duration,
    "How long a leader may be silent before voters elect another: alike on all nodes, over four times the way between them and back",
)
.or("300ms");
/// Where others listen unless told otherwise.
const CLUSTER_PORT_USUAL: u16 = 5052;
const ROLES: Setting = Setting::new(
    "node_roles",
    Kind::Text,
    "What runs here, with commas: master, agent, and of the frameworks marathon, chronos",
)
.or("master,agent,marathon,chronos")
.typed("roles");
const USER_PORTS: Setting = Setting::new(
    "user_ports",
    Kind::Text,
    "Which user ports are served: all (what runs elsewhere is passed on to the leader), or own",
)
.or("all");
const ZK: Setting = Setting::new(
    "zk",
    Kind::Text,
    "Masters in the manner of Mesos, zk://HOST,…/mesos: they are joined, the first of them founds the cluster",
);
const QUORUM: Setting = Setting::new(
    "quorum",
    Kind::Number,
    "As in Mesos; voters are counted by themselves, a quorum that disagrees is told",
);
const INSECURE: Setting =
    Setting::new("insecure", Kind::Bool, "Listen beyond this machine without asking who is there")
        .or("false");
const AUTH_READONLY: Setting =
    Setting::new("authenticate_http_readonly", Kind::Bool, "Ask who is reading").or("false");
const AUTH_READWRITE: Setting =
    Setting::new("authenticate_http_readwrite", Kind::Bool, "Ask who is changing things")
        .or("false");
const AUTH_FRAMEWORKS: Setting =
    Setting::new("authenticate_http_frameworks", Kind::Bool, "Ask frameworks who they are")
        .or("false")
        .also(&["authenticate_frameworks"]);
const CREDENTIALS: Setting =
    Setting::new("credentials", Kind::Text, "JSON file of principals and secrets");
const LOG_DIR: Setting = Setting::new(
    "log_dir",
    Kind::Text,
    "Write log files here; readable as /master/log and /slave/log",
);
const LOGGING_LEVEL: Setting =
    Setting::new("logging_level", Kind::Text, "INFO, WARNING, ERROR or DEBUG").or("WARNING");
const QUIET: Setting =
    Setting::new("quiet", Kind::Bool, "Nothing but errors on stderr").or("false");

/// The node's own settings.
pub const SETTINGS: &[Setting] = &[
    DATA_DIR,
    EPHEMERAL,
    ON_EXIT,
    IP,
    HOSTNAME,
    ROLES,
    MASTER_PORT,
    AGENT_PORT,
    MARATHON_PORT,
    CHRONOS_PORT,
    CLUSTER_PORT,
    CLUSTER_IP,
    USER_PORTS,
    JOIN,
    ZK,
    QUORUM,
    TOKEN,
    ZONE,
    VOTERS_MAX,
    ELECTION_TIMEOUT,
    INSECURE,
    AUTH_READONLY,
    AUTH_READWRITE,
    AUTH_FRAMEWORKS,
    CREDENTIALS,
    LOG_DIR,
    LOGGING_LEVEL,
    QUIET,
];

/// Some settings of `up`, together in help.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    /// Above them in help.
    pub heading: &'static str,
    /// Before their names: `marathon_`, where a framework's settings are meant.
    pub prefix: &'static str,
    /// The settings.
    pub settings: &'static [Setting],
}

impl Table {
    const fn new(heading: &'static str, prefix: &'static str, of: &'static [Setting]) -> Self {
        Self { heading, prefix, settings: of }
    }
}

/// Every setting of `up`.
pub fn tables() -> [Table; 6] {
    [
        Table::new("Node", "", SETTINGS),
        Table::new("Master", "", master::options::SETTINGS),
        Table::new("Agent", "", agent::options::SETTINGS),
        Table::new("Isolation", "", agent::isolation::options::SETTINGS),
        Table::new("Marathon", MARATHON, marathon::options::SETTINGS),
        Table::new("Chronos", CHRONOS, chronos::options::SETTINGS),
    ]
}

/// Before the names of Marathon's settings.
const MARATHON: &str = "marathon_";
/// Before the names of Chronos' settings.
const CHRONOS: &str = "chronos_";

/// The settings of the node, the master and the agent in one table.
fn table() -> Vec<Setting> {
    tables().iter().filter(|t| t.prefix.is_empty()).flat_map(|t| t.settings).copied().collect()
}

/// A framework's settings, from where its ancestor's were and from this program's own places.
fn framework_values(
    prefix: &'static str,
    settings: &[Setting],
    sources: &Sources,
    env: &BTreeMap<String, String>,
    flags: &Flags,
) -> Values {
    let name = prefix.trim_end_matches('_');
    let flags = flags
        .iter()
        .filter_map(|(flag, text)| Some((flag.strip_prefix(prefix)?.to_string(), text.clone())));
    config::merge(settings, &sources.of_framework(name), env, &flags.collect())
}

/// What runs on a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Roles {
    /// It may lead, and has the log.
    pub master: bool,
    /// It runs tasks.
    pub agent: bool,
    /// Marathon, where this node's master leads.
    pub marathon: bool,
    /// Chronos, where this node's master leads.
    pub chronos: bool,
}

/// `host`, `host:port`, several of them.
fn seeds(text: &str) -> std::result::Result<Vec<String>, String> {
    let all = text.split(',').map(str::trim).filter(|seed| !seed.is_empty());
    all.map(|one| seed(one, CLUSTER_PORT_USUAL).map_err(|e| e.to_string())).collect()
}

fn roles(text: &str) -> std::result::Result<Roles, String> {
    let mut found = Roles::default();
    for role in text.split(',').map(str::trim).filter(|role| !role.is_empty()) {
        match role {
            "master" => found.master = true,
            "agent" | "slave" => found.agent = true,
            "marathon" => found.marathon = true,
            "chronos" => found.chronos = true,
            _ => {
                return Err(format!(
                    "'{role}' is no role: expected master, agent, marathon, chronos"
                ));
            }
        }
    }
    if !found.master && (found.marathon || found.chronos) {
        return Err(
            "marathon and chronos run where a master leads: name master too, or leave them out \
                    (their ports are served on every node)"
                .into(),
        );
    }
    match found.master || found.agent {
        true => Ok(found),
        false => Err("a node is a master, an agent, or both".into()),
    }
}

/// Which user ports a node serves besides its agent's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faces {
    /// The master's.
    pub master: bool,
    /// Marathon's.
    pub marathon: bool,
    /// Chronos'.
    pub chronos: bool,
}

impl Faces {
    /// On a node that is no master they pass on what is asked to the leader; on a master they are those of what it runs.
    fn of(roles: Roles, own: bool) -> Self {
        let elsewhere = !roles.master && !own;
        Self {
            master: roles.master || elsewhere,
            marathon: roles.marathon || elsewhere,
            chronos: roles.chronos || elsewhere,
        }
    }
}

/// What becomes of tasks when the node stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnExit {
    /// They go on; the next start finds them.
    Keep,
    /// They are ended first.
    Kill,
}

/// From which severity on things are logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoggingLevel {
    /// Everything.
    Debug,
    /// What happens.
    Info,
    /// What looks wrong.
    Warning,
    /// What failed.
    Error,
}

/// Reads a level by its name.
///
/// # Errors
/// What was expected.
pub fn level(text: &str) -> std::result::Result<LoggingLevel, &'static str> {
    match text.to_uppercase().as_str() {
        "DEBUG" => Ok(LoggingLevel::Debug),
        "INFO" => Ok(LoggingLevel::Info),
        "WARNING" => Ok(LoggingLevel::Warning),
        "ERROR" => Ok(LoggingLevel::Error),
        _ => Err("expected INFO, WARNING, ERROR or DEBUG"),
    }
}

/// What the settings come to.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where everything is kept.
    pub data_dir: PathBuf,
    /// Whether it is removed at the end.
    pub ephemeral: bool,
    /// What becomes of tasks at the end.
    pub on_exit: OnExit,
    /// Address of the user ports.
    pub ip: IpAddr,
    /// Told to others.
    pub hostname: String,
    /// That was said, not assumed.
    pub hostname_named: bool,
    /// Port of the master; 0 is any free one.
    pub master_port: u16,
    /// Port of the agent; 0 is any free one.
    pub agent_port: u16,
    /// Port of Marathon; 0 is any free one.
    pub marathon_port: u16,
    /// Port of Chronos; 0 is any free one.
    pub chronos_port: u16,
    /// The port between nodes; 0 is any free one.
    pub cluster_port: u16,
    /// The port between nodes where that one is taken.
    pub cluster_port_else: Option<u16>,
    /// Where that is.
    pub cluster_ip: IpAddr,
    /// Members to join by, `host:port`; none: the node founds a cluster, or goes on in the one it is in.
    pub join: Vec<String>,
    /// Masters that are named in the manner of Mesos.
    pub ensemble: Ensemble,
    /// Nodes are let in without a token, and this one wants to be.
    pub open: Option<OpenDoor>,
    /// What is to be told of settings that are not followed to the letter.
    pub notes: Vec<String>,
    /// What lets it in.
    pub token: Option<Token>,
    /// Its failure domain.
    pub zone: String,
    /// How many nodes may vote.
    pub voters_max: usize,
    /// How long a leader may be silent.
    pub election_timeout: Duration,
    /// What runs here.
    pub roles: Roles,
    /// Which user ports are served.
    pub faces: Faces,
    /// Listening beyond this machine without authentication is meant.
    pub insecure: bool,
    /// Ask who is reading.
    pub authenticate_readonly: bool,
    /// Ask who is changing things.
    pub authenticate_readwrite: bool,
    /// Ask frameworks who they are.
    pub authenticate_frameworks: bool,
    /// Who there is.
    pub credentials: Option<PathBuf>,
    /// Folder of log files.
    pub log_dir: Option<PathBuf>,
    /// What is logged.
    pub logging_level: LoggingLevel,
    /// Nothing but errors on stderr.
    pub quiet: bool,
    /// Of the master.
    pub master: master::options::Options,
    /// Of the agent.
    pub agent: agent::options::Options,
    /// The agent's, of isolation.
    pub isolation: agent::isolation::options::Options,
    /// Of Marathon.
    pub marathon: marathon::options::Options,
    /// Of Chronos.
    pub chronos: chronos::options::Options,
    /// The versions of the link that are spoken: the program's own, but in tests of clusters whose nodes are not all of one
    /// version.
    pub wire: Versions,
    /// Effective texts, for `/flags`.
    pub flags: BTreeMap<String, String>,
}

/// Merges all origins and reads every setting.
///
/// # Errors
/// All that is wrong, a line each.
pub fn read(
    sources: &Sources,
    env: &BTreeMap<String, String>,
    flags: &Flags,
) -> crate::base::error::Result<Options> {
    let table = table();
    let mut values = config::merge(&table, sources, env, flags);
    let ephemeral = values.bool(&EPHEMERAL);
    let data_dir = data_dir(&mut values, env, ephemeral);
    let on_exit = values.parse(&ON_EXIT, |text| match text {
        "keep" if ephemeral => Err("with ephemeral nothing is kept"),
        "keep" => Ok(OnExit::Keep),
        "kill" => Ok(OnExit::Kill),
        _ => Err("expected keep or kill"),
    });
    let ip = values
        .parse(&IP, |text| text.parse::<IpAddr>().map_err(|_| "expected an IP address"))
        .unwrap_or(IpAddr::from([127, 0, 0, 1]));
    let mut port = |setting: &Setting| {
        let number = values.number(setting, 0, 65_535).and_then(|n| u16::try_from(n).ok());
        number.unwrap_or(0)
    };
    let settings = [&MASTER_PORT, &AGENT_PORT, &MARATHON_PORT, &CHRONOS_PORT];
    let ports = settings.map(&mut port);
    for (n, setting) in settings.iter().enumerate() {
        if let Some(other) = (0..n).find(|m| ports[n] != 0 && ports[*m] == ports[n]) {
            values.fault(setting, format!("{} is this port already", settings[other].name));
        }
    }
    let cluster_port = values.number(&CLUSTER_PORT, 0, 65_535);
    let cluster_port = cluster_port.and_then(|n| u16::try_from(n).ok()).unwrap_or(0);
    if let Some(other) = (0..4).find(|n| cluster_port != 0 && ports[*n] == cluster_port) {
        values.fault(&CLUSTER_PORT, format!("{} is this port already", settings[other].name));
    }
    let cluster_ip = values
        .parse(&CLUSTER_IP, |text| text.parse::<IpAddr>().map_err(|_| "expected an IP address"))
        .unwrap_or(IpAddr::from([0, 0, 0, 0]));
    let join = values.parse(&JOIN, seeds).unwrap_or_default();
    // Its text is a secret: no error and no list of settings shows it.
    let token = match values.text(&TOKEN).filter(|t| !t.trim().is_empty()).map(|t| t.parse()) {
        Some(Ok(token)) => Some(token),
        Some(Err(e)) => {
            let e: crate::base::error::Error = e;
            values.fault_text(format!("token: {e}"));
            None
        }
        None => None,
    };
    let voters_max = values.number(&VOTERS_MAX, 1, 7).unwrap_or(5) as usize;
    if voters_max.is_multiple_of(2) {
        values.fault(&VOTERS_MAX, "expected 1, 3, 5 or 7".to_string());
    }
    let election_timeout =
        values.duration(&ELECTION_TIMEOUT, Pace::ELECTION_SHORTEST, Pace::ELECTION_LONGEST);
    let zone = values.text(&ZONE).unwrap_or_default();
    let roles = values.parse(&ROLES, roles).unwrap_or_default();
    let own = values.parse(&USER_PORTS, |text| match text {
        "all" => Ok(false),
        "own" => Ok(true),
        _ => Err("expected all or own"),
    });
    let faces = Faces::of(roles, own.unwrap_or_default());
    let insecure = values.bool(&INSECURE);
    let named_host = values.text(&HOSTNAME).filter(|name| !name.is_empty());
    let hostname_named = named_host.is_some();
    let hostname = named_host.unwrap_or_else(|| ip.to_string());
    let named = values.parse(&ZK, masters).unwrap_or_default();
    let ensemble = ensemble(&named, &own_names(ip, &hostname), roles.master, CLUSTER_PORT_USUAL);
    let quorum = values.text(&QUORUM).and_then(|quorum| quorum_note(&quorum, ensemble.hosts));
    let open = (insecure && !ensemble.seeds.is_empty()).then_some(OpenDoor);
    let mut notes: Vec<String> = quorum.into_iter().collect();
    if open.is_some() {
        notes.push("nodes are let in without a token (--insecure, and masters are named)".into());
    }
    let (marathon, chronos) = (marathon::options::SETTINGS, chronos::options::SETTINGS);
    let mut marathon = framework_values(MARATHON, marathon, sources, env, flags);
    let mut chronos = framework_values(CHRONOS, chronos, sources, env, flags);
    let path = |text: Option<String>| text.filter(|t| !t.is_empty()).map(PathBuf::from);
    let options = Options {
        ephemeral,
        on_exit: on_exit.unwrap_or(if ephemeral { OnExit::Kill } else { OnExit::Keep }),
        ip,
        hostname,
        hostname_named,
        master_port: ports[0],
        agent_port: ports[1],
        marathon_port: ports[2],
        chronos_port: ports[3],
        cluster_port,
        cluster_port_else: None,
        cluster_ip,
        join,
        ensemble,
        open,
        notes,
        token,
        zone,
        voters_max,
        election_timeout: election_timeout.unwrap_or(Pace::default().election_max),
        roles,
        faces,
        insecure,
        authenticate_readonly: values.bool(&AUTH_READONLY),
        authenticate_readwrite: values.bool(&AUTH_READWRITE),
        authenticate_frameworks: values.bool(&AUTH_FRAMEWORKS),
        credentials: path(values.text(&CREDENTIALS)),
        log_dir: path(values.text(&LOG_DIR)),
        logging_level: values.parse(&LOGGING_LEVEL, level).unwrap_or(LoggingLevel::Warning),
        quiet: values.bool(&QUIET),
        master: master::options::read(&mut values),
        agent: agent::options::read(&mut values),
        isolation: agent::isolation::options::read(&mut values),
        marathon: marathon::options::read(&mut marathon),
        chronos: chronos::options::read(&mut chronos),
        wire: VERSIONS,
        flags: values.effective(&table),
        data_dir,
    };
    let options = Options { flags: without_secrets(options.flags.clone()), ..options };
    let asks = options.authenticate_readonly
        || options.authenticate_readwrite
        || options.authenticate_frameworks;
    if asks && options.credentials.is_none() {
        values.fault(&CREDENTIALS, "authentication needs a file of credentials");
    }
    values.take_faults(&mut marathon);
    values.take_faults(&mut chronos);
    values.finish()?;
    Ok(options)
}

/// The hosts of a `zk://` address, or of a list.
fn masters(text: &str) -> std::result::Result<Vec<String>, String> {
    match masters::parse(text) {
        Ok(Named::Hosts(hosts)) => Ok(hosts),
        Ok(Named::File(_)) => Err("a file that names a file".into()),
        Err(e) => Err(e.to_string()),
    }
}

/// By which names masters may mean this machine.
fn own_names(ip: IpAddr, hostname: &str) -> Vec<String> {
    let interfaces = nix::ifaddrs::getifaddrs().into_iter().flatten();
    let addresses = interfaces.filter_map(|interface| {
        let address = interface.address?;
        let v4 = address.as_sockaddr_in().map(|a| IpAddr::V4(a.ip()));
        v4.or_else(|| address.as_sockaddr_in6().map(|a| IpAddr::V6(a.ip())))
    });
    let machine = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    let mut names: Vec<String> = addresses.chain([ip]).map(|ip| ip.to_string()).collect();
    names.extend(machine);
    names.push(hostname.to_string());
    names
}

fn without_secrets(mut flags: BTreeMap<String, String>) -> BTreeMap<String, String> {
    flags.remove(TOKEN.name);
    flags
}

fn data_dir(values: &mut Values, env: &BTreeMap<String, String>, ephemeral: bool) -> PathBuf {
    let named = values.text(&DATA_DIR).filter(|d| !d.is_empty());
    if ephemeral {
        if named.is_some() {
            values.fault(&DATA_DIR, "with ephemeral the data folder is a temporary one");
        }
        return PathBuf::new();
    }
    let path = match named {
        Some(dir) => PathBuf::from(dir),
        None => default_data_dir(env),
    };
    match std::path::absolute(&path) {
        Ok(path) => path,
        Err(e) => {
            values.fault(&DATA_DIR, format!("cannot be made absolute: {e}"));
            path
        }
    }
}

/// Where data is kept when nobody says otherwise: by the XDG rules, or the system's place for root.
pub fn default_data_dir(env: &BTreeMap<String, String>) -> PathBuf {
    if is_root() {
        return "/var/lib/mesolith".into();
    }
    let home = |name: &str| env.get(name).filter(|v| Path::new(v).is_absolute());
    match (home("XDG_DATA_HOME"), home("HOME")) {
        (Some(data), _) => Path::new(data).join("mesolith"),
        (None, Some(home)) => Path::new(home).join(".local/share/mesolith"),
        (None, None) => std::env::temp_dir().join("mesolith-data"),
    }
}

/// Whether this process may do everything.
pub fn is_root() -> bool {
    // SAFETY: geteuid has no preconditions and cannot fail.
    unsafe { libc::geteuid() == 0 }
}
