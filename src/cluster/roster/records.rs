//! The keys and values of the cluster's own records in the registry.

use crate::base::error::Result;
use crate::base::time::Wall;
use crate::cluster::consensus::Registry;
use crate::cluster::identity::{NodeId, Roles, TokenId, record};
use crate::cluster::membership::Order;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What all keys begin with.
pub const PREFIX: &str = "cluster/";
/// The authority that signs, with its key.
pub(super) const AUTHORITY: &str = "cluster/authority";
/// The authorities that are trusted.
pub(super) const AUTHORITIES: &str = "cluster/authorities";
/// Nodes that were removed.
pub(super) const REMOVED: &str = "cluster/removed";
const TOKENS: &str = "cluster/tokens/";
const NODES: &str = "cluster/nodes/";

/// The key of a token's record.
pub(super) fn token_key(id: TokenId) -> String {
    format!("{TOKENS}{id}")
}

/// The key of a node's record.
pub(super) fn node_key(node: NodeId) -> String {
    format!("{NODES}{node}")
}

/// What a key is of.
pub(super) enum Kind {
    Authority,
    Authorities,
    Removed,
    Token,
    Node,
}

pub(super) fn kind(key: &str) -> Option<Kind> {
    match key {
        AUTHORITY => Some(Kind::Authority),
        AUTHORITIES => Some(Kind::Authorities),
        REMOVED => Some(Kind::Removed),
        _ if key.starts_with(TOKENS) => Some(Kind::Token),
        _ if key.starts_with(NODES) => Some(Kind::Node),
        _ => None,
    }
}

/// A node that was let in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRecord {
    /// Which one.
    pub node: NodeId,
    /// What its certificate says it may be.
    pub roles: Roles,
    /// Where it is reached, `host:port`.
    pub address: String,
    /// Its host's name.
    pub hostname: String,
    /// The zone it is in; empty: none was named.
    pub zone: String,
    /// When it was let in.
    pub joined: Wall,
    /// By which token; none for the founder.
    pub token: Option<TokenId>,
    /// What the operator said about its vote.
    #[serde(with = "order")]
    pub order: Order,
    /// It is to leave for good.
    pub leaving: bool,
}

/// The nodes that were removed, and when.
pub(super) type Removed = BTreeMap<NodeId, Wall>;

/// The nodes whose certificates are worth nothing, as this node's copy of the registry has them.
///
/// # Errors
/// What the database failed with; `Code::Corrupt`.
pub fn revoked_in(registry: &Registry) -> Result<BTreeSet<NodeId>> {
    match registry.get(REMOVED)? {
        Some((bytes, _)) => {
            let removed: Removed = record::decode("the list of removed nodes", &bytes)?;
            Ok(removed.into_keys().collect())
        }
        None => Ok(BTreeSet::new()),
    }
}

/// Whether a node is to leave for good, as this node's copy of the registry has it.
///
/// # Errors
/// As [`revoked_in`].
pub fn is_leaving(registry: &Registry, node: NodeId) -> Result<bool> {
    let key = node_key(node);
    match registry.get(&key)? {
        Some((bytes, _)) => Ok(record::decode::<NodeRecord>(&key, &bytes)?.leaving),
        None => Ok(false),
    }
}

/// An order by its number, which never changes.
mod order {
    use super::Order;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(order: &Order, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_u8(match order {
            Order::None => 0,
            Order::Promote => 1,
            Order::Pin => 2,
            Order::Demote => 3,
        })
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Order, D::Error> {
        match u8::deserialize(d)? {
            0 => Ok(Order::None),
            1 => Ok(Order::Promote),
            2 => Ok(Order::Pin),
            3 => Ok(Order::Demote),
            other => Err(serde::de::Error::custom(format!("{other} is no order"))),
        }
    }
}
