//! What a node is compared with: a bare fork and exec, runc, crun, and the docker engine by its command and by its API.

use crate::Result;
use crate::docker::Docker;
use crate::runtimes::{Bundle, Runtime};
use crate::stamp::{Stamps, now};
use crate::stats::{Round, median, ms};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// How many bare starts make one canary.
const CANARIES: usize = 3;
/// The peers' names among the variants.
pub const RUNC: &str = "runc run";
pub const CRUN: &str = "crun run";
pub const DOCKER: &str = "docker run, host network";
pub const ENGINE: &str = "docker engine's API";

/// Says which peers this machine has.
pub fn tell() {
    for program in ["runc", "crun", "docker", "dockerd"] {
        println!("{program}: {}", version(program).as_deref().unwrap_or("not present"));
    }
}

/// The first line of what a program says of its version.
pub fn version(program: &str) -> Option<String> {
    let output = Command::new(program).arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).lines().next()?.to_string();
    output.status.success().then_some(text)
}

/// The median of a few bare starts of the stamp, in ms, each after a pause.
pub async fn canary(stamps: &Stamps, round: usize, pause: Duration) -> Result<f64> {
    let mut times = Vec::new();
    for n in 0..CANARIES {
        tokio::time::sleep(pause).await;
        let name = format!("canary-{round}-{n}-{}", pause.as_millis());
        let command = stamps.command(&name, false)?;
        let start = now();
        let mut child = Command::new(&command[0]).args(&command[1..]).spawn()?;
        child.wait()?;
        times.push(ms(start, stamps.wait(&name).await?));
    }
    Ok(median(&mut times))
}

/// The peers that this machine has.
pub struct Peers {
    runtimes: Vec<(&'static str, Runtime)>,
    bundle: Option<Bundle>,
    docker: Option<Docker>,
    missing: Vec<String>,
}

impl Peers {
    /// Makes them ready, with what they need in `dir`.
    pub async fn new(dir: &Path) -> Result<Self> {
        let mut missing = Vec::new();
        let bundle = Bundle::new(dir)?;
        let mut runtimes = Vec::new();
        for (name, program) in [(CRUN, "crun"), (RUNC, "runc")] {
            // Without a bundle there is neither.
            let runtime = bundle.as_ref().map(|bundle| Runtime::new(program, bundle));
            match runtime.transpose()?.flatten() {
                Some(runtime) => runtimes.push((name, runtime)),
                None => missing.push(format!("{name}: there is no {program}")),
            }
        }
        let docker = match Docker::new(dir).await? {
            Ok(docker) => Some(docker),
            Err(why) => {
                missing.extend([DOCKER, ENGINE].map(|name| format!("{name}: {why}")));
                None
            }
        };
        Ok(Self { runtimes, bundle, docker, missing })
    }

    /// Lets each start one, in turn, each after a pause.
    pub async fn round(
        &mut self,
        stamps: &Stamps,
        name: &str,
        pause: Duration,
        times: &mut Round,
    ) -> Result<()> {
        if let Some(bundle) = &mut self.bundle {
            for (peer, runtime) in &mut self.runtimes {
                tokio::time::sleep(pause).await;
                times.insert(*peer, runtime.run(bundle, stamps, name).await?);
            }
        }
        if let Some(docker) = &self.docker {
            tokio::time::sleep(pause).await;
            times.insert(DOCKER, docker.by_command(stamps, &format!("{name}-c")).await?);
            tokio::time::sleep(pause).await;
            times.insert(ENGINE, docker.by_api(stamps, &format!("{name}-a")).await?.ran);
        }
        Ok(())
    }

    /// Says which peers a row does without.
    pub fn tell_missing(&self) {
        for peer in &self.missing {
            println!("  not measured: {peer}");
        }
    }
}
