//! The loop of a scheduler port: one subscription after the other until the framework goes or the master says never.

use super::{Kind, PortEvent, SCHEDULER_PATH, Session, Shared, Timing};
use crate::base::error::{Code, Error};
use crate::base::time::duration_from_secs;
use crate::framework::backoff::{Backoff, seed};
use crate::framework::http::{CALL_TIMEOUT, REDIRECTS_MAX, Records, Trouble};
use crate::framework::queue::{End, EventReceiver};
use crate::mesos::v1::scheduler::{Event, event};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// The heartbeat interval of a master that does not tell its own.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(15);

/// How one subscription, or the try to get one, ended.
enum Outcome {
    /// The framework dropped its events.
    Left,
    /// There is no point in trying again.
    Never(Error),
    /// Another server is to be asked, at once.
    Elsewhere(String),
    /// Try again after a wait.
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

pub(super) async fn run(shared: Arc<Shared>, tx: mpsc::Sender<PortEvent>, timing: Timing) {
    let mut backoff = Backoff::new(timing.wait_first, timing.wait_max, seed());
    let mut redirects = 0;
    let mut told = None;
    loop {
        let mut connected = false;
        let outcome = subscribe(&shared, &tx, &timing, &mut connected).await;
        *shared.session() = None;
        if connected {
            backoff.reset();
            (redirects, told) = (0, None);
        }
        let (why, elsewhere) = match outcome {
            Outcome::Left => return,
            Outcome::Never(error) => {
                // Nobody is left to be told if this fails.
                let _ = tx.send(PortEvent::Failed(error)).await;
                return;
            }
            Outcome::Elsewhere(why) => (why, true),
            Outcome::Again(why) => (why, false),
        };
        if elsewhere && redirects < REDIRECTS_MAX {
            redirects += 1;
            continue;
        }
        redirects = 0;
        if told.as_ref() != Some(&why) {
            told = Some(why.clone());
            if tx.send(PortEvent::Disconnected { why }).await.is_err() {
                return;
            }
        }
        tokio::select! {
            () = tx.closed() => return,
            () = tokio::time::sleep(backoff.next_wait()) => {}
        }
    }
}

/// Opens a subscription and reads it to its end.
async fn subscribe(
    shared: &Shared,
    tx: &mpsc::Sender<PortEvent>,
    timing: &Timing,
    connected: &mut bool,
) -> Outcome {
    let opened = tokio::select! {
        () = tx.closed() => return Outcome::Left,
        opened = open(shared) => opened,
    };
    let (session, mut events) = match opened {
        Ok(opened) => opened,
        Err(outcome) => return outcome,
    };
    let stream_id = session.stream_id.clone();
    let mut condemned = shared.condemned.subscribe();
    let mut limit = timing.subscribed_within;
    loop {
        let next = tokio::select! {
            () = tx.closed() => return Outcome::Left,
            // The sender lives in `shared`, so waiting cannot fail.
            () = async {
                drop(condemned.wait_for(|id| id.as_deref() == Some(&stream_id)).await);
            } => {
                return Outcome::Again("the subscription was given up".into());
            }
            next = tokio::time::timeout(limit, events.next()) => next,
        };
        let event = match next {
            Err(_) => {
                failed(shared, &session);
                return Outcome::Again(silent(*connected, limit, timing));
            }
            Ok(Err(why)) => {
                failed(shared, &session);
                return Outcome::Again(why);
            }
            Ok(Ok(event)) => event,
        };
        let told = match classify(event, *connected) {
            Told::Nothing => continue,
            Told::Bad(why) => return Outcome::Again(why),
            Told::Failed(error) => return Outcome::Never(error),
            Told::Event(event) => PortEvent::Event(event),
            Told::Subscribed(subscribed) => {
                *connected = true;
                limit = heartbeat(&subscribed) * timing.heartbeats_missed_max.max(1);
                shared.subscriber().framework.id = Some(subscribed.framework_id.clone());
                *shared.session() = Some(session.clone());
                PortEvent::Connected(subscribed)
            }
        };
        // Waits while the framework is slow; the server's queue fills meanwhile, and ends the subscription if it must.
        if tx.send(told).await.is_err() {
            return Outcome::Left;
        }
    }
}

async fn open(shared: &Shared) -> Result<(Session, Events), Outcome> {
    let call = shared.subscriber().call();
    match &shared.endpoint {
        Kind::InProcess { server, principal } => {
            let opening = server.subscribe(call, principal.clone());
            let opened = tokio::time::timeout(CALL_TIMEOUT, opening).await;
            let opened = opened.map_err(|_| Outcome::Again("the master does not answer".into()))?;
            let opened = opened.map_err(|refusal| refused(&Trouble::Refused(refusal)))?;
            let session = Session { stream_id: opened.stream_id, host: String::new() };
            Ok((session, Events::Queue(opened.events)))
        }
        Kind::Http(http) => {
            let host = http.host();
            match http.subscribe(&host, SCHEDULER_PATH, &call).await {
                Ok((Some(stream_id), records)) => {
                    let session = Session { stream_id, host };
                    Ok((session, Events::Records(Box::new(records))))
                }
                Ok((None, _)) => Err(Outcome::Again(format!("{host} gave no Mesos-Stream-Id"))),
                Err(Trouble::Refused(refusal)) if refusal.status == 307 => {
                    let to = refusal.location.as_deref().and_then(|l| http.redirected(l));
                    match to {
                        Some(leader) => {
                            Err(Outcome::Elsewhere(format!("{host} says that {leader} leads")))
                        }
                        None => Err(Outcome::Again(format!("{host} redirects to nowhere"))),
                    }
                }
                Err(trouble) => {
                    http.failed(&host);
                    Err(refused(&trouble))
                }
            }
        }
    }
}

fn refused(trouble: &Trouble) -> Outcome {
    match trouble {
        Trouble::Refused(refusal) if refusal.is_final() => Outcome::Never(refusal.error()),
        other => Outcome::Again(other.error().cause),
    }
}

/// The stream broke: over HTTP the next try begins with the next master, for this one may be down.
fn failed(shared: &Shared, session: &Session) {
    if let Kind::Http(http) = &shared.endpoint {
        http.failed(&session.host);
    }
}

fn silent(connected: bool, limit: Duration, timing: &Timing) -> String {
    let secs = limit.as_secs_f64();
    if connected {
        format!("{} heartbeats were missed ({secs} s)", timing.heartbeats_missed_max)
    } else {
        format!("the master opened the stream and said nothing for {secs} s")
    }
}

fn heartbeat(subscribed: &event::Subscribed) -> Duration {
    let told = subscribed.heartbeat_interval_seconds.and_then(duration_from_secs);
    told.filter(|d| !d.is_zero()).unwrap_or(HEARTBEAT_INTERVAL)
}

enum Told {
    Nothing,
    Subscribed(Box<event::Subscribed>),
    Event(Arc<Event>),
    Failed(Error),
    Bad(String),
}

fn classify(event: Arc<Event>, connected: bool) -> Told {
    match event.r#type() {
        event::Type::Heartbeat => Told::Nothing,
        event::Type::Error => {
            let message = event.error.as_ref().map(|e| e.message.clone()).unwrap_or_default();
            let taken_over = message == "Framework failed over";
            let code = if taken_over { Code::Conflict } else { Code::Invalid };
            Told::Failed(Error::new(code, message))
        }
        event::Type::Subscribed => match &event.subscribed {
            Some(subscribed) => Told::Subscribed(Box::new(subscribed.clone())),
            None => Told::Bad("SUBSCRIBED without its message".into()),
        },
        // A newer master may have events that this program does not know.
        event::Type::Unknown => Told::Nothing,
        other if !connected => Told::Bad(format!("{} before SUBSCRIBED", other.as_str_name())),
        _ => Told::Event(event),
    }
}
