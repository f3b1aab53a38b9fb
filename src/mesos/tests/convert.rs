//! Resources on the wire and back.

use crate::base::attributes::Attributes;
use crate::base::ids;
use crate::base::resources::{Reservation, Resources, Scalar};
use crate::mesos::convert::*;
use crate::mesos::{make, v0, v1};
use serde_json::json;
use v1::TaskState;

fn wire(json: serde_json::Value) -> v1::Resource {
    serde_json::from_value(json).unwrap()
}

fn refusal(json: serde_json::Value) -> String {
    resource_from_v1(&wire(json)).unwrap_err()
}

fn write(text: &str, format: Format) -> serde_json::Value {
    serde_json::to_value(resources_to_v1(&Resources::parse(text, "*").unwrap(), format)).unwrap()
}

#[test]
fn both_formats_are_read() {
    let parsed = |text| Resources::parse(text, "*").unwrap();
    let cpus = |rest: serde_json::Value| {
        let mut all = json!({"name":"cpus","type":"SCALAR","scalar":{"value":1.5}});
        all.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        Resources::from(resource_from_v1(&wire(all)).unwrap())
    };
    let dynamic = |text| parsed(text).push_reservation(&Reservation::dynamic("eng", Some("ops")));
    assert_eq!(cpus(json!({})), parsed("cpus:1.5"));
    assert_eq!(cpus(json!({"role":"*"})), parsed("cpus:1.5"));
    assert_eq!(cpus(json!({"role":"eng"})), parsed("cpus(eng):1.5"));
    assert_eq!(cpus(json!({"role":"eng","reservation":{"principal":"ops"}})), dynamic("cpus:1.5"));
    let post = json!([{"type":"DYNAMIC","role":"eng","principal":"ops"}]);
    assert_eq!(cpus(json!({"reservations":post})), dynamic("cpus:1.5"));
    let both = json!({"role":"eng","reservation":{"principal":"ops"},"reservations":post});
    assert_eq!(cpus(both), dynamic("cpus:1.5"));
    assert_eq!(
        cpus(json!({"reservations":[{"type":"STATIC","role":"eng"}],"role":"eng"})),
        parsed("cpus(eng):1.5")
    );
    assert_eq!(
        cpus(json!({"allocation_info":{"role":"eng"}})),
        parsed("cpus:1.5").allocate(&ids::Role::from("eng"))
    );
}

#[test]
fn malformed_resources_are_refused_in_the_words_of_mesos() {
    let cpus = json!({"name":"cpus","type":"SCALAR","scalar":{"value":1}});
    let with = |base: &serde_json::Value, rest: serde_json::Value| {
        let mut all = base.clone();
        all.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        refusal(all)
    };
    let ports = |r: serde_json::Value| {
        refusal(json!({"name":"ports","type":"RANGES","ranges":{"range":r}}))
    };
    let disk = json!({"name":"disk","type":"SCALAR","scalar":{"value":1}});
    for (got, want) in [
        (with(&cpus, json!({"name":""})), "Empty resource name"),
        (with(&cpus, json!({"scalar":null})), "Invalid scalar resource"),
        (with(&cpus, json!({"type":"RANGES"})), "Invalid ranges resource"),
        (with(&cpus, json!({"type":"SET"})), "Invalid set resource"),
        (with(&cpus, json!({"type":"TEXT"})), "Unsupported resource type"),
        (with(&cpus, json!({"scalar":{"value":-1}})), "Invalid scalar resource: value <= 0"),
        (with(&cpus, json!({"scalar":{"value":0.0001}})), "Invalid scalar resource: value <= 0"),
        (
            with(&cpus, json!({"scalar":{"value":"Infinity"}})),
            "Invalid scalar resource: inf is not a number up to 9007199254740.992",
        ),
        (ports(json!([{"begin":5,"end":3}])), "Invalid ranges resource: begin > end"),
        (
            ports(json!([{"begin":5,"end":9},{"begin":1,"end":5}])),
            "Invalid ranges resource: overlapping ranges",
        ),
        (
            refusal(json!({"name":"s","type":"SET","set":{"item":["a","b","a"]}})),
            "Invalid set resource: duplicated elements",
        ),
        (with(&cpus, json!({"disk":{}})), "DiskInfo should not be set for cpus resource"),
        (with(&cpus, json!({"shared":{}})), "Resource cpus cannot be shared"),
        (with(&disk, json!({"shared":{}})), "Only persistent volumes can be shared"),
        (
            with(&disk, json!({"disk":{"source":{"type":"RAW","path":{}}}})),
            "Path should not be set for RAW disk source",
        ),
        (
            with(&disk, json!({"disk":{"source":{"type":"BLOCK","mount":{}}}})),
            "Mount should not be set for BLOCK disk source",
        ),
        (
            with(&disk, json!({"disk":{"source":{"type":"UNKNOWN"}}})),
            "Unsupported 'DiskInfo.Source.Type' in 'UNKNOWN'",
        ),
        (with(&cpus, json!({"role":"a/.."})), "Role 'a/..' cannot include '..' as a component"),
        (
            with(&cpus, json!({"reservation":{}})),
            "Invalid reservation: role \"*\" cannot be dynamically reserved",
        ),
        (
            with(&cpus, json!({"role":"eng","reservation":{"type":"DYNAMIC"}})),
            "'Resource.ReservationInfo.type' must not be set for the 'Resource.reservation' field",
        ),
        (
            with(&cpus, json!({"role":"eng","reservation":{"role":"eng"}})),
            "'Resource.ReservationInfo.role' must not be set for the 'Resource.reservation' field",
        ),
        (
            with(&cpus, json!({"reservations":[{"role":"eng"}]})),
            "Invalid reservation: 'Resource.ReservationInfo.type' field must be set.",
        ),
        (
            with(&cpus, json!({"reservations":[{"type":"STATIC"}]})),
            "Invalid reservation: 'Resource.ReservationInfo.role' field must be set.",
        ),
        (
            with(&cpus, json!({"reservations":[{"type":"STATIC","role":"*"}]})),
            "Invalid reservation: role \"*\" cannot be reserved",
        ),
        (
            with(&cpus, json!({"reservations":[{"type":"UNKNOWN","role":"eng"}]})),
            "Unsupported 'Resource.ReservationInfo.Type'",
        ),
        (
            with(
                &cpus,
                json!({"reservations":[{"type":"STATIC","role":"eng"},{"type":"STATIC","role":"eng/a"}]}),
            ),
            "Invalid refined reservation: A refined reservation cannot be STATIC",
        ),
        (
            with(
                &cpus,
                json!({"reservations":[{"type":"STATIC","role":"eng"},{"type":"DYNAMIC","role":"ops"}]}),
            ),
            "Invalid refined reservation: role 'ops' is not a refinement of 'eng'",
        ),
        (
            with(&cpus, json!({"role":"ops","reservations":[{"type":"STATIC","role":"eng"}]})),
            "Invalid resource format: 'Resource.role' field with 'ops' does not match the role \
             'eng' in 'Resource.reservations'",
        ),
        (
            with(
                &cpus,
                json!({"role":"eng","reservation":{},"reservations":[{"type":"STATIC","role":"eng"}]}),
            ),
            "Invalid resource format: 'Resource.reservation' must not be set if the single \
             reservation in 'Resource.reservations' is STATIC",
        ),
        (
            with(&cpus, json!({"role":"eng","reservations":[{"type":"DYNAMIC","role":"eng"}]})),
            "Invalid resource format: 'Resource.role' and 'Resource.reservation' must either \
             be both set or both not set if the single reservation in 'Resource.reservations' is DYNAMIC",
        ),
        (
            with(
                &cpus,
                json!({"role":"eng","reservation":{"principal":"a"},"reservations":[{"type":"DYNAMIC","role":"eng","principal":"b"}]}),
            ),
            "Invalid resource format: 'Resource.reservation.principal' field with 'a' does not \
             match the principal 'b' in 'Resource.reservations'",
        ),
        (
            with(
                &cpus,
                json!({"role":"eng","reservation":{"labels":{"labels":[{"key":"k"}]}},"reservations":[{"type":"DYNAMIC","role":"eng"}]}),
            ),
            "Invalid resource format: 'Resource.reservation.labels' field with '{k}' does not \
             match the labels '{}' in 'Resource.reservations'",
        ),
        (
            with(
                &cpus,
                json!({"role":"eng","reservations":[{"type":"STATIC","role":"eng"},{"type":"DYNAMIC","role":"eng/a"}]}),
            ),
            "Invalid resource format: 'Resource.role' must not be set if there is more than \
             one reservation in 'Resource.reservations'",
        ),
    ] {
        assert_eq!(got, want);
    }
    let mut odd = make::scalar("cpus", 1.0);
    odd.scalar = Some(v1::value::Scalar { value: f64::NAN });
    assert_eq!(
        resource_from_v1(&odd).unwrap_err(),
        "Invalid scalar resource: NaN is not a number up to 9007199254740.992"
    );
    odd.r#type = 77;
    assert_eq!(resource_from_v1(&odd).unwrap_err(), "Invalid resource type");
    let all = [make::scalar("mem", 1.0), make::ranges("ports", &[(2, 1)])];
    assert_eq!(
        resources_from_v1(&all).unwrap_err(),
        "Resource 'ports:[2-1]' is invalid: Invalid ranges resource: begin > end"
    );
    assert!(resources_from_v1(&[make::scalar("cpus", 0.0)]).unwrap().is_empty());
}

#[test]
fn formats_written() {
    assert_eq!(
        write("cpus:1;ports:[1-2];s:{a}", Format::Post),
        json!([
            {"name":"cpus","type":"SCALAR","scalar":{"value":1.0},"role":"*"},
            {"name":"ports","type":"RANGES","ranges":{"range":[{"begin":1,"end":2}]},"role":"*"},
            {"name":"s","type":"SET","set":{"item":["a"]},"role":"*"},
        ])
    );
    assert_eq!(write("cpus(eng):1", Format::Pre)[0]["role"], "eng");
    assert!(write("cpus(eng):1", Format::Pre)[0].get("reservations").is_none());
    assert_eq!(
        write("cpus(eng):1", Format::ENDPOINT)[0]["reservations"],
        json!([{"type":"STATIC","role":"eng"}])
    );
    let refined = Resources::parse("cpus(eng):1", "*")
        .unwrap()
        .push_reservation(&Reservation::dynamic("eng/web", None));
    assert!(resources_to_v1(&refined, Format::Pre).is_empty());
    let post = resources_to_v1(&refined, Format::Post);
    assert_eq!((post[0].reservations.len(), &post[0].reservation), (2, &None));
    assert_eq!(resources_from_v1(&post), Ok(refined));
}

#[test]
fn disks_survive_the_way_there_and_back() {
    let all: Vec<v1::Resource> = serde_json::from_value(json!([
        {"name":"disk","type":"SCALAR","scalar":{"value":10.0},"role":"eng",
         "reservation":{"principal":"p","labels":{"labels":[{"key":"b"},{"key":"a","value":"1"}]}},
         "reservations":[{"type":"DYNAMIC","role":"eng","principal":"p","labels":{"labels":[{"key":"b"},{"key":"a","value":"1"}]}}],
         "disk":{"persistence":{"id":"v1","principal":"p"},
                 "volume":{"mode":"RO","container_path":"data","host_path":"/h",
                           "source":{"type":"SANDBOX_PATH","sandbox_path":{"type":"SELF","path":"x"}}},
                 "source":{"type":"PATH","path":{"root":"/mnt"}}},
         "shared":{},"provider_id":{"value":"rp"},"allocation_info":{"role":"eng"}},
        {"name":"disk","type":"SCALAR","scalar":{"value":10.0},"role":"*","revocable":{},
         "disk":{"source":{"type":"BLOCK","vendor":"v","id":"i","profile":"p","metadata":{"labels":[{"key":"k"}]}}}},
    ]))
    .unwrap();
    let back: Vec<_> = all
        .iter()
        .map(|r| resource_to_v1(&resource_from_v1(r).unwrap(), Format::Post).unwrap())
        .collect();
    assert_eq!(back, all);
}

// covers: MES-0710
#[test]
fn command_line_json() {
    let text = r#"[{"name":"cpus","type":"SCALAR","scalar":{"value":"45.55"}},
        {"name":"mem","type":"SCALAR","scalar":{"value":1024},"role":"ops"},
        {"name":"ports","type":"RANGES","ranges":{"range":{"begin":1,"end":5}}},
        {"name":"disks","type":"SET","set":{"item":["sda1"]}}]"#;
    let want = "cpus:45.55;disks:{sda1};mem(ops):1024;ports:[1-5]";
    assert_eq!(parse_resources(text, "*").unwrap().to_text().unwrap(), want);
    assert_eq!(parse_resources(want, "*"), parse_resources(text, "*"));
    let reserved = parse_resources(text, "eng").unwrap();
    assert_eq!(reserved.reserved("eng").names(), ["cpus", "disks", "ports"]);
    assert_eq!(reserved.reserved("ops").names(), ["mem"]);
    assert!(parse_resources("[]", "*").unwrap().is_empty());
}

// covers: MES-0711
#[test]
fn bad_command_line_json_is_refused() {
    let cpus = |rest: &str| {
        parse_resources(&format!(r#"[{{"name":"cpus","type":"SCALAR"{rest}}}]"#), "*").unwrap_err()
    };
    for (got, want) in [
        (
            parse_resources("[{\"name\":", "*").unwrap_err(),
            "Some JSON resources were not \
         formatted properly: ",
        ),
        (
            parse_resources("[] x", "*").unwrap_err(),
            "Some JSON resources were not formatted \
         properly: ",
        ),
        (
            parse_resources(r#"[{"name":"cpus","type":"NONE"}]"#, "*").unwrap_err(),
            "Some JSON resources were not formatted properly: [0]",
        ),
        (cpus(""), "Invalid scalar resource"),
        (cpus(r#","scalar":{"value":-1}"#), "Invalid scalar resource: value <= 0"),
        (
            cpus(r#","scalar":{"value":1},"revocable":{}"#),
            "Revocable resources cannot be specified at the command line; do not \
             include a 'revocable' key in the resources JSON",
        ),
        (
            cpus(r#","scalar":{"value":1},"role":"e","reservation":{}"#),
            "Dynamic reservations cannot be specified at the command line; do not \
             include a reservation with DYNAMIC type in the resources JSON",
        ),
        (
            parse_resources(
                r#"[{"name":"disk","type":"SCALAR","scalar":{"value":1},"role":"e",
                "disk":{"persistence":{"id":"v"}}}]"#,
                "*",
            )
            .unwrap_err(),
            "Persistent volumes cannot be specified at the command line",
        ),
    ] {
        assert!(got.starts_with(want), "{got}");
    }
}

// covers: MES-0032
#[test]
fn flat_objects() {
    let mut all = Resources::parse("cpus:1;cpus(eng):2.5;ports:[5-6,1-2];s:{b,a}", "*").unwrap();
    let mut spare = crate::base::resources::Resource::scalar("cpus", 4.0);
    spare.revocable = true;
    all.add_one(spare);
    let object = serde_json::to_string(&v0::resources_object(&all)).unwrap();
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&object).unwrap(),
        json!({"cpus":3.5,"gpus":0,"mem":0,"disk":0,"cpus_revocable":4.0,"ports":"[1-2, \
         5-6]","s":"{a, b}"})
    );
    let attributes = Attributes::parse("rack:r1;level:10;keys:[1000-1500]").unwrap();
    assert_eq!(
        serde_json::Value::from(v0::attributes_object(&attributes)),
        json!({"rack":"r1","level":10.0,"keys":"[1000-1500]"})
    );
    assert_eq!(attributes_from_v1(&attributes_to_v1(&attributes)), Ok(attributes));
}

#[test]
fn ids_and_states() {
    let id = ids::AgentId::from("a-S0");
    let wire = v1::AgentId::from(&id);
    assert_eq!((wire.value.as_str(), ids::AgentId::from(&wire)), ("a-S0", id));
    let nested = make::nested_container_id("b", make::container_id("a"));
    assert_eq!(nested.parent.unwrap().value, "a");
    let terminal = (0..14).filter(|n| make::is_terminal(TaskState::try_from(*n).unwrap()));
    assert_eq!(terminal.collect::<Vec<_>>(), [2, 3, 4, 5, 7, 9, 11, 12]);
    assert_eq!(make::state_without_partition_aware(TaskState::TaskGone), TaskState::TaskLost);
    assert_eq!(make::state_name(1), "TASK_RUNNING");
    assert_eq!(make::state_name(99), "99");
    assert_eq!(make::reason_name(17), "REASON_CONTAINER_PREEMPTED");
    assert_eq!(
        Scalar::from_f64(make::scalar("cpus", 0.1).scalar.unwrap().value).thousandths(),
        100
    );
}
