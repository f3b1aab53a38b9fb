//! Many at a time; and how fast, told but not judged (a machine's moods are no test).

use crate::world::{World, isolates, run};
use mesolith::agent::containerizer::{Backend, Command, Containerizer};
use std::process::Stdio;
use std::time::{Duration, Instant};

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

fn rss_kib(pid: i32, field: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let line = text.lines().find(|l| l.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_hundred_at_a_time() {
    if !isolates("a_hundred_at_a_time") {
        return;
    }
    run(|mut w| async move {
        w.agent.probe().await.unwrap();
        let supervisor = w.supervisor();
        let before = rss_kib(supervisor, "Rss");
        let mut specs = Vec::new();
        for n in 0..100 {
            let mut spec = w.spec(Backend::Mesos, &format!("echo {n}; sleep 1000"));
            spec.limits.mem_bytes = Some(32 << 20);
            specs.push(spec);
        }
        let since = Instant::now();
        let starts = specs.iter().map(|spec| w.start(spec));
        futures_util::future::join_all(starts).await;
        let started = since.elapsed();
        let keeper =
            std::fs::read_to_string(format!("/proc/{supervisor}/task/{supervisor}/children"));
        let keeper: i32 = keeper.unwrap().split_whitespace().last().unwrap().parse().unwrap();
        println!(
            "100 started in {:.0} ms ({:.0}/s); supervisor RSS {before} -> {} KiB, PSS {} KiB; a keeper: PSS {} KiB",
            started.as_secs_f64() * 1e3,
            100.0 / started.as_secs_f64(),
            rss_kib(supervisor, "Rss"),
            rss_kib(supervisor, "Pss:"),
            rss_kib(keeper, "Pss:"),
        );
        for (n, spec) in specs.iter().enumerate() {
            assert_eq!(w.written(spec, "stdout").await, format!("{n}\n"));
        }
        let since = Instant::now();
        futures_util::future::join_all(specs.iter().map(|s| w.agent.destroy(&s.id))).await;
        println!("100 destroyed in {:.0} ms", since.elapsed().as_secs_f64() * 1e3);
        for spec in &specs {
            assert_eq!(w.end(spec).await.signal(), Some(9));
            w.agent.forget(&spec.id).await.unwrap();
        }
        assert!(w.agent.recover().await.unwrap().is_empty());
        w
    });
}

async fn ours(w: &mut World, backend: Backend) -> (f64, f64) {
    let mut spec = w.spec(backend, "");
    spec.command =
        Command::Exec { program: "/bin/date".into(), argv: vec!["date".into(), "+%s%N".into()] };
    spec.limits.mem_bytes = Some(64 << 20);
    let wall = std::time::SystemTime::now();
    let since = Instant::now();
    w.agent.create(spec.clone()).await.unwrap();
    let created = since.elapsed().as_secs_f64() * 1e3;
    w.agent.start(&spec.id).await.unwrap();
    let nanos: u64 = w.written(&spec, "stdout").await.trim().parse().unwrap();
    let wall = wall.duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as u64;
    w.end(&spec).await;
    w.agent.destroy(&spec.id).await.unwrap();
    w.agent.forget(&spec.id).await.unwrap();
    ((nanos.saturating_sub(wall)) as f64 / 1e6, created)
}

/// The same command by runc: pid, ipc, uts, mount namespaces, the machine's own root through read-only binds.
fn runc(dir: &std::path::Path, n: usize) -> Option<f64> {
    let config = std::process::Command::new("runc").arg("spec").current_dir(dir).output();
    config.ok().filter(|o| o.status.success() || dir.join("config.json").exists())?;
    let text = std::fs::read_to_string(dir.join("config.json")).ok()?;
    let mut c: serde_json::Value = serde_json::from_str(&text).ok()?;
    c["process"]["terminal"] = false.into();
    c["process"]["args"] = serde_json::json!(["/bin/date", "+%s%N"]);
    c["linux"]["resources"]["memory"] = serde_json::json!({"limit": 64 << 20});
    let namespaces = c["linux"]["namespaces"].as_array_mut()?;
    namespaces.retain(|n| n["type"] != "network");
    for path in ["/usr", "/bin", "/lib", "/lib64", "/etc"] {
        let bind = serde_json::json!({"destination": path, "type": "bind", "source": path, "options": ["rbind", "ro"]});
        c["mounts"].as_array_mut()?.push(bind);
        std::fs::create_dir_all(dir.join("rootfs").join(&path[1..])).ok()?;
    }
    c["root"]["readonly"] = false.into();
    std::fs::write(dir.join("config.json"), c.to_string()).ok()?;
    let wall = std::time::SystemTime::now();
    let name = format!("mesolith-speed-{}-{n}", std::process::id());
    let out = std::process::Command::new("runc")
        .args(["run", "--bundle"])
        .arg(dir)
        .arg(&name)
        .stdin(Stdio::null())
        .output()
        .ok()?;
    std::fs::remove_file(dir.join("config.json")).ok()?;
    let nanos: u64 = String::from_utf8_lossy(&out.stdout).trim().parse().ok()?;
    let wall = wall.duration_since(std::time::UNIX_EPOCH).ok()?.as_nanos() as u64;
    Some(nanos.saturating_sub(wall) as f64 / 1e6)
}

#[test]
fn how_long_to_the_first_instruction() {
    if !isolates("how_long_to_the_first_instruction") {
        return;
    }
    run(|mut w| async move {
        let bundle = w.dir.path().join("bundle");
        std::fs::create_dir(&bundle).unwrap();
        for idle in [0, 60] {
            let (mut mesos, mut made, mut posix, mut peer) = (vec![], vec![], vec![], vec![]);
            for n in 0..15 {
                tokio::time::sleep(Duration::from_millis(idle)).await;
                let (total, created) = ours(&mut w, Backend::Mesos).await;
                mesos.push(total);
                made.push(created);
                tokio::time::sleep(Duration::from_millis(idle)).await;
                posix.push(ours(&mut w, Backend::Posix).await.0);
                tokio::time::sleep(Duration::from_millis(idle)).await;
                peer.extend(runc(&bundle, n));
            }
            let peer =
                if peer.is_empty() { "not here".into() } else { format!("{:.1}", median(peer)) };
            println!(
                "idle {idle} ms: mesos {:.1} ms (create {:.1}), posix {:.1} ms, runc {peer} ms (medians of 15)",
                median(mesos),
                median(made),
                median(posix),
            );
        }
        w
    });
}
