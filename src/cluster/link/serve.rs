//! One request: which door, whether it is open for who asks, and what is behind it.

use super::agents;
use super::door::Door;
use super::doors::{Admission, GossipFrame, Leader};
use super::forward;
use super::frames::{Body, Frames, read_whole, whole};
use super::listen::Session;
use super::peer::Lane;
use super::wire::{
    Hello, JoinRefusal, JoinRequest, Joined, PassedOn, Renewed, STRANGER_BYTES_MAX, TALK_BYTES_MAX,
    Why, from_json, read_join, read_renewed, to_json, write_error, write_join, write_renewed,
};
use crate::base::error::{Code, Error, Result};
use crate::cluster::consensus::{Chunks, Inbox};
use crate::cluster::identity::{Member, Usage, wall_now};
use hyper::body::Incoming;
use hyper::{Request, Response, StatusCode};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// The largest request or answer of the log, in bytes: replication takes about 1 MiB of entries at a time, or one entry of
/// any size.
pub(super) const RAFT_BYTES_MAX: usize = 32 << 20;
/// The largest piece of a snapshot, in bytes: one key with its value is never divided.
pub(super) const CHUNK_BYTES_MAX: usize = 16 << 20;
/// How many pieces of a snapshot may wait to be checked.
pub(super) const CHUNKS_MAX: usize = 4;
/// The largest gossip message, in bytes.
pub const GOSSIP_BYTES_MAX: usize = 1 << 20;
/// How long the leader may take over a join or a renewal.
const DECIDE_TIMEOUT: Duration = Duration::from_secs(15);

/// Answers a request.
pub(super) async fn serve(session: &Arc<Session>, request: Request<Incoming>) -> Response<Body> {
    match behind(session, request).await {
        Ok(response) => response,
        Err(e) => {
            if matches!(e.code, Code::Invalid | Code::Corrupt) {
                session.link.0.counts.bad_messages.inc();
            }
            refuse(&e)
        }
    }
}

/// An error as an answer.
pub(super) fn refuse(e: &Error) -> Response<Body> {
    let (status, body) = write_error(e);
    let mut response = Response::new(whole(body));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    forward::mark(&mut response);
    response
}

fn bytes(body: Vec<u8>) -> Response<Body> {
    Response::new(whole(body))
}

async fn behind(session: &Arc<Session>, request: Request<Incoming>) -> Result<Response<Body>> {
    let counts = &session.link.0.counts;
    let Some(door) = Door::of(request.uri().path()) else {
        counts.unknown_doors.inc();
        return Err(Error::new(Code::NotFound, "this node has no such door"));
    };
    if !session.may(door) {
        counts.forbidden.inc();
        let cause = match &session.who {
            Some(member) => format!(
                "node {} with the roles {} may not use {}",
                member.node,
                member.roles,
                door.path()
            ),
            None => format!("{} is for members of the cluster", door.path()),
        };
        tracing::warn!("{}: refused: {cause}", session.from);
        return Err(Error::new(Code::Forbidden, cause));
    }
    let Some(member) = &session.who else { return join(session, request).await };
    if session.hello.get().is_none() && door != Door::Hello {
        return Err(Error::new(Code::Invalid, "a connection begins with a hello"));
    }
    match door {
        Door::Hello => hello(session, member, request).await,
        Door::Join => pass_on(session, request).await,
        Door::Renew => renew(session, member, request).await,
        Door::Standing => {
            let standings = session.doors.standings.as_ref();
            let standings = standings.ok_or_else(|| nothing("that question"))?;
            to_json(&standings(member.node)?).map(bytes)
        }
        Door::RaftHeartbeat | Door::RaftCall => {
            let inbox = raft(session)?;
            let closed = |_| Error::new(Code::Unavailable, "the node is stopping");
            let _one = session.large.acquire().await.map_err(closed)?;
            let request = read_whole(request.into_body(), RAFT_BYTES_MAX).await?;
            inbox.handle(&request).await.map(bytes)
        }
        Door::RaftSnapshot => snapshot(raft(session)?, request).await.map(bytes),
        Door::Gossip => gossip(session, member, request).await,
        Door::Agent => match &session.doors.agents {
            Some(agents) => agents::accept(session, member, &**agents, request),
            None => Err(nothing("agents")),
        },
        Door::Face(name) => match session.doors.faces.get(&name) {
            Some(face) => Ok(forward::answer(session, member, door, face.clone(), request).await),
            None => Err(nothing("requests of users")),
        },
    }
}

fn nothing(what: &str) -> Error {
    Error::new(Code::Unavailable, format!("this node does not take {what} at present"))
}

fn raft(session: &Session) -> Result<&Inbox> {
    session.doors.raft.as_ref().ok_or_else(|| nothing("part in the log"))
}

async fn hello(
    session: &Session,
    member: &Member,
    request: Request<Incoming>,
) -> Result<Response<Body>> {
    let body = read_whole(request.into_body(), TALK_BYTES_MAX).await?;
    let hello: Hello = from_json("a node's hello", &body)?;
    session.link.judge(&hello, member.node)?;
    session.greeted(hello);
    to_json(&session.link.hello()).map(bytes)
}

async fn snapshot(inbox: &Inbox, request: Request<Incoming>) -> Result<Vec<u8>> {
    let mut frames = Frames::new(request.into_body(), CHUNK_BYTES_MAX);
    let no_head = || Error::new(Code::Invalid, "a snapshot came without a head");
    let head = frames.next().await?.ok_or_else(no_head)?;
    let (pieces, mut waiting) = mpsc::channel::<Result<Vec<u8>>>(CHUNKS_MAX);
    let reading = tokio::spawn(async move {
        loop {
            let piece = match frames.next().await {
                Ok(Some(piece)) => Ok(piece.to_vec()),
                Ok(None) => return,
                Err(e) => Err(e),
            };
            let over = piece.is_err();
            if pieces.send(piece).await.is_err() || over {
                return;
            }
        }
    });
    // They are taken on a thread that may wait.
    let chunks = Chunks::new(std::iter::from_fn(move || waiting.blocking_recv()));
    let answer = inbox.handle_snapshot(&head, chunks).await;
    reading.abort();
    answer
}

async fn gossip(
    session: &Session,
    member: &Member,
    request: Request<Incoming>,
) -> Result<Response<Body>> {
    let queue = session.doors.gossip.as_ref().ok_or_else(|| nothing("gossip"))?;
    let bytes = read_whole(request.into_body(), GOSSIP_BYTES_MAX).await?;
    let address = session.hello.get().map(|hello| hello.address.clone()).unwrap_or_default();
    if queue.try_send(GossipFrame { from: member.node, address, bytes }).is_err() {
        // Gossip is repeated: what is dropped here is told again.
        session.link.0.counts.gossip_overflows.inc();
    }
    Ok(Response::new(whole(Vec::new())))
}

fn admission(session: &Session) -> Result<&Arc<dyn Admission>> {
    session.doors.admission.as_ref().ok_or_else(|| nothing("new nodes"))
}

/// A join that somebody without a certificate asks for.
async fn join(session: &Session, request: Request<Incoming>) -> Result<Response<Body>> {
    let body = read_whole(request.into_body(), STRANGER_BYTES_MAX).await?;
    let request: JoinRequest = from_json("a join", &body)?;
    let from = session.from.ip().to_canonical();
    let answer = match admission(session).map(|admission| admission.leader()) {
        Err(e) => Err(e.into()),
        Ok(Leader::Here) => decide(session, request, from).await,
        Ok(Leader::Nobody) => Err(JoinRefusal::no_leader()),
        Ok(Leader::At { node, address }) => {
            let passed_on = to_json(&PassedOn { request, from })?;
            let peer = session.link.peer(&address, Some(node));
            let asked = peer.ask(Lane::Proxy, Door::Join, whole(passed_on), TALK_BYTES_MAX);
            match tokio::time::timeout(DECIDE_TIMEOUT, asked).await {
                Ok(Ok(answer)) => read_join(&answer)?,
                Ok(Err(e)) => Err(e.context("the leader could not be asked").into()),
                Err(_) => Err(JoinRefusal::new(Why::NoLeader, "the leader does not answer")),
            }
        }
    };
    write_join(&answer).map(bytes)
}

/// A join that another member passes on.
async fn pass_on(session: &Session, request: Request<Incoming>) -> Result<Response<Body>> {
    let body = read_whole(request.into_body(), STRANGER_BYTES_MAX * 2).await?;
    let PassedOn { request, from } = from_json("a join", &body)?;
    // It is passed on once only: two that take each other for the leader would go on for ever.
    let answer = match admission(session).map(|admission| admission.leader()) {
        Ok(Leader::Here) => decide(session, request, from).await,
        Ok(_) => Err(JoinRefusal::no_leader()),
        Err(e) => Err(e.into()),
    };
    write_join(&answer).map(bytes)
}

async fn decide(
    session: &Session,
    request: JoinRequest,
    from: IpAddr,
) -> std::result::Result<Joined, JoinRefusal> {
    let link = &session.link;
    let judged = match request.screen(link.0.options.wire, wall_now()) {
        Ok(()) if link.0.revoked.contains(request.node()) => {
            let cause = "the node was removed from the cluster";
            Err(JoinRefusal::new(Why::Removed, cause)
                .hint("start with an empty data directory: it is then another node"))
        }
        Ok(()) => {
            let node = request.node();
            let deciding = admission(session)?.admit(request, from);
            let late = || JoinRefusal::new(Why::NoLeader, "the cluster did not decide in time");
            let decided = tokio::time::timeout(DECIDE_TIMEOUT, deciding).await;
            let decided = decided.unwrap_or_else(|_| Err(late()));
            if decided.is_ok() {
                tracing::info!("node {node} joins, from {from}");
            }
            decided
        }
        Err(refusal) => Err(refusal),
    };
    if let Err(refusal) = &judged {
        link.0.counts.joins_refused.inc();
        tracing::warn!("a node from {from} was not let in: {}", refusal.cause);
    }
    judged
}

/// A new certificate for whose present one is shown: the asker's own, or one that is passed on.
async fn renew(
    session: &Session,
    member: &Member,
    request: Request<Incoming>,
) -> Result<Response<Body>> {
    let shown = read_whole(request.into_body(), STRANGER_BYTES_MAX).await?;
    let checked = session.link.trust().check(&shown, Usage::Client, wall_now());
    let whose = checked.map_err(|why| Error::new(Code::Forbidden, why.to_string()))?;
    let admission = admission(session)?;
    let deciding = match admission.leader() {
        Leader::Here => admission.renew(whose),
        // Passed on once only.
        Leader::At { node, address } if whose.node == member.node => {
            let link = session.link.clone();
            let shown = shown.clone();
            Box::pin(async move { ask_leader(&link, node, &address, shown.to_vec()).await })
        }
        _ => return Err(Error::new(Code::Unavailable, "the cluster has no leader at present")),
    };
    let late = || Error::new(Code::Timeout, "the cluster did not decide in time");
    let decided = tokio::time::timeout(DECIDE_TIMEOUT, deciding).await;
    write_renewed(&decided.unwrap_or_else(|_| Err(late()))?).map(bytes)
}

async fn ask_leader(
    link: &super::Link,
    node: crate::cluster::identity::NodeId,
    address: &str,
    certificate: Vec<u8>,
) -> Result<Renewed> {
    let peer = link.peer(address, Some(node));
    let asked = peer.ask(Lane::Proxy, Door::Renew, whole(certificate), TALK_BYTES_MAX).await?;
    read_renewed(&asked)
}
