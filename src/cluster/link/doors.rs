//! What is behind the doors of this node, given by who wires it. A door with nothing behind it says so.

use super::frames::{Body, BoxError};
use super::local::{MasterEnd, Switchboard};
use super::wire::{FaceName, JoinRefusal, JoinRequest, Joined, Renewed, Standing};
use crate::base::error::Result;
use crate::cluster::consensus::Inbox;
use crate::cluster::identity::{Member, NodeId};
use bytes::Bytes;
use hyper::body::Incoming;
use hyper::{Request, Response};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use tokio::sync::mpsc;
use tower::util::BoxCloneSyncService;
use tower::{Service, ServiceExt as _};

/// A future of a door.
pub type Answering<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Gossip from another node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GossipFrame {
    /// Who sent it.
    pub from: NodeId,
    /// Where that node listens: gossip's name for it.
    pub address: String,
    /// What it says.
    pub bytes: Bytes,
}

/// Who decides on joins and renewals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leader {
    /// This node.
    Here,
    /// That one.
    At {
        /// Its id.
        node: NodeId,
        /// Where it is reached.
        address: String,
    },
    /// Nobody at present.
    Nobody,
}

/// Lets nodes in. The leader decides; the others pass requests on to it.
pub trait Admission: Send + Sync + 'static {
    /// Who leads, as far as this node knows.
    fn leader(&self) -> Leader;

    /// Decides on a join, on the leader. Form, versions, clock and the key's signature were checked
    /// ([`JoinRequest::screen`]); the token was not (`TokenBook::check` with [`JoinRequest::message`]), nor whether the
    /// node is wanted. Where it is reached: [`JoinRequest::reached_at`].
    fn admit(
        &self,
        request: JoinRequest,
        from: IpAddr,
    ) -> Answering<std::result::Result<Joined, JoinRefusal>>;

    /// Signs a new certificate for a member, on the leader. Its present one was checked.
    fn renew(&self, member: Member) -> Answering<Result<Renewed>>;
}

/// Takes agents' connections.
pub trait AgentDoor: Send + Sync + 'static {
    /// Takes one.
    ///
    /// # Errors
    /// `Code::Unavailable` when no master leads here.
    fn accept(&self, from: NodeId, end: MasterEnd) -> Result<()>;
}

impl AgentDoor for Switchboard {
    fn accept(&self, _from: NodeId, end: MasterEnd) -> Result<()> {
        self.put_through(end)
    }
}

/// Where a request that another node passed on came from. A request extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Via {
    /// The node.
    pub node: NodeId,
    /// Its address.
    pub from: SocketAddr,
}

/// Tells a node how it stands, on nodes that have the log.
pub type Standings = Arc<dyn Fn(NodeId) -> Result<Standing> + Send + Sync>;

/// What answers a face's requests.
pub type FaceService = BoxCloneSyncService<Request<Incoming>, Response<Body>, Infallible>;

/// Makes a face of a service (an axum router is one).
pub fn face<S, B>(service: S) -> FaceService
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
    S: Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
    B: hyper::body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let answer = |response: Response<B>| {
        use http_body_util::BodyExt as _;
        response.map(|body| body.map_err(Into::into).boxed_unsync())
    };
    BoxCloneSyncService::new(service.map_response(answer))
}

/// What is behind the doors.
#[derive(Clone, Default)]
pub struct Doors {
    /// The log of this node.
    pub raft: Option<Inbox>,
    /// Takes gossip; what it has no room for is dropped and counted.
    pub gossip: Option<mpsc::Sender<GossipFrame>>,
    /// Takes agents, when this node leads.
    pub agents: Option<Arc<dyn AgentDoor>>,
    /// Lets nodes in.
    pub admission: Option<Arc<dyn Admission>>,
    /// Knows how nodes stand.
    pub standings: Option<Standings>,
    /// The faces of this node.
    pub faces: BTreeMap<FaceName, FaceService>,
}
