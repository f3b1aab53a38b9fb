//! `mesos-resolve`: prints `ip:port` of the master that leads.
//!
//! The original asks ZooKeeper, and prints a `host:port` back as it came. Here every master named is asked, with
//! `GET /redirect`, who leads; the first answer counts. A `zk://` address is read as the list of master hosts.

use super::execute::run::read_masters;
use crate::base::error::{Code, Error, Result};
use crate::base::units::parse_duration;
use crate::framework::http::{Ask, Http, HttpOptions};
use clap::Parser;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

/// The exit code when no leader was found; as the original's.
pub const NOT_DETECTED: i32 = 255;
/// The exit code for wrong use.
pub const USAGE: i32 = 1;
/// How long to wait before all masters are asked again.
const ASK_EVERY: Duration = Duration::from_millis(200);

/// Prints the leading master's address.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "mesos-resolve",
    disable_version_flag = true,
    after_help = "Exit codes: 0 found · 1 wrong use · 255 no leader found in time"
)]
pub struct ResolveOptions {
    /// How long to look for it.
    #[arg(long, default_value = "5secs")]
    pub timeout: String,
    /// Tells on standard error who was asked and what came of it.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub verbose: Option<bool>,
    /// host:port, zk://host1,host2/path or file:///path.
    pub masters: Vec<String>,
}

/// Runs `mesos-resolve`; the first argument is its name.
pub fn main(args: Vec<String>) -> ExitCode {
    let options = match ResolveOptions::try_parse_from(args) {
        Ok(options) => options,
        Err(e) => {
            let code = if e.use_stderr() { USAGE } else { 0 };
            // There is nowhere else to say it.
            let _ = e.print();
            return exit(code);
        }
    };
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => {
            let (mut stdout, mut stderr) = (std::io::stdout(), std::io::stderr());
            exit(runtime.block_on(run(&options, &mut stdout, &mut stderr)))
        }
        Err(e) => {
            eprintln!("cannot start the I/O runtime: {e}");
            exit(USAGE)
        }
    }
}

fn exit(code: i32) -> ExitCode {
    ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX))
}

/// Looks for the leader; returns the exit code.
pub async fn run(
    options: &ResolveOptions,
    stdout: &mut (dyn Write + Send),
    stderr: &mut (dyn Write + Send),
) -> i32 {
    // A closed pipe is no reason for another exit code.
    let mut say = |line: String| drop(writeln!(stderr, "{line}"));
    let [master] = options.masters.as_slice() else {
        say("There must be only one argument: <master>".into());
        return USAGE;
    };
    let timeout = match parse_duration(&options.timeout) {
        Ok(timeout) => timeout,
        Err(why) => {
            say(format!("Failed to load flag 'timeout': {why}"));
            return USAGE;
        }
    };
    let http = match read_masters(master).and_then(|hosts| Http::new(HttpOptions::new(hosts))) {
        Ok(http) => http,
        Err(error) => {
            say(format!("Failed to create a master detector: {error}"));
            return USAGE;
        }
    };
    let verbose = options.verbose.unwrap_or(false);
    let looking = async {
        loop {
            for host in http.hosts() {
                match ask(&http, host).await {
                    Ok(leader) => return leader,
                    Err(error) if verbose => say(format!("{host}: {error}")),
                    Err(_) => {}
                }
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
    };
    match tokio::time::timeout(timeout, looking).await {
        Ok(leader) => {
            let _ = writeln!(stdout, "{leader}");
            0
        }
        Err(_) => {
            say(format!("Failed to detect master from '{master}' within {}", options.timeout));
            NOT_DETECTED
        }
    }
}

/// Asks one master who leads.
async fn ask(http: &Http, host: &str) -> Result<String> {
    let answer = http.ask_one(host, &Ask::get("/redirect")).await.map_err(|t| t.error())?;
    let location = match (answer.status, &answer.location) {
        (307, Some(location)) => location,
        (status, _) => {
            let text = String::from_utf8_lossy(&answer.body).trim().to_string();
            return Err(Error::new(Code::Unavailable, format!("{status} {text}")));
        }
    };
    let leader = http.redirected(location).ok_or_else(|| {
        Error::new(Code::Unavailable, format!("'{location}' does not name a master"))
    })?;
    let mut addresses = tokio::net::lookup_host(&leader)
        .await
        .map_err(|e| Error::new(Code::Unavailable, format!("{leader}: {e}")))?;
    let address = addresses
        .next()
        .ok_or_else(|| Error::new(Code::Unavailable, format!("{leader} has no address")))?;
    Ok(address.to_string())
}
