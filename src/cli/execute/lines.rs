//! The lines printed for a status update, and the exit code that a task's end stands for. Pure.

use super::{KILLED, OWN_FAILURE};
use crate::mesos::codec::Codec;
use crate::mesos::convert;
use crate::mesos::make::{reason_name, state_name};
use crate::mesos::v1::{TaskState, TaskStatus, task_status};

/// The lines of one update, in the original's words and order.
pub fn update(status: &TaskStatus) -> Vec<String> {
    let state = state_name(status.state);
    let task = &status.task_id.value;
    let mut lines = vec![format!("Received status update {state} for task '{task}'")];
    if let Some(message) = &status.message {
        lines.push(format!("  message: '{message}'"));
    }
    if let Some(source) = status.source {
        let name = task_status::Source::try_from(source);
        let name = name.map_or_else(|_| source.to_string(), |s| s.as_str_name().to_string());
        lines.push(format!("  source: {name}"));
    }
    if let Some(reason) = status.reason {
        lines.push(format!("  reason: {}", reason_name(reason)));
    }
    if let Some(healthy) = status.healthy {
        lines.push(format!("  healthy?: {}", u8::from(healthy)));
    }
    if let Some(check) = &status.check_status {
        let text = String::from_utf8_lossy(&Codec::Json.encode(check)).into_owned();
        lines.push(format!("  check status: {text}"));
    }
    if let Some(limitation) = &status.limitation {
        let text = match convert::resources_from_v1(&limitation.resources) {
            Ok(resources) => resources.to_string(),
            Err(why) => why,
        };
        lines.push(format!("  resource limit violation: {text}"));
    }
    lines
}

/// Whether a task in this state will not change any more, as far as this program waits for it.
pub fn is_over(state: TaskState) -> bool {
    crate::mesos::make::is_terminal(state)
        || matches!(
            state,
            // The agent will not come back; or no master knows the task any more.
            TaskState::TaskLost | TaskState::TaskGoneByOperator | TaskState::TaskUnknown
        )
}

/// The exit code of a task that ended with this update.
pub fn exit_code(status: &TaskStatus) -> i32 {
    use task_status::Reason;
    let message = status.message.as_deref().unwrap_or_default();
    let told = exited(message);
    match status.state() {
        TaskState::TaskFinished => told.unwrap_or(0),
        // A process that exits 0 after a kill was killed all the same.
        TaskState::TaskKilled => told.filter(|code| *code > 128).unwrap_or(KILLED),
        TaskState::TaskFailed => told.filter(|code| *code != 0).unwrap_or_else(|| {
            match status.reason.map(|_| status.reason()) {
                Some(Reason::ContainerLimitation | Reason::ContainerLimitationMemory) => KILLED,
                Some(_) => OWN_FAILURE,
                None => 1,
            }
        }),
        _ => OWN_FAILURE,
    }
}

/// Reads `Command exited with status N` and `Command terminated with signal S` out of a message.
fn exited(message: &str) -> Option<i32> {
    if let Some((_, rest)) = message.split_once("exited with status ") {
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        return digits.parse().ok();
    }
    let (_, rest) = message.split_once("terminated with signal ")?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    if let Ok(number) = digits.parse::<i32>() {
        return Some(128 + number);
    }
    SIGNALS.iter().find(|(name, _)| rest.starts_with(name)).map(|(_, number)| 128 + number)
}

/// What strsignal(3) calls the signals; longer names first where one begins with another.
const SIGNALS: &[(&str, i32)] = &[
    ("Hangup", 1),
    ("Interrupt", 2),
    ("Quit", 3),
    ("Illegal instruction", 4),
    ("Trace/breakpoint trap", 5),
    ("Aborted", 6),
    ("Bus error", 7),
    ("Floating point exception", 8),
    ("Killed", 9),
    ("User defined signal 1", 10),
    ("Segmentation fault", 11),
    ("User defined signal 2", 12),
    ("Broken pipe", 13),
    ("Alarm clock", 14),
    ("Terminated", 15),
    ("Stack fault", 16),
    ("CPU time limit exceeded", 24),
    ("File size limit exceeded", 25),
    ("Virtual timer expired", 26),
    ("Profiling timer expired", 27),
    ("I/O possible", 29),
    ("Power failure", 30),
    ("Bad system call", 31),
];
