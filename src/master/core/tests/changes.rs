//! What those who watch are told: every object, as it is after the batch.

use super::super::changes::{CHANGES_MAX, Changes, Object};
use super::world::*;
use crate::mesos::v1::TaskState as S;
use std::collections::BTreeMap;

impl World {
    /// Who only listened knows what the tables have.
    pub fn audit_told(&self) -> Result<(), String> {
        let core = &self.core;
        for (object, told) in &self.told {
            let now = match object {
                Object::Agent(id) => core.agent_state(id),
                Object::Framework(id) => core.framework_state(id),
                Object::Task(framework, id) => core.task_state(framework, id),
                Object::Offer(id) => match core.offers.live.contains_key(id) {
                    true => "outstanding",
                    false => "gone",
                },
            };
            // What is forgotten for its age is no change of its state.
            let forgotten = matches!(now, "TASK_UNKNOWN")
                || (matches!(object, Object::Agent(_)) && now == "removed");
            if now != *told && !forgotten {
                return Err(format!("{object:?} is {now}, and {told} was told last"));
            }
        }
        let untold = |object: Object| match self.told.contains_key(&object) {
            true => Ok(()),
            false => Err(format!("{object:?} was never told of")),
        };
        core.agents.registered.keys().try_for_each(|id| untold(Object::Agent(id.clone())))?;
        core.offers.live.keys().try_for_each(|id| untold(Object::Offer(id.clone())))?;
        for (id, framework) in &core.frameworks.registered {
            untold(Object::Framework(id.clone()))?;
            let tasks = framework.tasks.keys();
            tasks.map(|task| Object::Task(id.clone(), task.clone())).try_for_each(untold)?;
        }
        Ok(())
    }

    /// What was told since this was asked last.
    fn news(&mut self) -> BTreeMap<Object, &'static str> {
        std::mem::take(&mut self.told)
    }
}

fn task(scheduler: &FakeScheduler, id: &str) -> Object {
    Object::Task(scheduler.id.as_str().into(), id.into())
}

#[test]
fn each_change_is_told_once_its_batch_is_over() {
    let mut w = World::new();
    let agent = w.agent("node1", "cpus:4;mem:1024");
    let of_agent = Object::Agent(agent.id.as_str().into());
    assert_eq!(w.news()[&of_agent], "active");
    let scheduler = w.scheduler(framework());
    let of_framework = Object::Framework(scheduler.id.as_str().into());
    let news = w.news();
    assert_eq!(news[&of_framework], "active");
    let offers = w.offers(&scheduler);
    let offer = Object::Offer(offers[0].id.value.as_str().into());
    assert_eq!(news[&offer], "outstanding");
    w.launch(&scheduler, &[&offers[0]], vec![task_info("t1", &offers[0], "cpus:1;mem:64")]);
    let news = w.news();
    assert_eq!((news[&task(&scheduler, "t1")], news[&offer]), ("TASK_STAGING", "gone"));
    w.report(&agent, &scheduler, "t1", S::TaskRunning, 1);
    assert_eq!(w.news()[&task(&scheduler, "t1")], "TASK_RUNNING");
    w.cut(&agent);
    assert_eq!(w.news()[&of_agent], "disconnected");
    w.teardown(&scheduler.id);
    let news = w.news();
    assert_eq!((news[&of_framework], news[&task(&scheduler, "t1")]), ("completed", "TASK_KILLED"));
}

#[test]
fn pings_are_no_news() {
    let mut w = World::new();
    w.agent("node1", "cpus:4;mem:1024");
    w.news();
    w.pass(MINUTE);
    assert_eq!(w.news(), BTreeMap::new());
}

#[test]
fn an_agent_that_is_given_up_takes_its_tasks_along() {
    let mut w = World::new();
    let agent = w.agent("node1", "cpus:4;mem:1024");
    let scheduler = w.scheduler(aware());
    w.run_task(&agent, &scheduler, "t1");
    w.mute.insert(agent.link);
    w.news();
    w.pass(HOUR);
    let news = w.news();
    assert_eq!(news[&Object::Agent(agent.id.as_str().into())], "unreachable");
    assert_eq!(news[&task(&scheduler, "t1")], "TASK_UNREACHABLE");
}

#[test]
fn more_than_can_be_told_is_told_as_that() {
    let named = |from: usize, to: usize| Changes {
        objects: (from..to)
            .map(|n| (Object::Offer(n.to_string().as_str().into()), "gone"))
            .collect(),
        overflow: false,
    };
    let mut changes = named(0, CHANGES_MAX);
    changes.merge(&named(0, 3));
    assert!(!changes.overflow, "the same objects again");
    changes.merge(&named(CHANGES_MAX, CHANGES_MAX + 1));
    assert!(changes.overflow && changes.objects.is_empty() && !changes.is_empty());
    changes.merge(&named(0, 1));
    assert!(changes.overflow && changes.objects.is_empty());
}
