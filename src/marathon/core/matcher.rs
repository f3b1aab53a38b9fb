//! Whether one more instance of an app fits an offer, and which resources it takes. Rules are looked at in Marathon's
//! order, so that a refusal names the first one that is against it. Pure, but for the dice of ports.

use super::constraints::{self, Spread};
use super::host_ports::{self, Port};
use super::options::{AcceptedRoles, GpuScheduling, Options};
use super::view::{Placement, Reason};
use crate::base::resources::{Ranges, Resource, Resources, Scalar, Value};
use crate::base::rng::Rng;
use crate::base::time::Wall;
use crate::marathon::model::App;
use crate::mesos::convert;
use crate::mesos::v1;
use std::sync::Arc;
use std::time::Duration;

/// An offer, and what is left of it.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    /// Where.
    pub place: Arc<Placement>,
    /// To which role it was made.
    pub role: String,
    /// What is left.
    pub left: Resources,
    /// Its agent is under maintenance, or will be soon.
    pub maintenance: bool,
    /// Its region is not the master's.
    pub remote: bool,
    /// It has GPUs.
    pub gpus: bool,
}

/// What an instance takes.
#[derive(Clone, Debug)]
pub(super) struct Fit {
    /// For the task.
    pub task: Resources,
    /// For a custom executor; else empty.
    pub executor: Resources,
    /// Its ports in the order of the app's.
    pub ports: Vec<Port>,
}

/// Why it does not fit, with the numbers of the miss.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Miss {
    pub reason: Reason,
    /// For amounts: what is wanted. For constraints: which, counted from 0.
    pub wanted: f64,
    /// For amounts: what there is.
    pub had: f64,
}

impl Miss {
    fn rule(reason: Reason) -> Self {
        Self { reason, wanted: 0.0, had: 0.0 }
    }

    /// How far it was from fitting, to compare with another miss for the same reason.
    pub fn distance(&self) -> f64 {
        self.wanted - self.had
    }
}

/// How many seconds a time off the wire is after 1970.
fn nanos(time: &v1::TimeInfo) -> u64 {
    u64::try_from(time.nanoseconds).unwrap_or(0)
}

fn in_maintenance(offer: &v1::Offer, options: &Options, now: Wall) -> bool {
    let Some(window) = offer.unavailability.as_ref().filter(|_| options.maintenance_mode) else {
        return false;
    };
    let start = Wall(nanos(&window.start));
    let length = window.duration.as_ref().and_then(|d| u64::try_from(d.nanoseconds).ok());
    let over = length.is_some_and(|length| start + Duration::from_nanos(length) <= now);
    start <= now + options.draining && !over
}

impl Candidate {
    /// An offer; none if its resources cannot be read.
    pub fn new(
        offer: &v1::Offer,
        options: &Options,
        home: Option<&str>,
        now: Wall,
    ) -> Option<Self> {
        let left = convert::resources_from_v1(&offer.resources).ok()?;
        let attributes = convert::attributes_from_v1(&offer.attributes).unwrap_or_default();
        let domain = offer.domain.as_ref().and_then(|d| d.fault_domain.as_ref());
        let place = Placement {
            agent_id: (&offer.agent_id).into(),
            host: offer.hostname.clone(),
            region: domain.map(|d| d.region.name.clone()),
            zone: domain.map(|d| d.zone.name.clone()),
            attributes: attributes
                .iter()
                .map(|a| (a.name.clone(), constraints::text_of(&a.value)))
                .collect(),
        };
        let allocated = offer.allocation_info.as_ref().and_then(|a| a.role.clone());
        let on_resource = || left.iter().find_map(|r| r.allocated_to.as_ref());
        let role = allocated.or_else(|| on_resource().map(|role| role.to_string()));
        Some(Self {
            role: role.unwrap_or_else(|| "*".into()),
            maintenance: in_maintenance(offer, options, now),
            remote: place.region.as_deref().is_some_and(|region| Some(region) != home),
            gpus: !left.gpus().is_zero(),
            place: Arc::new(place),
            left,
        })
    }
}

/// Which of a role's resources an app may use.
fn accepts(app: &App, resource: &Resource, options: &Options) -> bool {
    if resource.revocable || resource.is_exclusive() || !resource.allocatable_to(&app.role) {
        return false;
    }
    let reserved = !resource.reservations.is_empty();
    match &app.accepted_resource_roles {
        Some(roles) if reserved => roles.iter().any(|role| role != "*"),
        Some(roles) => roles.iter().any(|role| role == "*"),
        None => match options.accepted_roles {
            AcceptedRoles::Any => true,
            AcceptedRoles::Unreserved => !reserved,
            AcceptedRoles::Reserved => reserved,
        },
    }
}

/// Tries one more instance; what it takes is taken off the candidate.
pub(super) fn fit(
    app: &App,
    candidate: &mut Candidate,
    spread: &Spread,
    options: &Options,
    rng: &mut Rng,
) -> Result<Fit, Miss> {
    if candidate.role != app.role {
        return Err(Miss::rule(Reason::UnfulfilledRole));
    }
    let usable = candidate.left.filter(|r| accepts(app, r, options));
    let none_at_all = || !candidate.left.iter().any(|r| accepts(app, r, options));
    if usable.is_empty() && !candidate.left.is_empty() && none_at_all() {
        return Err(Miss::rule(Reason::UnfulfilledRole));
    }
    if candidate.remote && !spread.names_region() {
        return Err(Miss { wanted: -1.0, ..Miss::rule(Reason::UnfulfilledConstraint) });
    }
    if let Err(at) = spread.allows(&candidate.place) {
        return Err(Miss { wanted: at as f64, ..Miss::rule(Reason::UnfulfilledConstraint) });
    }
    if candidate.maintenance {
        return Err(Miss::rule(Reason::AgentMaintenance));
    }
    let executor = executor_needs(app, options);
    for (name, wanted, reason) in [
        ("cpus", app.cpus, Reason::InsufficientCpus),
        ("mem", app.mem, Reason::InsufficientMemory),
        ("disk", app.disk, Reason::InsufficientDisk),
        ("gpus", f64::from(app.gpus), Reason::InsufficientGpus),
    ] {
        let wanted = Scalar::from_f64(wanted) + executor.scalar(name);
        let had = usable.scalar(name);
        if had < wanted {
            return Err(Miss { reason, wanted: wanted.as_f64(), had: had.as_f64() });
        }
    }
    let offered = usable.ports();
    let short = || Miss {
        reason: Reason::InsufficientPorts,
        wanted: host_ports::wanted(app) as f64,
        had: offered.count() as f64,
    };
    let ports = host_ports::choose(app, &offered, rng).ok_or_else(short)?;
    if candidate.gpus && app.gpus == 0 && options.gpu_scheduling == GpuScheduling::Restricted {
        return Err(Miss::rule(Reason::DeclinedScarceResources));
    }
    let task = task_needs(app, &ports);
    let taken = usable.find(&task, &app.role).ok_or_else(short)?;
    let rest = &usable - &taken;
    let for_executor = rest.find(&executor, &app.role).ok_or_else(short)?;
    candidate.left -= &taken;
    candidate.left -= &for_executor;
    Ok(Fit { task: taken, executor: for_executor, ports })
}

/// Whether an app's tasks have an executor of their own.
pub(super) fn custom_executor<'a>(app: &'a App, options: &'a Options) -> Option<&'a str> {
    let named = if app.executor.is_empty() { &options.executor } else { &app.executor };
    (named != "//cmd" && !named.is_empty()).then_some(named.as_str())
}

fn executor_needs(app: &App, options: &Options) -> Resources {
    if custom_executor(app, options).is_none() {
        return Resources::new();
    }
    let needs = app.executor_resources.unwrap_or_default();
    [("cpus", needs.cpus), ("mem", needs.mem), ("disk", needs.disk)]
        .into_iter()
        .map(|(name, amount)| Resource::scalar(name, amount))
        .collect()
}

fn task_needs(app: &App, ports: &[Port]) -> Resources {
    let scalars =
        [("cpus", app.cpus), ("mem", app.mem), ("disk", app.disk), ("gpus", f64::from(app.gpus))];
    let mut needs: Resources =
        scalars.into_iter().map(|(name, amount)| Resource::scalar(name, amount)).collect();
    let numbers = ports.iter().filter_map(|p| p.host).map(u64::from);
    let ranges = Ranges::new(numbers.map(|port| (port, port)));
    needs.add_one(Resource::new("ports", Value::Ranges(ranges)));
    needs
}
