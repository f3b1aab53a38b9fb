//! A door that is left open: where the operator says that the network may be trusted (`--insecure`) and names masters in
//! the manner of Mesos, nodes let each other in without a token, as Mesos's did. A joiner believes whoever answers first.
//!
//! It is a token like another, whose secret everybody knows. No book keeps it: it is good for as long as the leader has it.

use super::authority::AuthorityHash;
use super::book::TokenRecord;
use super::node::Roles;
use super::token::{Token, TokenId};
use crate::base::time::Wall;

/// Its token's id.
const ID: TokenId = TokenId(*b"open0");
/// What is no secret.
const SECRET: [u8; 20] = *b"mesolith's open door";

/// The open door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenDoor;

impl OpenDoor {
    /// Its token, for a cluster with that authority.
    pub fn token(self, authority: AuthorityHash, roles: Roles) -> Token {
        Token::of(authority, roles, ID, SECRET)
    }

    /// What the leader has of it.
    pub(super) fn record(self, authority: AuthorityHash) -> TokenRecord {
        TokenRecord::of(&self.token(authority, Roles::FULL), Wall::default(), None, String::new())
    }
}
