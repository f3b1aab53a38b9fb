//! A real process, killed at arbitrary instants, on a real file system.

use super::{open, put};
use mesolith::base::rng::Rng;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::time::Duration;

const DIRECTORY: &str = "MESOLITH_TEST_KILL_DIR";
const KILLS: u64 = 20;
const WRITERS: u64 = 4;

/// The process that is killed: writes, and says on its output what was acknowledged. Does nothing
/// in a usual run.
#[tokio::test]
async fn child() {
    let Ok(path) = std::env::var(DIRECTORY) else { return };
    let (_dir, registry) = open(path.as_ref()).await;
    let epoch = registry.begin().await.expect("begins");
    let mut tasks = Vec::new();
    for w in 0..WRITERS {
        let registry = registry.clone();
        tasks.push(tokio::spawn(async move {
            let key = format!("w{w}");
            let found = registry.get(&key).expect("is read");
            let start = found.map_or(0, |(v, _)| String::from_utf8_lossy(&v).parse().unwrap_or(0));
            for n in start + 1u64.. {
                put(&registry, epoch, &key, &n.to_string()).await.expect("is written");
                // One write, so that a line is whole or not there.
                let line = format!("acknowledged {w} {n}\n");
                std::io::stdout().write_all(line.as_bytes()).expect("the parent reads");
                std::io::stdout().flush().expect("the parent reads");
            }
        }));
    }
    for task in tasks {
        task.await.expect("no panics");
    }
}

/// Runs the child, kills it after some acknowledged writes and some time, and notes all it
/// acknowledged.
fn run_and_kill(path: &std::path::Path, rng: &mut Rng, acknowledged: &mut [u64]) {
    let mut child = Command::new(std::env::current_exe().expect("has a path"))
        .args(["--exact", "kill::child", "--nocapture"])
        .env(DIRECTORY, path)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("starts");
    let output = BufReader::new(child.stdout.take().expect("is piped"));
    let (after, mut seen) = (rng.below(60), 0);
    let mut killed = false;
    for line in output.lines().map_while(Result::ok) {
        // The test harness writes its own words on the same line.
        let Some(at) = line.find("acknowledged ") else { continue };
        let mut words = line[at..].split(' ').skip(1).filter_map(|w| w.parse::<u64>().ok());
        let (Some(w), Some(n)) = (words.next(), words.next()) else { continue };
        acknowledged[w as usize] = acknowledged[w as usize].max(n);
        seen += 1;
        if seen > after && !killed {
            std::thread::sleep(rng.up_to(Duration::from_millis(5)));
            child.kill().expect("is killed");
            killed = true;
        }
    }
    let status = child.wait().expect("ends");
    assert!(killed && status.code().is_none(), "the child ended by itself: {status}");
}

#[tokio::test]
async fn a_killed_process_has_lost_no_acknowledged_write() {
    let tmp = tempfile::tempdir().expect("a directory");
    let mut rng = Rng::new(20);
    let mut acknowledged = vec![0; WRITERS as usize];
    for kill in 0..KILLS {
        run_and_kill(tmp.path(), &mut rng, &mut acknowledged);
        let (_dir, registry) = open(tmp.path()).await;
        registry.read_index().await.expect("is linearizable");
        for (w, n) in acknowledged.iter().enumerate() {
            let found = registry.get(&format!("w{w}")).expect("is read");
            let found = found
                .map_or(0, |(v, _)| String::from_utf8_lossy(&v).parse::<u64>().expect("a number"));
            assert!(found >= *n, "after kill {kill}: writer {w} had {n}, found {found}");
        }
        registry.shutdown().await.expect("stops");
    }
    assert!(acknowledged.iter().sum::<u64>() > KILLS, "{acknowledged:?}");
}
