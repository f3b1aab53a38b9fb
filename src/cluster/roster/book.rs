//! The cluster's records in memory. Pure but for the signing: time comes as an argument, a change answers with the writes
//! that make it last, and whoever cannot commit them throws the changed copy away.

use super::records::{self, Kind, NodeRecord, Removed, node_key, token_key};
use crate::base::error::{Code, Error, Result};
use crate::base::time::Wall;
use crate::cluster::consensus::Op;
use crate::cluster::identity::{
    Authorities, Authority, CERTIFICATE_LIFE, Certificate, Member, NewToken, NodeId, OpenDoor,
    Roles, Token, TokenBook, TokenId, TokenRecord, record,
};
use crate::cluster::link::{JoinRefusal, JoinRequest, Why};
use crate::cluster::membership::Order;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// How many nodes a cluster may have.
pub const NODES_MAX: usize = 8192;
/// How many removed nodes are remembered; none is forgotten while a certificate of it may be valid.
pub const REMOVED_MAX: usize = 4096;

/// All of it.
#[derive(Clone, Debug, Default)]
pub struct Book {
    authority: Option<Authority>,
    authorities: Option<Authorities>,
    tokens: TokenBook,
    nodes: BTreeMap<NodeId, NodeRecord>,
    removed: Removed,
}

fn unfounded() -> Error {
    Error::new(Code::Unavailable, "the cluster's authority is not in the registry yet")
}

impl Book {
    /// Of the registry's rows.
    ///
    /// # Errors
    /// [`Code::Corrupt`], naming the row.
    pub fn read(rows: impl IntoIterator<Item = (String, Vec<u8>)>) -> Result<Self> {
        let mut book = Self::default();
        let mut tokens = Vec::new();
        for (key, value) in rows {
            match records::kind(&key) {
                Some(Kind::Authority) => book.authority = Some(Authority::decode(&value)?),
                Some(Kind::Authorities) => book.authorities = Some(Authorities::decode(&value)?),
                Some(Kind::Removed) => book.removed = record::decode(&key, &value)?,
                Some(Kind::Token) => tokens.push(TokenRecord::decode(&value)?),
                Some(Kind::Node) => {
                    let node: NodeRecord = record::decode(&key, &value)?;
                    book.nodes.insert(node.node, node);
                }
                // Of a newer version.
                None => {}
            }
        }
        book.tokens = TokenBook::of(tokens);
        Ok(book)
    }

    /// Lets in those as well who come by an open door.
    pub fn leave_open(&mut self, open: Option<OpenDoor>) {
        self.tokens.leave_open(open);
    }

    /// Whether there is an authority.
    pub fn is_founded(&self) -> bool {
        self.authority.is_some()
    }

    /// The authorities that are trusted.
    pub fn authorities(&self) -> Option<&Authorities> {
        self.authorities.as_ref()
    }

    /// All nodes.
    pub fn nodes(&self) -> impl Iterator<Item = &NodeRecord> {
        self.nodes.values()
    }

    /// One of them.
    pub fn node(&self, node: NodeId) -> Option<&NodeRecord> {
        self.nodes.get(&node)
    }

    /// A node that was to leave and has left: it has no part in the log any more, and gives no sign of life.
    pub fn departed(
        &self,
        in_log: impl Fn(NodeId) -> bool,
        alive: impl Fn(NodeId) -> bool,
    ) -> Option<NodeId> {
        let left =
            |record: &&NodeRecord| record.leaving && !in_log(record.node) && !alive(record.node);
        self.nodes.values().find(left).map(|record| record.node)
    }

    /// All tokens.
    pub fn tokens(&self) -> impl Iterator<Item = &TokenRecord> {
        self.tokens.list()
    }

    pub(super) fn token_book(&self) -> &TokenBook {
        &self.tokens
    }

    /// The nodes that were removed.
    pub fn removed(&self) -> impl Iterator<Item = NodeId> {
        self.removed.keys().copied()
    }

    /// Founds the cluster: its authority, and the node that made it.
    ///
    /// # Errors
    /// [`Code::Conflict`] when it is founded.
    pub fn found(&mut self, authority: Authority, first: NodeRecord) -> Result<Vec<Op>> {
        if self.is_founded() {
            return Err(Error::new(Code::Conflict, "the cluster has an authority"));
        }
        let authorities = Authorities::of(&authority);
        let mut ops = vec![
            Op::put(records::AUTHORITY, authority.encode()?),
            Op::put(records::AUTHORITIES, authorities.encode()?),
        ];
        (self.authority, self.authorities) = (Some(authority), Some(authorities));
        ops.push(self.put(first)?);
        Ok(ops)
    }

    fn put(&mut self, node: NodeRecord) -> Result<Op> {
        let op = Op::put(node_key(node.node), record::encode(&node)?);
        self.nodes.insert(node.node, node);
        Ok(op)
    }

    fn signing(&self) -> Result<(&Authority, &Authorities)> {
        self.authority.as_ref().zip(self.authorities.as_ref()).ok_or_else(unfounded)
    }

    /// Lets a node in, or tells why not. `from` is where it came from, which is its host when it names none.
    ///
    /// # Errors
    /// Why it is not let in.
    pub fn admit(
        &mut self,
        request: &JoinRequest,
        from: IpAddr,
        now: Wall,
    ) -> std::result::Result<(Vec<Op>, Certificate), JoinRefusal> {
        let failed = |e: Error| JoinRefusal::new(Why::Failed, e.to_string());
        let (authority, authorities) = self.signing().map_err(failed)?;
        let token = self.tokens.check(&request.shown, &request.message(), authorities, now)?;
        let node = request.node();
        if self.removed.contains_key(&node) {
            let cause = format!("node {node} was removed from the cluster");
            return Err(JoinRefusal::new(Why::Removed, cause)
                .hint("start it with an empty data directory: it is another node then"));
        }
        let address = reached_at(&request.address, from);
        let other = self.nodes.values().find(|n| n.node != node && n.address == address);
        if let Some(other) = other {
            let cause = format!("node {} is known at {address}", other.node);
            return Err(JoinRefusal::new(Why::DuplicateNode, cause).hint(format!(
                "if that one is gone for good, remove it: `mesolith node rm {}`",
                other.node
            )));
        }
        if self.nodes.len() >= NODES_MAX && !self.nodes.contains_key(&node) {
            return Err(JoinRefusal::new(Why::Full, format!("the cluster has {NODES_MAX} nodes")));
        }
        let (roles, id) = (request.shown.roles, token);
        let certificate = authority.sign(&request.key, roles, now).map_err(failed)?;
        let before = self.nodes.get(&node);
        let record = NodeRecord {
            node,
            roles,
            address,
            hostname: request.hostname.clone(),
            zone: request.zone.clone().unwrap_or_default(),
            joined: before.map_or(now, |n| n.joined),
            token: Some(id),
            order: before.map_or(Order::None, |n| n.order),
            leaving: false,
        };
        let op = self.put(record).map_err(failed)?;
        Ok((vec![op], certificate))
    }

    /// A new certificate for a member.
    ///
    /// # Errors
    /// [`Code::Forbidden`] for a node that was removed or never let in.
    pub fn renew(&self, member: &Member, now: Wall) -> Result<(Certificate, Authorities)> {
        let (authority, authorities) = self.signing()?;
        let node = self.nodes.get(&member.node).ok_or_else(|| {
            Error::new(Code::Forbidden, format!("node {} is none of the cluster's", member.node))
        })?;
        Ok((authority.sign(&member.key, node.roles, now)?, authorities.clone()))
    }

    /// Makes a token.
    ///
    /// # Errors
    /// As [`TokenBook::issue`].
    pub fn issue(&mut self, new: NewToken, now: Wall) -> Result<(Vec<Op>, (Token, TokenRecord))> {
        let authorities = self.authorities.as_ref().ok_or_else(unfounded)?;
        let (token, record, forgotten) = self.tokens.issue(new, authorities, now)?;
        Ok((token_ops(std::slice::from_ref(&record), &forgotten)?, (token, record)))
    }

    /// Revokes a token.
    ///
    /// # Errors
    /// As [`TokenBook::revoke`].
    pub fn revoke(&mut self, id: TokenId, now: Wall) -> Result<(Vec<Op>, ())> {
        let record = self.tokens.revoke(id, now)?;
        Ok((token_ops(&[record], &[])?, ()))
    }

    /// Replaces a token.
    ///
    /// # Errors
    /// As [`TokenBook::rotate`].
    pub fn rotate(&mut self, id: TokenId, now: Wall) -> Result<(Vec<Op>, (Token, TokenRecord))> {
        let authorities = self.authorities.as_ref().ok_or_else(unfounded)?;
        let (token, records, forgotten) = self.tokens.rotate(id, authorities, now)?;
        let ops = token_ops(&records, &forgotten)?;
        let [_, record] = records;
        Ok((ops, (token, record)))
    }

    fn known(&self, node: NodeId) -> Result<NodeRecord> {
        let unknown = || {
            Error::new(Code::NotFound, format!("there is no node {node}"))
                .hint("see `mesolith cluster status`")
        };
        self.nodes.get(&node).cloned().ok_or_else(unknown)
    }

    /// What the operator says about a node's vote.
    ///
    /// # Errors
    /// [`Code::NotFound`]; [`Code::Invalid`] for a node that cannot be a master.
    pub fn order(&mut self, node: NodeId, order: Order) -> Result<(Vec<Op>, ())> {
        let record = self.known(node)?;
        let votes = matches!(order, Order::Promote | Order::Pin);
        if votes && !record.roles.has(crate::cluster::identity::Role::Master) {
            let cause = format!("node {node} is let in as {}: it cannot vote", record.roles);
            return Err(Error::new(Code::Invalid, cause)
                .hint("let it join again, with a token for full nodes"));
        }
        let op = self.put(NodeRecord { order, ..record })?;
        Ok((vec![op], ()))
    }

    /// A node is to leave for good, or to stay after all.
    ///
    /// # Errors
    /// [`Code::NotFound`].
    pub fn leave(&mut self, node: NodeId, leaving: bool) -> Result<(Vec<Op>, ())> {
        let record = self.known(node)?;
        let op = self.put(NodeRecord { leaving, ..record })?;
        Ok((vec![op], ()))
    }

    /// A node is reached elsewhere now.
    ///
    /// # Errors
    /// [`Code::NotFound`].
    pub fn moved(&mut self, node: NodeId, address: String) -> Result<(Vec<Op>, ())> {
        let record = self.known(node)?;
        if record.address == address {
            return Ok((Vec::new(), ()));
        }
        let op = self.put(NodeRecord { address, ..record })?;
        Ok((vec![op], ()))
    }

    /// Removes a node for good: its certificate is worth nothing from then on.
    ///
    /// # Errors
    /// [`Code::NotFound`]; [`Code::Overloaded`] with [`REMOVED_MAX`] removed whose certificates may be valid.
    pub fn remove(&mut self, node: NodeId, now: Wall) -> Result<(Vec<Op>, ())> {
        self.known(node)?;
        self.removed.retain(|_, at| now - *at < CERTIFICATE_LIFE);
        if self.removed.len() >= REMOVED_MAX {
            let cause = format!("{REMOVED_MAX} nodes were removed within a certificate's life");
            return Err(Error::new(Code::Overloaded, cause));
        }
        self.nodes.remove(&node);
        self.removed.insert(node, now);
        let removed = Op::put(records::REMOVED, record::encode(&self.removed)?);
        Ok((vec![Op::delete(node_key(node)), removed], ()))
    }

    /// What a certificate of that node would say.
    pub fn roles(&self, node: NodeId) -> Option<Roles> {
        self.nodes.get(&node).map(|n| n.roles)
    }
}

fn token_ops(records: &[TokenRecord], forgotten: &[TokenId]) -> Result<Vec<Op>> {
    let mut ops: Vec<Op> = forgotten.iter().map(|id| Op::delete(token_key(*id))).collect();
    for record in records {
        ops.push(Op::put(token_key(record.id), record.encode()?));
    }
    Ok(ops)
}

/// `:5052` is on the host it came from.
fn reached_at(address: &str, from: IpAddr) -> String {
    match address.strip_prefix(':') {
        Some(port) => match from {
            IpAddr::V4(v4) => format!("{v4}:{port}"),
            IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
                Some(v4) => format!("{v4}:{port}"),
                None => format!("[{v6}]:{port}"),
            },
        },
        None => address.to_string(),
    }
}
