//! Operations on resources, and what an agent remembers of them.

use super::super::*;
use super::{parse, volume};

// covers: MES-0624
#[test]
fn reserving_and_unreserving_are_each_others_reverse_also_of_fractions() {
    let free = parse("cpus:4;disk:100;ports:[1-9]");
    let reservation = Reservation::dynamic("eng", Some("ops"));
    let tenth = parse("cpus:0.1").push_reservation(&reservation);
    let reserve = Conversion::reserve(&tenth).expect("has a reservation");
    let mut all = free.clone();
    for _ in 0..3 {
        all = all.apply(&reserve).expect("enough is there");
    }
    assert_eq!(all.reserved("eng").cpus(), Scalar::from_f64(0.3));
    assert_eq!(all.unreserved().cpus(), Scalar::from_f64(3.7));
    let three = parse("cpus:0.3").push_reservation(&reservation);
    let unreserve = Conversion::unreserve(&three).expect("has a reservation");
    assert_eq!(all.apply(&unreserve), Ok(free.clone()));
    assert!(Conversion::reserve(&free).is_none(), "nothing of it is reserved");
    let much = parse("cpus:5").push_reservation(&reservation);
    let refused = free.apply(&Conversion::reserve(&much).expect("reserved")).unwrap_err();
    assert_eq!(refused, "cpus:4; disk:100; ports:[1-9] does not contain cpus:5");
    let other = parse("cpus:0.1").push_reservation(&Reservation::dynamic("eng", Some("dev")));
    let foreign = Conversion::unreserve(&other).expect("reserved");
    assert!(all.apply(&foreign).is_err(), "another principal's is another reservation");
}

#[test]
fn a_volume_is_made_of_reserved_disk_and_becomes_it_again() {
    let reservation = Reservation::dynamic("eng", Some("ops"));
    let disk = parse("disk:100").push_reservation(&reservation);
    let made = Resources::from(volume("v", 64.0, true));
    let with = disk.apply(&Conversion::create(&made)).expect("there is enough");
    assert_eq!(with.disk(), Scalar::whole(100));
    assert!(with.contains(&made));
    assert_eq!(with.apply(&Conversion::destroy(&made)), Ok(disk.clone()));
    assert!(parse("disk:100").apply(&Conversion::create(&made)).is_err(), "it is not reserved");
}

#[test]
fn what_no_command_line_says_is_remembered_and_put_in_its_place() {
    let line = parse("cpus:4;mem:100;disk:200;cpus(fixed):2");
    let reservation = Reservation::dynamic("eng", Some("ops"));
    let mut remembered = parse("mem:50").push_reservation(&reservation);
    remembered.add_one(volume("v", 64.0, false));
    remembered.add_one(volume("s", 36.0, true));
    remembered += &parse("cpus(fixed):1").push_reservation(&Reservation::dynamic("fixed/a", None));
    let all = line.with_checkpointed(&remembered).expect("it fits");
    assert_eq!(all.quantities(), line.quantities());
    assert_eq!(all.checkpointed(), remembered);
    assert_eq!(all.allocate(&"x".into()).checkpointed(), remembered);
    assert_eq!(all.reserved("fixed").cpus(), Scalar::whole(1));
    let refused = parse("cpus:1;mem:40").with_checkpointed(&remembered).unwrap_err();
    assert!(refused.starts_with("Incompatible agent resources: "), "{refused}");
    let odd = parse("cpus(fixed):1");
    assert!(line.with_checkpointed(&odd).is_err(), "the command line says it already");
}
