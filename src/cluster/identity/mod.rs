//! Who a node is, and who may be one: keys, certificates, the cluster's authority, join tokens.
//!
//! - A node is its key ([`NodeKey`]): its id ([`NodeId`]) follows from the public half and is its raft id too. It may come
//!   back under another address; a wiped disk has another key and so is another node.
//! - A cluster is its authority ([`Authority`]), made by the first node and kept in the registry. It signs certificates
//!   ([`Certificate`]) that name the node, the cluster and the roles. Nobody else is believed: system roots are never asked.
//! - Being removed ends a node: [`Trust`] asks [`Revoked`] at each handshake and whenever the set changes.
//! - A [`Token`] lets a node in. It carries the hash of the authority, so that the joiner knows whom it talks to, and a
//!   secret that never travels: what is sent is a proof that fits one key only.
//!
//! It opens no socket and keeps nothing but the files of [`Folder`]; what is in the registry is written by who wires this.
//! This room owns rcgen and webpki.

mod authorities;
mod authority;
mod base32;
mod book;
mod certificate;
mod folder;
mod guesses;
mod key;
mod node;
mod open;
pub mod record;
mod revoked;
#[cfg(test)]
mod tests;
pub mod tls;
mod token;
mod trust;

pub use authorities::{ANCHORS_MAX, Anchor, Authorities};
pub use authority::{Authority, AuthorityHash};
pub use book::{NewToken, Presented, TOKENS_MAX, TokenBook, TokenRecord, TokenRefusal};
pub use certificate::{CERTIFICATE_LIFE, Certificate, Credentials};
pub use folder::Folder;
pub use guesses::{Guesses, GuessesLimits};
pub use key::{NodeKey, PublicKey};
pub use node::{ClusterId, NodeId, Role, Roles};
pub use open::OpenDoor;
pub use revoked::Revoked;
pub use token::{Token, TokenId};
pub use trust::{Distrust, Member, Trust, Usage};

use crate::base::error::{Code, Error, Result};
use crate::base::time::Wall;
use std::time::{Duration, SystemTime};

/// The wall clock now: certificates are valid between two points of it.
pub fn wall_now() -> Wall {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    // A clock before 1970 is one that was never set.
    Wall::default() + since.unwrap_or(Duration::ZERO)
}

/// Randomness for secrets.
///
/// # Errors
/// [`Code::System`] when the machine has none.
pub fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|e| Error::new(Code::System, format!("no randomness: {e}")))?;
    Ok(bytes)
}
