//! Reading schedules, stepping through them, printing them.

use super::*;

/// 2014-10-10T00:00:00Z.
const NOW: i64 = 1_412_899_200_000;

fn parse(text: &str, zone: &str) -> Result<Schedule, Fault> {
    Schedule::parse(text, zone, wall(NOW))
}

fn good(text: &str) -> Schedule {
    parse(text, "").unwrap_or_else(|e| panic!("{text}: {e:?}"))
}

fn at(text: &str) -> i64 {
    read(text).unwrap()
}

/// The first `n` planned times, in UTC.
fn first(schedule: &Schedule, n: usize) -> Vec<String> {
    let mut times = Vec::new();
    let mut through = i64::MIN;
    while let Some(next) = schedule.next(through).filter(|_| times.len() < n) {
        times.push(print(next));
        through = next;
    }
    times
}

/// covers: CHR-0002
/// covers: CHR-0003
#[test]
fn count_start_and_period_are_read() {
    let schedule = good("R5/2008-03-01T13:00:00Z/P1D");
    assert_eq!(schedule.repeat(), Some(5));
    assert_eq!(
        first(&schedule, 9),
        [
            "2008-03-01T13:00:00.000Z",
            "2008-03-02T13:00:00.000Z",
            "2008-03-03T13:00:00.000Z",
            "2008-03-04T13:00:00.000Z",
            "2008-03-05T13:00:00.000Z"
        ]
    );
    let endless = good("R/2008-03-01T13:00:00Z/P1D");
    assert_eq!(endless.repeat(), None);
    assert_eq!(endless.next(at("2400-01-01T13:00:00Z")), Some(at("2400-01-02T13:00:00Z")));
}

/// covers: CHR-0001
/// covers: CHR-0010
/// covers: CHR-0012
/// covers: CHR-0014
/// covers: CHR-0017
#[test]
fn what_is_no_schedule_is_refused() {
    for text in [
        "FOO",
        "",
        "R/2008-03-01T13:00:00Z",
        "R/2008-03-01T13:00:00Z/",
        "R/P1D",
        "P1D",
        "R/P1D/2008-03-01",
        "r/2008-03-01T13:00:00Z/P1D",
        "R/2008-03-01T13:00:00Z/p1D",
        " R/2008-03-01T13:00:00Z/P1D",
        "R/2008-03-01T13:00:00Z/P1D ",
        "R-1/2008-03-01T13:00:00Z/P1D",
        "R9223372036854775808/2008-03-01T13:00:00Z/P1D",
        "R99999999999999999999999/2008-03-01T13:00:00Z/P1D",
        "R/20141010T183200Z/P1D",
        "R/2014-10-10 18:32:00Z/P1D",
        "R/2014-10-10T24:00/P1D",
        "R/2014-02-30/P1D",
        "R/2014-13-01/P1D",
        "R/2014-366/P1D",
        "R/2014-000/P1D",
        "R/10:15/P1D",
        "R/T/P1D",
        "R/2014-10-10T18:61Z/P1D",
        "R/2014-10-10T18:32:00+24:00/P1D",
        "R/2014-10-10T18:32:00Z/2014-10-11/P1D",
        "R//PT",
        "R//P1",
        "R//P1.5D",
        "R//PT1M1H",
        "R//P1DT",
        "R//P1D1D",
        "R//PT1.S",
        "R//PT1.2.3S",
        "R//P2147483648D",
        "R//P-1D",
        "R//PT-5S",
        "R1//P-1D",
        "R//P",
        "R//PT0S",
        "R2//PT0S",
        "R0//P",
        "R//PT0.5S",
        "R/١٤/P1D",
        "R//PéD",
        "R/éé-1-1/P1D",
    ] {
        assert!(parse(text, "").is_err(), "{text}");
    }
}

/// covers: CHR-0013
/// covers: CHR-0015
#[test]
fn every_form_of_start_and_period_is_read() {
    for (start, means) in [
        ("2014-10-10T18:32:00.123Z", "2014-10-10T18:32:00.123Z"),
        ("2014-10-10T18:32:00,123456Z", "2014-10-10T18:32:00.123Z"),
        ("2014-10-10T18:32:00", "2014-10-10T18:32:00.000Z"),
        ("2014-10-10T18:32z", "2014-10-10T18:32:00.000Z"),
        ("2014-10-10T18:32+0900", "2014-10-10T09:32:00.000Z"),
        ("2014-10-10T18:32-09:30", "2014-10-11T04:02:00.000Z"),
        ("2014-10-10T18", "2014-10-10T18:00:00.000Z"),
        ("2014-10-10T18.5", "2014-10-10T18:30:00.000Z"),
        ("2014-10-10", "2014-10-10T00:00:00.000Z"),
        ("2014-10", "2014-10-01T00:00:00.000Z"),
        ("2014", "2014-01-01T00:00:00.000Z"),
        ("2014-W05-3", "2014-01-29T00:00:00.000Z"),
        ("2014-W05", "2014-01-27T00:00:00.000Z"),
        ("2014-123", "2014-05-03T00:00:00.000Z"),
        ("T10:15:00Z", "1970-01-01T10:15:00.000Z"),
    ] {
        let schedule = good(&format!("R1/{start}/P1D"));
        assert_eq!(print(schedule.start()), means, "{start}");
    }
    for (period, second) in [
        ("P1W", "2014-01-08T00:00:00.000Z"),
        ("P1W2D", "2014-01-10T00:00:00.000Z"),
        ("P1Y2M3DT4H5M6S", "2015-03-04T04:05:06.000Z"),
        ("PT1.5S", "2014-01-01T00:00:01.500Z"),
        ("P007D", "2014-01-08T00:00:00.000Z"),
        ("P12DT12M", "2014-01-13T00:12:00.000Z"),
        ("PT90M", "2014-01-01T01:30:00.000Z"),
    ] {
        let schedule = good(&format!("R007/2014-01-01/{period}"));
        assert_eq!(first(&schedule, 2)[1], second, "{period}");
        assert!(schedule.shown(schedule.start()).ends_with(&format!("/{period}")));
    }
}

/// covers: CHR-0004
/// covers: CHR-0005
#[test]
fn an_empty_start_is_now() {
    for text in ["R1//P1D", "R1//P", "R1//PT24H"] {
        let schedule = good(text);
        assert_eq!(schedule.start(), NOW);
        assert_eq!(schedule.shown(NOW - 1), text);
        assert_eq!((schedule.next(i64::MIN), schedule.next(NOW)), (Some(NOW), None));
    }
}

/// covers: CHR-0006
/// covers: CHR-0007
/// covers: CHR-0008
/// covers: CHR-0009
/// covers: CHR-0011
/// covers: CHR-0018
#[test]
fn a_zone_takes_the_fields_of_the_start_whatever_its_offset() {
    let in_zone =
        |start: &str, zone: &str| parse(&format!("R1/{start}/P1D"), zone).unwrap().shown(i64::MAX);
    // Counted down to nothing, the printed start is the next day at the same wall time.
    for (zone, offset) in [
        ("BST", "+06:00"),
        ("PST", "-08:00"),
        ("EST", "-05:00"),
        ("Europe/Paris", "+01:00"),
        ("GMT+9", "+09:00"),
        ("GMT-07:30", "-07:30"),
    ] {
        let expected = format!("R0/2008-03-02T13:00:00.000{offset}/P1D");
        assert_eq!(in_zone("2008-03-01T13:00:00Z", zone), expected);
        assert_eq!(in_zone("2008-03-01T13:00:00-04:00", zone), expected);
    }
    assert_eq!(in_zone("2008-03-01T13:00:00Z", "UTC"), "R0/2008-03-02T13:00:00.000Z/P1D");
    assert_eq!(in_zone("2008-03-01", "PST"), "R0/2008-03-02T00:00:00.000-08:00/P1D");
    for unknown in ["Nowhere/Bad", "+09:00", "null", "GMT+25", "GMTx", " "] {
        let fault = parse("R1//P1D", unknown).unwrap_err();
        assert!(fault.of_zone && fault.why.contains(unknown), "{unknown}: {fault:?}");
    }
}

/// covers: CHR-0019
/// covers: CHR-0020
/// covers: CHR-0025
/// covers: CHR-0026
/// covers: CHR-0027
/// covers: CHR-0028
#[test]
fn a_schedule_is_shown_counted_down() {
    let schedule = good("R3/2012-01-01T00:00:00.000Z/P1D");
    let mut through = i64::MIN;
    let mut shown = Vec::new();
    while let Some(next) = schedule.next(through) {
        through = next;
        shown.push(schedule.shown(through));
    }
    assert_eq!(
        shown,
        [
            "R2/2012-01-02T00:00:00.000Z/P1D",
            "R1/2012-01-03T00:00:00.000Z/P1D",
            "R0/2012-01-04T00:00:00.000Z/P1D"
        ]
    );
    let endless = good("R/2012-01-01/P1D");
    assert_eq!(endless.shown(endless.start()), "R/2012-01-02T00:00:00.000Z/P1D");
    assert_eq!(good("R1/2012-01-01/PT1S").shown(NOW), "R0/2012-01-01T00:00:01.000Z/PT1S");
    let once = good("R1//P");
    assert_eq!(once.shown(NOW), "R0/2014-10-10T00:00:00.000Z/P");
}

/// covers: CHR-0021
/// covers: CHR-0022
/// covers: CHR-0023
/// covers: CHR-0024
/// covers: CHR-0031
#[test]
fn long_passed_starts_are_computed_not_stepped() {
    let minutes = good("R/2012-01-01T00:00:30Z/PT1M");
    assert_eq!(minutes.next(NOW).map(print).as_deref(), Some("2014-10-10T00:00:30.000Z"));
    let months = good("R/2012-01-01/P1M");
    assert_eq!(months.next(NOW).map(print).as_deref(), Some("2014-11-01T00:00:00.000Z"));
    let years = good("R/2014-10-09T00:00:00Z/P1Y");
    assert_eq!(years.next(NOW).map(print).as_deref(), Some("2015-10-09T00:00:00.000Z"));
    let tomorrow = good("R/2014-10-11/P1D");
    assert_eq!(tomorrow.next(NOW), Some(tomorrow.start()));
    assert_eq!(good("R1/2014-10-09/P").next(i64::MIN), Some(at("2014-10-09")));
    // A second's period over two thousand years: the same few steps.
    let seconds = good("R/0014-01-01/PT1S");
    assert_eq!(seconds.next(NOW), Some(NOW + 1000));
    assert_eq!(seconds.planned_to(NOW), ((NOW - seconds.start()) / 1000) as u64 + 1);
}

/// covers: CHR-0032
/// covers: CHR-0033
#[test]
fn months_return_to_their_day() {
    let end = good("R/2014-01-31/P1M");
    assert_eq!(
        first(&end, 5),
        [
            "2014-01-31T00:00:00.000Z",
            "2014-02-28T00:00:00.000Z",
            "2014-03-31T00:00:00.000Z",
            "2014-04-30T00:00:00.000Z",
            "2014-05-31T00:00:00.000Z"
        ]
    );
    let february = good("R/2010-02-28/P1M");
    assert_eq!(february.next(at("2026-11-20")), Some(at("2026-11-28")));
    let leap = good("R/2024-02-29/P1Y");
    assert_eq!(leap.next(at("2027-06-01")), Some(at("2028-02-29")));
}

/// covers: CHR-0034
/// covers: CHR-0035
/// covers: CHR-0036
#[test]
fn clocks_that_change() {
    let spring = parse("R/2024-03-09T02:30:00/P1D", "America/New_York").unwrap();
    assert_eq!(
        first(&spring, 3),
        ["2024-03-09T07:30:00.000Z", "2024-03-10T07:30:00.000Z", "2024-03-11T06:30:00.000Z"]
    );
    assert_eq!(spring.shown(spring.start()), "R/2024-03-10T03:30:00.000-04:00/P1D");
    assert_eq!(spring.shown(at("2024-03-10T12:00Z")), "R/2024-03-11T02:30:00.000-04:00/P1D");
    let autumn = parse("R/2024-11-02T01:30:00/P1D", "America/New_York").unwrap();
    assert_eq!(
        first(&autumn, 3),
        ["2024-11-02T05:30:00.000Z", "2024-11-03T05:30:00.000Z", "2024-11-04T06:30:00.000Z"]
    );
    let exact = parse("R/2024-11-02T12:00:00/PT24H", "America/New_York").unwrap();
    assert_eq!(exact.shown(exact.start()), "R/2024-11-03T11:00:00.000-05:00/PT24H");
    let hourly = parse("R/2024-11-03T00:30:00/PT1H", "America/New_York").unwrap();
    assert_eq!(
        first(&hourly, 4),
        [
            "2024-11-03T04:30:00.000Z",
            "2024-11-03T05:30:00.000Z",
            "2024-11-03T06:30:00.000Z",
            "2024-11-03T07:30:00.000Z"
        ]
    );
}

#[test]
fn a_day_that_a_zone_leaves_out_has_no_run_of_its_own() {
    // Samoa went from 2011-12-29 to 2011-12-31.
    let daily = parse("R/2011-12-29T10:00:00/P1D", "Pacific/Apia").unwrap();
    let times = first(&daily, 3);
    assert_eq!(times[1], "2011-12-30T20:00:00.000Z");
    assert_eq!(times[2], "2011-12-31T20:00:00.000Z");
}

#[test]
fn the_newest_of_many_missed_times() {
    let schedule = good("R/2014-01-01/PT5S");
    let times = schedule.newest(at("2014-01-01T00:00:00Z"), at("2024-01-01T00:00:04Z"), 3);
    let shown: Vec<String> = times.into_iter().map(print).collect();
    assert_eq!(
        shown,
        ["2023-12-31T23:59:50.000Z", "2023-12-31T23:59:55.000Z", "2024-01-01T00:00:00.000Z"]
    );
    assert!(schedule.newest(NOW, NOW, 3).is_empty());
    assert_eq!(good("R2/2014-01-01/P1D").newest(i64::MIN, NOW, 9).len(), 2);
}

#[test]
fn what_is_stored_means_the_same_when_it_is_read_again() {
    for (text, zone) in [
        ("R5//PT90M", ""),
        ("R/2024-03-09T02:30:00+05:00/P1M", "America/New_York"),
        ("R1//P", "Europe/Paris"),
        ("R/2014-10-10T18:32-09:30/P1W", ""),
        ("R/0001-01-01/P1Y", ""),
    ] {
        let schedule = parse(text, zone).unwrap();
        let again = Schedule::restore(&schedule.canonical(), zone, text).unwrap();
        assert_eq!(again, schedule, "{text}");
        assert_eq!(again.next(NOW), schedule.next(NOW), "{text}");
        assert_eq!(again.given(), text);
    }
}

proptest::proptest! {
    #[test]
    fn counting_and_stepping_agree(
        start in 0_i64..4_000_000_000_000, months in 0_i64..30, days in 0_i64..40, secs in 1_i64..100_000,
        time in 0_i64..6_000_000_000_000,
    ) {
        let text = format!("R/{}/P{months}M{days}DT{secs}S", print(start));
        let schedule = parse(&text, "America/New_York").unwrap();
        let next = schedule.next(time).unwrap();
        proptest::prop_assert!(next > time);
        proptest::prop_assert_eq!(schedule.planned_to(next), schedule.planned_to(time) + 1);
        proptest::prop_assert_eq!(schedule.last(next), Some(next));
        if let Some(last) = schedule.last(time) {
            proptest::prop_assert!(last <= time && schedule.next(last) == Some(next));
        }
    }

    #[test]
    fn no_text_ends_the_program(text in "R?[0-9]{0,3}/?[-0-9:TZW+.,é]{0,20}/?P?[-0-9YMWDTHS.,]{0,12}", zone in "[A-Z/+0-9:é]{0,8}") {
        if let Ok(schedule) = parse(&text, &zone) {
            let _ = (schedule.next(NOW), schedule.shown(NOW), schedule.canonical(), schedule.planned_to(i64::MAX));
        }
    }
}
