//! A master in memory that does what a test tells it.

use mesolith::framework::queue::{self, EventSender, QueueStats};
use mesolith::framework::server::{BoxFuture, Refusal, Reply, SchedulerServer, Subscription};
use mesolith::mesos::v1::scheduler::{Call, Event, call, event};
use mesolith::mesos::v1::{AgentId, ExecutorId, FrameworkId};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;

/// How long a test waits for what must happen.
pub const SOON: Duration = Duration::from_secs(20);

#[derive(Default)]
pub struct Inner {
    subscribes: Vec<Call>,
    open: Option<(String, EventSender<Event>)>,
    calls: Vec<Call>,
    refuse_subscribe: VecDeque<Refusal>,
    refuse_call: VecDeque<Refusal>,
    principals: Vec<Option<String>>,
}

pub struct Scripted {
    pub inner: Mutex<Inner>,
    pub stats: Arc<QueueStats>,
    pub queue_bytes: usize,
    pub heartbeat_secs: f64,
    /// Nobody else may subscribe.
    pub only: Option<String>,
    pub changed: watch::Sender<u64>,
}

impl Default for Scripted {
    fn default() -> Self {
        Self {
            inner: Mutex::default(),
            stats: QueueStats::new(),
            queue_bytes: queue::EVENT_BYTES_MAX,
            heartbeat_secs: 15.0,
            only: None,
            changed: watch::Sender::new(0),
        }
    }
}

impl Scripted {
    pub fn refuse_subscribe(&self, refusal: Refusal) {
        self.inner.lock().unwrap().refuse_subscribe.push_back(refusal);
    }

    pub fn refuse_call(&self, refusal: Refusal) {
        self.inner.lock().unwrap().refuse_call.push_back(refusal);
    }

    /// Sends on the open subscription; false when it is over.
    pub fn send(&self, event: Event) -> bool {
        match &self.inner.lock().unwrap().open {
            Some((_, sender)) => sender.send(Arc::new(event)).is_ok(),
            None => false,
        }
    }

    /// Ends the open subscription.
    pub fn close(&self) {
        self.inner.lock().unwrap().open = None;
    }

    /// The open subscription is another one to the master from now on.
    pub fn forget_stream(&self) {
        if let Some((id, _)) = &mut self.inner.lock().unwrap().open {
            *id = "another".into();
        }
    }

    async fn until<T>(&self, look: impl Fn(&Inner) -> Option<T>) -> T {
        let mut changed = self.changed.subscribe();
        let wait = async {
            loop {
                changed.borrow_and_update();
                if let Some(seen) = look(&self.inner.lock().unwrap()) {
                    return seen;
                }
                changed.changed().await.unwrap();
            }
        };
        tokio::time::timeout(SOON, wait).await.expect("it must happen soon")
    }

    /// The nth SUBSCRIBE, from 0.
    pub async fn subscribed(&self, nth: usize) -> Call {
        self.until(|inner| inner.subscribes.get(nth).cloned()).await
    }

    /// The nth other call, from 0.
    pub async fn called(&self, nth: usize) -> Call {
        self.until(|inner| inner.calls.get(nth).cloned()).await
    }

    pub fn principals(&self) -> Vec<Option<String>> {
        self.inner.lock().unwrap().principals.clone()
    }
}

pub fn message(bytes: usize) -> Event {
    Event {
        r#type: Some(event::Type::Message.into()),
        message: Some(event::Message {
            agent_id: AgentId { value: "a".into() },
            executor_id: ExecutorId { value: "e".into() },
            data: vec![7; bytes],
        }),
        ..Default::default()
    }
}

pub fn error(message: &str) -> Event {
    Event {
        r#type: Some(event::Type::Error.into()),
        error: Some(event::Error { message: message.into() }),
        ..Default::default()
    }
}

pub fn heartbeat() -> Event {
    Event { r#type: Some(event::Type::Heartbeat.into()), ..Default::default() }
}

pub fn subscribed(id: &str, heartbeat_secs: f64) -> Event {
    Event {
        r#type: Some(event::Type::Subscribed.into()),
        subscribed: Some(event::Subscribed {
            framework_id: FrameworkId { value: id.into() },
            heartbeat_interval_seconds: Some(heartbeat_secs),
            master_info: None,
        }),
        ..Default::default()
    }
}

impl SchedulerServer for Scripted {
    fn subscribe(
        &self,
        call: Call,
        principal: Option<String>,
    ) -> BoxFuture<Result<Subscription, Refusal>> {
        assert_eq!(call.r#type(), call::Type::Subscribe);
        let mut inner = self.inner.lock().unwrap();
        inner.principals.push(principal.clone());
        let refusal = match &self.only {
            Some(only) if principal.as_ref() != Some(only) => {
                Some(Refusal::new(401, "401 Unauthorized."))
            }
            _ => inner.refuse_subscribe.pop_front(),
        };
        let answer = match refusal {
            Some(refusal) => Err(refusal),
            None => {
                let (sender, events) = queue::queue(self.queue_bytes, &self.stats);
                let id = call.framework_id.as_ref().map_or("f-0000", |id| &id.value);
                sender.send(Arc::new(subscribed(id, self.heartbeat_secs))).unwrap();
                sender.send(Arc::new(heartbeat())).unwrap();
                let stream_id = format!("stream-{}", inner.subscribes.len());
                inner.open = Some((stream_id.clone(), sender));
                inner.subscribes.push(call);
                Ok(Subscription { stream_id, events })
            }
        };
        drop(inner);
        self.changed.send_modify(|n| *n += 1);
        Box::pin(std::future::ready(answer))
    }

    fn call(
        &self,
        stream_id: Option<&str>,
        call: Call,
        _principal: Option<String>,
    ) -> BoxFuture<Result<Reply, Refusal>> {
        let mut inner = self.inner.lock().unwrap();
        let current = inner.open.as_ref().map(|(id, _)| id.clone());
        let answer = if let Some(refusal) = inner.refuse_call.pop_front() {
            Err(refusal)
        } else if stream_id.is_none() || stream_id != current.as_deref() {
            let text = format!(
                "The stream ID '{}' included in this request didn't match the stream ID currently \
                 associated with framework ID f-0000",
                stream_id.unwrap_or_default()
            );
            Err(Refusal::new(400, text))
        } else {
            let done = call.r#type() == call::Type::UpdateFramework;
            inner.calls.push(call);
            Ok(if done { Reply::Done } else { Reply::Accepted })
        };
        drop(inner);
        self.changed.send_modify(|n| *n += 1);
        Box::pin(std::future::ready(answer))
    }
}
