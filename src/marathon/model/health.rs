//! Health checks, informational checks and readiness checks.

use serde::{Deserialize, Serialize};

/// How a health check asks. The ones without `Mesos` are Marathon's own in the original; here the agent makes
/// all of them, the former against the host port, the latter inside the container's network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum HealthProtocol {
    /// A GET on the host port: 200 to 399 is healthy.
    #[default]
    Http,
    /// The same over TLS, any certificate.
    Https,
    /// A connection to the host port.
    Tcp,
    /// A command: 0 is healthy.
    Command,
    /// A GET on the container port.
    MesosHttp,
    /// The same over TLS.
    MesosHttps,
    /// A connection to the container port.
    MesosTcp,
}

impl HealthProtocol {
    /// Whether it needs a port.
    pub const fn has_port(self) -> bool {
        !matches!(self, Self::Command)
    }

    /// Whether it asks with a path.
    pub const fn has_path(self) -> bool {
        matches!(self, Self::Http | Self::Https | Self::MesosHttp | Self::MesosHttps)
    }

    /// Whether the original leaves it to Mesos.
    pub const fn by_mesos(self) -> bool {
        !matches!(self, Self::Http | Self::Https | Self::Tcp)
    }
}

/// The address family a check connects with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum IpProtocol {
    /// IPv4.
    #[default]
    #[serde(rename = "IPv4")]
    V4,
    /// IPv6.
    #[serde(rename = "IPv6")]
    V6,
}

/// A health check: instances that fail it too often are killed and replaced. Times in seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HealthCheck {
    /// For [`HealthProtocol::Command`]: run by the shell.
    #[serde(default, with = "command", skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// Failures of an instance that was never healthy do not count so long.
    pub grace_period_seconds: u32,
    /// HTTP 1xx answers say nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ignore_http1xx: Option<bool>,
    /// From one check to the next.
    pub interval_seconds: u32,
    /// So many failures in a row are borne; 0: any number.
    pub max_consecutive_failures: u32,
    /// For HTTP; `/` when the client gave none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// A fixed port; not together with `port_index`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Which of the app's ports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port_index: Option<u16>,
    /// How it asks.
    pub protocol: HealthProtocol,
    /// The address family; not for [`HealthProtocol::Command`].
    pub ip_protocol: IpProtocol,
    /// An answer later than this is a failure.
    pub timeout_seconds: u32,
    /// The first check by Mesos is so long after the start.
    pub delay_seconds: u32,
}

impl Default for HealthCheck {
    fn default() -> Self {
        Self {
            command: None,
            grace_period_seconds: 300,
            ignore_http1xx: None,
            interval_seconds: 60,
            max_consecutive_failures: 3,
            path: None,
            port: None,
            port_index: None,
            protocol: HealthProtocol::Http,
            ip_protocol: IpProtocol::V4,
            timeout_seconds: 20,
            delay_seconds: 15,
        }
    }
}

/// The JSON form of a health check's command: `{"value": "…"}`.
mod command {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Command {
        value: String,
    }

    pub fn serialize<S: Serializer>(value: &Option<String>, s: S) -> Result<S::Ok, S::Error> {
        value.clone().map(|value| Command { value }).serialize(s)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Option<String>, D::Error> {
        Ok(Option::<Command>::deserialize(d)?.map(|c| c.value))
    }
}

/// HTTP or HTTPS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum HttpScheme {
    /// Plain.
    #[default]
    Http,
    /// Over TLS, any certificate.
    Https,
}

/// An informational check by the agent: its result is shown, nothing is killed. Times in seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// How it asks.
    #[serde(flatten)]
    pub kind: CheckKind,
    /// From one check to the next.
    pub interval_seconds: u32,
    /// An answer later than this is none.
    pub timeout_seconds: u32,
    /// The first is so long after the start.
    pub delay_seconds: u32,
}

/// How an informational check asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", rename_all_fields = "camelCase")]
pub enum CheckKind {
    /// A GET.
    Http {
        /// Which of the app's ports; not with `port`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        port_index: Option<u16>,
        /// A fixed port.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        port: Option<u16>,
        /// With which path.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        path: Option<String>,
        /// Plain or over TLS.
        scheme: HttpScheme,
    },
    /// A connection.
    Tcp {
        /// Which of the app's ports; not with `port`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        port_index: Option<u16>,
        /// A fixed port.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        port: Option<u16>,
    },
    /// A command.
    Exec {
        /// Which.
        command: MesosCommand,
    },
}

/// A command: for the shell, or as words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MesosCommand {
    /// Run by `/bin/sh -c`.
    Shell(String),
    /// Run as it is; at least one word.
    Argv(Vec<String>),
}

/// A readiness check: deployments wait until a new instance says it is ready. Times in seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReadinessCheck {
    /// Answers with these mean ready.
    pub http_status_codes_for_ready: Vec<u16>,
    /// From one check to the next.
    pub interval_seconds: u32,
    /// Its name.
    pub name: String,
    /// With which path.
    pub path: String,
    /// The name of the port.
    pub port_name: String,
    /// Keep the last answer for readers.
    pub preserve_last_response: bool,
    /// Plain or over TLS.
    pub protocol: HttpScheme,
    /// An answer later than this is none; shorter than the interval.
    pub timeout_seconds: u32,
}

impl Default for ReadinessCheck {
    fn default() -> Self {
        Self {
            http_status_codes_for_ready: vec![200],
            interval_seconds: 30,
            name: "readinessCheck".into(),
            path: "/".into(),
            port_name: "http-api".into(),
            preserve_last_response: false,
            protocol: HttpScheme::Http,
            timeout_seconds: 10,
        }
    }
}
