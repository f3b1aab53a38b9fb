//! How a node gets into its cluster: with what it has, by a member that lets it in, or by founding one.
//!
//! Who names masters in the manner of Mesos (`zk://h1,h2,h3/…`) joins them; where none of them is there yet, the first of
//! the list founds the cluster and the others wait for it.

use crate::base::error::{Code, Error, Result};
use crate::base::version::MESOLITH_VERSION;
use crate::cluster::gossip::{self, Facts};
use crate::cluster::identity::{
    Authorities, Authority, Certificate, ClusterId, Credentials, Folder, Roles, wall_now,
};
use crate::cluster::link::join::{JoinFailure, Pass, Patience, Progress, Trouble, join};
use crate::cluster::link::{JoinFacts, Joined};
use crate::cluster::membership::{Order, Versions};
use crate::cluster::roster::NodeRecord;
use crate::node::settings::Options;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

/// How long the first of the masters that are named looks for another one before it founds the cluster.
const FOUND_AFTER: Duration = Duration::from_secs(3);
/// How long masters that are named are waited for: as Mesos's, for as long as it takes.
const WAIT_FOR_MASTERS: Duration = Duration::from_secs(365 * 24 * 3600);
/// How long one of them may take to answer at all: the next may know more.
const MASTER_ANSWERS: Duration = Duration::from_secs(1);

/// A node that is in.
pub(super) struct Entered {
    /// What it proves itself with.
    pub credentials: Credentials,
    /// Where others are, as far as it was told or remembers.
    pub others: Vec<String>,
    /// Whether it was in before.
    pub again: bool,
}

/// Enters.
///
/// # Errors
/// Why it was not let in; what the folder failed with; [`Code::Invalid`] for settings that lead nowhere.
pub(super) async fn enter(
    folder: &Folder,
    options: &Options,
    address: SocketAddr,
    say: &(dyn Fn(&str) + Sync),
) -> Result<Entered> {
    let seeds: Vec<String> = options.join.iter().chain(&options.ensemble.seeds).cloned().collect();
    if let Some(credentials) = folder.load()? {
        let certificate = &credentials.certificate;
        may_be(certificate, options)?;
        if !options.join.is_empty() {
            say(&format!("this node is in cluster {} already", certificate.cluster));
        }
        let others = folder.others()?.into_iter().chain(seeds).collect();
        return Ok(Entered { credentials, others, again: true });
    }
    let first = options.join.is_empty() && options.ensemble.position == Some(0);
    let pass = match (&options.token, options.open) {
        (Some(token), _) => Some(Pass::Token(token.clone())),
        (None, Some(open)) => Some(Pass::Open(open)),
        (None, None) => None,
    };
    match pass {
        _ if seeds.is_empty() => founded(folder, options),
        // Nobody can let this node in; so nobody can have let in others with what it was told.
        None if first => founded(folder, options),
        None => Err(needs_token(options)),
        Some(pass) if first => match by(folder, options, &pass, &seeds, address, say).await {
            Ok(entered) => Ok(entered),
            Err(Refused::By(failure)) if failure.seeds.iter().all(|(_, t)| is_absent(t)) => {
                say(
                    "no other master is there: this one, the first that is named, founds the cluster",
                );
                founded(folder, options)
            }
            Err(refused) => Err(refused.into()),
        },
        Some(pass) => Ok(by(folder, options, &pass, &seeds, address, say).await?),
    }
}

fn needs_token(options: &Options) -> Error {
    let error = Error::new(Code::Invalid, "joining needs a token (--token)");
    let hint = "`mesolith token create` on a member of the cluster makes one";
    match options.ensemble.seeds.is_empty() {
        true => error.hint(hint),
        false => error.hint(format!(
            "{hint}; with --insecure on all nodes, those that name the same masters let each other in"
        )),
    }
}

/// Whether a certificate is for what the node is to be.
fn may_be(certificate: &Certificate, options: &Options) -> Result<()> {
    if certificate.roles == Roles::AGENT && options.roles.master {
        let cause = "this node was let in as an agent: it cannot be a master";
        return Err(Error::new(Code::Conflict, cause).hint(
            "start it with --roles agent, or join with a token for full nodes and an empty data directory",
        ));
    }
    Ok(())
}

/// Nobody is there, or it has not begun either.
fn is_absent(trouble: &Trouble) -> bool {
    use Trouble::{NoAddress, NoAnswer, PortClosed, Slow, ThisNode};
    matches!(trouble, NoAddress(_) | PortClosed | NoAnswer(_) | ThisNode | Slow("handshake", _))
}

fn founded(folder: &Folder, options: &Options) -> Result<Entered> {
    if !options.roles.master {
        let cause = "a node that is no master has to join a cluster";
        return Err(Error::new(Code::Invalid, cause).hint("name a member with --join"));
    }
    Ok(Entered { credentials: found(folder)?, others: Vec::new(), again: false })
}

/// Founds a cluster: the authority is kept here until the registry has it.
fn found(folder: &Folder) -> Result<Credentials> {
    let authority = match folder.founding()? {
        Some(authority) => authority,
        None => {
            let authority = Authority::create(ClusterId::random()?, wall_now())?;
            folder.keep_founding(&authority)?;
            authority
        }
    };
    let certificate = authority.sign(&folder.key().public(), Roles::FULL, wall_now())?;
    folder.store(&certificate, &Authorities::of(&authority))
}

/// Why a node is not in.
enum Refused {
    /// The others.
    By(JoinFailure),
    /// Its own machine.
    Here(Error),
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::By(failure) => failure.into(),
            Refused::Here(e) => e,
        }
    }
}

async fn by(
    folder: &Folder,
    options: &Options,
    pass: &Pass,
    seeds: &[String],
    address: SocketAddr,
    say: &(dyn Fn(&str) + Sync),
) -> std::result::Result<Entered, Refused> {
    let facts = JoinFacts {
        address: address.to_string(),
        hostname: options.hostname.clone(),
        zone: Some(options.zone.clone()).filter(|zone| !zone.is_empty()),
        // Who may lead could give itself any other role.
        roles: if options.roles.master { Roles::FULL } else { Roles::AGENT },
        program: MESOLITH_VERSION.into(),
        wire: options.wire,
    };
    let mut patience = Patience { own: vec![address], ..Patience::default() };
    if options.join.is_empty() {
        (patience.connect, patience.handshake) = (MASTER_ANSWERS, MASTER_ANSWERS);
        patience.in_all = match options.ensemble.position {
            Some(0) => FOUND_AFTER,
            _ => WAIT_FOR_MASTERS,
        };
    }
    let (mut told, mut waits) = (BTreeMap::new(), false);
    let joined = join(seeds, pass, folder.key(), &facts, &patience, |progress| match progress {
        Progress::Asks(seed) if !told.contains_key(seed) => say(&format!("joining by {seed}")),
        Progress::Failed(seed, trouble) => {
            // What is the same as in the round before is not said again.
            let text = trouble.to_string();
            if told.get(seed) != Some(&text) {
                say(&format!("{seed}: {text}"));
                told.insert(seed.to_string(), text);
            }
        }
        Progress::Waits(pause) if !waits => {
            waits = true;
            say(&format!("no member let this node in yet; they are asked again each {pause:.0?}"));
        }
        Progress::Asks(_) | Progress::Waits(_) => {}
    })
    .await
    .map_err(Refused::By)?;
    say(&format!("joined cluster {}", joined.cluster));
    let Joined { certificate, authorities, members, .. } = joined;
    let credentials = folder.store(&certificate, &authorities).map_err(Refused::Here)?;
    let others = members.into_iter().map(|member| member.address).collect();
    Ok(Entered { credentials, others, again: false })
}

/// What the registry gets to know of a node that founds it.
pub(super) fn first_record(
    certificate: &Certificate,
    options: &Options,
    address: SocketAddr,
) -> NodeRecord {
    NodeRecord {
        node: certificate.node,
        roles: certificate.roles,
        address: address.to_string(),
        hostname: options.hostname.clone(),
        zone: options.zone.clone(),
        joined: wall_now(),
        token: None,
        order: Order::None,
        leaving: false,
    }
}

/// What the node says of itself.
pub(super) fn facts(
    options: &Options,
    faces: BTreeMap<gossip::Role, SocketAddr>,
    versions: Versions,
) -> Facts {
    use gossip::Role::{Agent, Chronos, Marathon, Master};
    let roles = options.roles;
    let runs = [
        (Master, roles.master),
        (Agent, roles.agent),
        (Marathon, roles.marathon),
        (Chronos, roles.chronos),
    ];
    Facts {
        version: MESOLITH_VERSION.into(),
        wire: Some((versions.oldest, versions.newest)),
        roles: runs.into_iter().filter(|(_, on)| *on).map(|(role, _)| role).collect(),
        zone: options.zone.clone(),
        hostname: options.hostname.clone(),
        leader: None,
        faces: faces.into_iter().map(|(role, at)| (role, at.to_string())).collect(),
        candidate: roles.master,
        leaving: false,
        load: None,
    }
}
