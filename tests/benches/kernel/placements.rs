//! Placements through the master's core alone: simulated agents and one framework around it, in memory, one thread.
//!
//! Nothing is encoded, sent or stored: registry writes are counted, effects are taken at once. A placement is a task
//! whose TASK_STARTING and TASK_RUNNING went to the framework and whose acknowledgements came back to the agent.
//! The core takes inputs in batches, as its driver gives them, in real time; how long it alone took is told apart
//! from what the simulation around it took.

use crate::Result;
use crate::node::usage;
use mesolith::base::rng::Rng;
use mesolith::machine::driver::Clock;
use mesolith::machine::{Cx, Effects, Machine};
use mesolith::master::allocator;
use mesolith::master::core::io::{Act, Answer, Input, LinkId, NodeId, RequestId, SessionId};
use mesolith::master::core::{Identity, MasterCore, Options};
use mesolith::mesos::internal::{AgentMessage, MasterMessage, Pong, RegisterAgent, StatusUpdate};
use mesolith::mesos::v1::scheduler::{Call, Event, call};
use mesolith::mesos::v1::{self, TaskState};
use mesolith::mesos::{convert, make};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

const AGENTS: usize = 10_000;
const TASKS_PER_AGENT: usize = 10;
const TASKS: usize = AGENTS * TASKS_PER_AGENT;
/// How many placements the first and the last rate are of.
const PART: usize = 10_000;
/// How many offers' tasks the framework has on their way at a time.
const OFFERS_AT_ONCE: usize = 64;
/// As many inputs at a time as the driver takes.
const BATCH: usize = 1024;
const AGENT: &str = "cpus:32;mem:131072;disk:1000000;ports:[31000-32000]";
const TASK: &str = "cpus:1;mem:1024";

/// The row.
pub fn row() -> Result<()> {
    println!("\n7. {TASKS} tasks on {AGENTS} agents, the master's core in memory, one thread");
    let before = rss()?;
    let mut world = World::new()?;
    let start = Instant::now();
    world.register_agents()?;
    let (registering, with_agents) = (start.elapsed(), rss()?);
    println!(
        "  {AGENTS} agents registered: {:.0}/s ({:.0}/s in the core alone), {} registry writes",
        AGENTS as f64 / registering.as_secs_f64(),
        AGENTS as f64 / world.in_core.as_secs_f64(),
        world.writes
    );
    let (start, core_before) = (Instant::now(), world.in_core);
    world.subscribe()?;
    println!("  subscribed, {} offers: {:.1?}", world.offers.len(), start.elapsed());
    world.place()?;
    let took = start.elapsed();
    let marks = &world.marks;
    // mark n is when n × PART placements were done; the first is when the offers were there.
    let part = |n: usize| PART as f64 / (marks[n + 1].0 - marks[n].0).as_secs_f64();
    let core = |n: usize| PART as f64 / (marks[n + 1].1 - marks[n].1).as_secs_f64();
    println!("  {:<34} {:>14} {:>16}", "placements/s", "all together", "core alone");
    let in_core = world.in_core - core_before;
    let whole = |time: Duration| TASKS as f64 / time.as_secs_f64();
    println!(
        "  {:<34} {:>14.0} {:>16.0}",
        "from SUBSCRIBE to the last",
        whole(took),
        whole(in_core)
    );
    let last = marks.len() - 2;
    println!("  {:<34} {:>14.0} {:>16.0}", format!("the first {PART}"), part(0), core(0));
    println!("  {:<34} {:>14.0} {:>16.0}", format!("the last {PART}"), part(last), core(last));
    let after = rss()?;
    println!(
        "  RSS: {:.1} MiB before, {:.1} with the agents, {:.1} with the tasks ({:.2} KiB a task); \
         {} registry writes",
        mib(before),
        mib(with_agents),
        mib(after),
        (after as f64 - with_agents as f64) / 1024.0 / TASKS as f64,
        world.writes
    );
    Ok(())
}

/// A core with agents and a framework around it.
struct World {
    core: MasterCore,
    clock: Clock,
    rng: Rng,
    /// What waits for the core.
    inputs: VecDeque<Input>,
    writes: usize,
    requests: u64,
    session: SessionId,
    framework: Option<v1::FrameworkId>,
    registered: usize,
    offers: VecDeque<v1::Offer>,
    task: Vec<v1::Resource>,
    launched: usize,
    placed: usize,
    in_core: Duration,
    /// When another [`PART`] was placed, and how long the core alone had taken until then.
    marks: Vec<(Instant, Duration)>,
}

impl World {
    fn new() -> Result<Self> {
        let (clock, mut rng) = (Clock::default(), Rng::new(7));
        let identity = Identity {
            master_id: "7a1c0c9e-54a5-4c4f-b0a7-6c1b3a3c6a11".into(),
            epoch: 1,
            ip: "127.0.0.1".into(),
            hostname: "master".into(),
            port: 5050,
            version: "1.12.0".into(),
            domain: None,
        };
        let mut cx = Cx { now: clock.mono(), wall: clock.wall(), rng: &mut rng };
        let (options, allocation) = (Options::default(), allocator::Options::default());
        let mut out = Effects::default();
        let core = MasterCore::recover(options, allocation, identity, [], &mut cx, &mut out)?;
        let mut world = Self {
            core,
            clock,
            rng,
            inputs: VecDeque::new(),
            writes: 0,
            requests: 0,
            session: SessionId("bench".into()),
            framework: None,
            registered: 0,
            offers: VecDeque::new(),
            task: wire(TASK)?,
            launched: 0,
            placed: 0,
            in_core: Duration::ZERO,
            marks: Vec::new(),
        };
        world.take(out)?;
        Ok(world)
    }

    /// One batch of what waits, as the driver does it.
    fn turn(&mut self) -> Result<()> {
        let count = self.inputs.len().min(BATCH);
        if count == 0 {
            return Err(format!("nothing goes on after {} placements", self.placed).into());
        }
        let mut out = Effects::default();
        let start = Instant::now();
        let (now, wall) = (self.clock.mono(), self.clock.wall());
        let mut cx = Cx { now, wall, rng: &mut self.rng };
        if self.core.wake_at().is_some_and(|at| at <= now) {
            self.core.wake(&mut cx, &mut out);
        }
        for input in self.inputs.drain(..count) {
            self.core.step(&mut cx, input, &mut out);
        }
        self.core.settle(&mut cx, &mut out);
        self.in_core += start.elapsed();
        self.take(out)
    }

    fn take(&mut self, out: Effects<MasterCore>) -> Result<()> {
        self.writes += out.writes.len();
        for act in out.acts_now.into_iter().chain(out.acts.into_iter().map(|(_, act)| act)) {
            match act {
                Act::ToAgent { link, message } => self.agent(link, *message),
                Act::Event { event, .. } => self.scheduler(&event)?,
                // Nobody looks on.
                Act::Answer { answer: Answer::Accepted, .. } | Act::Changed(_) => {}
                other => return Err(format!("unexpected: {other:?}").into()),
            }
        }
        Ok(())
    }

    // The agents.

    fn register_agents(&mut self) -> Result<()> {
        let resources = wire(AGENT)?;
        for n in 0..AGENTS {
            let agent_info = v1::AgentInfo {
                hostname: format!("agent{n}"),
                port: Some(5051),
                resources: resources.clone(),
                ..Default::default()
            };
            let register =
                RegisterAgent { agent_info, version: "1.12.0".into(), ..Default::default() };
            let message = AgentMessage { register: Some(register), ..Default::default() };
            self.says(LinkId(n as u64), message);
        }
        while self.registered < AGENTS {
            self.turn()?;
        }
        Ok(())
    }

    fn says(&mut self, link: LinkId, message: AgentMessage) {
        let (node, message) = (NodeId(link.0 + 1), Box::new(message));
        self.inputs.push_back(Input::FromAgent { link, node, message });
    }

    /// What an agent does with a message: a task starts, and runs once its start is acknowledged.
    fn agent(&mut self, link: LinkId, message: MasterMessage) {
        if message.ping.is_some() {
            self.says(link, AgentMessage { pong: Some(Pong {}), ..Default::default() });
        } else if message.registered.is_some() {
            self.registered += 1;
        } else if let Some(run) = message.run_task {
            self.report(link, run.task.task_id, TaskState::TaskStarting);
        } else if let Some(acknowledge) = message.acknowledge {
            if acknowledge.uuid == mark(TaskState::TaskStarting) {
                self.report(link, acknowledge.task_id, TaskState::TaskRunning);
            } else {
                self.placed += 1;
                if self.placed.is_multiple_of(PART) {
                    self.marks.push((Instant::now(), self.in_core));
                }
            }
        }
    }

    fn report(&mut self, link: LinkId, task_id: v1::TaskId, state: TaskState) {
        let Some(framework_id) = self.framework.clone() else { return };
        let status = v1::TaskStatus {
            executor_id: Some(make::executor_id(&task_id.value)),
            task_id,
            state: state.into(),
            source: Some(v1::task_status::Source::Executor.into()),
            uuid: Some(mark(state)),
            timestamp: Some(self.clock.wall().secs()),
            ..Default::default()
        };
        let update = StatusUpdate { framework_id, status, latest_state: Some(state.into()) };
        self.says(link, AgentMessage { status_update: Some(update), ..Default::default() });
    }

    // The framework.

    fn subscribe(&mut self) -> Result<()> {
        let framework_info =
            v1::FrameworkInfo { user: "root".into(), name: "bench".into(), ..Default::default() };
        let subscribe = call::Subscribe { framework_info, ..Default::default() };
        let r#type = Some(call::Type::Subscribe.into());
        let call = Call { r#type, subscribe: Some(subscribe), ..Call::default() };
        self.inputs.push_back(Input::Subscribe {
            request: RequestId(0),
            session: self.session.clone(),
            call: Box::new(call),
            principal: None,
        });
        while self.offers.len() < AGENTS {
            self.turn()?;
        }
        self.marks.push((Instant::now(), self.in_core));
        Ok(())
    }

    fn place(&mut self) -> Result<()> {
        while self.placed < TASKS {
            while self.launched - self.placed < OFFERS_AT_ONCE * TASKS_PER_AGENT {
                let Some(offer) = self.offers.pop_front() else { break };
                self.accept(offer);
            }
            self.turn()?;
        }
        Ok(())
    }

    fn scheduler(&mut self, event: &Event) -> Result<()> {
        if let Some(subscribed) = &event.subscribed {
            self.framework = Some(subscribed.framework_id.clone());
        }
        if let Some(offers) = &event.offers {
            self.offers.extend(offers.offers.iter().cloned());
        }
        if let Some(update) = &event.update {
            let status = &update.status;
            let running = [TaskState::TaskStarting, TaskState::TaskRunning];
            let (Some(agent_id), Some(uuid), true) =
                (status.agent_id.clone(), status.uuid.clone(), running.contains(&status.state()))
            else {
                return Err(format!("a task failed: {status:?}").into());
            };
            let acknowledge = call::Acknowledge { agent_id, task_id: status.task_id.clone(), uuid };
            let call = Call { acknowledge: Some(acknowledge), ..Call::default() };
            self.call(call::Type::Acknowledge, call);
        }
        Ok(())
    }

    /// So many tasks on an offer; the rest of it is not wanted for an hour.
    fn accept(&mut self, offer: v1::Offer) {
        let task = |n: usize| {
            let id = format!("task-{}", self.launched + n);
            let value = Some("sleep 100".to_string());
            v1::TaskInfo {
                name: id.clone(),
                task_id: v1::TaskId { value: id },
                agent_id: offer.agent_id.clone(),
                resources: self.task.clone(),
                command: Some(v1::CommandInfo { value, ..Default::default() }),
                ..Default::default()
            }
        };
        let task_infos = (0..TASKS_PER_AGENT).map(task).collect();
        self.launched += TASKS_PER_AGENT;
        let operation = v1::offer::Operation {
            r#type: Some(v1::offer::operation::Type::Launch.into()),
            launch: Some(v1::offer::operation::Launch { task_infos }),
            ..Default::default()
        };
        let accept = call::Accept {
            offer_ids: vec![offer.id],
            operations: vec![operation],
            filters: Some(v1::Filters { refuse_seconds: Some(3600.0) }),
        };
        self.call(call::Type::Accept, Call { accept: Some(accept), ..Call::default() });
    }

    fn call(&mut self, kind: call::Type, call: Call) {
        self.requests += 1;
        let call = Call { framework_id: self.framework.clone(), r#type: Some(kind.into()), ..call };
        self.inputs.push_back(Input::Call {
            request: RequestId(self.requests),
            session: Some(self.session.clone()),
            call: Box::new(call),
            principal: None,
        });
    }
}

/// The uuid of a task's update: one for each state is enough.
fn mark(state: TaskState) -> Vec<u8> {
    vec![state as u8; 16]
}

fn wire(text: &str) -> Result<Vec<v1::Resource>> {
    let parsed = convert::parse_resources(text, "*")?;
    Ok(convert::resources_to_v1(&parsed, convert::Format::Post))
}

fn rss() -> Result<u64> {
    Ok(usage(i32::try_from(std::process::id())?)?.rss)
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / 1024.0 / 1024.0
}
