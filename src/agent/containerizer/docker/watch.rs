//! What containers do, as the engine tells it: one stream of events for all, and a look at everything when the stream is made
//! anew.

use super::inspect::{Account, wait_status};
use super::{Docker, LABEL_CONTAINER, LABEL_NODE, Shared, wall};
use crate::agent::containerizer::record::{Event, ExitRecord};
use crate::base::error::{Code, Result};
use crate::base::ids::{self, ContainerId};
use bollard::models::EventMessage;
use bollard::query_parameters::EventsOptionsBuilder;
use futures_util::StreamExt as _;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, Weak};
use std::time::{Duration, SystemTime};

/// The first pause before an engine that was lost is tried again; doubled up to the longest.
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// How far back events are asked for again, so that none is missed.
const OVERLAP: Duration = Duration::from_secs(60);
/// How long an end is held back for the last of a container's output.
const OUTPUT_MAX: Duration = Duration::from_secs(10);
/// Between two tries to learn how a container has ended.
const ACCOUNT_PAUSE: Duration = Duration::from_secs(1);

/// Runs until nobody holds the containerizer any more.
pub(super) async fn run(shared: Weak<Shared>) {
    let mut pause = PAUSE_MIN;
    loop {
        let Some(docker) = shared.upgrade().map(Docker) else { return };
        let watched = docker.watch_once().await;
        drop(docker);
        match watched {
            Ok(()) => pause = PAUSE_MIN,
            Err(e) => tracing::debug!("docker containers are not watched: {e}"),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

impl Docker {
    /// Watches over one connection.
    async fn watch_once(&self) -> Result<()> {
        let client = self.0.engine.client().await?;
        let since = SystemTime::now() - OVERLAP;
        let since = since.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let filters = HashMap::from([
            ("type", vec!["container".to_string()]),
            ("event", vec!["die".to_string()]),
            ("label", vec![format!("{LABEL_NODE}={}", self.0.settings.node)]),
        ]);
        let options =
            EventsOptionsBuilder::new().since(&since.to_string()).filters(&filters).build();
        let mut events = std::pin::pin!(client.events(Some(options)));
        // What happened before is seen by a look at everything; both are well told twice.
        self.look().await?;
        while let Some(event) = events.next().await {
            self.happened(event.map_err(|e| self.0.engine.fault(e))?).await;
        }
        Ok(())
    }

    async fn happened(&self, event: EventMessage) {
        let attributes = event.actor.and_then(|actor| actor.attributes).unwrap_or_default();
        let Some(id) = attributes.get(LABEL_CONTAINER).filter(|id| ids::check(id).is_ok()) else {
            return;
        };
        let (id, code) = (ContainerId::from(id.as_str()), attributes.get("exitCode"));
        if self.knows(&id) {
            self.end(id, code.and_then(|code| code.parse().ok()));
        } else {
            // Its processes were ended without the engine, which is back.
            self.stray(&id).await;
        }
    }

    /// Compares what the engine has with what is known here.
    async fn look(&self) -> Result<()> {
        let there = self.list().await?;
        for (id, ended) in &there {
            if !self.knows(id) {
                self.stray(id).await;
            } else if *ended {
                self.end(id.clone(), None);
            }
        }
        let mut gone = self.0.started();
        gone.retain(|id| !there.iter().any(|(other, _)| other == id));
        for id in gone {
            self.end(id, None);
        }
        Ok(())
    }

    /// One left over from when the engine could not be asked: the agent hears of it if it is still there.
    async fn stray(&self, id: &ContainerId) {
        // It may have been removed since the look.
        if self.account(id).await.is_ok() {
            self.0.known().entry(id.clone()).or_default();
            // Nobody listens any more when this fails.
            let _ = self.0.tell.send(Event::Stray { id: id.clone() }).await;
        }
    }

    /// Tells that a container has ended, once, after its output was read. With an exit code it is known to have.
    pub(super) fn end(&self, id: ContainerId, code: Option<i32>) {
        let Some(output) = self.0.ending(&id) else { return };
        let docker = self.clone();
        tokio::spawn(async move {
            if let Some(mut output) = output {
                // It ends by itself; the limit is for an engine that does not let go of it.
                let _ = tokio::time::timeout(OUTPUT_MAX, output.wait_for(|done| *done)).await;
            }
            let Some(record) = docker.how(&id, code).await else {
                return docker.0.goes_on(&id);
            };
            if docker.0.ended(&id, record.clone()) {
                // Nobody listens any more when this fails.
                let _ = docker.0.tell.send(Event::Exited { id, record }).await;
            }
        });
    }

    /// How a container has ended; none if it has not.
    async fn how(&self, id: &ContainerId, code: Option<i32>) -> Option<ExitRecord> {
        loop {
            match self.account(id).await {
                Ok(account) if account.has_ended() => return Some(account.exit(wall())),
                Ok(_) if code.is_none() => return None,
                Err(e) if e.code != Code::NotFound && code.is_none() => {
                    tracing::debug!("how container {id} has ended is not known yet: {e}");
                }
                _ => {
                    let status = code.map(wait_status);
                    return Some(ExitRecord { status, oom: None, pids: None, at: wall() });
                }
            }
            tokio::time::sleep(ACCOUNT_PAUSE).await;
            if !self.knows(id) {
                return None;
            }
        }
    }

    /// What the engine says of a container.
    pub(super) async fn account(&self, id: &ContainerId) -> Result<Account> {
        let name = crate::agent::core::docker::name(id);
        let json = self.0.engine.get(&format!("/containers/{name}/json")).await?;
        Account::read(json).ok_or_else(|| {
            crate::base::error::Error::new(Code::Corrupt, "the docker engine's answer is no JSON")
        })
    }
}

/// Begins to watch, once.
pub(super) fn begin(shared: &Arc<Shared>) {
    if !shared.watching.swap(true, std::sync::atomic::Ordering::Relaxed) {
        let work = tokio::spawn(run(Arc::downgrade(shared)));
        *shared.watch.lock().unwrap_or_else(PoisonError::into_inner) = Some(work.abort_handle());
    }
}
