//! The node is killed again and again, at instants that a seed chooses, with tasks running and others on their way.

use super::life::sleeping;
use super::scheduler::{ENDS, task};
use super::world::{Home, get, until};
use mesolith::base::rng::Rng;
use std::collections::BTreeMap;
use std::time::Duration;

/// Tasks that must never notice.
const LONG: usize = 20;
/// Tasks on their way at each kill.
const SHORT: usize = 3;
/// How late after they were wanted the node is killed at most, in milliseconds.
const KILL_AFTER_MS_MAX: u64 = 250;

fn number(name: &str, or: u64) -> u64 {
    std::env::var(name).ok().map_or(or, |text| text.parse().expect("a number"))
}

#[test]
fn killed_again_and_again_no_task_and_no_update_is_lost() {
    // covers: MES-0375
    let (rounds, seed) = (number("MESOLITH_KILL_ROUNDS", 8), number("MESOLITH_KILL_SEED", 7));
    eprintln!("MESOLITH_KILL_ROUNDS={rounds} MESOLITH_KILL_SEED={seed}");
    let mut rng = Rng::new(seed);
    let home = Home::new();
    let up = || home.up_with(&["--max_completed_tasks_per_framework=1000"]).with_agent();
    let mut node = up();
    let mut scheduler = sleeping(&home, &node, LONG);
    let before = home.sleepers();
    let ran = home.beside("ran");
    for round in 0..rounds {
        let short = |n| {
            let name = format!("short{round}-{n}");
            task(&name, &format!("echo {name} >> {}", ran.display()))
        };
        scheduler.launch((0..SHORT).map(short).collect());
        scheduler.handle_for(Duration::from_millis(rng.below(KILL_AFTER_MS_MAX)));
        node.kill9();
        node = up();
        assert_eq!(home.sleepers(), before, "round {round}: the same processes");
        let state = node.state();
        let live = state["frameworks"][0]["tasks"].as_array().unwrap();
        let long = live.iter().filter(|t| t["id"].as_str().unwrap().starts_with("long"));
        assert_eq!(long.count(), LONG, "round {round}: all are in /state");
        scheduler.resubscribe(&node.master);
    }
    // A task of which the master knew nothing yet when it died is asked about, as frameworks must.
    scheduler.reconcile();
    scheduler.until("all are told to have ended", |s| {
        s.ends().iter().all(|(id, ends)| id.starts_with("long") || !ends.is_empty())
    });
    for (id, ends) in scheduler.ends() {
        assert_eq!(ends.len(), usize::from(!id.starts_with("long")), "{id}: {ends:?}");
    }
    let mut starts: BTreeMap<String, u32> = BTreeMap::new();
    for line in std::fs::read_to_string(&ran).unwrap_or_default().lines() {
        *starts.entry(line.to_string()).or_default() += 1;
    }
    for (id, times) in &starts {
        assert_eq!(*times, 1, "{id} was started more than once");
        assert!(scheduler.has_ended(id), "{id} ran and its end was not told");
    }
    let finished = scheduler.ends().values().filter(|e| e.contains("TASK_FINISHED")).count();
    eprintln!("{} of {} ran, {finished} finished", starts.len(), rounds as usize * SHORT);
    for (id, ends) in scheduler.ends() {
        assert!(!ends.contains("TASK_FINISHED") || starts.contains_key(&id), "{id} never ran");
    }
    // All was acknowledged. The master's 202 says only that an acknowledgement is on its way; what a later task comes to
    // is told after the agent has taken those before it.
    scheduler.launch(vec![task("settle", "true")]);
    scheduler.until("the settling task ends", |s| s.has_ended("settle"));
    // What was acknowledged just before a kill may have been lost with it, and comes again after a while.
    until("the agent has nothing more to tell", || {
        scheduler.handle_for(Duration::from_millis(20));
        let state = get(&node.agent, "/state");
        let frameworks = state["frameworks"].as_array().unwrap();
        frameworks[0]["executors"].as_array().unwrap().len() == LONG
    });
    // The next node has nothing of them to tell.
    node.kill9();
    node = up();
    let seen = scheduler.updates.len();
    scheduler.resubscribe(&node.master);
    scheduler.launch(vec![task("last", "true")]);
    scheduler.until("a last task ends", |s| s.has_ended("last"));
    let late = scheduler.updates[seen..].iter().filter(|u| {
        let ended = ENDS.iter().any(|e| u["state"] == *e);
        ended && u["task_id"]["value"].as_str().is_some_and(|id| id.starts_with("short"))
    });
    assert_eq!(late.count(), 0, "{:#?}", &scheduler.updates[seen..]);
    assert_eq!(home.sleepers(), before);
}
