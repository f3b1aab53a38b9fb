//! JSON bodies: whatever is accepted is written and read back to the same text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mesolith::mesos::codec::Codec;
use mesolith::mesos::v1;

fn settles<M>(bytes: &[u8])
where
    M: prost::Message + prost::Name + Default + serde::Serialize + serde::de::DeserializeOwned,
{
    if let Ok(message) = Codec::Json.decode::<M>(bytes) {
        let json = Codec::Json.encode(&message);
        let again: M = Codec::Json.decode(&json).expect("what was written can be read");
        assert_eq!(Codec::Json.encode(&again), json);
    }
}

fuzz_target!(|bytes: &[u8]| {
    settles::<v1::scheduler::Call>(bytes);
    settles::<v1::executor::Call>(bytes);
    settles::<v1::master::Call>(bytes);
    settles::<v1::agent::Call>(bytes);
});
