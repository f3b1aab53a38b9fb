//! From flags to what is to be run: all problems at once. Pure.

use super::container;
use super::options::ExecuteOptions;
use crate::base::resources::Resources;
use crate::base::units::parse_duration;
use crate::mesos::codec::Codec;
use crate::mesos::convert;
use crate::mesos::v1::{
    AgentId, CommandInfo, Environment, FrameworkInfo, TaskId, TaskInfo, environment,
    framework_info::{Capability, capability},
};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::time::Duration;

/// What the framework is called; as the original's.
const FRAMEWORK_NAME: &str = "mesos-execute instance";

/// What is to be run, for whom, and how.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How it subscribes.
    pub framework: FrameworkInfo,
    /// The role whose resources are taken.
    pub role: String,
    /// The task, but for its agent and the resources picked for it.
    pub task: TaskInfo,
    /// The resources it needs.
    pub wanted: Resources,
    /// Kill it so long after it runs.
    pub kill_after: Option<Duration>,
    /// How it speaks to the master.
    pub codec: Codec,
    /// Principal and secret.
    pub credential: Option<(String, String)>,
}

/// Collects problems while the rest is still being looked at.
pub(super) struct Problems(pub(super) Vec<String>);

impl Problems {
    pub(super) fn add(&mut self, problem: impl Into<String>) {
        self.0.push(problem.into());
    }

    /// The value, or nothing and its problem noted.
    pub(super) fn keep<T>(&mut self, value: Result<T, String>) -> Option<T> {
        value.map_err(|problem| self.0.push(problem)).ok()
    }
}

/// Makes a plan; `user` is who runs this program.
///
/// # Errors
/// One line for each problem.
pub fn plan(options: &ExecuteOptions, user: &str) -> Result<Plan, Vec<String>> {
    let mut problems = Problems(Vec::new());
    refuse_what_is_not_there(options, &mut problems);
    let (task, wanted) = match &options.task {
        Some(text) => {
            refuse_beside_task(options, &mut problems);
            task_from_json(text, &mut problems)
        }
        None => task_from_flags(options, &mut problems),
    };
    let codec = match options.content_type.as_str() {
        "json" => Codec::Json,
        "protobuf" => Codec::Protobuf,
        other => {
            problems.add(format!("--content_type is json or protobuf, not '{other}'"));
            Codec::Protobuf
        }
    };
    let kill_after = options.kill_after.as_deref().and_then(|text| {
        problems.keep(parse_duration(text).map_err(|e| format!("--kill_after: {e}")))
    });
    let credential = match (&options.principal, &options.secret) {
        (Some(principal), Some(secret)) => Some((principal.clone(), secret.clone())),
        (Some(_), None) => {
            problems.add("--principal is given without --secret");
            None
        }
        (None, Some(_)) => {
            problems.add("--secret is given without --principal");
            None
        }
        (None, None) => None,
    };
    if let Err(why) = crate::base::roles::validate(&options.role) {
        problems.add(format!("--role: {why}"));
    }
    let framework = framework(options, user, &mut problems);
    match problems.0 {
        found if !found.is_empty() => Err(found),
        _ => {
            let role = options.role.clone();
            Ok(Plan { framework, role, task, wanted, kill_after, codec, credential })
        }
    }
}

fn refuse_what_is_not_there(options: &ExecuteOptions, problems: &mut Problems) {
    let hdfs = [
        ("package", options.package.is_some()),
        ("overwrite", options.overwrite.is_some()),
        ("hadoop", options.hadoop.is_some()),
        ("hdfs", options.hdfs.is_some()),
    ];
    for (flag, _) in hdfs.iter().filter(|(_, given)| *given) {
        problems.add(format!(
            "--{flag} is refused: there is no HDFS to upload to; name the file by `uris` in --task"
        ));
    }
    if options.task_group.is_some() {
        if options.task.is_some() {
            problems.add(
                "Either task or task group should be set but not both. Provide either '--task' or \
                 '--task_group'",
            );
        }
        problems.add(
            "--task_group is refused: this program runs one task; a group (LAUNCH_GROUP) needs a \
             scheduler that follows several",
        );
    }
}

fn refuse_beside_task(options: &ExecuteOptions, problems: &mut Problems) {
    let beside = [
        ("name", options.name.is_some()),
        ("command", options.command.is_some()),
        ("env", options.env.is_some()),
        ("docker_image", options.docker_image.is_some()),
        ("appc_image", options.appc_image.is_some()),
        ("volumes", options.volumes.is_some()),
        ("networks", options.networks.is_some()),
        ("effective_capabilities", options.effective_capabilities.is_some()),
        ("bounding_capabilities", options.bounding_capabilities.is_some()),
        ("rlimits", options.rlimits.is_some()),
        ("tty", options.tty.is_some()),
        ("shell", options.shell.is_some() || options.no_shell),
    ];
    for (flag, _) in beside.iter().filter(|(_, given)| *given) {
        problems.add(format!("--{flag} cannot be set beside --task: put it into the task"));
    }
}

fn task_from_json(text: &str, problems: &mut Problems) -> (TaskInfo, Resources) {
    let read = || -> Result<(TaskInfo, Resources), String> {
        let mut json: Json = serde_json::from_str(text).map_err(|e| e.to_string())?;
        if let Some(object) = json.as_object_mut() {
            // Required on the wire, and chosen here by the offer.
            object.insert("agent_id".into(), serde_json::json!({ "value": "" }));
        }
        let bytes = serde_json::to_vec(&json).map_err(|e| e.to_string())?;
        let task: TaskInfo = Codec::Json.decode(&bytes).map_err(|e| e.to_string())?;
        let wanted = convert::resources_from_v1(&task.resources)?;
        crate::base::ids::check(&task.task_id.value).map_err(|e| format!("task_id: {e}"))?;
        if task.executor.is_some() == task.command.is_some() {
            return Err("it needs one of `command` and `executor`, and not both".into());
        }
        Ok((task, wanted))
    };
    let (task, wanted) =
        problems.keep(read().map_err(|e| format!("--task: {e}"))).unwrap_or_default();
    if problems.0.is_empty() && wanted.is_empty() {
        problems.add("--task: it needs `resources`");
    }
    (task, wanted)
}

fn task_from_flags(options: &ExecuteOptions, problems: &mut Problems) -> (TaskInfo, Resources) {
    let grouped = options.task_group.is_some();
    let name = options.name.clone().unwrap_or_default();
    if !grouped && options.name.is_none() {
        problems.add("Missing required option --name");
    } else if !grouped && let Err(why) = crate::base::ids::check(&name) {
        problems.add(format!("--name: {why}"));
    }
    if !grouped && options.shell() && options.command.is_none() {
        problems.add("Missing required option --command");
    }
    let resources = convert::parse_resources(&options.resources, "*");
    let wanted =
        problems.keep(resources.map_err(|e| format!("--resources: {e}"))).unwrap_or_default();
    if wanted.is_empty() {
        problems.add("--resources: a task uses at least one resource");
    }
    let command = CommandInfo {
        shell: Some(options.shell()),
        value: options.command.clone(),
        environment: options
            .env
            .as_deref()
            .and_then(|text| problems.keep(environment(text).map_err(|e| format!("--env: {e}")))),
        ..Default::default()
    };
    let task = TaskInfo {
        name: name.clone(),
        task_id: TaskId { value: name },
        agent_id: AgentId { value: String::new() },
        command: Some(command),
        container: container::container(options, problems),
        ..Default::default()
    };
    (task, wanted)
}

/// A JSON object of strings; numbers and booleans are taken as they are written.
fn environment(text: &str) -> Result<Environment, String> {
    let object: BTreeMap<String, Json> = serde_json::from_str(text).map_err(|e| e.to_string())?;
    let mut variables = Vec::with_capacity(object.len());
    for (name, value) in object {
        let value = match value {
            Json::String(text) => text,
            Json::Number(number) => number.to_string(),
            Json::Bool(truth) => truth.to_string(),
            _ => return Err(format!("the value of '{name}' must be a string")),
        };
        let value = Some(value);
        variables.push(environment::Variable { name, value, ..Default::default() });
    }
    Ok(Environment { variables })
}

fn framework(options: &ExecuteOptions, user: &str, problems: &mut Problems) -> FrameworkInfo {
    use capability::Type;
    // As the original's, always.
    let mut all = vec![
        Type::MultiRole,
        Type::ReservationRefinement,
        Type::TaskKillingState,
        Type::RevocableResources,
    ];
    if options.partition_aware() {
        all.push(Type::PartitionAware);
    }
    for name in options.framework_capabilities.iter().flat_map(|text| text.split(',')) {
        match name.trim() {
            "GPU_RESOURCES" => all.push(Type::GpuResources),
            other => problems.add(format!(
                "--framework_capabilities: '{other}' cannot be set; only GPU_RESOURCES can"
            )),
        }
    }
    FrameworkInfo {
        user: user.to_string(),
        name: FRAMEWORK_NAME.into(),
        roles: vec![options.role.clone()],
        checkpoint: Some(options.checkpoint()),
        principal: options.principal.clone(),
        capabilities: all.into_iter().map(|t| Capability { r#type: Some(t.into()) }).collect(),
        ..Default::default()
    }
}
