//! The order in which effects are carried out.

use super::*;
use std::sync::{Arc, Mutex};
use tokio::sync::oneshot;

/// Writes and says back what it is told; wakes itself once when asked.
#[derive(Default)]
struct Echo {
    wake: Option<Mono>,
    seen: u32,
}

#[derive(Clone, Copy)]
enum Told {
    Write(u32),
    Say(u32),
    SayNow(u32),
    WakeIn(Duration),
}

impl Machine for Echo {
    type Input = Told;
    type Write = u32;
    type Act = u32;

    fn step(&mut self, cx: &mut Cx<'_>, input: Told, out: &mut Effects<Self>) {
        self.seen += 1;
        match input {
            Told::Write(n) => out.write(n),
            Told::Say(n) => out.act(n),
            Told::SayNow(n) => out.act_now(n),
            Told::WakeIn(d) => self.wake = Some(cx.now + d),
        }
    }

    fn wake(&mut self, _cx: &mut Cx<'_>, out: &mut Effects<Self>) {
        self.wake = None;
        out.act(99);
    }

    fn wake_at(&self) -> Option<Mono> {
        self.wake
    }
}

type Gates = Arc<Mutex<Vec<oneshot::Sender<Result<()>>>>>;

/// Records acts; each batch is synced when its gate is opened.
struct Recorder {
    said: mpsc::UnboundedSender<u32>,
    gates: Gates,
    batches: Arc<Mutex<Vec<Vec<u32>>>>,
}

impl Shell<Echo> for Recorder {
    fn persist(&mut self, writes: Vec<u32>) -> Pin<Box<dyn Future<Output = Result<()>>>> {
        let (tx, rx) = oneshot::channel();
        self.gates.lock().unwrap().push(tx);
        self.batches.lock().unwrap().push(writes);
        Box::pin(async move { rx.await.unwrap() })
    }

    fn act(&mut self, act: u32) {
        self.said.send(act).unwrap();
    }
}

struct Bench {
    handle: Handle<Echo>,
    said: mpsc::UnboundedReceiver<u32>,
    gates: Gates,
    batches: Arc<Mutex<Vec<Vec<u32>>>>,
}

/// Starts an echo on the current local set.
fn start() -> (Bench, tokio::task::JoinHandle<Result<()>>) {
    let (handle, mailbox) = mailbox();
    let (tx, said) = mpsc::unbounded_channel();
    let (gates, batches) = (Gates::default(), Arc::default());
    let shell = Recorder { said: tx, gates: Arc::clone(&gates), batches: Arc::clone(&batches) };
    let (machine, rng) = (Echo::default(), Rng::new(1));
    let running = run(machine, shell, Clock::default(), rng, mailbox, Effects::default());
    (Bench { handle, said, gates, batches }, tokio::task::spawn_local(running))
}

fn on_local(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, test);
}

impl Bench {
    fn open_gate(&self, outcome: Result<()>) {
        self.gates.lock().unwrap().remove(0).send(outcome).unwrap();
    }
}

#[test]
fn an_act_waits_for_the_writes_before_it_and_no_others() {
    on_local(async {
        let (mut bench, running) = start();
        for told in [Told::Say(1), Told::Write(10), Told::Say(2), Told::SayNow(3)] {
            bench.handle.try_send(told).unwrap();
        }
        assert_eq!(bench.said.recv().await, Some(3), "what waits for nothing goes first");
        assert_eq!(bench.said.recv().await, Some(1), "no write came before it");
        assert!(bench.said.try_recv().is_err(), "its write is not durable yet");
        bench.handle.send(Told::Say(4)).await.unwrap();
        let handle = bench.handle.clone();
        let mut seen = Box::pin(async move { handle.look(|m| m.seen).await });
        tokio::select! {
            biased;
            _ = &mut seen => panic!("a read must not show what is not durable"),
            () = tokio::task::yield_now() => {}
        }
        bench.open_gate(Ok(()));
        assert_eq!(bench.said.recv().await, Some(2));
        assert_eq!(bench.said.recv().await, Some(4), "acts keep their order");
        assert_eq!(seen.await, Ok(5));
        drop(bench.handle);
        assert_eq!(running.await.unwrap(), Ok(()));
    });
}

#[test]
fn stepping_goes_on_while_a_batch_is_written() {
    on_local(async {
        let (bench, running) = start();
        bench.handle.send(Told::Write(1)).await.unwrap();
        while bench.batches.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        bench.handle.send(Told::Write(2)).await.unwrap();
        bench.handle.send(Told::Write(3)).await.unwrap();
        while bench.batches.lock().unwrap().len() < 2 {
            tokio::task::yield_now().await;
        }
        assert_eq!(*bench.batches.lock().unwrap(), [vec![1], vec![2, 3]], "one batch for both");
        bench.open_gate(Ok(()));
        bench.open_gate(Ok(()));
        drop(bench.handle);
        assert_eq!(running.await.unwrap(), Ok(()));
    });
}

#[test]
fn a_failed_write_ends_the_machine_and_nothing_after_it_is_done() {
    on_local(async {
        let (mut bench, running) = start();
        bench.handle.try_send(Told::Write(1)).unwrap();
        bench.handle.try_send(Told::Say(2)).unwrap();
        while bench.gates.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        bench.open_gate(Err(Error::new(Code::System, "disk full")));
        assert_eq!(running.await.unwrap().unwrap_err().cause, "disk full");
        assert_eq!(bench.said.recv().await, None, "the act was never done");
        let refused = bench.handle.try_send(Told::Say(3)).unwrap_err();
        assert_eq!(refused.code, Code::Unavailable);
    });
}

#[test]
fn a_machine_is_woken_when_it_asked_to_be() {
    on_local(async {
        let (mut bench, _running) = start();
        bench.handle.send(Told::WakeIn(Duration::from_millis(5))).await.unwrap();
        assert_eq!(bench.said.recv().await, Some(99));
    });
}
