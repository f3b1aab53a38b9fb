//! From a launch to the first instruction, beside crun, runc, docker and a bare fork and exec, in turn.
//!
//! Two kinds of launches: of a shape that was launched before, for which the node may have a container made ahead; and of
//! one that never was, for which it cannot.

use crate::Result;
use crate::framework::Framework;
use crate::node::{MESOLITH, Node};
use crate::peers::{self, CRUN, Peers};
use crate::stamp::{Stamps, now};
use crate::stats::{self, CANARY, Round, ms};
use mesolith::mesos::v1::container_info::Type;
use mesolith::mesos::v1::r_limit_info::{RLimit, r_limit};
use mesolith::mesos::v1::{ContainerInfo, RLimitInfo, TaskInfo, TaskState};
use std::process::{Command, Stdio};
use std::time::Duration;

const ROUNDS: usize = 40;
/// What rows that start things do twice: a name for people, a word for names of tasks, the pause before each start.
pub const REGIMES: [(&str, &str, Duration); 2] = [
    ("after 60 ms of rest", "idle", Duration::from_millis(60)),
    ("back to back", "busy", Duration::ZERO),
];
const AHEAD: &str = "mesolith launch, shape known";
const NEW: &str = "mesolith launch, shape new";
/// Of crun's time, which a launch may take whose container is made ahead.
const TARGET_AHEAD: f64 = 0.5;
/// And one whose container is not.
const TARGET_NEW: f64 = 1.3;
/// After a round, in which a node may make containers ahead.
const MAKING: Duration = Duration::from_millis(150);
/// Open files of the first task whose shape is new; each has one more.
const FILES: u64 = 2000;

/// The row.
pub async fn row() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let stamps = Stamps::new(dir.path())?;
    let mut all_peers = Peers::new(dir.path()).await?;
    let mut node = Node::start()?;
    node.answers().await?;
    let mut framework = Framework::subscribe(node.master).await?;
    launch(&mut framework, &stamps, "first-of-all", Duration::ZERO, |_| ()).await?;
    let mut files = FILES;
    for (title, word, pause) in REGIMES {
        let mut rounds = Vec::new();
        for round in 0..stats::rounds(ROUNDS)? {
            let name = format!("{word}-{round}");
            let mut times = Round::new();
            times.insert(CANARY, peers::canary(&stamps, round, pause).await?);
            all_peers.round(&stamps, &name, pause, &mut times).await?;
            let launched = launch(&mut framework, &stamps, &name, pause, |_| ()).await?;
            times.insert(AHEAD, launched.ran);
            times.insert("(wait for the offer)", launched.offered);
            times.insert("(launch: ACCEPT answered)", launched.accepted);
            times.extend(launched.running.map(|time| ("(launch: RUNNING seen)", time)));
            times.extend(launched.finished.map(|time| ("(launch: FINISHED seen)", time)));
            framework.idle(pause).await?;
            let time = execute(&mut framework, &node, &stamps, &format!("{name}-x")).await?;
            times.insert("mesolith execute", time);
            files += 1;
            let new = |task: &mut TaskInfo| limit_files(task, files);
            let launched =
                launch(&mut framework, &stamps, &format!("{name}-new"), pause, new).await?;
            times.insert(NEW, launched.ran);
            // What the node makes ahead it makes now, and not at the expense of the next round's peers.
            framework.idle(MAKING).await?;
            rounds.push(times);
        }
        let title = format!("2, 3. start to first instruction, {title}");
        let medians = stats::print(&title, &rounds, Some(CRUN));
        all_peers.tell_missing();
        stats::beside(&medians, AHEAD, CRUN, TARGET_AHEAD);
        stats::beside(&medians, NEW, CRUN, TARGET_NEW);
    }
    framework.end().await?;
    node.stop()
}

fn limit_files(task: &mut TaskInfo, files: u64) {
    let limit = RLimit {
        r#type: Some(r_limit::Type::RlmtNofile.into()),
        hard: Some(files),
        soft: Some(files),
    };
    task.container = Some(ContainerInfo {
        r#type: Type::Mesos.into(),
        rlimit_info: Some(RLimitInfo { rlimits: vec![limit] }),
        ..ContainerInfo::default()
    });
}

/// What a launch took, in ms; all but the wait for the offer since ACCEPT was sent.
pub struct Launched {
    /// The wait for the offer.
    pub offered: f64,
    /// Until the answer to ACCEPT.
    pub accepted: f64,
    /// Until the first instruction.
    pub ran: f64,
    /// Until TASK_RUNNING was seen.
    pub running: Option<f64>,
    /// Until TASK_FINISHED was seen.
    pub finished: Option<f64>,
}

/// Launches a task after a pause, and waits until it has ended.
pub async fn launch(
    framework: &mut Framework,
    stamps: &Stamps,
    name: &str,
    pause: Duration,
    mut shape: impl FnMut(&mut TaskInfo),
) -> Result<Launched> {
    let asked = now();
    let offer = framework.offer().await?;
    let offered = ms(asked, now());
    framework.idle(pause).await?;
    let mut tasks = framework.tasks(&offer, &[name.to_string()], stamps, false)?;
    tasks.iter_mut().for_each(&mut shape);
    let sent = framework.launch(offer, tasks).await?;
    let accepted = ms(sent, now());
    framework.until(name, TaskState::TaskFinished).await?;
    let ran = ms(sent, stamps.wait(name).await?);
    let seen = |state: TaskState| framework.seen.get(&(name.to_string(), state.into())).copied();
    let since = |state| seen(state).map(|at| ms(sent, at));
    let (running, finished) = (since(TaskState::TaskRunning), since(TaskState::TaskFinished));
    Ok(Launched { offered, accepted, ran, running, finished })
}

/// The framework gives its offer back first, or `execute` would get none.
async fn execute(
    framework: &mut Framework,
    node: &Node,
    stamps: &Stamps,
    name: &str,
) -> Result<f64> {
    framework.port.suppress(&[]).await?;
    framework.decline_all().await?;
    let line = format!("exec {}", stamps.command(name, false)?.join(" "));
    let start = now();
    let output = Command::new(MESOLITH)
        .arg("execute")
        .env("MESOS_MASTER", node.master.to_string())
        .arg(format!("--name={name}"))
        .arg("--resources=cpus:0.1;mem:64")
        .arg(format!("--command={line}"))
        .stdin(Stdio::null())
        .output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("mesolith execute: {}, {said}{}", output.status, node.log()).into());
    }
    let ran = stamps.wait(name).await?;
    framework.port.revive(&[]).await?;
    Ok(ms(start, ran))
}
