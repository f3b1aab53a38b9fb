//! What is launched where, and what reaches the agent.

use super::world::World;
use crate::chronos::core::io::{Answer, Command, Input};
use crate::chronos::core::options::Options;
use crate::mesos::v1::{CommandInfo, TaskInfo};
use serde_json::json;

fn only(world: &World) -> TaskInfo {
    let [info] = world.master.launched.as_slice() else { panic!("one task is launched") };
    info.clone()
}

fn launched(job: serde_json::Value) -> TaskInfo {
    let mut world = World::new();
    world.upload(job);
    only(&world)
}

fn command(job: serde_json::Value) -> CommandInfo {
    launched(job).command.unwrap()
}

/// covers: CHR-0122
/// covers: CHR-0123
/// covers: CHR-0124
/// covers: CHR-0125
#[test]
fn a_task_has_the_originals_name_resources_and_environment() {
    let info = launched(json!({
        "name": "j", "command": "run", "owner": "me@x", "schedule": "R1//P",
        "environmentVariables": [
            {"name": "A", "value": "1"}, {"name": "HOST", "value": "mine"},
            {"name": "B", "value": "2"}, {"name": "A", "value": "3"},
        ],
    }));
    assert_eq!(info.name, "ChronosTask:j");
    let resource = |name: &str| {
        info.resources.iter().find(|r| r.name == name).and_then(|r| r.scalar).unwrap().value
    };
    assert_eq!((resource("cpus"), resource("mem"), resource("disk")), (0.1, 128.0, 256.0));
    let command = info.command.unwrap();
    assert_eq!(command.value.as_deref(), Some("run"));
    assert_eq!((command.shell, command.user.as_deref()), (Some(true), Some("root")));
    let variables = command.environment.unwrap().variables;
    let all: Vec<(&str, &str)> =
        variables.iter().map(|v| (v.name.as_str(), v.value.as_deref().unwrap())).collect();
    assert_eq!(
        all,
        [
            ("mesos_task_id", "ct:1704067200000:0:j:"),
            ("MESOS_TASK_ID", "ct:1704067200000:0:j:"),
            ("CHRONOS_JOB_OWNER", "me@x"),
            ("CHRONOS_JOB_NAME", "j"),
            ("HOST", "a1.example"),
            ("CHRONOS_RESOURCE_MEM", "128.0"),
            ("CHRONOS_RESOURCE_CPU", "0.1"),
            ("CHRONOS_RESOURCE_DISK", "256.0"),
            ("CHRONOS_JOB_RUN_TIME", "1704067200000"),
            ("CHRONOS_JOB_RUN_ATTEMPT", "0"),
            ("B", "2"),
            ("A", "3"),
        ]
    );
}

/// covers: CHR-0127
/// covers: CHR-0128
#[test]
fn commands_in_all_forms() {
    let shell = command(json!({"name": "j", "command": "echo", "arguments": ["a", "b c"]}));
    assert_eq!(shell.value.as_deref(), Some("echo a b c"));
    let argv = command(
        json!({"name": "j", "command": "/bin/echo", "arguments": ["a", "b c"], "shell": false}),
    );
    assert_eq!((argv.value.as_deref(), argv.shell), (Some("/bin/echo"), Some(false)));
    assert_eq!(argv.arguments, ["/bin/echo", "a", "b c"]);
    let fetched = command(json!({"name": "j", "command": "https://h/x/run.sh?v=1"}));
    assert_eq!(fetched.value.as_deref(), Some("./run.sh"));
    assert_eq!(fetched.uris[0].value, "https://h/x/run.sh?v=1");
    assert_eq!(fetched.uris[0].executable, Some(true));
    for plain in ["httpd -D", "http://h/x | sh", "ftp://h/"] {
        assert_eq!(command(json!({"name": "j", "command": plain})).value.as_deref(), Some(plain));
    }
}

#[test]
fn downloads_in_both_forms() {
    let uris = command(json!({"name": "j", "command": "c", "uris": ["http://h/a.tgz"]})).uris;
    assert_eq!((uris[0].value.as_str(), uris[0].extract), ("http://h/a.tgz", None));
    let fetch = json!([{"uri": "http://h/a", "extract": false, "output_file": "b", "cache": true}]);
    let uris = command(json!({"name": "j", "command": "c", "fetch": fetch})).uris;
    assert_eq!(uris[0].extract, Some(false));
    assert_eq!((uris[0].cache, uris[0].output_file.as_deref()), (Some(true), Some("b")));
}

#[test]
fn a_custom_executor_gets_the_command_as_data() {
    let mut job = json!({"name": "j", "command": "c", "executor": "./ex", "executorFlags": "-f",
        "uris": ["http://h/ex"], "maxCompletionTime": 90});
    let info = launched(job.clone());
    assert_eq!(info.data.as_deref(), Some(b"-f|c".as_slice()));
    assert_eq!(info.max_completion_time.unwrap().nanoseconds, 90_000_000_000);
    let executor = info.executor.unwrap();
    assert_eq!(executor.framework_id.unwrap().value, "f-1");
    let command = executor.command.unwrap();
    assert_eq!((command.value.as_deref(), command.uris.len()), (Some("./ex"), 1));
    assert!(command.environment.unwrap().variables.iter().any(|v| v.name == "MESOS_TASK_ID"));
    job["taskInfoData"] = "all".into();
    assert_eq!(launched(job).data.as_deref(), Some(b"all".as_slice()));
}

/// covers: CHR-0080
/// covers: CHR-0081
/// covers: CHR-0082
/// covers: CHR-0084
#[test]
fn arguments_reach_task_id_and_command() {
    let mut world = World::new();
    world.upload(
        json!({"name": "j", "command": "echo", "arguments": ["-a", "x y"], "concurrent": true}),
    );
    let first = only(&world);
    assert_eq!(first.task_id.value, "ct:1704067200000:0:j:-a x y");
    let force = |text: &str| Command::Force {
        name: "j".into(),
        arguments: Some(text.split(' ').map(String::from).collect()),
    };
    world.advance(1);
    assert_eq!(world.ask(force("http://h/p?a=1 b")), Answer::Done);
    let info = world.master.launched[1].clone();
    assert_eq!(info.task_id.value, "ct:1704067200001:0:j:http:%2F%2Fh%2Fp?a=1 b");
    assert_eq!(info.command.unwrap().value.as_deref(), Some("echo http://h/p?a=1 b"));
    world.advance(1);
    assert_eq!(world.ask(force(&"long".repeat(100))), Answer::Done);
    assert_eq!(world.master.launched[2].task_id.value, "ct:1704067200002:0:j:");
}

/// covers: CHR-0097
/// covers: CHR-0098
/// covers: CHR-0107
#[test]
fn constraints_choose_the_agent_and_say_why_not() {
    let mut world = World::new();
    world.add_agent("a2", 4.0, &[("rack", "r2")]);
    let job = |name: &str, constraint: [&str; 3]| json!({"name": name, "command": "c", "constraints": [constraint]});
    world.upload(job("on-r2", ["rack", "EQUALS", "r2"]));
    world.upload(job("on-a1", ["hostname", "LIKE", "a1.*"]));
    world.upload(job("nowhere", ["rack", "EQUALS", "r3"]));
    let agent = |name: &str| {
        let of = format!("ChronosTask:{name}");
        let info = world.master.launched.iter().find(|info| info.name == of);
        info.map(|info| info.agent_id.value.clone())
    };
    assert_eq!(agent("on-r2").as_deref(), Some("a2"));
    assert_eq!(agent("on-a1").as_deref(), Some("a1"));
    assert_eq!(agent("nowhere"), None);
    let why = world.core.why("nowhere").unwrap();
    assert_eq!((why.candidates, why.refusals[0].rule.as_str()), (2, "constraint"));
    assert_eq!(why.refusals[0].count, 2);
}

/// covers: CHR-0093
/// covers: CHR-0094
#[test]
fn what_fits_nowhere_blocks_nobody_and_high_priority_goes_first() {
    let mut world = World::new();
    world.disconnect();
    world.upload(json!({"name": "big", "command": "c", "cpus": 100, "highPriority": true}));
    world.upload(json!({"name": "normal", "command": "c", "cpus": 5}));
    world.upload(json!({"name": "high", "command": "c", "cpus": 5, "highPriority": true}));
    world.upload(json!({"name": "small", "command": "c", "cpus": 2}));
    let why = world.core.why("small").unwrap();
    assert_eq!(why.refusals[0].rule, "disconnected");
    world.connect();
    let names: Vec<&str> = world.master.launched.iter().map(|info| info.name.as_str()).collect();
    assert_eq!(names, ["ChronosTask:high", "ChronosTask:small"]);
    let why = world.core.why("big").unwrap();
    assert_eq!(why.refusals[0].rule, "resources");
    assert!(why.refusals[0].detail.contains("a1.example"), "{why:?}");
    world.finish("high");
    world.offer_all();
    assert_eq!(world.launched_of("normal"), 1);
}

/// covers: CHR-0086
/// covers: CHR-0129
/// covers: CHR-0130
/// covers: CHR-0131
#[test]
fn offers_are_asked_for_when_something_waits_and_not_otherwise() {
    let mut world = World::new();
    world.advance(1000);
    assert!(world.master.suppressed);
    let revives = world.master.revives;
    world.upload(json!({"name": "j", "command": "c"}));
    assert_eq!((world.master.revives, world.launched_of("j")), (revives + 1, 1));
    world.advance(1000);
    assert!(world.master.suppressed);
    // Offers that nothing waits for go back.
    world.master.suppressed = false;
    let declines = world.master.declines;
    world.offer_all();
    assert_eq!(world.master.declines, declines + 1);
    world.master.agents.clear();
    world.upload(json!({"name": "k", "command": "c"}));
    world.disconnect();
    let revives = world.master.revives;
    world.connect();
    assert!(world.master.revives > revives);
}

/// covers: CHR-0138
/// covers: CHR-0139
#[test]
fn many_due_runs_are_one_call_for_offers() {
    let options = Options {
        min_revive_offers_interval: std::time::Duration::from_secs(5),
        ..Options::default()
    };
    let mut world = World::with(options);
    world.master.agents.clear();
    world.upload(json!({"name": "a", "command": "c"}));
    let revives = world.master.revives;
    world.advance(1000);
    world.upload(json!({"name": "b", "command": "c"}));
    world.upload(json!({"name": "d", "command": "c"}));
    assert_eq!(world.master.revives, revives);
    world.advance(4000);
    assert_eq!(world.master.revives, revives + 1);
    world.advance(60_000);
    assert_eq!(world.master.revives, revives + 1);
    assert_eq!(u64::from(world.master.revives), world.core.numbers().counts["revives"]);
}

#[test]
fn a_launch_that_may_not_have_arrived_is_asked_for() {
    let mut world = World::new();
    world.scheduled("j", "R1/2024-01-01T00:00:10Z/PT1H");
    world.loses_acts = true;
    world.advance(10_000);
    world.loses_acts = false;
    let run = world.runs("j")[0].clone();
    let info = crate::mesos::v1::TaskInfo {
        task_id: crate::mesos::make::task_id(&run.task().unwrap().id),
        agent_id: crate::mesos::make::agent_id("a1"),
        ..Default::default()
    };
    world.input(Input::Undelivered(Box::new(world.accept_of(info))));
    world.advance(5000);
    assert_eq!(world.live().len(), 1);
    assert!(world.live()[0].contains(":1:j:"));
}

#[test]
fn the_queue_can_be_emptied() {
    let mut world = World::new();
    world.disconnect();
    world.upload(json!({"name": "j", "command": "c"}));
    assert_eq!(world.core.numbers().queue, 1);
    assert_eq!(world.ask(Command::ClearQueue), Answer::Done);
    assert_eq!((world.core.numbers().queue, world.core.numbers().runs), (0, 0));
}
