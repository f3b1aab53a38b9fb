//! A face over a stand-in for the core: it takes every change at once and starts nothing.

use crate::base::error::{Code, Error};
use crate::base::explain::Explanation;
use crate::base::ids::AgentId;
use crate::http::auth::Realm;
use crate::http::{Inside, Running, Server, bind};
use crate::machine::driver::Clock;
use crate::marathon::api::events::Hub;
use crate::marathon::api::{Api, Door, Identity, Wait, face};
use crate::marathon::core::InstanceId;
use crate::marathon::core::io::{Answer, Change, Command, Deploying, KillWhat, NotFound};
use crate::marathon::core::view::{
    Action, ActionKind, ActionView, AppView, Condition, Counts, DeploymentView, HealthResult,
    InstanceView, Placement, QueueView, Reason, Rejects, Step, TaskFailure, View,
};
use crate::marathon::model::{App, Group, PathId, Rules, Timestamp};
use crate::mesos::v1::TaskState;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;

/// How long a test waits for what has to come.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// The deployment that every change starts.
pub(super) const DEPLOYMENT: &str = "5cd987cd-85ae-4e70-8df7-f1438367d9cb";

/// What the stand-in knows, and what it was asked for.
pub(super) struct State {
    pub(super) view: View,
    pub(super) commands: Vec<Command>,
    /// Given instead of the next answers, first one first.
    pub(super) scripted: Vec<Answer>,
    apps: BTreeMap<(PathId, Timestamp), Arc<App>>,
    roots: BTreeMap<Timestamp, Arc<Group>>,
    pub(super) abdications: usize,
}

#[derive(Clone)]
struct Fake(Arc<Mutex<State>>);

/// A face being served.
pub(super) struct World {
    pub(super) state: Arc<Mutex<State>>,
    pub(super) hub: Hub,
    pub(super) running: Running,
    /// What answers as its port does.
    pub(super) inside: Inside,
    pub(super) _leading: watch::Sender<Option<Arc<dyn Door>>>,
}

/// An answer, read.
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: String,
}

impl Reply {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.body))
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub(super) fn message(&self) -> String {
        self.json()["message"].as_str().expect("a message").to_string()
    }
}

impl World {
    pub(super) async fn new() -> World {
        Self::with(Rules::default(), true).await
    }

    pub(super) async fn with(rules: Rules, leads: bool) -> World {
        let root = Arc::new(Group::new(PathId::root(), Timestamp::from_millis(1000)));
        let view = View {
            framework_id: Some("fw-0000".into()),
            subscribed: true,
            master: None,
            root: Arc::clone(&root),
            apps: Arc::default(),
            leaving: Vec::new(),
            deployments: Arc::default(),
            queue: Vec::new(),
            root_versions: Arc::new(vec![root.version]),
            metrics: [("apps.active.gauge".into(), 0), ("deployments.counter".into(), 2)].into(),
        };
        let state = Arc::new(Mutex::new(State {
            view,
            commands: Vec::new(),
            scripted: Vec::new(),
            apps: BTreeMap::new(),
            roots: [(root.version, root)].into(),
            abdications: 0,
        }));
        let door: Arc<dyn Door> = Arc::new(Fake(Arc::clone(&state)));
        let (leading, receiver) = watch::channel(leads.then_some(door));
        let identity = Identity {
            hostname: "m1.example".into(),
            http_port: 8080,
            config: serde_json::Map::new(),
        };
        let hub = Hub::default();
        let api = Api::new(receiver, identity, rules, hub.clone(), Clock::default());
        let listener = bind("127.0.0.1:0".parse().expect("an address"), "--http_port").await;
        let face = face(api, &Realm::open("Mesosphere"));
        let server = Server::new("marathon", face);
        let inside = server.inside();
        let running = server.start(listener.expect("bound")).expect("started");
        World { state, hub, running, inside, _leading: leading }
    }

    /// A request with more header lines.
    pub(super) async fn ask_with(&self, what: &str, headers: &str, body: &str) -> Reply {
        let mut socket = TcpStream::connect(self.running.address()).await.expect("connected");
        let length = body.len();
        let kind = if body.is_empty() { "" } else { "Content-Type: application/json\r\n" };
        let kind = if headers.contains("Content-Type") { "" } else { kind };
        let head = format!(
            "{what} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n{kind}{headers}\
             Content-Length: {length}\r\n\r\n{body}"
        );
        socket.write_all(head.as_bytes()).await.expect("sent");
        let mut all = String::new();
        let read = socket.read_to_string(&mut all);
        tokio::time::timeout(PATIENCE, read).await.expect("answered in time").expect("text");
        let (head, body) = all.split_once("\r\n\r\n").expect("an answer");
        let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).expect("a status");
        Reply { status, head: head.into(), body: body.into() }
    }

    pub(super) async fn ask(&self, what: &str, body: &str) -> Reply {
        self.ask_with(what, "", body).await
    }

    pub(super) async fn get(&self, path: &str) -> Reply {
        self.ask(&format!("GET {path}"), "").await
    }

    /// Makes an app, and a running task of it.
    pub(super) async fn with_task(&self, id: &str) -> String {
        let body = format!(r#"{{"id":"{id}","cmd":"sleep 100","healthChecks":[{{}}]}}"#);
        assert_eq!(self.ask("POST /v2/apps", &body).await.status, 201);
        let mut state = self.state.lock().expect("unpoisoned");
        let path = PathId::parse(id).expect("an id");
        let mut apps = BTreeMap::clone(&state.view.apps);
        let app = apps.get_mut(&path).expect("the app");
        let mut changed = AppView::clone(app);
        let instance = instance(&changed.app);
        let task = instance.task_id.to_string();
        changed.instances.push(Arc::new(instance));
        changed.counts = Counts { running: 1, healthy: 1, ..Counts::default() };
        changed.last_failure = Some(Arc::new(TaskFailure {
            app: path.clone(),
            task_id: "old".into(),
            state: TaskState::TaskFailed,
            message: "it ended".into(),
            host: "agent1".into(),
            agent_id: Some(AgentId::from("S0")),
            version: changed.app.version,
            at: Timestamp::from_millis(4000),
        }));
        *app = Arc::new(changed);
        state.view.apps = Arc::new(apps);
        task
    }

    pub(super) fn script(&self, answer: Answer) {
        self.state.lock().expect("unpoisoned").scripted.push(answer);
    }

    pub(super) fn last_command(&self) -> Command {
        self.state.lock().expect("unpoisoned").commands.last().cloned().expect("a command")
    }

    /// An app that waits, and a deployment that runs.
    pub(super) fn busy(&self, id: &str) {
        let mut state = self.state.lock().expect("unpoisoned");
        let path = PathId::parse(id).expect("an id");
        let app = Arc::clone(&state.view.apps[&path].app);
        let rejects = vec![Rejects { reason: Reason::InsufficientCpus, declined: 2, processed: 3 }];
        state.view.queue = vec![Arc::new(QueueView {
            app,
            count: 3,
            since: Timestamp::from_millis(5000),
            delayed_until: None,
            processed: 3,
            unused: 2,
            last_unused_at: Some(Timestamp::from_millis(6000)),
            last_used_at: None,
            rejects_last: rejects.clone(),
            rejects_attempt: rejects,
            last_unused_offers: Vec::new(),
            explanation: Explanation { subject: format!("app {id}"), ..Explanation::default() },
        })];
        let action = Action { action: ActionKind::ScaleApplication, app: path.clone() };
        state.view.deployments = Arc::new(vec![Arc::new(DeploymentView {
            id: DEPLOYMENT.into(),
            version: Timestamp::from_millis(2000),
            affected: vec![path],
            steps: Arc::new(vec![Step { actions: vec![action.clone()] }]),
            current_step: 1,
            current_actions: vec![ActionView {
                action,
                readiness: Vec::new(),
                waits_for: "instances".into(),
            }],
        })]);
    }
}

fn instance(app: &App) -> InstanceView {
    let id = InstanceId::new(&app.id, "9f0a2f6b-7e39-4a8e-bb43-2d1a57b7ab12");
    InstanceView {
        task_id: id.task(1),
        id,
        app: app.id.clone(),
        version: app.version,
        role: "*".into(),
        condition: Condition::Running,
        since: Timestamp::from_millis(3000),
        agent: Some(Arc::new(Placement {
            agent_id: "S0".into(),
            host: "agent1".into(),
            region: None,
            zone: None,
            attributes: Vec::new(),
        })),
        host_ports: vec![31045],
        ip_addresses: Vec::new(),
        state: Some(TaskState::TaskRunning),
        health: vec![HealthResult { alive: true, ..HealthResult::default() }],
        healthy: Some(true),
        check: None,
        ready: None,
        staged_at: Some(Timestamp::from_millis(2500)),
        started_at: Some(Timestamp::from_millis(3000)),
        being_killed: false,
    }
}

impl State {
    fn answer(&mut self, command: Command) -> Answer {
        self.commands.push(command.clone());
        if !self.scripted.is_empty() {
            return self.scripted.remove(0);
        }
        match command {
            Command::Change(change) => self.change(&change),
            Command::Kill(kill) => {
                let apps = self.view.apps.values();
                let all = apps.flat_map(|a| a.instances.iter().cloned());
                let wanted = |i: &Arc<InstanceView>| match &kill.what {
                    KillWhat::App { app, host } => {
                        let on = i.agent.as_ref().map(|a| a.host.clone());
                        i.app == *app && host.as_ref().is_none_or(|h| on.as_ref() == Some(h))
                    }
                    KillWhat::Tasks { tasks, .. } => tasks.contains(&i.task_id),
                };
                let found: Vec<_> = all.filter(wanted).collect();
                if kill.scale { self.deploying(Vec::new()) } else { Answer::Killed(found) }
            }
            Command::Cancel { deployment, force } => match deployment.as_str() {
                DEPLOYMENT if force => Answer::Done,
                DEPLOYMENT => self.deploying(Vec::new()),
                _ => Answer::NotFound(NotFound::Deployment(deployment)),
            },
            Command::ResetDelay { app } => match self.view.queue.iter().any(|q| q.app.id == app) {
                true => Answer::Done,
                false => Answer::NotFound(NotFound::Queued(app)),
            },
        }
    }

    fn deploying(&self, apps: Vec<Arc<App>>) -> Answer {
        let version = self.view.root.version;
        Answer::Deploying(Deploying { version, deployment: DEPLOYMENT.into(), apps })
    }

    fn change(&mut self, change: &Change) -> Answer {
        assert!(Arc::ptr_eq(&change.base, &self.view.root), "made on the tree that is there");
        if change.dry_run {
            let app = PathId::parse("/planned").expect("an id");
            let action = Action { action: ActionKind::StartApplication, app };
            return Answer::Planned(vec![Step { actions: vec![action] }]);
        }
        let version = Timestamp::from_millis(self.view.root.version.millis() + 1000);
        let mut root = Group::clone(&change.target);
        root.version = version;
        let (mut apps, mut new) = (BTreeMap::new(), Vec::new());
        for app in change.target.all_apps() {
            let same = change.base.app(&app.id).is_some_and(|old| old == app);
            let mut app = App::clone(app);
            if !same || change.restart.contains(&app.id) {
                app.version = version;
                root.put_app(Arc::new(app.clone()), version);
                new.push(Arc::new(app.clone()));
            }
            let app = Arc::new(app);
            self.apps.insert((app.id.clone(), app.version), Arc::clone(&app));
            let kept = self.apps.keys().rev().filter(|(id, _)| *id == app.id);
            let versions = kept.map(|(_, version)| *version).collect();
            let view = AppView {
                instances: Vec::new(),
                counts: Counts::default(),
                deployments: Vec::new(),
                last_failure: None,
                versions,
                app,
            };
            apps.insert(view.app.id.clone(), Arc::new(view));
        }
        self.view.root = Arc::new(root);
        self.view.apps = Arc::new(apps);
        self.roots.insert(version, Arc::clone(&self.view.root));
        self.view.root_versions = Arc::new(self.roots.keys().rev().copied().collect());
        self.deploying(new)
    }
}

impl Fake {
    fn see<T: Send + 'static>(&self, f: impl FnOnce(&mut State) -> T) -> Wait<'_, T> {
        let seen = self.0.lock().map(|mut state| f(&mut state));
        let seen = seen.map_err(|_| Error::new(Code::Internal, "a test has panicked"));
        Box::pin(std::future::ready(seen))
    }
}

impl Door for Fake {
    fn view(&self) -> Wait<'_, Arc<View>> {
        self.see(|state| Arc::new(state.view.clone()))
    }

    fn request(&self, command: Command) -> Wait<'_, Answer> {
        self.see(|state| state.answer(command))
    }

    fn app_version(&self, app: PathId, version: Timestamp) -> Wait<'_, Option<Arc<App>>> {
        self.see(move |state| state.apps.get(&(app, version)).cloned())
    }

    fn root_version(&self, version: Timestamp) -> Wait<'_, Option<Arc<Group>>> {
        self.see(move |state| state.roots.get(&version).cloned())
    }

    fn abdicate(&self) -> Wait<'_, ()> {
        self.see(|state| state.abdications += 1)
    }
}
