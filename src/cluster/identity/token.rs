//! A join token: `MESO1-<n|a>-<authority's hash>-<id>-<secret>-<check>`.
//!
//! The secret does not travel. A joiner sends a proof made with it (HMAC-SHA256 under the secret's hash) over what it asks
//! for, its public key among that: a node that passes the request on learns nothing it could join with. The registry
//! keeps the hash. A few check letters tell a token that was cut or mistyped before anybody is asked.

use super::authority::AuthorityHash;
use super::base32;
use super::node::Roles;
use super::random;
use crate::base::error::{Code, Error, Result};
use ring::{digest, hmac};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What a token begins with: the name and its form's version.
const HEAD: &str = "MESO1";
/// Letters that make typing errors seen: 20 bits.
const CHECK_LETTERS: usize = 4;
/// The longest text that is read at all.
const TEXT_BYTES_MAX: usize = 256;

/// Which token it is; no secret.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TokenId(pub [u8; 5]);

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base32::encode(&self.0))
    }
}

impl fmt::Debug for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenId({self})")
    }
}

impl FromStr for TokenId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let bad = || {
            Error::new(Code::Invalid, format!("'{text}' is no token id"))
                .hint("a token id is 8 letters and digits: see `mesolith token list`")
        };
        base32::decode(text).map(Self).ok_or_else(bad)
    }
}

/// A join token. Its text is a secret: it has no `Display`, and `Debug` leaves the secret out.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// What it was made for: a full node, or one that only runs tasks.
    pub roles: Roles,
    /// The cluster's authority.
    pub authority: AuthorityHash,
    /// Which token it is.
    pub id: TokenId,
    secret: [u8; 20],
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({}, {}, {:?})", self.id, self.roles, self.authority)
    }
}

impl Token {
    /// A new token.
    ///
    /// # Errors
    /// [`Code::Invalid`] for other role sets than a full node's and an agent's; [`Code::System`] without randomness.
    pub fn make(authority: AuthorityHash, roles: Roles) -> Result<Self> {
        letter(roles)?;
        Ok(Self { roles, authority, id: TokenId(random()?), secret: random()? })
    }

    /// One that is made of something else than randomness: see `OpenDoor`.
    pub(super) fn of(
        authority: AuthorityHash,
        roles: Roles,
        id: TokenId,
        secret: [u8; 20],
    ) -> Self {
        Self { roles, authority, id, secret }
    }

    /// Its text, with the secret.
    ///
    /// # Errors
    /// [`Code::Invalid`]: see [`Token::make`].
    pub fn text(&self) -> Result<String> {
        let body = format!(
            "{HEAD}-{}-{}-{}-{}",
            letter(self.roles)?,
            base32::encode(&self.authority.0),
            self.id,
            base32::encode(&self.secret)
        );
        Ok(format!("{body}-{}", check(&body)))
    }

    /// What is kept of the secret.
    pub(super) fn hash(&self) -> [u8; 32] {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(b"mesolith token 1\n");
        context.update(&self.id.0);
        context.update(&self.secret);
        let mut hash = [0; 32];
        hash.copy_from_slice(context.finish().as_ref());
        hash
    }

    /// The proof that goes with a message.
    pub fn prove(&self, message: &[u8]) -> [u8; 32] {
        proof(&self.hash(), message)
    }
}

/// The proof that fits a secret's hash and a message.
pub(super) fn proof(hash: &[u8; 32], message: &[u8]) -> [u8; 32] {
    let key = hmac::Key::new(hmac::HMAC_SHA256, hash);
    let mut proof = [0; 32];
    proof.copy_from_slice(hmac::sign(&key, message).as_ref());
    proof
}

fn letter(roles: Roles) -> Result<char> {
    match roles {
        Roles::FULL => Ok('n'),
        Roles::AGENT => Ok('a'),
        other => Err(Error::new(
            Code::Invalid,
            format!("a token is for a full node or an agent, not for {other}"),
        )),
    }
}

fn check(body: &str) -> String {
    let hash = digest::digest(&digest::SHA256, body.to_ascii_lowercase().as_bytes());
    let mut text = base32::encode(hash.as_ref());
    text.truncate(CHECK_LETTERS);
    text
}

impl FromStr for Token {
    type Err = Error;

    /// Reads a token; white space around it does not matter, nor does case.
    fn from_str(text: &str) -> Result<Self> {
        let text = text.trim();
        // The text itself is never part of a message: it may hold most of a secret.
        let bad = |why: &str| {
            Error::new(Code::Invalid, format!("the join token {why}"))
                .hint("copy the whole of it, from MESO1 on; `mesolith token create` makes another")
        };
        if text.len() > TEXT_BYTES_MAX {
            return Err(bad("is too long"));
        }
        let parts: Vec<&str> = text.split('-').collect();
        match parts.first() {
            Some(head) if head.eq_ignore_ascii_case(HEAD) => {}
            Some(head)
                if head.len() == HEAD.len() && head.to_ascii_uppercase().starts_with("MESO") =>
            {
                return Err(bad("is of a form this version does not know"));
            }
            _ => return Err(bad("does not begin with MESO1")),
        }
        let [_, roles, authority, id, secret, sum] = parts.as_slice() else {
            return Err(bad("is cut, or has something in it that does not belong there"));
        };
        let body = text.rsplit_once('-').map_or("", |(body, _)| body);
        if !check(body).eq_ignore_ascii_case(sum) {
            return Err(bad("was cut or mistyped: its check letters do not fit"));
        }
        let roles = match *roles {
            "n" | "N" => Roles::FULL,
            "a" | "A" => Roles::AGENT,
            _ => return Err(bad("is for roles that this version does not know")),
        };
        let parts = (base32::decode(authority), base32::decode(id), base32::decode(secret));
        let (Some(authority), Some(id), Some(secret)) = parts else {
            return Err(bad("has letters that do not belong there"));
        };
        Ok(Self { roles, authority: AuthorityHash(authority), id: TokenId(id), secret })
    }
}
