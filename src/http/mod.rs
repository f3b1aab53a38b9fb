//! What every HTTP face shares: listening, limits, path normalisation, Host and Origin checks,
//! content negotiation, bounded event streams, authentication, virtual files, requests on nodes that do not lead.
//! HTTP/1.1.
//!
//! A face is built as a [`Face`] (endpoints and aliases), given to a [`Server`] with a listener
//! from [`bind`]:
//!
//! ```text
//! let face = Face::new().alias("master").endpoint("/state", get(state));
//! let face = face.with(files::routes(table, None, &realm));
//! let listener = bind(address, "--port").await?;
//! let running = Server::new("master", face).metrics(&metrics).start(listener)?;
//! running.stop(Duration::from_secs(5)).await;
//! ```
//!
//! It knows no endpoint of any service.

pub mod about;
pub mod auth;
pub mod body;
mod compress;
mod connection;
mod face;
pub mod files;
mod guard;
mod holder;
pub mod leader;
mod listen;
pub mod negotiate;
pub mod observe;
mod path;
mod query;
pub mod reply;
mod serve;
mod stream;

#[cfg(test)]
mod tests;

pub use body::{BodyLimit, Call};
pub use face::{Face, PathRest};
pub use guard::HostPolicy;
pub use listen::bind;
pub use negotiate::{accept_codec, accepts_gzip, request_codec};
pub use query::Query;
pub use reply::Refusal;
pub use serve::{Inside, Limits, Peer, Running, Server};
pub use stream::{
    EventBody, EventSender, Framing, STREAM_BYTES_MAX, SendError, event_stream, framed, sse_event,
};
