//! A task.

use crate::marathon::core::view::{Condition, HealthResult, InstanceView, IpAddress};
use crate::marathon::model::{App, PathId, Timestamp};
use crate::mesos::v1;
use serde::ser::SerializeStruct as _;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

/// The JSON of a task.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::marathon::api) struct Task<'a> {
    app_id: &'a PathId,
    health_check_results: Vec<Health<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    check_result: Option<Value>,
    host: &'a str,
    id: &'a str,
    ip_addresses: Vec<Address<'a>>,
    ports: &'a [u16],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    service_ports: Vec<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    slave_id: Option<&'a str>,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    staged_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<Timestamp>,
    version: Timestamp,
    local_volumes: [(); 0],
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    zone: Option<&'a str>,
    role: &'a str,
}

/// Whether the instance has a task to show: one that was asked for and is not over.
pub(in crate::marathon::api) fn is_task(instance: &InstanceView) -> bool {
    instance.condition.is_launched()
}

/// The task of an instance; `app` is its app's present definition, if there is one.
pub(in crate::marathon::api) fn task<'a>(
    instance: &'a InstanceView,
    app: Option<&App>,
) -> Task<'a> {
    let agent = instance.agent.as_deref();
    Task {
        app_id: &instance.app,
        health_check_results: instance
            .health
            .iter()
            .map(|h| Health(h, instance.id.as_str()))
            .collect(),
        check_result: instance.check.as_ref().and_then(check_result),
        host: agent.map_or("", |a| &a.host),
        id: instance.task_id.as_str(),
        ip_addresses: instance.ip_addresses.iter().map(Address::of).collect(),
        ports: &instance.host_ports,
        service_ports: app.map(App::service_ports).unwrap_or_default(),
        slave_id: agent.map(|a| a.agent_id.as_str()),
        state: state(instance).as_str_name(),
        staged_at: instance.staged_at,
        started_at: instance.started_at,
        version: instance.version,
        local_volumes: [],
        region: agent.and_then(|a| a.region.as_deref()),
        zone: agent.and_then(|a| a.zone.as_deref()),
        role: &instance.role,
    }
}

fn state(instance: &InstanceView) -> v1::TaskState {
    let staging = || match instance.condition {
        Condition::Killing => v1::TaskState::TaskKilling,
        _ => v1::TaskState::TaskStaging,
    };
    instance.state.unwrap_or_else(staging)
}

/// An address, in a task and in an event.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::marathon::api) struct Address<'a> {
    ip_address: &'a str,
    protocol: &'static str,
}

impl<'a> Address<'a> {
    pub(in crate::marathon::api) fn of(address: &'a IpAddress) -> Self {
        let protocol = if address.v6 { "IPv6" } else { "IPv4" };
        Self { ip_address: &address.address, protocol }
    }
}

/// A health result and whose it is.
struct Health<'a>(&'a HealthResult, &'a str);

impl Serialize for Health<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let (health, instance) = (self.0, self.1);
        let mut out = s.serialize_struct("Health", 7)?;
        out.serialize_field("alive", &health.alive)?;
        out.serialize_field("consecutiveFailures", &health.consecutive_failures)?;
        for (name, at) in [
            ("firstSuccess", health.first_success),
            ("lastFailure", health.last_failure),
            ("lastSuccess", health.last_success),
        ] {
            if let Some(at) = at {
                out.serialize_field(name, &at)?;
            }
        }
        if let Some(cause) = &health.last_failure_cause {
            out.serialize_field("lastFailureCause", cause)?;
        }
        out.serialize_field("instanceId", instance)?;
        out.end()
    }
}

fn check_result(check: &v1::CheckStatusInfo) -> Option<Value> {
    if let Some(command) = &check.command {
        return Some(match command.exit_code {
            Some(code) => json!({ "command": { "exitCode": code } }),
            None => json!({ "command": {} }),
        });
    }
    if let Some(http) = &check.http {
        return Some(match http.status_code {
            Some(code) => json!({ "http": { "statusCode": code } }),
            None => json!({ "http": {} }),
        });
    }
    check.tcp.as_ref().map(|tcp| json!({ "tcp": { "succeeded": tcp.succeeded.unwrap_or(false) } }))
}
