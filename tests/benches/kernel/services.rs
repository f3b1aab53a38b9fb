//! Marathon and Chronos on a whole node: from POST to the first instruction beside the kernel's own launch, many instances,
//! healing, rolling replacement, lists, and ten thousand jobs.

use crate::Result;
use crate::face::{Face, WITHIN};
use crate::framework::Framework;
use crate::node::{Node, usage};
use crate::stamp::{Stamps, now};
use crate::stats::{CANARY, Round, median, ms, print};
use mesolith::mesos::v1::TaskState;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const ROUNDS: usize = 30;
const IDLE: Duration = Duration::from_millis(60);
const INSTANCES: usize = 200;
const ROLLED: usize = 50;
const HEALED: usize = 15;
const APPS: usize = 200;
const JOBS: usize = 10_000;
/// Of the jobs, how many are due while the row looks.
const DUE: usize = 200;
const COLD: usize = 10;

/// An app whose instances leave stamps and stay.
fn app(id: &str, stamps: &Stamps, instances: usize) -> Result<Value> {
    let line = stamps.command("$MESOS_TASK_ID", true)?.join(" ");
    Ok(
        json!({"id": id, "cmd": format!("exec {line}"), "instances": instances, "cpus": 0.1, "mem": 32,
        "upgradeStrategy": {"minimumHealthCapacity": 0.8, "maximumOverCapacity": 0.0}}),
    )
}

/// Waits for a stamp whose name begins so, and was left after `since`.
async fn stamp(stamps: &Stamps, prefix: &str, since: u64) -> Result<u64> {
    let deadline = Instant::now() + WITHIN;
    loop {
        let all = stamps.all()?;
        let found = all.iter().find(|(name, at)| name.starts_with(prefix) && **at > since);
        if let Some((_, at)) = found {
            return Ok(*at);
        }
        if Instant::now() > deadline {
            return Err(format!("no stamp of {prefix}").into());
        }
        tokio::time::sleep(Duration::from_micros(300)).await;
    }
}

/// The row of Marathon.
pub async fn apps() -> Result<()> {
    cold().await?;
    let dir = tempfile::tempdir()?;
    let stamps = Stamps::new(dir.path())?;
    let mut node = Node::whole()?;
    node.answers().await?;
    let marathon = Face::new(node.marathon.ok_or("no Marathon")?)?;
    marathon.until("/v2/info", |info| info["frameworkId"].is_string()).await?;
    let mut framework = Framework::subscribe(node.master).await?;
    for (title, pause) in [("after 60 ms of rest", IDLE), ("back to back", Duration::ZERO)] {
        let mut rounds = Vec::new();
        for round in 0..ROUNDS {
            let name = format!("k{}-{round}", if pause.is_zero() { "b" } else { "i" });
            let mut times = Round::new();
            framework.idle(pause).await?;
            times.insert(CANARY, crate::peers::canary(&stamps, round, Duration::ZERO).await?);
            framework.port.revive(&[]).await?;
            let offer = framework.offer().await?;
            framework.idle(pause).await?;
            let tasks = framework.tasks(&offer, std::slice::from_ref(&name), &stamps, false)?;
            let sent = framework.launch(offer, tasks).await?;
            framework.until(&name, TaskState::TaskFinished).await?;
            times.insert("kernel launch", ms(sent, stamps.wait(&name).await?));
            // Marathon is to get the offer.
            framework.port.suppress(&[]).await?;
            framework.decline_all().await?;
            framework.idle(pause).await?;
            let id = format!("/{name}");
            let body = app(&id, &stamps, 1)?;
            let sent = now();
            marathon.ask("POST", "/v2/apps", &body).await?;
            times.insert("(POST answered)", ms(sent, now()));
            let ran = stamp(&stamps, &format!("{name}.instance"), sent).await?;
            times.insert("POST /v2/apps to instruction", ms(sent, ran));
            marathon.deployed().await?;
            marathon.ask("DELETE", &format!("/v2/apps{id}"), &Value::Null).await?;
            marathon.deployed().await?;
            rounds.push(times);
        }
        let title = format!("9. POST /v2/apps to first instruction, {title}");
        print(&title, &rounds, Some("kernel launch"));
    }
    framework.end().await?;
    many(&marathon, &stamps, &node).await?;
    heal(&marathon, &stamps).await?;
    roll(&marathon, &stamps).await?;
    lists(&marathon).await?;
    node.stop()
}

/// From the exec of `up` to the first instruction of the first app.
async fn cold() -> Result<()> {
    let mut rounds = Vec::new();
    for round in 0..COLD {
        let dir = tempfile::tempdir()?;
        let stamps = Stamps::new(dir.path())?;
        let canary = crate::peers::canary(&stamps, round, Duration::ZERO).await?;
        let mut node = Node::whole()?;
        node.answers().await?;
        let answered = now();
        let marathon = Face::new(node.marathon.ok_or("no Marathon")?)?;
        let body = app("/first", &stamps, 1)?;
        let deadline = Instant::now() + WITHIN;
        while let Err(e) = marathon.ask("POST", "/v2/apps", &body).await {
            if Instant::now() > deadline {
                return Err(e);
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let posted = now();
        let ran = stamp(&stamps, "first.instance", 0).await?;
        marathon.deployed().await?;
        let started = node.started;
        node.stop()?;
        rounds.push(Round::from([
            (CANARY, canary),
            ("… 1 the port is open", ms(started, answered)),
            ("… 2 POST is answered", ms(started, posted)),
            ("… 3 the first instruction", ms(started, ran)),
        ]));
    }
    print("8. cold start of everything to the first app's task", &rounds, None);
    Ok(())
}

async fn many(marathon: &Face, stamps: &Stamps, node: &Node) -> Result<()> {
    println!("\n10. 0 to {INSTANCES} instances and back");
    let (mut up, mut down) = (Vec::new(), Vec::new());
    for round in 0..3 {
        let id = format!("/many{round}");
        marathon.ask("POST", "/v2/apps", &app(&id, stamps, 0)?).await?;
        marathon.deployed().await?;
        let sent = now();
        marathon.ask("PUT", &format!("/v2/apps{id}"), &json!({"instances": INSTANCES})).await?;
        marathon.deployed().await?;
        let deployed = now();
        let prefix = format!("many{round}.instance");
        let all = stamps.all()?;
        let ran = all.iter().filter(|(name, _)| name.starts_with(&prefix));
        let last = ran.clone().map(|(_, at)| *at).max().unwrap_or(0);
        let count = ran.count();
        if count != INSTANCES {
            return Err(format!("{count} instances ran").into());
        }
        let rss = usage(node.pid())?.rss as f64 / 1048576.0;
        let killing = now();
        marathon.ask("DELETE", &format!("/v2/apps{id}"), &Value::Null).await?;
        marathon.deployed().await?;
        let gone = ms(killing, now());
        let rate = INSTANCES as f64 / ms(sent, last) * 1e3;
        println!(
            "  last instruction {:.0} ms ({rate:.0}/s), deployed {:.0} ms, removed {gone:.0} ms, RSS {rss:.1} MiB",
            ms(sent, last),
            ms(sent, deployed)
        );
        up.push(rate);
        down.push(gone);
    }
    println!("  median {:.0} instances/s; removed in {:.0} ms", median(&mut up), median(&mut down));
    Ok(())
}

async fn heal(marathon: &Face, stamps: &Stamps) -> Result<()> {
    let mut times = Vec::new();
    for round in 0..HEALED {
        let id = format!("/heal{round}");
        marathon.ask("POST", "/v2/apps", &app(&id, stamps, 1)?).await?;
        marathon.deployed().await?;
        let marker = format!("heal{round}.instance");
        stamp(stamps, &marker, 0).await?;
        // An app that has just started is no usual one.
        tokio::time::sleep(Duration::from_millis(1200)).await;
        let pid = pid_of(&marker).ok_or("the instance does not run")?;
        let killed = now();
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::SIGKILL)?;
        times.push(ms(killed, stamp(stamps, &marker, killed).await?));
        marathon.ask("DELETE", &format!("/v2/apps{id}"), &Value::Null).await?;
        marathon.deployed().await?;
    }
    let middle = median(&mut times);
    let late = times.get(times.len() * 95 / 100).copied().unwrap_or(f64::NAN);
    println!(
        "\n11. kill to the replacement's first instruction: p50 {middle:.1} ms, p95 {late:.1} ms"
    );
    Ok(())
}

/// The stamp that holds under that name: not the shell or keeper before it.
fn pid_of(marker: &str) -> Option<i32> {
    let all = std::fs::read_dir("/proc").ok()?.flatten();
    all.filter_map(|e| e.file_name().to_str()?.parse::<i32>().ok()).find(|pid| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let words: Vec<&[u8]> = line.split(|b| *b == 0).collect();
        words.get(1) == Some(&crate::stamp::ARGUMENT.as_bytes())
            && words.get(3).is_some_and(|name| name.starts_with(marker.as_bytes()))
    })
}

async fn roll(marathon: &Face, stamps: &Stamps) -> Result<()> {
    marathon.ask("POST", "/v2/apps", &app("/roll", stamps, ROLLED)?).await?;
    marathon.deployed().await?;
    let mut times = Vec::new();
    for round in 0..3 {
        let sent = now();
        marathon.ask("PUT", "/v2/apps/roll", &json!({"env": {"ROUND": round.to_string()}})).await?;
        marathon.deployed().await?;
        times.push(ms(sent, now()));
    }
    let middle = median(&mut times);
    println!(
        "\n12. rolling replacement of {ROLLED} by 10: {middle:.0} ms ({:.0}/s)",
        ROLLED as f64 / middle * 1e3
    );
    marathon.ask("DELETE", "/v2/apps/roll", &Value::Null).await?;
    marathon.deployed().await
}

async fn lists(marathon: &Face) -> Result<()> {
    let apps: Vec<Value> = (0..APPS)
        .map(|n| json!({"id": format!("app{n}"), "cmd": "sleep 1", "instances": 0}))
        .collect();
    marathon.ask("PUT", "/v2/groups/listed", &json!({"apps": apps})).await?;
    marathon.deployed().await?;
    let mut times = Vec::new();
    for _ in 0..50 {
        let sent = now();
        let text = marathon.text("GET", "/v2/apps", &Value::Null).await?;
        times.push(ms(sent, now()));
        let seen: Value = serde_json::from_str(&text)?;
        if seen["apps"].as_array().map(Vec::len) != Some(APPS) {
            return Err("not all apps are listed".into());
        }
    }
    println!("\n13. GET /v2/apps with {APPS} apps: p50 {:.1} ms", median(&mut times));
    Ok(())
}

/// The row of Chronos.
pub async fn jobs() -> Result<()> {
    let mut node = Node::whole()?;
    node.answers().await?;
    let chronos = Face::new(node.chronos.ok_or("no Chronos")?)?;
    chronos.until("/v1/scheduler/jobs", Value::is_array).await?;
    let began = Instant::now();
    let base = jiff::Timestamp::now();
    let at = |secs: f64| base + jiff::SignedDuration::from_secs_f64(secs);
    // Time to load them all; then a window in which some are due, spread over twenty seconds.
    let lead = 60.0;
    for n in 0..JOBS {
        let start = match n < DUE {
            true => at(lead + n as f64 * 20.0 / DUE as f64),
            false => at(86_400.0 + n as f64),
        };
        let job = json!({"name": format!("job{n}"), "command": "true", "cpus": 0.1, "mem": 32,
            "schedule": format!("R1/{start:.3}/P1D")});
        chronos.ask("POST", "/v1/scheduler/iso8601", &job).await?;
    }
    println!("\n14. {JOBS} jobs loaded in {:.1} s", began.elapsed().as_secs_f64());
    let mut times = Vec::new();
    for _ in 0..20 {
        let sent = now();
        chronos.text("GET", "/v1/scheduler/jobs", &Value::Null).await?;
        times.push(ms(sent, now()));
    }
    println!("  GET /v1/scheduler/jobs: p50 {:.1} ms", median(&mut times));
    println!("  RSS {:.1} MiB", usage(node.pid())?.rss as f64 / 1048576.0);
    let wait = lead + 25.0 - began.elapsed().as_secs_f64();
    tokio::time::sleep(Duration::from_secs_f64(wait.max(0.0))).await;
    let mut errors = Vec::new();
    for n in 0..DUE {
        let known = chronos.get(&format!("/mesolith/v1/jobs/job{n}")).await?;
        let row = &known["history"][0];
        let (Some(due), Some(started)) = (row["due"].as_i64(), row["started"].as_i64()) else {
            return Err(format!("job{n} has not run: {known}").into());
        };
        errors.push((started - due) as f64);
    }
    let middle = median(&mut errors);
    let late = errors.get(errors.len() * 99 / 100).copied().unwrap_or(f64::NAN);
    println!("  planned to running, {DUE} runs: p50 {middle:.1} ms, p99 {late:.1} ms");
    node.stop()
}
