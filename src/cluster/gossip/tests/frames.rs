//! Bytes from outside: read, or refused, and never the end of anything.

use super::super::frame::{Content, FRAME_BYTES_MAX, Frame, node_of, outline};
use bytes::Bytes;
use chitchat::{ChitchatMessage, Deserializable as _, Serializable as _};
use proptest::prelude::*;

/// A message of the protocol, by hand.
pub(super) struct Message(pub(super) Vec<u8>);

impl Message {
    pub(super) fn new(kind: u8) -> Self {
        Self([45_139_u16.to_le_bytes().as_slice(), &[0, kind]].concat())
    }

    pub(super) fn text(mut self, text: &str) -> Self {
        self.0.extend((text.len() as u16).to_le_bytes());
        self.0.extend(text.as_bytes());
        self
    }

    pub(super) fn u64(mut self, n: u64) -> Self {
        self.0.extend(n.to_le_bytes());
        self
    }

    pub(super) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }

    pub(super) fn name(self, node: u64, generation: u64) -> Self {
        let [low, high] = 5052_u16.to_le_bytes();
        let address = [4, 127, 0, 0, node as u8, low, high];
        self.text(&format!("{node:016x}")).u64(generation).bytes(&address)
    }

    /// A digest of nodes, each with one heartbeat.
    pub(super) fn digest(mut self, names: &[(u64, u64)]) -> Self {
        self = self.bytes(&(names.len() as u16).to_le_bytes());
        for (node, generation) in names {
            self = self.name(*node, *generation).u64(1).u64(0).u64(0);
        }
        self
    }

    /// A block as it is, and the end of blocks.
    pub(super) fn block(self, block: &[u8]) -> Self {
        self.bytes(&[2]).bytes(&(block.len() as u16).to_le_bytes()).bytes(block).bytes(&[0])
    }
}

fn syn() -> Vec<u8> {
    Message::new(0).digest(&[(1, 7), (2, 8)]).text("cluster").0
}

fn frame(message: &[u8]) -> Frame {
    let content = Content::Message(Bytes::copy_from_slice(message));
    let address = "10.0.0.7:5052".parse().expect("an address");
    Frame { cluster: 0xc1, sender: 0x0102, address, content }
}

#[test]
fn a_frame_is_read_as_it_was_written() {
    let mut frames = vec![frame(&syn()), frame(&[])];
    frames.push(Frame { content: Content::NoRoom, ..frame(&[]) });
    frames.push(Frame { address: "[fe80::1]:9".parse().expect("an address"), ..frame(&[9]) });
    for frame in frames {
        assert_eq!(Frame::decode(&frame.encode()), Some(frame));
    }
}

#[test]
fn the_form_of_version_1_is_this() {
    let hex: String = frame(&[0xab]).encode().iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(hex, "0100c1000000000000000201000000000000040a000007bc13ab");
}

#[test]
fn what_is_no_frame_is_refused() {
    let whole = frame(&syn()).encode();
    for len in 0..25 {
        assert_eq!(Frame::decode(&whole.slice(..len)), None, "{len} bytes");
    }
    let changed = |at: usize, to: u8| {
        let mut bytes = whole.to_vec();
        bytes[at] = to;
        Frame::decode(&bytes.into())
    };
    assert_eq!(changed(0, 2), None, "another version");
    assert_eq!(changed(1, 2), None, "another kind");
    assert_eq!(changed(1, 1), None, "a refusal with a message");
    assert_eq!(changed(18, 5), None, "another kind of address");
    assert_eq!(Frame::decode(&vec![1; FRAME_BYTES_MAX + 1].into()), None, "too long");
}

#[test]
fn a_message_is_outlined_as_the_library_reads_it() {
    let message = syn();
    let seen = outline(&message).expect("a message");
    assert!(seen.opens);
    assert_eq!(seen.names, [(1, 7), (2, 8)]);
    let read = ChitchatMessage::deserialize(&mut &message[..]).expect("the library reads it");
    assert_eq!(read.serialize_to_vec(), message);

    let answer = Message::new(1).digest(&[(3, 9)]).bytes(&[0]).0;
    assert_eq!(outline(&answer).map(|o| (o.opens, o.names)), Some((false, vec![(3, 9)])));
    assert!(ChitchatMessage::deserialize(&mut &answer[..]).is_ok());
    assert!(outline(&Message::new(2).bytes(&[0]).0).is_some());
    assert!(outline(&Message::new(3).0).is_some());
}

#[test]
fn what_is_no_message_is_refused() {
    let whole = syn();
    for len in 0..whole.len() {
        assert_eq!(outline(&whole[..len]), None, "{len} bytes");
    }
    assert_eq!(outline(&[&whole[..], &[0]].concat()), None, "something follows");
    assert_eq!(outline(&Message::new(4).0), None);
    let named = |name: &str| {
        let one = Message::new(0).bytes(&1_u16.to_le_bytes()).text(name).u64(1);
        one.bytes(&[4, 127, 0, 0, 1, 0, 20]).u64(1).u64(0).u64(0).text("cluster").0
    };
    assert!(outline(&named("00000000000000ff")).is_some());
    for name in ["", "ff", "00000000000000FF", "+0000000000000ff", "000000000000000ff"] {
        assert_eq!(outline(&named(name)), None, "{name:?}");
        assert_eq!(node_of(name), None, "{name:?}");
    }
}

#[test]
fn blocks_that_would_unpack_to_too_much_are_refused() {
    let blocks = |n: usize| {
        let message = (0..n).fold(Message::new(2), |m, _| m.bytes(&[1, 1, 0, 0]));
        outline(&message.bytes(&[0]).0)
    };
    assert!(blocks(64).is_some());
    assert!(blocks(65).is_none());
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Frame::decode(&Bytes::from(bytes.clone()));
        let _ = outline(&bytes);
        let _ = ChitchatMessage::deserialize(&mut &bytes[..]);
    }

    #[test]
    fn no_change_of_a_message_makes_it_panic(
        kind in 0..3_u8,
        at in 0..200_usize,
        to in any::<u8>(),
        cut in 0..200_usize,
    ) {
        let op = Message(vec![0]).name(1, 7).u64(0).u64(0).bytes(&[1]).text("zone").text("a").u64(3).bytes(&[0]).0;
        let mut bytes = match kind {
            0 => syn(),
            1 => Message::new(1).digest(&[(1, 7)]).block(&op).0,
            _ => Message::new(2).block(&op).0,
        };
        if let Some(byte) = bytes.get_mut(at) {
            *byte = to;
        }
        bytes.truncate(bytes.len().saturating_sub(cut / 4));
        if outline(&bytes).is_some() {
            let _ = ChitchatMessage::deserialize(&mut &bytes[..]);
        }
    }
}
