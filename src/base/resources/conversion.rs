//! What operations make of resources: one part taken, another put in its place. Also what an agent has to remember
//! because no command line says it: dynamic reservations and persistent volumes.

use super::{Disk, Reservation, ReservationKind, Resource, Resources};
use std::sync::Arc;

/// What one operation does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conversion {
    /// Must be there, and is not there afterwards.
    pub consumed: Resources,
    /// Is there instead.
    pub converted: Resources,
}

impl Conversion {
    /// RESERVE: the newest reservation of each resource is put on it. `None` if something has none.
    pub fn reserve(reserved: &Resources) -> Option<Self> {
        let consumed = reserved.pop_reservation()?;
        Some(Self { consumed, converted: reserved.clone() })
    }

    /// UNRESERVE: the newest reservation of each resource is taken off. `None` if something has none.
    pub fn unreserve(reserved: &Resources) -> Option<Self> {
        let converted = reserved.pop_reservation()?;
        Some(Self { consumed: reserved.clone(), converted })
    }

    /// CREATE: disk becomes persistent volumes.
    pub fn create(volumes: &Resources) -> Self {
        let consumed = volumes.map(|r| Some(r.without_volume()));
        Self { consumed, converted: volumes.clone() }
    }

    /// DESTROY: persistent volumes become the disk they were made from.
    pub fn destroy(volumes: &Resources) -> Self {
        let Self { consumed, converted } = Self::create(volumes);
        Self { consumed: converted, converted: consumed }
    }
}

impl Resource {
    /// The disk that a persistent volume was made from; any other resource as it is.
    pub fn without_volume(&self) -> Self {
        let disk = self.disk.as_ref().and_then(|disk| {
            let source = disk.source.clone()?;
            Some(Arc::new(Disk { persistence: None, volume: None, source: Some(source) }))
        });
        match self.persistence_id() {
            Some(_) => Self { disk, shared: false, ..self.clone() },
            None => self.clone(),
        }
    }

    /// Whether an agent has to remember it: its command line does not say it.
    pub fn is_checkpointed(&self) -> bool {
        self.is_dynamically_reserved() || self.persistence_id().is_some()
    }

    /// What it was on the agent's command line.
    fn original(&self) -> Self {
        let is_static = |r: &&Reservation| r.kind == ReservationKind::Static;
        Self {
            reservations: self.reservations.iter().filter(is_static).cloned().collect(),
            allocated_to: None,
            ..self.without_volume()
        }
    }
}

impl Resources {
    /// These after an operation.
    ///
    /// # Errors
    /// The text Mesos answers with when what is consumed is not there.
    pub fn apply(&self, conversion: &Conversion) -> Result<Self, String> {
        match self.checked_sub(&conversion.consumed) {
            Some(left) => Ok(&left + &conversion.converted),
            None => Err(format!("{self} does not contain {}", conversion.consumed)),
        }
    }

    /// What of it an agent has to remember, allocated to nobody; of a shared volume one.
    pub fn checkpointed(&self) -> Self {
        self.iter().filter(|r| r.is_checkpointed()).fold(Self::new(), |mut all, r| {
            let times = if r.shared { 1 } else { self.count(r) };
            for _ in 0..times {
                all.add_one(Resource { allocated_to: None, ..r.clone() });
            }
            all
        })
    }

    /// An agent's resources as its command line says them, with what it remembers put in its place.
    ///
    /// # Errors
    /// The text Mesos answers with when the command line does not have what is remembered.
    pub fn with_checkpointed(&self, checkpointed: &Self) -> Result<Self, String> {
        let mut all = self.clone();
        for resource in checkpointed.iter() {
            if !resource.is_checkpointed() {
                return Err(format!("Unexpected checkpointed resources {resource}"));
            }
            let times = if resource.shared { 1 } else { checkpointed.count(resource) };
            let mut original = Self::new();
            let mut kept = Self::new();
            for _ in 0..times {
                original.add_one(resource.original());
                kept.add_one(Resource { allocated_to: None, ..resource.clone() });
            }
            let Some(left) = all.checked_sub(&original) else {
                return Err(format!(
                    "Incompatible agent resources: {all} does not contain {original}"
                ));
            };
            all = &left + &kept;
        }
        Ok(all)
    }
}
