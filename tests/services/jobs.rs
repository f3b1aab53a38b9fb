//! Jobs over the wire: on time, after each other, by hand; and through the loss of every process.

use super::wire::{self, Answer};
use super::world::{Form, World, until};
use crate::in_both_forms;
use mesolith::base::rng::Rng;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const ROUNDS: u64 = 3;

async fn ask(world: &World, method: &str, path: &str, body: Value) -> Answer {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let json = [("content-type", "application/json")];
    wire::ask(&world.chronos, method, path, &json, body).await
}

/// A schedule that began an hour ago.
fn every_second() -> String {
    let start = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(1);
    format!("R/{start:.0}/PT1S")
}

async fn history(
    world: &World,
    job: &str,
    what: &str,
    so: impl Fn(&[Value]) -> bool,
) -> Vec<Value> {
    let path = format!("/mesolith/v1/jobs/{job}");
    let seen = until(&world.chronos, &path, what, |seen| {
        seen["history"].as_array().is_some_and(|rows| so(rows))
    });
    seen.await["history"].as_array().unwrap().clone()
}

fn is(row: &Value, outcome: &str) -> bool {
    row["outcome"] == outcome
}

/// Whether a job that runs every second has a row for each planned time between its first and its last.
fn is_gapless(rows: &[Value]) -> bool {
    let planned = rows.iter().filter(|row| row["cause"] == "planned");
    let planned: BTreeSet<i64> = planned.map(|row| row["due"].as_i64().unwrap()).collect();
    // The very first run is due when the job is registered, the next ones at the second.
    let planned: Vec<i64> = planned.into_iter().skip(1).collect();
    planned.windows(2).all(|pair| pair[1] - pair[0] == 1000)
}

async fn on_time_after_each_other_and_by_hand(form: Form) {
    let world = World::start(form);
    let tick = json!({"schedule": every_second(), "name": "tick", "command": "date", "cpus": 0.1, "mem": 32});
    let registered = ask(&world, "POST", "/scheduler/iso8601", tick).await;
    assert_eq!(registered.status, 204, "{}", registered.text());
    let after =
        json!({"parents": ["tick"], "name": "after", "command": "true", "cpus": 0.1, "mem": 32});
    let registered = ask(&world, "POST", "/v1/scheduler/dependency", after).await;
    assert_eq!(registered.status, 204, "{}", registered.text());
    let rows = history(&world, "tick", "four runs are over", |rows| rows.len() >= 4).await;
    assert!(rows.iter().all(|row| is(row, "success")), "{rows:#?}");
    assert!(is_gapless(&rows), "{rows:#?}");
    history(&world, "after", "two runs have followed", |rows| {
        rows.iter().filter(|row| is(row, "success") && row["cause"] == "triggered").count() >= 2
    })
    .await;
    let known = wire::get(&world.chronos, "/mesolith/v1/jobs/tick").await;
    assert!(known["earlier"]["notPlanned"].as_u64() >= Some(3599), "{known:#}");
    assert_eq!(ask(&world, "PUT", "/scheduler/job/tick", Value::Null).await.status, 204);
    history(&world, "tick", "it has run by hand", |rows| {
        rows.iter().any(|row| row["cause"] == "forced" && is(row, "success"))
    })
    .await;
    let csv = ask(&world, "GET", "/scheduler/graph/csv", Value::Null).await;
    assert!(csv.text().contains("link,tick,after"), "{}", csv.text());
    for name in ["tick", "after"] {
        let path = format!("/scheduler/job/{name}");
        assert_eq!(ask(&world, "DELETE", &path, Value::Null).await.status, 204);
    }
    assert_eq!(wire::get(&world.chronos, "/scheduler/jobs").await, json!([]));
}

async fn bad_jobs_are_refused_and_leave_nothing(form: Form) {
    let world = World::start(form);
    let bad = [
        (
            "/scheduler/iso8601",
            json!({"name": "a", "command": "x", "schedule": "R/never/PT1S"}),
            "schedule",
        ),
        (
            "/scheduler/iso8601",
            json!({"name": "a", "command": "x", "schedule": "R//PT0S"}),
            "schedule",
        ),
        (
            "/v1/scheduler/iso8601",
            json!({"name": "a b", "command": "x", "schedule": "R//PT1S"}),
            "name",
        ),
        (
            "/scheduler/dependency",
            json!({"name": "a", "command": "x", "parents": ["none"]}),
            "parents",
        ),
        (
            "/scheduler/dependency",
            json!({"name": "a", "command": "x", "parents": ["a"]}),
            "parents",
        ),
        (
            "/scheduler/iso8601",
            json!({"name": "a", "command": "x", "schedule": "R//PT1S", "cpus": -1}),
            "cpus",
        ),
    ];
    for (path, job, field) in bad {
        let refused = ask(&world, "POST", path, job.clone()).await;
        assert_eq!(refused.status, 400, "{job}: {}", refused.text());
        let told: Value = serde_json::from_slice(&refused.body).unwrap();
        assert!(told["message"].is_string() && told["status"].is_string(), "{told}");
        assert_eq!(told["field"], field, "{job}: {told}");
    }
    assert_eq!(wire::get(&world.chronos, "/scheduler/jobs").await, json!([]));
}

async fn no_run_is_lost_or_doubled_by_losing_every_process(form: Form) {
    let rounds = std::env::var("MESOLITH_KILL_ROUNDS").ok().and_then(|n| n.parse().ok());
    let rounds: u64 = rounds.unwrap_or(ROUNDS);
    let mut rng = Rng::new(rounds ^ u64::from(std::process::id()));
    let mut world = World::start(form);
    let ran = world.data().parent().unwrap().join("ran");
    std::fs::write(&ran, "").unwrap();
    let command = format!("echo $MESOS_TASK_ID >> {}; sleep 0.3", ran.display());
    let job = json!({"schedule": every_second(), "name": "kept", "command": command, "cpus": 0.1,
        "mem": 32, "runAsUser": "root"});
    let registered = ask(&world, "POST", "/scheduler/iso8601", job).await;
    assert_eq!(registered.status, 204, "{}", registered.text());
    for round in 0..rounds {
        tokio::time::sleep(rng.up_to(Duration::from_millis(1500))).await;
        world.crash();
        let before = history(&world, "kept", "it is known", |_| true).await.len();
        history(&world, "kept", &format!("round {round}: it goes on"), |rows| {
            rows.len() > before + 1
        })
        .await;
    }
    // A run whose task was never started is launched anew after a while; a later one may be over before it.
    let rows = history(&world, "kept", "every run is over", is_gapless).await;
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for id in std::fs::read_to_string(&ran).unwrap().lines() {
        *counts.entry(id.to_string()).or_default() += 1;
    }
    assert!(counts.values().all(|n| *n == 1), "a task has run twice: {counts:#?}");
    let mut dues = BTreeSet::new();
    for row in &rows {
        assert!(dues.insert(row["due"].as_i64().unwrap()), "two rows of one run: {row:#}");
        // Seconds of absence are far below the tolerance of a minute.
        assert!(is(row, "success"), "{row:#}");
        let task = row["taskId"].as_str().unwrap();
        assert_eq!(counts.get(task), Some(&1), "{row:#}");
    }
}

in_both_forms!(
    on_time_after_each_other_and_by_hand,
    bad_jobs_are_refused_and_leave_nothing,
    no_run_is_lost_or_doubled_by_losing_every_process,
);
