//! SUBSCRIBE: new frameworks, frameworks that come back, and a second scheduler that takes over
//! from the first.

use super::frameworks::{self, Framework};
use super::io::{Act, Answer, RequestId, SessionId};
use super::{FRAMEWORKS_MAX, MasterCore, Out, Timer, answer, events, refuse, registry, validate};
use crate::base::ids::{FrameworkId, Role};
use crate::base::time::{Mono, Wall};
use crate::machine::Cx;
use crate::master::allocator::FrameworkTraits;
use crate::mesos::internal::{MasterMessage, UpdateFramework};
use crate::mesos::v1;
use crate::mesos::v1::scheduler::{Call, call};
use std::collections::BTreeSet;
use std::sync::Arc;
use v1::framework_info::capability::Type as Capability;

impl MasterCore {
    /// A call that is no SUBSCRIBE is refused; a subscription that is not allowed is accepted, told
    /// so, and closed.
    pub(super) fn subscribe(
        &mut self,
        cx: &mut Cx<'_>,
        request: RequestId,
        session: SessionId,
        call: Call,
        principal: Option<String>,
        out: &mut Out,
    ) {
        let mut subscribe = match check_shape(call, principal.as_deref()) {
            Ok(subscribe) => subscribe,
            Err(text) => {
                let text = format!("Failed to validate scheduler::Call: {text}");
                return refuse(request, 400, text, out);
            }
        };
        let info = &mut subscribe.framework_info;
        info.principal = info.principal.take().or(principal);
        answer(request, Answer::Accepted, out);
        if let Err(text) = self.check_subscription(&subscribe) {
            let event = Arc::new(events::error(text));
            out.act(Act::Event { session: session.clone(), event });
            return out.act(Act::CloseSession { session });
        }
        let suppressed = roles(&subscribe.suppressed_roles);
        let mut info = subscribe.framework_info;
        let id = info.id.as_ref().map(FrameworkId::from).filter(|id| !id.as_str().is_empty());
        let id = id.unwrap_or_else(|| self.mint.framework());
        info.id = Some((&id).into());
        if self.frameworks.registered.contains_key(&id) {
            self.metrics.add("messages_reregister_framework");
            self.resubscribe(cx, &id, session, info, suppressed, out);
        } else {
            self.metrics.add("messages_register_framework");
            let mut framework = Framework::new(info, cx.wall);
            framework.suppressed = suppressed;
            self.enlist_framework(id.clone(), framework);
            self.open(cx, &id, session, out);
            self.tell_framework_added(&id);
        }
    }

    /// The original's rules for a subscription, in its order and words.
    fn check_subscription(&self, subscribe: &call::Subscribe) -> Result<(), String> {
        let info = &subscribe.framework_info;
        validate::framework::check(info, &subscribe.suppressed_roles)?;
        validate::framework::check_constraints(subscribe.offer_constraints.as_ref())?;
        validate::framework::check_allowed(info, &self.options)?;
        let id = info.id.as_ref().map_or("", |id| id.value.as_str());
        if self.frameworks.removed.contains_key(id) {
            return Err("Framework has been removed".into());
        }
        match self.frameworks.get(id) {
            Some(known) => validate::framework::check_principal(&known.info, info),
            None if self.frameworks.registered.len() >= FRAMEWORKS_MAX => {
                Err(format!("Too many frameworks: at most {FRAMEWORKS_MAX} may be registered"))
            }
            None => Ok(()),
        }
    }

    /// A framework that is known: the session before, if there is one, is told and closed; its
    /// offers go back without a word, and its refusals are forgotten: the scheduler may be another
    /// one that knows nothing of them. User and checkpointing stay as they were.
    fn resubscribe(
        &mut self,
        cx: &mut Cx<'_>,
        id: &FrameworkId,
        session: SessionId,
        mut info: v1::FrameworkInfo,
        suppressed: BTreeSet<Role>,
        out: &mut Out,
    ) {
        self.return_framework_offers(id, cx.now);
        self.allocator.deactivate_framework(id);
        let Some(framework) = self.frameworks.change(id) else { return };
        let before = framework.session.take();
        framework.recovered = false;
        framework.reregistered = Some(cx.wall);
        framework.failover_deadline = None;
        info.user.clone_from(&framework.info.user);
        info.checkpoint = framework.info.checkpoint;
        self.timers.cancel(&Timer::Failover(id.clone()));
        if let Some(before) = before {
            self.frameworks.sessions.remove(&before);
            self.timers.cancel(&Timer::Heartbeat(before.clone()));
            let event = Arc::new(events::error("Framework failed over"));
            out.act(Act::Event { session: before.clone(), event });
            out.act(Act::CloseSession { session: before });
        }
        self.change_framework(id, info, suppressed, out);
        self.open(cx, id, session, out);
        self.tell_framework_updated(id);
    }

    /// Stores the framework and opens its session: SUBSCRIBED, then a HEARTBEAT; offers follow.
    fn open(&mut self, cx: &mut Cx<'_>, id: &FrameworkId, session: SessionId, out: &mut Out) {
        self.forget_inverse(id);
        let Some(framework) = self.frameworks.change(id) else { return };
        framework.session = Some(session.clone());
        self.asked.forget(id);
        out.write(registry::framework(id, &framework.to_record()));
        self.frameworks.sessions.insert(session.clone(), id.clone());
        let interval = self.options.heartbeat_interval;
        let master = self.identity.master_info();
        self.send(id, events::subscribed(id, interval, master), out);
        self.send(id, events::heartbeat(), out);
        self.timers.set(Timer::Heartbeat(session), cx.now + interval);
        self.allocator.activate_framework(id);
    }

    /// Takes a changed FrameworkInfo and changed suppressed roles: into the table, the allocator,
    /// and to agents that run something of it. Offers in roles that it left are rescinded by the
    /// caller, where it has a session.
    pub(super) fn change_framework(
        &mut self,
        id: &FrameworkId,
        info: v1::FrameworkInfo,
        suppressed: BTreeSet<Role>,
        out: &mut Out,
    ) {
        let Some(framework) = self.frameworks.change(id) else { return };
        framework.set_info(info);
        framework.suppressed = suppressed;
        let traits = traits(framework);
        self.allocator.update_framework(id, traits, &framework.suppressed);
        let (agents, info) = (framework.agents(), framework.info.clone());
        for agent in &agents {
            let update = UpdateFramework { framework_info: (*info).clone() };
            let message = MasterMessage { update_framework: Some(update), ..self.message() };
            self.to_agent(agent, message, out);
        }
    }

    /// Takes a framework into the table and tells the allocator of it, not yet to be offered
    /// anything.
    fn enlist_framework(&mut self, id: FrameworkId, framework: Framework) {
        let traits = traits(&framework);
        self.allocator.add_framework(id.clone(), traits, &framework.suppressed, false, &[]);
        self.frameworks.mark(&id);
        self.frameworks.registered.insert(id, framework);
    }

    /// Takes a framework into the table that has no session: it may come back until its deadline,
    /// or if it has none yet, as long as its failover timeout, but no shorter than agents have to
    /// come back.
    pub(super) fn enlist_recovered(
        &mut self,
        now: Mono,
        wall: Wall,
        id: FrameworkId,
        mut framework: Framework,
        out: &mut Out,
    ) {
        let grace = super::RECOVERED_FRAMEWORK_GRACE;
        let wait = match framework.failover_deadline {
            Some(deadline) => (deadline - wall).max(grace),
            None => framework.failover_timeout().max(self.options.agent_reregister_timeout),
        };
        framework.failover_deadline = Some(wall + wait);
        out.write(registry::framework(&id, &framework.to_record()));
        self.timers.set(Timer::Failover(id.clone()), now + wait);
        self.enlist_framework(id.clone(), framework);
        self.tell_framework_added(&id);
    }

    /// REVIVE: offers again, and all refusals forgotten, in these roles or in all.
    pub(super) fn revive(&mut self, _cx: &mut Cx<'_>, id: &FrameworkId, names: &[String]) {
        self.metrics.add("messages_revive_offers");
        if let Some(roles) = self.roles_meant(id, names) {
            if let Some(framework) = self.frameworks.change(id) {
                framework.suppressed.retain(|role| !roles.contains(role));
            }
            self.allocator.revive(id, &roles);
        }
    }

    /// SUPPRESS: no offers in these roles, or in any.
    pub(super) fn suppress(&mut self, id: &FrameworkId, names: &[String]) {
        self.metrics.add("messages_suppress_offers");
        if let Some(roles) = self.roles_meant(id, names) {
            if let Some(framework) = self.frameworks.change(id) {
                framework.suppressed.extend(roles.iter().cloned());
            }
            self.allocator.suppress(id, &roles);
        }
    }

    /// None named is all; one that the framework does not have, and the whole call is dropped.
    fn roles_meant(&mut self, id: &FrameworkId, names: &[String]) -> Option<BTreeSet<Role>> {
        let framework = self.frameworks.registered.get(id)?;
        if names.is_empty() {
            return Some(framework.roles.clone());
        }
        let meant = roles(names);
        if meant.is_subset(&framework.roles) {
            return Some(meant);
        }
        self.metrics.add("dropped_messages");
        None
    }
}

/// What a SUBSCRIBE call must hold; the original's texts.
fn check_shape(call: Call, principal: Option<&str>) -> Result<call::Subscribe, String> {
    if call.r#type() != call::Type::Subscribe {
        return Err("Expecting 'type' to be SUBSCRIBE".into());
    }
    let Some(subscribe) = call.subscribe else {
        return Err("Expecting 'subscribe' to be present".into());
    };
    let value = |id: &Option<v1::FrameworkId>| id.as_ref().map_or("", |id| &id.value).to_string();
    if value(&call.framework_id) != value(&subscribe.framework_info.id) {
        return Err("'framework_id' differs from 'subscribe.framework_info.id'".into());
    }
    if let (Some(authenticated), Some(told)) = (principal, &subscribe.framework_info.principal)
        && authenticated != told
    {
        return Err(format!(
            "Authenticated principal '{authenticated}' does not match principal '{told}' set in \
             `FrameworkInfo`"
        ));
    }
    Ok(subscribe)
}

pub(super) fn roles(names: &[String]) -> BTreeSet<Role> {
    names.iter().map(|name| Role::from(name.as_str())).collect()
}

fn traits(framework: &Framework) -> FrameworkTraits {
    FrameworkTraits {
        roles: frameworks::roles(&framework.info),
        gpu: framework.has(Capability::GpuResources),
        revocable: framework.has(Capability::RevocableResources),
        shared: framework.has(Capability::SharedResources),
        reservation_refinement: framework.has(Capability::ReservationRefinement),
        region_aware: framework.has(Capability::RegionAware),
        min_allocatable: validate::framework::min_allocatable(&framework.info),
    }
}
