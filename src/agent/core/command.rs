//! The built-in command executor: the executor made for a task with a command, and how its end is
//! told.

use super::io::Exit;
use super::limits::{self, COMMAND_EXECUTOR_CPUS, COMMAND_EXECUTOR_MEM};
use super::status::Report;
use super::tables::Kill;
use super::words;
use crate::mesos::internal::kill_record::Cause;
use crate::mesos::v1::{self, TaskState, task_status::Reason};

/// A command longer than this is cut in the executor's name, in characters.
const NAME_COMMAND_MAX: usize = 15;

/// The executor of a command task: its id and source are the task's, its resources what the
/// executor is counted with.
pub(super) fn executor_info(
    framework_id: &v1::FrameworkId,
    task: &v1::TaskInfo,
) -> v1::ExecutorInfo {
    let allocation = task.resources.iter().find_map(|r| r.allocation_info.clone());
    let mut resources = vec![
        limits::resource("cpus", COMMAND_EXECUTOR_CPUS),
        limits::resource("mem", COMMAND_EXECUTOR_MEM),
    ];
    for resource in &mut resources {
        resource.allocation_info = allocation.clone();
    }
    let id = &task.task_id.value;
    // `source` is deprecated and read by everything that shows executors.
    #[allow(deprecated)]
    v1::ExecutorInfo {
        executor_id: v1::ExecutorId { value: id.clone() },
        framework_id: Some(framework_id.clone()),
        command: task.command.as_ref().map(|c| v1::CommandInfo {
            user: c.user.clone(),
            uris: c.uris.clone(),
            environment: c.environment.clone(),
            ..Default::default()
        }),
        container: task.container.clone(),
        resources,
        name: Some(format!("Command Executor (Task: {id}) (Command: {})", spoken(task))),
        source: Some(id.clone()),
        discovery: task.discovery.clone(),
        labels: task.labels.clone(),
        ..Default::default()
    }
}

fn spoken(task: &v1::TaskInfo) -> String {
    let Some(command) = &task.command else { return "NO COMMAND".into() };
    if command.shell.unwrap_or(true) {
        let Some(value) = &command.value else { return "NO COMMAND".into() };
        if value.chars().count() <= NAME_COMMAND_MAX {
            return format!("sh -c '{value}'");
        }
        let cut: String = value.chars().take(NAME_COMMAND_MAX - 3).collect();
        return format!("sh -c '{cut}...'");
    }
    let Some(value) = &command.value else { return "NO EXECUTABLE".into() };
    let mut words = vec![value.clone()];
    words.extend(command.arguments.iter().cloned());
    format!("[{}]", words.join(", "))
}

/// What the end of a command task's process means for the task.
pub(super) fn ended(exit: &Exit, kill: Option<&Kill>, in_docker: bool) -> Report {
    let what = if in_docker { "Container" } else { "Command" };
    let message = exit.status.map(|status| format!("{what} {}", words::wait_status(status)));
    let cause = kill.map(|k| k.cause);
    if let (None, Some(report)) = (cause, over_memory(exit)) {
        return report;
    }
    let Some(status) = exit.status else {
        if let Some(cause) = cause {
            return killed(cause, Some(format!("{what}'s exit status is unknown")));
        }
        let of = what.to_lowercase();
        let text = format!("Abnormal executor termination: the exit status of the {of} is unknown");
        return Report::agent(TaskState::TaskFailed, Reason::ExecutorTerminated, text);
    };
    if let Some(cause) = cause {
        return killed(cause, message);
    }
    let finished = words::exit_code(status) == Some(0);
    let state = if finished { TaskState::TaskFinished } else { TaskState::TaskFailed };
    let mut report = Report::executor(state);
    report.message = match exit.crowded.filter(|_| !finished) {
        None => message,
        // Mesos has no reason for it, and leaves it to the task's own output.
        Some(limit) => message.map(|message| {
            format!("{message} (it may have {limit} processes and threads, and was refused more)")
        }),
    };
    report
}

fn killed(cause: Cause, message: Option<String>) -> Report {
    let mut report = Report::executor(TaskState::TaskKilled);
    report.message = message;
    match cause {
        Cause::Asked => {}
        Cause::Unhealthy => report.healthy = Some(false),
        Cause::Overtime => {
            report.state = TaskState::TaskFailed;
            report.reason = Some(Reason::MaxCompletionTimeReached);
        }
    }
    report
}

/// What hitting the memory limit means for the tasks of a container.
pub(super) fn over_memory(exit: &Exit) -> Option<Report> {
    let oom = exit.oom.as_ref()?;
    let message = format!(
        "Memory limit exceeded: Requested: {} Maximum Used: {}\n\nMEMORY STATISTICS: \n{}",
        words::bytes(oom.limit_bytes),
        words::bytes(oom.max_usage_bytes),
        oom.statistics
    );
    let mut report =
        Report::agent(TaskState::TaskFailed, Reason::ContainerLimitationMemory, message);
    let mb = oom.max_usage_bytes as f64 / 1_048_576.0;
    report.limitation =
        Some(v1::TaskResourceLimitation { resources: vec![limits::resource("mem", mb)] });
    Some(report)
}
