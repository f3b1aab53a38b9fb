//! The form of a frame: who sends it, for which cluster, and one message of the gossip protocol.
//!
//! What is inside is walked through before the protocol's own decoder sees it: which nodes it names (there is room
//! for so many), and that no block of it unpacks to more than honest nodes send. The walk knows version 0 of the
//! protocol; what does not look like it is refused.

use bytes::Bytes;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The first byte of each frame.
const VERSION: u8 = 1;
/// The largest message of the protocol, in bytes (its own limit).
pub(super) const MESSAGE_BYTES_MAX: usize = 65_507;
/// The largest frame, in bytes.
pub const FRAME_BYTES_MAX: usize = MESSAGE_BYTES_MAX + HEAD_BYTES_MAX;
const HEAD_BYTES_MAX: usize = 2 + 8 + 8 + 19;
/// How many blocks a message may have. A block unpacks to 64 KiB at most, and an honest one to 16 KiB: so this is a
/// bound on memory that leaves room for all that the most nodes can say.
const BLOCKS_MAX: usize = 64;
/// The protocol's first bytes.
const MAGIC: u16 = 45_139;

/// A frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) cluster: u64,
    /// Who sends it, and where answers go.
    pub(super) sender: u64,
    pub(super) address: SocketAddr,
    pub(super) content: Content,
}

/// What a frame carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// A message of the protocol.
    Message(Bytes),
    /// The sender has no room for whom this goes to.
    NoRoom,
}

impl Frame {
    pub(super) fn encode(&self) -> Bytes {
        let (kind, message): (u8, &[u8]) = match &self.content {
            Content::Message(message) => (0, message),
            Content::NoRoom => (1, &[]),
        };
        let mut out = Vec::with_capacity(HEAD_BYTES_MAX + message.len());
        out.extend([VERSION, kind]);
        out.extend(self.cluster.to_le_bytes());
        out.extend(self.sender.to_le_bytes());
        match self.address.ip() {
            IpAddr::V4(ip) => {
                out.push(4);
                out.extend(ip.octets());
            }
            IpAddr::V6(ip) => {
                out.push(6);
                out.extend(ip.octets());
            }
        }
        out.extend(self.address.port().to_le_bytes());
        out.extend_from_slice(message);
        out.into()
    }

    /// None: these bytes are no frame.
    pub(super) fn decode(bytes: &Bytes) -> Option<Self> {
        if bytes.len() > FRAME_BYTES_MAX {
            return None;
        }
        let mut walk = Walk(bytes);
        let ([version, kind], cluster) = (walk.array()?, walk.u64()?);
        let (sender, address) = (walk.u64()?, walk.address()?);
        let rest = bytes.slice(bytes.len() - walk.0.len()..);
        let content = match kind {
            0 => Content::Message(rest),
            1 if rest.is_empty() => Content::NoRoom,
            _ => return None,
        };
        (version == VERSION).then_some(Self { cluster, sender, address, content })
    }
}

/// What a message of the protocol is, and names.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Outline {
    /// It asks to be answered: the first of three.
    pub(super) opens: bool,
    /// The nodes in its digest, with their generations.
    pub(super) names: Vec<(u64, u64)>,
}

/// Walks through a message; none: it is not one.
pub(super) fn outline(message: &[u8]) -> Option<Outline> {
    let mut walk = Walk(message);
    let (magic, [version, kind]) = (u16::from_le_bytes(walk.array()?), walk.array()?);
    if magic != MAGIC || version != 0 {
        return None;
    }
    let mut names = Vec::new();
    if kind < 2 {
        let count = u16::from_le_bytes(walk.array()?);
        for _ in 0..count {
            names.push(walk.name()?);
            // Heartbeat and versions.
            walk.take(24)?;
        }
    }
    match kind {
        0 => drop(walk.text()?),
        1 | 2 => walk.blocks()?,
        3 => {}
        _ => return None,
    }
    walk.0.is_empty().then_some(Outline { opens: kind == 0, names })
}

/// A node's name of 16 hex digits as its number; none: it is no such name.
pub(super) fn node_of(name: &str) -> Option<u64> {
    let node = u64::from_str_radix(name, 16).ok()?;
    (name_of(node) == name).then_some(node)
}

/// The name of a node in the protocol.
pub(super) fn name_of(node: u64) -> String {
    format!("{node:016x}")
}

struct Walk<'a>(&'a [u8]);

impl<'a> Walk<'a> {
    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn u64(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.array()?))
    }

    fn text(&mut self) -> Option<&'a str> {
        let len = u16::from_le_bytes(self.array()?);
        std::str::from_utf8(self.take(len.into())?).ok()
    }

    fn address(&mut self) -> Option<SocketAddr> {
        let ip: IpAddr = match self.array()? {
            [4] => Ipv4Addr::from(self.array::<4>()?).into(),
            [6] => Ipv6Addr::from(self.array::<16>()?).into(),
            _ => return None,
        };
        Some(SocketAddr::new(ip, u16::from_le_bytes(self.array()?)))
    }

    fn name(&mut self) -> Option<(u64, u64)> {
        let node = node_of(self.text()?)?;
        let generation = self.u64()?;
        self.address()?;
        Some((node, generation))
    }

    fn blocks(&mut self) -> Option<()> {
        for _ in 0..=BLOCKS_MAX {
            match self.array()? {
                [0] => return Some(()),
                [1 | 2] => {
                    let len = u16::from_le_bytes(self.array()?);
                    self.take(len.into())?;
                }
                _ => return None,
            }
        }
        None
    }
}
