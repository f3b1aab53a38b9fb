//! Two hundred tasks in one call: how fast they run, how fast they end, and when nothing of them is left.

use crate::Result;
use crate::face::Face;
use crate::framework::Framework;
use crate::node::{Node, parent};
use crate::stamp::{Stamps, now};
use crate::stats::{self, median, ms};
use mesolith::mesos::v1::{TaskId, TaskState};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How many tasks.
pub const TASKS: usize = 200;
const ROUNDS: usize = 3;
/// Tasks started in a second.
const TARGET_STARTS: f64 = 100.0;
/// From KILL until nothing is left, in ms.
const TARGET_CLEAN: f64 = 3000.0;
/// How long cleaning up may take at most.
const WITHIN: Duration = Duration::from_secs(60);

/// What one round took, in ms.
struct Times {
    first: f64,
    last: f64,
    running: f64,
    killed: f64,
    clean: f64,
}

/// The row.
pub async fn row() -> Result<()> {
    let (count, rounds) = (stats::tasks(TASKS)?, stats::rounds(ROUNDS)?);
    println!("\n4. {count} tasks in one ACCEPT ({rounds} rounds, each shown; then medians)");
    let mut all = Vec::new();
    for _ in 0..rounds {
        let times = one(count).await?;
        println!(
            "  first {:.0} ms, last {:.0} ms, RUNNING seen {:.0} ms, killed {:.0} ms, clean {:.0} ms, load {}",
            times.first,
            times.last,
            times.running,
            times.killed,
            times.clean,
            stats::load()
        );
        all.push(times);
    }
    let of = |time: fn(&Times) -> f64| median(&mut all.iter().map(time).collect::<Vec<_>>());
    let (last, running) = (of(|t| t.last), of(|t| t.running));
    let (killed, clean) = (of(|t| t.killed), of(|t| t.clean));
    let rate = |time: f64| count as f64 / time * 1e3;
    for (what, time) in [
        ("until the last first instruction", last),
        ("until all RUNNING are seen", running),
        ("KILL of all until all KILLED", killed),
        ("KILL of all until nothing is left", clean),
    ] {
        println!("  {what:<34} {time:>8.0} ms {:>8.0} tasks/s", rate(time));
    }
    stats::at_least("isolated tasks started", rate(last), TARGET_STARTS, "/s");
    stats::at_most("stopped and cleaned up", clean, TARGET_CLEAN, " ms");
    Ok(())
}

async fn one(count: usize) -> Result<Times> {
    let dir = tempfile::tempdir()?;
    let stamps = Stamps::new(dir.path())?;
    let mut node = Node::start()?;
    node.answers().await?;
    let agent = Face::new(node.agent)?;
    let mut framework = Framework::subscribe(node.master).await?;
    let sent = fill(&mut framework, &stamps, count).await?;
    let running = now();
    let mut times: Vec<u64> = stamps.all()?.into_values().collect();
    times.sort_unstable();
    let (Some(first), Some(last)) = (times.first().copied(), times.last().copied()) else {
        return Err("no task ran".into());
    };
    let kept = Kept::of(&agent, count).await?;
    let killing = now();
    empty(&mut framework, count).await?;
    let killed = now();
    let clean = kept.gone(&agent).await?;
    framework.end().await?;
    node.stop()?;
    Ok(Times {
        first: ms(sent, first),
        last: ms(sent, last),
        running: ms(sent, running),
        killed: ms(killing, killed),
        clean: ms(killing, clean),
    })
}

/// Launches all and waits until all run; when it was sent.
pub async fn fill(framework: &mut Framework, stamps: &Stamps, count: usize) -> Result<u64> {
    let offer = framework.offer().await?;
    let names: Vec<String> = (0..count).map(|n| format!("task-{n}")).collect();
    let tasks = framework.tasks(&offer, &names, stamps, true)?;
    let sent = framework.launch(offer, tasks).await?;
    while framework.count(TaskState::TaskRunning) < count {
        framework.step().await?;
    }
    for name in &names {
        stamps.wait(name).await?;
    }
    Ok(sent)
}

/// Kills all and waits until all are killed.
pub async fn empty(framework: &mut Framework, count: usize) -> Result<()> {
    for n in 0..count {
        let port = framework.port.clone();
        port.kill(TaskId { value: format!("task-{n}") }, None, None).await?;
    }
    while framework.count(TaskState::TaskKilled) < count {
        framework.step().await?;
    }
    Ok(())
}

/// What the machine has of running containers.
pub struct Kept {
    /// Their first processes, as `/containers` tells them, and what these are children of in the container.
    pub processes: BTreeSet<i32>,
    cgroups: BTreeSet<PathBuf>,
}

impl Kept {
    /// Of so many containers of an agent, each of which must be isolated.
    pub async fn of(agent: &Face, count: usize) -> Result<Self> {
        let all = agent.get("/containers").await?;
        let all = all.as_array().ok_or("/containers is no list")?;
        if all.len() != count {
            return Err(format!("{} containers instead of {count}", all.len()).into());
        }
        let (mut processes, mut cgroups) = (BTreeSet::new(), BTreeSet::new());
        for container in all {
            let pid = container["status"]["executor_pid"].as_i64().ok_or("no executor_pid")?;
            let pid = i32::try_from(pid)?;
            let is_host = |pid: i32, namespace: &str| {
                let of = |who: &str| std::fs::read_link(format!("/proc/{who}/ns/{namespace}"));
                std::io::Result::Ok(of(&pid.to_string())? == of("self")?)
            };
            for namespace in ["mnt", "pid", "ipc", "uts"] {
                if is_host(pid, namespace)? {
                    return Err(format!("process {pid} has the host's {namespace}").into());
                }
            }
            if let Some(keeper) = parent(pid) {
                processes.extend((!is_host(keeper, "pid")?).then_some(keeper));
            }
            processes.insert(pid);
            cgroups.extend(own_cgroups(pid)?);
        }
        if cgroups.len() < count {
            return Err(format!("{count} containers have {} cgroups", cgroups.len()).into());
        }
        Ok(Self { processes, cgroups })
    }

    /// Waits until all is gone, and the agent says so; when that was.
    async fn gone(&self, agent: &Face) -> Result<u64> {
        let deadline = Instant::now() + WITHIN;
        loop {
            let processes = self.processes.iter().filter(|pid| parent(**pid).is_some()).count();
            let cgroups = self.cgroups.iter().filter(|cgroup| cgroup.exists()).count();
            if processes + cgroups == 0 {
                let listed = agent.get("/containers").await?;
                if listed.as_array().is_some_and(Vec::is_empty) {
                    return Ok(now());
                }
            }
            if Instant::now() > deadline {
                let left = format!("{processes} processes and {cgroups} cgroups are left");
                return Err(left.into());
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

/// The cgroups of a process that are not also ours, in every hierarchy that is mounted.
fn own_cgroups(pid: i32) -> Result<BTreeSet<PathBuf>> {
    let root = Path::new("/sys/fs/cgroup");
    let of = |who: &str| std::fs::read_to_string(format!("/proc/{who}/cgroup"));
    let ours = of("self")?;
    let theirs = of(&pid.to_string())?;
    let mut all = BTreeSet::new();
    for line in theirs.lines().filter(|line| !ours.lines().any(|own| own == *line)) {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { continue };
        let hierarchy = root.join(controllers.strip_prefix("name=").unwrap_or(controllers));
        all.extend(Some(hierarchy.join(path.trim_start_matches('/'))).filter(|p| p.exists()));
    }
    Ok(all)
}
