//! The loop of an executor port: subscribe, read, and subscribe again until the agent is gone for good.

use super::{EXECUTOR_PATH, ExecutorEndpoint, ExecutorEvent, Shared};
use crate::base::error::{Code, Error};
use crate::framework::backoff::{Backoff, seed};
use crate::framework::http::{CALL_TIMEOUT, Records, Trouble};
use crate::framework::queue::{End, EventReceiver};
use crate::mesos::v1::executor::{Call, Event, call, event};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// The first wait before another try.
const WAIT_FIRST: Duration = Duration::from_millis(50);

/// How one subscription, or the try to get one, ended.
enum Outcome {
    Left,
    Never(Error),
    Again(String),
}

enum Events {
    Queue(EventReceiver<Event>),
    Records(Box<Records<Event>>),
}

impl Events {
    async fn next(&mut self) -> Result<Arc<Event>, String> {
        match self {
            Self::Queue(queue) => queue.next().await.map_err(|end| match end {
                End::Overflow => "events came faster than they were read".to_string(),
                End::Closed | End::Gone => "the event stream was closed".to_string(),
            }),
            Self::Records(records) => records.next().await.map(Arc::new),
        }
    }
}

pub(super) async fn run(shared: Arc<Shared>, tx: mpsc::Sender<ExecutorEvent>) {
    let options = &shared.options;
    let mut backoff = Backoff::new(WAIT_FIRST, options.backoff_max, seed());
    let mut session = 0;
    // The time the agent was last heard of; also the limit for the first subscription.
    let mut lost = Instant::now();
    let mut told = false;
    loop {
        session += 1;
        let outcome = subscribe(&shared, &tx, session).await;
        if shared.connected.send_replace(0) != 0 {
            lost = Instant::now();
            backoff.reset();
            told = false;
        }
        let last = match outcome {
            Outcome::Left => return,
            Outcome::Never(error) => Some(ExecutorEvent::Failed(error)),
            Outcome::Again(why) => {
                if !told {
                    told = true;
                    let event = ExecutorEvent::Disconnected { why: why.clone() };
                    if tx.send(event).await.is_err() {
                        return;
                    }
                }
                given_up(&shared, lost, why).map(|why| ExecutorEvent::Shutdown { why })
            }
        };
        if let Some(last) = last {
            // Nobody is left to be told if this fails.
            let _ = tx.send(last).await;
            return;
        }
        let left = options.recovery_timeout.saturating_sub(lost.elapsed());
        tokio::select! {
            () = tx.closed() => return,
            () = tokio::time::sleep(backoff.next_wait().min(left)) => {}
        }
    }
}

/// Why the agent is gone for good, if it is.
fn given_up(shared: &Shared, lost: Instant, why: String) -> Option<String> {
    let timeout = shared.options.recovery_timeout;
    if !shared.options.checkpoint {
        Some(format!("{why}; without checkpointing an executor ends with its agent"))
    } else if lost.elapsed() >= timeout {
        Some(format!("the agent did not come back within {} s: {why}", timeout.as_secs_f64()))
    } else {
        None
    }
}

async fn subscribe(shared: &Shared, tx: &mpsc::Sender<ExecutorEvent>, session: u64) -> Outcome {
    let opened = tokio::select! {
        () = tx.closed() => return Outcome::Left,
        opened = open(shared) => opened,
    };
    let mut events = match opened {
        Ok(events) => events,
        Err(outcome) => return outcome,
    };
    let mut condemned = shared.condemned.subscribe();
    let mut heartbeat = tokio::time::interval_at(
        Instant::now() + shared.options.heartbeat,
        shared.options.heartbeat,
    );
    let mut connected = false;
    loop {
        let event = tokio::select! {
            () = tx.closed() => return Outcome::Left,
            // The sender lives in `shared`, so waiting cannot fail.
            () = async { drop(condemned.wait_for(|id| *id == session).await) } => {
                return Outcome::Again("an update could not be sent".into());
            }
            _ = heartbeat.tick() => {
                if let Err(trouble) = shared.send(shared.call_of(call::Type::Heartbeat)).await {
                    return Outcome::Again(trouble.error().cause);
                }
                continue;
            }
            next = events.next() => match next {
                Ok(event) => event,
                Err(why) => return Outcome::Again(why),
            },
        };
        let told = match classify(shared, event, connected) {
            Ok(Some(told)) => told,
            Ok(None) => continue,
            Err(outcome) => return outcome,
        };
        if matches!(told, ExecutorEvent::Connected(_)) {
            connected = true;
            if let Err(why) = tell_the_rest(shared, session).await {
                return Outcome::Again(why);
            }
        }
        if tx.send(told).await.is_err() {
            return Outcome::Left;
        }
    }
}

/// Tells updates that were made after the SUBSCRIBE was written, then opens the subscription for `update`; the lock on
/// the ledger keeps their order.
async fn tell_the_rest(shared: &Shared, session: u64) -> Result<(), String> {
    loop {
        let untold = {
            let mut ledger = shared.ledger();
            let untold = ledger.untold();
            if untold.is_empty() {
                shared.connected.send_replace(session);
                return Ok(());
            }
            untold
        };
        for update in untold {
            let call = Call { update: Some(update), ..shared.call_of(call::Type::Update) };
            shared.send(call).await.map_err(|trouble| trouble.error().cause)?;
        }
    }
}

async fn open(shared: &Shared) -> Result<Events, Outcome> {
    let subscribe = Some(shared.ledger().subscribe());
    let call = Call { subscribe, ..shared.call_of(call::Type::Subscribe) };
    let opened = match &shared.endpoint {
        ExecutorEndpoint::InProcess(server, token) => {
            let opening = server.subscribe(call, token.clone());
            let opened = tokio::time::timeout(CALL_TIMEOUT, opening).await;
            opened
                .map_err(|_| Trouble::TimedOut)
                .and_then(|o| o.map(Events::Queue).map_err(Trouble::Refused))
        }
        ExecutorEndpoint::Http(http) => http
            .subscribe(&http.host(), EXECUTOR_PATH, &call)
            .await
            .map(|(_, records)| Events::Records(Box::new(records))),
    };
    opened.map_err(|trouble| match &trouble {
        Trouble::Refused(refusal) if refusal.is_final() => Outcome::Never(refusal.error()),
        other => Outcome::Again(other.error().cause),
    })
}

fn classify(
    shared: &Shared,
    event: Arc<Event>,
    connected: bool,
) -> Result<Option<ExecutorEvent>, Outcome> {
    match event.r#type() {
        event::Type::Heartbeat | event::Type::Unknown => return Ok(None),
        event::Type::Error => {
            let message = event.error.as_ref().map(|e| e.message.clone()).unwrap_or_default();
            return Err(Outcome::Never(Error::new(Code::Invalid, message)));
        }
        event::Type::Subscribed => {
            let Some(subscribed) = &event.subscribed else {
                return Err(Outcome::Again("SUBSCRIBED without its message".into()));
            };
            return Ok(Some(ExecutorEvent::Connected(Box::new(subscribed.clone()))));
        }
        other if !connected => {
            let why = format!("{} before SUBSCRIBED", other.as_str_name());
            return Err(Outcome::Again(why));
        }
        event::Type::Shutdown => {
            let why = "the agent asked for it".to_string();
            return Ok(Some(ExecutorEvent::Shutdown { why }));
        }
        event::Type::Launch => {
            let task = event.launch.as_ref().map(|l| l.task.clone());
            task.into_iter().for_each(|task| shared.ledger().launched(task));
        }
        event::Type::LaunchGroup => {
            let tasks = event.launch_group.as_ref().map(|l| l.task_group.tasks.clone());
            tasks.into_iter().flatten().for_each(|task| shared.ledger().launched(task));
        }
        event::Type::Acknowledged => {
            if let Some(acknowledged) = &event.acknowledged {
                shared.ledger().acknowledged(acknowledged);
            }
        }
        event::Type::Kill | event::Type::Message => {}
    }
    Ok(Some(ExecutorEvent::Event(event)))
}
