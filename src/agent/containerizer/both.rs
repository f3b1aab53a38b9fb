//! The supervisor's containers and those of the docker engine behind one door: each call goes to whose the container is.

use super::docker::Docker;
use super::record::{Capabilities, ExecOutcome, Found, Joined, Scope, Usage};
use super::spec::{ContainerSpec, Limits};
use super::{
    Answer, Attached, Containerizer, Event, ExecRequest, Measured, Session, SessionRequest,
};
use crate::base::ids::ContainerId;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Both. What is not known to the docker containerizer is the supervisor's.
pub struct Both {
    supervised: Arc<dyn Containerizer>,
    docker: Docker,
}

impl Both {
    /// Of the two.
    pub fn new(supervised: Arc<dyn Containerizer>, docker: Docker) -> Self {
        Self { supervised, docker }
    }

    fn of(&self, id: &ContainerId) -> &dyn Containerizer {
        if self.docker.knows(id) { &self.docker } else { &*self.supervised }
    }
}

impl Containerizer for Both {
    fn probe(&self) -> Answer<'_, Capabilities> {
        self.supervised.probe()
    }

    fn recover(&self) -> Answer<'_, Vec<Found>> {
        Box::pin(async {
            let mut found = self.supervised.recover().await?;
            match self.docker.recover().await {
                Ok(more) => found.extend(more),
                // What it has is looked at when it answers.
                Err(e) => tracing::info!("no docker containers: {e}"),
            }
            Ok(found)
        })
    }

    fn create(&self, spec: ContainerSpec) -> Answer<'_, ()> {
        self.supervised.create(spec)
    }

    fn start(&self, id: &ContainerId) -> Answer<'_, i32> {
        self.of(id).start(id)
    }

    fn signal(&self, id: &ContainerId, signal: i32, scope: Scope) -> Answer<'_, ()> {
        self.of(id).signal(id, signal, scope)
    }

    fn destroy(&self, id: &ContainerId) -> Answer<'_, ()> {
        self.of(id).destroy(id)
    }

    fn resize(&self, id: &ContainerId, limits: Limits) -> Answer<'_, ()> {
        self.of(id).resize(id, limits)
    }

    fn usage(&self, id: &ContainerId) -> Answer<'_, Usage> {
        self.of(id).usage(id)
    }

    fn usages(&self, ids: Vec<ContainerId>) -> Answer<'_, BTreeMap<ContainerId, Measured>> {
        let (docker, supervised) = ids.into_iter().partition(|id| self.docker.knows(id));
        Box::pin(async {
            let both = tokio::join!(self.docker.usages(docker), self.supervised.usages(supervised));
            let mut all = both.0?;
            all.append(&mut both.1?);
            Ok(all)
        })
    }

    fn exec(&self, id: &ContainerId, request: ExecRequest) -> Answer<'_, ExecOutcome> {
        self.of(id).exec(id, request)
    }

    fn session(&self, id: &ContainerId, request: SessionRequest) -> Answer<'_, Session> {
        self.of(id).session(id, request)
    }

    fn attach(&self, id: &ContainerId) -> Answer<'_, Attached> {
        self.of(id).attach(id)
    }

    fn forget(&self, id: &ContainerId) -> Answer<'_, ()> {
        self.of(id).forget(id)
    }

    /// The supervisor's; the docker containerizer has its own.
    fn events(&self) -> Option<mpsc::Receiver<Event>> {
        self.supervised.events()
    }

    fn network(&self, id: &ContainerId) -> Option<i32> {
        self.of(id).network(id)
    }

    fn processes(&self, id: &ContainerId) -> Vec<i32> {
        self.of(id).processes(id)
    }

    fn joined(&self, id: &ContainerId) -> Vec<Joined> {
        self.of(id).joined(id)
    }
}
