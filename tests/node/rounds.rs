//! The node is killed again and again, at instants that a seed chooses, with tasks running and others on their way: started,
//! ending, and being killed.

use super::engine::{Engine, engine};
use super::scheduler::{ENDS, Scheduler, task};
use super::world::{DEADLINE, Home, Node, get, mounts_below, until};
use mesolith::base::rng::Rng;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

/// Tasks that must never notice.
const LONG: usize = 20;
/// As many of them are docker's, where there are any.
const LONG_DOCKER: usize = 5;
/// Tasks on their way at each kill.
const SHORT: usize = 3;
/// How late after they were wanted the node is killed at most, in milliseconds.
const KILL_AFTER_MS_MAX: u64 = 250;
/// The same where an engine takes its time.
const KILL_AFTER_DOCKER_MS_MAX: u64 = 1500;

fn number(name: &str, or: u64) -> u64 {
    std::env::var(name).ok().map_or(or, |text| text.parse().expect("a number"))
}

fn in_docker(mut task: Value, shown: &Path) -> Value {
    task["container"] = json!({
        "type": "DOCKER",
        "docker": {"image": "centos"},
        "volumes": [{"host_path": shown, "container_path": shown, "mode": "RW"}],
    });
    task
}

fn long(id: &str) -> bool {
    id.starts_with("long")
}

#[test]
fn killed_again_and_again_no_task_and_no_update_is_lost() {
    // covers: MES-0375
    Rounds::new(None).run(number("MESOLITH_KILL_ROUNDS", 8));
}

#[test]
fn killed_again_and_again_no_docker_task_is_lost_either() {
    let test = "killed_again_and_again_no_docker_task_is_lost_either";
    let Some(engine) = engine(test) else { return };
    Rounds::new(Some(engine)).run(number("MESOLITH_KILL_ROUNDS", 4));
}

/// Its launch died with the master that was asked for it: to kill it is to be told that there is none.
fn lost_on_the_way(states: &[&str]) -> bool {
    !states.is_empty() && states.iter().all(|state| *state == "TASK_UNKNOWN")
}

struct Rounds {
    home: Home,
    engine: Option<&'static Engine>,
    rng: Rng,
    kill_after_ms: u64,
}

impl Rounds {
    fn new(engine: Option<&'static Engine>) -> Self {
        let seed = number("MESOLITH_KILL_SEED", 7);
        eprintln!("MESOLITH_KILL_SEED={seed}");
        let kill_after_ms =
            if engine.is_some() { KILL_AFTER_DOCKER_MS_MAX } else { KILL_AFTER_MS_MAX };
        Self { home: Home::new(), engine, rng: Rng::new(seed), kill_after_ms }
    }

    fn up(&self) -> Node {
        let mut flags = vec![
            "--max_completed_tasks_per_framework=1000".to_string(),
            format!("--cgroups_root={}", self.cgroup()),
        ];
        if let Some(engine) = self.engine {
            flags.push("--containerizers=docker,mesos".into());
            flags.push(format!("--docker-socket={}", engine.socket.display()));
        }
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        self.home.up_with(&flags).with_agent()
    }

    fn cgroup(&self) -> String {
        let kind = if self.engine.is_some() { "docker" } else { "mesos" };
        format!("mesolith-rounds-{kind}-{}", std::process::id())
    }

    /// What short tasks write down when they run.
    fn ran(&self) -> std::path::PathBuf {
        self.home.beside("ran").join("names")
    }

    /// All that must never notice, running.
    fn sleeping(&self, node: &Node) -> (Scheduler, usize) {
        let count = LONG + self.engine.map_or(0, |_| LONG_DOCKER);
        let mut scheduler = Scheduler::subscribe("sleepers", &node.master);
        let tasks = (0..count).map(|n| {
            let task = task(&format!("long{n}"), &self.home.long(n));
            if n < LONG { task } else { in_docker(task, &self.home.beside("ran")) }
        });
        scheduler.launch(tasks.collect());
        scheduler.until("all tasks run", |s| {
            (0..count).all(|n| !s.updates_of(&format!("long{n}"), "TASK_RUNNING").is_empty())
        });
        until("their commands run", || self.home.sleepers().len() == count);
        (scheduler, count)
    }

    /// Tasks of a round: short ones, and one that sleeps until it is killed.
    fn tasks(&self, round: u64) -> Vec<Value> {
        let short = |n| {
            let name = format!("short{round}-{n}");
            let task = task(&name, &format!("echo {name} >> {}", self.ran().display()));
            match self.engine {
                Some(_) if n == 0 => in_docker(task, &self.home.beside("ran")),
                _ => task,
            }
        };
        let kept = task(&format!("kept{round}"), "sleep 1000");
        let kept = match self.engine {
            Some(_) if round.is_multiple_of(2) => in_docker(kept, &self.home.beside("ran")),
            _ => kept,
        };
        (0..SHORT).map(short).chain([kept]).collect()
    }

    fn run(mut self, rounds: u64) {
        std::fs::create_dir(self.home.beside("ran")).unwrap();
        let mut node = self.up();
        let (mut scheduler, count) = self.sleeping(&node);
        let before = self.home.sleepers();
        for round in 0..rounds {
            scheduler.launch(self.tasks(round));
            if round > 0 {
                scheduler.kill(&format!("kept{}", round - 1));
            }
            scheduler.handle_for(Duration::from_millis(self.rng.below(self.kill_after_ms)));
            node.kill9();
            node = self.up();
            assert_eq!(self.home.sleepers(), before, "round {round}: the same processes");
            let state = node.state();
            let live = state["frameworks"][0]["tasks"].as_array().unwrap();
            let live = live.iter().filter(|t| long(t["id"].as_str().unwrap()));
            assert_eq!(live.count(), count, "round {round}: all are in /state");
            scheduler.resubscribe(&node.master);
        }
        // A task of which the master knew nothing yet when it died is asked about, as frameworks must, and what is to be
        // killed is told again.
        scheduler.reconcile();
        let since = Instant::now();
        loop {
            scheduler.handle_for(Duration::from_millis(50));
            let ends = scheduler.ends();
            let open = ends.iter().filter(|(id, ends)| !long(id) && ends.is_empty());
            let open = open.filter(|(id, _)| !lost_on_the_way(&scheduler.states(id)));
            let open: Vec<_> = open.map(|(id, _)| (id.clone(), scheduler.states(id))).collect();
            let kept = open.iter().filter(|(id, _)| id.starts_with("kept"));
            kept.for_each(|(id, _)| scheduler.kill(id));
            if open.is_empty() {
                break;
            }
            assert!(since.elapsed() < DEADLINE, "{open:?} do not end: {:#}", node.state());
        }
        for (id, ends) in scheduler.ends() {
            let one = !long(&id) && !lost_on_the_way(&scheduler.states(&id));
            assert_eq!(ends.len(), usize::from(one), "{id}: {ends:?}");
        }
        self.each_ran_once(&scheduler, rounds);
        node = self.nothing_more_to_tell(node, &mut scheduler, count);
        assert_eq!(self.home.sleepers(), before);
        self.nothing_is_left(node);
    }

    fn each_ran_once(&self, scheduler: &Scheduler, rounds: u64) {
        let mut starts: BTreeMap<String, u32> = BTreeMap::new();
        for line in std::fs::read_to_string(self.ran()).unwrap_or_default().lines() {
            *starts.entry(line.to_string()).or_default() += 1;
        }
        for (id, times) in &starts {
            assert_eq!(*times, 1, "{id} was started more than once");
            assert!(scheduler.has_ended(id), "{id} ran and its end was not told");
        }
        let ends = scheduler.ends();
        let finished = ends.values().filter(|e| e.contains("TASK_FINISHED")).count();
        eprintln!("{} of {} ran, {finished} finished", starts.len(), rounds as usize * SHORT);
        for (id, ends) in ends {
            assert!(!ends.contains("TASK_FINISHED") || starts.contains_key(&id), "{id} never ran");
        }
    }

    fn nothing_more_to_tell(
        &self,
        mut node: Node,
        scheduler: &mut Scheduler,
        count: usize,
    ) -> Node {
        // All was acknowledged. The master's 202 says only that an acknowledgement is on its way; what a later task comes to
        // is told after the agent has taken those before it.
        scheduler.launch(vec![task("settle", "true")]);
        scheduler.until("the settling task ends", |s| s.has_ended("settle"));
        // What was acknowledged just before a kill may have been lost with it, and comes again after a while.
        until("the agent has nothing more to tell", || {
            scheduler.handle_for(Duration::from_millis(20));
            let state = get(&node.agent, "/state");
            let frameworks = state["frameworks"].as_array().unwrap();
            frameworks[0]["executors"].as_array().unwrap().len() == count
        });
        // The next node has nothing of them to tell.
        node.kill9();
        node = self.up();
        let seen = scheduler.updates.len();
        scheduler.resubscribe(&node.master);
        scheduler.launch(vec![task("last", "true")]);
        scheduler.until("a last task ends", |s| s.has_ended("last"));
        let late = scheduler.updates[seen..].iter().filter(|u| {
            let ended = ENDS.iter().any(|e| u["state"] == *e);
            let id = u["task_id"]["value"].as_str().unwrap_or_default();
            ended && (id.starts_with("short") || id.starts_with("kept"))
        });
        assert_eq!(late.count(), 0, "{:#?}", &scheduler.updates[seen..]);
        node
    }

    /// No process, cgroup, mount or container of the engine's outlives the last node and its tasks.
    fn nothing_is_left(&self, node: Node) {
        let made = |name: &str| {
            self.engine
                .map(|engine| engine.docker(&["ps", "-aq", "--filter", name]))
                .unwrap_or_default()
        };
        let own = format!("volume={}", self.home.beside("ran").display());
        if self.engine.is_some() {
            assert_eq!(made(&own).lines().count(), LONG_DOCKER, "those that run, and no other");
        }
        self.home.down(&["--kill"]).ended(0);
        node.ended().ended(0);
        until("the supervisor ends", || self.home.supervisor().is_none());
        assert_eq!(self.home.sleepers(), BTreeMap::new());
        assert_eq!(mounts_below(&self.home.data()), Vec::<String>::new());
        let hierarchies = std::fs::read_dir("/sys/fs/cgroup").unwrap().flatten();
        let left = hierarchies.map(|h| h.path().join(self.cgroup())).filter(|dir| dir.exists());
        assert_eq!(left.collect::<Vec<_>>(), Vec::<std::path::PathBuf>::new());
        until("the engine has none", || made(&own).is_empty());
    }
}
