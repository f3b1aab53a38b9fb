//! Ids that Marathon makes: instances, their tasks, deployments. Readers take them as opaque, but for the app and the
//! instance that a task id names.

use crate::base::ids::TaskId;
use crate::marathon::model::PathId;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// An instance of an app: `<a_b>.instance-<uuid>`. It keeps its id when it is launched again after it ended.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct InstanceId(Arc<str>);

/// A deployment: a uuid.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DeploymentId(Arc<str>);

/// What comes between an app and the uuid in instance ids.
const INSTANCE: &str = ".instance-";

/// What comes between an instance and the incarnation in task ids.
const TASK: &str = "._app.";

impl InstanceId {
    /// An instance of that app.
    pub fn new(app: &PathId, uuid: &str) -> Self {
        Self(format!("{}{INSTANCE}{uuid}", app.underscored()).into())
    }

    /// The instance that a task id names: what is before `._app.<n>`. None for a text that is no task id of ours.
    pub fn of_task(task: &str) -> Option<Self> {
        let (instance, incarnation) = task.rsplit_once(TASK)?;
        let known = incarnation.parse::<u32>().is_ok() && instance.contains(INSTANCE);
        known.then(|| Self(instance.into()))
    }

    /// The instance of that text; none if it does not have the form of one.
    pub fn parse(text: &str) -> Option<Self> {
        text.contains(INSTANCE).then(|| Self(text.into()))
    }

    /// The id of its task; the first incarnation is 1.
    pub fn task(&self, incarnation: u32) -> TaskId {
        format!("{}{TASK}{incarnation}", self.0).into()
    }

    /// Its app, as the id says it.
    pub fn app(&self) -> Option<PathId> {
        let (app, _) = self.0.rsplit_once(INSTANCE)?;
        PathId::parse(&format!("/{}", app.replace('_', "/"))).ok()
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl DeploymentId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<T: Into<Arc<str>>> From<T> for DeploymentId {
    fn from(text: T) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

impl fmt::Display for DeploymentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for DeploymentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_names_its_instance_and_app() {
        let app = PathId::parse("/product/my-app.v1").expect("an id");
        let id = InstanceId::new(&app, "2f6bc1d8-7e39-4a8e-bb43-2d1a57b7ab12");
        assert_eq!(id.as_str(), "product_my-app.v1.instance-2f6bc1d8-7e39-4a8e-bb43-2d1a57b7ab12");
        let task = id.task(3);
        assert!(task.as_str().ends_with("ab12._app.3"));
        assert_eq!(InstanceId::of_task(task.as_str()), Some(id.clone()));
        assert_eq!(id.app(), Some(app));
    }

    #[test]
    fn other_texts_are_no_task_ids() {
        for text in ["", "a", "a._app.1", "a.instance-x", "a.instance-x._app.y", "a.x._app.-1"] {
            assert_eq!(InstanceId::of_task(text), None, "{text}");
        }
    }
}
