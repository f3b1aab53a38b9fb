//! From a launch to the first instruction, beside runc and a bare fork and exec, in turn.

use crate::Result;
use crate::framework::Framework;
use crate::node::{MESOLITH, Node};
use crate::peers::{self, Runc};
use crate::stamp::{Stamps, now};
use crate::stats::{CANARY, Round, ms, print};
use mesolith::mesos::v1::TaskState;
use std::process::{Command, Stdio};
use std::time::Duration;

const ROUNDS: usize = 40;
const IDLE: Duration = Duration::from_millis(60);

/// The row.
pub async fn row() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let stamps = Stamps::new(dir.path())?;
    let mut runc = Runc::new(dir.path())?;
    let mut node = Node::start()?;
    node.answers().await?;
    let mut framework = Framework::subscribe(node.master).await?;
    for (title, pause) in [("after 60 ms of rest", IDLE), ("back to back", Duration::ZERO)] {
        let mut rounds = Vec::new();
        for round in 0..ROUNDS {
            let name = format!("{}-{round}", if pause.is_zero() { "busy" } else { "idle" });
            let mut times = Round::new();
            rest(&mut framework, pause).await?;
            times.insert(CANARY, peers::canary(&stamps, round).await?);
            if let Some(runc) = &mut runc {
                rest(&mut framework, pause).await?;
                times.insert("runc run", runc.run(&stamps, rounds_id(&name)).await?);
            }
            launch(&mut framework, &stamps, &name, pause, &mut times).await?;
            rest(&mut framework, pause).await?;
            let time = execute(&mut framework, &node, &stamps, &format!("{name}-x")).await?;
            times.insert("mesolith execute", time);
            rounds.push(times);
        }
        print(&format!("2, 3. start to first instruction, {title}"), &rounds, Some("runc run"));
    }
    framework.end().await?;
    node.stop()
}

/// A number of its own for every name.
fn rounds_id(name: &str) -> usize {
    name.bytes().fold(0usize, |sum, b| (sum * 31 + usize::from(b)) % 1_000_000_007)
}

async fn rest(framework: &mut Framework, pause: Duration) -> Result<()> {
    framework.idle(pause).await
}

async fn launch(
    framework: &mut Framework,
    stamps: &Stamps,
    name: &str,
    pause: Duration,
    times: &mut Round,
) -> Result<()> {
    let asked = now();
    let offer = framework.offer().await?;
    times.insert("(wait for the offer)", ms(asked, now()));
    rest(framework, pause).await?;
    let names = [name.to_string()];
    let tasks = framework.tasks(&offer, &names, stamps, false)?;
    let sent = framework.launch(offer, tasks).await?;
    times.insert("(launch: ACCEPT answered)", ms(sent, now()));
    framework.until(name, TaskState::TaskFinished).await?;
    let ran = stamps.wait(name).await?;
    let seen = |state: TaskState| framework.seen.get(&(name.to_string(), state.into())).copied();
    times.insert("mesolith launch", ms(sent, ran));
    if let Some(running) = seen(TaskState::TaskRunning) {
        times.insert("(launch: RUNNING seen)", ms(sent, running));
    }
    if let Some(finished) = seen(TaskState::TaskFinished) {
        times.insert("(launch: FINISHED seen)", ms(sent, finished));
    }
    Ok(())
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
