//! What containers use, asked once for all who want to know at the same moment. Nothing is kept beyond that: whoever comes
//! later has it looked at again.

use crate::agent::containerizer::{Containerizer, Measured};
use crate::base::ids::ContainerId;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// How many looks are under way at a time; who wants another waits for one of them.
pub(super) const LOOKS_MAX: usize = 8;
/// How long one may take. Containers that it did not come to are told without what they use.
const LOOK_MAX: Duration = Duration::from_secs(60);

/// What was seen, by container; those that do not run are not in it.
type Seen = Arc<BTreeMap<ContainerId, Measured>>;

/// A look that is under way.
#[derive(Clone)]
struct Look {
    number: u64,
    at: Arc<BTreeSet<ContainerId>>,
    /// None until it is over.
    seen: watch::Receiver<Option<Seen>>,
}

#[derive(Default)]
struct Looks {
    next: u64,
    under_way: Vec<Look>,
}

/// Looks at containers for all who ask.
#[derive(Clone, Default)]
pub(super) struct Sampler(Arc<Mutex<Looks>>);

impl Sampler {
    /// What those of them use that run. A look at them that is under way serves as well; containers it is not at are
    /// looked at beside it.
    pub async fn look(
        &self,
        containerizer: &Arc<dyn Containerizer>,
        ids: BTreeSet<ContainerId>,
    ) -> BTreeMap<ContainerId, Measured> {
        let (mut left, mut all) = (ids.clone(), BTreeMap::new());
        while !left.is_empty() {
            for mut look in self.join(containerizer, &mut left) {
                // One that ended without a word saw nothing.
                let Ok(seen) = look.seen.wait_for(Option::is_some).await else { continue };
                let seen = seen.iter().flat_map(|seen| seen.iter());
                let mine = seen.filter(|(id, _)| ids.contains(*id));
                all.extend(mine.map(|(id, measured)| (id.clone(), measured.clone())));
            }
        }
        all
    }

    fn looks(&self) -> MutexGuard<'_, Looks> {
        // What is under it is whole between any two statements.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The looks to wait for, one that is begun for it among them; `left` is what none of them is at.
    fn join(
        &self,
        containerizer: &Arc<dyn Containerizer>,
        left: &mut BTreeSet<ContainerId>,
    ) -> Vec<Look> {
        let mut looks = self.looks();
        let mut joined = Vec::new();
        for look in &looks.under_way {
            let before = left.len();
            left.retain(|id| !look.at.contains(id));
            if left.len() < before {
                joined.push(look.clone());
            }
        }
        match looks.under_way.first() {
            _ if left.is_empty() => {}
            Some(oldest) if looks.under_way.len() >= LOOKS_MAX => joined.push(oldest.clone()),
            _ => joined.push(self.begin(&mut looks, containerizer, std::mem::take(left))),
        }
        joined
    }

    /// It goes on when whoever wanted it goes away: others may have come.
    fn begin(
        &self,
        looks: &mut Looks,
        containerizer: &Arc<dyn Containerizer>,
        ids: BTreeSet<ContainerId>,
    ) -> Look {
        let (tell, seen) = watch::channel(None);
        let look = Look { number: looks.next, at: Arc::new(ids), seen };
        looks.next += 1;
        looks.under_way.push(look.clone());
        let (containerizer, over) = (containerizer.clone(), Over(self.clone(), look.number));
        let ids = look.at.iter().cloned().collect();
        tokio::spawn(async move {
            let asked = tokio::time::timeout(LOOK_MAX, containerizer.usages(ids)).await;
            let seen = asked.unwrap_or_else(|_| {
                tracing::warn!("what containers use was not told in {LOOK_MAX:?}");
                Ok(BTreeMap::new())
            });
            let seen = seen.unwrap_or_else(|e| {
                tracing::warn!("what containers use cannot be told: {e}");
                BTreeMap::new()
            });
            drop(over);
            // Whoever waited may have gone away.
            let _ = tell.send(Some(Arc::new(seen)));
        });
        look
    }
}

/// Takes a look off those under way when it ends, however it does.
struct Over(Sampler, u64);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.looks().under_way.retain(|look| look.number != self.1);
    }
}
