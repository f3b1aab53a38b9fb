//! The machines of the maintenance schedule: what they are called, how far each is, and which agents are on them. It tells
//! nobody and stores nothing.

use crate::base::error::{Code, Error, Result};
use crate::base::ids::AgentId;
use crate::mesos::address::IpAddr;
use crate::mesos::codec::Codec;
use crate::mesos::internal::MaintenanceRecord;
use crate::mesos::v1;
use crate::mesos::v1::maintenance::Schedule;
use prost::Message as _;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How many bytes the schedule may take when it is written down: it is one record of the registry.
pub const SCHEDULE_BYTES_MAX: usize = 1024 * 1024;

/// What makes a machine the same: names are not case-sensitive, and an empty name is none.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct MachineKey {
    hostname: String,
    ip: Option<IpAddr>,
}

impl MachineKey {
    fn new(hostname: &str, ip: Option<IpAddr>) -> Self {
        Self { hostname: hostname.to_lowercase(), ip }
    }

    /// What an operator calls a machine.
    ///
    /// # Errors
    /// Why that is no machine, in the original's words.
    fn of(id: &v1::MachineId) -> std::result::Result<Self, String> {
        let ip = match id.ip() {
            "" => None,
            text => Some(text.parse().map_err(|_| format!("Failed to parse IP '{text}'"))?),
        };
        if id.hostname().is_empty() && ip.is_none() {
            return Err("Both 'hostname' and 'ip' for a machine are empty".into());
        }
        Ok(Self::new(id.hostname(), ip))
    }
}

/// How far a machine is; one that is in no schedule is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// It will be taken down.
    Draining,
    /// No agent of it is let in.
    Down,
}

#[derive(Clone, Debug)]
struct Machine {
    id: v1::MachineId,
    mode: Mode,
    unavailability: v1::Unavailability,
}

/// The machine a registered agent is on.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Place {
    pub machine: MachineKey,
    /// What offers of the agent say.
    pub unavailability: v1::Unavailability,
}

/// The schedule and its machines.
#[derive(Debug, Default)]
pub(super) struct Machines {
    /// As it was told, without machines that are up again.
    schedule: Arc<Schedule>,
    all: BTreeMap<MachineKey, Machine>,
    /// Registered agents that are on one of them.
    pub on: BTreeMap<AgentId, Place>,
}

/// A schedule that was looked through.
pub(super) struct Checked {
    schedule: Schedule,
    all: BTreeMap<MachineKey, Machine>,
}

impl Machines {
    /// Takes over what the registry says.
    ///
    /// # Errors
    /// [`Code::Corrupt`] for a schedule that would not have been taken.
    pub fn recover(record: MaintenanceRecord) -> Result<Self> {
        let mut machines = Self::default();
        let corrupt =
            |why: String| Error::new(Code::Corrupt, format!("the maintenance schedule: {why}"));
        let checked = machines.check(record.schedule).map_err(corrupt)?;
        machines.replace(checked);
        for id in &record.down {
            let key = MachineKey::of(id).map_err(corrupt)?;
            machines.set_down(&key);
        }
        Ok(machines)
    }

    /// To be written down; nothing when there is nothing to remember.
    pub fn record(&self) -> Option<MaintenanceRecord> {
        let schedule = (!self.schedule.windows.is_empty()).then(|| (*self.schedule).clone())?;
        let down = self.in_mode(Mode::Down).map(|(_, id)| id.clone()).collect();
        Some(MaintenanceRecord { schedule, down })
    }

    /// As it was told.
    pub fn schedule(&self) -> Arc<Schedule> {
        Arc::clone(&self.schedule)
    }

    /// The machines that are so far.
    pub fn in_mode(&self, mode: Mode) -> impl Iterator<Item = (&MachineKey, &v1::MachineId)> {
        self.all.iter().filter(move |(_, m)| m.mode == mode).map(|(key, m)| (key, &m.id))
    }

    /// Looks through a schedule that is to take the place of this one.
    ///
    /// # Errors
    /// What is wrong with it, in the original's words.
    pub fn check(&self, schedule: Schedule) -> std::result::Result<Checked, String> {
        if schedule.encoded_len() > SCHEDULE_BYTES_MAX {
            return Err(format!("The schedule takes more than {SCHEDULE_BYTES_MAX} bytes"));
        }
        let mut all = BTreeMap::new();
        for window in &schedule.windows {
            if window.machine_ids.is_empty() {
                return Err("List of machines in the maintenance window is empty".into());
            }
            let unavailability = window.unavailability;
            if unavailability.duration.is_some_and(|d| d.nanoseconds < 0) {
                return Err("Unavailability 'duration' is negative".into());
            }
            for id in &window.machine_ids {
                let key = MachineKey::of(id)?;
                let mode = self.all.get(&key).map_or(Mode::Draining, |known| known.mode);
                let machine = Machine { id: id.clone(), mode, unavailability };
                if all.insert(key, machine).is_some() {
                    return Err(twice(id));
                }
            }
        }
        let down = self.all.iter().filter(|(_, machine)| machine.mode == Mode::Down);
        for (key, machine) in down {
            if !all.contains_key(key) {
                return Err(format!(
                    "Machine '{}' is deactivated and cannot be removed from the schedule",
                    text(&machine.id)
                ));
            }
        }
        Ok(Checked { schedule, all })
    }

    /// The schedule from now on. Agents are to be placed anew.
    pub fn replace(&mut self, checked: Checked) {
        self.schedule = Arc::new(checked.schedule);
        self.all = checked.all;
    }

    /// The machines that an operator names, all of which must be so far.
    ///
    /// # Errors
    /// What is wrong with one of them, in the original's words.
    pub fn named(
        &self,
        ids: &[v1::MachineId],
        mode: Mode,
    ) -> std::result::Result<BTreeSet<MachineKey>, String> {
        if ids.is_empty() {
            return Err("List of machines is empty".into());
        }
        let mut keys = BTreeSet::new();
        for id in ids {
            if !keys.insert(MachineKey::of(id)?) {
                return Err(twice(id));
            }
        }
        for id in ids {
            let known = self.all.get(&MachineKey::of(id)?).map(|machine| machine.mode);
            let why = match (known, mode) {
                (None, _) => "is not part of a maintenance schedule",
                (Some(known), mode) if known == mode => continue,
                (Some(_), Mode::Draining) => "is not in DRAINING mode and cannot be brought down",
                (Some(_), Mode::Down) => "is not in DOWN mode and cannot be brought up",
            };
            return Err(format!("Machine '{}' {why}", text(id)));
        }
        Ok(keys)
    }

    /// No agent of it is let in from now on.
    pub fn set_down(&mut self, key: &MachineKey) {
        if let Some(machine) = self.all.get_mut(key) {
            machine.mode = Mode::Down;
        }
    }

    /// These are up, and in the schedule no more.
    pub fn set_up(&mut self, keys: &BTreeSet<MachineKey>) {
        self.all.retain(|key, _| !keys.contains(key));
        let schedule = Arc::make_mut(&mut self.schedule);
        for window in &mut schedule.windows {
            window.machine_ids.retain(|id| !MachineKey::of(id).is_ok_and(|k| keys.contains(&k)));
        }
        schedule.windows.retain(|window| !window.machine_ids.is_empty());
    }

    /// Whether an agent there may not register.
    pub fn is_down(&self, hostname: &str, ip: Option<IpAddr>) -> bool {
        self.find(hostname, ip).iter().any(|(_, machine)| machine.mode == Mode::Down)
    }

    /// Where an agent with that name and address is, if the schedule names it.
    pub fn place(&self, hostname: &str, ip: Option<IpAddr>) -> Option<Place> {
        let (key, machine) = self.find(hostname, ip).into_iter().next()?;
        Some(Place { machine: key.clone(), unavailability: machine.unavailability })
    }

    /// When the machine of a registered agent is away.
    pub fn unavailability(&self, agent: &AgentId) -> Option<v1::Unavailability> {
        self.on.get(agent).map(|place| place.unavailability)
    }

    /// The machines that an agent may be said to be on, the one that is named best first. Whatever the schedule says of a
    /// machine must be so of the agent: the original has both name and address told; here one is enough. An agent whose
    /// name is an address has that one, too.
    fn find(&self, hostname: &str, ip: Option<IpAddr>) -> Vec<(&MachineKey, &Machine)> {
        if self.all.is_empty() {
            return Vec::new();
        }
        let ips: Vec<IpAddr> = ip.into_iter().chain(hostname.parse().ok()).collect();
        let by_both = ips.iter().map(|ip| MachineKey::new(hostname, Some(*ip)));
        let by_name = MachineKey::new(hostname, None);
        // A loopback address by itself says nothing: every node has it.
        let outer = ips.iter().filter(|ip| !ip.is_loopback());
        let by_address = outer.map(|ip| MachineKey::new("", Some(*ip)));
        let keys = by_both.chain([by_name.clone()]).chain(by_address);
        let mut found: Vec<_> = keys.filter_map(|key| self.all.get_key_value(&key)).collect();
        if ips.is_empty() {
            // One that tells no address is known by its name alone.
            let named = self.all.range(&by_name..);
            found.extend(named.take_while(|(key, _)| key.hostname == by_name.hostname));
        }
        found
    }
}

fn twice(id: &v1::MachineId) -> String {
    format!("Machine '{}' appears more than once in the schedule", text(id))
}

fn text(id: &v1::MachineId) -> String {
    String::from_utf8_lossy(&Codec::Json.encode(id)).into_owned()
}
