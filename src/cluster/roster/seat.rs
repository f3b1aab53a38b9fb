//! The leader's hold on the book: changes go one after the other, each is committed under the leader's epoch before it is
//! known here. A commit whose outcome nobody knows costs the copy: it is read anew.

use super::book::Book;
use super::records::{NodeRecord, PREFIX};
use crate::base::error::{Code, Error, Result};
use crate::base::time::{Mono, Wall};
use crate::cluster::consensus::{Epoch, Op, Registry};
use crate::cluster::identity::{
    Authority, Guesses, GuessesLimits, Member, NewToken, NodeId, OpenDoor, Token, TokenId,
    TokenRecord, TokenRefusal,
};
use crate::cluster::link::{JoinRefusal, JoinRequest, Joined, MemberAddress, Renewed, Why};
use crate::cluster::membership::Order;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{Mutex as Turns, watch};

/// What the first node brings: it is written into the registry once.
#[derive(Clone, Debug)]
pub struct Founding {
    /// The cluster's authority.
    pub authority: Authority,
    /// The node that made it.
    pub first: NodeRecord,
}

/// A token that was just made.
#[derive(Clone, Debug)]
pub struct Issued {
    /// With its secret: shown once.
    pub token: Token,
    /// What is kept of it.
    pub record: TokenRecord,
}

/// One incarnation of the leader's hold; clones are the same one.
#[derive(Clone)]
pub struct Seat(Arc<Inner>);

struct Inner {
    registry: Registry,
    epoch: Epoch,
    /// Whose turn it is to change something. The copy is there unless an outcome is not known.
    turns: Turns<Option<Book>>,
    /// The last copy that is known to be stored.
    seen: watch::Sender<Arc<Book>>,
    guesses: Mutex<Guesses>,
    /// Who is let in without a token of the book's.
    open: Option<OpenDoor>,
    started: std::time::Instant,
}

fn read(registry: &Registry, open: Option<OpenDoor>) -> Result<Book> {
    let rows = registry.scan(PREFIX)?.into_iter().map(|row| (row.key, row.value));
    let mut book = Book::read(rows)?;
    book.leave_open(open);
    Ok(book)
}

impl Seat {
    /// Takes the seat under an epoch that was just begun; reads were made to see all that was committed before
    /// ([`Registry::read_index`]). A cluster that has no authority yet is founded with what the first node brings.
    ///
    /// # Errors
    /// What the database failed with; [`Code::Corrupt`]; [`Code::Unavailable`] when the epoch is lost.
    pub async fn take(
        registry: Registry,
        epoch: Epoch,
        founding: Option<Founding>,
        open: Option<OpenDoor>,
    ) -> Result<Self> {
        let book = read(&registry, open)?;
        let founded = book.is_founded();
        let seat = Self(Arc::new(Inner {
            registry,
            epoch,
            seen: watch::Sender::new(Arc::new(book.clone())),
            turns: Turns::new(Some(book)),
            guesses: Mutex::new(Guesses::new(GuessesLimits::default())),
            open,
            started: std::time::Instant::now(),
        }));
        match founding {
            Some(founding) if !founded => {
                let Founding { authority, first } = founding;
                seat.change(|book| Ok((book.found(authority, first)?, ()))).await?;
            }
            _ => {}
        }
        Ok(seat)
    }

    /// Under which epoch.
    pub fn epoch(&self) -> Epoch {
        self.0.epoch
    }

    /// The registry it is in.
    pub fn registry(&self) -> &Registry {
        &self.0.registry
    }

    /// The book as it is stored, and every change of it.
    pub fn book(&self) -> watch::Receiver<Arc<Book>> {
        self.0.seen.subscribe()
    }

    fn now(&self) -> Mono {
        Mono::default() + self.0.started.elapsed()
    }

    /// Changes the book: first in a copy, then in the registry, then here.
    async fn change<T>(&self, change: impl FnOnce(&mut Book) -> Result<(Vec<Op>, T)>) -> Result<T> {
        let mut turn = self.0.turns.lock().await;
        let book = match &*turn {
            Some(book) => book,
            None => {
                self.0.registry.read_index().await?;
                turn.insert(read(&self.0.registry, self.0.open)?)
            }
        };
        let mut next = book.clone();
        let (ops, answer) = change(&mut next)?;
        if !ops.is_empty() {
            if let Err(e) = self.0.registry.propose(self.0.epoch, ops).await {
                // It may be stored all the same.
                *turn = None;
                return Err(e.into());
            }
            *turn = Some(next.clone());
            self.0.seen.send_replace(Arc::new(next));
        }
        Ok(answer)
    }

    /// Lets a node in.
    ///
    /// # Errors
    /// Why it is not let in.
    pub async fn admit(
        &self,
        request: JoinRequest,
        from: IpAddr,
        now: Wall,
    ) -> std::result::Result<Joined, JoinRefusal> {
        self.guesses().admit(from, self.now()).map_err(JoinRefusal::guessing)?;
        self.check(&request, from, now)?;
        let mut refused = None;
        let admitted = self
            .change(|book| match book.admit(&request, from, now) {
                Ok(admitted) => Ok(admitted),
                Err(refusal) => {
                    refused = Some(refusal);
                    Err(Error::new(Code::Forbidden, "the node is not let in"))
                }
            })
            .await;
        let certificate = match admitted {
            Ok(certificate) => certificate,
            Err(e) => return Err(refused.unwrap_or_else(|| failed(e))),
        };
        tracing::info!(
            "node {} ({}) was let in as {}, from {from}",
            request.node(),
            request.hostname,
            request.shown.roles
        );
        let book = self.0.seen.borrow().clone();
        let authorities = book.authorities().cloned().ok_or_else(JoinRefusal::no_leader)?;
        let others = book.nodes().filter(|node| node.node != request.node());
        let members = others
            .map(|node| MemberAddress { node: node.node, address: node.address.clone() })
            .collect();
        Ok(Joined { certificate, cluster: authorities.cluster(), authorities, members })
    }

    /// Looks at the token alone, before anything waits for its turn: guesses are counted.
    fn check(
        &self,
        request: &JoinRequest,
        from: IpAddr,
        now: Wall,
    ) -> std::result::Result<(), JoinRefusal> {
        let book = self.0.seen.borrow().clone();
        let Err(refusal) = book.check_token(request, now) else { return Ok(()) };
        if refusal.is_guess() {
            self.guesses().wrong(from, self.now());
            tracing::warn!("a wrong join token came from {from}");
        }
        Err(refusal.into())
    }

    fn guesses(&self) -> std::sync::MutexGuard<'_, Guesses> {
        self.0.guesses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new certificate for a member.
    ///
    /// # Errors
    /// As [`Book::renew`].
    pub fn renew(&self, member: &Member, now: Wall) -> Result<Renewed> {
        let (certificate, authorities) = self.0.seen.borrow().renew(member, now)?;
        Ok(Renewed { certificate, authorities })
    }

    /// Makes a token.
    ///
    /// # Errors
    /// As [`Book::issue`]; what the commit failed with; so it is for the other changes.
    pub async fn issue(&self, new: NewToken, now: Wall) -> Result<Issued> {
        let (token, record) = self.change(|book| book.issue(new, now)).await?;
        Ok(Issued { token, record })
    }

    /// Revokes a token.
    ///
    /// # Errors
    /// As [`Book::revoke`].
    pub async fn revoke(&self, id: TokenId, now: Wall) -> Result<()> {
        self.change(|book| book.revoke(id, now)).await
    }

    /// Replaces a token.
    ///
    /// # Errors
    /// As [`Book::rotate`].
    pub async fn rotate(&self, id: TokenId, now: Wall) -> Result<Issued> {
        let (token, record) = self.change(|book| book.rotate(id, now)).await?;
        Ok(Issued { token, record })
    }

    /// Writes down what the operator says about a node's vote.
    ///
    /// # Errors
    /// As [`Book::order`].
    pub async fn order(&self, node: NodeId, order: Order) -> Result<()> {
        self.change(|book| book.order(node, order)).await
    }

    /// Writes down that a node is to leave, or stays after all.
    ///
    /// # Errors
    /// As [`Book::leave`].
    pub async fn leave(&self, node: NodeId, leaving: bool) -> Result<()> {
        self.change(|book| book.leave(node, leaving)).await
    }

    /// Writes down where a node is now.
    ///
    /// # Errors
    /// As [`Book::moved`].
    pub async fn moved(&self, node: NodeId, address: String) -> Result<()> {
        self.change(|book| book.moved(node, address)).await
    }

    /// Removes a node.
    ///
    /// # Errors
    /// As [`Book::remove`].
    pub async fn remove(&self, node: NodeId, now: Wall) -> Result<()> {
        self.change(|book| book.remove(node, now)).await
    }
}

fn failed(e: Error) -> JoinRefusal {
    match e.code {
        Code::Unavailable => JoinRefusal::no_leader(),
        _ => JoinRefusal::new(Why::Failed, e.to_string()),
    }
}

impl Book {
    /// Whether a join's token lets it in.
    ///
    /// # Errors
    /// Why not.
    pub(super) fn check_token(
        &self,
        request: &JoinRequest,
        now: Wall,
    ) -> std::result::Result<(), TokenRefusal> {
        let Some(authorities) = self.authorities() else { return Err(TokenRefusal::OtherCluster) };
        let message = request.message();
        self.token_book().check(&request.shown, &message, authorities, now).map(drop)
    }
}
