//! Calls about the master itself.

use super::super::Api;
use super::of;
use crate::base::version;
use crate::master::core::view::View;
use crate::mesos::v1::master::Response;
use crate::mesos::v1::master::response::{self, Type};
use crate::mesos::v1::{Flag, VersionInfo};

/// A master that answers is well.
pub(super) fn health() -> Response {
    let get_health = Some(response::GetHealth { healthy: true });
    Response { get_health, ..of(Type::GetHealth) }
}

/// The effective settings.
pub(super) fn flags(api: &Api) -> Response {
    let flag =
        |(name, value): (&String, &String)| Flag { name: name.clone(), value: Some(value.clone()) };
    let flags = api.identity.flags.iter().map(flag).collect();
    Response { get_flags: Some(response::GetFlags { flags }), ..of(Type::GetFlags) }
}

/// As `/version` says.
pub(super) fn version() -> Response {
    let version_info = VersionInfo {
        version: version::MESOS_VERSION.into(),
        build_date: Some(version::BUILD_DATE.into()),
        build_time: Some(version::build_time()),
        build_user: Some(version::BUILD_USER.into()),
        ..VersionInfo::default()
    };
    let get_version = Some(response::GetVersion { version_info });
    Response { get_version, ..of(Type::GetVersion) }
}

/// Who leads.
pub(super) fn master(api: &Api, view: &View) -> Response {
    let get_master = Some(response::GetMaster {
        master_info: Some(view.master_info.clone()),
        start_time: Some(api.identity.start_time.secs()),
        elected_time: Some(view.elected_time.secs()),
    });
    Response { get_master, ..of(Type::GetMaster) }
}
