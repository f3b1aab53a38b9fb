//! The scheduler port: subscribe, stay subscribed, call.
//!
//! One type over two implementations: a server in this process ([`Endpoint::in_process`]) and the v1 scheduler API
//! over HTTP ([`Endpoint::http`]). The port re-subscribes by itself with the same framework id after a redirect, a
//! lost stream, missed heartbeats or an overflow, and says so; reconciling afterwards is the framework's business.

mod calls;
mod run;

use super::http::{Authorization, Http, HttpOptions, Trouble};
use super::server::{Refusal, Reply, SchedulerServer};
use crate::base::error::{Code, Error, Result};
use crate::mesos::v1::scheduler::{Call, Event, OfferConstraints, call, event};
use crate::mesos::v1::{FrameworkId, FrameworkInfo};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc, watch};

/// The path of the scheduler API on a master.
pub const SCHEDULER_PATH: &str = "/api/v1/scheduler";

/// How many events wait between a port and its framework; the server's byte-bounded queue stands behind it.
pub const PORT_EVENTS_MAX: usize = 256;

/// How many calls of one port may be on their way.
pub const CALLS_IN_FLIGHT_MAX: usize = 128;

/// The waits of a port. The defaults are right for production; tests shorten them.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// The first wait before another try.
    pub wait_first: Duration,
    /// The longest wait before another try.
    pub wait_max: Duration,
    /// How long SUBSCRIBED may take once the stream is open.
    pub subscribed_within: Duration,
    /// How many heartbeats may be missed before the stream is taken for dead.
    pub heartbeats_missed_max: u32,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            wait_first: Duration::from_millis(100),
            wait_max: Duration::from_secs(5),
            subscribed_within: Duration::from_secs(30),
            heartbeats_missed_max: 5,
        }
    }
}

/// What a port tells its framework, in order.
#[derive(Clone, Debug)]
pub enum PortEvent {
    /// Subscribed, for the first time or again; the framework id stays the same. Heartbeats are not told.
    Connected(Box<event::Subscribed>),
    /// The subscription is lost, or another try to get one failed for a new reason. The port goes on trying.
    Disconnected {
        /// One sentence without a full stop.
        why: String,
    },
    /// An event of the master.
    Event(Arc<Event>),
    /// The last thing a port says: an ERROR event, or a refusal that will not change.
    Failed(Error),
}

/// A place to subscribe at.
#[derive(Clone)]
pub struct Endpoint(Kind);

#[derive(Clone)]
enum Kind {
    InProcess { server: Arc<dyn SchedulerServer>, principal: Option<String> },
    Http(Http),
}

impl Endpoint {
    /// A server in this process; `principal` is who the framework is to it.
    pub fn in_process(server: Arc<dyn SchedulerServer>, principal: Option<String>) -> Self {
        Self(Kind::InProcess { server, principal })
    }

    /// Masters over HTTP.
    ///
    /// # Errors
    /// As [`Http::new`].
    pub fn http(options: HttpOptions) -> Result<Self> {
        Ok(Self(Kind::Http(Http::new(options)?)))
    }

    /// Masters over HTTP, with a client that is already there.
    pub fn with_client(http: Http) -> Self {
        Self(Kind::Http(http))
    }

    /// Starts a port. With an id in `framework` it re-subscribes, without one it registers.
    /// Must be called within a tokio runtime; the port lives until its [`PortEvents`] are dropped.
    pub fn connect(self, framework: FrameworkInfo, suppressed: Vec<String>) -> (Port, PortEvents) {
        self.connect_as(Subscriber::new(framework, suppressed))
    }

    /// The same as a subscriber that was made before.
    pub fn connect_as(self, subscriber: Subscriber) -> (Port, PortEvents) {
        self.connect_with(subscriber, Timing::default())
    }

    /// [`Endpoint::connect`] with every choice.
    pub fn connect_with(self, subscriber: Subscriber, timing: Timing) -> (Port, PortEvents) {
        let (tx, rx) = mpsc::channel(PORT_EVENTS_MAX);
        let shared = Arc::new(Shared {
            endpoint: self.0,
            subscriber: Mutex::new(subscriber),
            session: Mutex::new(None),
            condemned: watch::Sender::new(None),
            in_flight: Semaphore::new(CALLS_IN_FLIGHT_MAX),
        });
        tokio::spawn(run::run(shared.clone(), tx, timing));
        (Port(shared), PortEvents(rx))
    }
}

/// What a port says when it subscribes; follows what the framework changes later.
#[derive(Clone, Debug)]
pub struct Subscriber {
    framework: FrameworkInfo,
    suppressed: BTreeSet<String>,
    constraints: Option<OfferConstraints>,
}

impl Subscriber {
    /// An empty framework id counts as none.
    pub fn new(mut framework: FrameworkInfo, suppressed: Vec<String>) -> Self {
        framework.id = framework.id.filter(|id| !id.value.is_empty());
        Self { framework, suppressed: suppressed.into_iter().collect(), constraints: None }
    }

    /// With constraints on the agents it wants offers of.
    pub fn with_constraints(mut self, constraints: OfferConstraints) -> Self {
        self.constraints = Some(constraints);
        self
    }

    fn call(&self) -> Call {
        Call {
            framework_id: self.framework.id.clone(),
            subscribe: Some(call::Subscribe {
                framework_info: self.framework.clone(),
                suppressed_roles: self.suppressed.iter().cloned().collect(),
                offer_constraints: self.constraints.clone(),
            }),
            ..calls::of(call::Type::Subscribe)
        }
    }

    fn roles(&self) -> Vec<String> {
        match self.framework.roles.as_slice() {
            [] => vec![self.framework.role().to_string()],
            roles => roles.to_vec(),
        }
    }

    /// What a taken call means for the next subscription.
    fn note(&mut self, taken: &Call) {
        let or_all = |named: &[String], all: Vec<String>| {
            if named.is_empty() { all } else { named.to_vec() }
        };
        match taken.r#type() {
            call::Type::Suppress => {
                let roles = taken.suppress.as_ref().map_or(&[][..], |s| &s.roles);
                self.suppressed.extend(or_all(roles, self.roles()));
            }
            call::Type::Revive => {
                let roles = taken.revive.as_ref().map_or(&[][..], |s| &s.roles);
                for role in or_all(roles, self.roles()) {
                    self.suppressed.remove(&role);
                }
            }
            call::Type::UpdateFramework => {
                if let Some(update) = &taken.update_framework {
                    let id = self.framework.id.take();
                    self.framework = FrameworkInfo { id, ..update.framework_info.clone() };
                    self.suppressed = update.suppressed_roles.iter().cloned().collect();
                    self.constraints = update.offer_constraints.clone();
                }
            }
            _ => {}
        }
    }
}

/// The open subscription.
#[derive(Clone, Debug)]
struct Session {
    stream_id: String,
    host: String,
}

struct Shared {
    endpoint: Kind,
    subscriber: Mutex<Subscriber>,
    session: Mutex<Option<Session>>,
    /// The stream that must not be read on: a call learnt that it is dead, or the framework wants another.
    condemned: watch::Sender<Option<String>>,
    in_flight: Semaphore,
}

impl Shared {
    fn subscriber(&self) -> MutexGuard<'_, Subscriber> {
        self.subscriber.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn session(&self) -> MutexGuard<'_, Option<Session>> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The events of a port.
pub struct PortEvents(mpsc::Receiver<PortEvent>);

impl PortEvents {
    /// The next event; `None` after [`PortEvent::Failed`]. Safe to cancel.
    pub async fn next(&mut self) -> Option<PortEvent> {
        self.0.recv().await
    }
}

/// The calling side of a port. Cheap to clone.
#[derive(Clone)]
pub struct Port(Arc<Shared>);

impl Port {
    /// The framework's id, once the master gave one.
    pub fn framework_id(&self) -> Option<FrameworkId> {
        self.0.subscriber().framework.id.clone()
    }

    /// Gives the subscription up and gets another one.
    pub fn reconnect(&self) {
        if let Some(session) = &*self.0.session() {
            self.0.condemned.send_replace(Some(session.stream_id.clone()));
        }
    }

    /// Sends a call; the port fills in the framework id. What comes of it is told by events.
    ///
    /// # Errors
    /// [`Code::Unavailable`] when not subscribed, [`Code::Overloaded`] at once when [`CALLS_IN_FLIGHT_MAX`] calls
    /// are on their way, [`Code::Timeout`] when it may or may not have arrived, else what the master refused.
    pub async fn call(&self, mut call: Call) -> Result<Reply> {
        if matches!(call.r#type(), call::Type::Subscribe | call::Type::Unknown) {
            return Err(Error::new(Code::Invalid, "the port itself subscribes"));
        }
        let Ok(_permit) = self.0.in_flight.try_acquire() else {
            let cause = format!("{CALLS_IN_FLIGHT_MAX} calls are waiting for an answer");
            return Err(Error::new(Code::Overloaded, cause));
        };
        let Some(session) = self.0.session().clone() else {
            return Err(Error::new(Code::Unavailable, "not subscribed"));
        };
        call.framework_id = self.framework_id();
        match self.send(&session, &call).await {
            Ok(reply) => {
                self.0.subscriber().note(&call);
                Ok(reply)
            }
            Err(trouble) => {
                if let Trouble::Refused(refusal) = &trouble
                    && stream_is_dead(refusal)
                {
                    self.0.condemned.send_replace(Some(session.stream_id));
                }
                Err(trouble.error())
            }
        }
    }

    async fn send(&self, session: &Session, call: &Call) -> std::result::Result<Reply, Trouble> {
        match &self.0.endpoint {
            Kind::InProcess { server, principal } => {
                let sent = server.call(Some(&session.stream_id), call.clone(), principal.clone());
                let answer = tokio::time::timeout(super::http::CALL_TIMEOUT, sent).await;
                answer.map_err(|_| Trouble::TimedOut)?.map_err(Trouble::Refused)
            }
            Kind::Http(http) => {
                let stream_id = Some(session.stream_id.as_str());
                match http.call(&session.host, SCHEDULER_PATH, stream_id, call).await? {
                    202 => Ok(Reply::Accepted),
                    _ => Ok(Reply::Done),
                }
            }
        }
    }
}

/// Whether a refusal says that the master no longer knows this subscription.
fn stream_is_dead(refusal: &Refusal) -> bool {
    refusal.status == 307
        || ["stream ID", "is not subscribed", "Framework cannot be found"]
            .iter()
            .any(|words| refusal.text.contains(words))
}

impl HttpOptions {
    /// With a principal and its secret.
    pub fn credential(mut self, principal: &str, secret: &str) -> Self {
        let (principal, secret) = (principal.to_string(), secret.to_string());
        self.authorization = Some(Authorization::Basic { principal, secret });
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subscriber() -> Subscriber {
        let framework = FrameworkInfo {
            user: "u".into(),
            name: "n".into(),
            id: Some(FrameworkId { value: String::new() }),
            roles: vec!["a".into(), "b".into()],
            ..Default::default()
        };
        Subscriber::new(framework, vec![])
    }

    fn suppressed(subscriber: &Subscriber) -> Vec<String> {
        subscriber.call().subscribe.unwrap().suppressed_roles
    }

    #[test]
    fn an_empty_id_counts_as_none() {
        let call = subscriber().call();
        assert_eq!(call.framework_id, None);
        assert_eq!(call.subscribe.unwrap().framework_info.id, None);
    }

    #[test]
    fn the_next_subscription_knows_what_was_suppressed_and_revived() {
        let mut subscriber = subscriber();
        subscriber.note(&calls::suppress(&["a".into()]));
        assert_eq!(suppressed(&subscriber), ["a"]);
        subscriber.note(&calls::suppress(&[]));
        assert_eq!(suppressed(&subscriber), ["a", "b"]);
        subscriber.note(&calls::revive(&["b".into()]));
        assert_eq!(suppressed(&subscriber), ["a"]);
        subscriber.note(&calls::revive(&[]));
        assert!(suppressed(&subscriber).is_empty());
    }

    #[test]
    fn an_updated_framework_keeps_its_id() {
        let mut subscriber = subscriber();
        subscriber.framework.id = Some(FrameworkId { value: "f".into() });
        let info = FrameworkInfo { name: "new".into(), ..Default::default() };
        subscriber.note(&calls::update_framework(info, vec!["x".into()], None));
        let call = subscriber.call();
        assert_eq!(call.framework_id.unwrap().value, "f");
        assert_eq!(call.subscribe.unwrap().framework_info.name, "new");
        assert_eq!(suppressed(&subscriber), ["x"]);
    }
}
