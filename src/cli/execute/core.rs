//! The decisions of `mesos-execute`: what happens goes in, lines and calls come out. Pure.

use super::plan::Plan;
use super::shortfall::Shortfall;
use super::{INTERRUPTED, OWN_FAILURE, lines};
use crate::base::error::{Code, Error, Retry};
use crate::base::resources::Resources;
use crate::base::time::Mono;
use crate::framework::scheduler::PortEvent;
use crate::mesos::convert::{self, Format};
use crate::mesos::v1::scheduler::{Event, event};
use crate::mesos::v1::{
    AgentId, ExecutorId, FrameworkId, Offer, OfferId, TaskId, TaskInfo, TaskState, TaskStatus, Url,
    task_status,
};
use std::time::Duration;

/// So long without a fitting offer, and it says why.
pub const EXPLAIN_AFTER: Duration = Duration::from_secs(2);
/// And says it again so much later.
pub const EXPLAIN_EVERY: Duration = Duration::from_secs(60);
/// How long a master is looked for before the run is given up.
pub const DISCONNECTED_MAX: Duration = Duration::from_secs(60);
/// How long a task that was told to die by Ctrl-C is waited for.
pub const INTERRUPT_WAIT: Duration = Duration::from_secs(30);

/// What may happen.
#[derive(Debug)]
pub enum Input {
    /// The port says something.
    Port(PortEvent),
    /// The launch could not be sent.
    LaunchFailed(Error),
    /// All the task wrote has been shown.
    OutputDone,
    /// Ctrl-C.
    Interrupt,
}

/// Where a task's output is.
#[derive(Clone, Debug, PartialEq)]
pub struct Sandbox {
    /// The agent.
    pub agent_id: AgentId,
    /// The agent's own address, as its offer told it.
    pub agent_url: Option<Url>,
    /// The framework.
    pub framework_id: FrameworkId,
    /// The task's executor.
    pub executor_id: ExecutorId,
}

/// What is to be done, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    /// A line for standard output.
    Out(String),
    /// A line for standard error.
    Note(String),
    /// Take this offer for the task.
    Launch(OfferId, Box<TaskInfo>),
    /// Give these offers back.
    Decline(Vec<OfferId>),
    /// No more offers.
    Suppress,
    /// Offers again.
    Revive,
    /// Kill the task.
    Kill(TaskId, AgentId),
    /// The update is taken.
    Acknowledge(Box<TaskStatus>),
    /// Ask what became of the task.
    Reconcile(TaskId, AgentId),
    /// Show what the task writes, from now on.
    Follow(Sandbox),
    /// Show the rest of what the task wrote, then say [`Input::OutputDone`].
    Drain(Sandbox),
    /// Ask the master why there are no offers.
    Explain(FrameworkId),
    /// End; with a TEARDOWN if there still is a framework.
    Exit {
        /// The exit code.
        code: i32,
        /// Whether the framework must be torn down.
        teardown: bool,
    },
}

#[derive(Debug)]
struct Launched {
    sandbox: Sandbox,
    following: bool,
    state: Option<TaskState>,
    last_uuid: Option<Vec<u8>>,
    kill_at: Option<Mono>,
    kill_asked: bool,
    end: Option<Box<TaskStatus>>,
}

/// The state of one run.
#[derive(Debug)]
pub struct Core {
    plan: Plan,
    framework_id: Option<FrameworkId>,
    shortfall: Shortfall,
    explain_at: Option<Mono>,
    launched: Option<Launched>,
    interrupted: Option<Mono>,
    /// Since when there is no master.
    disconnected: Option<Mono>,
    over: bool,
}

impl Core {
    /// Nothing has happened yet.
    pub fn new(plan: Plan) -> Self {
        Self {
            plan,
            framework_id: None,
            shortfall: Shortfall::default(),
            explain_at: None,
            launched: None,
            interrupted: None,
            disconnected: None,
            over: false,
        }
    }

    /// Takes one input.
    pub fn step(&mut self, now: Mono, input: Input) -> Vec<Act> {
        let mut out = Vec::new();
        if self.over {
            return out;
        }
        match input {
            Input::Port(PortEvent::Connected(subscribed)) => {
                self.connected(now, &subscribed.framework_id, &mut out);
            }
            Input::Port(PortEvent::Disconnected { why }) => {
                self.disconnected.get_or_insert(now);
                // There is nobody to ask.
                self.explain_at = None;
                out.push(Act::Note(format!("not connected to a master: {why}; trying again")));
            }
            Input::Port(PortEvent::Event(event)) => self.event(now, &event, &mut out),
            Input::Port(PortEvent::Failed(error)) => self.failed(&error, &mut out),
            Input::LaunchFailed(error) => self.launch_failed(now, &error, &mut out),
            Input::OutputDone => self.output_done(&mut out),
            Input::Interrupt => self.interrupt(now, &mut out),
        }
        out
    }

    /// When to call [`Core::wake`], if nothing happens before.
    pub fn wake_at(&self) -> Option<Mono> {
        let kill = self.launched.as_ref().and_then(|l| l.kill_at);
        let give_up = self.interrupted.map(|at| at + INTERRUPT_WAIT);
        let alone = self.disconnected.map(|at| at + DISCONNECTED_MAX);
        [kill, give_up, alone, self.explain_at].into_iter().flatten().min()
    }

    /// The time has come for something.
    pub fn wake(&mut self, now: Mono) -> Vec<Act> {
        let mut out = Vec::new();
        if self.over {
            return out;
        }
        if self.explain_at.is_some_and(|at| at <= now) {
            self.explain_at = Some(now + EXPLAIN_EVERY);
            let lines = self.shortfall.lines(&self.plan.wanted, &self.plan.role);
            out.extend(lines.into_iter().map(Act::Note));
            out.extend(self.framework_id.clone().map(Act::Explain));
        }
        if let Some(launched) = &mut self.launched
            && launched.kill_at.is_some_and(|at| at <= now)
        {
            launched.kill_at = None;
            kill(&self.plan.task.task_id, launched, &mut out);
        }
        if self.interrupted.is_some_and(|at| at + INTERRUPT_WAIT <= now) {
            let secs = INTERRUPT_WAIT.as_secs();
            out.push(Act::Note(format!("the task did not end within {secs} s; leaving it")));
            self.exit(INTERRUPTED, true, &mut out);
        } else if self.disconnected.is_some_and(|at| at + DISCONNECTED_MAX <= now) {
            let secs = DISCONNECTED_MAX.as_secs();
            out.push(Act::Note(format!("no master was found for {secs} s; giving up")));
            self.left_alone(&mut out);
            self.exit(OWN_FAILURE, false, &mut out);
        }
        out
    }

    fn exit(&mut self, code: i32, teardown: bool, out: &mut Vec<Act>) {
        self.over = true;
        self.explain_at = None;
        out.push(Act::Exit { code, teardown: teardown && self.framework_id.is_some() });
    }

    /// What may become of a task that nobody looks after.
    fn left_alone(&self, out: &mut Vec<Act>) {
        let task = &self.plan.task.task_id.value;
        out.push(Act::Note(match self.launched {
            Some(_) => format!(
                "the task '{task}' may go on: once a master is back `mesolith task` shows it, and \
                 `mesolith kill` ends it"
            ),
            None => "see whether a master runs with `mesolith status`, or start one with \
                     `mesolith up`"
                .into(),
        }));
    }

    fn connected(&mut self, now: Mono, id: &FrameworkId, out: &mut Vec<Act>) {
        self.disconnected = None;
        out.push(Act::Out(format!("Subscribed with ID {}", id.value)));
        self.framework_id = Some(id.clone());
        match &self.launched {
            // What happened meanwhile is not told by itself.
            Some(launched) => {
                let agent_id = launched.sandbox.agent_id.clone();
                out.push(Act::Reconcile(self.plan.task.task_id.clone(), agent_id));
            }
            None => self.explain_at = Some(now + EXPLAIN_AFTER),
        }
    }

    fn failed(&mut self, error: &Error, out: &mut Vec<Act>) {
        let line = match error.code {
            Code::Invalid | Code::Conflict => format!("Received an ERROR event: {error}"),
            _ => format!("the master refused: {error}"),
        };
        out.push(Act::Note(line));
        self.exit(OWN_FAILURE, false, out);
    }

    fn event(&mut self, now: Mono, event: &Event, out: &mut Vec<Act>) {
        match event.r#type() {
            event::Type::Offers => {
                let offers = event.offers.as_ref().map_or(&[][..], |o| &o.offers);
                self.offers(offers, out);
            }
            event::Type::Update => {
                if let Some(update) = &event.update {
                    self.update(now, &update.status, out);
                }
            }
            event::Type::Failure => {
                if let Some(failure) = &event.failure {
                    self.failure(failure, out);
                }
            }
            // Offers are answered at once, so none is held that could be rescinded.
            _ => {}
        }
    }

    fn failure(&self, failure: &event::Failure, out: &mut Vec<Act>) {
        let lost = self.launched.as_ref().is_some_and(|launched| {
            failure.executor_id.is_none()
                && failure.agent_id.as_ref() == Some(&launched.sandbox.agent_id)
        });
        if lost {
            out.push(Act::Note("the task's agent was removed from the cluster".into()));
        }
    }

    fn offers(&mut self, offers: &[Offer], out: &mut Vec<Act>) {
        let mut declined = Vec::new();
        for offer in offers {
            if self.launched.is_some() || self.interrupted.is_some() {
                declined.push(offer.id.clone());
                continue;
            }
            let offered = match convert::resources_from_v1(&offer.resources) {
                Ok(offered) => offered,
                Err(why) => {
                    out.push(Act::Note(format!("an offer of {} is bad: {why}", offer.hostname)));
                    Resources::new()
                }
            };
            match offered.find(&self.plan.wanted, &self.plan.role) {
                Some(picked) => self.launch(offer, &picked, out),
                None => {
                    self.shortfall.note(&offered, &self.plan.wanted, &self.plan.role);
                    declined.push(offer.id.clone());
                }
            }
        }
        if !declined.is_empty() {
            out.push(Act::Decline(declined));
        }
        if self.launched.is_some() {
            out.push(Act::Suppress);
        }
    }

    fn launch(&mut self, offer: &Offer, picked: &Resources, out: &mut Vec<Act>) {
        let mut task = self.plan.task.clone();
        task.agent_id = offer.agent_id.clone();
        task.resources = convert::resources_to_v1(picked, Format::Post);
        let (name, agent) = (&task.task_id.value, &offer.agent_id.value);
        let line = format!("Submitted task '{name}' to agent '{agent}'");
        let executor_id = match &task.executor {
            Some(executor) => executor.executor_id.clone(),
            None => ExecutorId { value: name.clone() },
        };
        let sandbox = Sandbox {
            agent_id: offer.agent_id.clone(),
            agent_url: offer.url.clone(),
            framework_id: offer.framework_id.clone(),
            executor_id,
        };
        self.launched = Some(Launched {
            sandbox,
            following: false,
            state: None,
            last_uuid: None,
            kill_at: None,
            kill_asked: false,
            end: None,
        });
        self.explain_at = None;
        out.push(Act::Launch(offer.id.clone(), Box::new(task)));
        out.push(Act::Out(line));
    }

    fn launch_failed(&mut self, now: Mono, error: &Error, out: &mut Vec<Act>) {
        out.push(Act::Note(format!("the launch could not be sent: {error}")));
        if error.retry == Retry::Unknown {
            // It may have arrived: ask, and take what is answered.
            if let Some(launched) = &self.launched {
                let agent_id = launched.sandbox.agent_id.clone();
                out.push(Act::Reconcile(self.plan.task.task_id.clone(), agent_id));
            }
        } else if matches!(error.code, Code::Unavailable | Code::Overloaded) {
            // The offers of a lost subscription go back by themselves; others come.
            self.launched = None;
            out.push(Act::Revive);
            self.explain_at = Some(now + EXPLAIN_AFTER);
        } else {
            self.exit(OWN_FAILURE, true, out);
        }
    }

    fn update(&mut self, now: Mono, status: &TaskStatus, out: &mut Vec<Act>) {
        out.push(Act::Acknowledge(Box::new(status.clone())));
        let ours = status.task_id == self.plan.task.task_id;
        let Some(launched) = self.launched.as_mut().filter(|l| ours && l.end.is_none()) else {
            return;
        };
        let state = status.state();
        let again = match &status.uuid {
            // The same update, sent again because its acknowledgement was lost.
            Some(uuid) => launched.last_uuid.as_ref() == Some(uuid),
            // An answer to a reconciliation that tells nothing new.
            None => launched.state == Some(state),
        };
        if again {
            return;
        }
        launched.last_uuid = status.uuid.clone();
        launched.state = Some(state);
        if let Some(executor_id) = &status.executor_id {
            launched.sandbox.executor_id = executor_id.clone();
        }
        if lines::is_over(state) {
            launched.end = Some(Box::new(status.clone()));
            launched.kill_at = None;
            let from_master = status.source == Some(task_status::Source::Master.into());
            if from_master && !launched.following {
                // It never reached an agent: there is nothing to read.
                self.output_done(out);
                return;
            }
            // What it wrote comes before the line that says that it ended.
            out.push(Act::Drain(launched.sandbox.clone()));
            return;
        }
        out.extend(lines::update(status).into_iter().map(Act::Out));
        if matches!(state, TaskState::TaskStarting | TaskState::TaskRunning) && !launched.following
        {
            launched.following = true;
            out.push(Act::Follow(launched.sandbox.clone()));
        }
        if state == TaskState::TaskRunning
            && !launched.kill_asked
            && launched.kill_at.is_none()
            && let Some(after) = self.plan.kill_after
        {
            launched.kill_at = Some(now + after);
        }
    }

    fn output_done(&mut self, out: &mut Vec<Act>) {
        let Some(end) = self.launched.as_mut().and_then(|l| l.end.take()) else {
            return;
        };
        out.extend(lines::update(&end).into_iter().map(Act::Out));
        let code = match self.interrupted {
            Some(_) => INTERRUPTED,
            None => lines::exit_code(&end),
        };
        self.exit(code, true, out);
    }

    fn interrupt(&mut self, now: Mono, out: &mut Vec<Act>) {
        if self.disconnected.is_some() {
            out.push(Act::Note("interrupted".into()));
            if self.launched.is_some() {
                self.left_alone(out);
            }
            // There is nobody to tear the framework down.
            return self.exit(INTERRUPTED, false, out);
        }
        match &mut self.launched {
            Some(launched) if self.interrupted.is_none() => {
                self.interrupted = Some(now);
                launched.kill_at = None;
                let line = "interrupted: killing the task; press Ctrl-C again not to wait for it";
                out.push(Act::Note(line.into()));
                kill(&self.plan.task.task_id, launched, out);
            }
            _ => {
                out.push(Act::Note("interrupted".into()));
                self.exit(INTERRUPTED, true, out);
            }
        }
    }
}

fn kill(task_id: &TaskId, launched: &mut Launched, out: &mut Vec<Act>) {
    if launched.end.is_some() {
        return;
    }
    launched.kill_asked = true;
    let agent_id = &launched.sandbox.agent_id;
    let (task, agent) = (&task_id.value, &agent_id.value);
    out.push(Act::Out(format!("Asked to kill task '{task}' on agent '{agent}'")));
    out.push(Act::Kill(task_id.clone(), agent_id.clone()));
}
