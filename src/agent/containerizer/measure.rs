//! What a container used, and when that was looked at. Where it is read is each containerizer's business.

use super::Containerizer;
use super::record::Usage;
use crate::base::ids::ContainerId;
use crate::base::time::Wall;
use futures_util::{StreamExt as _, stream};
use std::collections::BTreeMap;
use std::time::SystemTime;

/// How many containers are asked for one by one at a time.
const ASKED_AT_ONCE: usize = 16;

/// What a container used at a time.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// What.
    pub usage: Usage,
    /// When.
    pub at: Wall,
}

impl Measured {
    /// Just now.
    pub fn now(usage: Usage) -> Measured {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Measured { usage, at: Wall(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)) }
    }
}

/// Asks for each by itself; those that do not run are left out.
pub async fn one_by_one<C: Containerizer + ?Sized>(
    containerizer: &C,
    ids: Vec<ContainerId>,
) -> BTreeMap<ContainerId, Measured> {
    let each = ids.into_iter().map(|id| async move {
        let usage = containerizer.usage(&id).await.ok()?;
        Some((id, Measured::now(usage)))
    });
    let mut all = BTreeMap::new();
    let mut asked = stream::iter(each).buffer_unordered(ASKED_AT_ONCE);
    while let Some(one) = asked.next().await {
        all.extend(one);
    }
    all
}
