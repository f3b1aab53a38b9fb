//! The disk part of resources.

use super::{labels_from_v1, labels_to_v1};
use crate::base::resources::{Disk, DiskVolume, Persistence, Source, SourceKind};
use crate::mesos::v1::{self, resource::DiskInfo, resource::disk_info, volume::Mode};
use prost::Message;

pub(super) fn read(info: &DiskInfo) -> Result<Disk, String> {
    Ok(Disk {
        persistence: info
            .persistence
            .as_ref()
            .map(|p| Persistence { id: p.id.clone(), principal: p.principal.clone() }),
        volume: info.volume.as_ref().map(read_volume).transpose()?,
        source: info.source.as_ref().map(read_source).transpose()?,
    })
}

fn read_source(source: &disk_info::Source) -> Result<Source, String> {
    let root = |kind: SourceKind| {
        let (path, mount) = (source.path.as_ref(), source.mount.as_ref());
        match kind {
            SourceKind::Path => Ok(path.and_then(|p| p.root.clone())),
            SourceKind::Mount => Ok(mount.and_then(|m| m.root.clone())),
            _ if mount.is_some() => {
                Err(format!("Mount should not be set for {} disk source", kind.name()))
            }
            _ if path.is_some() => {
                Err(format!("Path should not be set for {} disk source", kind.name()))
            }
            _ => Ok(None),
        }
    };
    let kind = match disk_info::source::Type::try_from(source.r#type) {
        Ok(disk_info::source::Type::Path) => SourceKind::Path,
        Ok(disk_info::source::Type::Mount) => SourceKind::Mount,
        Ok(disk_info::source::Type::Block) => SourceKind::Block,
        Ok(disk_info::source::Type::Raw) => SourceKind::Raw,
        Ok(disk_info::source::Type::Unknown) | Err(_) => {
            return Err("Unsupported 'DiskInfo.Source.Type' in 'UNKNOWN'".into());
        }
    };
    Ok(Source {
        root: root(kind)?,
        kind,
        vendor: source.vendor.clone(),
        id: source.id.clone(),
        profile: source.profile.clone(),
        metadata: source.metadata.as_ref().map(labels_from_v1),
    })
}

fn read_volume(volume: &v1::Volume) -> Result<DiskVolume, String> {
    let read_only = match Mode::try_from(volume.mode) {
        Ok(Mode::Rw) => Some(false),
        Ok(Mode::Ro) => Some(true),
        Err(_) => return Err(format!("Unsupported 'Volume.Mode' {}", volume.mode)),
    };
    let odd = volume.image.is_some() || volume.source.is_some();
    let rest = v1::Volume {
        image: volume.image.clone(),
        source: volume.source.clone(),
        ..Default::default()
    };
    Ok(DiskVolume {
        container_path: volume.container_path.clone(),
        host_path: volume.host_path.clone(),
        read_only,
        rest: if odd { rest.encode_to_vec() } else { Vec::new() },
    })
}

pub(super) fn write(disk: &Disk) -> DiskInfo {
    DiskInfo {
        persistence: disk
            .persistence
            .as_ref()
            .map(|p| disk_info::Persistence { id: p.id.clone(), principal: p.principal.clone() }),
        volume: disk.volume.as_ref().map(write_volume),
        source: disk.source.as_ref().map(write_source),
    }
}

fn write_source(source: &Source) -> disk_info::Source {
    let kind = match source.kind {
        SourceKind::Path => disk_info::source::Type::Path,
        SourceKind::Mount => disk_info::source::Type::Mount,
        SourceKind::Block => disk_info::source::Type::Block,
        SourceKind::Raw => disk_info::source::Type::Raw,
    };
    let root = || Some(source.root.clone()).filter(Option::is_some);
    disk_info::Source {
        r#type: kind.into(),
        path: root()
            .filter(|_| source.kind == SourceKind::Path)
            .map(|root| disk_info::source::Path { root }),
        mount: root()
            .filter(|_| source.kind == SourceKind::Mount)
            .map(|root| disk_info::source::Mount { root }),
        vendor: source.vendor.clone(),
        id: source.id.clone(),
        profile: source.profile.clone(),
        metadata: source.metadata.as_ref().map(labels_to_v1),
    }
}

fn write_volume(volume: &DiskVolume) -> v1::Volume {
    // `rest` was encoded by `read_volume`; a foreign one adds nothing.
    let rest = v1::Volume::decode(volume.rest.as_slice()).unwrap_or_default();
    v1::Volume {
        mode: if volume.read_only == Some(true) { Mode::Ro } else { Mode::Rw }.into(),
        container_path: volume.container_path.clone(),
        host_path: volume.host_path.clone(),
        image: rest.image,
        source: rest.source,
    }
}
