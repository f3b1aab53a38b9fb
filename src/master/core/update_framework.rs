//! UPDATE_FRAMEWORK: answered at once with what came of it; all of it, or nothing.

use super::io::{Answer, RequestId};
use super::{MasterCore, Out, answer, refuse, registry, subscribe, validate};
use crate::base::ids::{FrameworkId, OfferId};
use crate::machine::Cx;
use crate::mesos::v1::scheduler::{Call, call};

impl MasterCore {
    pub(super) fn update_framework(
        &mut self,
        cx: &mut Cx<'_>,
        request: RequestId,
        id: &FrameworkId,
        call: Call,
        out: &mut Out,
    ) {
        let Some(update) = call.update_framework else {
            return refuse(request, 400, "Expecting 'update_framework' to be present", out);
        };
        if let Err(text) = self.check_update(id, &update) {
            return refuse(request, 400, text, out);
        }
        let suppressed = subscribe::roles(&update.suppressed_roles);
        let mut info = update.framework_info;
        if let Some(framework) = self.frameworks.registered.get(id) {
            info.principal.clone_from(&framework.info.principal);
        }
        self.change_framework(id, info, suppressed, out);
        self.rescind_left_roles(cx, id, out);
        if let Some(framework) = self.frameworks.registered.get(id) {
            out.write(registry::framework(id, &framework.to_record()));
        }
        self.tell_framework_updated(id);
        answer(request, Answer::Done, out);
    }

    fn check_update(&self, id: &FrameworkId, update: &call::UpdateFramework) -> Result<(), String> {
        let info = &update.framework_info;
        validate::framework::check(info, &update.suppressed_roles)?;
        validate::framework::check_constraints(update.offer_constraints.as_ref())?;
        validate::framework::check_allowed(info, &self.options)?;
        let Some(framework) = self.frameworks.registered.get(id) else {
            return Err("Framework cannot be found".into());
        };
        if info.principal.is_some() {
            validate::framework::check_principal(&framework.info, info)?;
        }
        if info.user != framework.info.user {
            return Err("Updating 'FrameworkInfo.user' is unsupported".into());
        }
        if info.checkpoint() != framework.info.checkpoint() {
            return Err("Updating 'FrameworkInfo.checkpoint' is unsupported".into());
        }
        Ok(())
    }

    fn rescind_left_roles(&mut self, cx: &mut Cx<'_>, id: &FrameworkId, out: &mut Out) {
        let Some(framework) = self.frameworks.registered.get(id) else { return };
        let left = |offer: &&OfferId| {
            let offer = self.offers.live.get(*offer);
            offer.is_some_and(|offer| !framework.roles.contains(&offer.role))
        };
        let offers: Vec<OfferId> = framework.offers.iter().filter(left).cloned().collect();
        for offer in &offers {
            self.rescind(offer, cx.now, out);
        }
    }
}
