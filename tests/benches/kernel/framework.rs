//! The framework that launches: the v1 scheduler API over HTTP, with the project's own port.

use crate::Result;
use crate::stamp::{Stamps, now};
use mesolith::base::resources::Resources;
use mesolith::framework::http::HttpOptions;
use mesolith::framework::scheduler::{Endpoint, Port, PortEvent, PortEvents, Subscriber, Timing};
use mesolith::mesos::convert::{Format, resources_from_v1, resources_to_v1};
use mesolith::mesos::make::is_terminal;
use mesolith::mesos::v1::{
    CommandInfo, Filters, FrameworkInfo, Offer, TaskId, TaskInfo, TaskState, TaskStatus,
};
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// How long the next event that is waited for may take.
const WITHIN: Duration = Duration::from_secs(60);
/// What one task takes.
const TASK: &str = "cpus:0.1;mem:64";

/// How many acknowledgements are under way at a time.
const ACKNOWLEDGEMENTS_MAX: usize = 64;

/// A subscribed framework.
pub struct Framework {
    /// Its calls.
    pub port: Port,
    events: PortEvents,
    offers: VecDeque<Offer>,
    /// When each task was first told to be in a state.
    pub seen: BTreeMap<(String, i32), u64>,
    /// How many tasks were seen in a state.
    pub counts: BTreeMap<i32, usize>,
    wanted: Resources,
    turns: Arc<Semaphore>,
    acknowledging: JoinSet<()>,
}

impl Framework {
    /// Subscribes; tries again every few milliseconds until somebody leads.
    pub async fn subscribe(master: SocketAddr) -> Result<Self> {
        Self::subscribe_as(master, false).await
    }

    /// The same; with `checkpoint`, its tasks outlive their agent.
    pub async fn subscribe_as(master: SocketAddr, checkpoint: bool) -> Result<Self> {
        let info = FrameworkInfo {
            checkpoint: Some(checkpoint),
            user: "root".into(),
            name: "bench".into(),
            roles: vec!["*".into()],
            capabilities: vec![multi_role()],
            ..Default::default()
        };
        let timing = Timing { wait_first: Duration::from_millis(5), ..Timing::default() };
        let endpoint = Endpoint::http(HttpOptions::new([master.to_string()]))?;
        let (port, events) = endpoint.connect_with(Subscriber::new(info, Vec::new()), timing);
        let wanted = Resources::parse(TASK, "*")?;
        let (offers, seen, counts) = Default::default();
        let (turns, acknowledging) =
            (Arc::new(Semaphore::new(ACKNOWLEDGEMENTS_MAX)), JoinSet::new());
        Ok(Self { port, events, offers, seen, counts, wanted, turns, acknowledging })
    }

    /// Ends it with all that it launched, once all it saw is acknowledged.
    pub async fn end(mut self) -> Result<()> {
        while self.acknowledging.join_next().await.is_some() {}
        Ok(self.port.teardown().await?)
    }

    /// Takes the next event in; acknowledges what wants it.
    pub async fn step(&mut self) -> Result<()> {
        let event = tokio::time::timeout(WITHIN, self.events.next()).await;
        match event.map_err(|_| "the master is silent")? {
            Some(PortEvent::Event(event)) => {
                if let Some(offers) = &event.offers {
                    self.offers.extend(offers.offers.iter().cloned());
                }
                if let Some(rescind) = &event.rescind {
                    self.offers.retain(|offer| offer.id != rescind.offer_id);
                }
                if let Some(update) = &event.update {
                    self.saw(&update.status);
                    let (port, status) = (self.port.clone(), update.status.clone());
                    let turn = self.turns.clone();
                    while self.acknowledging.try_join_next().is_some() {}
                    self.acknowledging.spawn(async move {
                        // More at a time the port would refuse, and the update come again only after seconds.
                        let _turn = turn.acquire_owned().await;
                        if let Err(e) = port.acknowledge(&status).await {
                            eprintln!("an acknowledgement was lost: {e}");
                        }
                    });
                }
                Ok(())
            }
            Some(PortEvent::Failed(error)) => Err(error.into()),
            Some(PortEvent::Connected(_) | PortEvent::Disconnected { .. }) => Ok(()),
            None => Err("the port has ended".into()),
        }
    }

    fn saw(&mut self, status: &TaskStatus) {
        let key = (status.task_id.value.clone(), status.state);
        if let std::collections::btree_map::Entry::Vacant(new) = self.seen.entry(key) {
            new.insert(now());
            *self.counts.entry(status.state).or_default() += 1;
        }
        if is_terminal(status.state())
            && !matches!(status.state(), TaskState::TaskFinished | TaskState::TaskKilled)
        {
            eprintln!("{}: {:?} {:?}", status.task_id.value, status.state(), status.message);
        }
    }

    /// How many tasks were seen in that state.
    pub fn count(&self, state: TaskState) -> usize {
        self.counts.get(&state.into()).copied().unwrap_or_default()
    }

    /// Waits for an offer.
    pub async fn offer(&mut self) -> Result<Offer> {
        loop {
            if let Some(offer) = self.offers.pop_front() {
                return Ok(offer);
            }
            self.step().await?;
        }
    }

    /// Gives all offers back.
    pub async fn decline_all(&mut self) -> Result<()> {
        self.idle(Duration::from_millis(1)).await?;
        let ids: Vec<_> = self.offers.drain(..).map(|offer| offer.id).collect();
        if !ids.is_empty() {
            self.port.decline(ids, None).await?;
        }
        Ok(())
    }

    /// Takes all events that are there, for so long.
    pub async fn idle(&mut self, pause: Duration) -> Result<()> {
        let until = tokio::time::Instant::now() + pause;
        loop {
            match tokio::time::timeout_at(until, self.step()).await {
                Ok(stepped) => stepped?,
                Err(_) => return Ok(()),
            }
        }
    }

    /// Waits until a task is in a state.
    pub async fn until(&mut self, name: &str, state: TaskState) -> Result<()> {
        while !self.seen.contains_key(&(name.to_string(), state.into())) {
            self.step().await?;
        }
        Ok(())
    }

    /// Tasks that leave stamps, cut out of an offer.
    pub fn tasks(
        &self,
        offer: &Offer,
        names: &[String],
        stamps: &Stamps,
        hold: bool,
    ) -> Result<Vec<TaskInfo>> {
        let mut left = resources_from_v1(&offer.resources)?;
        let mut tasks = Vec::new();
        for name in names {
            let picked = left.find(&self.wanted, "*").ok_or("the offer is too small")?;
            left -= &picked;
            let arguments = stamps.command(name, hold)?;
            let value = arguments.first().cloned();
            let command =
                CommandInfo { shell: Some(false), value, arguments, ..Default::default() };
            tasks.push(TaskInfo {
                name: name.clone(),
                task_id: TaskId { value: name.clone() },
                agent_id: offer.agent_id.clone(),
                resources: resources_to_v1(&picked, Format::Post),
                command: Some(command),
                ..Default::default()
            });
        }
        Ok(tasks)
    }

    /// ACCEPT; what is left of the offer comes back at once. Answers when it was sent.
    pub async fn launch(&self, offer: Offer, tasks: Vec<TaskInfo>) -> Result<u64> {
        let filters = Filters { refuse_seconds: Some(0.0) };
        let sent = now();
        self.port.launch(vec![offer.id], tasks, Some(filters)).await?;
        Ok(sent)
    }
}

fn multi_role() -> mesolith::mesos::v1::framework_info::Capability {
    use mesolith::mesos::v1::framework_info::{Capability, capability};
    Capability { r#type: Some(capability::Type::MultiRole.into()) }
}
