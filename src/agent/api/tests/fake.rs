//! Containers that are none: what was asked of them is kept, what they answer is set by a test.

use crate::agent::containerizer::{
    Answer, Capabilities, ContainerSpec, Containerizer, Event, ExecOutcome, ExecRequest,
    ExitRecord, Found, Limits, Measured, Scope, Usage,
};
use crate::base::ids::ContainerId;
use crate::base::time::Wall;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use tokio::sync::{Semaphore, mpsc};

/// When containers are looked at.
pub const LOOKED: Wall = Wall(1_750_000_000_500_000_000);
/// The pid of every container.
pub const PID: i32 = 4242;

pub struct Fake {
    pub specs: Mutex<Vec<ContainerSpec>>,
    pub execs: Mutex<Vec<(ContainerId, ExecRequest)>>,
    /// The raw wait status of the next command run in a container; none: it takes too long.
    pub exec_status: Mutex<Option<i32>>,
    /// Whoever wants to know what containers use takes one of these first; none: at once.
    pub gate: Mutex<Option<Arc<Semaphore>>>,
    /// Containers that have ended when they are looked at, though that was not told yet.
    pub ended: Mutex<BTreeSet<ContainerId>>,
    /// The containers of each time that was wanted.
    pub looks: Mutex<Vec<Vec<ContainerId>>>,
    running: Mutex<Vec<ContainerId>>,
    tell: mpsc::Sender<Event>,
    events: Mutex<Option<mpsc::Receiver<Event>>>,
}

impl Default for Fake {
    fn default() -> Self {
        let (tell, events) = mpsc::channel(1024);
        Self {
            specs: Mutex::default(),
            execs: Mutex::default(),
            exec_status: Mutex::default(),
            gate: Mutex::default(),
            ended: Mutex::default(),
            looks: Mutex::default(),
            running: Mutex::default(),
            tell,
            events: Mutex::new(Some(events)),
        }
    }
}

impl Fake {
    /// Whether a container runs.
    pub fn runs(&self) -> bool {
        !self.running.lock().expect("whole").is_empty()
    }

    fn end(&self, id: &ContainerId, status: i32) {
        let mut running = self.running.lock().expect("whole");
        if let Some(at) = running.iter().position(|r| r == id) {
            running.remove(at);
            let record = ExitRecord { status: Some(status), oom: None, pids: None, at: Wall(1) };
            self.tell.try_send(Event::Exited { id: id.clone(), record }).expect("room");
        }
    }
}

fn good<T: Send + 'static>(value: T) -> Answer<'static, T> {
    Box::pin(std::future::ready(Ok(value)))
}

impl Containerizer for Fake {
    fn probe(&self) -> Answer<'_, Capabilities> {
        good(Capabilities {
            mesos: false,
            user_namespace: false,
            isolators: vec![],
            cgroups: None,
            missing: vec![],
        })
    }

    fn recover(&self) -> Answer<'_, Vec<Found>> {
        good(Vec::new())
    }

    fn create(&self, spec: ContainerSpec) -> Answer<'_, ()> {
        self.specs.lock().expect("whole").push(spec);
        good(())
    }

    fn start(&self, id: &ContainerId) -> Answer<'_, i32> {
        self.running.lock().expect("whole").push(id.clone());
        good(PID)
    }

    fn signal(&self, id: &ContainerId, signal: i32, _scope: Scope) -> Answer<'_, ()> {
        self.end(id, signal);
        good(())
    }

    fn destroy(&self, id: &ContainerId) -> Answer<'_, ()> {
        self.end(id, libc::SIGKILL);
        good(())
    }

    fn resize(&self, _id: &ContainerId, _limits: Limits) -> Answer<'_, ()> {
        good(())
    }

    fn usage(&self, _id: &ContainerId) -> Answer<'_, Usage> {
        good(Usage {
            cpu_user_secs: 1.5,
            cpu_system_secs: 0.5,
            mem_total_bytes: 4096,
            mem_rss_bytes: 2048,
            processes: 2,
            threads: 3,
            ..Usage::default()
        })
    }

    fn usages(&self, ids: Vec<ContainerId>) -> Answer<'_, BTreeMap<ContainerId, Measured>> {
        self.looks.lock().expect("whole").push(ids.clone());
        let gate = self.gate.lock().expect("whole").clone();
        Box::pin(async move {
            if let Some(gate) = gate {
                gate.acquire().await.expect("open").forget();
            }
            let mut all = BTreeMap::new();
            for id in ids {
                let ended = self.ended.lock().expect("whole").contains(&id);
                if !ended {
                    let usage = self.usage(&id).await?;
                    all.insert(id, Measured { usage, at: LOOKED });
                }
            }
            Ok(all)
        })
    }

    fn exec(&self, id: &ContainerId, request: ExecRequest) -> Answer<'_, ExecOutcome> {
        self.execs.lock().expect("whole").push((id.clone(), request));
        let status = *self.exec_status.lock().expect("whole");
        good(ExecOutcome { status, output: String::new(), truncated: false })
    }

    fn forget(&self, _id: &ContainerId) -> Answer<'_, ()> {
        good(())
    }

    fn events(&self) -> Option<mpsc::Receiver<Event>> {
        self.events.lock().expect("whole").take()
    }
}
