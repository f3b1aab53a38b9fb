//! Golden messages: the same message as JSON and as protobuf, `tests/golden/<name>.{json,bin}`.
//!
//! The files were not written by this program: an encoder of their own made them from the tables of fields, numbers and
//! defaults of the original's .proto files. So they prove names, numbers, order and defaults on both sides.

use crate::mesos::codec::Codec;
use crate::mesos::v1;
use prost::{Message, Name};
use serde::Serialize;
use serde::de::DeserializeOwned;

fn check<M>(name: &str, json: &[u8], bin: &[u8])
where
    M: Message + Name + Default + DeserializeOwned + Serialize + PartialEq + std::fmt::Debug,
{
    let from_json: M = Codec::Json.decode(json).unwrap_or_else(|e| panic!("{name}: {e}"));
    let from_bin: M = Codec::Protobuf.decode(bin).unwrap_or_else(|e| panic!("{name}: {e}"));
    assert_eq!(from_json, from_bin, "{name}");
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    assert_eq!(text(&Codec::Json.encode(&from_bin)), text(json), "{name}");
    assert_eq!(Codec::Protobuf.encode(&from_json), bin, "{name}");
}

macro_rules! golden {
    ($($name:ident: $message:ty),* $(,)?) => {$(
        #[test]
        fn $name() {
            check::<$message>(
                stringify!($name),
                include_bytes!(concat!("../../../tests/golden/", stringify!($name), ".json")),
                include_bytes!(concat!("../../../tests/golden/", stringify!($name), ".bin")),
            );
        }
    )*};
}

golden! {
    scheduler_call_subscribe: v1::scheduler::Call,
    scheduler_call_accept: v1::scheduler::Call,
    scheduler_call_launch_group: v1::scheduler::Call,
    scheduler_call_decline: v1::scheduler::Call,
    scheduler_call_revive: v1::scheduler::Call,
    scheduler_call_kill: v1::scheduler::Call,
    scheduler_call_acknowledge: v1::scheduler::Call,
    scheduler_call_reconcile: v1::scheduler::Call,
    scheduler_call_message: v1::scheduler::Call,
    scheduler_call_teardown: v1::scheduler::Call,
    scheduler_call_update_framework: v1::scheduler::Call,
    scheduler_event_subscribed: v1::scheduler::Event,
    scheduler_event_offers: v1::scheduler::Event,
    scheduler_event_update: v1::scheduler::Event,
    scheduler_event_rescind: v1::scheduler::Event,
    scheduler_event_failure: v1::scheduler::Event,
    scheduler_event_error: v1::scheduler::Event,
    scheduler_event_heartbeat: v1::scheduler::Event,
    scheduler_event_operation: v1::scheduler::Event,
    executor_call_subscribe: v1::executor::Call,
    executor_call_update: v1::executor::Call,
    executor_event_subscribed: v1::executor::Event,
    executor_event_launch: v1::executor::Event,
    executor_event_acknowledged: v1::executor::Event,
    executor_event_shutdown: v1::executor::Event,
    master_call_get_metrics: v1::master::Call,
    master_call_update_quota: v1::master::Call,
    master_call_drain_agent: v1::master::Call,
    master_response_get_version: v1::master::Response,
    master_response_get_metrics: v1::master::Response,
    master_event_task_updated: v1::master::Event,
    agent_call_launch_container: v1::agent::Call,
    agent_call_attach_input: v1::agent::Call,
    agent_process_io: v1::agent::ProcessIo,
    agent_response_read_file: v1::agent::Response,
}
