//! A disk in memory that loses what was not synced: for tests, never used by a running node.
//!
//! After a crash the disk has all that was synced, and of the rest an arbitrary part, torn at
//! sectors, as a real one may. It can be told to die at its n-th operation, or to be full.

use crate::base::rng::Rng;
use redb::StorageBackend;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Writes of one sector are whole or not there.
const SECTOR_BYTES: usize = 512;

/// The disk; clones are the same disk.
#[derive(Clone, Debug, Default)]
pub struct CrashDisk(Arc<Mutex<Disk>>);

#[derive(Debug, Default)]
struct Disk {
    now: Vec<u8>,
    synced: Vec<u8>,
    unsynced: Vec<Change>,
    operations: u64,
    dies_at: Option<u64>,
    capacity: Option<u64>,
    dead: bool,
}

#[derive(Debug)]
enum Change {
    Length(u64),
    Bytes(u64, Vec<u8>),
}

impl CrashDisk {
    /// An empty disk.
    pub fn new() -> Self {
        Self::default()
    }

    /// A disk with this content, all of it synced.
    pub fn with(content: Vec<u8>) -> Self {
        let disk = Disk { now: content.clone(), synced: content, ..Disk::default() };
        Self(Arc::new(Mutex::new(disk)))
    }

    /// Dies after this many more writes, syncs and changes of length: each later one fails.
    pub fn die_after(&self, operations: u64) {
        let mut disk = self.lock();
        disk.dies_at = Some(disk.operations + operations);
    }

    /// Refuses to grow beyond this many bytes, as a full disk does.
    pub fn capacity(&self, bytes: u64) {
        self.lock().capacity = Some(bytes);
    }

    /// How many writes, syncs and changes of length there were.
    pub fn operations(&self) -> u64 {
        self.lock().operations
    }

    /// Whether it has died.
    pub fn is_dead(&self) -> bool {
        self.lock().dead
    }

    /// Crashes at this instant, and answers with the disk as it is found afterwards.
    pub fn crash(&self, rng: &mut Rng) -> CrashDisk {
        let mut disk = self.lock();
        disk.dead = true;
        let mut found = disk.synced.clone();
        for change in &disk.unsynced {
            match change {
                Change::Length(len) if rng.chance(1, 2) => resize(&mut found, *len),
                Change::Length(_) => {}
                Change::Bytes(offset, data) => survive(&mut found, *offset, data, rng),
            }
        }
        drop(disk);
        CrashDisk::with(found)
    }

    fn lock(&self) -> MutexGuard<'_, Disk> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes an arbitrary part of an unsynced write: all, nothing, or some sectors.
fn survive(found: &mut [u8], offset: u64, data: &[u8], rng: &mut Rng) {
    let mode = rng.below(4);
    for (i, sector) in data.chunks(SECTOR_BYTES).enumerate() {
        let survives = match mode {
            0 => false,
            1 => true,
            _ => rng.chance(1, 2),
        };
        let at = usize::try_from(offset).unwrap_or(usize::MAX).saturating_add(i * SECTOR_BYTES);
        // Beyond the end there is nothing to write to: the change of length did not survive.
        if let Some(place) = found.get_mut(at..at.saturating_add(sector.len()))
            && survives
        {
            place.copy_from_slice(sector);
        }
    }
}

fn resize(bytes: &mut Vec<u8>, len: u64) {
    bytes.resize(usize::try_from(len).unwrap_or(usize::MAX), 0);
}

fn beyond_the_end() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "beyond the end of the disk")
}

impl Disk {
    fn operate(&mut self) -> io::Result<()> {
        self.operations += 1;
        if self.dies_at.is_some_and(|at| self.operations > at) {
            self.dead = true;
        }
        if self.dead { Err(io::Error::other("the disk has crashed")) } else { Ok(()) }
    }

    fn write(&mut self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.operate()?;
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let place = start.checked_add(data.len()).and_then(|end| self.now.get_mut(start..end));
        place.ok_or_else(beyond_the_end)?.copy_from_slice(data);
        self.unsynced.push(Change::Bytes(offset, data.to_vec()));
        Ok(())
    }
}

impl StorageBackend for CrashDisk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.lock().now.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let disk = self.lock();
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let place = start.checked_add(out.len()).and_then(|end| disk.now.get(start..end));
        out.copy_from_slice(place.ok_or_else(beyond_the_end)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut disk = self.lock();
        disk.operate()?;
        if disk.capacity.is_some_and(|capacity| len > capacity) {
            return Err(io::Error::new(io::ErrorKind::StorageFull, "no space left on the disk"));
        }
        resize(&mut disk.now, len);
        disk.unsynced.push(Change::Length(len));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut disk = self.lock();
        disk.operate()?;
        for change in std::mem::take(&mut disk.unsynced) {
            match change {
                Change::Length(len) => resize(&mut disk.synced, len),
                Change::Bytes(offset, data) => {
                    let start = usize::try_from(offset).map_err(io::Error::other)?;
                    let end = start + data.len();
                    if let Some(place) = disk.synced.get_mut(start..end) {
                        place.copy_from_slice(&data);
                    }
                }
            }
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.lock().write(offset, data)
    }
}
