//! Marathon's clients: they create, change, restart and delete apps, kill tasks, and cancel deployments, at random. They
//! wait for no answers: what became of a command is seen in the definitions.

use crate::base::rng::Rng;
use crate::marathon::core::DeploymentId;
use crate::marathon::core::io::{Change, Command, Input, Kill, KillWhat, RequestId};
use crate::marathon::model::{
    App, Group, HealthCheck, HealthProtocol, PathId, Timestamp, UnreachableStrategy,
    UpgradeStrategy,
};
use crate::sim::invariants::{Bounds, Seen};
use crate::sim::world::World;
use std::collections::BTreeSet;
use std::sync::Arc;

/// All there are, now and then.
const APPS: [&str; 4] = ["/a", "/b", "/g/c", "/g/d"];
/// The most instances of one.
const INSTANCES_MAX: u64 = 4;

fn pick<T: Copy>(rng: &mut Rng, all: &[T]) -> Option<T> {
    all.get(rng.below(all.len() as u64) as usize).copied()
}

/// A definition at random.
fn define(rng: &mut Rng, id: &PathId) -> App {
    let mut app = App::new(id.clone(), "*", Timestamp::default());
    app.cmd = Some("serve".into());
    app.cpus = pick(rng, &[0.1, 0.2, 0.4]).unwrap_or(0.2);
    app.mem = pick(rng, &[16.0, 32.0]).unwrap_or(16.0);
    app.port_definitions.clear();
    app.instances = rng.below(INSTANCES_MAX + 1) as u32;
    app.upgrade_strategy = UpgradeStrategy {
        minimum_health_capacity: pick(rng, &[0.0, 0.5, 0.7, 1.0]).unwrap_or(1.0),
        maximum_over_capacity: pick(rng, &[0.0, 0.3, 1.0]).unwrap_or(1.0),
    };
    app.unreachable_strategy = UnreachableStrategy::default();
    if rng.chance(1, 3) {
        app.unreachable_strategy =
            UnreachableStrategy::Enabled { inactive_after_seconds: 10, expunge_after_seconds: 60 };
    }
    if rng.chance(1, 3) {
        app.health_checks = vec![HealthCheck {
            protocol: HealthProtocol::Command,
            command: Some("true".into()),
            delay_seconds: 1,
            interval_seconds: 5,
            ..HealthCheck::default()
        }];
    }
    app
}

/// A definition that differs from the former one in one thing, or in nothing.
fn redefine(rng: &mut Rng, former: &App) -> App {
    let mut app = former.clone();
    match rng.below(4) {
        0 => app.instances = rng.below(INSTANCES_MAX + 1) as u32,
        1 => app.mem = pick(rng, &[16.0, 32.0, 48.0]).unwrap_or(16.0),
        2 => {
            let mut other = define(rng, &former.id);
            other.port_definitions = app.port_definitions.clone();
            app = other;
        }
        _ => drop(app.labels.insert("n".into(), rng.below(1000).to_string())),
    }
    app
}

impl World {
    /// A client does something, if it is time for that.
    pub(super) fn clients_act(&mut self) {
        let core = self.marathon.as_ref().and_then(|m| m.core());
        let Some(core) = core.filter(|_| !self.calm) else { return };
        let root = core.root();
        let Some(id) = pick(&mut self.rng, &APPS).and_then(|id| PathId::parse(id).ok()) else {
            return;
        };
        let deployments: Vec<DeploymentId> =
            core.view().deployments.iter().map(|d| d.id.clone()).collect();
        let force = self.rng.chance(1, 3);
        let command = match self.rng.below(12) {
            0..=4 => self.put(&root, &id, force),
            5 => restart(&root, &id, force),
            6 => remove(&root, &id, force),
            7 => {
                let at = self.rng.below(deployments.len() as u64) as usize;
                let force = self.rng.chance(1, 2);
                deployments.get(at).cloned().map(|deployment| Command::Cancel { deployment, force })
            }
            8 => Some(self.kill_some(&id, force)),
            9 => Some(Command::ResetDelay { app: id }),
            _ => None,
        };
        if let Some(command) = command {
            self.command(command);
        }
    }

    fn put(&mut self, root: &Arc<Group>, id: &PathId, force: bool) -> Option<Command> {
        let app = match root.app(id) {
            Some(former) => redefine(&mut self.rng, former),
            None => define(&mut self.rng, id),
        };
        self.see(&Seen::Wanted { app: id.as_str(), bounds: Bounds::of(&app), alone: false });
        change(root, force, |target| target.put_app(Arc::new(app), Timestamp::default()))
    }

    fn kill_some(&mut self, id: &PathId, force: bool) -> Command {
        let (scale, wipe) = (self.rng.chance(1, 3), self.rng.chance(1, 2));
        self.see(&Seen::Spared { app: id.as_str() });
        if scale {
            // However many of them are killed.
            let none = Bounds { instances: 0, least: 0, most: 0 };
            self.see(&Seen::Wanted { app: id.as_str(), bounds: none, alone: false });
        }
        let what = KillWhat::App { app: id.clone(), host: None };
        Command::Kill(Kill { what, scale, wipe: wipe && !scale, force })
    }

    pub(super) fn command(&mut self, command: Command) {
        let request = RequestId(self.fresh());
        self.report.commands += 1;
        self.tell_marathon(Input::Request { request, command });
    }

    /// What Marathon holds for wanted now, beside what it held for that before.
    pub(super) fn show_definitions(&mut self) {
        let Some(core) = self.marathon.as_ref().and_then(|m| m.core()) else { return };
        let root = core.root();
        for id in APPS {
            let app = PathId::parse(id).ok().and_then(|id| root.app(&id).cloned());
            match app {
                Some(app) => {
                    self.see(&Seen::Wanted { app: id, bounds: Bounds::of(&app), alone: false });
                }
                None => self.see(&Seen::Unwanted { app: id }),
            }
        }
    }

    /// Where no deployment is under way, former definitions count no more.
    pub(super) fn show_rest(&mut self) {
        let Some(core) = self.marathon.as_ref().and_then(|m| m.core()) else { return };
        let apps = core.view().apps;
        for (id, app) in apps.iter().filter(|(_, app)| app.deployments.is_empty()) {
            let bounds = Bounds::of(&app.app);
            self.see(&Seen::Wanted { app: id.as_str(), bounds, alone: true });
        }
    }

    /// One more app, when all others have gone.
    pub(super) fn deploy_last(&mut self) {
        let Some(core) = self.marathon.as_ref().and_then(|m| m.core()) else { return };
        let root = core.root();
        let [id, ..] = APPS;
        let Ok(path) = PathId::parse(id) else { return };
        let app = App { instances: 2, ..define(&mut self.rng, &path) };
        self.see(&Seen::Wanted { app: id, bounds: Bounds::of(&app), alone: false });
        let edit = |target: &mut Group| target.put_app(Arc::new(app), Timestamp::default());
        if let Some(command) = change(&root, true, edit) {
            self.command(command);
        }
    }

    /// All apps go.
    pub(super) fn remove_all(&mut self) {
        let Some(core) = self.marathon.as_ref().and_then(|m| m.core()) else { return };
        let root = core.root();
        let command = change(&root, true, |target| {
            target.apps.clear();
            target.groups.clear();
        });
        if let Some(command) = command {
            self.command(command);
        }
    }
}

fn change(root: &Arc<Group>, force: bool, edit: impl FnOnce(&mut Group)) -> Option<Command> {
    let mut target = (**root).clone();
    edit(&mut target);
    let (base, target) = (root.clone(), Arc::new(target));
    Some(Command::Change(Change { base, target, restart: BTreeSet::new(), force, dry_run: false }))
}

fn restart(root: &Arc<Group>, id: &PathId, force: bool) -> Option<Command> {
    root.app(id)?;
    let (base, target) = (root.clone(), root.clone());
    let restart = BTreeSet::from([id.clone()]);
    Some(Command::Change(Change { base, target, restart, force, dry_run: false }))
}

fn remove(root: &Arc<Group>, id: &PathId, force: bool) -> Option<Command> {
    root.app(id)?;
    change(root, force, |target| {
        target.remove_app(id, Timestamp::default());
    })
}
