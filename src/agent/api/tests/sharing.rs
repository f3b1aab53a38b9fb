//! Whoever asks at the same moment is told the same sample, which bears the time it was taken at.

use super::fake::{Fake, LOOKED};
use super::world::{World, command, task};
use crate::agent::api::sampling::{LOOKS_MAX, Sampler};
use crate::agent::containerizer::Containerizer;
use crate::base::ids::ContainerId;
use crate::mesos::v1::TaskState;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::Semaphore;

fn ids(names: &[&str]) -> BTreeSet<ContainerId> {
    names.iter().map(|name| ContainerId::from(*name)).collect()
}

/// Containers that are looked at when permits are added.
fn closed() -> (Arc<Fake>, Arc<dyn Containerizer>, Arc<Semaphore>) {
    let (fake, gate) = (Arc::new(Fake::default()), Arc::new(Semaphore::new(0)));
    *fake.gate.lock().expect("whole") = Some(gate.clone());
    (fake.clone(), fake, gate)
}

fn looks(fake: &Fake) -> Vec<BTreeSet<ContainerId>> {
    let looks = fake.looks.lock().expect("whole");
    looks.iter().map(|ids| ids.iter().cloned().collect()).collect()
}

#[tokio::test]
async fn those_who_ask_at_the_same_moment_share_a_sample() {
    let (fake, containers, gate) = closed();
    let sampler = Sampler::default();
    // Each is polled in turn, up to where it waits.
    let (all, same, one, ()) = tokio::join!(
        sampler.look(&containers, ids(&["a", "b", "c"])),
        sampler.look(&containers, ids(&["a", "b", "c"])),
        sampler.look(&containers, ids(&["b"])),
        async { gate.add_permits(1) },
    );
    assert_eq!(looks(&fake), [ids(&["a", "b", "c"])]);
    assert_eq!(all.keys().cloned().collect::<BTreeSet<_>>(), ids(&["a", "b", "c"]));
    assert_eq!(all, same);
    assert_eq!(one.keys().cloned().collect::<BTreeSet<_>>(), ids(&["b"]));
    // It is not kept: who comes later has it looked at again.
    gate.add_permits(1);
    sampler.look(&containers, ids(&["a"])).await;
    assert_eq!(looks(&fake), [ids(&["a", "b", "c"]), ids(&["a"])]);
}

#[tokio::test]
async fn what_a_look_under_way_is_not_at_is_looked_at_beside_it() {
    let (fake, containers, gate) = closed();
    let sampler = Sampler::default();
    let (one, all, ()) = tokio::join!(
        sampler.look(&containers, ids(&["a"])),
        sampler.look(&containers, ids(&["a", "b"])),
        async { gate.add_permits(2) },
    );
    assert_eq!(looks(&fake), [ids(&["a"]), ids(&["b"])]);
    assert_eq!((one.len(), all.len()), (1, 2));
}

#[tokio::test]
async fn a_look_goes_on_when_whoever_wanted_it_goes_away() {
    let (fake, containers, gate) = closed();
    let sampler = Sampler::default();
    let mut gone = Box::pin(sampler.look(&containers, ids(&["a"])));
    assert!(futures_util::poll!(gone.as_mut()).is_pending());
    drop(gone);
    let (all, ()) =
        tokio::join!(sampler.look(&containers, ids(&["a"])), async { gate.add_permits(1) },);
    assert_eq!((looks(&fake).len(), all.len()), (1, 1));
}

#[tokio::test]
async fn there_are_only_so_many_looks_at_a_time() {
    let (fake, containers, gate) = closed();
    let sampler = Sampler::default();
    let name = |n: usize| ContainerId::from(format!("c{n}").as_str());
    let each = (0..LOOKS_MAX + 3).map(|n| sampler.look(&containers, [name(n)].into()));
    let mut all = Box::pin(futures_util::future::join_all(each));
    assert!(futures_util::poll!(all.as_mut()).is_pending());
    // Lets them come as far as they will.
    while looks(&fake).len() < LOOKS_MAX {
        tokio::task::yield_now().await;
    }
    assert!(futures_util::poll!(all.as_mut()).is_pending());
    assert_eq!(looks(&fake).len(), LOOKS_MAX);
    gate.add_permits(LOOKS_MAX + 3);
    assert!(all.await.iter().all(|seen| seen.len() == 1), "whoever waited is told in the end");
}

#[tokio::test]
async fn samples_bear_the_time_they_were_taken_at_and_what_ended_has_none() {
    let mut w = World::ready().await;
    for id in ["t1", "t2"] {
        w.run(task(id, command(true, "sleep 1000", &[])));
        w.told(id, TaskState::TaskRunning).await;
    }
    let all = w.get("/containers").await;
    let times = |all: &Value, name: &str| -> Vec<Option<f64>> {
        let all = all.as_array().expect("a list");
        all.iter().map(|one| one[name]["timestamp"].as_f64()).collect()
    };
    let taken = Some(LOOKED.secs());
    assert_eq!(times(&all, "statistics"), [taken; 2]);
    // One ends after it was listed.
    w.fake.ended.lock().expect("whole").insert(all[0]["container_id"].as_str().unwrap().into());
    let all = w.get("/containers").await;
    assert_eq!(times(&all, "statistics"), [None, taken]);
    assert_eq!(all[0].get("statistics"), None);
    let some = w.get("/monitor/statistics").await;
    assert_eq!((times(&some, "statistics"), &some[0]["executor_id"]), (vec![taken], &json!("t2")));
    let request = w.http.post(w.url("/api/v1")).header("Content-Type", "application/json");
    let request = request.body(json!({"type": "GET_CONTAINERS"}).to_string());
    let answer = request.send().await.expect("an answer").bytes().await.expect("a body");
    let answer: Value = serde_json::from_slice(&answer).expect("JSON");
    let told = &answer["get_containers"]["containers"];
    assert_eq!(times(told, "resource_statistics"), [None, taken]);
    w.stop().await;
}
