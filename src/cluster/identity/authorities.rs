//! The authorities of a cluster that are trusted now. There is one most of the time; while it is being replaced there
//! are two, so that no node is ever shut out: the next one is *announced* first (trusted, signs nothing), takes over when
//! every node knows it (`rotate`), and the former one is trusted until the last certificate it signed has expired.

use super::authority::{Authority, AuthorityHash};
use super::certificate::CERTIFICATE_LIFE;
use super::node::ClusterId;
use super::record;
use crate::base::error::{Code, Error, Result};
use crate::base::time::Wall;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How many authorities may be known at a time.
pub const ANCHORS_MAX: usize = 3;
/// For how long a former authority is trusted: a certificate's life, and a day for slow clocks.
const FORMER_TRUSTED: Duration = Duration::from_secs(24 * 3600 + CERTIFICATE_LIFE.as_secs());

/// One authority's public part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anchor {
    /// Its certificate, DER.
    pub certificate: Vec<u8>,
    /// Until when it is trusted, for a former one.
    pub until: Option<Wall>,
}

/// The trusted authorities of a cluster. The first one signs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authorities {
    cluster: ClusterId,
    anchors: Vec<Anchor>,
}

impl Authorities {
    /// That one alone.
    pub fn of(authority: &Authority) -> Self {
        let anchor = Anchor { certificate: authority.certificate().to_vec(), until: None };
        Self { cluster: authority.cluster(), anchors: vec![anchor] }
    }

    /// Their cluster.
    pub fn cluster(&self) -> ClusterId {
        self.cluster
    }

    /// The hash of the one that signs; tokens are made with it.
    pub fn current(&self) -> Option<AuthorityHash> {
        self.anchors.first().map(|anchor| AuthorityHash::of(&anchor.certificate))
    }

    /// Those that are trusted at that time.
    pub fn trusted(&self, now: Wall) -> impl Iterator<Item = &Anchor> {
        self.anchors.iter().filter(move |anchor| anchor.until.is_none_or(|until| now < until))
    }

    /// Whether one with that hash is trusted at that time.
    pub fn knows(&self, hash: AuthorityHash, now: Wall) -> bool {
        self.trusted(now).any(|anchor| AuthorityHash::of(&anchor.certificate) == hash)
    }

    /// Announces the next one: trusted from now on, signing nothing yet.
    ///
    /// # Errors
    /// [`Code::Conflict`] when another rotation is not over, or it is of another cluster.
    pub fn announce(&mut self, next: &Authority, now: Wall) -> Result<()> {
        if next.cluster() != self.cluster {
            return Err(Error::new(Code::Conflict, "the authority is of another cluster"));
        }
        if self.knows(next.hash(), now) {
            return Ok(());
        }
        self.anchors.retain(|anchor| anchor.until.is_none_or(|until| now < until));
        let announced = self.anchors.iter().filter(|anchor| anchor.until.is_none()).count() > 1;
        if announced || self.anchors.len() >= ANCHORS_MAX {
            return Err(Error::new(Code::Conflict, "another authority is being replaced")
                .hint("wait until that is over"));
        }
        self.anchors.push(Anchor { certificate: next.certificate().to_vec(), until: None });
        Ok(())
    }

    /// Makes the announced one the one that signs; the former is trusted while certificates of it may be about.
    ///
    /// # Errors
    /// [`Code::Conflict`] when none is announced.
    pub fn rotate(&mut self, now: Wall) -> Result<()> {
        let next = self.anchors.iter().skip(1).position(|anchor| anchor.until.is_none());
        let Some(next) = next else {
            return Err(Error::new(Code::Conflict, "no other authority is announced"));
        };
        if let Some(former) = self.anchors.first_mut() {
            former.until = Some(now + FORMER_TRUSTED);
        }
        // `next` was counted from the second one on.
        self.anchors.swap(0, next + 1);
        Ok(())
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
    /// [`Code::Corrupt`], also for none or too many.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let read: Self = record::decode("the cluster's authorities", bytes)?;
        if read.anchors.is_empty() || read.anchors.len() > ANCHORS_MAX {
            let cause = format!("the cluster has {} authorities", read.anchors.len());
            return Err(Error::new(Code::Corrupt, cause));
        }
        Ok(read)
    }
}
