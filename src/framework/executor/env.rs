//! What an agent tells its executors by their environment.

use super::{ExecutorEndpoint, ExecutorOptions};
use crate::base::error::{Code, Error, Result};
use crate::base::units::parse_duration;
use crate::framework::http::{Authorization, Http, HttpOptions};
use crate::mesos::codec::Codec;
use crate::mesos::v1::{ExecutorId, FrameworkId};
use std::time::Duration;

/// The recovery timeout of an agent that does not tell its own.
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(15 * 60);
/// The longest wait between two tries, of an agent that does not tell its own.
const BACKOFF_MAX: Duration = Duration::from_secs(2);
/// How often an executor tells that it lives; as the original's.
const HEARTBEAT: Duration = Duration::from_secs(30 * 60);

/// The environment of an executor, read.
#[derive(Clone, Debug)]
pub struct ExecutorEnv {
    /// `ip:port` of the agent.
    pub agent: String,
    /// The bearer token, where the agent authenticates executors.
    pub token: Option<String>,
    /// The rest.
    pub options: ExecutorOptions,
}

impl ExecutorEnv {
    /// Reads `MESOS_*`; `var` looks one up.
    ///
    /// # Errors
    /// [`Code::Invalid`], naming the variable that is missing or wrong.
    pub fn read(var: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let need = |name: &str| {
            var(name).filter(|v| !v.is_empty()).ok_or_else(|| {
                Error::new(Code::Invalid, format!("{name} is not set"))
                    .hint("an executor is started by an agent, which sets it")
            })
        };
        let duration = |name: &str, default| match var(name) {
            Some(text) => {
                parse_duration(&text).map_err(|e| Error::new(Code::Invalid, format!("{name}: {e}")))
            }
            None => Ok(default),
        };
        if var("MESOS_DOMAIN_SOCKET").is_some() {
            let cause = "MESOS_DOMAIN_SOCKET is set, and this port speaks TCP only";
            return Err(Error::new(Code::Invalid, cause)
                .hint("start the agent without http_executor_domain_sockets"));
        }
        Ok(Self {
            agent: need("MESOS_AGENT_ENDPOINT")?,
            token: var("MESOS_EXECUTOR_AUTHENTICATION_TOKEN"),
            options: ExecutorOptions {
                framework_id: FrameworkId { value: need("MESOS_FRAMEWORK_ID")? },
                executor_id: ExecutorId { value: need("MESOS_EXECUTOR_ID")? },
                checkpoint: var("MESOS_CHECKPOINT").is_some_and(|v| v == "1"),
                recovery_timeout: duration("MESOS_RECOVERY_TIMEOUT", RECOVERY_TIMEOUT)?,
                backoff_max: duration("MESOS_SUBSCRIPTION_BACKOFF_MAX", BACKOFF_MAX)?,
                heartbeat: HEARTBEAT,
            },
        })
    }

    /// Where the agent is.
    ///
    /// # Errors
    /// [`Code::Invalid`] for an address that is none.
    pub fn endpoint(&self, codec: Codec) -> Result<ExecutorEndpoint> {
        let authorization = self.token.clone().map(Authorization::Bearer);
        let masters = vec![self.agent.clone()];
        Ok(ExecutorEndpoint::Http(Http::new(HttpOptions { masters, codec, authorization })?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(vars: &[(&str, &str)]) -> Result<ExecutorEnv> {
        ExecutorEnv::read(|name| vars.iter().find(|(n, _)| *n == name).map(|(_, v)| v.to_string()))
    }

    const FULL: [(&str, &str); 3] = [
        ("MESOS_AGENT_ENDPOINT", "10.0.0.1:5051"),
        ("MESOS_FRAMEWORK_ID", "f"),
        ("MESOS_EXECUTOR_ID", "e"),
    ];

    #[test]
    fn reads_what_an_agent_sets() {
        let env = read(&FULL).unwrap();
        assert!(!env.options.checkpoint);
        assert_eq!(env.options.recovery_timeout, RECOVERY_TIMEOUT);
        let more = [
            ("MESOS_CHECKPOINT", "1"),
            ("MESOS_RECOVERY_TIMEOUT", "2mins"),
            ("MESOS_SUBSCRIPTION_BACKOFF_MAX", "500ms"),
            ("MESOS_EXECUTOR_AUTHENTICATION_TOKEN", "t"),
        ];
        let env = read(&[&FULL[..], &more[..]].concat()).unwrap();
        assert!(env.options.checkpoint);
        assert_eq!(env.options.recovery_timeout, Duration::from_secs(120));
        assert_eq!(env.options.backoff_max, Duration::from_millis(500));
        assert_eq!(env.token.as_deref(), Some("t"));
        assert!(env.endpoint(Codec::Json).is_ok());
    }

    #[test]
    fn names_what_is_wrong() {
        for missing in 0..FULL.len() {
            let mut vars = FULL.to_vec();
            let (name, _) = vars.remove(missing);
            assert!(read(&vars).unwrap_err().cause.contains(name));
        }
        for bad in [("MESOS_RECOVERY_TIMEOUT", "soon"), ("MESOS_DOMAIN_SOCKET", "/s")] {
            assert!(read(&[&FULL[..], &[bad]].concat()).unwrap_err().cause.contains(bad.0));
        }
    }
}
