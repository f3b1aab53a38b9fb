//! The JSON of events: Marathon's names and keys.

use crate::marathon::api::show::Address;
use crate::marathon::core::event::{Event, Kind, Plan};
use crate::marathon::core::view::Step;
use crate::marathon::model::{App, Timestamp};
use serde_json::{Map, Value, json};

/// An event's type and body.
pub(super) fn event(event: &Event) -> (&'static str, Value) {
    let (kind, body) = body(&event.kind);
    finish(kind, body, event.at)
}

/// `api_post_event`.
pub(super) fn api_post(at: Timestamp, client: &str, uri: &str, app: &App) -> (&'static str, Value) {
    let body = json!({ "clientIp": client, "uri": uri, "appDefinition": app });
    finish("api_post_event", body, at)
}

/// `event_stream_attached`.
pub(super) fn attached(at: Timestamp, peer: &str) -> (&'static str, Value) {
    finish("event_stream_attached", json!({ "remoteAddress": peer }), at)
}

/// `event_stream_detached`.
pub(super) fn detached(at: Timestamp, peer: &str) -> (&'static str, Value) {
    finish("event_stream_detached", json!({ "remoteAddress": peer }), at)
}

/// Adds what every event has; what is null is left out, but for a health that is not known.
fn finish(kind: &'static str, body: Value, at: Timestamp) -> (&'static str, Value) {
    let mut fields = match body {
        Value::Object(fields) => fields,
        _ => Map::new(),
    };
    fields.retain(|key, value| !value.is_null() || key == "healthy");
    fields.insert("eventType".into(), json!(kind));
    fields.insert("timestamp".into(), json!(at));
    (kind, Value::Object(fields))
}

fn plan(plan: &Plan) -> Value {
    json!({ "id": plan.id, "version": plan.version, "steps": *plan.steps })
}

fn step(plan_: &Plan, step: &Step) -> Value {
    json!({ "plan": plan(plan_), "currentStep": step })
}

fn body(kind: &Kind) -> (&'static str, Value) {
    match kind {
        Kind::StatusUpdate {
            agent_id,
            task_id,
            state,
            message,
            app,
            host,
            ip_addresses,
            ports,
            version,
        } => {
            let addresses: Vec<_> = ip_addresses.iter().map(Address::of).collect();
            let body = json!({
                "slaveId": agent_id.as_ref().map_or("", |id| id.as_str()),
                "taskId": task_id,
                "taskStatus": state.as_str_name(),
                "message": message,
                "appId": app,
                "host": host,
                "ipAddresses": addresses,
                "ports": ports,
                "version": version,
            });
            ("status_update_event", body)
        }
        Kind::InstanceChanged { instance, condition, app, agent_id, host, version } => (
            "instance_changed_event",
            json!({
                "instanceId": instance,
                "condition": condition,
                "runSpecId": app,
                "agentId": agent_id,
                "host": host,
                "runSpecVersion": version,
            }),
        ),
        Kind::InstanceHealthChanged { instance, app, version, healthy } => (
            "instance_health_changed_event",
            json!({
                "instanceId": instance,
                "runSpecId": app,
                "healthy": healthy,
                "runSpecVersion": version,
            }),
        ),
        Kind::UnknownInstanceTerminated { instance, app, condition } => (
            "unknown_instance_terminated_event",
            json!({ "instanceId": instance, "runSpecId": app, "condition": condition }),
        ),
        Kind::AppTerminated { app } => ("app_terminated_event", json!({ "appId": app })),
        Kind::AddHealthCheck { app, version, check } => (
            "add_health_check_event",
            json!({ "appId": app, "healthCheck": check, "version": version }),
        ),
        Kind::RemoveHealthCheck { app } => ("remove_health_check_event", json!({ "appId": app })),
        Kind::FailedHealthCheck { app, instance, check } => (
            "failed_health_check_event",
            json!({ "appId": app, "healthCheck": check, "taskId": instance }),
        ),
        Kind::HealthStatusChanged { app, instance, version, alive } => (
            "health_status_changed_event",
            json!({ "appId": app, "instanceId": instance, "version": version, "alive": alive }),
        ),
        Kind::UnhealthyInstanceKill { app, task_id, instance, version, reason, host, agent_id } => {
            let body = json!({
                "appId": app,
                "taskId": task_id,
                "instanceId": instance,
                "version": version,
                "reason": reason,
                "host": host,
                "slaveId": agent_id,
            });
            ("unhealthy_instance_kill_event", body)
        }
        Kind::GroupChangeSuccess { group, version } => {
            ("group_change_success", json!({ "groupId": group, "version": version }))
        }
        Kind::GroupChangeFailed { group, version, reason } => (
            "group_change_failed",
            json!({ "groupId": group, "version": version, "reason": reason }),
        ),
        Kind::DeploymentInfo { plan, step: at } => ("deployment_info", step(plan, at)),
        Kind::DeploymentStepSuccess { plan, step: at } => {
            ("deployment_step_success", step(plan, at))
        }
        Kind::DeploymentStepFailure { plan, step: at } => {
            ("deployment_step_failure", step(plan, at))
        }
        Kind::DeploymentSuccess { plan: done } => {
            ("deployment_success", json!({ "id": done.id, "plan": plan(done) }))
        }
        Kind::DeploymentFailed { plan: failed, reason } => (
            "deployment_failed",
            json!({ "id": failed.id, "plan": plan(failed), "reason": reason }),
        ),
        Kind::SchedulerRegistered { framework_id, master } => {
            ("scheduler_registered_event", json!({ "frameworkId": framework_id, "master": master }))
        }
        Kind::SchedulerReregistered { master } => {
            ("scheduler_reregistered_event", json!({ "master": master }))
        }
        Kind::SchedulerDisconnected => ("scheduler_disconnected_event", json!({})),
    }
}
