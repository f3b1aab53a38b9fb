//! Tasks of the docker engine: ours beside the same container made and started through the engine's own API, and by its command.
//!
//! The engine is the machine's own if it has one that answers, else one of this process, as in the tests. The image is made
//! once, of busybox, the stamp, and the libraries the stamp needs.

use crate::Result;
use crate::engine::{Engine, engine};
use crate::framework::Framework;
use crate::launch::{Launched, REGIMES, launch};
use crate::node::Node;
use crate::peers::{self, DOCKER, ENGINE};
use crate::stamp::{Stamps, now};
use crate::stats::{self, CANARY, Round, ms};
use bollard::models::{
    ContainerCreateBody, HostConfig, HostConfigLogConfig, Mount, MountType, RestartPolicy,
    RestartPolicyNameEnum,
};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, ListContainersOptionsBuilder, RemoveContainerOptionsBuilder,
    StartContainerOptions, WaitContainerOptions,
};
use futures_util::StreamExt as _;
use mesolith::mesos::v1::container_info::{self, DockerInfo, docker_info};
use mesolith::mesos::v1::{ContainerInfo, TaskInfo, Volume, volume};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

const ROUNDS: usize = 40;
/// Of the engine's own time, which a task of ours may take.
const TARGET: f64 = 1.1;
const OURS: &str = "mesolith docker task";
const IMAGE: &str = "mesolith/bench";
const BUSYBOX: &str = "/bin/busybox";
/// On containers that this made, with the number of the process.
const LABEL: &str = "mesolith.bench";
/// Limits as those of a task of ours.
const MEMORY: i64 = 64 << 20;
const SHARES: i64 = 102;
const PIDS: i64 = 4096;
/// How long an engine may take to end.
const WITHIN: Duration = Duration::from_secs(60);

/// The row.
pub async fn row() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let stamps = Stamps::new(dir.path())?;
    let docker = match Docker::new(dir.path()).await? {
        Ok(docker) => docker,
        Err(why) => {
            println!("\n15. docker tasks: not measured: {why}");
            return Ok(());
        }
    };
    let socket = docker.engine.socket.display();
    let options = ["--containerizers=docker,mesos".into(), format!("--docker-socket={socket}")];
    let mut node = Node::start_with(&options)?;
    node.answers().await?;
    let mut framework = Framework::subscribe(node.master).await?;
    for (title, word, pause) in REGIMES {
        let mut all = Vec::new();
        for round in 0..stats::rounds(ROUNDS)? {
            let name = format!("docker-{word}-{round}");
            let mut times = Round::new();
            times.insert(CANARY, peers::canary(&stamps, round, pause).await?);
            framework.idle(pause).await?;
            let own = docker.by_api(&stamps, &format!("{name}-a")).await?;
            times.insert(ENGINE, own.ran);
            times.insert("(API: start answered)", own.answered);
            framework.idle(pause).await?;
            times.insert(DOCKER, docker.by_command(&stamps, &format!("{name}-c")).await?);
            framework.idle(pause).await?;
            let shape = |task: &mut TaskInfo| docker.shape(task);
            let Launched { ran, running, .. } =
                launch(&mut framework, &stamps, &name, pause, shape).await?;
            times.insert(OURS, ran);
            times.extend(running.map(|time| ("(ours: RUNNING seen)", time)));
            docker.is_clean().await?;
            all.push(times);
        }
        let title = format!("15. a docker task, start to first instruction, {title}");
        let medians = stats::print(&title, &all, Some(ENGINE));
        stats::beside(&medians, OURS, ENGINE, TARGET);
    }
    framework.end().await?;
    node.stop()
}

/// An engine with the image.
pub struct Docker {
    engine: &'static Engine,
    client: bollard::Docker,
    /// Of the stamps: containers see it where it is.
    dir: PathBuf,
    /// A folder as the sandbox of a task is one.
    sandbox: PathBuf,
}

/// What a container took, in ms.
pub struct Took {
    /// Until its first instruction.
    pub ran: f64,
    /// Until the engine has answered that it is started.
    pub answered: f64,
}

impl Docker {
    /// Finds or starts the engine and makes the image; or says why there is none. Stamps are in `dir`.
    pub async fn new(dir: &Path) -> Result<std::result::Result<Self, String>> {
        let Some(engine) = engine("the benchmark") else {
            return Ok(Err("there is no docker engine".into()));
        };
        USED.get_or_init(|| engine);
        let tar = dir.join("image.tar");
        pack(&tar)?;
        command(engine, &["import", &tar.display().to_string(), IMAGE])?;
        std::fs::remove_file(tar)?;
        let sandbox = dir.join("sandbox");
        std::fs::create_dir_all(&sandbox)?;
        let socket = engine.socket.display().to_string();
        let limit = WITHIN.as_secs();
        let client =
            bollard::Docker::connect_with_unix(&socket, limit, bollard::API_DEFAULT_VERSION)?;
        let client = client.negotiate_version().await?;
        Ok(Ok(Self { engine, client, dir: dir.to_path_buf(), sandbox }))
    }

    /// By `docker run`.
    pub async fn by_command(&self, stamps: &Stamps, name: &str) -> Result<f64> {
        let dir = self.dir.display();
        let mut run = Command::new("docker");
        run.arg("-H").arg(format!("unix://{}", self.engine.socket.display()));
        run.args(["run", "--rm", "--network=host", "--memory=64m"]);
        run.arg(format!("--cpu-shares={SHARES}")).arg(format!("--pids-limit={PIDS}"));
        run.arg(format!("--label={LABEL}={}", std::process::id()));
        run.arg(format!("--mount=type=bind,source={dir},target={dir}"));
        run.arg(IMAGE).args(stamps.command(name, false)?).stdin(Stdio::null());
        let start = now();
        let output = run.output()?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(format!("docker run: {}, {said}", output.status).into());
        }
        Ok(ms(start, stamps.wait(name).await?))
    }

    /// By two requests, as a task of ours is made.
    pub async fn by_api(&self, stamps: &Stamps, name: &str) -> Result<Took> {
        let bind = |source: &Path, target: String| Mount {
            typ: Some(MountType::BIND),
            source: Some(source.display().to_string()),
            target: Some(target),
            read_only: Some(false),
            ..Mount::default()
        };
        let log = [("max-size", (32 << 20).to_string()), ("max-file", "2".into())];
        let host = HostConfig {
            network_mode: Some("host".into()),
            memory: Some(MEMORY),
            cpu_shares: Some(SHARES),
            pids_limit: Some(PIDS),
            mounts: Some(vec![
                bind(&self.sandbox, "/mnt/mesos/sandbox".into()),
                bind(&self.dir, self.dir.display().to_string()),
            ]),
            log_config: Some(HostConfigLogConfig {
                typ: Some("json-file".into()),
                config: Some(log.map(|(name, value)| (name.to_string(), value)).into()),
            }),
            restart_policy: Some(RestartPolicy {
                name: Some(RestartPolicyNameEnum::NO),
                maximum_retry_count: None,
            }),
            ..HostConfig::default()
        };
        let body = ContainerCreateBody {
            image: Some(IMAGE.into()),
            cmd: Some(stamps.command(name, false)?),
            labels: Some(HashMap::from([(LABEL.into(), std::process::id().to_string())])),
            host_config: Some(host),
            ..ContainerCreateBody::default()
        };
        let options = CreateContainerOptionsBuilder::new().name(name).build();
        let start = now();
        self.client.create_container(Some(options), body).await?;
        self.client.start_container(name, None::<StartContainerOptions>).await?;
        let answered = now();
        let mut ends = pin!(self.client.wait_container(name, None::<WaitContainerOptions>));
        ends.next().await.ok_or("the engine does not tell the end")??;
        let ran = stamps.wait(name).await?;
        let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
        self.client.remove_container(name, Some(options)).await?;
        Ok(Took { ran: ms(start, ran), answered: ms(start, answered) })
    }

    /// Waits until the containers of tasks are removed, so that this falls into nobody's time.
    async fn is_clean(&self) -> Result<()> {
        let filters = HashMap::from([("name", vec!["mesos-"])]);
        let deadline = Instant::now() + WITHIN;
        loop {
            let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
            if self.client.list_containers(Some(options)).await?.is_empty() {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err("the container of a task is not removed".into());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Makes a task one of the engine.
    fn shape(&self, task: &mut TaskInfo) {
        let dir = self.dir.display().to_string();
        let docker = DockerInfo {
            image: IMAGE.into(),
            network: Some(docker_info::Network::Host.into()),
            ..DockerInfo::default()
        };
        let stamps = Volume {
            mode: volume::Mode::Rw.into(),
            container_path: dir.clone(),
            host_path: Some(dir),
            ..Volume::default()
        };
        task.container = Some(ContainerInfo {
            r#type: container_info::Type::Docker.into(),
            docker: Some(docker),
            volumes: vec![stamps],
            ..ContainerInfo::default()
        });
        if let Some(command) = &mut task.command {
            // Here the value comes before the arguments, and is not a name for the program beside them.
            command.arguments.remove(0);
        }
    }
}

/// The engine that was used, if one was.
static USED: OnceLock<&Engine> = OnceLock::new();

/// Removes what is ours, and ends the engine if it is ours.
pub fn stop() -> Result<()> {
    let Some(engine) = USED.get().copied() else { return Ok(()) };
    let own = format!("label={LABEL}={}", std::process::id());
    let left = command(engine, &["ps", "--all", "--quiet", "--filter", &own])?;
    for container in left.split_whitespace() {
        command(engine, &["rm", "--force", container])?;
    }
    let dir = std::env::temp_dir().join(format!("mesolith-docker-{}", std::process::id()));
    if engine.socket.parent() != Some(&dir) {
        command(engine, &["rmi", "--force", IMAGE])?;
        return Ok(());
    }
    let pid: i32 = std::fs::read_to_string(dir.join("pid"))?.trim().parse()?;
    kill(Pid::from_raw(pid), Signal::SIGTERM)?;
    let deadline = Instant::now() + WITHIN;
    while Path::new("/proc").join(pid.to_string()).exists() {
        if Instant::now() > deadline {
            return Err(format!("the docker engine, process {pid}, does not end").into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    // It leaves the namespace of the host's network mounted.
    let _ = nix::mount::umount(&dir.join("exec/netns/default"));
    Ok(std::fs::remove_dir_all(dir)?)
}

fn command(engine: &Engine, args: &[&str]) -> Result<String> {
    let mut docker = Command::new("docker");
    docker.arg("-H").arg(format!("unix://{}", engine.socket.display())).args(args);
    let output = docker.stdin(Stdio::null()).output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("docker {args:?}: {said}").into());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Packs a root file system: busybox, this program where it is here, and the libraries it is linked to.
fn pack(tar: &Path) -> Result<()> {
    let own = std::env::current_exe()?;
    let mut files = vec![own.clone(), PathBuf::from(BUSYBOX)];
    let linked = Command::new("ldd").arg(&own).output()?;
    let text = String::from_utf8_lossy(&linked.stdout);
    files.extend(text.split_whitespace().filter(|w| w.starts_with('/')).map(PathBuf::from));
    let mut packed = tar::Builder::new(std::fs::File::create(tar)?);
    // The engine does not read sparse files.
    packed.sparse(false);
    for file in files {
        packed.append_path_with_name(&file, file.strip_prefix("/")?)?;
    }
    Ok(packed.finish()?)
}
