//! The shell of Chronos: gives the core its inputs (the scheduler port, clients' requests) and carries out its acts. It
//! decides nothing, and knows no master: what is below its ports is its host's business.

use super::api::events::Hub;
use super::api::{Door, Wait};
use super::core::ChronosCore;
use super::core::io::{Act, Answer, Command, Input, RequestId};
use super::core::run::Run;
use super::core::view::{JobDetail, Numbers, View};
use super::options::Options;
use crate::base::error::Result;
use crate::base::explain::Explanation;
use crate::base::kv::Op;
use crate::framework::host::{Caller, Framework, Tools};
use crate::framework::scheduler::Subscriber;
use crate::framework::state::Journal;
use crate::machine::driver::{Handle, Shell};
use crate::machine::requests::Requests;
use crate::machine::{Cx, Effects};
use crate::mesos::v1;
use crate::mesos::v1::framework_info::capability::Type as Capability;
use crate::mesos::v1::scheduler::{Call, Event, event};
use std::pin::Pin;
use std::sync::Arc;

/// How many requests may wait for an answer of the core.
const REQUESTS_MAX: usize = 16 * 1024;

/// What the framework can do: see the states that partitions lead to and tasks that are being killed, and take resources that
/// are reserved in levels.
const CAPABILITIES: &[Capability] = &[
    Capability::PartitionAware,
    Capability::TaskKillingState,
    Capability::MultiRole,
    Capability::ReservationRefinement,
];

/// Chronos, to be hosted.
pub struct Chronos {
    options: Options,
    info: v1::FrameworkInfo,
    hub: Hub,
}

impl Chronos {
    /// With these settings; `user` is who tasks run as when nothing says otherwise, `hostname` and `webui_url` are told to
    /// the master, events go to `hub`.
    pub fn new(
        mut options: Options,
        user: String,
        hostname: String,
        webui_url: String,
        hub: Hub,
    ) -> Self {
        if options.core.rules.user.is_empty() {
            options.core.rules.user = user;
        }
        let capability =
            |kind: &Capability| v1::framework_info::Capability { r#type: Some((*kind).into()) };
        let info = v1::FrameworkInfo {
            user: options.core.rules.user.clone(),
            name: options.framework_name.clone(),
            failover_timeout: Some(options.failover_timeout.as_secs_f64()),
            checkpoint: Some(options.checkpoint),
            hostname: Some(hostname),
            principal: options.principal.clone(),
            webui_url: Some(options.webui_url.clone().unwrap_or(webui_url)),
            roles: vec![options.core.role.clone()],
            capabilities: CAPABILITIES.iter().map(capability).collect(),
            ..Default::default()
        };
        Self { options, info, hub }
    }

    /// What jobs are completed with: for the HTTP face.
    pub fn rules(&self) -> &super::model::Rules {
        &self.options.core.rules
    }
}

impl Framework for Chronos {
    type Core = ChronosCore;
    type Shell = ChronosShell;
    type Door = Arc<dyn Door>;

    fn recover(
        &self,
        rows: Vec<(String, Vec<u8>)>,
        cx: &mut Cx<'_>,
        out: &mut Effects<ChronosCore>,
    ) -> Result<ChronosCore> {
        ChronosCore::recover(self.options.core.clone(), rows, cx, out)
    }

    fn subscriber(&self, core: &ChronosCore) -> Subscriber {
        let id = core.framework_id().map(|id| v1::FrameworkId { value: id.to_string() });
        // Nothing is wanted until the core says so.
        let suppressed = self.info.roles.clone();
        Subscriber::new(v1::FrameworkInfo { id, ..self.info.clone() }, suppressed)
    }

    fn open(&self, tools: Tools<ChronosCore>) -> (Arc<dyn Door>, ChronosShell) {
        let waiting = Arc::new(Requests::new(REQUESTS_MAX));
        let door = Way { handle: tools.handle, waiting: waiting.clone() };
        let shell = ChronosShell {
            journal: tools.journal,
            caller: tools.caller,
            waiting,
            hub: self.hub.clone(),
        };
        (Arc::new(door), shell)
    }

    fn subscribed(&self, subscribed: event::Subscribed) -> Input {
        Input::Subscribed { framework_id: subscribed.framework_id.value.as_str().into() }
    }

    fn disconnected(&self, why: String) -> Input {
        tracing::info!("chronos: not subscribed: {why}");
        Input::Disconnected { why }
    }

    fn event(&self, event: Arc<Event>) -> Input {
        Input::Event(event)
    }

    fn undelivered(&self, call: Call) -> Input {
        Input::Undelivered(Box::new(call))
    }

    fn forget_id(&self) -> Vec<Op> {
        ChronosCore::forget_id()
    }
}

/// Carries out the core's acts.
pub struct ChronosShell {
    journal: Arc<Journal>,
    caller: Caller,
    waiting: Arc<Requests<Answer>>,
    hub: Hub,
}

impl Shell<ChronosCore> for ChronosShell {
    fn persist(&mut self, writes: Vec<Op>) -> Pin<Box<dyn Future<Output = Result<()>>>> {
        Box::pin(self.journal.write(writes))
    }

    fn act(&mut self, act: Act) {
        match act {
            Act::Answer { request, answer } => self.waiting.answer(request.0, answer),
            Act::Call(call) => self.caller.call(*call),
            Act::Publish(notice) => self.hub.publish(&notice),
        }
    }
}

impl Drop for ChronosShell {
    fn drop(&mut self) {
        self.waiting.end();
        // Listeners come back to wherever it runs then.
        self.hub.close();
    }
}

/// The way of the HTTP face to the core.
struct Way {
    handle: Handle<ChronosCore>,
    waiting: Arc<Requests<Answer>>,
}

impl Door for Way {
    fn view(&self) -> Wait<'_, View> {
        Box::pin(self.handle.look(|core| core.view()))
    }

    fn job(&self, name: String) -> Wait<'_, Option<JobDetail>> {
        Box::pin(self.handle.look(move |core| core.job(&name)))
    }

    fn runs(&self) -> Wait<'_, Vec<Arc<Run>>> {
        Box::pin(self.handle.look(|core| core.runs()))
    }

    fn why(&self, name: String) -> Wait<'_, Option<Explanation>> {
        Box::pin(self.handle.look(move |core| core.why(&name)))
    }

    fn numbers(&self) -> Wait<'_, Numbers> {
        Box::pin(self.handle.look(|core| core.numbers()))
    }

    fn request(&self, command: Command) -> Wait<'_, Answer> {
        Box::pin(
            self.waiting.ask(&self.handle, |request| Input::Request {
                request: RequestId(request),
                command,
            }),
        )
    }
}
