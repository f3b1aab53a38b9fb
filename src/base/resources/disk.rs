//! What makes one disk resource different from another: a persistent volume, a source, how it is mounted.

use crate::base::labels::Labels;
use std::cmp::Ordering;
use std::fmt;

/// The disk part of a `disk` resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Disk {
    /// Set for a persistent volume.
    pub persistence: Option<Persistence>,
    /// Where and how the volume is seen in the container; says nothing about which disk it is.
    pub volume: Option<DiskVolume>,
    /// Where the disk comes from; none is the agent's work directory.
    pub source: Option<Source>,
}

/// The name of a persistent volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Persistence {
    /// Unique for a role on an agent.
    pub id: String,
    /// Who created it.
    pub principal: Option<String>,
}

/// How a volume is mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskVolume {
    /// The path in the container.
    pub container_path: String,
    /// The path on the host; never for persistent volumes.
    pub host_path: Option<String>,
    /// Writable, read-only, or not said.
    pub read_only: Option<bool>,
    /// What else the message held (image, source), as encoded by `mesos::convert`; opaque here.
    pub rest: Vec<u8>,
}

/// Where a disk comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Source {
    /// Kind of disk.
    pub kind: SourceKind,
    /// The root directory of a PATH or MOUNT disk.
    pub root: Option<String>,
    /// Vendor of a provider's disk.
    pub vendor: Option<String>,
    /// Identity of a provider's disk.
    pub id: Option<String>,
    /// Profile of a provider's disk.
    pub profile: Option<String>,
    /// What the provider says about it.
    pub metadata: Option<Labels>,
}

/// Kinds of disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SourceKind {
    /// A directory of a larger disk; divisible.
    Path,
    /// A whole file system; indivisible.
    Mount,
    /// A whole block device; indivisible.
    Block,
    /// Raw capacity; indivisible once it has an identity.
    Raw,
}

impl SourceKind {
    /// The name as the proto file has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Path => "PATH",
            Self::Mount => "MOUNT",
            Self::Block => "BLOCK",
            Self::Raw => "RAW",
        }
    }
}

impl Disk {
    /// Whether it can only be taken or given whole.
    pub fn is_exclusive(&self) -> bool {
        let whole = self.source.as_ref().is_some_and(|s| match s.kind {
            SourceKind::Path => false,
            SourceKind::Mount | SourceKind::Block => true,
            SourceKind::Raw => s.id.is_some(),
        });
        whole || self.persistence.is_some()
    }

    /// Orders by what decides which disk it is: the source and the persistence id (as Mesos compares).
    pub fn cmp_identity(&self, other: &Self) -> Ordering {
        let id = |d: &Self| d.persistence.as_ref().map(|p| p.id.clone());
        self.source.cmp(&other.source).then_with(|| id(self).cmp(&id(other)))
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.name())?;
        if self.id.is_some() || self.profile.is_some() {
            let text = |v: &Option<String>| v.clone().unwrap_or_default();
            return write!(
                f,
                "({},{},{})",
                text(&self.vendor),
                text(&self.id),
                text(&self.profile)
            );
        }
        self.root.as_ref().map_or(Ok(()), |root| write!(f, ":{root}"))
    }
}

/// As Mesos prints it between brackets: source, persistence id, volume.
impl fmt::Display for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(source) = &self.source {
            source.fmt(f)?;
        }
        if let Some(persistence) = &self.persistence {
            let comma = if self.source.is_some() { "," } else { "" };
            write!(f, "{comma}{}", persistence.id)?;
        }
        let Some(volume) = &self.volume else { return Ok(()) };
        f.write_str(":")?;
        if let Some(host) = &volume.host_path {
            let mode = match volume.read_only {
                Some(true) => ":ro",
                Some(false) => ":rw",
                None => "",
            };
            return write!(f, "{host}:{}{mode}", volume.container_path);
        }
        f.write_str(&volume.container_path)
    }
}
