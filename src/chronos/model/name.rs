//! The names that jobs may have, and the task ids made from them.

/// Through which prefix a client speaks: what differs between the original's versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Era {
    /// `/scheduler`: 2.x.
    Two,
    /// `/v1/scheduler`: 3.x.
    Three,
}

/// The longest name, in bytes: with times and attempt it must fit into a task id of 255.
pub const NAME_BYTES_MAX: usize = 200;

/// Whether a new job may have that name.
///
/// # Errors
/// The original's text. Beyond its rule, `.` and `..` and names over [`NAME_BYTES_MAX`] are refused, and of blanks all but
/// the space: none of them could be stored or shown safely.
pub fn check(name: &str, era: Era) -> Result<(), String> {
    let pattern = match era {
        Era::Two => r"([\w\s\.#_-]+)",
        Era::Three => r"([\w\.-]+)",
    };
    let good = |b: u8| {
        b.is_ascii_alphanumeric()
            || matches!(b, b'_' | b'.' | b'-')
            || (era == Era::Two && matches!(b, b' ' | b'#'))
    };
    if name.len() > NAME_BYTES_MAX {
        return Err(format!("the job's name is invalid. It is over {NAME_BYTES_MAX} characters"));
    }
    let blank = name.trim().is_empty() || matches!(name, "." | "..");
    if blank || !name.bytes().all(good) {
        return Err(format!("the job's name is invalid. Allowed names: '{pattern}'"));
    }
    Ok(())
}

/// The longest task id, in bytes.
const TASK_ID_BYTES_MAX: usize = 255;

/// `ct:<due>:<attempt>:<job>:<arguments>`. What a task id must not hold (slashes, control characters) is percent-encoded in
/// the arguments, and arguments that would make it too long are left out of it; they still reach the task.
pub fn task_id(due: i64, attempt: u64, job: &str, arguments: &[String]) -> String {
    let mut id = format!("ct:{due}:{attempt}:{job}:");
    let mut tail = String::new();
    for c in arguments.join(" ").chars().filter(|c| *c != ';') {
        if c == '/' || c == '\\' || c == '%' || c.is_control() {
            let mut bytes = [0; 4];
            for byte in c.encode_utf8(&mut bytes).bytes() {
                tail.push_str(&format!("%{byte:02X}"));
            }
        } else {
            tail.push(c);
        }
        if id.len() + tail.len() > TASK_ID_BYTES_MAX {
            return id;
        }
    }
    id.push_str(&tail);
    id
}

/// The parts of a task id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskIdParts<'a> {
    /// Milliseconds since 1970.
    pub due: i64,
    /// From 0.
    pub attempt: u64,
    /// The job's name.
    pub job: &'a str,
    /// What follows the name, as it stands there.
    pub arguments: &'a str,
}

/// Takes a task id apart; `None` for what is none of ours.
pub fn parse_task_id(id: &str) -> Option<TaskIdParts<'_>> {
    let rest = id.strip_prefix("ct:")?;
    let (due, rest) = rest.split_once(':')?;
    let (attempt, rest) = rest.split_once(':')?;
    let (job, arguments) = rest.split_once(':').unwrap_or((rest, ""));
    let digits = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
    if !digits(due) || !digits(attempt) || job.is_empty() {
        return None;
    }
    Some(TaskIdParts { due: due.parse().ok()?, attempt: attempt.parse().ok()?, job, arguments })
}
