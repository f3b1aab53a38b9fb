//! What custom executors call: SUBSCRIBE, UPDATE, MESSAGE, HEARTBEAT; checked in the original's
//! words.

use super::io::{Act, Answer, RequestId, SessionId};
use super::status::Report;
use super::tables::{ExecutorKey, Phase, TaskKey, aware};
use super::{AgentCore, Step, Timer};
use crate::base::ids::{ExecutorId, FrameworkId, TaskId};
use crate::mesos::internal::{AgentMessage, ExecutorMessage};
use crate::mesos::v1::executor::{Call, call};
use crate::mesos::v1::{TaskState, TaskStatus, task_status::Reason, task_status::Source};
use std::collections::BTreeSet;

/// Uuids remembered for each task, to recognize what an executor sends again.
pub const RECEIVED_MAX: usize = 32;

type Checked<T> = Result<T, (u16, String)>;

fn bad<T>(text: impl Into<String>) -> Checked<T> {
    Err((400, text.into()))
}

/// Whether a call may be what it says it is.
fn validate(call: &Call) -> Checked<()> {
    let refuse = |text: String| bad(format!("Failed to validate Executor::Call: {text}"));
    let missing = |what: &str| refuse(format!("Expecting '{what}' to be present"));
    match call.r#type.map(call::Type::try_from) {
        None => missing("type"),
        Some(Ok(call::Type::Subscribe)) if call.subscribe.is_none() => missing("subscribe"),
        Some(Ok(call::Type::Message)) if call.message.is_none() => missing("message"),
        Some(Ok(call::Type::Update)) => match &call.update {
            None => missing("update"),
            Some(update) => match invalid(call, &update.status) {
                Some(text) => refuse(text),
                None => Ok(()),
            },
        },
        Some(Ok(call::Type::Unknown) | Err(_)) => Err((501, String::new())),
        Some(Ok(_)) => Ok(()),
    }
}

/// What is wrong with a status an executor sends.
fn invalid(call: &Call, status: &TaskStatus) -> Option<String> {
    let (executor, framework) = (&call.executor_id.value, &call.framework_id.value);
    match &status.uuid {
        None => return Some("Expecting 'uuid' to be present".into()),
        Some(uuid) if uuid.len() != 16 => return Some("Not a valid UUID".into()),
        Some(_) => {}
    }
    if let Some(named) = status.executor_id.as_ref().filter(|e| e.value != *executor) {
        return Some(format!(
            "ExecutorID in Call: {executor} does not match ExecutorID in TaskStatus: {}",
            named.value
        ));
    }
    if status.source != Some(Source::Executor as i32) {
        return Some(format!(
            "Received Call from executor {executor} of framework {framework} with invalid \
             source, expecting 'SOURCE_EXECUTOR'"
        ));
    }
    (status.state() == TaskState::TaskStaging).then(|| {
        format!(
            "Received TASK_STAGING from executor {executor} of framework {framework} which is \
             not allowed"
        )
    })
}

impl AgentCore {
    fn answer(s: &mut Step<'_>, request: RequestId, result: Checked<()>) {
        let answer = match result {
            Ok(()) => Answer::Accepted,
            Err((status, text)) => Answer::Refused { status, text },
        };
        s.act(Act::Answer { request, answer });
    }

    /// The executor that calls.
    fn caller(&self, call: &Call) -> Checked<ExecutorKey> {
        validate(call)?;
        let framework = FrameworkId::from(call.framework_id.value.as_str());
        if !self.tables.frameworks.contains_key(&framework) {
            return bad("Framework cannot be found");
        }
        let key = (framework, ExecutorId::from(call.executor_id.value.as_str()));
        match self.tables.executors.get(&key) {
            Some(e) if e.is_custom() && !e.is_over() => Ok(key),
            _ => bad("Executor cannot be found"),
        }
    }

    pub(super) fn subscribe(
        &mut self,
        s: &mut Step<'_>,
        request: RequestId,
        session: SessionId,
        call: Call,
    ) {
        let key = match self.caller(&call) {
            Ok(key) => key,
            Err(refusal) => return Self::answer(s, request, Err(refusal)),
        };
        let phase = self.tables.executors.get(&key).map(|e| e.phase);
        if matches!(phase, None | Some(Phase::Ending)) {
            return Self::answer(s, request, bad("Executor is being terminated"));
        }
        self.detach(s, &key);
        Self::answer(s, request, Ok(()));
        self.attach(s, &key, session);
        let subscribe = call.subscribe.unwrap_or_default();
        let mut known: BTreeSet<TaskId> = BTreeSet::new();
        known
            .extend(subscribe.unacknowledged_tasks.iter().map(|t| t.task_id.value.as_str().into()));
        for update in subscribe.unacknowledged_updates {
            known.insert(update.status.task_id.value.as_str().into());
            let call = Call {
                executor_id: call.executor_id.clone(),
                framework_id: call.framework_id.clone(),
                ..Default::default()
            };
            if invalid(&call, &update.status).is_none() {
                self.executor_update(s, &key, update.status);
            } else {
                self.count("invalid_status_updates");
            }
        }
        self.drop_unknown(s, &key, &known);
        self.greeted(s, &key);
        self.reconnected(s);
    }

    /// Tasks that were on their way to the executor when the agent or the stream went down, and
    /// never came.
    fn drop_unknown(&mut self, s: &mut Step<'_>, key: &ExecutorKey, known: &BTreeSet<TaskId>) {
        for task_key in self.tables.tasks_of(key) {
            let Some(task) = self.tables.tasks.get(&task_key) else { continue };
            let staging = task.delivered && task.state() == TaskState::TaskStaging;
            if staging && !known.contains(&task_key.1) {
                let state = aware(self.tables.framework(&key.0), TaskState::TaskDropped);
                let text = "Task launched during agent restart";
                self.report(s, &task_key, Report::agent(state, Reason::AgentRestarted, text));
            }
        }
    }

    pub(super) fn executor_call(&mut self, s: &mut Step<'_>, request: RequestId, call: Call) {
        let result = self.called(s, call);
        Self::answer(s, request, result);
    }

    fn called(&mut self, s: &mut Step<'_>, call: Call) -> Checked<()> {
        let key = self.caller(&call)?;
        if self.tables.executors.get(&key).is_none_or(|e| e.session.is_none()) {
            return Err((403, "Executor is not subscribed".into()));
        }
        if let Some(update) = call.update {
            let task = (key.0.clone(), TaskId::from(update.status.task_id.value.as_str()));
            if self.streams.is_full(&task) {
                self.count("refused_status_updates");
                return Err((503, "Too many status updates wait for acknowledgement".into()));
            }
            self.executor_update(s, &key, update.status);
        } else if let Some(message) = call.message {
            self.executor_says(s, &key, message.data);
        }
        Ok(())
    }

    fn executor_says(&mut self, s: &mut Step<'_>, key: &ExecutorKey, data: Vec<u8>) {
        let Some(link) = self.master.ready() else {
            return self.count("invalid_framework_messages");
        };
        let message = ExecutorMessage {
            framework_id: crate::mesos::v1::FrameworkId { value: key.0.as_str().into() },
            executor_id: crate::mesos::v1::ExecutorId { value: key.1.as_str().into() },
            data,
        };
        self.count("valid_framework_messages");
        let message = AgentMessage { executor_message: Some(message), ..Default::default() };
        s.act(Act::ToMaster { link, message: Box::new(message) });
    }

    /// Stores an executor's status once, and acknowledges it always.
    fn executor_update(&mut self, s: &mut Step<'_>, key: &ExecutorKey, mut status: TaskStatus) {
        let task_key: TaskKey = (key.0.clone(), status.task_id.value.as_str().into());
        let uuid = status.uuid.clone().unwrap_or_default();
        let own = self.tables.tasks.get_mut(&task_key).filter(|t| t.executor == key.1);
        match own {
            Some(task) if task.received.contains(&uuid) => self.count("repeated_status_updates"),
            Some(task) if !task.is_terminal() => {
                task.received.push_back(uuid.clone());
                if task.received.len() > RECEIVED_MAX {
                    task.received.pop_front();
                }
                task.delivered = true;
                self.complete(s, key, &mut status);
                self.store_status(s, &task_key, status);
            }
            _ => self.count("invalid_status_updates"),
        }
        self.send_acknowledged(s, key, &task_key.1, uuid);
    }

    pub(super) fn executor_closed(&mut self, session: SessionId) {
        self.timers.cancel(&Timer::Heartbeat(session));
        if let Some(key) = self.tables.sessions.remove(&session)
            && let Some(executor) = self.tables.executors.get_mut(&key)
            && executor.session == Some(session)
        {
            executor.session = None;
        }
    }
}
