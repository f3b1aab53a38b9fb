//! The rules of Mesos's JSON, one by one.

use crate::mesos::codec::Codec;
use crate::mesos::v1::{self, scheduler::Call};
use prost::Name;
use serde::de::DeserializeOwned;

fn read<M: prost::Message + Name + Default + DeserializeOwned>(json: &str) -> M {
    Codec::Json.decode(json.as_bytes()).unwrap_or_else(|e| panic!("{json}: {e}"))
}

fn refusal<M: prost::Message + Name + Default + DeserializeOwned>(json: &str) -> String {
    Codec::Json.decode::<M>(json.as_bytes()).err().unwrap().to_string()
}

fn write<M: prost::Message + serde::Serialize>(message: &M) -> String {
    String::from_utf8(Codec::Json.encode(message)).unwrap()
}

#[test]
fn explicit_defaults_are_written_and_the_rest_left_out() {
    let command = r#"{"value":"ls"}"#;
    assert_eq!(write(&read::<v1::CommandInfo>(command)), r#"{"shell":true,"value":"ls"}"#);
    let info = write(&read::<v1::FrameworkInfo>(r#"{"user":"u","name":"n"}"#));
    assert_eq!(info, r#"{"user":"u","name":"n","failover_timeout":0.0,"checkpoint":false}"#);
    let resource = r#"{"name":"cpus","type":"SCALAR","scalar":{"value":1}}"#;
    assert_eq!(
        write(&read::<v1::Resource>(resource)),
        r#"{"name":"cpus","type":"SCALAR","scalar":{"value":1.0}}"#
    );
    assert_eq!(write(&read::<v1::Filters>("{}")), r#"{"refuse_seconds":5.0}"#);
    assert_eq!(write(&v1::Offer::default()).matches("[]").count(), 0);
}

// covers: MES-0034
#[test]
fn the_word_slave_is_nowhere_in_the_second_interface() {
    let status = v1::TaskStatus {
        task_id: v1::TaskId { value: "t".into() },
        state: v1::TaskState::TaskLost as i32,
        agent_id: Some(v1::AgentId { value: "S0".into() }),
        source: Some(v1::task_status::Source::Agent as i32),
        reason: Some(v1::task_status::Reason::AgentRemoved as i32),
        ..Default::default()
    };
    let text = write(&status);
    for part in [
        r#""agent_id":{"value":"S0"}"#,
        r#""source":"SOURCE_AGENT""#,
        r#""reason":"REASON_AGENT_REMOVED""#,
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    // No message of it has such a key or value.
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/mesos/proto/mesos/v1");
    let (mut folders, mut read) = (vec![root], 0);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let code = text.lines().map(|line| line.split("//").next().unwrap_or(line));
            for line in code {
                let low = line.to_lowercase();
                assert!(!low.contains("slave"), "{}: {line}", path.display());
            }
            read += 1;
        }
    }
    assert!(read > 5, "{read} files");
}

#[test]
fn null_is_unset_and_unknown_keys_are_ignored() {
    let call: Call = read(
        r#"{"framework_id":null,"type":null,"accept":null,"zzz":{"a":[1,{"b":null}]},
            "revive":{"roles":null},"subscribe":{"framework_info":{"user":"u","name":"n",
            "offer_filters":null,"capabilities":[null,{"type":"MULTI_ROLE"},null]}}}"#,
    );
    assert_eq!((&call.framework_id, &call.r#type, &call.accept), (&None, &None, &None));
    let info = &call.subscribe.as_ref().unwrap().framework_info;
    assert_eq!((info.capabilities.len(), info.offer_filters.len()), (1, 0));
    let task = r#"{"name":"t","task_id":{"value":"t"},"agent_id":{"value":"a"},
                   "limits":{"cpus":null,"mem":{"value":1}}}"#;
    let limits = read::<v1::TaskInfo>(task).limits;
    assert_eq!(limits.keys().collect::<Vec<_>>(), ["mem"]);
}

#[test]
fn one_value_stands_for_a_list() {
    let call: Call = read(
        r#"{"type":"ACCEPT","accept":{"offer_ids":{"value":"O0"},"operations":{"type":"LAUNCH","launch":{"task_infos":[]}}},
            "revive":{"roles":"eng"}}"#,
    );
    assert_eq!(call.accept.as_ref().unwrap().offer_ids.len(), 1);
    assert_eq!(call.accept.as_ref().unwrap().operations.len(), 1);
    assert_eq!(call.revive.unwrap().roles, ["eng"]);
}

#[test]
fn numbers_and_booleans_may_be_text() {
    let ranges: v1::value::Range = read(r#"{"begin":"1","end":18446744073709551615}"#);
    assert_eq!((ranges.begin, ranges.end), (1, u64::MAX));
    assert_eq!(write(&ranges), r#"{"begin":1,"end":18446744073709551615}"#);
    assert_eq!(
        read::<v1::DurationInfo>(r#"{"nanoseconds":"-9223372036854775808"}"#).nanoseconds,
        i64::MIN
    );
    assert_eq!(read::<v1::Port>(r#"{"number":31000.0}"#).number, 31000);
    assert_eq!(read::<v1::Port>(r#"{"number":"31000.0"}"#).number, 31000);
    for (text, value) in [
        ("1", 1.0),
        ("\"2.5\"", 2.5),
        ("\"Infinity\"", f64::INFINITY),
        ("\"-Infinity\"", f64::NEG_INFINITY),
    ] {
        assert_eq!(read::<v1::value::Scalar>(&format!("{{\"value\":{text}}}")).value, value);
    }
    let infinite = v1::value::Scalar { value: f64::INFINITY };
    assert_eq!(write(&infinite), r#"{"value":"Infinity"}"#);
    assert_eq!(read::<v1::CommandInfo>(r#"{"shell":"false"}"#).shell, Some(false));
}

#[test]
fn numbers_that_do_not_fit_are_refused() {
    for bad in ["4294967296", "-1", "1.5", "\"x\"", "\"\"", "1e30", "true", "[1]", "{}"] {
        let text = refusal::<v1::Port>(&format!("{{\"number\":{bad}}}"));
        assert!(text.starts_with("Failed to convert JSON into Port protobuf: number: "), "{text}");
    }
    for bad in ["-9223372036854775809", "9223372036854775808", "1e19"] {
        refusal::<v1::DurationInfo>(&format!("{{\"nanoseconds\":{bad}}}"));
    }
    for bad in ["\"inf\"", "\"NaN\"", "\"+1\"", "true", "[]"] {
        refusal::<v1::value::Scalar>(&format!("{{\"value\":{bad}}}"));
    }
    for bad in ["1", "\"yes\"", "\"True\"", "{}"] {
        refusal::<v1::CommandInfo>(&format!("{{\"shell\":{bad}}}"));
    }
}

#[test]
fn unknown_enum_names() {
    let call: Call = read(r#"{"type":"NO_SUCH_CALL"}"#);
    assert_eq!(call.r#type, None);
    assert_eq!(
        refusal::<v1::Resource>(r#"{"name":"a","type":"NONE"}"#).split(" at line").next().unwrap(),
        "Failed to convert JSON into Resource protobuf: type: Failed to find enum for 'NONE'"
    );
    let caps: v1::agent::Response =
        read(r#"{"type":"GET_HEALTH","get_health":{"healthy":true},"get_flags":null}"#);
    assert!(caps.get_health.unwrap().healthy);
    assert!(refusal::<Call>(r#"{"type":5}"#).contains("type: invalid type: integer `5`"));
}

#[test]
fn missing_required_fields_are_named() {
    let prefix = "Failed to convert JSON into Call protobuf: Missing required fields: ";
    for (json, path) in [
        (r#"{"accept":{"offer_ids":[{"value":"a"},{}]}}"#, "accept.offer_ids[1].value"),
        (r#"{"accept":{"offer_ids":[{"value":null}]}}"#, "accept.offer_ids[0].value"),
        (r#"{"subscribe":{}}"#, "subscribe.framework_info"),
        (r#"{"subscribe":{"framework_info":null}}"#, "subscribe.framework_info"),
        (
            r#"{"accept":{"operations":[{"type":"LAUNCH","launch":{"task_infos":[
                {"name":"a","task_id":{"value":"t"},"agent_id":{"value":"a"},
                 "resources":[{"name":"x","type":null}]}]}}]}}"#,
            "accept.operations[0].launch.task_infos[0].resources[0].type",
        ),
    ] {
        assert_eq!(refusal::<Call>(json), format!("{prefix}{path}"));
    }
    assert_eq!(
        refusal::<v1::AgentId>("{}"),
        "Failed to convert JSON into AgentID protobuf: Missing required fields: value"
    );
}

#[test]
fn lists_where_messages_belong_are_refused() {
    for bad in ["[]", "[null,null]", "5", "\"x\"", "null"] {
        assert!(
            refusal::<Call>(bad)
                .starts_with("Failed to convert JSON into Call protobuf: invalid type")
        );
    }
    assert!(
        refusal::<Call>(r#"{"framework_id":["x"]}"#)
            .contains("framework_id: invalid type: sequence")
    );
    assert!(
        refusal::<Call>(r#"{"accept":{"offer_ids":[["x"]]}}"#)
            .contains("accept.offer_ids[0]: invalid type")
    );
    let task =
        r#"{"name":"t","task_id":{"value":"t"},"agent_id":{"value":"a"},"limits":{"cpus":[1]}}"#;
    assert!(refusal::<v1::TaskInfo>(task).contains("limits.cpus: invalid type: sequence"));
}

#[test]
fn bytes_are_base64() {
    let call: Call =
        read(r#"{"acknowledge":{"agent_id":{"value":"a"},"task_id":{"value":"t"},"uuid":"AP8="}}"#);
    assert_eq!(call.acknowledge.unwrap().uuid, [0, 255]);
    let text = refusal::<Call>(
        r#"{"acknowledge":{"agent_id":{"value":"a"},"task_id":{"value":"t"},"uuid":"!"}}"#,
    );
    assert!(text.contains("acknowledge.uuid: invalid base64"), "{text}");
}

#[test]
fn what_is_no_json_is_said_to_be_none() {
    for bad in [
        &b""[..],
        b"{",
        b"{\"type\":}",
        b"{} x",
        b"{\"type\":\"\xff\"}",
        b"\xff",
        b"{\"type\":\"\\ud800\"}",
    ] {
        let text = Codec::Json.decode::<Call>(bad).unwrap_err().to_string();
        assert!(text.starts_with("Failed to parse body into JSON: "), "{text}");
    }
}

#[test]
fn deep_nesting_does_not_exhaust_the_stack() {
    let deep = |open: &str, close: &str| open.repeat(100_000) + &close.repeat(100_000);
    for json in [
        deep("[", "]"),
        "[".repeat(100_000),
        format!("{{\"zzz\":{}}}", deep("[", "]")),
        format!("{{\"zzz\":{}1{}}}", "{\"a\":".repeat(100_000), "}".repeat(100_000)),
        format!("{{\"revive\":{{\"roles\":{}}}}}", deep("[", "]")),
    ] {
        // Unknown keys are skipped at any depth; all else ends at serde's limit.
        let _ = Codec::Json.decode::<Call>(json.as_bytes());
    }
    let nested = format!(
        "{{\"value\":\"x\",\"parent\":{}null{}}}",
        "{\"value\":\"x\",\"parent\":".repeat(5_000),
        "}".repeat(5_000)
    );
    assert!(refusal::<v1::ContainerId>(&nested).contains("recursion limit"));
}
