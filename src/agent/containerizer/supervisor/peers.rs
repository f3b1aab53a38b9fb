//! The supervisor's connections: who may talk, whole frames in, bounded buffers out.

use super::SESSIONS_MAX;
use super::poll::{Poll, Source};
use crate::agent::containerizer::launch::streams;
use crate::agent::containerizer::wire::{
    ANSWER_BYTES_MAX, Message, REQUEST_BYTES_MAX, Request, frame, next,
};
use crate::base::error::Result;
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};

/// Connections at one time; further ones are closed at once.
pub const PEERS_MAX: usize = 16 + SESSIONS_MAX;
/// What may wait to be read by one peer, in bytes; a slower one is cut off, and asks anew when it is back.
pub const OUT_BYTES_MAX: usize = 2 * ANSWER_BYTES_MAX;
/// Requests taken from one peer at a time, so that none starves the rest.
const READ_BYTES_MAX: usize = 256 * 1024;

struct Peer {
    stream: UnixStream,
    token: u64,
    input: Vec<u8>,
    output: Vec<u8>,
    greeted: bool,
    waiting: bool,
}

/// All of them.
#[derive(Default)]
pub struct Peers {
    all: BTreeMap<u64, Peer>,
    next: u64,
    gone: Vec<u64>,
}

impl Peers {
    /// Takes in whoever knocks and may.
    ///
    /// # Errors
    /// The kernel's reason, when not even that can be asked.
    pub fn accept(&mut self, listener: &UnixListener, poll: &mut Poll) -> Result<()> {
        while let Ok((stream, _)) = listener.accept() {
            let uid = getsockopt(&stream, PeerCredentials).map(|c| c.uid());
            let ours = uid == Ok(nix::unistd::geteuid().as_raw());
            if !ours || self.all.len() >= PEERS_MAX || stream.set_nonblocking(true).is_err() {
                eprintln!("refused a connection (user {uid:?}, {} connected)", self.all.len());
                continue;
            }
            self.next += 1;
            let token = poll.add(&stream, Source::Peer(self.next))?;
            let (input, output) = (Vec::new(), Vec::new());
            let peer = Peer { stream, token, input, output, greeted: false, waiting: false };
            self.all.insert(self.next, peer);
        }
        Ok(())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether it is still there.
    pub fn has(&self, peer: u64) -> bool {
        self.all.contains_key(&peer)
    }

    /// Those that went away since this was asked last.
    pub fn take_gone(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.gone)
    }

    /// From now on it is told of exits.
    pub fn greet(&mut self, peer: u64) {
        if let Some(p) = self.all.get_mut(&peer) {
            p.greeted = true;
        }
    }

    /// Whether it said hello.
    pub fn greeted(&self, peer: u64) -> bool {
        self.all.get(&peer).is_some_and(|p| p.greeted)
    }

    /// What it asks, as far as it has come. One that talks nonsense or went away is dropped.
    pub fn read(&mut self, peer: u64, poll: &mut Poll) -> Vec<Request> {
        let mut requests = Vec::new();
        let Some(p) = self.all.get_mut(&peer) else { return requests };
        let (end, mut why) = fill(p);
        loop {
            match next(&mut p.input, REQUEST_BYTES_MAX) {
                Ok(Some(request)) => requests.push(request),
                Ok(None) => break,
                Err(e) => {
                    why = Some(e.cause);
                    break;
                }
            }
        }
        if let Some(why) = &why {
            eprintln!("dropped a connection: {why}");
        }
        if end || why.is_some() {
            self.drop_peer(peer, poll);
        }
        requests
    }

    fn drop_peer(&mut self, peer: u64, poll: &mut Poll) {
        if let Some(p) = self.all.remove(&peer) {
            self.gone.push(peer);
            poll.remove(&p.stream, p.token);
        }
    }

    /// Says something to one. Whoever is gone does not hear it.
    pub fn send(&mut self, peer: u64, message: &Message, poll: &mut Poll) {
        let Some(p) = self.all.get_mut(&peer) else { return };
        match frame(message, ANSWER_BYTES_MAX) {
            Ok(bytes) if p.output.len() + bytes.len() <= OUT_BYTES_MAX => p.output.extend(bytes),
            Ok(_) => {
                eprintln!("dropped a connection: it does not read what it asked for");
                return self.drop_peer(peer, poll);
            }
            Err(e) => {
                eprintln!("dropped a connection: {e}");
                return self.drop_peer(peer, poll);
            }
        }
        self.flush(peer, poll);
    }

    /// Says something to one and hands descriptors over with its first byte. One that still has something else to read is
    /// dropped: it was to have a connection of its own.
    pub fn send_with(&mut self, peer: u64, message: &Message, fds: &[OwnedFd], poll: &mut Poll) {
        let Some(p) = self.all.get_mut(&peer) else { return };
        let fds: Vec<_> = fds.iter().map(AsRawFd::as_raw_fd).collect();
        let framed = frame(message, ANSWER_BYTES_MAX).ok().filter(|_| p.output.is_empty());
        let sent = framed.and_then(|bytes| {
            let sent = streams::send_with(p.stream.as_raw_fd(), &bytes, &fds).ok()?;
            Some((bytes, sent))
        });
        match sent {
            Some((bytes, sent)) => {
                p.output.extend_from_slice(bytes.get(sent..).unwrap_or_default());
                self.flush(peer, poll);
            }
            None => {
                eprintln!("dropped a connection: streams cannot be handed over to it");
                self.drop_peer(peer, poll);
            }
        }
    }

    /// Says something to all that said hello.
    pub fn tell(&mut self, message: &Message, poll: &mut Poll) {
        let all: Vec<_> = self.all.iter().filter(|(_, p)| p.greeted).map(|(n, _)| *n).collect();
        for peer in all {
            self.send(peer, message, poll);
        }
    }

    /// Hands over what waits, as much as the socket takes.
    pub fn flush(&mut self, peer: u64, poll: &mut Poll) {
        let Some(p) = self.all.get_mut(&peer) else { return };
        let mut sent = 0;
        let gone = loop {
            let rest = p.output.get(sent..).unwrap_or_default();
            if rest.is_empty() {
                break false;
            }
            match p.stream.write(rest) {
                Ok(n) => sent += n,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => break e.kind() != ErrorKind::WouldBlock,
            }
        };
        p.output.drain(..sent);
        let waits = !p.output.is_empty();
        let turned = waits == p.waiting || poll.writable(&p.stream, p.token, waits).is_ok();
        p.waiting = waits;
        if gone || !turned {
            self.drop_peer(peer, poll);
        }
    }
}

/// Reads what is there; whether it ended, and why if not in peace.
fn fill(p: &mut Peer) -> (bool, Option<String>) {
    let mut chunk = [0; 16 * 1024];
    let mut taken = 0;
    while taken < READ_BYTES_MAX {
        match p.stream.read(&mut chunk) {
            Ok(0) => return (true, None),
            Ok(n) => {
                p.input.extend_from_slice(chunk.get(..n).unwrap_or_default());
                taken += n;
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => break,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return (true, Some(e.to_string())),
        }
    }
    (false, None)
}
