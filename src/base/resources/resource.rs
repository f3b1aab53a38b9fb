//! One resource: a name, an amount, and everything that makes two amounts of one name different things.

use super::{Disk, Scalar, Value};
use crate::base::ids::Role;
use crate::base::labels::Labels;
use crate::base::roles;
use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

/// How a reservation came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReservationKind {
    /// By the agent's `--resources`.
    Static,
    /// By a RESERVE operation.
    Dynamic,
}

/// One level of a reservation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reservation {
    /// Static or dynamic.
    pub kind: ReservationKind,
    /// For whom.
    pub role: Role,
    /// Who made it.
    pub principal: Option<String>,
    /// What its maker wrote on it.
    pub labels: Option<Labels>,
}

impl Reservation {
    /// By the agent's `--resources`, for that role.
    pub fn fixed(role: impl Into<Role>) -> Self {
        let kind = ReservationKind::Static;
        Self { kind, role: role.into(), principal: None, labels: None }
    }

    /// By an operation of that principal, for that role.
    pub fn dynamic(role: impl Into<Role>, principal: Option<&str>) -> Self {
        let kind = ReservationKind::Dynamic;
        Self { kind, role: role.into(), principal: principal.map(str::to_string), labels: None }
    }
}

/// One resource. Two of the same kind (see [`Resource::same_kind`]) can be added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// `cpus`, `mem` (MB), `disk` (MB), `gpus`, `ports`, or any other name.
    pub name: Arc<str>,
    /// How much.
    pub value: Value,
    /// The stack of reservations, the most refined last; empty is unreserved.
    pub reservations: Vec<Reservation>,
    /// Disk details, of `disk` alone.
    pub disk: Option<Arc<Disk>>,
    /// May be taken back at any time (oversubscription).
    pub revocable: bool,
    /// A volume that several tasks may use at once.
    pub shared: bool,
    /// The resource provider it comes from; none is the agent itself.
    pub provider_id: Option<Arc<str>>,
    /// The role it is offered or allocated to.
    pub allocated_to: Option<Role>,
}

impl Resource {
    /// An unreserved resource.
    pub fn new(name: impl Into<Arc<str>>, value: Value) -> Self {
        Self {
            name: name.into(),
            value,
            reservations: Vec::new(),
            disk: None,
            revocable: false,
            shared: false,
            provider_id: None,
            allocated_to: None,
        }
    }

    /// An unreserved scalar, rounded to three decimals.
    pub fn scalar(name: impl Into<Arc<str>>, amount: f64) -> Self {
        Self::new(name, Value::Scalar(Scalar::from_f64(amount)))
    }

    /// The role it is reserved for (the most refined reservation); `None` when unreserved.
    pub fn reserved_for(&self) -> Option<&Role> {
        self.reservations.last().map(|r| &r.role)
    }

    /// Whether a framework of that role may use it: unreserved, or reserved for the role or one above it.
    pub fn allocatable_to(&self, role: &str) -> bool {
        self.reserved_for()
            .is_none_or(|r| r.as_str() == role || roles::is_strict_subrole_of(role, r.as_str()))
    }

    /// Whether it has more than one level of reservation: what the format before refinement cannot say.
    pub fn is_refined(&self) -> bool {
        self.reservations.len() > 1
    }

    /// Whether its newest reservation was made by an operation.
    pub fn is_dynamically_reserved(&self) -> bool {
        self.reservations.last().is_some_and(|r| r.kind == ReservationKind::Dynamic)
    }

    /// The id of its persistent volume.
    pub fn persistence_id(&self) -> Option<&str> {
        self.disk.as_ref()?.persistence.as_ref().map(|p| p.id.as_str())
    }

    /// Whether it can only be taken or given whole (persistent volumes, MOUNT disks …).
    pub fn is_exclusive(&self) -> bool {
        self.shared || self.disk.as_ref().is_some_and(|d| d.is_exclusive())
    }

    /// Whether both are one thing, but for how much there is. For what is exclusive, the amount is part
    /// of what it is.
    pub fn same_kind(&self, other: &Self) -> bool {
        self.cmp_kind(other) == Ordering::Equal
    }

    /// The order in which [`super::Resources`] keeps them.
    pub(super) fn cmp_kind(&self, other: &Self) -> Ordering {
        self.name
            .cmp(&other.name)
            .then_with(|| self.value.kind().cmp(&other.value.kind()))
            .then_with(|| self.allocated_to.cmp(&other.allocated_to))
            .then_with(|| self.reservations.cmp(&other.reservations))
            .then_with(|| self.revocable.cmp(&other.revocable))
            .then_with(|| self.shared.cmp(&other.shared))
            .then_with(|| match (&self.disk, &other.disk) {
                (Some(a), Some(b)) => a.cmp_identity(b),
                (a, b) => a.is_some().cmp(&b.is_some()),
            })
            .then_with(|| self.provider_id.cmp(&other.provider_id))
            .then_with(|| match self.is_exclusive() {
                true => self.value.cmp(&other.value),
                false => Ordering::Equal,
            })
    }
}

impl fmt::Display for Reservation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            ReservationKind::Static => "STATIC",
            ReservationKind::Dynamic => "DYNAMIC",
        };
        write!(f, "({kind},{}", self.role)?;
        if let Some(principal) = &self.principal {
            write!(f, ",{principal}")?;
        }
        if let Some(labels) = &self.labels {
            write!(f, ",{labels}")?;
        }
        f.write_str(")")
    }
}

/// As Mesos prints it in messages: `cpus(allocated: eng)(reservations: [(STATIC,eng)]):1`.
impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if let Some(role) = &self.allocated_to {
            write!(f, "(allocated: {role})")?;
        }
        if !self.reservations.is_empty() {
            f.write_str("(reservations: [")?;
            for (at, reservation) in self.reservations.iter().enumerate() {
                let comma = if at == 0 { "" } else { "," };
                write!(f, "{comma}{reservation}")?;
            }
            f.write_str("])")?;
        }
        if let Some(disk) = &self.disk {
            write!(f, "[{disk}]")?;
        }
        if self.revocable {
            f.write_str("{REV}")?;
        }
        if self.shared {
            f.write_str("<SHARED>")?;
        }
        write!(f, ":{}", self.value)
    }
}
