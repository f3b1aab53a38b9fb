//! What happens to Marathon's core, and what it asks its shell to do.

use super::event::Event;
use super::ids::{DeploymentId, InstanceId};
use super::view::{InstanceView, Step};
use crate::base::error::Error;
use crate::base::ids::{FrameworkId, TaskId};
use crate::marathon::model::{App, Group, PathId, Timestamp};
use crate::mesos::v1;
use crate::mesos::v1::scheduler;
use std::collections::BTreeSet;
use std::sync::Arc;

/// One waiting request of a client; a number never used twice in a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// What may happen to Marathon.
#[derive(Clone, Debug)]
pub enum Input {
    /// A client wants a change. Answered once with [`Act::Answer`].
    Request {
        /// To be answered.
        request: RequestId,
        /// What is wanted.
        command: Command,
    },
    /// The framework is subscribed, for the first time or again.
    Subscribed {
        /// Its id; stored before anything is launched with it.
        framework_id: FrameworkId,
        /// The master, as SUBSCRIBED told it.
        master: Option<Box<v1::MasterInfo>>,
    },
    /// The subscription is lost; offers are gone with it.
    Disconnected,
    /// An event of the master. SUBSCRIBED and HEARTBEAT are not told this way; those would be ignored.
    Event(Arc<scheduler::Event>),
    /// A call was refused, or may not have arrived. The core finds out, or calls again.
    Undelivered(Box<scheduler::Call>),
}

/// What a client wants changed. Values are validated already.
#[derive(Clone, Debug)]
pub enum Command {
    /// Other definitions: created, changed and removed apps and groups, in one deployment.
    Change(Change),
    /// Tasks are killed.
    Kill(Kill),
    /// A deployment is given up.
    Cancel {
        /// Which.
        deployment: DeploymentId,
        /// Leave everything as it is; else a new deployment undoes it, whatever else holds its apps.
        force: bool,
    },
    /// The launch delay of an app is forgotten.
    ResetDelay {
        /// Which app.
        app: PathId,
    },
}

/// A change of definitions, made on the tree that was read from a view.
///
/// Only what differs between `base` and `target` counts, and parts that both share are not looked at, so a change
/// costs what it changes. Versions are set by the core; service ports that are 0 are assigned by it.
#[derive(Clone, Debug)]
pub struct Change {
    /// The root group as it was read.
    pub base: Arc<Group>,
    /// The root group as it shall be.
    pub target: Arc<Group>,
    /// Apps that are restarted even if they do not change.
    pub restart: BTreeSet<PathId>,
    /// Cancel deployments that hold apps of it.
    pub force: bool,
    /// Only plan it: [`Answer::Planned`].
    pub dry_run: bool,
}

/// Which tasks are killed, and what becomes of their instances.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kill {
    /// Which.
    pub what: KillWhat,
    /// Lower the number of instances by those killed, in a deployment; else they are launched again.
    pub scale: bool,
    /// What replaces them are new instances, not new incarnations of them.
    pub wipe: bool,
    /// With `scale`: cancel deployments that hold apps of it.
    pub force: bool,
}

/// Which tasks are killed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KillWhat {
    /// These; unknown ones are left out. With `app`, only those of it count.
    Tasks {
        /// Their ids.
        tasks: Vec<TaskId>,
        /// All have to be of this app.
        app: Option<PathId>,
    },
    /// All of an app.
    App {
        /// Which app.
        app: PathId,
        /// Only those on the agent of that host name.
        host: Option<String>,
    },
}

/// What Marathon asks its shell to do.
#[derive(Clone, Debug)]
pub enum Act {
    /// Answer a client.
    Answer {
        /// The request.
        request: RequestId,
        /// The answer.
        answer: Answer,
    },
    /// Call the master. Calls keep their order; one that fails comes back as [`Input::Undelivered`].
    Call(Box<scheduler::Call>),
    /// The roles the framework is subscribed to from now on (UPDATE_FRAMEWORK, when it is subscribed).
    Roles(BTreeSet<String>),
    /// Tell those who listen to `/v2/events`.
    Publish(Arc<Event>),
}

/// The answer to a client.
#[derive(Clone, Debug)]
pub enum Answer {
    /// The change is stored and being deployed; with an empty plan it is done already.
    Deploying(Deploying),
    /// What would be done.
    Planned(Vec<Step>),
    /// These were killed, as they were before.
    Killed(Vec<Arc<InstanceView>>),
    /// Done.
    Done,
    /// There is no such thing. Nothing was changed.
    NotFound(NotFound),
    /// What the change was made on has changed meanwhile: read again and repeat. Nothing was changed.
    Stale,
    /// These deployments hold what would be changed. Nothing was changed.
    Locked(Vec<DeploymentId>),
    /// So many deployments are running, the most allowed. Nothing was changed.
    TooManyDeployments(usize),
    /// Refused; nothing was changed. `Code::Invalid`, `Code::Conflict`, or `Code::Overloaded` for a limit.
    Refused(Error),
}

/// A change that was stored.
#[derive(Clone, Debug)]
pub struct Deploying {
    /// The version of everything that it changed.
    pub version: Timestamp,
    /// The deployment.
    pub deployment: DeploymentId,
    /// The new definitions, by id.
    pub apps: Vec<Arc<App>>,
}

/// What is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotFound {
    /// An app.
    App(PathId),
    /// A deployment.
    Deployment(DeploymentId),
    /// No instance of that app waits to be launched.
    Queued(PathId),
    /// An instance or task.
    Instance(InstanceId),
}
