//! Protobuf bytes worked out by hand, and what the binary reader refuses.

use crate::mesos::codec::Codec;
use crate::mesos::{internal, v1};

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let nibble = |b: u8| (b as char).to_digit(16).unwrap() as u8;
    digits.chunks_exact(2).map(|pair| nibble(pair[0]) << 4 | nibble(pair[1])).collect()
}

fn refusal<M>(bytes: &str) -> String
where
    M: prost::Message + prost::Name + Default + serde::de::DeserializeOwned,
{
    Codec::Protobuf.decode::<M>(&hex(bytes)).err().unwrap().to_string()
}

#[test]
fn bytes_by_hand() {
    // framework_id = 1 {value = 1: "f"}, type = 2: TEARDOWN = 2
    let call: v1::scheduler::Call = Codec::Protobuf.decode(&hex("0a 03 0a 01 66  10 02")).unwrap();
    assert_eq!(call.r#type(), v1::scheduler::call::Type::Teardown);
    assert_eq!(call.framework_id.as_ref().unwrap().value, "f");
    assert_eq!(Codec::Protobuf.encode(&call), hex("0a 03 0a 01 66  10 02"));
    // type = 1: HEARTBEAT = 8
    let event: v1::scheduler::Event = Codec::Protobuf.decode(&hex("08 08")).unwrap();
    assert_eq!(event.r#type(), v1::scheduler::event::Type::Heartbeat);
    // name = 1 "cpus", type = 2 SCALAR = 0, scalar = 3 {value = 1: 0.5}, role = 6 "*"
    let bytes = hex("0a 04 63707573  10 00  1a 09 09 000000000000e03f  32 01 2a");
    let cpus: v1::Resource = Codec::Protobuf.decode(&bytes).unwrap();
    assert_eq!((cpus.name.as_str(), cpus.scalar.unwrap().value), ("cpus", 0.5));
    let written = crate::mesos::convert::resource_from_v1(&cpus).ok().and_then(|r| {
        crate::mesos::convert::resource_to_v1(&r, crate::mesos::convert::Format::Pre)
    });
    assert_eq!(Codec::Protobuf.encode(&written.unwrap()), bytes);
}

#[test]
fn required_fields_are_enforced_deeply_and_named() {
    let prefix = "Failed to parse body into Call protobuf: Missing required fields: ";
    // accept = 4 {offer_ids = 1 {value}, offer_ids = 1 {}}
    assert_eq!(
        refusal::<v1::scheduler::Call>("22 07  0a 03 0a 01 61  0a 00"),
        format!("{prefix}accept.offer_ids[1].value")
    );
    // subscribe = 3 {} has no framework_info
    assert_eq!(
        refusal::<v1::scheduler::Call>("1a 00"),
        format!("{prefix}subscribe.framework_info")
    );
    // kill = 6 {}; decline = 5 {offer_ids {}}
    assert_eq!(
        refusal::<v1::scheduler::Call>("32 00  2a 02 0a 00"),
        format!("{prefix}kill.task_id, decline.offer_ids[0].value")
    );
    assert_eq!(
        refusal::<internal::MasterMessage>(""),
        "Failed to parse body into MasterMessage protobuf: Missing required fields: epoch"
    );
}

#[test]
fn an_unknown_number_of_a_required_enum_counts_as_missing() {
    let missing = |path| {
        format!("Failed to parse body into Resource protobuf: Missing required fields: {path}")
    };
    assert_eq!(refusal::<v1::Resource>("0a 01 61  10 63"), missing("type"));
    assert_eq!(refusal::<v1::Resource>("0a 01 61"), missing("type"));
    // Of a number given twice the last is kept.
    assert_eq!(refusal::<v1::Resource>("0a 01 61  10 02 10 63"), missing("type"));
    let twice: v1::Resource = Codec::Protobuf.decode(&hex("0a 01 61  10 63 10 02")).unwrap();
    assert_eq!(twice.r#type(), v1::value::Type::Set);
    // An optional one is kept, and reads as unset: type = 2 of a call.
    let call: v1::scheduler::Call = Codec::Protobuf.decode(&hex("10 7f")).unwrap();
    assert_eq!(call.r#type(), v1::scheduler::call::Type::Unknown);
}

#[test]
fn malformed_bytes_are_refused() {
    for bytes in ["0a", "0a 05 61", "0f", "10 ffffffffffffffffffff", "0a 03 0a 01 ff", "0b", "0c"] {
        assert_eq!(
            refusal::<v1::scheduler::Call>(bytes),
            "Failed to parse body into Call protobuf",
            "{bytes}"
        );
    }
}

#[test]
fn unknown_fields_and_groups_do_not_hide_missing_ones() {
    // Field 99: a varint, a string, a fixed64, a fixed32, a group with a group inside.
    let unknown = "98 06 01  9a 06 01 61  99 06 0000000000000000  9d 06 00000000  \
                   9b 06 93 01 08 01 94 01 9c 06";
    assert!(Codec::Protobuf.decode::<v1::AgentId>(&hex(&format!("{unknown} 0a 01 61"))).is_ok());
    assert_eq!(
        refusal::<v1::AgentId>(unknown),
        "Failed to parse body into AgentID protobuf: Missing required fields: value"
    );
}

#[test]
fn nesting_is_bounded() {
    let mut id = crate::mesos::make::container_id("x");
    for _ in 0..500 {
        id = crate::mesos::make::nested_container_id("x", id);
    }
    let bytes = Codec::Protobuf.encode(&id);
    assert!(Codec::Protobuf.decode::<v1::ContainerId>(&bytes).is_err());
    let mut groups = [0x9b, 0x06].repeat(100_000);
    groups.extend([0x9c, 0x06].repeat(100_000));
    assert!(Codec::Protobuf.decode::<v1::ContainerId>(&groups).is_err());
}
