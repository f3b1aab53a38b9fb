//! Calls about frameworks.

use super::super::{Api, Refusal, write::answer};
use super::{missing, of, time};
use crate::base::ids::FrameworkId;
use crate::master::core::io::Input;
use crate::master::core::view::{FrameworkView, View};
use crate::mesos::convert::{Format, resources_to_v1};
use crate::mesos::v1;
use crate::mesos::v1::master::response::{self, Type, get_frameworks::Framework};
use crate::mesos::v1::master::{Call, Response};
use axum::response::Response as HttpResponse;
use std::sync::Arc;

/// All frameworks, ended ones by themselves.
pub(super) fn get(view: &View) -> Response {
    Response { get_frameworks: Some(list(view)), ..of(Type::GetFrameworks) }
}

/// The same as part of GET_STATE.
pub(super) fn list(view: &View) -> response::GetFrameworks {
    let shown = |f: &Arc<FrameworkView>| {
        let id = f.info.id.as_ref().map_or("", |id| id.value.as_str());
        framework(f, view.inverse_offers.get(id).map_or(&[], Vec::as_slice))
    };
    response::GetFrameworks {
        frameworks: view.frameworks.iter().map(shown).collect(),
        completed_frameworks: view.completed_frameworks.iter().map(shown).collect(),
        ..Default::default()
    }
}

/// A framework, with what it is asked to give back.
pub(super) fn framework(f: &FrameworkView, asked: &[Arc<v1::InverseOffer>]) -> Framework {
    Framework {
        framework_info: (*f.info).clone(),
        active: f.active,
        connected: f.connected,
        recovered: f.recovered,
        registered_time: Some(time(f.registered_time)),
        reregistered_time: f.reregistered_time.map(time),
        unregistered_time: f.unregistered_time.map(time),
        offers: f.offers.iter().map(|o| (**o).clone()).collect(),
        inverse_offers: asked.iter().map(|offer| (**offer).clone()).collect(),
        allocated_resources: resources_to_v1(&f.used, Format::Post),
        offered_resources: resources_to_v1(&f.offered, Format::Post),
        offer_constraints: None,
    }
}

/// As `/teardown`.
pub(super) async fn teardown(api: &Api, call: Call) -> Result<HttpResponse, Refusal> {
    let wanted = call.teardown.ok_or_else(|| missing("teardown"))?;
    let framework_id = FrameworkId::from(&wanted.framework_id);
    let request = |request| Input::Teardown { request, framework_id };
    answer(api.master()?.request(request).await?)
}
