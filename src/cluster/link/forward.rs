//! Users' requests, passed on to a face of another node as they are, streams both ways. Who the user is and what it may do
//! is asked by the face, as if it had come there itself: being a member gives a node no rights of a user.

use super::door::Door;
use super::doors::{FaceService, Via};
use super::frames::{Body, BoxError, Holding};
use super::listen::Session;
use super::peer::{Lane, Peer, uri};
use super::serve::refuse;
use super::wire::{FaceName, read_error};
use crate::base::error::{Code, Error, Result};
use crate::cluster::identity::Member;
use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::header::{HOST, HeaderName, HeaderValue};
use hyper::http::uri::PathAndQuery;
use hyper::{Request, Response, Uri, Version};
use tokio_util::task::AbortOnDropHandle;
use tower::ServiceExt as _;

/// Carries the host that the user asked, since HTTP/2 has another use for it.
const ASKED_HOST: HeaderName = HeaderName::from_static("x-mesolith-host");
/// Says that an answer is the link's own: the request did not reach the face.
const REFUSED: HeaderName = HeaderName::from_static("x-mesolith-link-refused");

/// Passes a request to the face here.
pub(super) async fn answer(
    session: &Session,
    member: &Member,
    door: Door,
    face: FaceService,
    mut request: Request<Incoming>,
) -> Response<Body> {
    let target = request.uri().path_and_query().map_or("/", PathAndQuery::as_str);
    let rest = target.strip_prefix(door.path()).unwrap_or(target);
    // It was a path with something before it, so it is one without.
    let path = PathAndQuery::try_from(rest).unwrap_or_else(|_| PathAndQuery::from_static("/"));
    *request.uri_mut() = Uri::from(path);
    *request.version_mut() = Version::HTTP_11;
    if let Some(host) = request.headers_mut().remove(ASKED_HOST) {
        request.headers_mut().insert(HOST, host);
    }
    request.extensions_mut().insert(Via { node: member.node, from: session.from });
    let answering = face.oneshot(request);
    let answered = match &session.doors.io {
        // Ended with the request, as it would be here.
        Some(io) => match AbortOnDropHandle::new(io.spawn(answering)).await {
            Ok(answered) => answered,
            Err(e) => {
                let cause = format!("the face did not answer: {e}");
                return refuse(&Error::new(Code::Internal, cause));
            }
        },
        None => answering.await,
    };
    let mut response = match answered {
        Ok(response) => response,
        Err(never) => match never {},
    };
    response.headers_mut().remove(REFUSED);
    response
}

/// Marks an answer as the link's own.
pub(super) fn mark(response: &mut Response<Body>) {
    response.headers_mut().insert(REFUSED, HeaderValue::from_static("1"));
}

impl Peer {
    /// Passes a user's request on to a face of that node and answers with what it answers, bodies streaming both ways.
    ///
    /// # Errors
    /// [`Code::Unavailable`] when the node cannot be reached or has no such face; the request may have reached it when
    /// the connection broke meanwhile. [`Code::Overloaded`] with too many under way.
    pub async fn forward<B>(&self, face: FaceName, request: Request<B>) -> Result<Response<Body>>
    where
        B: hyper::body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let passage = self.passage()?;
        let mut request = request.map(|body| body.map_err(Into::into).boxed_unsync());
        let asked = request.uri().authority().map(|a| HeaderValue::try_from(a.as_str()));
        let host = match asked {
            Some(Ok(host)) => Some(host),
            _ => request.headers().get(HOST).cloned(),
        };
        let headers = request.headers_mut();
        headers.remove(HOST);
        headers.remove(ASKED_HOST);
        if let Some(host) = host {
            headers.insert(ASKED_HOST, host);
        }
        let path = request.uri().path_and_query().map_or("/", PathAndQuery::as_str);
        let path = if path.starts_with('/') { path } else { "/" };
        let target = format!("{}{path}", Door::Face(face).path());
        let bad = |e: hyper::http::Error| Error::new(Code::Invalid, format!("no such path: {e}"));
        *request.uri_mut() = uri(&target).map_err(bad)?;
        *request.version_mut() = Version::HTTP_2;
        let mut answer = self.send(Lane::Proxy, request).await?;
        if answer.headers_mut().remove(REFUSED).is_some() {
            let status = answer.status().as_u16();
            let body = super::frames::read_whole(answer.into_body(), super::wire::TALK_BYTES_MAX);
            return Err(read_error(status, &body.await?));
        }
        *answer.version_mut() = Version::HTTP_11;
        Ok(answer.map(|body| Holding::new(body.map_err(BoxError::from), passage).boxed_unsync()))
    }
}
