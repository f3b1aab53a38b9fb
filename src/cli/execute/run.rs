//! Carries out what [`super::core`] decides: the port, the output, the clock, the terminal.

use super::core::{Act, Core, Input};
use super::options::ExecuteOptions;
use super::output::{HttpOutput, Stream, TaskOutput, Told, follow};
use super::plan::{Plan, plan};
use super::{OWN_FAILURE, core};
use crate::base::error::{Code, Error, Result};
use crate::base::explain::Explanation;
use crate::base::time::Mono;
use crate::framework::http::{Ask, Authorization, Http, HttpOptions};
use crate::framework::masters::{self, Named};
use crate::framework::scheduler::{Endpoint, Port, PortEvents};
use crate::mesos::v1::FrameworkId;
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};

/// The master that is asked when none is named.
pub const DEFAULT_MASTER: &str = "127.0.0.1:5050";
/// How long the default master may take to answer.
const DEFAULT_MASTER_WITHIN: Duration = Duration::from_secs(1);
/// How long the master may take to explain.
const EXPLAIN_WITHIN: Duration = Duration::from_secs(2);
/// How long a TEARDOWN may take.
const TEARDOWN_WITHIN: Duration = Duration::from_secs(5);
/// How many pieces of output wait to be shown.
const OUTPUT_MAX: usize = 64;

/// The world around one run.
pub struct World<'a> {
    /// Standard output.
    pub stdout: &'a mut (dyn Write + Send),
    /// Standard error.
    pub stderr: &'a mut (dyn Write + Send),
    /// One message for each Ctrl-C.
    pub interrupts: mpsc::Receiver<()>,
    /// Whether the caller can do `--local`, so that it may be offered.
    pub local: bool,
    /// Who runs this program.
    pub user: String,
    /// Asked when no master is named; [`DEFAULT_MASTER`] but in tests.
    pub default_master: String,
}

impl World<'_> {
    /// Output that cannot be written (a closed pipe) does not stop the task from being looked after.
    fn say(stream: &mut (dyn Write + Send), bytes: &[u8]) {
        let _ = stream.write_all(bytes).and_then(|()| stream.flush());
    }

    fn out(&mut self, line: &str) {
        Self::say(self.stdout, format!("{line}\n").as_bytes());
    }

    fn note(&mut self, line: &str) {
        Self::say(self.stderr, format!("{line}\n").as_bytes());
    }
}

/// Runs the task to its end; returns the exit code.
pub async fn run(mut options: ExecuteOptions, mut world: World<'_>) -> i32 {
    let expanded = options.expand(|path| std::fs::read_to_string(path));
    let planned = expanded.and_then(|()| plan(&options, &world.user));
    let plan = match planned {
        Ok(plan) => plan,
        Err(problems) => {
            problems.iter().for_each(|problem| world.note(problem));
            world.note("Try 'mesos-execute --help'");
            return OWN_FAILURE;
        }
    };
    let masters = match find_masters(&options, &mut world).await {
        Ok(masters) => masters,
        Err(error) => {
            world.note(&error.cause);
            if let Some(hint) = &error.hint {
                world.note(hint);
            }
            return OWN_FAILURE;
        }
    };
    match client(&plan, masters) {
        Ok(http) => {
            let output = Arc::new(HttpOutput::new(http.clone()));
            run_at(plan, http, output, &mut world).await
        }
        Err(error) => {
            world.note(&error.cause);
            OWN_FAILURE
        }
    }
}

fn client(plan: &Plan, masters: Vec<String>) -> Result<Http> {
    let authorization = plan.credential.as_ref().map(|(principal, secret)| Authorization::Basic {
        principal: principal.clone(),
        secret: secret.clone(),
    });
    Http::new(HttpOptions { masters, codec: plan.codec, authorization })
}

async fn find_masters(options: &ExecuteOptions, world: &mut World<'_>) -> Result<Vec<String>> {
    if let Some(text) = &options.master {
        return read_masters(text);
    }
    if options.local {
        return Err(Error::new(Code::Invalid, "--local cannot be used here")
            .hint("name a master with --master=HOST:PORT"));
    }
    let default = world.default_master.clone();
    let connecting = tokio::net::TcpStream::connect(&default);
    match tokio::time::timeout(DEFAULT_MASTER_WITHIN, connecting).await {
        Ok(Ok(_)) => Ok(vec![default]),
        _ => {
            let cause = format!("no master is named, and none answers on {default}");
            let with = "name one with --master=HOST:PORT";
            let hint = match world.local {
                true => format!("{with}, or run the task on a cluster of its own with --local"),
                false => with.to_string(),
            };
            Err(Error::new(Code::Unavailable, cause).hint(hint))
        }
    }
}

/// The hosts that an address names; one `file://` may name another address, no more.
pub fn read_masters(text: &str) -> Result<Vec<String>> {
    match masters::parse(text)? {
        Named::Hosts(hosts) => Ok(hosts),
        Named::File(path) => {
            let content = std::fs::read_to_string(&path).map_err(|e| {
                Error::new(Code::System, format!("the master's address in '{path}': {e}"))
            })?;
            match masters::parse(content.trim())? {
                Named::Hosts(hosts) => Ok(hosts),
                Named::File(_) => {
                    let cause = format!("'{path}' names a master by another file");
                    Err(Error::new(Code::Invalid, cause))
                }
            }
        }
    }
}

/// Runs the task at these masters.
pub async fn run_at(
    plan: Plan,
    http: Http,
    output: Arc<dyn TaskOutput>,
    world: &mut World<'_>,
) -> i32 {
    let endpoint = Endpoint::with_client(http.clone());
    let (port, events) = endpoint.connect(plan.framework.clone(), Vec::new());
    let (told_tx, told) = mpsc::channel(OUTPUT_MAX);
    let (explained_tx, explained) = mpsc::channel(1);
    let runner = Runner {
        core: Core::new(plan),
        port,
        http,
        output,
        drain: watch::Sender::new(false),
        following: false,
        told_tx,
        explained_tx,
        start: Instant::now(),
    };
    runner.run(events, told, explained, world).await
}

struct Runner {
    core: Core,
    port: Port,
    http: Http,
    output: Arc<dyn TaskOutput>,
    drain: watch::Sender<bool>,
    following: bool,
    told_tx: mpsc::Sender<Told>,
    explained_tx: mpsc::Sender<Vec<String>>,
    start: Instant,
}

impl Runner {
    fn now(&self) -> Mono {
        Mono(u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    async fn run(
        mut self,
        mut events: PortEvents,
        mut told: mpsc::Receiver<Told>,
        mut explained: mpsc::Receiver<Vec<String>>,
        world: &mut World<'_>,
    ) -> i32 {
        loop {
            let wake = self.core.wake_at();
            let sleep = wake.map(|at| at.since(self.now()));
            let acts = tokio::select! {
                Some(event) = events.next() => self.core.step(self.now(), Input::Port(event)),
                // The runner holds a sender of both, so these cannot end.
                Some(told) = told.recv() => match told {
                    Told::Wrote(Stream::Out, bytes) => {
                        World::say(world.stdout, &bytes);
                        continue;
                    }
                    Told::Wrote(Stream::Err, bytes) => {
                        World::say(world.stderr, &bytes);
                        continue;
                    }
                    Told::Done(why) => {
                        if let Some(why) = why {
                            world.note(&format!("the task's output could not be read: {why}"));
                        }
                        self.core.step(self.now(), Input::OutputDone)
                    }
                },
                Some(lines) = explained.recv() => {
                    lines.iter().for_each(|line| world.note(line));
                    continue;
                }
                Some(()) = world.interrupts.recv() => {
                    self.core.step(self.now(), Input::Interrupt)
                }
                () = async { match sleep {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => std::future::pending().await,
                } } => self.core.wake(self.now()),
            };
            if let Some(code) = self.perform(acts, world).await {
                return code;
            }
        }
    }

    /// Does what was asked for, in order; returns the exit code once there is one.
    async fn perform(&mut self, acts: Vec<Act>, world: &mut World<'_>) -> Option<i32> {
        let mut queue = std::collections::VecDeque::from(acts);
        while let Some(act) = queue.pop_front() {
            let sent = match act {
                Act::Out(line) => {
                    world.out(&line);
                    continue;
                }
                Act::Note(line) => {
                    world.note(&line);
                    continue;
                }
                Act::Launch(offer, task) => {
                    if let Err(error) = self.port.launch(vec![offer], vec![*task], None).await {
                        // The line that says it was submitted comes next, and would not be true.
                        if matches!(queue.front(), Some(Act::Out(_))) {
                            queue.pop_front();
                        }
                        queue.extend(self.core.step(self.now(), Input::LaunchFailed(error)));
                    }
                    continue;
                }
                Act::Follow(sandbox) => {
                    self.follow(sandbox);
                    continue;
                }
                Act::Drain(sandbox) => {
                    self.follow(sandbox);
                    self.drain.send_replace(true);
                    continue;
                }
                Act::Explain(id) => {
                    self.explain(&id);
                    continue;
                }
                Act::Exit { code, teardown } => {
                    if teardown {
                        self.teardown(world).await;
                    }
                    return Some(code);
                }
                Act::Decline(offers) => self.port.decline(offers, None).await,
                Act::Suppress => self.port.suppress(&[]).await,
                Act::Revive => self.port.revive(&[]).await,
                Act::Kill(task, agent) => self.port.kill(task, Some(agent), None).await,
                Act::Acknowledge(status) => self.port.acknowledge(&status).await,
                Act::Reconcile(task, agent) => self.port.reconcile(vec![(task, Some(agent))]).await,
            };
            if let Err(error) = sent {
                // The port subscribes again, and the core asks then what became of the task.
                tracing::debug!(%error, "a call was not taken");
            }
        }
        None
    }

    fn follow(&mut self, sandbox: core::Sandbox) {
        if !self.following {
            self.following = true;
            let (output, drain) = (self.output.clone(), self.drain.subscribe());
            tokio::spawn(follow(output, sandbox, drain, self.told_tx.clone()));
        }
    }

    async fn teardown(&self, world: &mut World<'_>) {
        let torn = tokio::time::timeout(TEARDOWN_WITHIN, self.port.teardown()).await;
        let why = match torn {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.cause,
            Err(_) => "no answer".to_string(),
        };
        world.note(&format!("the framework could not be torn down: {why}"));
    }

    /// Asks the master beside everything else; a master that cannot explain is passed over.
    fn explain(&self, id: &FrameworkId) {
        let (http, tx, id) = (self.http.clone(), self.explained_tx.clone(), id.value.clone());
        tokio::spawn(async move {
            let path = format!("/mesolith/v1/explain?framework_id={id}");
            let ask = Ask::get(&path);
            let asking = tokio::time::timeout(EXPLAIN_WITHIN, http.ask(&ask));
            let Ok(Ok(answer)) = asking.await else {
                return;
            };
            if answer.status == 200
                && let Ok(explanation) = serde_json::from_slice::<Explanation>(&answer.body)
            {
                // Nobody is left to be told if this fails.
                let _ = tx.send(explained(&explanation)).await;
            }
        });
    }
}

/// The master's explanation in lines.
fn explained(explanation: &Explanation) -> Vec<String> {
    let mut lines = vec![format!(
        "the master looked at {} agents for {}:",
        explanation.candidates, explanation.subject
    )];
    let refusal = |r: &crate::base::explain::Refusal| {
        format!("  {} of them: {}: {}", r.count, r.rule, r.detail)
    };
    lines.extend(explanation.refusals.iter().map(refusal));
    lines.extend(explanation.hint.iter().map(|hint| format!("  {hint}")));
    lines
}
