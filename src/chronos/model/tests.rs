//! Reading and showing jobs.

use super::name::{self, parse_task_id, task_id};
use super::*;
use crate::base::attributes::{Attribute, AttributeValue, Attributes};
use crate::base::resources::Scalar;
use crate::base::time::Wall;
use crate::chronos::core::Options;
use serde_json::{Value, json};

fn try_read(value: Value) -> Result<Job, Problem> {
    read(&value, &Options::default().rules, Wall(0)).map(|(job, _)| job)
}

fn job(value: Value) -> Job {
    try_read(value).unwrap()
}

fn shown(job: &Job) -> Value {
    serde_json::to_value(show(job, &Counters::default(), i64::MIN)).unwrap()
}

#[test]
fn a_small_job_gets_the_defaults() {
    let job = job(json!({"name": "j", "command": "c", "schedule": "R/2030-01-01T00:00:00Z/PT1H"}));
    assert_eq!(
        serde_json::to_string(&show(&job, &Counters::default(), i64::MIN)).unwrap(),
        concat!(
            r#"{"name":"j","command":"c","shell":true,"epsilon":"PT60S","executor":"","executorFlags":"","#,
            r#""taskInfoData":"","retries":2,"owner":"","ownerName":"","description":"","async":false,"#,
            r#""successCount":0,"errorCount":0,"lastSuccess":"","lastError":"","cpus":0.1,"disk":256.0,"mem":128.0,"#,
            r#""disabled":false,"softError":false,"dataProcessingJobType":false,"errorsSinceLastSuccess":0,"#,
            r#""fetch":[],"uris":[],"environmentVariables":[],"arguments":[],"highPriority":false,"runAsUser":"root","#,
            r#""concurrent":false,"maxCompletionTime":0,"constraints":[],"#,
            r#""schedule":"R/2030-01-01T00:00:00Z/PT1H","scheduleTimeZone":""}"#,
        )
    );
}

/// covers: CHR-0114
/// covers: CHR-0115
#[test]
fn reading_is_lenient_where_the_original_was() {
    let job = job(json!({
        "name": 36, "command": "c", "cpus": "0.5", "mem": "512", "disk": 0, "retries": "3",
        "shell": "FALSE", "unknown": {"a": 1}, "disabled": "true", "parents": ["p"], "schedule": "R//P1D",
    }));
    assert_eq!((job.name.as_str(), job.cpus, job.mem, job.disk), ("36", 0.5, 512.0, 256.0));
    assert_eq!((job.retries, job.shell, job.disabled), (3, false, true));
    assert!(job.has_parent("p") && job.schedule().is_none());
}

/// covers: CHR-0116, CHR-0119
#[test]
fn containers_are_read_in_both_forms_and_shown_in_one() {
    let with = |container: Value, command: Option<&str>| {
        let mut value = json!({"name": "j", "schedule": "R/2030-01-01T00:00:00Z/PT1H"});
        if let Some(command) = command {
            value["command"] = json!(command);
        }
        value["container"] = container;
        job(value)
    };
    let small = with(json!({"type": "DOCKER", "image": "libmesos/ubuntu"}), Some("c"));
    assert_eq!(
        serde_json::to_string(&small.container).unwrap(),
        concat!(
            r#"{"type":"DOCKER","image":"libmesos/ubuntu","network":"HOST","networkInfos":[],"volumes":[],"#,
            r#""forcePullImage":false,"parameters":[]}"#
        )
    );
    let volumes = json!([{"containerPath": "/c", "hostPath": "/h", "mode": "ro"}]);
    let parameters = json!([{"key": "dns", "value": "1.1.1.1"}]);
    let flat = with(
        json!({"type": "docker", "image": "i", "network": "bridge", "forcePullImage": "TRUE",
            "volumes": volumes, "parameters": parameters}),
        None,
    );
    let nested = with(
        json!({"type": "Docker", "volumes": volumes, "docker": {"image": "i", "network": "BRIDGE",
            "forcePullImage": true, "parameters": parameters}}),
        None,
    );
    assert_eq!(flat.container, nested.container);
    assert_eq!(with(shown(&flat)["container"].clone(), None).container, flat.container);
    assert_eq!(shown(&small)["container"]["image"], "libmesos/ubuntu");
    let named = json!({"image": "i", "network": "USER", "networkInfos": [{"name": "n"}]});
    assert_eq!(with(named, None).container.unwrap().network, Network::User);
}

/// covers: CHR-0121
#[test]
fn null_is_absent() {
    let plain = json!({"name": "j", "command": "c", "schedule": "R1//P"});
    let mut nulls = plain.clone();
    for key in [
        "parents",
        "scheduleTimeZone",
        "epsilon",
        "cpus",
        "retries",
        "shell",
        "owner",
        "uris",
        "fetch",
        "environmentVariables",
        "constraints",
        "container",
        "successCount",
        "lastError",
        "arguments",
        "runAsUser",
    ] {
        nulls[key] = Value::Null;
    }
    assert_eq!(job(nulls), job(plain));
}

/// covers: CHR-0016
/// covers: CHR-0103
/// covers: CHR-0117
#[test]
fn what_cannot_be_acted_on_is_refused_naming_the_field() {
    for (key, value, field) in [
        ("name", Value::Null, "name"),
        ("name", json!({}), "name"),
        ("command", json!(""), "command"),
        ("command", json!("a\0b"), "command"),
        ("schedule", json!(""), "schedule"),
        ("schedule", Value::Null, "schedule"),
        ("schedule", json!("FOO"), "schedule"),
        ("schedule", json!(7), "schedule"),
        ("scheduleTimeZone", json!("Nowhere/Bad"), "scheduleTimeZone"),
        ("epsilon", json!("1m"), "epsilon"),
        ("epsilon", json!("P-1D"), "epsilon"),
        ("cpus", json!(-1), "cpus"),
        ("cpus", json!("NaN"), "cpus"),
        ("cpus", json!("lots"), "cpus"),
        ("cpus", json!(0.0001), "cpus"),
        ("mem", json!(1e300), "mem"),
        ("retries", json!(-1), "retries"),
        ("retries", json!(1.5), "retries"),
        ("retries", json!(1_000_000), "retries"),
        ("shell", json!("perhaps"), "shell"),
        ("container", json!("x"), "container"),
        ("container", json!({"type": "DOCKER"}), "container.image"),
        ("container", json!({"docker": {"image": ""}}), "container.docker.image"),
        ("container", json!({"image": "x", "type": "LXC"}), "container.type"),
        ("container", json!({"image": "x", "network": "MARS"}), "container.network"),
        ("container", json!({"image": "x", "network": "USER"}), "container.networkInfos"),
        (
            "container",
            json!({"image": "x", "volumes": [{"containerPath": "/x", "mode": "W"}]}),
            "container.volumes[0].mode",
        ),
        ("container", json!({"image": "x", "parameters": [{}]}), "container.parameters[0].key"),
        (
            "container",
            json!({"docker": {"image": "x", "portMappings": [{"containerPort": 1}]}}),
            "container.docker.portMappings",
        ),
        ("uris", json!("u"), "uris"),
        ("uris", json!([""]), "uris[0]"),
        ("fetch", json!([{"uri": "u"}, {}]), "fetch[1].uri"),
        ("fetch", json!([{"uri": "u", "output_file": "../x"}]), "fetch[0].output_file"),
        ("environmentVariables", json!([{"name": "a"}]), "environmentVariables[0].value"),
        ("environmentVariables", json!([{"value": "a"}]), "environmentVariables[0].name"),
        (
            "environmentVariables",
            json!([{"name": "a=b", "value": ""}]),
            "environmentVariables[0].name",
        ),
        ("constraints", json!([["rack", "NEAR", "x"]]), "constraints[0]"),
        ("constraints", json!([["rack", "LIKE", "("]]), "constraints[0]"),
        ("constraints", json!([["rack", "LIKE", ")|("]]), "constraints[0]"),
        ("constraints", json!([["rack", "EQUALS"]]), "constraints[0]"),
        ("constraints", json!([["rack", "LIKE", "(a{1000}){1000}"]]), "constraints[0]"),
        ("arguments", json!([{}]), "arguments"),
        ("parents", json!(["j"]), "parents"),
        ("lastError", json!("yesterday"), "lastError"),
        ("successCount", json!("x"), "successCount"),
    ] {
        let mut json = json!({"name": "j", "command": "c", "schedule": "R1//P"});
        json[key] = value.clone();
        let problem = try_read(json).unwrap_err();
        assert_eq!(problem.field.as_deref(), Some(field), "{key} {value}: {problem}");
    }
    for body in [json!([]), json!("x"), json!(null)] {
        assert!(try_read(body).is_err());
    }
    let both = json!({"name": "j", "command": "c", "uris": ["a"], "fetch": [{"uri": "b"}]});
    let text = try_read(both).unwrap_err().message;
    assert_eq!(text, "Tried to add both uri (deprecated) and fetch parameters on j");
}

/// covers: CHR-0118
#[test]
fn text_that_is_no_json_is_refused_with_a_reason() {
    let rules = Options::default().rules;
    for text in ["", "{", "{\"name\":\"j\"，}", "nul", "\u{0}", "[1,", &"[".repeat(100_000)] {
        let problem = read_text(text.as_bytes(), &rules, Wall(0)).unwrap_err();
        assert!(problem.message.contains("not valid JSON"), "{problem}");
    }
    let large = vec![b' '; JOB_BYTES_MAX + 1];
    assert!(read_text(&large, &rules, Wall(0)).is_err());
}

#[test]
fn both_forms_of_downloads_are_shown_and_taken_back() {
    let with_uris = job(json!({"name": "j", "command": "c", "uris": ["a", "b"]}));
    let counters = Counters::default();
    let shown = show(&with_uris, &counters, i64::MIN).with_both_downloads();
    let shown = serde_json::to_value(shown).unwrap();
    assert_eq!(
        shown["fetch"][1],
        json!({"uri": "b", "executable": false, "cache": false, "extract": true})
    );
    assert_eq!(job(shown).uris, ["a", "b"]);
    let with_fetch = job(json!({"name": "j", "command": "c", "fetch": [{"uri": "a"}]}));
    let shown = show(&with_fetch, &counters, i64::MIN).with_both_downloads();
    assert_eq!(serde_json::to_value(shown).unwrap()["uris"], json!(["a"]));
}

#[test]
fn what_is_shown_reads_the_same() {
    let full = job(json!({
        "name": "j", "command": "c", "parents": ["b", "a"], "epsilon": "P1D", "arguments": ["x"],
        "constraints": [["a", "equals", "b"]], "environmentVariables": [{"name": "n", "value": ""}],
        "cpus": 2, "maxCompletionTime": 5, "runAsUser": "",
    }));
    assert_eq!(job(shown(&full)), full);
    assert_eq!(shown(&full)["parents"], json!(["a", "b"]));
    assert_eq!(shown(&full)["constraints"], json!([["a", "EQUALS", "b"]]));
}

/// covers: CHR-0083
#[test]
fn task_ids_are_taken_apart() {
    let parts = parse_task_id("ct:12:3:a b:x:y z").unwrap();
    assert_eq!((parts.due, parts.attempt, parts.job, parts.arguments), (12, 3, "a b", "x:y z"));
    assert_eq!(parse_task_id("ct:12:3:a").unwrap().arguments, "");
    for none in
        ["", "ct:", "ct:1:2", "ct:x:2:a:", "ct:1::a:", "ct:1:2::", "xt:1:2:a:", "ct:+1:2:a:"]
    {
        assert!(parse_task_id(none).is_none(), "{none}");
    }
    let arguments = ["a/b".to_string(), "c;d %\\".to_string()];
    assert_eq!(task_id(1, 0, "j", &arguments), "ct:1:0:j:a%2Fb cd %25%5C");
    let long = task_id(i64::MAX, u64::MAX, &"n".repeat(name::NAME_BYTES_MAX), &arguments);
    assert!(long.len() <= 255 && parse_task_id(&long).is_some());
}

#[test]
fn names_of_the_two_eras() {
    for name in ["a", "a.b-c_d", "3"] {
        assert!(name::check(name, Era::Two).is_ok() && name::check(name, Era::Three).is_ok());
    }
    for name in ["a b", "a#b"] {
        assert!(name::check(name, Era::Two).is_ok() && name::check(name, Era::Three).is_err());
    }
    assert_eq!(
        name::check("a/b", Era::Three).unwrap_err(),
        r"the job's name is invalid. Allowed names: '([\w\.-]+)'"
    );
}

/// covers: CHR-0097
/// covers: CHR-0098
/// covers: CHR-0099
/// covers: CHR-0100
/// covers: CHR-0101
/// covers: CHR-0102
/// covers: CHR-0104
/// covers: CHR-0105
/// covers: CHR-0106
/// covers: CHR-0107
/// covers: CHR-0108
/// covers: CHR-0109
#[test]
fn constraints_hold_or_not() {
    let text = |name: &str, value: &str| Attribute {
        name: name.into(),
        value: AttributeValue::Text(value.into()),
    };
    let set = |value: &str| AttributeValue::Set([value.to_string()].into());
    let attributes = Attributes(vec![
        text("rack", "rack-1"),
        text("dc", "north"),
        text("multi", "a"),
        text("multi", "b"),
        Attribute { name: "level".into(), value: AttributeValue::Scalar(Scalar::from_f64(1.0)) },
        Attribute { name: "side".into(), value: set("north") },
        Attribute { name: "other".into(), value: set("south") },
    ]);
    for (attribute, operator, value, holds) in [
        ("rack", "EQUALS", "rack-1", true),
        ("rack", "EQUALS", "rack-2", false),
        ("multi", "EQUALS", "b", true),
        ("none", "EQUALS", "", false),
        ("rack", "LIKE", "rack-[1-3]", true),
        ("rack", "LIKE", "rack-[2-3]", false),
        ("rack", "LIKE", "rack", false),
        ("dc", "LIKE", "north|south", true),
        ("dc", "LIKE", "nor|th", false),
        ("level", "LIKE", "1.0", true),
        ("level", "LIKE", "1", false),
        ("side", "LIKE", "^n.*", true),
        ("other", "LIKE", "^n.*", false),
        ("none", "LIKE", ".*", false),
        ("rack", "UNLIKE", "rack-[1-3]", false),
        ("rack", "UNLIKE", "rack-[2-4]", true),
        ("dc", "UNLIKE", "north|south", false),
        ("level", "UNLIKE", "1.0", false),
        ("side", "UNLIKE", "^n.*", false),
        ("other", "UNLIKE", "^n.*", true),
        ("none", "UNLIKE", "x", false),
        ("hostname", "EQUALS", "h1", true),
        ("hostname", "EQUALS", "other", false),
        ("hostname", "UNLIKE", "h2", true),
    ] {
        let constraint = Constraint::new(attribute, operator, value).unwrap();
        assert_eq!(constraint.holds(&attributes, "h1"), holds, "{attribute} {operator} {value}");
    }
    let named = Attributes(vec![text("hostname", "own")]);
    let on = |value: &str| Constraint::new("hostname", "EQUALS", value).unwrap();
    assert!(on("own").holds(&named, "h1") && !on("h1").holds(&named, "h1"));
}

/// Texts that are jobs, or nearly.
const JSON: &str = concat!(
    r#"\{("(name|command|schedule|cpus|fetch|parents|constraints)":"#,
    r#"("[a-z]{0,4}"|[-0-9.]{1,5}|null|\[\]|\[\["a","LIKE","[(a*]{0,3}"\]\]),?){0,5}\}?"#,
);

proptest::proptest! {
    #[test]
    fn no_json_ends_the_program(text in JSON) {
        let _ = read_text(text.as_bytes(), &Options::default().rules, Wall(0));
    }
}
