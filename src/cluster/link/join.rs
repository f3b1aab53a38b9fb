//! Joining, from the side of the node that wants in: seeds are tried in turn, what happens at each is told, and a refusal
//! that would be the same everywhere ends it.

use super::door::Door;
use super::frames::{read_whole, whole};
use super::peer::{post, tune};
use super::wire::{
    JoinFacts, JoinRefusal, JoinRequest, Joined, TALK_BYTES_MAX, Why, read_error, read_join,
    to_json,
};
use crate::base::error::{Code, Error, Result};
use crate::cluster::identity::{
    AuthorityHash, Distrust, NodeId, NodeKey, OpenDoor, Revoked, Token, Trust, Usage, tls, wall_now,
};
use hyper::client::conn::http2::Builder;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::ClientConfig;
use std::fmt;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// How many seeds may be named.
pub const SEEDS_MAX: usize = 64;

/// What lets a node in.
#[derive(Clone, Debug)]
pub enum Pass {
    /// A token, which names the cluster too.
    Token(Token),
    /// A door that is left open: whoever answers is believed.
    Open(OpenDoor),
}

/// How patient a joining node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patience {
    /// For a connect.
    pub connect: Duration,
    /// For a handshake.
    pub handshake: Duration,
    /// For the cluster's decision.
    pub answer: Duration,
    /// Between two rounds.
    pub pause: Duration,
    /// In all; one round is always made.
    pub in_all: Duration,
    /// This node's own addresses: a seed that is one of them is not asked.
    pub own: Vec<SocketAddr>,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(3),
            handshake: Duration::from_secs(5),
            answer: Duration::from_secs(20),
            pause: Duration::from_secs(1),
            in_all: Duration::from_secs(60),
            own: Vec::new(),
        }
    }
}

/// What happened at a seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Its name has no address.
    NoAddress(String),
    /// Nothing listens on the port.
    PortClosed,
    /// No word came back.
    NoAnswer(Duration),
    /// The connection was made, but what was to follow came too slowly.
    Slow(&'static str, Duration),
    /// What answers there is not this program, or of another time.
    NotMesolith(String),
    /// It is of another cluster than the token.
    OtherCluster,
    /// It is this very node.
    ThisNode,
    /// Clocks differ so much that its certificate is not valid here.
    Clock(Distrust),
    /// The cluster refused.
    Refused(JoinRefusal),
}

impl Trouble {
    /// Whether it would be the same at every other seed, and later.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Refused(refusal) => !refusal.why.may_pass(),
            _ => false,
        }
    }

    /// What to do about it.
    pub fn hint(&self, seed: &str) -> Option<String> {
        let port = seed.rsplit_once(':').map_or("5052", |(_, port)| port);
        match self {
            Self::NoAddress(_) => Some("check the name, or give an address".into()),
            Self::PortClosed => Some(format!(
                "is mesolith running there, with tcp port {port} as its cluster port?"
            )),
            Self::NoAnswer(_) => {
                Some(format!("is the machine up, and does every firewall let tcp port {port} through?"))
            }
            Self::Slow(..) => Some("the machine may be overloaded or stopped; it is tried again".into()),
            Self::NotMesolith(_) => {
                Some("name the cluster port (5052), not one of the user ports".into())
            }
            Self::OtherCluster => Some(
                "name a member of the cluster that made the token, or make a new token there: its authority may have \
                 changed since"
                    .into(),
            ),
            Self::ThisNode => Some("name another member".into()),
            Self::Clock(_) => Some("set this machine's clock (chrony, systemd-timesyncd)".into()),
            Self::Refused(refusal) => refusal.hint.clone(),
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAddress(why) => write!(f, "the name cannot be resolved: {why}"),
            Self::PortClosed => f.write_str("the port is closed"),
            Self::NoAnswer(after) => write!(f, "it does not answer (waited {after:.0?})"),
            Self::Slow(what, after) => write!(f, "it is slow: no {what} in {after:.0?}"),
            Self::NotMesolith(why) => write!(f, "what answers is not a cluster port: {why}"),
            Self::OtherCluster => f.write_str("it belongs to another cluster than the token"),
            Self::ThisNode => f.write_str("it is this very node"),
            Self::Clock(why) => write!(f, "the clocks differ: {why}"),
            Self::Refused(refusal) => f.write_str(&refusal.cause),
        }
    }
}

/// What a joining node is doing, to be told to whoever waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress<'a> {
    /// Asks a seed.
    Asks(&'a str),
    /// That did not work.
    Failed(&'a str, &'a Trouble),
    /// No seed let it in; the next round begins after that long.
    Waits(Duration),
}

/// Why a node could not join: what happened last at each seed, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinFailure {
    /// The seeds.
    pub seeds: Vec<(String, Trouble)>,
}

impl JoinFailure {
    /// The refusal that ended it, if one did.
    pub fn refusal(&self) -> Option<&JoinRefusal> {
        self.seeds.iter().rev().find_map(|(_, trouble)| match trouble {
            Trouble::Refused(refusal) if trouble.is_final() => Some(refusal),
            _ => None,
        })
    }
}

impl From<JoinFailure> for Error {
    fn from(failure: JoinFailure) -> Error {
        if let Some(refusal) = failure.refusal() {
            return Error::from(refusal.clone()).context("the cluster does not let this node in");
        }
        let told: Vec<String> =
            failure.seeds.iter().map(|(seed, t)| format!("{seed}: {t}")).collect();
        let hints: std::collections::BTreeSet<String> =
            failure.seeds.iter().filter_map(|(seed, t)| t.hint(seed)).collect();
        let cause = format!("no member let this node in: {}", told.join("; "));
        let error = Error::new(Code::Unavailable, cause);
        let hints: Vec<String> = hints.into_iter().collect();
        if hints.is_empty() { error } else { error.hint(hints.join("; ")) }
    }
}

/// Joins by any of these seeds (`host:port`).
///
/// # Errors
/// What happened at each, after the last round or at the first refusal that is final.
pub async fn join(
    seeds: &[String],
    pass: &Pass,
    key: &NodeKey,
    facts: &JoinFacts,
    patience: &Patience,
    mut tell: impl FnMut(Progress<'_>),
) -> std::result::Result<Joined, JoinFailure> {
    let start = Instant::now();
    let seeds = &seeds[..seeds.len().min(SEEDS_MAX)];
    loop {
        let mut failure = JoinFailure { seeds: Vec::new() };
        let mut pause = patience.pause;
        for seed in seeds {
            tell(Progress::Asks(seed));
            match ask(seed, pass, key, facts, patience).await {
                Ok(joined) => return Ok(joined),
                Err(trouble) => {
                    tell(Progress::Failed(seed, &trouble));
                    if let Trouble::Refused(JoinRefusal { retry_after_ms: Some(ms), .. }) = &trouble
                    {
                        pause = pause.max(Duration::from_millis(*ms));
                    }
                    let over = trouble.is_final();
                    failure.seeds.push((seed.clone(), trouble));
                    if over {
                        return Err(failure);
                    }
                }
            }
        }
        // Where every seed is this node or nobody's, waiting changes nothing.
        let hopeless = failure.seeds.iter().all(|(_, trouble)| {
            matches!(trouble, Trouble::ThisNode | Trouble::OtherCluster | Trouble::Clock(_))
        });
        if hopeless || start.elapsed() + pause >= patience.in_all {
            return Err(failure);
        }
        tell(Progress::Waits(pause));
        tokio::time::sleep(pause).await;
    }
}

/// Asks one seed.
async fn ask(
    seed: &str,
    pass: &Pass,
    key: &NodeKey,
    facts: &JoinFacts,
    patience: &Patience,
) -> std::result::Result<Joined, Trouble> {
    let slow = |what| move |_| Trouble::Slow(what, patience.handshake);
    let token = &match pass {
        Pass::Token(token) => token.clone(),
        Pass::Open(open) => {
            let learning = learn(reach(seed, patience).await?);
            let learned = tokio::time::timeout(patience.handshake, learning);
            open.token(learned.await.map_err(slow("handshake"))??, facts.roles)
        }
    };
    let socket = reach(seed, patience).await?;
    let shaking = shake(socket, token, key.node());
    let stream = tokio::time::timeout(patience.handshake, shaking);
    let stream = stream.await.map_err(slow("handshake"))??;
    let talk = async {
        let broken = |e: hyper::Error| Trouble::NotMesolith(e.to_string());
        let (mut send, connection) = Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .handshake(TokioIo::new(stream))
            .await
            .map_err(broken)?;
        let connection = tokio::spawn(connection);
        let request = JoinRequest::new(facts, token, key, wall_now());
        let own = |e: Error| Trouble::Refused(e.into());
        let request = post(Door::Join, whole(to_json(&request).map_err(own)?)).map_err(own)?;
        let answer = send.send_request(request).await.map_err(broken)?;
        let status = answer.status();
        let body = read_whole(answer.into_body(), TALK_BYTES_MAX).await;
        let body = body.map_err(|e| Trouble::NotMesolith(e.to_string()))?;
        drop(send);
        connection.abort();
        if !status.is_success() {
            return Err(Trouble::Refused(read_error(status.as_u16(), &body).into()));
        }
        let answer = read_join(&body).map_err(|e| Trouble::NotMesolith(e.to_string()))?;
        answer.map_err(Trouble::Refused)
    };
    let late = |_| Trouble::Slow("decision", patience.answer);
    let joined = tokio::time::timeout(patience.answer, talk).await.map_err(late)??;
    let trust = Trust { authorities: joined.authorities.clone(), revoked: Revoked::default() };
    let is_ours = |member: crate::cluster::identity::Member| member.key == key.public();
    match trust.check(&joined.certificate.leaf, Usage::Client, wall_now()) {
        Ok(member) if is_ours(member.clone()) => Ok(joined),
        Ok(_) => {
            let cause = "the certificate that was given is not for this node";
            Err(Trouble::Refused(JoinRefusal::new(Why::Failed, cause)))
        }
        Err(why @ (Distrust::Expired | Distrust::NotYet)) => Err(Trouble::Clock(why)),
        Err(why) => Err(Trouble::Refused(JoinRefusal::new(Why::Failed, why.to_string()))),
    }
}

/// Connects to a seed.
async fn reach(seed: &str, patience: &Patience) -> std::result::Result<TcpStream, Trouble> {
    let no_answer = || Trouble::NoAnswer(patience.connect);
    let looked_up = tokio::time::timeout(patience.connect, tokio::net::lookup_host(seed)).await;
    let addresses: Vec<SocketAddr> = match looked_up {
        Ok(Ok(addresses)) => addresses.collect(),
        Ok(Err(e)) => return Err(Trouble::NoAddress(e.to_string())),
        Err(_) => return Err(Trouble::NoAddress("no answer from the name service".into())),
    };
    let mut last = Trouble::NoAddress("it has no addresses".into());
    for address in addresses {
        if patience.own.contains(&address) {
            last = Trouble::ThisNode;
            continue;
        }
        match tokio::time::timeout(patience.connect, TcpStream::connect(address)).await {
            Ok(Ok(socket)) => {
                // Only slower without.
                let _ = tune(&socket);
                return Ok(socket);
            }
            Ok(Err(e)) if e.kind() == ErrorKind::ConnectionRefused => last = Trouble::PortClosed,
            Ok(Err(_)) | Err(_) => last = no_answer(),
        }
    }
    Err(last)
}

/// Which cluster whoever listens there is of.
async fn learn(socket: TcpStream) -> std::result::Result<AuthorityHash, Trouble> {
    let internal = |e: Error| Trouble::NotMesolith(e.to_string());
    let learned = Arc::new(OnceLock::new());
    let config = tls::learning(learned.clone()).map_err(internal)?;
    connect(config, socket).await?;
    let none = || Trouble::NotMesolith("it shows no certificate".into());
    learned.get().copied().ok_or_else(none)
}

/// Shakes hands.
async fn connect(
    config: ClientConfig,
    socket: TcpStream,
) -> std::result::Result<tokio_rustls::client::TlsStream<TcpStream>, Trouble> {
    let internal = |e: Error| Trouble::NotMesolith(e.to_string());
    // The name is of no meaning before the cluster is known.
    let name = tls::name(crate::cluster::identity::ClusterId(0), None).map_err(internal)?;
    let stream = TlsConnector::from(Arc::new(config)).connect(name, socket).await;
    stream.map_err(|e| {
        let tls = e.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>());
        match tls.and_then(tls::distrust) {
            Some(Distrust::Foreign) => Trouble::OtherCluster,
            Some(why @ (Distrust::Expired | Distrust::NotYet)) => Trouble::Clock(why),
            _ => Trouble::NotMesolith(e.to_string()),
        }
    })
}

async fn shake(
    socket: TcpStream,
    token: &Token,
    own: NodeId,
) -> std::result::Result<tokio_rustls::client::TlsStream<TcpStream>, Trouble> {
    let internal = |e: Error| Trouble::NotMesolith(e.to_string());
    let config = tls::joining(token.authority).map_err(internal)?;
    let stream = connect(config, socket).await?;
    let (_, session) = stream.get_ref();
    if session.alpn_protocol() != Some(tls::ALPN) {
        return Err(Trouble::NotMesolith(
            "it speaks no version of the link that this one does".into(),
        ));
    }
    let certificates = session.peer_certificates().unwrap_or_default();
    match tls::pinned_member(certificates, token.authority, wall_now()) {
        Some(member) if member.node == own => Err(Trouble::ThisNode),
        Some(_) => Ok(stream),
        None => Err(Trouble::OtherCluster),
    }
}

/// Adds the port to seeds that name none.
///
/// # Errors
/// [`Code::Invalid`] for what is no `HOST[:PORT]`.
pub fn seed(text: &str, port: u16) -> Result<String> {
    let bad = || {
        Error::new(Code::Invalid, format!("'{text}' is no HOST[:PORT]"))
            .hint("for example 10.0.0.1, node-1:5052 or [fd00::1]:5052")
    };
    let text = text.trim();
    if text.is_empty() || text.contains(|c: char| c.is_whitespace() || c == '/' || c == '@') {
        return Err(bad());
    }
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok(address.to_string());
    }
    if let Ok(ip) = text.trim_start_matches('[').trim_end_matches(']').parse() {
        return Ok(SocketAddr::new(ip, port).to_string());
    }
    match text.split_once(':') {
        None => Ok(format!("{text}:{port}")),
        Some((host, port)) if !host.is_empty() => {
            let port: u16 = port.parse().map_err(|_| bad())?;
            Ok(format!("{host}:{port}"))
        }
        Some(_) => Err(bad()),
    }
}
