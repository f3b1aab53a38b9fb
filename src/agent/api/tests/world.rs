//! A whole agent with its face, on containers that are none, before a master that is a test.

use super::fake::Fake;
use crate::agent::api::{Api, Realms, face, identity::Identity, metrics};
use crate::agent::containerizer::{Backend, Containerizer, Rotation};
use crate::agent::containers::{Containers, Making};
use crate::agent::core::{AgentCore, options::Options};
use crate::agent::fetcher::{Cache, FetchOptions, Fetcher};
use crate::agent::images::Images;
use crate::agent::service::{Agent, AgentShell, Tools};
use crate::base::resources::Resources;
use crate::base::rng::Rng;
use crate::base::time::Wall;
use crate::cluster::link::{self, Sender, local::MasterEnd};
use crate::http::auth::Realm;
use crate::http::files::{self, FileTable};
use crate::http::{Running, Server, bind, observe};
use crate::machine::driver::{self, Clock, Handle};
use crate::machine::{Cx, Effects};
use crate::mesos::convert::{Format, resources_to_v1};
use crate::mesos::internal::{
    AcknowledgeStatus, AgentRegistered, ExitedExecutor, MasterMessage, RunTask, ShutdownExecutor,
};
use crate::mesos::v1::{self, TaskState};
use crate::store::{AgentStore, DataDir};
use crate::telemetry::Metrics;
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

pub const F: &str = "f-0000";
pub const AGENT: &str = "m-S0";
const PATIENCE: Duration = Duration::from_secs(30);

pub struct World {
    pub fake: Arc<Fake>,
    pub http: reqwest::Client,
    agent: Agent,
    running: Running,
    to_agent: Sender<MasterMessage>,
    updates: mpsc::UnboundedReceiver<v1::TaskStatus>,
    seen: Vec<v1::TaskStatus>,
    exited: mpsc::UnboundedReceiver<ExitedExecutor>,
    _dir: tempfile::TempDir,
}

fn options(work_dir: &Path) -> Options {
    let text = "cpus:4;mem:1024;disk:2048;ports:[31000-32000];cpus(ops):2";
    let resources = Resources::parse(text, "*").expect("resources");
    let info = v1::AgentInfo {
        hostname: "here".into(),
        port: Some(5051),
        resources: resources_to_v1(&resources, Format::Post),
        ..Default::default()
    };
    let mut options = Options::new(info, "192.0.2.7", work_dir);
    options.switch_user = false;
    options
}

/// Runs a core on a thread of its own, which ends with the last door to it.
fn run(options: Options, mailbox: driver::Mailbox<AgentCore>, shell: AgentShell) {
    std::thread::spawn(move || {
        let (clock, mut rng, mut out) = (Clock::default(), Rng::new(7), Effects::default());
        let mut cx = Cx { now: clock.mono(), wall: clock.wall(), rng: &mut rng };
        let core = AgentCore::recover(options, vec![], vec![], "boot", &mut cx, &mut out);
        let core = core.expect("an agent without a past");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let running = driver::run(core, shell, clock, rng, mailbox, out);
        runtime.expect("a runtime").block_on(running).expect("no fault");
    });
}

/// Answers registrations, acknowledges and passes on what it is told of tasks.
async fn reign(
    mut end: MasterEnd,
    told: mpsc::UnboundedSender<v1::TaskStatus>,
    ended: mpsc::UnboundedSender<ExitedExecutor>,
) {
    while let Some(message) = end.receiver.recv().await {
        if let Some(exited) = message.exited_executor {
            let _ = ended.send(exited);
        }
        if message.register.is_some() {
            let registered = AgentRegistered {
                drain: None,
                agent_id: v1::AgentId { value: AGENT.into() },
                ping_timeout_secs: Some(1e6),
                reconcile: Vec::new(),
            };
            let registered = Some(registered);
            let answer = MasterMessage { epoch: 1, registered, ..Default::default() };
            end.sender.send(answer).expect("the agent reads");
        }
        if let Some(update) = message.status_update {
            let acknowledge = Some(AcknowledgeStatus {
                framework_id: update.framework_id,
                task_id: update.status.task_id.clone(),
                uuid: update.status.uuid.clone().expect("a uuid"),
            });
            let answer = MasterMessage { epoch: 1, acknowledge, ..Default::default() };
            // The agent may have stopped meanwhile.
            let _ = end.sender.send(answer);
            let _ = told.send(update.status);
        }
    }
}

fn no_images() -> Images {
    Images::new(Err("none here".into()), "/mnt/mesos/sandbox")
}

fn agent(
    dir: &tempfile::TempDir,
    handle: Handle<AgentCore>,
    fake: &Arc<Fake>,
) -> (Agent, AgentShell, FileTable) {
    let data = DataDir::open(&dir.path().join("data")).expect("a data folder");
    let (store, _) = AgentStore::open(&data).expect("a new database");
    let fetcher = Fetcher::new(FetchOptions {
        stall_timeout: PATIENCE,
        total_timeout: PATIENCE,
        frameworks_home: None,
        cache: Arc::new(Cache::open(&dir.path().join("cache"), 1 << 20).expect("a folder")),
    });
    let containerizer: Arc<dyn Containerizer> = fake.clone();
    let rotation = Rotation { max_bytes: 1 << 20, files: 1 };
    let images = no_images();
    let policy = crate::agent::isolation::Policy::default();
    let making =
        Making { backend: Backend::Posix, rotation, docker: None, images, policy, gpus: None };
    let (files, io) = (FileTable::new(), tokio::runtime::Handle::current());
    let containers =
        Containers::new(containerizer, fetcher, files.clone(), making, handle.clone(), io.clone());
    let events = fake.events().expect("taken once");
    tokio::spawn(containers.clone().watch(events));
    let work_dir = dir.path().join("work");
    let tools = Tools { store: Arc::new(store), containers, files: files.clone(), work_dir };
    let (agent, shell) = Agent::new(handle, tools, io);
    (agent, shell, files)
}

async fn serve(agent: &Agent, fake: &Arc<Fake>, files: FileTable) -> Running {
    let open = || Realm::open("test");
    let realms = Realms { readonly: open(), readwrite: open(), executor: open() };
    let about = Identity {
        hostname: "here".into(),
        ip: [192, 0, 2, 7].into(),
        port: 5051,
        master_hostname: "there".into(),
        start_time: Wall(1_700_000_000_000_000_000),
        log_dir: None,
        flags: [("agent_port".to_string(), "5051".to_string())].into(),
    };
    let all = Metrics::new();
    metrics::bridge(&all, agent.clone());
    let api = Api::new(agent.clone(), fake.clone(), no_images(), Arc::new(about));
    let face = face(api, &realms)
        .with(files::routes(files, None, &realms.readonly))
        .with(observe::routes(&all, None, &realms.readonly, &realms.readwrite));
    let listener = bind("127.0.0.1:0".parse().expect("an address"), "--port").await;
    Server::new("agent", face).start(listener.expect("a port")).expect("started")
}

impl World {
    /// A registered agent.
    pub async fn ready() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let dir = tempfile::tempdir().expect("a folder");
        let fake = Arc::new(Fake::default());
        let (handle, mailbox) = driver::mailbox();
        let (agent, shell, files) = agent(&dir, handle, &fake);
        run(options(&dir.path().join("work")), mailbox, shell);
        let (agent_end, master_end) = link::pair();
        let to_agent = master_end.sender.clone();
        let (told, updates) = mpsc::unbounded_channel();
        let (ended, exited) = mpsc::unbounded_channel();
        tokio::spawn(reign(master_end, told, ended));
        let serving = agent.clone();
        tokio::spawn(async move { serving.serve(agent_end).await });
        let running = serve(&agent, &fake, files).await;
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        let world =
            Self { fake, http, agent, running, to_agent, updates, seen: vec![], exited, _dir: dir };
        world.registered().await;
        world
    }

    async fn registered(&self) {
        let asked = async {
            while !self.agent.handle().look(|core| core.view().registered).await.expect("runs") {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, asked).await.expect("registered in time");
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.running.address())
    }

    pub async fn get(&self, path: &str) -> Value {
        let answer = self.http.get(self.url(path)).send().await.expect("an answer");
        assert_eq!(answer.status(), 200, "{path}");
        serde_json::from_slice(&answer.bytes().await.expect("a body")).expect("JSON")
    }

    /// An executor's call; the status and body of the answer.
    pub async fn call(&self, call: &Value) -> (u16, String) {
        let request = self.http.post(self.url("/slave(1)/api/v1/executor"));
        let request = request.header("Content-Type", "application/json").body(call.to_string());
        let answer = request.send().await.expect("an answer");
        (answer.status().as_u16(), answer.text().await.expect("a body"))
    }

    /// The master runs a task.
    pub fn run(&self, task: v1::TaskInfo) {
        let framework_info = v1::FrameworkInfo {
            user: "nobody".into(),
            name: "demo".into(),
            id: Some(v1::FrameworkId { value: F.into() }),
            ..Default::default()
        };
        let run_task = Some(RunTask { framework_info, task });
        let message = MasterMessage { epoch: 1, run_task, ..Default::default() };
        self.to_agent.send(message).expect("the agent reads");
    }

    /// The master shuts an executor down.
    pub fn shut_down(&self, executor: &str) {
        let shutdown_executor = Some(ShutdownExecutor {
            framework_id: v1::FrameworkId { value: F.into() },
            executor_id: v1::ExecutorId { value: executor.into() },
        });
        let message = MasterMessage { epoch: 1, shutdown_executor, ..Default::default() };
        self.to_agent.send(message).expect("the agent reads");
    }

    /// Waits until the master is told that.
    pub async fn told(&mut self, task: &str, state: TaskState) -> v1::TaskStatus {
        let is = |status: &v1::TaskStatus| status.task_id.value == task && status.state() == state;
        let wanted = async {
            // Tasks are told of in any order.
            while !self.seen.iter().any(is) {
                self.seen.push(self.updates.recv().await.expect("the agent runs"));
            }
            self.seen.iter().find(|status| is(status)).cloned().expect("just seen")
        };
        tokio::time::timeout(PATIENCE, wanted).await.expect("told in time")
    }

    /// Waits until a container with this command was made.
    pub async fn made(&self) {
        let asked = async {
            while self.fake.specs.lock().expect("whole").is_empty() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, asked).await.expect("made in time");
    }

    /// Waits until the master is told that an executor has ended.
    pub async fn ended(&mut self) -> ExitedExecutor {
        let told = tokio::time::timeout(PATIENCE, self.exited.recv());
        told.await.expect("told in time").expect("the agent runs")
    }

    /// Waits until a container runs.
    pub async fn runs(&self) {
        let asked = async {
            while !self.fake.runs() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, asked).await.expect("it runs in time");
    }

    pub async fn stop(self) {
        self.agent.stop(true).await.expect("it stops");
        self.running.stop(PATIENCE).await;
    }
}

pub fn command(shell: bool, value: &str, arguments: &[&str]) -> v1::CommandInfo {
    v1::CommandInfo {
        shell: Some(shell),
        value: Some(value.into()),
        arguments: arguments.iter().map(|a| a.to_string()).collect(),
        ..Default::default()
    }
}

fn scalar(name: &str, value: f64) -> v1::Resource {
    v1::Resource {
        name: name.into(),
        r#type: v1::value::Type::Scalar as i32,
        scalar: Some(v1::value::Scalar { value }),
        allocation_info: Some(v1::resource::AllocationInfo { role: Some("eng".into()) }),
        ..Default::default()
    }
}

pub fn task(id: &str, command: v1::CommandInfo) -> v1::TaskInfo {
    v1::TaskInfo {
        name: format!("name of {id}"),
        task_id: v1::TaskId { value: id.into() },
        agent_id: v1::AgentId { value: AGENT.into() },
        resources: vec![scalar("cpus", 0.5), scalar("mem", 32.0)],
        command: Some(command),
        ..Default::default()
    }
}

/// A task of a custom executor.
pub fn custom(id: &str, executor: &str) -> v1::TaskInfo {
    let executor = v1::ExecutorInfo {
        executor_id: v1::ExecutorId { value: executor.into() },
        framework_id: Some(v1::FrameworkId { value: F.into() }),
        command: Some(command(true, "./my-executor", &[])),
        resources: vec![scalar("cpus", 0.2), scalar("mem", 64.0)],
        ..Default::default()
    };
    let mut task = task(id, v1::CommandInfo::default());
    (task.command, task.executor) = (None, Some(executor));
    task
}
