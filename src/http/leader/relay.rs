//! Passing on by hand: what an endpoint has to ask of another node, where the rules of its face do not say so by themselves.

use super::decide::Asked;
use super::refuse::Trouble;
use super::{Forwarding, FromAnotherNode, Leading, headers};
use crate::base::error::{Code, Error, Result};
use crate::http::Peer;
use axum::extract::Request;
use axum::response::Response;
use std::future::Future;

impl Forwarding {
    /// Passes a request on to the same face of the node that leads, never by a redirect; a refusal where nobody leads.
    /// Nothing where this node leads, if only by name.
    pub async fn relay(&self, request: Request) -> Option<Response> {
        let inner = &*self.0;
        let face = inner.own.face;
        match inner.leadership.now(face) {
            Leading::Here => None,
            Leading::At(place) if place.node == inner.own.node => None,
            Leading::Nobody { since, why } => {
                inner.counts.leaderless.inc();
                Some(Trouble::Nobody { since, why }.response(face))
            }
            Leading::At(place) => Some(match headers::onward(&inner.own, &Asked::of(&request)) {
                Some(onward) => inner.pass_on(&place, onward, request).await,
                None => Trouble::Loop.response(face),
            }),
        }
    }

    /// Has `ask` pass a request on to a node that answers it whoever leads: what concerns this hop alone ends here, and
    /// the hop and the user are named.
    ///
    /// # Errors
    /// What `ask` failed with.
    pub async fn through<F>(
        &self,
        mut request: Request,
        ask: impl FnOnce(Request) -> F,
    ) -> Result<Response>
    where
        F: Future<Output = Result<Response>>,
    {
        let peer = request.extensions().get::<Peer>().map(|peer| peer.0.ip());
        let onward = headers::hop(&self.0.own, request.headers(), peer);
        let nameless = || Error::new(Code::Internal, "this node's name is no header");
        let onward = onward.ok_or_else(nameless)?;
        *request.headers_mut() = onward.headers;
        self.0.counts.forwarded.inc();
        let mut response = ask(request).await.inspect_err(|_| self.0.counts.failed.inc())?;
        headers::back(response.headers_mut(), &onward.via);
        response.extensions_mut().insert(FromAnotherNode);
        Ok(response)
    }
}
