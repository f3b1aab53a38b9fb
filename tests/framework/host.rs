//! What hosting a framework comes to: rows come back, failures build the core anew, one process holds the state.

use crate::scripted::{SOON, Scripted, error, message};
use crate::suite::info;
use mesolith::base::error::{Code, Result};
use mesolith::base::kv::Op;
use mesolith::base::time::Mono;
use mesolith::framework::host::{self, Ends, Framework, Ground, Tools};
use mesolith::framework::scheduler::Subscriber;
use mesolith::framework::server::Refusal;
use mesolith::framework::state::MemoryState;
use mesolith::machine::control::Control;
use mesolith::machine::driver::{Clock, Handle, Shell};
use mesolith::machine::{Cx, Effects, Machine};
use mesolith::mesos::v1::FrameworkId;
use mesolith::mesos::v1::scheduler::{Call, Event, call, event};
use std::pin::Pin;
use std::sync::Arc;
use tokio::sync::watch;

/// A core that counts events, and asks to revive for each.
#[derive(Default)]
struct Counter {
    id: Option<String>,
    count: u8,
    undelivered: u8,
}

enum Input {
    Subscribed(String),
    Event,
    Undelivered,
    Lost,
}

impl Machine for Counter {
    type Input = Input;
    type Write = Op;
    type Act = Call;

    fn step(&mut self, _cx: &mut Cx<'_>, input: Input, out: &mut Effects<Self>) {
        match input {
            Input::Subscribed(id) => {
                out.write(Op::put("id", id.clone().into_bytes()));
                self.id = Some(id);
            }
            Input::Event => {
                self.count += 1;
                out.write(Op::put("count", vec![self.count]));
                let kind = Some(call::Type::Revive.into());
                out.act(Call { r#type: kind, ..Call::default() });
            }
            Input::Undelivered => self.undelivered += 1,
            Input::Lost => {}
        }
    }

    fn wake(&mut self, _cx: &mut Cx<'_>, _out: &mut Effects<Self>) {}

    fn wake_at(&self) -> Option<Mono> {
        None
    }
}

struct Counting;

struct CountingShell(Tools<Counter>);

impl Shell<Counter> for CountingShell {
    fn persist(&mut self, writes: Vec<Op>) -> Pin<Box<dyn Future<Output = Result<()>>>> {
        Box::pin(self.0.journal.write(writes))
    }

    fn act(&mut self, act: Call) {
        self.0.caller.call(act);
    }
}

impl Framework for Counting {
    type Core = Counter;
    type Shell = CountingShell;
    type Door = Handle<Counter>;

    fn recover(
        &self,
        rows: Vec<(String, Vec<u8>)>,
        _cx: &mut Cx<'_>,
        _out: &mut Effects<Counter>,
    ) -> Result<Counter> {
        let mut core = Counter::default();
        for (key, value) in rows {
            match key.as_str() {
                "id" => core.id = String::from_utf8(value).ok(),
                "count" => core.count = value[0],
                other => panic!("a row nobody wrote: {other}"),
            }
        }
        Ok(core)
    }

    fn subscriber(&self, core: &Counter) -> Subscriber {
        let id = core.id.clone().map(|value| FrameworkId { value });
        Subscriber::new(mesolith::mesos::v1::FrameworkInfo { id, ..info() }, Vec::new())
    }

    fn open(&self, tools: Tools<Counter>) -> (Handle<Counter>, CountingShell) {
        (tools.handle.clone(), CountingShell(tools))
    }

    fn subscribed(&self, subscribed: event::Subscribed) -> Input {
        Input::Subscribed(subscribed.framework_id.value)
    }

    fn disconnected(&self, _why: String) -> Input {
        Input::Lost
    }

    fn event(&self, _event: Arc<Event>) -> Input {
        Input::Event
    }

    fn undelivered(&self, _call: Call) -> Input {
        Input::Undelivered
    }

    fn forget_id(&self) -> Vec<Op> {
        vec![Op::delete("id")]
    }
}

struct World {
    server: Arc<Scripted>,
    state: Arc<MemoryState>,
    control: Control,
}

struct Hosted {
    running: watch::Receiver<Option<Handle<Counter>>>,
    stop: watch::Sender<bool>,
    task: tokio::task::JoinHandle<Result<()>>,
}

impl World {
    fn new() -> Self {
        let (control, _thread) = Control::start().unwrap();
        Self { server: Arc::default(), state: Arc::new(MemoryState::new()), control }
    }

    fn host(&self) -> Hosted {
        let (server, state) = (self.server.clone(), self.state.clone());
        let (control, clock) = (self.control.clone(), Clock::default());
        let ground = Ground::in_process(server, state, "counting", control, clock).unwrap();
        let ground = Ground { ends: Ends::WhenRefused, ..ground };
        let (tx, running) = watch::channel(None);
        let (stop, stopping) = watch::channel(false);
        let task =
            tokio::spawn(async move { host::run(Arc::new(Counting), ground, &tx, stopping).await });
        Hosted { running, stop, task }
    }
}

impl Hosted {
    async fn door(&mut self) -> Handle<Counter> {
        let wait = self.running.wait_for(Option::is_some);
        tokio::time::timeout(SOON, wait).await.unwrap().unwrap().clone().unwrap()
    }

    async fn until(&mut self, so: fn(&Counter) -> bool) {
        let wait = async {
            loop {
                if self.door().await.look(so).await.unwrap_or(false) {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(SOON, wait).await.expect("it must come to that soon");
    }

    async fn stop(self) {
        self.stop.send_replace(true);
        tokio::time::timeout(SOON, self.task).await.unwrap().unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_come_back_in_the_next_life() {
    let world = World::new();
    let mut hosted = world.host();
    assert_eq!(world.server.subscribed(0).await.framework_id, None);
    world.server.send(message(1));
    assert_eq!(world.server.called(0).await.r#type(), call::Type::Revive);
    hosted.until(|core| core.count == 1).await;
    hosted.stop().await;
    let mut hosted = world.host();
    let again = world.server.subscribed(1).await;
    assert_eq!(again.framework_id.unwrap().value, "f-0000");
    hosted.until(|core| core.count == 1 && core.id.is_some()).await;
    hosted.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_fails_is_told_to_the_core() {
    let world = World::new();
    let mut hosted = world.host();
    world.server.subscribed(0).await;
    hosted.until(|core| core.id.is_some()).await;
    world.server.refuse_call(Refusal::new(503, "busy"));
    world.server.send(message(1));
    hosted.until(|core| core.undelivered == 1).await;
    // It may arrive yet: on another subscription it would be refused.
    world.server.subscribed(1).await;
    world.server.send(message(1));
    world.server.called(0).await;
    hosted.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_framework_begins_anew() {
    let world = World::new();
    let mut hosted = world.host();
    world.server.subscribed(0).await;
    hosted.until(|core| core.id.is_some()).await;
    world.server.send(error("Framework has been removed"));
    let mut next = world.host_ended(hosted).await;
    assert_eq!(world.server.subscribed(1).await.framework_id, None, "the old id is forgotten");
    next.until(|core| core.id.is_some()).await;
    next.stop().await;
}

impl World {
    /// This process gives up; whoever starts it again does this.
    async fn host_ended(&self, hosted: Hosted) -> Hosted {
        let ended = tokio::time::timeout(SOON, hosted.task).await.unwrap().unwrap();
        assert!(ended.unwrap_err().cause.contains("refused the framework"));
        self.host()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_last_process_that_took_the_state_writes_to_it() {
    let world = World::new();
    let mut first = world.host();
    world.server.subscribed(0).await;
    first.until(|core| core.id.is_some()).await;
    let mut second = world.host();
    world.server.subscribed(1).await;
    second.until(|core| core.id.is_some()).await;
    // Something happens to the first.
    let door = first.door().await;
    door.send(Input::Event).await.unwrap();
    let ended = tokio::time::timeout(SOON, first.task).await.unwrap().unwrap().unwrap_err();
    assert_eq!(ended.code, Code::Conflict, "{ended}");
    second.until(|core| core.count == 0).await;
    second.stop().await;
}
