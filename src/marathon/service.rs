//! Marathon's shell: gives the core its inputs (the scheduler port, clients' requests) and carries out its acts. It decides
//! nothing, and knows no master: what is below its ports is its host's business.

use super::api::events::Hub;
use super::api::{Door, Wait};
use super::core::io::{Act, Answer, Command, Input, RequestId};
use super::core::view::View;
use super::core::{MarathonCore, commits, forget_framework};
use super::model::{App, Group, PathId, Timestamp};
use super::options::Options;
use crate::base::error::Result;
use crate::base::kv::Op;
use crate::framework::host::{Caller, Framework, Tools};
use crate::framework::scheduler::Subscriber;
use crate::framework::state::Journal;
use crate::machine::driver::{Handle, Shell};
use crate::machine::requests::Requests;
use crate::machine::{Cx, Effects};
use crate::mesos::v1;
use crate::mesos::v1::scheduler::{Call, Event, call, event};
use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;
use tokio::sync::Notify;

/// How many requests may wait for an answer of the core.
const REQUESTS_MAX: usize = 16 * 1024;

/// What the framework can do: see the states that partitions lead to, tasks that are being killed, and where agents are.
const CAPABILITIES: &[v1::framework_info::capability::Type] = &[
    v1::framework_info::capability::Type::PartitionAware,
    v1::framework_info::capability::Type::TaskKillingState,
    v1::framework_info::capability::Type::RegionAware,
    v1::framework_info::capability::Type::MultiRole,
    v1::framework_info::capability::Type::ReservationRefinement,
];

/// Marathon, to be hosted.
pub struct Marathon {
    options: Options,
    info: v1::FrameworkInfo,
    hub: Hub,
}

impl Marathon {
    /// With these settings; `user` is who tasks run as when nothing says otherwise, `hostname` and `webui_url` are told to
    /// the master, events go to `hub`.
    pub fn new(
        options: Options,
        user: String,
        hostname: String,
        webui_url: String,
        hub: Hub,
    ) -> Self {
        let capability = |kind: &v1::framework_info::capability::Type| {
            v1::framework_info::Capability { r#type: Some((*kind).into()) }
        };
        let info = v1::FrameworkInfo {
            user: options.core.mesos_user.clone().unwrap_or(user),
            name: options.framework_name.clone(),
            failover_timeout: Some(options.failover_timeout.as_secs_f64()),
            // Tasks outlive an agent's restart.
            checkpoint: Some(true),
            hostname: Some(hostname),
            principal: options.principal.clone(),
            webui_url: Some(options.webui_url.clone().unwrap_or(webui_url)),
            capabilities: CAPABILITIES.iter().map(capability).collect(),
            ..Default::default()
        };
        Self { options, info, hub }
    }

    fn info(&self, id: Option<&str>, roles: &BTreeSet<String>) -> v1::FrameworkInfo {
        v1::FrameworkInfo {
            id: id.map(|id| v1::FrameworkId { value: id.to_string() }),
            roles: roles.iter().cloned().collect(),
            ..self.info.clone()
        }
    }
}

impl Framework for Marathon {
    type Core = MarathonCore;
    type Shell = MarathonShell;
    type Door = Arc<dyn Door>;

    fn recover(
        &self,
        rows: Vec<(String, Vec<u8>)>,
        cx: &mut Cx<'_>,
        out: &mut Effects<MarathonCore>,
    ) -> Result<MarathonCore> {
        MarathonCore::recover(self.options.core.clone(), rows, cx, out)
    }

    fn subscriber(&self, core: &MarathonCore) -> Subscriber {
        let info = self.info(core.framework_id(), core.roles());
        // Nothing is wanted until the core says so.
        Subscriber::new(info, core.roles().iter().cloned().collect())
    }

    fn open(&self, tools: Tools<MarathonCore>) -> (Arc<dyn Door>, MarathonShell) {
        let waiting = Arc::new(Requests::new(REQUESTS_MAX));
        let door = Way { handle: tools.handle, waiting: waiting.clone(), leave: tools.leave };
        let shell = MarathonShell {
            info: self.info.clone(),
            journal: tools.journal,
            caller: tools.caller,
            waiting,
            hub: self.hub.clone(),
        };
        (Arc::new(door), shell)
    }

    fn subscribed(&self, subscribed: event::Subscribed) -> Input {
        Input::Subscribed {
            framework_id: subscribed.framework_id.value.as_str().into(),
            master: subscribed.master_info.map(Box::new),
        }
    }

    fn disconnected(&self, why: String) -> Input {
        tracing::info!("marathon: not subscribed: {why}");
        Input::Disconnected
    }

    fn event(&self, event: Arc<Event>) -> Input {
        Input::Event(event)
    }

    fn undelivered(&self, call: Call) -> Input {
        Input::Undelivered(Box::new(call))
    }

    fn forget_id(&self) -> Vec<Op> {
        forget_framework()
    }
}

/// Carries out the core's acts.
pub struct MarathonShell {
    info: v1::FrameworkInfo,
    journal: Arc<Journal>,
    caller: Caller,
    waiting: Arc<Requests<Answer>>,
    hub: Hub,
}

impl Shell<MarathonCore> for MarathonShell {
    fn persist(&mut self, writes: Vec<Op>) -> Pin<Box<dyn Future<Output = Result<()>>>> {
        let commits = commits(writes).into_iter().map(|commit| self.journal.write(commit));
        let all: Vec<_> = commits.collect();
        Box::pin(async move {
            for done in all {
                done.await?;
            }
            Ok(())
        })
    }

    fn act(&mut self, act: Act) {
        match act {
            Act::Answer { request, answer } => self.waiting.answer(request.0, answer),
            Act::Call(call) => self.caller.call(*call),
            Act::Roles(roles) => {
                let framework_info = v1::FrameworkInfo {
                    roles: roles.iter().cloned().collect(),
                    ..self.info.clone()
                };
                let update = call::UpdateFramework {
                    framework_info,
                    suppressed_roles: Vec::new(),
                    offer_constraints: None,
                };
                self.caller.call(Call {
                    r#type: Some(call::Type::UpdateFramework.into()),
                    update_framework: Some(update),
                    ..Call::default()
                });
            }
            Act::Publish(event) => self.hub.publish(&event),
        }
    }
}

impl Drop for MarathonShell {
    fn drop(&mut self) {
        self.waiting.end();
        // Listeners come back to whoever leads then.
        self.hub.close();
    }
}

/// The way of the HTTP face to the core.
struct Way {
    handle: Handle<MarathonCore>,
    waiting: Arc<Requests<Answer>>,
    leave: Arc<Notify>,
}

impl Door for Way {
    fn view(&self) -> Wait<'_, Arc<View>> {
        Box::pin(self.handle.look(|core| Arc::new(core.view())))
    }

    fn request(&self, command: Command) -> Wait<'_, Answer> {
        Box::pin(
            self.waiting.ask(&self.handle, |request| Input::Request {
                request: RequestId(request),
                command,
            }),
        )
    }

    fn app_version(&self, app: PathId, version: Timestamp) -> Wait<'_, Option<Arc<App>>> {
        Box::pin(self.handle.look(move |core| core.app_version(&app, version)))
    }

    fn root_version(&self, version: Timestamp) -> Wait<'_, Option<Arc<Group>>> {
        Box::pin(self.handle.look(move |core| core.root_at(version)))
    }

    fn abdicate(&self) -> Wait<'_, ()> {
        self.leave.notify_one();
        Box::pin(std::future::ready(Ok(())))
    }
}
