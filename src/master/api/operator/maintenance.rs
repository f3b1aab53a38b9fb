//! Calls about the maintenance of machines. The older endpoints ask the same.

use super::super::{Api, Refusal, write::answer};
use super::{missing, of};
use crate::master::core::io::Input;
use crate::mesos::v1::MachineId;
use crate::mesos::v1::maintenance::{ClusterStatus, Schedule};
use crate::mesos::v1::master::response::{self, Type};
use crate::mesos::v1::master::{Call, Response};
use axum::response::Response as HttpResponse;
use std::sync::Arc;

/// The schedule, and how far its machines are.
pub(in crate::master::api) async fn look(
    api: &Api,
) -> Result<(Arc<Schedule>, ClusterStatus), Refusal> {
    Ok(api.master()?.handle().look(|core| core.maintenance()).await?)
}

pub(super) async fn status(api: &Api) -> Result<Response, Refusal> {
    let (_, status) = look(api).await?;
    let get_maintenance_status = Some(response::GetMaintenanceStatus { status });
    Ok(Response { get_maintenance_status, ..of(Type::GetMaintenanceStatus) })
}

pub(super) async fn schedule(api: &Api) -> Result<Response, Refusal> {
    let (schedule, _) = look(api).await?;
    let schedule = Arc::unwrap_or_clone(schedule);
    let get_maintenance_schedule = Some(response::GetMaintenanceSchedule { schedule });
    Ok(Response { get_maintenance_schedule, ..of(Type::GetMaintenanceSchedule) })
}

pub(super) async fn update(api: &Api, call: Call) -> Result<HttpResponse, Refusal> {
    let wanted = call.update_maintenance_schedule;
    replace(api, wanted.ok_or_else(|| missing("update_maintenance_schedule"))?.schedule).await
}

pub(super) async fn start(api: &Api, call: Call) -> Result<HttpResponse, Refusal> {
    let wanted = call.start_maintenance.ok_or_else(|| missing("start_maintenance"))?;
    down(api, wanted.machines).await
}

pub(super) async fn stop(api: &Api, call: Call) -> Result<HttpResponse, Refusal> {
    let wanted = call.stop_maintenance.ok_or_else(|| missing("stop_maintenance"))?;
    up(api, wanted.machines).await
}

/// Puts a schedule in the place of the one there is.
pub(in crate::master::api) async fn replace(
    api: &Api,
    schedule: Schedule,
) -> Result<HttpResponse, Refusal> {
    let schedule = Box::new(schedule);
    let request = |request| Input::UpdateSchedule { request, schedule };
    answer(api.master()?.request(request).await?)
}

/// Takes machines down.
pub(in crate::master::api) async fn down(
    api: &Api,
    machines: Vec<MachineId>,
) -> Result<HttpResponse, Refusal> {
    let request = |request| Input::MachinesDown { request, machines };
    answer(api.master()?.request(request).await?)
}

/// Lets their agents in again.
pub(in crate::master::api) async fn up(
    api: &Api,
    machines: Vec<MachineId>,
) -> Result<HttpResponse, Refusal> {
    let request = |request| Input::MachinesUp { request, machines };
    answer(api.master()?.request(request).await?)
}
