//! A framework of ours as a process of its own, over HTTP with masters elsewhere: `mesolith marathon`, `mesolith chronos`.
//! The same framework that `up` hosts; only the ports below it are others.

use super::settings::{LoggingLevel, Table, level};
use super::{Signals, start_logging};
use crate::base::error::{Code, Error, Result};
use crate::base::settings::{Kind, Setting, Values};
use crate::cluster::consensus::{Registry, namespace_rows};
use crate::config::{self, Flags, Sources};
use crate::console::{self, Links};
use crate::framework::copy::Rows;
use crate::framework::host::{self, Framework, Ground};
use crate::framework::http::HttpOptions;
use crate::framework::masters::{self, Named};
use crate::http::leader::{Forwarding, Leadership, LedFace, OwnFace};
use crate::http::{HostPolicy, Server, bind};
use crate::machine::control::Control;
use crate::machine::driver::Clock;
use crate::security::{Credentials, HttpAuthentication, check_exposure};
use crate::telemetry::Metrics;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

mod chronos;
mod marathon;

pub use chronos::ChronosProcess;
pub use marathon::MarathonProcess;

/// How long requests under way may take when the process stops.
const HTTP_STOP: Duration = Duration::from_millis(500);
/// How long the framework may take to wind up.
const HOST_STOP: Duration = Duration::from_secs(5);

const MASTER: Setting = Setting::new(
    "master",
    Kind::Text,
    "Masters: HOST:PORT, several with commas, or zk://HOST:PORT,…/mesos (the hosts are asked who leads)",
)
.or("127.0.0.1:5050");
const ADDRESS: Setting =
    Setting::new("http_address", Kind::Text, "Address to listen on").or("127.0.0.1");
const PORT: Setting = Setting::new("http_port", Kind::Number, "Port to listen on; 0 is any");
const HOSTNAME: Setting = Setting::new(
    "hostname",
    Kind::Text,
    "Name or address told to others; it must resolve for them (default: the address)",
);
const NAMESPACE: Setting = Setting::new(
    "namespace",
    Kind::Text,
    "Where the masters keep its state; one process has it at a time (default: the framework's name)",
);
const SECRET: Setting = Setting::new(
    "mesos_authentication_secret",
    Kind::Text,
    "Secret of the principal, or file:///PATH of one",
);
const AUTHENTICATE: Setting =
    Setting::new("authenticate_http", Kind::Bool, "Ask users who they are").or("false");
const CREDENTIALS: Setting =
    Setting::new("credentials", Kind::Text, "JSON file of users and their secrets");
const INSECURE: Setting =
    Setting::new("insecure", Kind::Bool, "Listen beyond this machine without asking who is there")
        .or("false");
const LEVEL: Setting =
    Setting::new("logging_level", Kind::Text, "INFO, WARNING, ERROR or DEBUG").or("WARNING");
const QUIET: Setting =
    Setting::new("quiet", Kind::Bool, "Nothing but errors on stderr").or("false");

const SETTINGS: &[Setting] = &[
    ADDRESS,
    PORT,
    HOSTNAME,
    NAMESPACE,
    SECRET,
    AUTHENTICATE,
    CREDENTIALS,
    INSECURE,
    LEVEL,
    QUIET,
];

/// A framework that can be a process of its own.
pub trait Process {
    /// Its options.
    type Options;
    /// What is hosted.
    type Framework: Framework;

    /// Its word: the verb, the default namespace, the name of its section in files.
    const NAME: &'static str;
    /// Its port, when nobody says otherwise.
    const PORT: u16;
    /// Its settings.
    const SETTINGS: &'static [Setting];

    /// Reads its settings; faults are noted.
    fn read(values: &mut Values) -> Self::Options;

    /// Its principal with the master.
    fn principal(options: &Self::Options) -> Option<&str>;

    /// The framework, and its HTTP face for when it runs.
    ///
    /// # Errors
    /// As `faces::…_server`.
    fn open(
        options: &Self::Options,
        at: &Standing,
        door: watch::Receiver<Option<<Self::Framework as Framework>::Door>>,
    ) -> Result<(Self::Framework, Server)>;
}

/// Who leads, where that is not this process alone.
#[derive(Clone)]
pub struct Led {
    /// Who leads, and the way there.
    pub leadership: Arc<dyn Leadership>,
    /// This node's id.
    pub node: String,
    /// What this node has of the state itself; a node that is no master has none.
    pub registry: Option<Registry>,
}

impl Led {
    /// What stands before a face of this node.
    pub fn before(&self, face: LedFace, host: &str, port: u16, metrics: &Metrics) -> Forwarding {
        let copy = self.registry.is_some();
        let own = OwnFace { face, node: self.node.clone(), host: host.into(), port, copy };
        Forwarding::new(self.leadership.clone(), own, metrics)
    }

    /// The rows of a framework that this node has, if it has any.
    pub fn rows(&self, namespace: &'static str) -> Option<Rows> {
        let registry = self.registry.clone()?;
        Some(Arc::new(move || namespace_rows(&registry, namespace)))
    }
}

/// Where a process stands.
pub struct Standing {
    /// Where it listens.
    pub address: SocketAddr,
    /// What it tells others.
    pub hostname: String,
    /// Where the pages of its masters are.
    pub links: Links,
    /// Who asks its users.
    pub authentication: HttpAuthentication,
    /// The process's clocks.
    pub clock: Clock,
    /// Who leads: nothing where the process leads whenever it runs.
    pub led: Option<Led>,
}

/// All settings of such a process but `master`, which is a flag of every verb.
pub fn tables<P: Process>() -> [Table; 2] {
    [
        Table { heading: "Process", prefix: "", settings: SETTINGS },
        Table { heading: "Framework", prefix: "", settings: P::SETTINGS },
    ]
}

/// What the settings of a process come to.
pub struct Options<P: Process> {
    /// Of the framework.
    pub framework: P::Options,
    /// Masters as given.
    pub masters: String,
    address: SocketAddr,
    hostname: String,
    namespace: String,
    secret: Option<String>,
    authenticate: bool,
    credentials: Option<PathBuf>,
    insecure: bool,
    level: LoggingLevel,
    /// Nothing but errors on stderr.
    pub quiet: bool,
}

/// Merges all origins and reads every setting.
///
/// # Errors
/// All that is wrong, a line each.
pub fn read<P: Process>(
    sources: &Sources,
    env: &BTreeMap<String, String>,
    flags: &Flags,
) -> Result<Options<P>> {
    let mut table = vec![MASTER];
    table.extend(tables::<P>().iter().flat_map(|t| t.settings).copied());
    let mut values = config::merge(&table, &sources.of_framework(P::NAME), env, flags);
    let address = values
        .parse(&ADDRESS, |text| text.parse::<IpAddr>().map_err(|_| "expected an IP address"))
        .unwrap_or(IpAddr::from([127, 0, 0, 1]));
    let port = values.number(&PORT, 0, 65_535).and_then(|n| u16::try_from(n).ok());
    let path = |text: Option<String>| text.filter(|t| !t.is_empty()).map(PathBuf::from);
    let hostname = values.text(&HOSTNAME).filter(|name| !name.is_empty());
    let namespace = values.text(&NAMESPACE).filter(|name| !name.is_empty());
    let options = Options {
        framework: P::read(&mut values),
        masters: values.text(&MASTER).unwrap_or_default(),
        address: SocketAddr::new(address, port.unwrap_or(P::PORT)),
        hostname: hostname.unwrap_or_else(|| address.to_string()),
        namespace: namespace.unwrap_or_else(|| P::NAME.to_string()),
        secret: values.text(&SECRET),
        authenticate: values.bool(&AUTHENTICATE),
        credentials: path(values.text(&CREDENTIALS)),
        insecure: values.bool(&INSECURE),
        level: values.parse(&LEVEL, level).unwrap_or(LoggingLevel::Warning),
        quiet: values.bool(&QUIET),
    };
    if options.authenticate && options.credentials.is_none() {
        values.fault(&CREDENTIALS, "authentication needs a file of credentials");
    }
    if options.secret.is_some() && P::principal(&options.framework).is_none() {
        values.fault(&SECRET, "a secret needs mesos_authentication_principal");
    }
    values.finish()?;
    Ok(options)
}

/// Runs the process until it is told to stop by Ctrl-C or SIGTERM; its tasks go on.
///
/// # Errors
/// What kept it from starting; a refusal of the masters that will not change; that another process has taken over.
pub async fn run<P: Process>(options: Options<P>, ready: impl FnOnce(SocketAddr)) -> Result<()> {
    let mut signals = Signals::new()?;
    let credentials = options.credentials.as_deref().map(Credentials::load).transpose()?;
    let authentication = HttpAuthentication {
        readonly: options.authenticate,
        readwrite: options.authenticate,
        frameworks: options.authenticate,
        credentials,
    };
    check_exposure(options.address, authentication.is_complete(), options.insecure)?;
    let listener = bind(options.address, "--http-port").await?;
    let address = listener
        .local_addr()
        .map_err(|e| Error::new(Code::System, format!("a listener has no address: {e}")))?;
    start_logging(options.level, None, options.quiet)?;
    let clock = Clock::default();
    let (control, _thread) = Control::start()?;
    let hosts = hosts(&options.masters)?;
    let mut http = HttpOptions::new(hosts.clone());
    if let Some(principal) = P::principal(&options.framework) {
        http = http.credential(principal, options.secret.as_deref().unwrap_or_default());
    }
    let ground = Ground::over_http(http, &options.namespace, control, clock.clone())?;
    let (running, door) = watch::channel(None);
    let links = Links {
        mesos: hosts.first().map(|host| console::Place::Url(format!("http://{host}"))),
        ..Links::default()
    };
    let standing = Standing {
        address,
        hostname: options.hostname.clone(),
        links,
        authentication,
        clock,
        led: None,
    };
    let (framework, server) = P::open(&options.framework, &standing, door)?;
    let server = server.hosts(HostPolicy::new().name(&options.hostname)).start(listener)?;
    let (stop, stopping) = watch::channel(false);
    let framework = Arc::new(framework);
    let mut hosted =
        tokio::spawn(async move { host::run(framework, ground, &running, stopping).await });
    ready(address);
    let outcome = tokio::select! {
        _ = signals.stop() => {
            stop.send_replace(true);
            match tokio::time::timeout(HOST_STOP, &mut hosted).await {
                Ok(ended) => ended,
                Err(_) => {
                    tracing::warn!("{} did not stop in time", P::NAME);
                    Ok(Ok(()))
                }
            }
        }
        ended = &mut hosted => ended,
    };
    server.stop(HTTP_STOP).await;
    outcome.map_err(|e| Error::new(Code::Internal, format!("{} has panicked: {e}", P::NAME)))?
}

/// The hosts that a text names, a file among them read.
fn hosts(text: &str) -> Result<Vec<String>> {
    match masters::parse(text)? {
        Named::Hosts(hosts) => Ok(hosts),
        Named::File(path) => {
            let content = std::fs::read_to_string(&path)
                .map_err(|e| Error::new(Code::Invalid, format!("cannot read {path}: {e}")))?;
            match masters::parse(content.trim())? {
                Named::Hosts(hosts) => Ok(hosts),
                Named::File(_) => {
                    Err(Error::new(Code::Invalid, format!("{path} names another file")))
                }
            }
        }
    }
}
