//! What containers use, read in the agent, some on each processor: the supervisor tells where, and goes on to start others
//! meanwhile. Of those that cannot be read here it is asked: it knows whether they run.

use super::{Supervised, wrong};
use crate::agent::containerizer::isolators::Cgroup;
use crate::agent::containerizer::isolators::usage::Reader;
use crate::agent::containerizer::measure::{Measured, one_by_one};
use crate::agent::containerizer::record::{Place, Places};
use crate::agent::containerizer::wire::{Answer as Told, Call, PLACES_MAX};
use crate::base::error::{Code, Error, Result};
use crate::base::ids::ContainerId;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::task::JoinSet;

/// So few are not worth another thread: a container takes some 30 microseconds.
const SHARE_MIN: usize = 32;

impl Supervised {
    /// What those of them use that run.
    pub(super) async fn measure(
        &self,
        ids: Vec<ContainerId>,
    ) -> Result<BTreeMap<ContainerId, Measured>> {
        let mut all = BTreeMap::new();
        if self.tells_places().await? {
            for some in ids.chunks(PLACES_MAX) {
                self.read_some(some, &mut all).await?;
            }
        }
        let left = ids.into_iter().filter(|id| !all.contains_key(id)).collect();
        all.append(&mut one_by_one(self, left).await);
        Ok(all)
    }

    async fn tells_places(&self) -> Result<bool> {
        let mut slot = self.link.lock().await;
        Ok(self.linked(&mut slot).await?.places)
    }

    async fn read_some(
        &self,
        ids: &[ContainerId],
        all: &mut BTreeMap<ContainerId, Measured>,
    ) -> Result<()> {
        let Told::Places(Places { root, all: places }) =
            self.call(Call::Places(ids.to_vec())).await?
        else {
            return wrong();
        };
        let placed = ids.iter().cloned().zip(places);
        let mut placed: Vec<_> = placed.filter_map(|(id, place)| Some((id, place?))).collect();
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let share = placed.len().div_ceil(threads).max(SHARE_MIN);
        let root = Arc::new(root);
        let mut reading = JoinSet::new();
        while !placed.is_empty() {
            let mine = placed.split_off(placed.len().saturating_sub(share));
            let root = root.clone();
            reading.spawn_blocking(move || read(&root, mine));
        }
        while let Some(read) = reading.join_next().await {
            let failed = |e| Error::new(Code::Internal, format!("reading of cgroups failed: {e}"));
            all.extend(read.map_err(failed)?);
        }
        Ok(())
    }
}

/// Those that run, as far as they can be seen from here.
fn read(root: &Cgroup, places: Vec<(ContainerId, Place)>) -> Vec<(ContainerId, Measured)> {
    // Without the directories no cgroup in them is seen.
    let Ok(mut reader) = Reader::open(root) else { return Vec::new() };
    let read = |(id, place)| Some((id, Measured::now(reader.read(&place)?)));
    places.into_iter().filter_map(read).collect()
}
