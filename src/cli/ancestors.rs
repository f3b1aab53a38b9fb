//! `mesos-master`, `mesos-agent`, `mesos-slave`: `mesolith up` with one role, under the originals' names and with their
//! flags. Flags that say what is so anyway are accepted, those that have nothing to act on are told; others that `up`
//! does not know are refused.

use super::exit::{self, EXIT_CODES};
use super::up::{self, UpArgs};
use crate::base::error::Result;
use crate::base::version::MESOS_VERSION;
use crate::config::{self, Sources};
use crate::node::settings::{self, Options};
use clap::{Args as _, Command, FromArgMatches as _};
use std::collections::BTreeMap;
use std::process::ExitCode;

/// A program of Mesos that runs as a daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ancestor {
    /// `mesos-master`.
    Master,
    /// `mesos-agent`, `mesos-slave`.
    Agent,
}

/// Values of flags that say what is so anyway.
const SO_ANYWAY: &[(&str, &str)] = &[
    ("allocator", "HierarchicalDRF"),
    ("allocator", "hierarchical"),
    ("containerizers", "mesos"),
    ("framework_sorter", "drf"),
    ("hostname_lookup", "false"),
    ("log_auto_initialize", "true"),
    ("recover", "reconnect"),
    ("registry", "replicated_log"),
    ("role_sorter", "drf"),
    ("strict", "true"),
];

/// Flags without anything to act on, and why; what runs is the same with and without them.
const WITHOUT_MEANING: &[(&str, &str)] = &[
    ("initialize_driver_logging", "there are no drivers in this program"),
    ("launcher_dir", "the helpers are in the program"),
    ("logbufsecs", "logs are not buffered"),
    ("registry_fetch_timeout", "a master waits for its registry and does not exit"),
    ("registry_store_timeout", "a master waits for its registry and does not exit"),
    ("webui_dir", "the pages are in the program"),
    ("zk_session_timeout", "there is no ZooKeeper"),
];

/// The cluster port of an agent beside a master on one machine.
const AGENT_CLUSTER_PORT: u16 = 5053;

impl Ancestor {
    /// The one that is called so.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "mesos-master" => Some(Self::Master),
            "mesos-agent" | "mesos-slave" => Some(Self::Agent),
            _ => None,
        }
    }

    /// What a node of it runs.
    const fn role(self) -> &'static str {
        match self {
            Self::Master => "master",
            Self::Agent => "agent",
        }
    }

    /// Where the packages keep its flags.
    const fn folders(self) -> &'static [&'static str] {
        match self {
            Self::Master => &["/etc/mesos-master"],
            Self::Agent => &["/etc/mesos-slave", "/etc/mesos-agent"],
        }
    }

    /// What it is to run with. A master and an agent of one machine share a `work_dir` in the packages, and have one
    /// address: each has a folder of its own there, and the agent another cluster port where the first is taken.
    fn options(
        self,
        sources: &Sources,
        env: &BTreeMap<String, String>,
        up: &UpArgs,
    ) -> Result<Options> {
        let mut flags = up.settings.0.clone();
        flags.insert("user_ports".into(), "own".into());
        if let (Self::Agent, Some(master)) = (self, env.get("MESOS_MASTER")) {
            flags.entry("zk".into()).or_insert_with(|| master.clone());
        }
        let mut options = settings::read(sources, env, &flags)?;
        if !options.ephemeral {
            options.data_dir = options.data_dir.join(self.role());
        }
        if self == Self::Agent {
            options.cluster_port_else = Some(AGENT_CLUSTER_PORT);
        }
        Ok(options)
    }

    /// The flag of `up` for a flag of the original, where another one has its name.
    fn renamed(self, flag: &str) -> Option<&'static str> {
        match (self, flag) {
            (Self::Master, "port") => Some("master_port"),
            // `up --roles` says what runs on a node.
            (Self::Master, "roles") => Some("allowed_roles"),
            (Self::Agent, "port") => Some("agent_port"),
            // With every verb `--master` says whom to ask.
            (Self::Agent, "master") => Some("zk"),
            _ => None,
        }
    }

    /// The arguments of `up`, and what is to be told of those that are left out.
    fn translate(self, args: &[String]) -> (Vec<String>, Vec<String>) {
        let (mut kept, mut notes) = (Vec::new(), Vec::new());
        for arg in args {
            let Some(body) = arg.strip_prefix("--") else {
                kept.push(arg.clone());
                continue;
            };
            let (flag, value) = match body.split_once('=') {
                Some((flag, value)) => (flag, Some(value)),
                None => (body, None),
            };
            let spelt = flag.replace('-', "_");
            let (name, said) = match (spelt.strip_prefix("no_"), value) {
                (Some(name), None) => (name, "false"),
                _ => (spelt.as_str(), value.unwrap_or("true")),
            };
            if SO_ANYWAY.contains(&(name, said)) {
                continue;
            }
            if let Some((_, why)) = WITHOUT_MEANING.iter().find(|(known, _)| *known == name) {
                notes.push(format!("--{flag} has no meaning here: {why}"));
                continue;
            }
            match (self.renamed(&spelt), value) {
                (Some(flag), Some(value)) => kept.push(format!("--{flag}={value}")),
                (Some(flag), None) => kept.push(format!("--{flag}")),
                (None, _) => kept.push(arg.clone()),
            }
        }
        (kept, notes)
    }
}

/// Runs it; the first argument is its name.
pub fn main(ancestor: Ancestor, args: Vec<String>) -> ExitCode {
    let given = args.get(1..).unwrap_or_default();
    if given.iter().any(|arg| arg == "--version") {
        // Tools read this line.
        println!("mesos {MESOS_VERSION}");
        return ExitCode::SUCCESS;
    }
    let (kept, notes) = ancestor.translate(given);
    let up = match parse(ancestor, kept) {
        Ok(up) => up,
        Err(e) => {
            let code = if e.use_stderr() { 1 } else { 0 };
            // There is nowhere else to say it.
            let _ = e.print();
            return ExitCode::from(code);
        }
    };
    for note in notes {
        eprintln!("note: {note}");
    }
    let env: BTreeMap<String, String> = std::env::vars().collect();
    let sources = config::sources_with(up.config.as_deref(), ancestor.folders());
    match ancestor.options(&sources, &env, &up).and_then(up::run_with) {
        Ok(code) => code,
        Err(e) => ExitCode::from(exit::complain(&e)),
    }
}

fn parse(ancestor: Ancestor, args: Vec<String>) -> std::result::Result<UpArgs, clap::Error> {
    let role = ancestor.role();
    let name = format!("mesos-{role}");
    let command = Command::new(name.clone())
        .about(format!("Start the {role} of a Mesos cluster: `mesolith up --roles {role}`"))
        .after_help(EXIT_CODES);
    let args = std::iter::once(name).chain(args);
    let matches = UpArgs::augment_args(command).try_get_matches_from(args)?;
    let mut up = UpArgs::from_arg_matches(&matches)?;
    up.settings.0.insert("node_roles".to_string(), role.to_string());
    Ok(up)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn translate(ancestor: Ancestor, args: &[&str]) -> (Vec<String>, Vec<String>) {
        ancestor.translate(&args.iter().map(|a| a.to_string()).collect::<Vec<_>>())
    }

    #[test]
    fn flags_of_the_originals_are_those_of_up() {
        let (master, agent) = (Ancestor::Master, Ancestor::Agent);
        for (ancestor, from, to) in [
            (
                master,
                &["--port=5050", "--ip=10.0.0.1"][..],
                &["--master_port=5050", "--ip=10.0.0.1"][..],
            ),
            (master, &["--roles=a,b"], &["--allowed_roles=a,b"]),
            (
                master,
                &["--zk=zk://h1:2181/mesos", "--quorum=1"],
                &["--zk=zk://h1:2181/mesos", "--quorum=1"],
            ),
            (master, &["--master=h1:5050"], &["--master=h1:5050"]),
            (
                agent,
                &["--master=zk://h1/mesos", "--port", "5051"],
                &["--zk=zk://h1/mesos", "--agent_port", "5051"],
            ),
            (agent, &["--no-switch_user", "--work_dir=/w"], &["--no-switch_user", "--work_dir=/w"]),
            (master, &["--registry=replicated_log", "--log_auto_initialize"], &[]),
            (
                master,
                &["--registry=in_memory", "--no-log_auto_initialize"],
                &["--registry=in_memory", "--no-log_auto_initialize"],
            ),
            (
                agent,
                &["--no-hostname_lookup", "--hostname_lookup=false", "--containerizers=mesos"],
                &[],
            ),
            (agent, &["--containerizers=docker,mesos"], &["--containerizers=docker,mesos"]),
        ] {
            let (kept, notes) = translate(ancestor, from);
            assert_eq!(kept, to, "{from:?}");
            assert!(notes.is_empty(), "{notes:?}");
        }
    }

    #[test]
    fn what_has_no_meaning_is_told() {
        let (kept, notes) =
            translate(Ancestor::Master, &["--zk_session_timeout=10secs", "--quiet"]);
        assert_eq!(kept, ["--quiet"]);
        assert_eq!(notes, ["--zk_session_timeout has no meaning here: there is no ZooKeeper"]);
    }

    #[test]
    fn each_has_its_role_and_refuses_what_up_does_not_know() {
        let flags = |ancestor, args: &[&str]| {
            let args = translate(ancestor, args).0;
            parse(ancestor, args).map(|up| up.settings.0).map_err(|e| e.to_string())
        };
        let master =
            flags(Ancestor::Master, &["--work_dir=/w", "--port=1", "--slave_ping_timeout=1secs"]);
        let expected = [
            ("agent_ping_timeout", "1secs"),
            ("data_dir", "/w"),
            ("master_port", "1"),
            ("node_roles", "master"),
        ];
        assert_eq!(master, Ok(expected.map(|(a, b)| (a.to_string(), b.to_string())).into()));
        let agent = flags(Ancestor::Agent, &["--attributes=rack:a"]).unwrap();
        assert_eq!(
            (agent["node_roles"].as_str(), agent["attributes"].as_str()),
            ("agent", "rack:a")
        );
        for unknown in ["--acls=x", "--modules=x", "--registry=in_memory"] {
            let error = flags(Ancestor::Master, &[unknown]).unwrap_err();
            assert!(error.contains(unknown.split('=').next().unwrap()), "{error}");
        }
    }

    #[test]
    fn the_originals_names_are_known() {
        assert_eq!(Ancestor::named("mesos-slave"), Some(Ancestor::Agent));
        assert_eq!(Ancestor::named("mesos-agent"), Some(Ancestor::Agent));
        assert_eq!(Ancestor::named("mesos-master"), Some(Ancestor::Master));
        assert_eq!(Ancestor::named("mesolith"), None);
    }
}
