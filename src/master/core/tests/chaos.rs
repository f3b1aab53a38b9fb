//! Random histories: whatever happens, the books balance, and when all is healed and ended
//! everything is offered again.

use super::super::io::Answer;
use super::maintenance;
use super::reserving::{create, destroy, reserve, reserved, unreserve, volume_of};
use super::world::*;
use crate::base::rng::Rng;
use crate::mesos::internal::RegisterAgent;
use crate::mesos::make;
use crate::mesos::v1::scheduler::{Call, call};
use crate::mesos::v1::{self, TaskState as S};
use std::collections::BTreeMap;

/// An agent with a memory of what it runs.
struct Agent {
    fake: FakeAgent,
    tasks: BTreeMap<(String, String), v1::Task>,
    remembered: Vec<v1::Resource>,
    linked: bool,
}

struct Chaos {
    w: World,
    rng: Rng,
    agents: Vec<Agent>,
    schedulers: Vec<FakeScheduler>,
    offers: Vec<(usize, v1::Offer)>,
    launched: u64,
    mark: u8,
    /// Operators reserve and make volumes, and tasks use all that is offered.
    reserving: bool,
}

const STATES: [S; 5] =
    [S::TaskRunning, S::TaskRunning, S::TaskFailed, S::TaskFinished, S::TaskKilling];

impl Chaos {
    fn new(seed: u64) -> Self {
        let mut chaos = Self {
            w: World::new(),
            rng: Rng::new(seed),
            agents: Vec::new(),
            schedulers: Vec::new(),
            offers: Vec::new(),
            launched: 0,
            mark: 0,
            reserving: false,
        };
        for n in 0..3 {
            let resources = "cpus:4;mem:1024;disk:100;ports:[31000-31010]";
            let fake = chaos.w.agent(&format!("node{n}"), resources);
            let (tasks, remembered) = (BTreeMap::new(), Vec::new());
            chaos.agents.push(Agent { fake, tasks, remembered, linked: true });
        }
        for info in [framework(), aware(), multi_role(&["a", "b"])] {
            let scheduler = chaos.w.scheduler(info);
            chaos.schedulers.push(scheduler);
        }
        let info = v1::FrameworkInfo { checkpoint: None, ..aware() };
        let scheduler = chaos.w.scheduler(info);
        chaos.schedulers.push(scheduler);
        chaos
    }

    fn pick(&mut self, of: usize) -> usize {
        self.rng.below(of as u64) as usize
    }

    /// Reads what everybody was sent.
    fn listen(&mut self) {
        for (n, scheduler) in self.schedulers.iter().enumerate() {
            for event in self.w.events(scheduler) {
                for offer in event.offers.into_iter().flat_map(|o| o.offers) {
                    self.offers.push((n, offer));
                }
                if let Some(rescind) = event.rescind {
                    self.offers.retain(|(_, offer)| offer.id != rescind.offer_id);
                }
            }
        }
        for n in 0..self.agents.len() {
            for message in self.w.inbox(&self.agents[n].fake.clone()) {
                self.obey(n, message);
            }
        }
    }

    fn obey(&mut self, n: usize, message: crate::mesos::internal::MasterMessage) {
        if let Some(checkpoint) = message.checkpoint_resources {
            self.agents[n].remembered = checkpoint.resources;
        }
        if let Some(run) = message.run_task {
            let framework = run.framework_info.id.unwrap();
            let task = v1::Task {
                framework_id: framework.clone(),
                agent_id: run.task.agent_id,
                task_id: run.task.task_id.clone(),
                resources: run.task.resources,
                state: S::TaskStaging as i32,
                ..Default::default()
            };
            self.agents[n].tasks.insert((framework.value, run.task.task_id.value), task);
        }
        if let Some(kill) = message.kill_task {
            let key = (kill.framework_id.value, kill.task_id.value);
            if let Some(task) = self.agents[n].tasks.get_mut(&key) {
                task.state = S::TaskKilled as i32;
                self.report(n, &key);
            }
        }
        if let Some(shutdown) = message.shutdown_framework {
            let id = shutdown.framework_id.value;
            self.agents[n].tasks.retain(|(framework, _), _| *framework != id);
        }
        if let Some(acknowledge) = message.acknowledge {
            let key = (acknowledge.framework_id.value, acknowledge.task_id.value);
            let ended = |t: &v1::Task| make::is_terminal(t.state());
            if self.agents[n].tasks.get(&key).is_some_and(ended) {
                self.agents[n].tasks.remove(&key);
            }
        }
        for reconcile in message.registered.into_iter().flat_map(|r| r.reconcile) {
            for status in reconcile.statuses {
                let scheduler = FakeScheduler {
                    id: reconcile.framework_id.value.clone(),
                    ..self.schedulers[0].clone()
                };
                let fake = self.agents[n].fake.clone();
                self.mark = self.mark.wrapping_add(1);
                self.w.report(&fake, &scheduler, &status.task_id.value, S::TaskDropped, self.mark);
            }
        }
    }

    /// The agent reports its task as it is, and the framework acknowledges, mostly.
    fn report(&mut self, n: usize, key: &(String, String)) {
        let Some(task) = self.agents[n].tasks.get(key) else { return };
        let (state, fake) = (task.state(), self.agents[n].fake.clone());
        let Some(scheduler) = self.schedulers.iter().find(|s| s.id == key.0).cloned() else {
            return;
        };
        self.mark = self.mark.wrapping_add(1);
        self.w.report(&fake, &scheduler, &key.1, state, self.mark);
        if self.rng.chance(3, 4) {
            self.w.acknowledge(&scheduler, &fake, &key.1, self.mark);
        }
    }

    fn launch(&mut self) {
        if self.offers.is_empty() {
            return;
        }
        let at = self.pick(self.offers.len());
        let (n, offer) = self.offers.swap_remove(at);
        let mut tasks = Vec::new();
        for _ in 0..=self.pick(3) {
            self.launched += 1;
            let resources = ["cpus:1;mem:64", "cpus:3", "cpus:0.5;mem:9", "cpus:9"][self.pick(4)];
            let mut task = task_info(&format!("t{}", self.launched), &offer, resources);
            if self.reserving && self.rng.chance(1, 3) {
                task.resources.clone_from(&offer.resources);
            }
            tasks.push(task);
        }
        let scheduler = self.schedulers[n].clone();
        self.w.launch(&scheduler, &[&offer], tasks);
    }

    fn come_back(&mut self, n: usize) {
        let tasks: Vec<_> = self.agents[n].tasks.values().cloned().collect();
        let schedulers = self.schedulers.clone();
        let back = self.w.register(RegisterAgent {
            agent_info: self.agents[n].fake.info.clone(),
            tasks,
            frameworks: schedulers.iter().map(|s| s.info.clone()).collect(),
            checkpointed_resources: self.agents[n].remembered.clone(),
            ..registration()
        });
        self.agents[n].fake.link = back.link;
        self.agents[n].linked = true;
    }

    fn step(&mut self) {
        let n = self.pick(self.agents.len());
        match self.pick(16) {
            0..=3 => self.launch(),
            4..=7 => {
                let keys: Vec<_> = self.agents[n].tasks.keys().cloned().collect();
                if self.agents[n].linked && !keys.is_empty() {
                    let key = keys[self.pick(keys.len())].clone();
                    let state = STATES[self.pick(STATES.len())];
                    let task = self.agents[n].tasks.get_mut(&key).unwrap();
                    if !make::is_terminal(task.state()) {
                        task.state = state as i32;
                    }
                    self.report(n, &key);
                }
            }
            8 => {
                if !self.offers.is_empty() {
                    let (n, offer) = self.offers.swap_remove(0);
                    let scheduler = self.schedulers[n].clone();
                    self.w.decline(&scheduler, &[offer], Some(3.0));
                }
            }
            9 => {
                if self.agents[n].linked {
                    self.w.cut(&self.agents[n].fake.clone());
                    self.agents[n].linked = false;
                }
            }
            10 | 11 => self.come_back(n),
            12 => {
                let task = format!("t{}", self.rng.below(self.launched + 1));
                let s = self.pick(self.schedulers.len());
                let scheduler = self.schedulers[s].clone();
                self.w.kill(&scheduler, &task, None);
            }
            13 => {
                let s = self.pick(self.schedulers.len());
                if self.rng.chance(1, 2) {
                    self.w.hang_up(&self.schedulers[s].clone());
                }
                self.subscribe_again(s);
            }
            14 => self.disaster(n),
            _ => {
                let long = if self.rng.chance(1, 8) { 11 * MINUTE } else { 2 * SECOND };
                self.w.pass(long);
            }
        }
    }

    fn operate(&mut self) {
        let n = self.pick(self.agents.len());
        let role = ["a", "b"][self.pick(2)];
        let amount = ["cpus:1", "cpus:2;mem:100", "disk:20", "disk:10"][self.pick(4)];
        let id = ["v", "w"][self.pick(2)];
        let fake = self.agents[n].fake.clone();
        if self.w.core.agents.get(&fake.id).is_none() {
            return;
        }
        let volumes = self.w.total(&fake).persistent_volumes();
        let operation = match self.pick(5) {
            0 | 1 => reserve(&reserved(amount, role)),
            2 => unreserve(&reserved(amount, role)),
            3 => create(&volume_of(id, reserved("disk:10", role))),
            _ => destroy(&volumes.filter(|r| r.persistence_id() == Some(id))),
        };
        // Much of it cannot be.
        self.w.operator(&fake, operation);
    }

    /// Everything is as the agents' command lines say.
    fn unreserve(&mut self) {
        for n in 0..self.agents.len() {
            let fake = self.agents[n].fake.clone();
            let volumes = self.w.total(&fake).persistent_volumes();
            assert_eq!(self.w.operator(&fake, destroy(&volumes)), Answer::Accepted);
            let rest = self.w.total(&fake).checkpointed();
            assert_eq!(self.w.operator(&fake, unreserve(&rest)), Answer::Accepted);
            assert!(self.w.total(&fake).checkpointed().is_empty());
        }
    }

    fn subscribe_again(&mut self, s: usize) {
        self.offers.retain(|(n, _)| *n != s);
        self.schedulers[s] = self.w.resubscribe(&self.schedulers[s].clone());
    }

    fn disaster(&mut self, n: usize) {
        match self.pick(5) {
            0 => {
                self.offers.clear();
                self.w.fail_over();
                for agent in &mut self.agents {
                    agent.linked = false;
                }
                for s in 0..self.schedulers.len() {
                    self.subscribe_again(s);
                }
            }
            1 => {
                self.w.mute.insert(self.agents[n].fake.link);
                self.w.pass(2 * MINUTE);
                self.agents[n].linked = false;
            }
            2 => {
                let s = self.pick(self.schedulers.len());
                let scheduler = self.schedulers[s].clone();
                self.w.call(&scheduler, call::Type::Teardown, Call::default());
                self.offers.retain(|(n, _)| *n != s);
                let info = v1::FrameworkInfo { id: None, ..scheduler.info };
                self.schedulers[s] = self.w.scheduler(info);
            }
            3 => self.plan(),
            _ => {
                // The agent forgets something it ran.
                self.agents[n].tasks.pop_first();
            }
        }
    }

    /// Machines are to be away, at another time, or not any more.
    fn plan(&mut self) {
        let windows: Vec<_> = (0..self.agents.len() as i64)
            .filter(|_| self.rng.chance(1, 2))
            .map(|n| v1::maintenance::Window {
                machine_ids: vec![maintenance::named(&format!("NODE{n}"))],
                unavailability: maintenance::when(n + 1, None),
            })
            .collect();
        let plan = v1::maintenance::Schedule { windows };
        assert_eq!(maintenance::schedule(&mut self.w, plan), Answer::Done);
    }

    /// Everybody comes back, everything ends, nothing is left in use.
    fn heal(&mut self) {
        for n in 0..self.agents.len() {
            self.w.mute.clear();
            self.come_back(n);
        }
        for _ in 0..4 {
            self.listen();
        }
        for s in self.schedulers.clone() {
            self.w.call(&s, call::Type::Teardown, Call::default());
        }
        self.listen();
        self.schedulers.clear();
        self.offers.clear();
        self.unreserve();
        let last = self.w.scheduler(framework());
        let cpus: f64 = self
            .w
            .offers(&last)
            .iter()
            .flat_map(|o| &o.resources)
            .filter(|r| r.name == "cpus")
            .map(|r| r.scalar.unwrap().value)
            .sum();
        assert_eq!(cpus, 12.0, "everything is offered again");
    }
}

#[test]
fn the_same_seed_gives_the_same_history() {
    let run = || {
        let mut chaos = Chaos::new(11);
        for _ in 0..200 {
            chaos.step();
            chaos.listen();
        }
        (chaos.w.view().counters, chaos.w.registry)
    };
    assert_eq!(run(), run());
}

#[test]
fn the_books_balance_whatever_happens() {
    for seed in 0..150 {
        history(seed, false);
    }
}

#[test]
fn the_books_balance_also_while_resources_are_reserved_and_volumes_made() {
    let mut applied = 0;
    for seed in 0..150 {
        applied += history(seed, true);
    }
    assert!(applied > 1000, "{applied} operations were made");
}

/// One history; how many operations were made in it.
fn history(seed: u64, reserving: bool) -> u64 {
    let mut chaos = Chaos::new(seed);
    chaos.reserving = reserving;
    let mut applied = 0;
    for step in 0..150 {
        let before = chaos.w.counter("operations/finished");
        if reserving && step % 3 == 0 {
            chaos.operate();
        }
        chaos.step();
        chaos.listen();
        applied += chaos.w.counter("operations/finished").saturating_sub(before);
        if let Err(why) = chaos.w.audit() {
            panic!("seed {seed}, step {step}: {why}");
        }
    }
    chaos.heal();
    if let Err(why) = chaos.w.audit() {
        panic!("seed {seed}, healed: {why}");
    }
    applied
}
