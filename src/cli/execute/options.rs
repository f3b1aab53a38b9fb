//! The flags of `mesos-execute`, as the original has them.

use clap::Parser;

/// Runs a command on a Mesos cluster and waits for it.
#[derive(Clone, Debug, Default, Parser)]
#[command(
    name = "mesos-execute",
    disable_version_flag = true,
    after_help = "Exit codes: the task's own · 128 + N if signal N ended it · 130 after Ctrl-C · 125 failure or wrong \
                  use of this program"
)]
pub struct ExecuteOptions {
    /// The master: host:port, a list of these, zk://…/path or file:///path. Default: 127.0.0.1:5050, if it answers.
    #[arg(long, env = "MESOS_MASTER")]
    pub master: Option<String>,
    /// Brings up a cluster of its own for this task, and takes it down afterwards.
    #[arg(long, conflicts_with = "master")]
    pub local: bool,
    /// The task's name and id.
    #[arg(long)]
    pub name: Option<String>,
    /// The command to run.
    #[arg(long)]
    pub command: Option<String>,
    /// Whether the command is run by a shell; without, the image's own entry point is run.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub shell: Option<bool>,
    #[arg(long = "no-shell", hide = true, conflicts_with = "shell")]
    pub no_shell: bool,
    /// The task's environment: a JSON object, or file:///path.
    #[arg(long)]
    pub env: Option<String>,
    /// What the task needs, e.g. cpus:1;mem:128, or JSON.
    #[arg(long, default_value = "cpus:1;mem:128")]
    pub resources: String,
    /// The task as a JSON TaskInfo, or file:///path. Instead of name, command, env, images, volumes.
    #[arg(long)]
    pub task: Option<String>,
    /// A JSON TaskGroupInfo. Refused: this cluster does not launch groups.
    #[arg(long = "task_group")]
    pub task_group: Option<String>,
    /// The docker image to run.
    #[arg(long = "docker_image")]
    pub docker_image: Option<String>,
    /// The appc image to run.
    #[arg(long = "appc_image")]
    pub appc_image: Option<String>,
    /// mesos or docker.
    #[arg(long, default_value = "mesos")]
    pub containerizer: String,
    /// Container networks to join, separated by commas.
    #[arg(long)]
    pub networks: Option<String>,
    /// A JSON array of Volume, or file:///path.
    #[arg(long)]
    pub volumes: Option<String>,
    /// JSON CapabilityInfo: what the task's processes may do.
    #[arg(long = "effective_capabilities")]
    pub effective_capabilities: Option<String>,
    /// JSON CapabilityInfo: what the task's processes may ever do.
    #[arg(long = "bounding_capabilities")]
    pub bounding_capabilities: Option<String>,
    /// JSON RLimitInfo.
    #[arg(long)]
    pub rlimits: Option<String>,
    /// Framework capabilities to add, separated by commas; GPU_RESOURCES is the one there is.
    #[arg(long = "framework_capabilities")]
    pub framework_capabilities: Option<String>,
    /// The role to get resources for.
    #[arg(long, default_value = "*")]
    pub role: String,
    /// Whether the task outlives restarts of its agent.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub checkpoint: Option<bool>,
    #[arg(long = "no-checkpoint", hide = true, conflicts_with = "checkpoint")]
    pub no_checkpoint: bool,
    /// Kills the task so long after it began to run, e.g. 10secs.
    #[arg(long = "kill_after")]
    pub kill_after: Option<String>,
    /// Who asks.
    #[arg(long, env = "MESOS_PRINCIPAL")]
    pub principal: Option<String>,
    /// The principal's secret, or file:///path.
    #[arg(long, env = "MESOS_SECRET", hide_env_values = true)]
    pub secret: Option<String>,
    /// json or protobuf: how it speaks to the master.
    #[arg(long = "content_type", default_value = "protobuf")]
    pub content_type: String,
    /// Whether the task gets a terminal.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub tty: Option<bool>,
    #[arg(long = "no-tty", hide = true, conflicts_with = "tty")]
    pub no_tty: bool,
    /// Whether the task is told apart when its agent cannot be reached, instead of being lost.
    #[arg(long = "partition_aware", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "true")]
    pub partition_aware: Option<bool>,
    #[arg(long = "no-partition_aware", hide = true, conflicts_with = "partition_aware")]
    pub no_partition_aware: bool,
    /// Refused: there is no HDFS here.
    #[arg(long, hide = true)]
    pub package: Option<String>,
    /// Refused: there is no HDFS here.
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "true")]
    pub overwrite: Option<bool>,
    /// Refused: there is no HDFS here.
    #[arg(long, hide = true)]
    pub hadoop: Option<String>,
    /// Refused: there is no HDFS here.
    #[arg(long, hide = true)]
    pub hdfs: Option<String>,
}

impl ExecuteOptions {
    /// Replaces every value `file:///path` by the file's content, as all Mesos programs do. `master` and `command`
    /// keep theirs: the first has a `file://` of its own, the second may begin with anything.
    ///
    /// # Errors
    /// One line for each file that cannot be read.
    pub fn expand(
        &mut self,
        read: impl Fn(&str) -> std::io::Result<String>,
    ) -> Result<(), Vec<String>> {
        let mut problems = Vec::new();
        let mut load = |flag: &str, value: &mut String| {
            if let Some(path) = value.strip_prefix("file://") {
                match read(path) {
                    Ok(content) => *value = content,
                    Err(e) => problems.push(format!("--{flag}: cannot read '{path}': {e}")),
                }
            }
        };
        for (flag, value) in [
            ("env", &mut self.env),
            ("task", &mut self.task),
            ("volumes", &mut self.volumes),
            ("effective_capabilities", &mut self.effective_capabilities),
            ("bounding_capabilities", &mut self.bounding_capabilities),
            ("rlimits", &mut self.rlimits),
            ("secret", &mut self.secret),
        ] {
            if let Some(value) = value {
                load(flag, value);
            }
        }
        load("resources", &mut self.resources);
        // The line feed that editors put at the end is no part of a secret.
        self.secret = self.secret.take().map(|s| s.trim_end_matches(['\r', '\n']).to_string());
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    /// Whether the command is run by a shell.
    pub fn shell(&self) -> bool {
        self.shell.unwrap_or(!self.no_shell)
    }

    /// Whether the framework checkpoints.
    pub fn checkpoint(&self) -> bool {
        self.checkpoint.unwrap_or(false) && !self.no_checkpoint
    }

    /// Whether the task gets a terminal.
    pub fn tty(&self) -> bool {
        self.tty.unwrap_or(false) && !self.no_tty
    }

    /// Whether the framework is partition-aware.
    pub fn partition_aware(&self) -> bool {
        self.partition_aware.unwrap_or(!self.no_partition_aware)
    }
}
