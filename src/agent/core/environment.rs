//! The environment of executors and command tasks. Nothing of the agent's own is inherited.

use super::options::Options;
use super::{docker, words};
use crate::base::ids::ContainerId;
use crate::mesos::v1;
use std::path::Path;

/// Where commands are looked for when nobody says otherwise.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What an environment is made from.
pub(super) struct Of<'a> {
    pub options: &'a Options,
    pub agent_id: &'a str,
    pub framework: &'a v1::FrameworkInfo,
    pub executor: &'a v1::ExecutorInfo,
    /// The command task, when it is one.
    pub task: Option<&'a v1::TaskInfo>,
    pub command: &'a v1::CommandInfo,
    pub sandbox: &'a Path,
    pub container: &'a ContainerId,
}

/// Variables in the order of their first setting; a later value wins.
#[derive(Default)]
struct Variables(Vec<(String, String)>);

impl Variables {
    fn set(&mut self, name: &str, value: impl Into<String>) {
        match self.0.iter_mut().find(|(n, _)| n == name) {
            Some(slot) => slot.1 = value.into(),
            None => self.0.push((name.into(), value.into())),
        }
    }
}

/// The whole environment, or why it cannot be made.
///
/// # Errors
/// The text for the status of the task: a secret that cannot be resolved here.
pub(super) fn build(of: &Of<'_>) -> Result<Vec<(String, String)>, String> {
    let mut vars = Variables::default();
    let in_docker = docker::is_docker(container_info(of));
    if !in_docker {
        // An image has one of its own.
        vars.set("PATH", PATH);
    }
    for (name, value) in &of.options.executor_environment_variables {
        vars.set(name, value);
    }
    agent(of, &mut vars);
    if in_docker {
        vars.set("MESOS_CONTAINER_NAME", docker::name(of.container));
    }
    if of.task.is_none() {
        executor(of, &mut vars);
    }
    for variable in of.command.environment.iter().flat_map(|e| &e.variables) {
        vars.set(&variable.name, value(variable)?);
    }
    Ok(vars.0)
}

/// The environment of a container that is no task's: what its command says, and where its sandbox is.
///
/// # Errors
/// As [`build`].
pub(super) fn plain(
    options: &Options,
    command: &v1::CommandInfo,
    sandbox: &Path,
) -> Result<Vec<(String, String)>, String> {
    let mut vars = Variables::default();
    vars.set("PATH", PATH);
    for (name, value) in &options.executor_environment_variables {
        vars.set(name, value);
    }
    vars.set("MESOS_SANDBOX", sandbox.display().to_string());
    for variable in command.environment.iter().flat_map(|e| &e.variables) {
        vars.set(&variable.name, value(variable)?);
    }
    Ok(vars.0)
}

fn agent(of: &Of<'_>, vars: &mut Variables) {
    let options = of.options;
    let endpoint = options.endpoint();
    let directory = of.sandbox.display().to_string();
    let sandbox = if has_image(container_info(of)) {
        options.sandbox_directory.clone()
    } else {
        directory.clone()
    };
    let framework = of.framework.id.as_ref().map_or("", |id| &id.value);
    vars.set("MESOS_FRAMEWORK_ID", framework);
    vars.set("MESOS_EXECUTOR_ID", &of.executor.executor_id.value);
    vars.set("MESOS_DIRECTORY", directory);
    vars.set("MESOS_SANDBOX", sandbox);
    vars.set("MESOS_SLAVE_ID", of.agent_id);
    vars.set("MESOS_SLAVE_PID", format!("slave(1)@{endpoint}"));
    vars.set("MESOS_AGENT_ENDPOINT", endpoint);
    let checkpoint = of.framework.checkpoint.unwrap_or(false);
    vars.set("MESOS_CHECKPOINT", flag(checkpoint));
    vars.set("MESOS_HTTP_COMMAND_EXECUTOR", flag(options.http_command_executor));
    let grace = shutdown_grace(options, of.executor);
    vars.set("MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD", words::duration(grace));
    if checkpoint {
        vars.set("MESOS_RECOVERY_TIMEOUT", words::duration(options.recovery_timeout));
        let backoff = words::duration(options.executor_reregistration_timeout);
        vars.set("MESOS_SUBSCRIPTION_BACKOFF_MAX", backoff);
    }
    let resources = of.task.map_or(&of.executor.resources, |t| &t.resources);
    let role = resources.iter().find_map(|r| r.allocation_info.as_ref()?.role.as_deref());
    if let Some(role) = role {
        vars.set("MESOS_ALLOCATION_ROLE", role);
    }
}

fn container_info<'a>(of: &'a Of<'_>) -> Option<&'a v1::ContainerInfo> {
    // A command task without one has the operator's, as its executor does.
    let operators = of.executor.container.as_ref();
    // That of a group's task is the task's alone.
    let operators = operators
        .filter(|_| of.task.is_none() || of.executor.r#type() != v1::executor_info::Type::Default);
    of.task.and_then(|t| t.container.as_ref()).or(operators)
}

fn executor(of: &Of<'_>, vars: &mut Variables) {
    vars.set("LIBPROCESS_PORT", "0");
    vars.set("LIBPROCESS_IP", &of.options.ip);
}

fn flag(on: bool) -> &'static str {
    if on { "1" } else { "0" }
}

fn has_image(container: Option<&v1::ContainerInfo>) -> bool {
    container
        .is_some_and(|c| c.docker.is_some() || c.mesos.as_ref().is_some_and(|m| m.image.is_some()))
}

/// How long an executor may take to end itself: its own wish, else the agent's option.
pub(super) fn shutdown_grace(
    options: &Options,
    executor: &v1::ExecutorInfo,
) -> std::time::Duration {
    executor
        .shutdown_grace_period
        .as_ref()
        .map_or(options.executor_shutdown_grace_period, super::kill::duration_of)
}

fn value(variable: &v1::environment::Variable) -> Result<String, String> {
    if let Some(secret) = &variable.secret {
        let data = secret.value.as_ref().map(|v| v.data.clone());
        return data.and_then(|d| String::from_utf8(d).ok()).ok_or_else(|| {
            format!(
                "Cannot resolve the secret of environment variable '{}': only secrets of type \
                 VALUE holding text are supported",
                variable.name
            )
        });
    }
    Ok(variable.value.clone().unwrap_or_default())
}
