//! The task of a run: command, environment, downloads, resources.

use super::container;
use super::run::{Run, Task};
use crate::base::ids;
use crate::base::resources::Resources;
use crate::chronos::model::{Engine, Job};
use crate::mesos::convert::{Format, resources_to_v1};
use crate::mesos::make;
use crate::mesos::v1::{
    AgentId, CommandInfo, DurationInfo, Environment, ExecutorInfo, TaskInfo, command_info::Uri,
    environment::Variable, environment::variable, executor_info,
};
use std::collections::BTreeSet;

/// Where a task is to run.
pub(super) struct Place<'a> {
    pub framework_id: Option<&'a ids::FrameworkId>,
    pub agent_id: &'a AgentId,
    pub host: &'a str,
    pub resources: &'a Resources,
}

/// The task of a run.
pub(super) fn build(job: &Job, run: &Run, task: &Task, place: &Place<'_>) -> TaskInfo {
    let arguments = run.arguments.as_ref().unwrap_or(&job.arguments);
    let mut info = TaskInfo {
        name: format!("ChronosTask:{}", job.name),
        task_id: make::task_id(&task.id),
        agent_id: place.agent_id.clone(),
        resources: resources_to_v1(place.resources, Format::Post),
        max_completion_time: completion_time(job),
        ..TaskInfo::default()
    };
    let mut command = match job.executor.is_empty() {
        true => command(job, arguments),
        false => CommandInfo {
            value: Some(job.executor.clone()),
            shell: Some(true),
            uris: downloads(job),
            ..CommandInfo::default()
        },
    };
    command.environment = Some(environment(job, run, task, place.host));
    command.user = (!job.run_as_user.is_empty()).then(|| job.run_as_user.clone());
    let container = job.container.as_ref().map(|c| container::build(c, &task.id));
    if job.executor.is_empty() {
        info.command = Some(command);
        info.container = container;
        return info;
    }
    let data = match job.task_info_data.is_empty() {
        true => format!("{}|{}", job.executor_flags, job.command),
        false => job.task_info_data.clone(),
    };
    info.data = Some(data.into_bytes());
    info.executor = Some(ExecutorInfo {
        r#type: Some(executor_info::Type::Custom.into()),
        // Its environment is that of one task, so an executor serves one task.
        executor_id: make::executor_id(&task.id),
        framework_id: place.framework_id.map(Into::into),
        command: Some(command),
        name: Some(format!("ChronosTask:{}", job.name)),
        container,
        ..ExecutorInfo::default()
    });
    info
}

fn completion_time(job: &Job) -> Option<DurationInfo> {
    // At most a hundred years of seconds, so nanoseconds fit.
    let secs = i64::try_from(job.max_completion_time).ok().filter(|secs| *secs > 0)?;
    Some(DurationInfo { nanoseconds: secs * 1_000_000_000 })
}

fn command(job: &Job, arguments: &[String]) -> CommandInfo {
    if let Some(program) = fetched_program(&job.command) {
        let uri = Uri {
            value: job.command.clone(),
            executable: Some(true),
            extract: Some(false),
            output_file: Some(program.to_string()),
            ..Uri::default()
        };
        return CommandInfo {
            value: Some(format!("./{program}")),
            shell: Some(false),
            arguments: vec![format!("./{program}")],
            uris: vec![uri],
            ..CommandInfo::default()
        };
    }
    if job.command.is_empty() {
        // The image's own.
        return CommandInfo {
            shell: Some(false),
            arguments: arguments.to_vec(),
            uris: downloads(job),
            ..CommandInfo::default()
        };
    }
    if job.shell {
        let value = match arguments {
            [] => job.command.clone(),
            some => format!("{} {}", job.command, some.join(" ")),
        };
        let uris = downloads(job);
        return CommandInfo {
            value: Some(value),
            shell: Some(true),
            uris,
            ..CommandInfo::default()
        };
    }
    // The docker engine is given the program with its arguments, a shell-less task its argv[0] apart from the program.
    let in_docker = job.container.as_ref().is_some_and(|c| c.engine == Engine::Docker);
    let first = (!in_docker).then_some(&job.command);
    let argv = first.into_iter().chain(arguments).cloned().collect();
    CommandInfo {
        value: Some(job.command.clone()),
        shell: Some(false),
        arguments: argv,
        uris: downloads(job),
        ..CommandInfo::default()
    }
}

/// A command that is the address of a program: the name it gets in the sandbox.
fn fetched_program(command: &str) -> Option<&str> {
    let schemes = ["http://", "https://", "ftp://"];
    let rest = schemes.iter().find_map(|scheme| command.strip_prefix(scheme))?;
    if command.contains(char::is_whitespace) {
        return None;
    }
    let path = rest.split(['?', '#']).next()?;
    let (_, name) = path.rsplit_once('/')?;
    (!matches!(name, "" | "." | "..")).then_some(name)
}

/// What is fetched. Both forms at once say the same.
fn downloads(job: &Job) -> Vec<Uri> {
    let fetch = job.fetch.iter().map(|f| Uri {
        value: f.uri.clone(),
        executable: Some(f.executable),
        extract: Some(f.extract),
        cache: Some(f.cache),
        output_file: (!f.output_file.is_empty()).then(|| f.output_file.clone()),
    });
    let uris = job.uris.iter().map(|uri| Uri { value: uri.clone(), ..Uri::default() });
    if job.fetch.is_empty() { uris.collect() } else { fetch.collect() }
}

/// The original's variables, then the job's; of a job's name given twice the last, and none in the place of the former.
fn environment(job: &Job, run: &Run, task: &Task, host: &str) -> Environment {
    let number = |value: f64| format!("{value:?}");
    let built_in = [
        ("mesos_task_id", task.id.clone()),
        ("MESOS_TASK_ID", task.id.clone()),
        ("CHRONOS_JOB_OWNER", job.owner.clone()),
        ("CHRONOS_JOB_NAME", job.name.clone()),
        ("HOST", host.to_string()),
        ("CHRONOS_RESOURCE_MEM", number(job.mem)),
        ("CHRONOS_RESOURCE_CPU", number(job.cpus)),
        ("CHRONOS_RESOURCE_DISK", number(job.disk)),
        ("CHRONOS_JOB_RUN_TIME", run.due.to_string()),
        ("CHRONOS_JOB_RUN_ATTEMPT", run.attempt.to_string()),
    ];
    let mut known: BTreeSet<&str> = built_in.iter().map(|(name, _)| *name).collect();
    let mut own = Vec::new();
    for (name, value) in job.environment.iter().rev() {
        if known.insert(name) {
            own.push(text(name, value.clone()));
        }
    }
    own.reverse();
    let mut variables: Vec<Variable> =
        built_in.into_iter().map(|(name, value)| text(name, value)).collect();
    variables.append(&mut own);
    Environment { variables }
}

fn text(name: &str, value: String) -> Variable {
    Variable {
        name: name.to_string(),
        value: Some(value),
        r#type: Some(variable::Type::Value.into()),
        ..Variable::default()
    }
}
