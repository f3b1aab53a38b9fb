//! The laws of the algebra, on random resources.

use super::parse;
use crate::base::ids::Role;
use crate::base::resources::{Ranges, Reservation, Resource, Resources, Scalar, Value};
use proptest::prelude::*;

fn scalar() -> impl Strategy<Value = Resource> {
    let name = prop_oneof![Just("cpus"), Just("mem"), Just("disk")];
    let kind = (0..4u8, any::<bool>(), any::<bool>());
    (name, 0..5_000i64, kind).prop_map(|(name, amount, (reserved, revocable, allocated))| {
        let mut r = Resource::new(name, Value::Scalar(Scalar::from_thousandths(amount)));
        r.reservations = match reserved {
            1 => vec![Reservation::fixed("eng")],
            2 => vec![Reservation::dynamic("eng", Some("p"))],
            3 => vec![Reservation::fixed("eng"), Reservation::dynamic("eng/web", None)],
            _ => Vec::new(),
        };
        r.revocable = revocable;
        r.allocated_to = allocated.then(|| Role::from("eng"));
        r
    })
}

fn pairs() -> impl Strategy<Value = Vec<(u64, u64)>> {
    prop::collection::vec((0..60u64, 0..8u64).prop_map(|(b, n)| (b, b + n)), 0..6)
}

fn ports(ranges: Vec<(u64, u64)>) -> Resource {
    Resource::new("ports", Value::Ranges(Ranges::new(ranges)))
}

fn resources() -> impl Strategy<Value = Resources> {
    (prop::collection::vec(scalar(), 0..8), pairs())
        .prop_map(|(scalars, ranges)| scalars.into_iter().chain([ports(ranges)]).collect())
}

/// Canonical: ascending, no empty value, ranges apart from each other.
fn assert_canonical(all: &Resources) {
    let list: Vec<&Resource> = all.iter().collect();
    assert!(list.windows(2).all(|w| !w[0].same_kind(w[1])));
    for r in list {
        assert!(!r.value.is_empty(), "{r}");
        match &r.value {
            Value::Scalar(v) => assert!(*v > Scalar::ZERO),
            Value::Ranges(v) => {
                let ranges: Vec<_> = v.iter().collect();
                assert!(ranges.iter().all(|(b, e)| b <= e));
                assert!(ranges.windows(2).all(|w| w[0].1 + 1 < w[1].0));
            }
            Value::Set(_) => {}
        }
    }
}

proptest! {
    #[test]
    fn adding_commutes_and_associates(a in resources(), b in resources(), c in resources()) {
        prop_assert_eq!(&a + &b, &b + &a);
        prop_assert_eq!(&(&a + &b) + &c, &a + &(&b + &c));
        assert_canonical(&(&a + &b));
    }

    #[test]
    fn what_was_added_can_be_taken_away(a in resources(), b in resources()) {
        // Ranges are a set: only what was not there before comes back out alone.
        let b = b.filter(|r| matches!(r.value, Value::Scalar(_)));
        let sum = &a + &b;
        prop_assert!(sum.contains(&a) && sum.contains(&b));
        prop_assert_eq!(sum.checked_sub(&b), Some(a));
    }

    #[test]
    fn subtracting_never_goes_below_nothing(a in resources(), b in resources()) {
        let rest = &a - &b;
        assert_canonical(&rest);
        prop_assert!(a.contains(&rest));
        prop_assert_eq!(a.contains(&b), a.checked_sub(&b).is_some());
        if a.contains(&b) {
            prop_assert_eq!(&rest + &b, a);
        }
    }

    #[test]
    fn containing_is_an_order(a in resources(), b in resources(), c in resources()) {
        prop_assert!(a.contains(&a) && a.contains(&Resources::new()));
        if a.contains(&b) && b.contains(&a) {
            prop_assert_eq!(&a, &b);
        }
        if a.contains(&b) && b.contains(&c) {
            prop_assert!(a.contains(&c));
        }
    }

    #[test]
    fn ranges_agree_with_plain_sets(a in pairs(), b in pairs()) {
        let set = |r: &[(u64, u64)]| -> std::collections::BTreeSet<u64> {
            r.iter().flat_map(|(b, e)| *b..=*e).collect()
        };
        let (sa, sb) = (set(&a), set(&b));
        let (ra, rb) = (Ranges::new(a), Ranges::new(b));
        prop_assert_eq!(ra.contains(&rb), sb.is_subset(&sa));
        prop_assert_eq!(ra.count() as usize, sa.len());
        for (got, want) in [
            (ra.minus(&rb), sa.difference(&sb).copied().collect::<Vec<_>>()),
            (ra.union(&rb), sa.union(&sb).copied().collect()),
            (ra.intersection(&rb), sa.intersection(&sb).copied().collect()),
        ] {
            prop_assert_eq!(got.numbers().collect::<Vec<_>>(), want);
            prop_assert_eq!(Ranges::new(got.iter()), got);
        }
    }

    #[test]
    fn text_is_read_back(a in resources()) {
        if let Some(text) = a.to_text() {
            prop_assert_eq!(parse(&text), a);
        } else {
            let odd = |r: &Resource| r.revocable || r.allocated_to.is_some() || r.reserved_for().is_some();
            prop_assert!(a.iter().any(odd));
        }
    }

    #[test]
    fn found_is_contained_and_as_much_as_wanted(a in resources(), b in resources()) {
        let wanted = b.flatten();
        if let Some(found) = a.find(&wanted, "eng") {
            prop_assert!(a.contains(&found));
            prop_assert_eq!(found.flatten(), wanted);
        }
    }

    #[test]
    fn quantities_follow(a in resources(), b in resources()) {
        let mut sum = a.quantities();
        sum += &b.quantities();
        prop_assert_eq!((&a + &b).quantities(), sum);
        prop_assert_eq!(a.flatten().quantities(), a.quantities());
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[a-c0-9:;,.(){}\\[\\] *e/-]{0,40}") {
        if let Ok(all) = Resources::parse(&text, "*") {
            assert_canonical(&all);
        }
    }
}
