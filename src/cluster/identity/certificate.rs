//! A node's certificate: which node, of which cluster, with which roles, until when. The names in it are DNS names,
//! because that is what TLS libraries carry and compare.

use super::authorities::Authorities;
use super::key::NodeKey;
use super::node::{ClusterId, NodeId, Role, Roles};
use super::record;
use crate::base::error::Result;
use crate::base::time::Wall;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// How long a certificate is valid.
pub const CERTIFICATE_LIFE: Duration = Duration::from_secs(30 * 24 * 3600);
/// How far before its making it is valid: clocks differ.
pub(super) const BACKDATED: Duration = Duration::from_secs(3600);

/// The last label of every name.
const SUFFIX: &str = "mesolith";

/// The name of a node of a cluster.
pub(super) fn node_name(node: NodeId, cluster: ClusterId) -> String {
    format!("{node}.node.{cluster}.{SUFFIX}")
}

/// The name to ask for when any node of the cluster will do.
pub(super) fn any_name(cluster: ClusterId) -> String {
    format!("any.node.{cluster}.{SUFFIX}")
}

/// The node that a name asks for; `None` in it for any.
pub(super) fn asked(name: &str) -> Option<Option<NodeId>> {
    let (first, _) = name.split_once(".node.")?;
    if first == "any" { Some(None) } else { first.parse().ok().map(Some) }
}

/// The name that gives a role.
pub(super) fn role_name(role: Role) -> String {
    format!("{}.role.{SUFFIX}", role.name())
}

/// What the names of a certificate say; nothing unless they name exactly one node. Names of other versions are ignored.
pub(super) fn read_names<'a>(
    names: impl Iterator<Item = &'a str>,
) -> Option<(NodeId, ClusterId, Roles)> {
    let (mut named, mut roles) = (Vec::new(), Vec::new());
    for name in names {
        let mut labels = name.split('.');
        let labels = [labels.next(), labels.next(), labels.next(), labels.next(), labels.next()];
        match labels {
            [Some(node), Some("node"), Some(cluster), Some(SUFFIX), None] => {
                named.push((node.parse().ok()?, cluster.parse().ok()?));
            }
            [Some(role), Some("role"), Some(SUFFIX), None, None] => {
                roles.extend(Role::ALL.into_iter().filter(|r| r.name() == role));
            }
            _ => {}
        }
    }
    match named.as_slice() {
        [(node, cluster)] => Some((*node, *cluster, Roles::of(roles))),
        _ => None,
    }
}

/// A node's certificate, and that of the authority which signed it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// The node.
    pub node: NodeId,
    /// Its cluster.
    pub cluster: ClusterId,
    /// What it may be.
    pub roles: Roles,
    /// Valid from then.
    pub not_before: Wall,
    /// Valid until then.
    pub not_after: Wall,
    /// The certificate, DER.
    pub leaf: Vec<u8>,
    /// The authority's, DER.
    pub authority: Vec<u8>,
}

impl Certificate {
    /// When it should be renewed: after two thirds of its life.
    pub fn renew_at(&self) -> Wall {
        self.not_before + (self.not_after - self.not_before) / 3 * 2
    }

    /// Whether its time is over.
    pub fn is_expired(&self, now: Wall) -> bool {
        now >= self.not_after
    }

    /// Its stored form.
    ///
    /// # Errors
    /// As [`record::encode`].
    pub fn encode(&self) -> Result<Vec<u8>> {
        record::encode(self)
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// As [`record::decode`].
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        record::decode("a certificate", bytes)
    }
}

/// All that a node proves itself with, and whom it believes.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// Its key.
    pub key: Arc<NodeKey>,
    /// Its certificate.
    pub certificate: Certificate,
    /// The authorities it trusts.
    pub authorities: Authorities,
}
