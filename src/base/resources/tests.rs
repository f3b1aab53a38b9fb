//! The algebra by example; its laws are in `laws`, operations in `conversions`.

mod conversions;
mod laws;

use super::*;
use crate::base::ids::Role;
use crate::base::labels::Labels;
use std::sync::Arc;

pub(super) fn parse(text: &str) -> Resources {
    Resources::parse(text, "*").unwrap()
}

pub(super) fn volume(id: &str, mb: f64, shared: bool) -> Resource {
    let mut r = Resource::scalar("disk", mb);
    r.reservations.push(Reservation::dynamic("eng", Some("ops")));
    r.disk = Some(Arc::new(Disk {
        persistence: Some(Persistence { id: id.into(), principal: None }),
        volume: Some(DiskVolume {
            container_path: "data".into(),
            host_path: None,
            read_only: Some(false),
            rest: Vec::new(),
        }),
        source: None,
    }));
    r.shared = shared;
    r
}

// covers: MES-0707
#[test]
fn text_of_scalars_ranges_and_sets() {
    let all =
        parse("cpus:45.55;mem: 1024 ;ports:[10000-20000, 30000-50000];disks:{sda1, sda2};gpus:0");
    assert_eq!(all.cpus(), Scalar::from_f64(45.55));
    assert_eq!(all.mem(), Scalar::whole(1024));
    assert_eq!(all.ports(), Ranges::new([(10000, 20000), (30000, 50000)]));
    assert_eq!(
        all.to_string(),
        "cpus:45.55; disks:{sda1, sda2}; mem:1024; ports:[10000-20000, 30000-50000]"
    );
    assert_eq!(parse("ports:[20000-40000, 21000-38000]"), parse("ports:[20000-40000]"));
    assert_eq!(parse("cpus:1;cpus:2"), parse("cpus:3"));
    assert_eq!(parse(""), Resources::new());
    assert_eq!(Resources::new().to_string(), "{}");
}

// covers: MES-0708
#[test]
fn text_with_roles() {
    let all = Resources::parse("cpus(role1):2;mem( role1 ):1;cpus:1;disk(*):3", "role2").unwrap();
    assert_eq!(
        all.to_string(),
        "cpus(reservations: [(STATIC,role1)]):2; cpus(reservations: [(STATIC,role2)]):1; disk:3; \
         mem(reservations: [(STATIC,role1)]):1"
    );
    assert_eq!(all.reserved("role1").cpus(), Scalar::whole(2));
    assert_eq!(all.unreserved().to_string(), "disk:3");
    assert_eq!(all.to_text().unwrap(), "cpus(role1):2;cpus(role2):1;disk:3;mem(role1):1");
}

// covers: MES-0709
#[test]
fn malformed_text_is_refused() {
    for (text, error) in [
        ("cpus", "Bad value for resources, missing or extra ':' in cpus"),
        ("cpus:1:2", "Bad value for resources, missing or extra ':' in cpus:1:2"),
        (":4", "Bad value for resources, missing or extra ':' in :4"),
        ("(eng):4", "Empty resource name"),
        ("cpus(eng:4", "Bad value for resources, mismatched parentheses in cpus(eng:4"),
        ("cpus)eng(:4", "Bad value for resources, mismatched parentheses in cpus)eng(:4"),
        ("cpus:abc", "Bad type for resource cpus value abc type TEXT"),
        ("cpus:-1", "Bad type for resource cpus value -1 type TEXT"),
        ("cpus:NaN", "Bad type for resource cpus value NaN type TEXT"),
        ("cpus:inf", "Bad type for resource cpus value inf type TEXT"),
        ("cpus: ", "Failed to parse resource cpus value   error Expecting non-empty string"),
        (
            "cpus:1e300",
            "Failed to parse resource cpus value 1e300 error Value 1e300 is over the limit of \
             9007199254740.992",
        ),
        (
            "cpus:1e-310",
            "Failed to parse resource cpus value 1e-310 error Subnormal values not supported",
        ),
        ("ports:[1-2", "Failed to parse resource ports value [1-2 error Mismatched brackets"),
        ("ports:1-2]", "Failed to parse resource ports value 1-2] error Mismatched brackets"),
        (
            "ports:[1-2-3]",
            "Failed to parse resource ports value [1-2-3] error Expecting one or more \"ranges\"",
        ),
        (
            "ports:[a-b]",
            "Failed to parse resource ports value [a-b] error Expecting non-negative integers \
             in 'a'",
        ),
        (
            "ports:[18446744073709551616-2]",
            "Failed to parse resource ports value [18446744073709551616-2] error Expecting \
             non-negative integers in '18446744073709551616'",
        ),
        ("ports:x[1-2]", "Failed to parse resource ports value x[1-2] error Unexpected '[' found"),
        ("s:x{a}", "Failed to parse resource s value x{a} error Unexpected '{' found"),
        ("ports:[5-3]", "Invalid ranges resource: begin > end"),
        ("s:{a,a}", "Invalid set resource: duplicated elements"),
        ("cpus(a/..):1", "Role 'a/..' cannot include '..' as a component"),
        (
            "cpus:1;cpus:[1-2]",
            "Resources with the same name ('cpus') but different types are not allowed",
        ),
    ] {
        assert_eq!(Resources::parse(text, "*"), Err(error.to_string()), "{text:?}");
    }
}

// covers: MES-0712
#[test]
fn scalars_have_three_decimals() {
    assert_eq!(parse("cpus:1.0004"), parse("cpus:1"));
    assert_eq!(parse("cpus:1.0006"), parse("cpus:1.001"));
    assert_eq!(parse("cpus:0.0004"), Resources::new());
    assert_eq!(Scalar::from_f64(1.0005), Scalar::from_thousandths(1001));
    assert_eq!(Scalar::from_f64(0.1).as_f64(), 0.1);
    assert_eq!(Scalar::from_f64(512.125).as_f64(), 512.125);
    assert_eq!(Scalar::from_f64(f64::NAN), Scalar::ZERO);
    assert_eq!(Scalar::from_f64(f64::INFINITY), Scalar::MAX);
    assert_eq!(Scalar::checked(f64::INFINITY), None);
    assert_eq!(Scalar::from_thousandths(-1500).to_string(), "-1.5");
    assert_eq!(Scalar::from_thousandths(50).to_string(), "0.05");
}

// covers: MES-0713
#[test]
fn a_hundred_thousand_steps_do_not_drift() {
    let (step, start) = (parse("cpus:0.1;mem:0.001"), parse("cpus:1.3;mem:7"));
    let mut all = start.clone();
    (0..100_000).for_each(|_| all += &step);
    assert_eq!(all.cpus(), Scalar::from_f64(10001.3));
    (0..100_000).for_each(|_| all -= &step);
    assert_eq!(all, start);
}

// covers: MES-0714
#[test]
fn subtracting_ranges_splits_them() {
    for (from, what, left) in [
        ("[1-10]", "[3-5]", "[1-2, 6-10]"),
        ("[1-10]", "[1-1, 10-10]", "[2-9]"),
        ("[1-10, 20-30]", "[5-25]", "[1-4, 26-30]"),
        ("[1-10]", "[11-20]", "[1-10]"),
        ("[0-10]", "[0-10]", "[]"),
        (
            "[18446744073709551614-18446744073709551615]",
            "[18446744073709551615-18446744073709551615]",
            "[18446744073709551614-18446744073709551614]",
        ),
    ] {
        let got =
            parse(&format!("ports:{from}")).ports().minus(&parse(&format!("ports:{what}")).ports());
        assert_eq!(got.to_string(), left);
    }
    let (all, some) = (parse("ports:[1-10]"), parse("ports:[5-12]"));
    assert_eq!(all.checked_sub(&some), None);
    assert_eq!((&all - &some).to_string(), "ports:[1-4]");
}

#[test]
fn ranges_answer_questions() {
    let ranges = Ranges::new([(8, 9), (1, 3), (4, 4), (7, 2)]);
    assert_eq!(ranges.to_string(), "[1-4, 8-9]");
    assert_eq!(ranges.count(), 6);
    assert_eq!(Ranges::new([(0, u64::MAX)]).count(), u64::MAX);
    assert!(ranges.has(4) && ranges.has(8) && !ranges.has(5) && !ranges.has(0) && !ranges.has(10));
    assert_eq!(ranges.take(5).unwrap().to_string(), "[1-4, 8-8]");
    assert_eq!(ranges.take(7), None);
    assert_eq!(ranges.numbers().collect::<Vec<_>>(), [1, 2, 3, 4, 8, 9]);
    assert_eq!(ranges.intersection(&Ranges::new([(3, 8)])).to_string(), "[3-4, 8-8]");
}

#[test]
fn subtracting_clamps_and_the_checked_form_refuses() {
    let (a, b) = (parse("cpus:1;mem:10"), parse("cpus:2;mem:4"));
    assert!(!a.contains(&b));
    assert_eq!(a.checked_sub(&b), None);
    assert_eq!((&a - &b).to_string(), "mem:6");
    assert_eq!(a.checked_sub(&parse("mem:10")).unwrap().to_string(), "cpus:1");
}

#[test]
fn kinds_are_apart() {
    let eng = Role::from("eng");
    let plain = parse("cpus:1");
    let mut revocable = Resource::scalar("cpus", 2.0);
    revocable.revocable = true;
    let mut all = plain.clone();
    all += &plain.allocate(&eng);
    all += &plain.push_reservation(&Reservation::dynamic("eng", Some("p")));
    all.add_one(revocable);
    assert_eq!(
        all.to_string(),
        "cpus:1; cpus{REV}:2; cpus(reservations: [(DYNAMIC,eng,p)]):1; cpus(allocated: eng):1"
    );
    assert_eq!(all.cpus(), Scalar::whole(5));
    assert_eq!(all.names(), ["cpus"]);
    assert!(!plain.contains(&plain.allocate(&eng)));
    assert_eq!(all.allocations()[&eng].cpus(), Scalar::whole(1));
    assert_eq!(all.revocable().to_string(), "cpus{REV}:2");
    assert_eq!(all.non_revocable().flatten().to_string(), "cpus:3");
    assert_eq!(all.reservations()[&eng].cpus(), Scalar::whole(1));
}

#[test]
fn reservations_stack() {
    let labels = Labels(vec![("k".into(), Some("v".into()))]);
    let mut refined = Reservation::dynamic("eng/web", Some("p"));
    refined.labels = Some(labels);
    let one = parse("cpus(eng):4").push_reservation(&refined);
    assert_eq!(one.to_string(), "cpus(reservations: [(STATIC,eng),(DYNAMIC,eng/web,p,{k: v})]):4");
    assert!(one.reserved("eng").is_empty());
    assert_eq!(one.reserved("eng/web"), one);
    assert_eq!(one.pop_reservation(), Some(parse("cpus(eng):4")));
    assert_eq!(parse("cpus:1").pop_reservation(), None);
    assert_eq!(one.allocatable_to("eng/web/a"), one);
    assert!(one.allocatable_to("eng").is_empty());
    assert_eq!(one.to_text(), None);
}

#[test]
fn volumes_are_taken_whole_and_shared_ones_are_counted() {
    let all = Resources::from(volume("v1", 64.0, false));
    assert!(!all.contains(&volume("v1", 32.0, false).into()));
    assert_eq!(&all - &volume("v1", 32.0, false).into(), all);
    assert_eq!(all.checked_sub(&all), Some(Resources::new()));
    assert_eq!(all.to_string(), "disk(reservations: [(DYNAMIC,eng,ops)])[v1:data]:64");

    let one = Resources::from(volume("v2", 64.0, true));
    let two = &one + &one;
    assert_eq!(two.disk(), Scalar::whole(64));
    assert_eq!(two.to_string(), "disk(reservations: [(DYNAMIC,eng,ops)])[v2:data]<SHARED>:64<2>");
    assert_eq!(two.count(&volume("v2", 64.0, true)), 2);
    assert!(!one.contains(&two));
    assert_eq!(&two - &one, one);

    let mut mount = Resource::scalar("disk", 100.0);
    mount.disk = Some(Arc::new(Disk {
        source: Some(Source {
            kind: SourceKind::Mount,
            root: Some("/mnt".into()),
            vendor: None,
            id: None,
            profile: None,
            metadata: None,
        }),
        ..Disk::default()
    }));
    let two = Resources::from_iter([mount.clone(), mount.clone()]);
    assert_eq!((two.len(), two.disk()), (1, Scalar::whole(200)));
    assert_eq!(Resources::from(mount).to_string(), "disk[MOUNT:/mnt]:100");
}

#[test]
fn finding_prefers_what_is_reserved() {
    let all = parse("cpus(eng):1;cpus(eng/web):1;cpus(ops):8;cpus:4;ports:[10-20];mem:100");
    let found = all.find(&parse("cpus:2.5;ports:[12-13]"), "eng/web").unwrap();
    assert_eq!(found.to_text().unwrap(), "cpus:0.5;cpus(eng):1;cpus(eng/web):1;ports:[12-13]");
    assert!(all.contains(&found));
    assert_eq!(all.find(&parse("cpus:6.5"), "eng/web"), None);
    assert_eq!(all.find(&parse("ports:[9-10]"), "eng"), None);
    assert_eq!(all.find(&parse("cpus:4"), "*").unwrap(), parse("cpus:4"));
    let whole = Resources::from(volume("v", 5.0, false));
    assert_eq!(whole.find(&parse("disk:5"), "eng"), None);
}

#[test]
fn quantities_count_scalars_alone() {
    let mut q = parse("cpus:1;cpus(eng):2;ports:[1-2];mem:5").quantities();
    assert_eq!(q.to_string(), "cpus:3; mem:5");
    assert!(q.contains(&Quantities::parse("cpus:3").unwrap()));
    assert!(!q.contains(&Quantities::parse("cpus:3;gpus:0.001").unwrap()));
    q -= &Quantities::parse("cpus:4;mem:1;disk:9").unwrap();
    assert_eq!(q.to_string(), "mem:4");
    assert!(Quantities::parse("ports:[1-2]").is_err());
    assert!(Quantities::parse("cpus").is_err());
    let chopped = parse("cpus:2;cpus(eng):2;mem:5;ports:[1-2]")
        .chop(&Quantities::parse("cpus:3;mem:0.5").unwrap());
    assert_eq!(chopped.to_text().unwrap(), "cpus:2;cpus(eng):1;mem:0.5;ports:[1-2]");
}
