//! The cluster's join tokens: pure logic over records that whoever wires this keeps in the registry.

use super::authorities::Authorities;
use super::authority::AuthorityHash;
use super::node::Roles;
use super::open::OpenDoor;
use super::record;
use super::token::{Token, TokenId, proof};
use crate::base::error::{Code, Error, Result};
use crate::base::time::Wall;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;
use subtle::ConstantTimeEq as _;

/// How many tokens a cluster may have that are neither expired nor revoked.
pub const TOKENS_MAX: usize = 256;
/// How many tokens are remembered at all: those past their use longest are forgotten first.
const REMEMBERED_MAX: usize = 512;
/// The longest note, in bytes.
const NOTE_BYTES_MAX: usize = 256;

/// What is kept of a token: everything but its secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRecord {
    /// Which token it is.
    pub id: TokenId,
    /// What it gives.
    pub roles: Roles,
    /// The authority it names.
    pub authority: AuthorityHash,
    hash: [u8; 32],
    /// When it was made.
    pub created: Wall,
    /// When it ends by itself.
    pub expires: Option<Wall>,
    /// When it was revoked.
    pub revoked: Option<Wall>,
    /// What it is for, in its maker's words.
    pub note: String,
}

impl fmt::Debug for TokenRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenRecord")
            .field("id", &self.id)
            .field("roles", &self.roles)
            .field("created", &self.created)
            .field("expires", &self.expires)
            .field("revoked", &self.revoked)
            .finish_non_exhaustive()
    }
}

impl TokenRecord {
    pub(super) fn of(token: &Token, created: Wall, expires: Option<Wall>, note: String) -> Self {
        Self {
            id: token.id,
            roles: token.roles,
            authority: token.authority,
            hash: token.hash(),
            created,
            expires,
            revoked: None,
            note,
        }
    }

    /// Whether it lets anybody in at that time.
    pub fn is_valid(&self, now: Wall) -> bool {
        self.revoked.is_none() && self.expires.is_none_or(|at| now < at)
    }

    /// The stored form.
    ///
    /// # Errors
    /// As [`record::encode`].
    pub fn encode(&self) -> Result<Vec<u8>> {
        record::encode(self)
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// [`Code::Corrupt`].
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        record::decode("a join token", bytes)
    }

    /// Since when it is of no use.
    fn over(&self) -> Option<Wall> {
        match (self.revoked, self.expires) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }
}

/// What is asked of a new token.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// What it gives: [`Roles::FULL`] or [`Roles::AGENT`].
    pub roles: Roles,
    /// For how long; for ever without.
    pub life: Option<Duration>,
    /// What it is for.
    pub note: String,
}

/// What a joiner shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Presented {
    /// The token.
    pub id: TokenId,
    /// The authority it names.
    pub authority: AuthorityHash,
    /// The roles that are asked for.
    pub roles: Roles,
    /// [`Token::prove`] over the message that goes with it.
    pub proof: [u8; 32],
}

/// Why a token lets nobody in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TokenRefusal {
    /// It names another authority.
    OtherCluster,
    /// There is no such token here.
    Unknown,
    /// Its secret is wrong.
    Wrong,
    /// It was revoked.
    Revoked,
    /// Its time is over.
    Expired {
        /// Since then.
        at: Wall,
    },
    /// It does not give what was asked for.
    Role {
        /// What was asked for.
        asked: Roles,
        /// What it gives.
        gives: Roles,
    },
}

impl TokenRefusal {
    /// Whether it looks like guessing; such are counted.
    pub fn is_guess(&self) -> bool {
        matches!(self, Self::Unknown | Self::Wrong)
    }
}

impl fmt::Display for TokenRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherCluster => f.write_str(
                "the token names another authority: it is of another cluster, or older than this one's authority",
            ),
            Self::Unknown => f.write_str("the cluster does not know the token"),
            Self::Wrong => f.write_str("the token's secret is wrong"),
            Self::Revoked => f.write_str("the token was revoked"),
            Self::Expired { .. } => f.write_str("the token has expired"),
            Self::Role { asked, gives } => {
                write!(f, "the token is for {gives}, the node wants to be {asked}")
            }
        }
    }
}

/// The tokens of a cluster.
#[derive(Clone, Debug, Default)]
pub struct TokenBook {
    tokens: BTreeMap<TokenId, TokenRecord>,
    open: Option<OpenDoor>,
}

impl TokenBook {
    /// Of stored records.
    pub fn of(records: impl IntoIterator<Item = TokenRecord>) -> Self {
        let tokens = records.into_iter().map(|record| (record.id, record)).collect();
        Self { tokens, open: None }
    }

    /// Lets in those as well who come by an open door.
    pub fn leave_open(&mut self, open: Option<OpenDoor>) {
        self.open = open;
    }

    /// All of them, by id.
    pub fn list(&self) -> impl Iterator<Item = &TokenRecord> {
        self.tokens.values()
    }

    /// Makes a token. The record is to be kept before the token is shown; those whose ids are answered beside it are to be
    /// forgotten.
    ///
    /// # Errors
    /// [`Code::Overloaded`] with [`TOKENS_MAX`] valid ones; [`Code::Invalid`] for other roles, no life, or a long note.
    pub fn issue(
        &mut self,
        new: NewToken,
        authorities: &Authorities,
        now: Wall,
    ) -> Result<(Token, TokenRecord, Vec<TokenId>)> {
        if new.note.len() > NOTE_BYTES_MAX {
            let cause = format!("a token's note may have {NOTE_BYTES_MAX} bytes");
            return Err(Error::new(Code::Invalid, cause));
        }
        if new.life.is_some_and(|life| life.is_zero()) {
            return Err(Error::new(Code::Invalid, "a token must be valid for some time"));
        }
        let valid = self.tokens.values().filter(|token| token.is_valid(now)).count();
        if valid >= TOKENS_MAX {
            return Err(Error::new(Code::Overloaded, format!("there are {valid} valid tokens"))
                .hint("revoke some: `mesolith token list`, `mesolith token revoke`"));
        }
        let authority = authorities.current();
        let none = || Error::new(Code::Internal, "the cluster has no authority");
        let token = Token::make(authority.ok_or_else(none)?, new.roles)?;
        let expires = new.life.map(|life| now + life);
        let record = TokenRecord::of(&token, now, expires, new.note);
        let forgotten = self.forget(now);
        self.tokens.insert(record.id, record.clone());
        Ok((token, record, forgotten))
    }

    /// Makes room among those past their use.
    fn forget(&mut self, now: Wall) -> Vec<TokenId> {
        let mut over: Vec<(Wall, TokenId)> = self
            .tokens
            .values()
            .filter(|token| !token.is_valid(now))
            .filter_map(|token| Some((token.over()?, token.id)))
            .collect();
        over.sort();
        let too_many = (self.tokens.len() + 1).saturating_sub(REMEMBERED_MAX);
        let forgotten: Vec<TokenId> = over.into_iter().take(too_many).map(|(_, id)| id).collect();
        for id in &forgotten {
            self.tokens.remove(id);
        }
        forgotten
    }

    /// Revokes a token; the record is to be kept. What it let in before stays in.
    ///
    /// # Errors
    /// [`Code::NotFound`].
    pub fn revoke(&mut self, id: TokenId, now: Wall) -> Result<TokenRecord> {
        let unknown = || Error::new(Code::NotFound, format!("there is no token {id}"));
        let token = self.tokens.get_mut(&id).ok_or_else(unknown)?;
        token.revoked.get_or_insert(now);
        Ok(token.clone())
    }

    /// Replaces a token by one that gives the same for as long as the former was to be valid from its making on. Both
    /// records are to be kept, in one batch.
    ///
    /// # Errors
    /// As [`TokenBook::revoke`] and [`TokenBook::issue`]; nothing is changed then.
    pub fn rotate(
        &mut self,
        id: TokenId,
        authorities: &Authorities,
        now: Wall,
    ) -> Result<(Token, [TokenRecord; 2], Vec<TokenId>)> {
        let mut next = self.clone();
        let former = next.revoke(id, now)?;
        let life = former.expires.map(|expires| expires - former.created);
        let new = NewToken { roles: former.roles, life, note: former.note.clone() };
        let (token, record, forgotten) = next.issue(new, authorities, now)?;
        *self = next;
        Ok((token, [former, record], forgotten))
    }

    /// Whether what a joiner shows lets it in, and by which token. What is wrong with a token is told only to who has its secret.
    ///
    /// # Errors
    /// Why it does not.
    pub fn check(
        &self,
        shown: &Presented,
        message: &[u8],
        authorities: &Authorities,
        now: Wall,
    ) -> std::result::Result<TokenId, TokenRefusal> {
        if !authorities.knows(shown.authority, now) {
            return Err(TokenRefusal::OtherCluster);
        }
        let open = self.open.map(|open| open.record(shown.authority));
        let open = open.as_ref().filter(|token| token.id == shown.id);
        let token = self.tokens.get(&shown.id).or(open).ok_or(TokenRefusal::Unknown)?;
        if !bool::from(proof(&token.hash, message).ct_eq(&shown.proof)) {
            return Err(TokenRefusal::Wrong);
        }
        if token.revoked.is_some() {
            return Err(TokenRefusal::Revoked);
        }
        if let Some(at) = token.expires.filter(|at| now >= *at) {
            return Err(TokenRefusal::Expired { at });
        }
        if shown.roles.is_empty() || !shown.roles.within(token.roles) {
            return Err(TokenRefusal::Role { asked: shown.roles, gives: token.roles });
        }
        Ok(token.id)
    }
}
