//! Protobuf bodies: whatever is accepted is written, and read back complete.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mesolith::mesos::codec::Codec;
use mesolith::mesos::{internal, v1};

fn settles<M>(bytes: &[u8])
where
    M: prost::Message + prost::Name + Default + serde::Serialize + serde::de::DeserializeOwned,
{
    if let Ok(message) = Codec::Protobuf.decode::<M>(bytes) {
        let binary = Codec::Protobuf.encode(&message);
        let again: M = Codec::Protobuf.decode(&binary).expect("what was written can be read");
        assert_eq!(Codec::Protobuf.encode(&again), binary);
        let _ = Codec::Json.encode(&message);
    }
}

fuzz_target!(|bytes: &[u8]| {
    settles::<v1::scheduler::Call>(bytes);
    settles::<v1::executor::Call>(bytes);
    settles::<v1::master::Call>(bytes);
    settles::<v1::agent::Call>(bytes);
    settles::<internal::AgentMessage>(bytes);
    settles::<internal::MasterMessage>(bytes);
});
