//! What holds for any bytes: readers never panic, and what they accept goes through both codecs unchanged.
//!
//! The same properties run for longer under libFuzzer, in `fuzz/`.

use crate::mesos::codec::Codec;
use crate::mesos::{convert, internal, v1};
use proptest::prelude::*;
use prost::{Message, Name};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Whatever is accepted is written and read back as it was. Explicit defaults appear when JSON is read back, so the
/// comparison is after one round.
fn settles<M>(codec: Codec, bytes: &[u8])
where
    M: Message + Name + Default + DeserializeOwned + Serialize + PartialEq,
{
    let Ok(message) = codec.decode::<M>(bytes) else { return };
    let binary = Codec::Protobuf.encode(&message);
    assert!(Codec::Protobuf.decode::<M>(&binary).is_ok());
    let json = Codec::Json.encode(&message);
    // Numbers of unknown enums and not-a-number cannot be read from JSON.
    if let Ok(again) = Codec::Json.decode::<M>(&json) {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        assert_eq!(text(Codec::Json.encode(&again)), text(json));
    } else {
        assert_eq!(codec, Codec::Protobuf);
    }
}

fn all_readers(codec: Codec, bytes: &[u8]) {
    settles::<v1::scheduler::Call>(codec, bytes);
    settles::<v1::scheduler::Event>(codec, bytes);
    settles::<v1::executor::Call>(codec, bytes);
    settles::<v1::master::Call>(codec, bytes);
    settles::<v1::agent::Call>(codec, bytes);
    settles::<v1::ContainerId>(codec, bytes);
    settles::<internal::AgentMessage>(codec, bytes);
    settles::<internal::MasterMessage>(codec, bytes);
    if let Ok(resource) = codec.decode::<v1::Resource>(bytes)
        && let Ok(read) = convert::resource_from_v1(&resource)
    {
        let post = convert::resource_to_v1(&read, convert::Format::Post).unwrap();
        assert_eq!(convert::resource_from_v1(&post), Ok(read));
    }
}

const SEEDS: &[&[u8]] = &[
    include_bytes!("../../../tests/golden/scheduler_call_accept.json"),
    include_bytes!("../../../tests/golden/scheduler_event_offers.json"),
    include_bytes!("../../../tests/golden/scheduler_call_accept.bin"),
    include_bytes!("../../../tests/golden/scheduler_event_offers.bin"),
    include_bytes!("../../../tests/golden/scheduler_call_update_framework.bin"),
];

proptest! {
    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        all_readers(Codec::Protobuf, &bytes);
        all_readers(Codec::Json, &bytes);
    }

    #[test]
    fn any_text(text in "[\\[\\]{}:,\"a-z_0-9. \\\\-]{0,120}") {
        all_readers(Codec::Json, text.as_bytes());
        let _ = convert::parse_resources(&text, "*");
    }

    #[test]
    fn damaged_messages(
        seed in 0..SEEDS.len(),
        damage in prop::collection::vec((any::<usize>(), any::<u8>()), 1..6),
        cut in any::<usize>(),
    ) {
        let mut bytes = SEEDS[seed].to_vec();
        for (at, with) in damage {
            let at = at % bytes.len();
            bytes[at] = with;
        }
        all_readers(Codec::Protobuf, &bytes);
        all_readers(Codec::Json, &bytes);
        bytes.truncate(cut % bytes.len());
        all_readers(Codec::Protobuf, &bytes);
        all_readers(Codec::Json, &bytes);
    }
}
