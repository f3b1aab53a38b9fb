//! Building the core from what it remembers. Nothing is decided here: everything is marked dirty, so that the first
//! batch compares it with what it shall be, once the master was asked what there is.

use super::deployments::Deployment;
use super::instances::Instance;
use super::records::{self, Record};
use super::view::Condition;
use super::{MarathonCore, Options, Out, Timer};
use crate::base::error::{Code, Error, Result};
use crate::machine::Cx;
use crate::machine::timers::Timers;
use crate::marathon::model::App;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

impl MarathonCore {
    /// Marathon as its rows say: all of its namespace, in any order; none for a new one. Nothing is asked for but
    /// time: what has to be done follows when the framework has subscribed.
    ///
    /// # Errors
    /// [`Code::Corrupt`] for a row that cannot be read or names what is not there.
    pub fn recover(
        options: Options,
        rows: impl IntoIterator<Item = (String, Vec<u8>)>,
        cx: &mut Cx<'_>,
        out: &mut Out,
    ) -> Result<Self> {
        let mut core = Self::empty(options);
        let (mut groups, mut current, mut roots) =
            (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let mut versions: BTreeMap<_, BTreeMap<_, Arc<App>>> = BTreeMap::new();
        let mut instances = Vec::new();
        for (key, value) in rows {
            match records::read(&key, &value)? {
                Record::Framework(id) => core.session.framework_id = Some(id),
                Record::Group(id, record) => drop(groups.insert(id, record)),
                Record::App(app) => {
                    let all = versions.entry(app.id.clone()).or_default();
                    all.insert(app.version, Arc::new(*app));
                }
                Record::Current(id, version) => {
                    current.insert(id, version);
                }
                Record::Root(version, delta) => drop(roots.insert(version, delta)),
                Record::Deployment(id, record) => {
                    core.deployments.insert(Deployment::restored(id, record));
                }
                Record::Instance(id, record) => instances.push((id, record)),
            }
        }
        core.tree = super::tree::Tree::restore(groups, versions, current, roots)
            .map_err(|id| missing(format!("the current version of app {id} is not there")))?;
        for app in core.tree.apps().values() {
            core.service_ports.add(app);
            core.session.roles.insert(app.role.clone());
        }
        for (id, record) in instances {
            let spec = core.tree.version(&record.app, record.version).cloned();
            let spec = spec.ok_or_else(|| {
                missing(format!("version {} of instance {id} is not there", record.version))
            })?;
            core.session.roles.insert(spec.role.clone());
            core.instances.insert(Instance::restored(id, record, spec));
        }
        core.wait_for_all(cx);
        core.evaluate(cx, out);
        core.seen_at = (cx.now, cx.wall.into());
        Ok(core)
    }

    fn empty(options: Options) -> Self {
        let roles = BTreeSet::from([options.mesos_role.clone()]);
        Self {
            tree: super::tree::Tree::new(),
            service_ports: Default::default(),
            instances: Default::default(),
            deployments: Default::default(),
            queue: Default::default(),
            session: super::session::Session::of(roles),
            kills: Default::default(),
            yielding: Default::default(),
            timers: Timers::default(),
            failures: BTreeMap::new(),
            dirty: BTreeSet::new(),
            counters: BTreeMap::new(),
            seen_at: Default::default(),
            pictures: Default::default(),
            options,
        }
    }

    /// The time-outs of all instances begin anew; kills that were under way are repeated.
    fn wait_for_all(&mut self, cx: &Cx<'_>) {
        let all: Vec<_> =
            self.instances.iter().map(|i| (i.id.clone(), i.condition, i.kill)).collect();
        for (id, condition, kill) in all {
            match condition {
                Condition::Provisioned | Condition::Staging | Condition::Starting => {
                    let until = cx.now + self.options.task_launch_timeout;
                    self.timers.set(Timer::Overdue(id.clone()), until);
                }
                Condition::Unreachable | Condition::UnreachableInactive => {
                    self.wait_for_unreachable(cx, &id);
                }
                _ => {}
            }
            if kill && condition.is_launched() {
                self.kills.add(&id);
            }
        }
        let apps: Vec<_> = self.tree.apps().keys().chain(self.instances.apps()).cloned().collect();
        apps.iter().for_each(|app| self.touch(app));
        let held: Vec<_> = self
            .deployments
            .oldest_first()
            .into_iter()
            .flat_map(|d| d.apps.keys().cloned())
            .collect();
        held.iter().for_each(|app| self.touch(app));
    }

    /// The framework's id, once the master gave one: to subscribe with.
    pub fn framework_id(&self) -> Option<&str> {
        self.session.framework_id.as_deref()
    }

    /// The roles to subscribe to.
    pub fn roles(&self) -> &BTreeSet<String> {
        &self.session.roles
    }
}

fn missing(cause: String) -> Error {
    Error::new(Code::Corrupt, cause).hint("restore the state from a backup")
}
