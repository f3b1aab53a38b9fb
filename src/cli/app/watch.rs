//! Watching deployments until they are over. Told by Marathon's event stream; where that is lost, by asking.
//!
//! Watching changes nothing: whoever stops it leaves the deployment as it is.

use super::picture::{Counts, line};
use super::{api_path, waiting};
use crate::base::error::{Code, Result};
use crate::cli::client::Client;
use crate::cli::events::{Event, Events, next_of};
use crate::cli::exit::End;
use crate::cli::output::{list, number, text};
use crate::cli::watch::{Interrupt, Progress};
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::Instant;

/// Between two looks while nothing is told.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// Between two looks while something happens.
const LOOK_SOON: Duration = Duration::from_millis(200);
/// Without an instance more for so long, it is asked why.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a deployment that is gone may be without the event that says how it ended.
const EVENT_LATE_MAX: Duration = Duration::from_millis(500);
/// How long Marathon may not answer, while it fails over, before watching ends.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// Of at most so many apps the instances are shown.
const APPS_SHOWN_MAX: usize = 8;
/// So many different failures of tasks are shown.
const FAILURES_MAX: usize = 5;
/// What is listened to.
const EVENTS: &[(&str, &str)] = &[
    ("event_type", "event_stream_attached"),
    ("event_type", "deployment_success"),
    ("event_type", "deployment_failed"),
    ("event_type", "deployment_info"),
    ("event_type", "deployment_step_success"),
    ("event_type", "status_update_event"),
    ("event_type", "instance_health_changed_event"),
    ("plan-format", "light"),
];

/// A deployment that is not over.
#[derive(Clone, Debug, Default)]
struct Pending {
    id: String,
    version: String,
    apps: Vec<String>,
    step: Option<(u64, u64)>,
    /// Since when it is in no list.
    gone: Option<Instant>,
}

/// Deployments that are watched. Events are read only while it runs: those that come earlier wait in the connection.
pub struct Watch<'a> {
    marathon: &'a Client,
    events: Option<Events>,
    pending: Vec<Pending>,
    /// All apps that were ever affected.
    apps: BTreeSet<String>,
    end: End,
    progress: Progress,
    failures: BTreeSet<String>,
    /// What was told of apps that wait, once each.
    told: BTreeSet<String>,
    /// How many instances ran at the last look that saw more of them, and when that was.
    placed: (u64, Instant),
    answered: Instant,
    started: Instant,
}

impl<'a> Watch<'a> {
    /// Begins to listen; to be done before the change is made. Without an event stream it will ask instead.
    pub async fn begin(marathon: &'a Client) -> Self {
        let now = Instant::now();
        Self {
            marathon,
            events: marathon.events("/v2/events", EVENTS).await.ok(),
            pending: Vec::new(),
            apps: BTreeSet::new(),
            end: End::Done,
            progress: Progress::default(),
            failures: BTreeSet::new(),
            told: BTreeSet::new(),
            placed: (0, now),
            answered: now,
            started: now,
        }
    }

    /// Watches this deployment, too. `version` is what it deploys.
    pub fn add(&mut self, id: String, version: String, apps: &[String]) {
        self.apps.extend(apps.iter().cloned());
        self.pending.push(Pending { id, version, apps: apps.to_vec(), ..Pending::default() });
    }

    /// Watches until all are over, or the time is up.
    ///
    /// # Errors
    /// [`Code::Unavailable`] when Marathon does not answer any more; what it refuses.
    pub async fn run(&mut self, interrupt: &Interrupt, timeout: Option<Duration>) -> Result<End> {
        self.started = Instant::now();
        self.answered = self.started;
        self.placed.1 = self.started;
        let ids = self.pending.iter().map(|p| p.id.clone()).collect::<Vec<_>>().join(", ");
        interrupt.says(format!("stopped watching; deployment {ids} goes on"));
        let deadline = timeout.map(|t| self.started + t);
        let mut look = self.started;
        while !self.pending.is_empty() {
            tokio::select! {
                event = next_of(&mut self.events) => match event {
                    Some(event) => {
                        self.take(&event);
                        look = look.min(Instant::now() + LOOK_SOON);
                    }
                    None => self.events = None,
                },
                () = tokio::time::sleep_until(look) => {
                    self.look().await?;
                    let gone = self.pending.iter().any(|p| p.gone.is_some());
                    look = Instant::now() + if gone { LOOK_SOON } else { LOOK_INTERVAL };
                }
                () = sleep_until(deadline) => return self.time_is_up(&ids).await,
            }
        }
        self.sum_up().await;
        Ok(self.end)
    }

    /// Takes an event in.
    fn take(&mut self, event: &Event) {
        let Ok(data) = serde_json::from_str::<Value>(&event.data) else { return };
        let kind = match text(&data, "eventType") {
            kind if kind.is_empty() => event.name.clone(),
            kind => kind,
        };
        match kind.as_str() {
            "deployment_success" => self.over(&text(&data, "id"), None),
            "deployment_failed" => {
                let reason = match text(&data, "reason") {
                    reason if reason.is_empty() => "another change took its place".into(),
                    reason => reason,
                };
                self.over(&text(&data, "id"), Some(reason));
            }
            "status_update_event" => self.failure(&data),
            _ => {}
        }
    }

    /// A deployment is over; with a reason when it did not succeed.
    fn over(&mut self, id: &str, failed: Option<String>) {
        let Some(at) = self.pending.iter().position(|p| p.id == id) else { return };
        self.pending.remove(at);
        if let Some(reason) = failed {
            self.progress.say(&format!("deployment {id} was given up: {reason}"));
            self.end = self.end.worse(End::Cancelled);
        }
    }

    /// Tells of a task that failed, each kind of failure once.
    fn failure(&mut self, update: &Value) {
        let (app, state) = (text(update, "appId"), text(update, "taskStatus"));
        let failed = matches!(
            state.as_str(),
            "TASK_FAILED" | "TASK_ERROR" | "TASK_LOST" | "TASK_DROPPED" | "TASK_GONE"
        );
        if !failed || !self.apps.contains(&app) || self.failures.len() >= FAILURES_MAX {
            return;
        }
        let message = text(update, "message");
        if self.failures.insert(format!("{app} {state} {message}")) {
            let (task, host) = (text(update, "taskId"), text(update, "host"));
            self.progress.say(&format!("{state} on {host}: {message}\n  task {task}"));
        }
    }

    /// Asks how far it is.
    async fn look(&mut self) -> Result<()> {
        match self.ask().await {
            Ok(()) => {
                self.answered = Instant::now();
                if self.events.is_none() {
                    self.events = self.marathon.events("/v2/events", EVENTS).await.ok();
                }
                Ok(())
            }
            // The leader may change while the deployment goes on.
            Err(e) if matches!(e.code, Code::Unavailable | Code::Timeout) => {
                if self.answered.elapsed() > SILENCE_MAX {
                    return Err(e.context("watching ended; the deployment goes on"));
                }
                self.progress.show("Marathon does not answer; trying again");
                Ok(())
            }
            Err(e) => Err(e),
        }
    }

    async fn ask(&mut self) -> Result<()> {
        let deployments = self.marathon.get("/v2/deployments", &[("embed", "waitsFor")]).await?;
        let deployments = deployments.as_array().map_or(&[][..], Vec::as_slice);
        let mut gone = Vec::new();
        for pending in &mut self.pending {
            let Some(found) = deployments.iter().find(|d| d["id"] == pending.id.as_str()) else {
                let since = *pending.gone.get_or_insert_with(Instant::now);
                if self.events.is_none() || since.elapsed() > EVENT_LATE_MAX {
                    gone.push(pending.clone());
                }
                continue;
            };
            pending.gone = None;
            let number = |key| number(found, key) as u64;
            pending.step = Some((number("currentStep"), number("totalSteps")));
            pending.apps = list(found, "affectedApps")
                .iter()
                .filter_map(Value::as_str)
                .map(Into::into)
                .collect();
            self.apps.extend(pending.apps.iter().cloned());
        }
        for pending in gone {
            let failed = self.judge(&pending).await?;
            self.over(&pending.id, failed);
        }
        if self.pending.is_empty() {
            return Ok(());
        }
        let apps = self.counts().await?;
        let steps = match self.pending.as_slice() {
            [one] => one.step,
            _ => None,
        };
        let running: u64 = apps.iter().map(|(_, counts)| counts.running).sum();
        let missing = apps.iter().any(|(_, counts)| counts.running < counts.target);
        let mut text = line(steps, &apps);
        if self.pending.len() > 1 {
            text = format!("{} deployments · {text}", self.pending.len());
        }
        self.progress.show(&text);
        if running > self.placed.0 || !missing {
            self.placed = (running, Instant::now());
        } else if self.placed.1.elapsed() >= PATIENCE {
            self.tell_why().await?;
        }
        Ok(())
    }

    /// The apps that are affected now, as far as they are shown.
    async fn counts(&self) -> Result<Vec<(String, Counts)>> {
        let affected: BTreeSet<&String> = self.pending.iter().flat_map(|p| &p.apps).collect();
        let mut counts = Vec::new();
        if affected.len() > APPS_SHOWN_MAX {
            return Ok(counts);
        }
        for id in affected {
            match self.marathon.get(&api_path(id), &[]).await {
                Ok(answer) => counts.push((id.clone(), Counts::of(&answer["app"]))),
                // It is being removed.
                Err(e) if e.code == Code::NotFound => {}
                Err(e) => return Err(e),
            }
        }
        Ok(counts)
    }

    /// Of a deployment that is gone, and nobody told how: by what has become of its apps. Answers why it failed, if so.
    async fn judge(&self, pending: &Pending) -> Result<Option<String>> {
        for id in &pending.apps {
            let app = match self.marathon.get(&api_path(id), &[]).await {
                Ok(answer) => answer["app"].clone(),
                Err(e) if e.code == Code::NotFound => continue,
                Err(e) => return Err(e),
            };
            if let Some(reason) = verdict(&app, &pending.version) {
                return Ok(Some(reason));
            }
        }
        Ok(None)
    }

    /// Tells what is in the way, when that is something new. Answers whether it is lack of place.
    async fn tell_why(&mut self) -> Result<bool> {
        let queue = self.marathon.get("/v2/queue", &waiting::EMBED).await?;
        let mut placeless = false;
        for id in &self.apps {
            let Some(entry) = waiting::entry_of(&queue, id) else { continue };
            placeless |= waiting::lacks_place(entry);
            let key = format!("{id} {}", waiting::rules(entry).join(" "));
            if self.told.insert(key) {
                self.progress.say(&waiting::explain(entry));
            }
        }
        Ok(placeless)
    }

    async fn time_is_up(&mut self, ids: &str) -> Result<End> {
        let placeless = self.tell_why().await?;
        self.progress.say(&format!("the time is up; deployment {ids} goes on"));
        Ok(if placeless { End::NotPlaced } else { End::TimedOut })
    }

    /// Says what has come of it.
    async fn sum_up(&self) {
        let seconds = self.started.elapsed().as_secs_f64();
        if self.end != End::Done {
            return;
        }
        let mut lines = Vec::new();
        for id in self.apps.iter().take(APPS_SHOWN_MAX) {
            // What cannot be shown is no failure of what has been done.
            match self.marathon.get(&api_path(id), &[]).await {
                Ok(answer) => lines.push(format!("{id}: {}", Counts::of(&answer["app"]).words())),
                Err(e) if e.code == Code::NotFound => lines.push(format!("{id}: removed")),
                Err(_) => {}
            }
        }
        lines.push(format!("done in {seconds:.1} s"));
        self.progress.say(&lines.join("\n"));
    }
}

/// What the app says of a deployment of `version` that is over: nothing when it succeeded, else why not.
fn verdict(app: &Value, version: &str) -> Option<String> {
    let present = text(app, "version");
    if !version.is_empty() && present.as_str() > version {
        return Some(format!("{} was changed again, to version {present}", text(app, "id")));
    }
    let counts = Counts::of(app);
    (!counts.complete()).then(|| format!("{} has {}", text(app, "id"), counts.words()))
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_unseen_end_is_judged_by_the_apps() {
        let app = |version: &str, running: u32| json!({"id": "/a", "instances": 2, "tasksRunning": running, "version": version});
        assert_eq!(verdict(&app("2026-01", 2), "2026-01"), None);
        assert_eq!(verdict(&app("2026-01", 2), ""), None);
        let why = verdict(&app("2026-02", 2), "2026-01").unwrap();
        assert!(why.contains("changed again"), "{why}");
        let why = verdict(&app("2026-01", 1), "2026-01").unwrap();
        assert!(why.contains("1/2 running"), "{why}");
    }
}
