//! What is said over the link beside the log, gossip and agents' messages: hello, join, renew, refusals. JSON objects, to
//! which fields are only ever added: they are read before it is known which version the other side speaks.

use crate::base::error::{Code, Error, Result, Retry};
use crate::base::time::Wall;
use crate::cluster::identity::{
    Authorities, Certificate, ClusterId, NodeId, NodeKey, Presented, PublicKey, Roles, Token,
    TokenRefusal,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

/// The versions of the link that this program speaks.
pub const VERSIONS: Versions = Versions { oldest: 1, newest: 1 };
/// How far clocks may differ when a node joins.
pub const CLOCK_SKEW_MAX: Duration = Duration::from_secs(60);
/// The largest of these messages, in bytes: a certificate with two authorities and the members' addresses.
pub const TALK_BYTES_MAX: usize = 256 << 10;
/// The largest message of somebody who is no member.
pub const STRANGER_BYTES_MAX: usize = 16 << 10;
/// The longest address or name in a message.
const NAME_BYTES_MAX: usize = 255;

/// The versions that a node speaks, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    /// The oldest.
    pub oldest: u16,
    /// The newest.
    pub newest: u16,
}

impl Versions {
    /// The newest that both speak.
    pub fn common(self, other: Versions) -> Option<u16> {
        let newest = self.newest.min(other.newest);
        (newest >= self.oldest.max(other.oldest)).then_some(newest)
    }
}

impl fmt::Display for Versions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.oldest == self.newest {
            write!(f, "{}", self.newest)
        } else {
            write!(f, "{} to {}", self.oldest, self.newest)
        }
    }
}

/// The faces of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FaceName {
    /// Port 5050.
    Master,
    /// Port 5051.
    Agent,
    /// Port 8080.
    Marathon,
    /// Port 4400.
    Chronos,
}

/// Said by both ends of a connection, first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Who speaks.
    pub node: NodeId,
    /// Of which cluster.
    pub cluster: ClusterId,
    /// The versions of the link it speaks.
    pub wire: Versions,
    /// The program's version.
    pub program: String,
    /// Its wall clock.
    pub clock: Wall,
    /// Where it is reached, `host:port`; empty when it does not listen.
    #[serde(default)]
    pub address: String,
}

/// What a node that wants to join says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinRequest {
    /// The versions of the link it speaks.
    pub wire: Versions,
    /// The program's version.
    pub program: String,
    /// Its wall clock.
    pub clock: Wall,
    /// Its key.
    pub key: PublicKey,
    /// Its token, its roles, and the proof over [`JoinRequest::message`].
    pub shown: Presented,
    /// The key's signature over the same message.
    pub signature: Vec<u8>,
    /// Where it will be reached; a host that is left out (`:5052`) is the address it comes from: see
    /// [`JoinRequest::reached_at`].
    pub address: String,
    /// Its host's name.
    #[serde(default)]
    pub hostname: String,
    /// The zone it is in, if its operator named one.
    #[serde(default)]
    pub zone: Option<String>,
}

/// What a joining node tells of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinFacts {
    /// See [`JoinRequest::address`].
    pub address: String,
    /// See [`JoinRequest::hostname`].
    pub hostname: String,
    /// See [`JoinRequest::zone`].
    pub zone: Option<String>,
    /// The roles it asks for.
    pub roles: Roles,
    /// The program's version.
    pub program: String,
    /// The versions of the link it speaks.
    pub wire: Versions,
}

impl JoinRequest {
    /// Of a node with that key, by that token.
    pub fn new(facts: &JoinFacts, token: &Token, key: &NodeKey, clock: Wall) -> Self {
        let public = key.public();
        let shown = Presented {
            id: token.id,
            authority: token.authority,
            roles: facts.roles,
            proof: [0; 32],
        };
        let mut request = Self {
            wire: facts.wire,
            program: facts.program.clone(),
            clock,
            key: public,
            shown,
            signature: Vec::new(),
            address: facts.address.clone(),
            hostname: facts.hostname.clone(),
            zone: facts.zone.clone(),
        };
        let message = request.message();
        request.shown.proof = token.prove(&message);
        request.signature = key.sign(&message);
        request
    }

    /// What is proved and signed: who wants to be what, where and when. A request that was passed on or kept cannot be made
    /// into another one.
    pub fn message(&self) -> Vec<u8> {
        let mut message = b"mesolith join 1\n".to_vec();
        message.extend(self.shown.authority.0);
        message.extend(self.shown.id.0);
        message.extend(self.key.0);
        message.extend(role_names(self.shown.roles));
        message.extend(self.clock.0.to_be_bytes());
        message.extend(self.address.as_bytes());
        message
    }

    /// The node that asks.
    pub fn node(&self) -> NodeId {
        self.key.node()
    }

    /// Where it will be reached, with the address it came from in the place of a host that was left out.
    pub fn reached_at(&self, from: IpAddr) -> String {
        match (self.address.strip_prefix(':'), from) {
            (Some(port), IpAddr::V4(v4)) => format!("{v4}:{port}"),
            (Some(port), IpAddr::V6(v6)) => format!("[{v6}]:{port}"),
            (None, _) => self.address.clone(),
        }
    }

    /// What can be judged without the cluster's books: form, versions, clock, and that the asker has the key.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn screen(&self, spoken: Versions, now: Wall) -> std::result::Result<(), JoinRefusal> {
        let names =
            [Some(&self.address), Some(&self.hostname), Some(&self.program), self.zone.as_ref()];
        if names.into_iter().flatten().any(|name| name.len() > NAME_BYTES_MAX) {
            let cause = format!("a name or address has more than {NAME_BYTES_MAX} bytes");
            return Err(JoinRefusal::new(Why::Malformed, cause));
        }
        if self.address.rsplit_once(':').is_none_or(|(_, port)| port.parse::<u16>().is_err()) {
            return Err(JoinRefusal::new(Why::Malformed, "the node's address has no port"));
        }
        if self.wire.common(spoken).is_none() {
            let cause = format!(
                "versions are too far apart: the node ({}) speaks link {}, the cluster {spoken}",
                self.program, self.wire
            );
            let refusal = JoinRefusal::new(Why::Version, cause);
            return Err(refusal.hint("run the cluster's version of mesolith, or one next to it"));
        }
        let skew = (self.clock - now).max(now - self.clock);
        if skew > CLOCK_SKEW_MAX {
            let ahead = if self.clock > now { "ahead of" } else { "behind" };
            let cause = format!("the node's clock is {:.0?} {ahead} the cluster's", skew);
            let refusal = JoinRefusal::new(Why::ClockSkew, cause);
            return Err(refusal.hint("set it (chrony, systemd-timesyncd), then join again"));
        }
        if !self.key.signed(&self.message(), &self.signature) {
            let cause = "the request is not signed with the node's key";
            return Err(JoinRefusal::new(Why::Malformed, cause));
        }
        Ok(())
    }
}

/// Roles as they are signed.
fn role_names(roles: Roles) -> Vec<u8> {
    roles.iter().flat_map(|role| [b'+'].into_iter().chain(role.name().bytes())).collect()
}

/// A join that a member passes on to the leader.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PassedOn {
    /// The request, as it came.
    pub request: JoinRequest,
    /// Where it came from.
    pub from: IpAddr,
}

/// A member and where it is reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberAddress {
    /// The node.
    pub node: NodeId,
    /// `host:port`.
    pub address: String,
}

/// What a node gets that was let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// Its certificate.
    pub certificate: Certificate,
    /// The authorities to trust.
    pub authorities: Authorities,
    /// The cluster.
    pub cluster: ClusterId,
    /// Where to find the others.
    pub members: Vec<MemberAddress>,
}

/// How a node stands with its cluster, as the one that was asked knows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// All nodes that were removed and whose certificates may still be valid.
    pub removed: BTreeSet<NodeId>,
    /// The node that asks is to leave for good.
    #[serde(default)]
    pub leaving: bool,
    /// It may go: nothing rests on it any more. Only the leader knows.
    #[serde(default)]
    pub may_go: bool,
    /// Where gossip sees the node that asks alive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_at: Option<String>,
}

/// A new certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renewed {
    /// The certificate.
    pub certificate: Certificate,
    /// The authorities to trust.
    pub authorities: Authorities,
}

/// [`Joined`] and [`Renewed`] as they travel.
#[derive(Serialize, Deserialize)]
struct GrantForm {
    certificate: Vec<u8>,
    authorities: Vec<u8>,
    #[serde(default)]
    members: Vec<MemberAddress>,
}

#[derive(Serialize, Deserialize)]
enum JoinForm {
    #[serde(rename = "joined")]
    Joined(GrantForm),
    #[serde(rename = "refused")]
    Refused(JoinRefusal),
}

/// Writes the answer to a join.
///
/// # Errors
/// [`Code::Internal`].
pub fn write_join(answer: &std::result::Result<Joined, JoinRefusal>) -> Result<Vec<u8>> {
    to_json(&match answer {
        Ok(joined) => JoinForm::Joined(GrantForm {
            certificate: joined.certificate.encode()?,
            authorities: joined.authorities.encode()?,
            members: joined.members.clone(),
        }),
        Err(refusal) => JoinForm::Refused(refusal.clone()),
    })
}

/// Reads the answer to a join.
///
/// # Errors
/// [`Code::Invalid`] for what is none.
pub fn read_join(bytes: &[u8]) -> Result<std::result::Result<Joined, JoinRefusal>> {
    match from_json::<JoinForm>("the answer to a join", bytes)? {
        JoinForm::Refused(refusal) => Ok(Err(refusal)),
        JoinForm::Joined(form) => {
            let certificate = Certificate::decode(&form.certificate)?;
            let cluster = certificate.cluster;
            let authorities = Authorities::decode(&form.authorities)?;
            Ok(Ok(Joined { certificate, authorities, cluster, members: form.members }))
        }
    }
}

/// Writes a renewal.
///
/// # Errors
/// [`Code::Internal`].
pub fn write_renewed(renewed: &Renewed) -> Result<Vec<u8>> {
    let (certificate, authorities) = (renewed.certificate.encode()?, renewed.authorities.encode()?);
    to_json(&GrantForm { certificate, authorities, members: Vec::new() })
}

/// Reads a renewal.
///
/// # Errors
/// [`Code::Invalid`], [`Code::Corrupt`] for what is none.
pub fn read_renewed(bytes: &[u8]) -> Result<Renewed> {
    let form: GrantForm = from_json("a new certificate", bytes)?;
    let certificate = Certificate::decode(&form.certificate)?;
    Ok(Renewed { certificate, authorities: Authorities::decode(&form.authorities)? })
}

/// Why a node was not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "&'static str")]
pub enum Why {
    /// The token is of another cluster.
    OtherCluster,
    /// No such token, or a wrong secret.
    WrongToken,
    /// The token was revoked.
    RevokedToken,
    /// The token has expired.
    ExpiredToken,
    /// The token does not give these roles.
    Role,
    /// Too many wrong tokens came from there.
    Guessing,
    /// Another node has that id, or that address.
    DuplicateNode,
    /// The node was removed from the cluster.
    Removed,
    /// Versions are too far apart.
    Version,
    /// Clocks differ too much.
    ClockSkew,
    /// There is no leader to decide.
    NoLeader,
    /// The cluster has as many nodes as it can.
    Full,
    /// The request is not what it should be.
    Malformed,
    /// It failed on the cluster's side.
    Failed,
    /// A reason of a newer version: its text says it.
    Other,
}

impl Why {
    const NAMES: [(Why, &'static str); 15] = [
        (Why::OtherCluster, "other-cluster"),
        (Why::WrongToken, "wrong-token"),
        (Why::RevokedToken, "revoked-token"),
        (Why::ExpiredToken, "expired-token"),
        (Why::Role, "role"),
        (Why::Guessing, "guessing"),
        (Why::DuplicateNode, "duplicate-node"),
        (Why::Removed, "removed"),
        (Why::Version, "version"),
        (Why::ClockSkew, "clock-skew"),
        (Why::NoLeader, "no-leader"),
        (Why::Full, "full"),
        (Why::Malformed, "malformed"),
        (Why::Failed, "failed"),
        (Why::Other, "other"),
    ];

    /// Whether the same node may well be let in later, or by another member.
    pub fn may_pass(self) -> bool {
        matches!(self, Self::NoLeader | Self::Failed | Self::Guessing)
    }
}

impl From<String> for Why {
    fn from(name: String) -> Why {
        Self::NAMES.iter().find(|(_, n)| *n == name).map_or(Why::Other, |(why, _)| *why)
    }
}

impl From<Why> for &'static str {
    fn from(why: Why) -> &'static str {
        Why::NAMES.iter().find(|(w, _)| *w == why).map_or("other", |(_, name)| name)
    }
}

/// A refused join: typed, with its cause and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinRefusal {
    /// What kind it is.
    pub why: Why,
    /// What is wrong.
    pub cause: String,
    /// What to do.
    #[serde(default)]
    pub hint: Option<String>,
    /// After how many milliseconds to try again, if that is known.
    #[serde(default)]
    pub retry_after_ms: Option<u64>,
}

impl JoinRefusal {
    /// A refusal.
    pub fn new(why: Why, cause: impl Into<String>) -> Self {
        Self { why, cause: cause.into(), hint: None, retry_after_ms: None }
    }

    /// Adds what to do.
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// Too many wrong tokens.
    pub fn guessing(again_after: Duration) -> Self {
        let cause = format!("too many wrong tokens: ask again in {:.0?}", again_after);
        let ms = u64::try_from(again_after.as_millis()).unwrap_or(u64::MAX);
        Self { retry_after_ms: Some(ms), ..Self::new(Why::Guessing, cause) }
    }

    /// Nobody leads.
    pub fn no_leader() -> Self {
        Self::new(Why::NoLeader, "the cluster has no leader at present")
            .hint("it is asked again; `mesolith cluster status` on a member shows what it lacks")
    }
}

impl From<TokenRefusal> for JoinRefusal {
    fn from(refusal: TokenRefusal) -> Self {
        let cause = refusal.to_string();
        let (why, hint) = match refusal {
            TokenRefusal::OtherCluster => {
                (Why::OtherCluster, "check the addresses, or make a token on a member")
            }
            TokenRefusal::Unknown | TokenRefusal::Wrong => {
                (Why::WrongToken, "copy it again, or make one: `mesolith token create`")
            }
            TokenRefusal::Revoked => (Why::RevokedToken, "make one: `mesolith token create`"),
            TokenRefusal::Expired { .. } => {
                (Why::ExpiredToken, "make one: `mesolith token create`")
            }
            TokenRefusal::Role { .. } => {
                (Why::Role, "join with --roles that the token gives, or make another token")
            }
        };
        Self::new(why, cause).hint(hint)
    }
}

impl From<Error> for JoinRefusal {
    fn from(e: Error) -> Self {
        let why = if e.code == Code::Unavailable { Why::NoLeader } else { Why::Failed };
        Self { hint: e.hint, ..Self::new(why, e.cause) }
    }
}

impl From<JoinRefusal> for Error {
    fn from(refusal: JoinRefusal) -> Error {
        let code = match refusal.why {
            Why::NoLeader => Code::Unavailable,
            Why::Guessing | Why::Full => Code::Overloaded,
            Why::DuplicateNode => Code::Conflict,
            Why::Failed => Code::Internal,
            Why::Malformed | Why::Version | Why::ClockSkew => Code::Invalid,
            _ => Code::Forbidden,
        };
        Error { hint: refusal.hint, ..Error::new(code, refusal.cause) }
    }
}

/// An error as it travels.
#[derive(Serialize, Deserialize)]
struct ErrorForm {
    code: String,
    cause: String,
    #[serde(default)]
    hint: Option<String>,
    #[serde(default)]
    retry: String,
}

const CODES: [(Code, &str, u16); 10] = [
    (Code::Invalid, "invalid", 400),
    (Code::NotFound, "not-found", 404),
    (Code::Conflict, "conflict", 409),
    (Code::Forbidden, "forbidden", 403),
    (Code::Overloaded, "overloaded", 429),
    (Code::Unavailable, "unavailable", 503),
    (Code::Timeout, "timeout", 504),
    (Code::Corrupt, "corrupt", 422),
    (Code::System, "system", 500),
    (Code::Internal, "internal", 500),
];

const RETRIES: [(Retry, &str); 4] = [
    (Retry::Never, "never"),
    (Retry::Later, "later"),
    (Retry::OtherNode, "other-node"),
    (Retry::Unknown, "unknown"),
];

/// The status and the body of an error.
pub(super) fn write_error(e: &Error) -> (u16, Vec<u8>) {
    let (name, status) =
        CODES.iter().find(|(code, ..)| *code == e.code).map_or(("internal", 500), |c| (c.1, c.2));
    let retry = RETRIES.iter().find(|(retry, _)| *retry == e.retry).map_or("never", |r| r.1);
    let form = ErrorForm {
        code: name.into(),
        cause: e.cause.clone(),
        hint: e.hint.clone(),
        retry: retry.into(),
    };
    (status, to_json(&form).unwrap_or_default())
}

/// The error in an answer with that status.
pub(super) fn read_error(status: u16, body: &[u8]) -> Error {
    let Ok(form) = from_json::<ErrorForm>("an error", body) else {
        return Error::new(
            Code::Unavailable,
            format!("the other node answered with status {status}"),
        );
    };
    let code = CODES.iter().find(|(_, name, _)| *name == form.code).map(|(code, ..)| *code);
    let mut e = Error::new(code.unwrap_or(Code::Internal), form.cause);
    if let Some((retry, _)) = RETRIES.iter().find(|(_, name)| *name == form.retry) {
        e.retry = *retry;
    }
    Error { hint: form.hint, ..e }
}

/// Writes one of these messages.
///
/// # Errors
/// [`Code::Internal`]: they all have a form.
pub(super) fn to_json<T: Serialize>(message: &T) -> Result<Vec<u8>> {
    serde_json::to_vec(message)
        .map_err(|e| Error::new(Code::Internal, format!("a message has no form: {e}")))
}

/// Reads one of these messages; fields it does not know are left to newer versions.
///
/// # Errors
/// [`Code::Invalid`].
pub(super) fn from_json<T: DeserializeOwned>(what: &str, bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes)
        .map_err(|e| Error::new(Code::Invalid, format!("{what} cannot be read: {e}")))
}

#[cfg(test)]
mod tests;
