//! A face: the endpoints of one port, and how their paths may be spelled.

use super::leader::{self, Forwarding};
use super::path::{self, Routes};
use super::reply::Refusal;
use axum::Router;
use axum::extract::Request;
use axum::http::Uri;
use axum::http::uri::PathAndQuery;
use axum::middleware::from_fn_with_state;
use axum::routing::MethodRouter;

/// What followed the endpoint in the path, decoded: `["dev"]` for `/quota/dev`. A request
/// extension.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PathRest(pub Vec<String>);

/// The request's URI as the client spelled it. A request extension.
#[derive(Clone, Debug)]
pub(super) struct AskedUri(pub Uri);

/// The endpoints of one port.
///
/// An *endpoint* takes every path that begins with it, as the original's do (`/api/v1/operator`
/// reaches `/api/v1`), the longest one first, with or without a process prefix and `.json`.
/// Everything else is an axum router's: there only percent sequences and superfluous slashes are
/// put right.
#[derive(Clone, Debug, Default)]
pub struct Face {
    router: Router,
    routes: Routes,
}

impl Face {
    /// A face without endpoints.
    pub fn new() -> Self {
        Self::default()
    }

    /// A name of the process that may stand before every path: `master`, `slave(1)`.
    pub fn alias(mut self, process: &str) -> Self {
        self.routes.aliases.insert(process.to_owned());
        self
    }

    /// Adds an endpoint, `/maintenance/schedule`; the path is literal. What follows it in a request
    /// is in [`PathRest`].
    ///
    /// # Panics
    /// Where axum does: when the same endpoint is added twice. A matter of how the program is
    /// written, not of input.
    pub fn endpoint(mut self, path: &str, handlers: MethodRouter) -> Self {
        let segments: Vec<_> =
            path.split('/').filter(|s| !s.is_empty()).map(String::from).collect();
        self.router = self.router.route(&path::join(&segments), handlers);
        self.routes.endpoints.insert(segments);
        self
    }

    /// Adds all endpoints of another face.
    pub fn with(mut self, other: Face) -> Self {
        self.router = self.router.merge(other.router);
        self.routes.endpoints.extend(other.routes.endpoints);
        self.routes.aliases.extend(other.routes.aliases);
        self
    }

    /// Adds routes with parameters, wildcards or a fallback of their own: axum's rules, whole
    /// paths.
    pub fn merge(mut self, router: Router) -> Self {
        self.router = self.router.merge(router);
        self
    }

    /// Puts all endpoints that it has so far behind what is done with requests where another node leads; with nothing
    /// they are served here, whoever leads.
    pub fn led_by(mut self, forwarding: Option<&Forwarding>) -> Self {
        if let Some(forwarding) = forwarding {
            let layer = from_fn_with_state(forwarding.clone(), leader::lead);
            self.router = self.router.route_layer(layer);
        }
        self
    }

    pub(super) fn into_parts(self) -> (Router, Routes) {
        (self.router, self.routes)
    }
}

impl Routes {
    /// Puts the request's path into the spelling the router knows.
    ///
    /// # Errors
    /// 400 for a path that cannot be decoded.
    pub(super) fn normalise(&self, request: &mut Request) -> Result<(), Refusal> {
        let uri = request.uri();
        if uri.path() == "*" {
            return Ok(());
        }
        let all = path::segments(uri.path())?;
        let segments = self.strip(&all);
        let (path, rest) = match self.endpoint(segments) {
            Some((length, endpoint)) => {
                (path::join(&endpoint), segments.get(length..).unwrap_or_default().to_vec())
            }
            None => (path::join(segments), Vec::new()),
        };
        let target = match uri.query() {
            Some(query) => format!("{path}?{query}"),
            None => path,
        };
        let target = PathAndQuery::try_from(target)
            .map_err(|_| Refusal::bad_request("Failed to read the request's path.\n"))?;
        let asked = std::mem::replace(request.uri_mut(), Uri::from(target));
        request.extensions_mut().insert(AskedUri(asked));
        request.extensions_mut().insert(PathRest(rest));
        Ok(())
    }
}
