//! Which instances go first when there are too many. Pure.

use super::constraints;
use super::ids::InstanceId;
use super::instances::Instance;
use super::view::Condition;
use crate::marathon::model::{App, KillSelection, Operator};
use std::collections::BTreeMap;

/// The farther from running, the sooner it goes.
fn rank(instance: &Instance) -> u8 {
    match instance.condition {
        Condition::Scheduled => 0,
        _ if instance.kill => 1,
        Condition::Unreachable | Condition::UnreachableInactive => 2,
        Condition::Provisioned | Condition::Staging => 3,
        Condition::Starting => 4,
        _ => 5,
    }
}

/// The smaller, the sooner it goes.
fn age(instance: &Instance, selection: KillSelection) -> i64 {
    let started = instance.started_at.or(instance.staged_at).unwrap_or(instance.since);
    match selection {
        KillSelection::YoungestFirst => started.millis().saturating_neg(),
        KillSelection::OldestFirst => started.millis(),
    }
}

/// So many of these, for scaling down: what waits first, then so that GROUP_BY stays even, then by condition and age.
pub(super) fn for_scaling(mut from: Vec<&Instance>, count: usize, spec: &App) -> Vec<InstanceId> {
    from.sort_by_key(|i| (rank(i), age(i, spec.kill_selection), i.id.clone()));
    let group_by = spec.constraints.iter().find(|c| c.operator == Operator::GroupBy);
    let Some(group_by) = group_by else {
        return from.into_iter().take(count).map(|i| i.id.clone()).collect();
    };
    let group = |i: &Instance| -> Option<String> {
        let place = i.placement.as_deref()?;
        Some(constraints::value(&group_by.field, place)?.into_owned())
    };
    let mut sizes: BTreeMap<String, usize> = BTreeMap::new();
    for name in from.iter().filter_map(|i| group(i)) {
        *sizes.entry(name).or_default() += 1;
    }
    let mut victims = Vec::new();
    while victims.len() < count && !from.is_empty() {
        let fullest = sizes.values().max().copied().unwrap_or(0);
        let goes = |i: &&Instance| match group(i) {
            None => true,
            Some(name) => sizes.get(&name).copied().unwrap_or(0) == fullest,
        };
        let at = from.iter().position(goes).unwrap_or(0);
        let victim = from.remove(at);
        if let Some(size) = group(victim).and_then(|name| sizes.get_mut(&name)) {
            *size = size.saturating_sub(1);
        }
        victims.push(victim.id.clone());
    }
    victims
}

/// So many of these, for a replacement: those that serve nobody first.
pub(super) fn for_replacing(mut from: Vec<&Instance>, count: usize, spec: &App) -> Vec<InstanceId> {
    from.sort_by_key(|i| (i.in_service(), rank(i), age(i, spec.kill_selection), i.id.clone()));
    from.into_iter().take(count).map(|i| i.id.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::marathon::core::view::Placement;
    use crate::marathon::model::{Constraint, PathId, Timestamp};
    use std::sync::Arc;

    fn spec() -> App {
        App::new(PathId::parse("/a").expect("an id"), "*", Timestamp::from_millis(1))
    }

    fn instance(name: &str, condition: Condition, started: i64, rack: &str) -> Instance {
        let spec = spec();
        let id = InstanceId::new(&spec.id, name);
        let mut instance = Instance::scheduled(id, Arc::new(spec), Timestamp::from_millis(0));
        instance.condition = condition;
        instance.started_at = Some(Timestamp::from_millis(started));
        instance.placement = Some(Arc::new(Placement {
            agent_id: "s".into(),
            host: "h".into(),
            region: None,
            zone: None,
            attributes: vec![("rack".into(), rack.into())],
        }));
        instance
    }

    fn names(victims: &[InstanceId]) -> Vec<&str> {
        victims.iter().filter_map(|id| id.as_str().rsplit('-').next()).collect()
    }

    // covers: MAR-0343, MAR-0344
    #[test]
    fn what_runs_least_then_the_youngest() {
        let all = [
            instance("old", Condition::Running, 1, "1"),
            instance("young", Condition::Running, 9, "1"),
            instance("starting", Condition::Starting, 1, "1"),
            instance("staging", Condition::Staging, 1, "1"),
            instance("lost", Condition::Unreachable, 1, "1"),
            instance("waiting", Condition::Scheduled, 1, "1"),
        ];
        let victims = for_scaling(all.iter().collect(), 5, &spec());
        assert_eq!(names(&victims), ["waiting", "lost", "staging", "starting", "young"]);
        let oldest = App { kill_selection: KillSelection::OldestFirst, ..spec() };
        assert_eq!(names(&for_scaling(all[..2].iter().collect(), 1, &oldest)), ["old"]);
    }

    // covers: MAR-0345
    #[test]
    fn groups_stay_even() {
        let all = [
            instance("a", Condition::Running, 1, "1"),
            instance("b", Condition::Running, 2, "1"),
            instance("c", Condition::Running, 3, "1"),
            instance("d", Condition::Running, 9, "2"),
        ];
        let mut spec = spec();
        let rule = |operator| Constraint { field: "rack".into(), operator, value: None };
        spec.constraints = vec![rule(Operator::GroupBy)];
        assert_eq!(names(&for_scaling(all.iter().collect(), 2, &spec)), ["c", "b"]);
        spec.constraints = vec![];
        assert_eq!(names(&for_scaling(all.iter().collect(), 2, &spec)), ["d", "c"]);
    }
}
