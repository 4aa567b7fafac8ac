//! When schedules are due: tables of known days, and properties against a walk over every minute.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;

use chrono::{DateTime, Datelike, Duration, NaiveDateTime, Timelike, Utc};
use halyard_domain::schedule::{Cron, Dst, InvalidCron, Timing, Zone};
use proptest::{prelude::*, sample::select};

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn cron(expression: &str, zone: &str, dst: Dst) -> Timing {
    Timing::Cron { cron: expression.parse().unwrap(), zone: zone.parse().unwrap(), dst }
}

fn preview(timing: &Timing, from: &str, n: usize) -> Vec<String> {
    timing.preview(at(from), n).into_iter().map(|at| at.format("%Y-%m-%dT%H:%MZ").to_string()).collect()
}

#[test]
fn what_crontab_means() {
    // 2026-01-01 is a Thursday.
    for (expression, expected) in [
        ("0 2 * * *", ["2026-01-01T02:00Z", "2026-01-02T02:00Z", "2026-01-03T02:00Z"]),
        ("*/20 9-10 * * *", ["2026-01-01T09:00Z", "2026-01-01T09:20Z", "2026-01-01T09:40Z"]),
        ("50/5 23 * * *", ["2026-01-01T23:50Z", "2026-01-01T23:55Z", "2026-01-02T23:50Z"]),
        ("5,1,3-4 0 1 1 *", ["2026-01-01T00:01Z", "2026-01-01T00:03Z", "2026-01-01T00:04Z"]),
        ("0 0 * * MON-FRI", ["2026-01-02T00:00Z", "2026-01-05T00:00Z", "2026-01-06T00:00Z"]),
        ("0 0 * * sat-sun", ["2026-01-03T00:00Z", "2026-01-04T00:00Z", "2026-01-10T00:00Z"]),
        ("0 0 * * 7", ["2026-01-04T00:00Z", "2026-01-11T00:00Z", "2026-01-18T00:00Z"]),
        ("0 0 31 * *", ["2026-01-31T00:00Z", "2026-03-31T00:00Z", "2026-05-31T00:00Z"]),
        ("0 0 29 2 *", ["2028-02-29T00:00Z", "2032-02-29T00:00Z", "2036-02-29T00:00Z"]),
        ("0 0 29 FEB *", ["2028-02-29T00:00Z", "2032-02-29T00:00Z", "2036-02-29T00:00Z"]),
        ("0 0 L * *", ["2026-01-31T00:00Z", "2026-02-28T00:00Z", "2026-03-31T00:00Z"]),
        ("0 0 l,1 2 *", ["2026-02-01T00:00Z", "2026-02-28T00:00Z", "2027-02-01T00:00Z"]),
        ("0 0 1 jan,JUL *", ["2026-07-01T00:00Z", "2027-01-01T00:00Z", "2027-07-01T00:00Z"]),
        // Both days restricted: either; one of them with a star: both.
        ("0 0 13 * FRI", ["2026-01-02T00:00Z", "2026-01-09T00:00Z", "2026-01-13T00:00Z"]),
        ("0 0 */10 * MON", ["2026-05-11T00:00Z", "2026-06-01T00:00Z", "2026-08-31T00:00Z"]),
        // No February 30th, but Mondays.
        ("0 0 30 2 MON", ["2026-02-02T00:00Z", "2026-02-09T00:00Z", "2026-02-16T00:00Z"]),
    ] {
        assert_eq!(preview(&cron(expression, "UTC", Dst::Skip), "2026-01-01T00:00:00Z", 3), expected, "{expression}");
    }
}

#[test]
fn what_is_no_expression_is_refused_with_the_rule() {
    for (expression, code, detail) in [
        ("0 0 2 * * *", "seconds_not_supported", "seconds and years are not supported"),
        ("0 0 2 * * * 2026", "seconds_not_supported", "has 7 fields"),
        ("", "invalid_cron", "has 0 fields"),
        ("@daily", "invalid_cron", "has 1 fields"),
        ("* * * *", "invalid_cron", "has 4 fields"),
        ("60 * * * *", "invalid_cron", "minute: \"60\""),
        ("* 24 * * *", "invalid_cron", "hour"),
        ("* * 0 * *", "invalid_cron", "day of month"),
        ("* * 32 * *", "invalid_cron", "from 1 to 31"),
        ("* * * 13 *", "invalid_cron", "month"),
        ("* * * * 8", "invalid_cron", "day of week"),
        ("* * * * FUN", "invalid_cron", "\"FUN\""),
        ("* * * * FRI-MON", "invalid_cron", "\"FRI-MON\""),
        ("30-10 * * * *", "invalid_cron", "minute"),
        ("*/0 * * * *", "invalid_cron", "step"),
        ("*/-1 * * * *", "invalid_cron", "minute"),
        ("+5 * * * *", "invalid_cron", "minute"),
        ("1,,2 * * * *", "invalid_cron", "\"\""),
        ("1-2-3 * * * *", "invalid_cron", "minute"),
        ("*/5/5 * * * *", "invalid_cron", "minute"),
        ("? * * * *", "invalid_cron", "minute"),
        ("* * * L *", "invalid_cron", "month"),
        ("* * * * 5#2", "invalid_cron", "day of week"),
        ("99999999999999999999 * * * *", "invalid_cron", "minute"),
        ("0 0 30 2 *", "never_due", "no year has such a day"),
        ("0 0 30,31 FEB *", "never_due", "no year"),
        ("0 0 31 2,4,6,9,11 *", "never_due", "no year"),
    ] {
        let refused: InvalidCron = expression.parse::<Cron>().unwrap_err();
        assert_eq!(refused.code(), code, "{expression}");
        assert!(refused.to_string().contains(detail), "{expression}: {refused}");
    }
    assert_eq!(format!("{}* * * *", "1,".repeat(100)).parse::<Cron>().unwrap_err(), InvalidCron::TooLong);
    assert_eq!("  0   2 * *\t* ".parse::<Cron>().unwrap().to_string(), "0 2 * * *");
}

#[test]
fn zones_go_by_their_iana_names() {
    assert_eq!("europe/berlin".parse::<Zone>().unwrap().name(), "Europe/Berlin");
    for known in ["UTC", "Etc/UTC", "US/Eastern", "America/Argentina/Buenos_Aires", "Asia/Kathmandu"] {
        assert_eq!(known.parse::<Zone>().unwrap().name(), known);
    }
    for unknown in ["", "Mars/Olympus", "CET-1CEST", "+01:00", "Etc/Unknown", "../etc/passwd", "local"] {
        assert!(unknown.parse::<Zone>().is_err(), "{unknown}");
    }
}

/// What the documentation of `EventBridge` Scheduler says of `skip`, and the same days with `shift`.
#[test]
fn a_local_time_that_does_not_exist_is_skipped_or_shifted_by_the_gap() {
    for (expression, zone, from, skip, shift) in [
        // 02:00 to 03:00 is missing on the 29th.
        ("30 2 * * *", "Europe/Berlin", "2026-03-28T02:00:00Z", "2026-03-30T00:30Z", "2026-03-29T01:30Z"),
        ("30 2 * * *", "America/New_York", "2026-03-07T08:00:00Z", "2026-03-09T06:30Z", "2026-03-08T07:30Z"),
        // 02:00 to 02:30 is missing: the gap is half an hour.
        ("10 2 * * *", "Australia/Lord_Howe", "2026-10-03T00:00:00Z", "2026-10-04T15:10Z", "2026-10-03T15:40Z"),
        // Midnight itself is missing.
        ("0 0 * * *", "America/Sao_Paulo", "2018-11-03T03:30:00Z", "2018-11-05T02:00Z", "2018-11-04T03:00Z"),
        // A whole day is missing.
        ("0 12 30 12 *", "Pacific/Apia", "2011-12-01T00:00:00Z", "2012-12-29T22:00Z", "2011-12-30T22:00Z"),
    ] {
        assert_eq!(preview(&cron(expression, zone, Dst::Skip), from, 1), [skip], "{zone} skip");
        assert_eq!(preview(&cron(expression, zone, Dst::Shift), from, 1), [shift], "{zone} shift");
    }
    // What was shifted and what is due anyway are one after the other, and what falls together is due once.
    let half_hours = preview(&cron("*/30 2-3 * * *", "Europe/Berlin", Dst::Shift), "2026-03-29T00:00:00Z", 3);
    assert_eq!(half_hours, ["2026-03-29T01:00Z", "2026-03-29T01:30Z", "2026-03-30T00:00Z"]);
}

#[test]
fn a_local_time_that_happens_twice_is_due_once_the_first_time() {
    for (expression, zone, from, expected) in [
        ("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", ["2026-10-25T00:30Z", "2026-10-26T01:30Z"]),
        ("30 1 * * *", "America/New_York", "2026-10-31T12:00:00Z", ["2026-11-01T05:30Z", "2026-11-02T06:30Z"]),
        ("45 1 * * *", "Australia/Lord_Howe", "2026-04-04T00:00:00Z", ["2026-04-04T14:45Z", "2026-04-05T15:15Z"]),
        ("30 23 * * *", "America/Sao_Paulo", "2018-02-17T12:00:00Z", ["2018-02-18T01:30Z", "2018-02-19T02:30Z"]),
        // Every half hour: an hour without, as the second 02:00 and 02:30 have been there.
        ("*/30 * * * *", "Europe/Berlin", "2026-10-25T00:15:00Z", ["2026-10-25T00:30Z", "2026-10-25T02:00Z"]),
    ] {
        for dst in [Dst::Skip, Dst::Shift] {
            assert_eq!(preview(&cron(expression, zone, dst), from, 2), expected, "{zone} {dst}");
        }
    }
}

#[test]
fn an_interval_is_anchored_and_once_is_once() {
    let every = Timing::Interval { every: Duration::seconds(90), anchor: at("2026-01-01T00:00:10Z") };
    assert_eq!(every.next_after(at("2026-01-01T00:00:10Z")), Some(at("2026-01-01T00:01:40Z")));
    assert_eq!(every.next_after(at("2026-01-01T00:01:39.9Z")), Some(at("2026-01-01T00:01:40Z")));
    assert_eq!(every.next_after(at("2026-01-01T00:01:40Z")), Some(at("2026-01-01T00:03:10Z")));
    assert_eq!(every.next_after(at("2025-06-01T00:00:00Z")), Some(at("2026-01-01T00:01:40Z")), "not before it begins");
    assert_eq!(every.next_after(DateTime::<Utc>::MAX_UTC), None);
    let once = Timing::Once { at: at("2026-02-03T04:05:06.789Z") };
    assert_eq!(once.preview(at("2026-01-01T00:00:00Z"), 5), [at("2026-02-03T04:05:06.789Z")]);
    assert_eq!(once.next_after(at("2026-02-03T04:05:06.789Z")), None);
}

#[test]
fn a_search_ends_where_the_calendar_does() {
    let yearly = cron("0 0 29 2 *", "Europe/Berlin", Dst::Skip);
    assert_eq!(yearly.next_after(at("2096-03-01T00:00:00Z")), Some(at("2104-02-28T23:00:00Z")), "2100 has no such day");
    assert_eq!(yearly.next_after(at("9999-06-01T00:00:00Z")), None);
    assert_eq!(cron("* * * * *", "Asia/Tokyo", Dst::Shift).next_after(at("9999-12-31T23:59:00Z")), None);
    let _ = cron("* * * * *", "Asia/Tokyo", Dst::Shift).next_after(DateTime::<Utc>::MAX_UTC);
    let _ = cron("* * * * *", "Asia/Tokyo", Dst::Shift).next_after(DateTime::<Utc>::MIN_UTC);
}

/// An expression beside the values that it was made from.
#[derive(Debug, Clone)]
struct Made {
    text: String,
    minutes: BTreeSet<u32>,
    hours: BTreeSet<u32>,
    days: Option<BTreeSet<u32>>,
    months: Option<BTreeSet<u32>>,
    weekdays: Option<BTreeSet<u32>>,
}

impl Made {
    /// Written without regard to how the code does it.
    fn fits(&self, local: NaiveDateTime) -> bool {
        let weekday = local.weekday().num_days_from_sunday();
        let day = match (&self.days, &self.weekdays) {
            (Some(days), Some(weekdays)) => days.contains(&local.day()) || weekdays.contains(&weekday),
            (days, weekdays) => {
                days.as_ref().is_none_or(|days| days.contains(&local.day()))
                    && weekdays.as_ref().is_none_or(|weekdays| weekdays.contains(&weekday))
            }
        };
        let month = self.months.as_ref().is_none_or(|months| months.contains(&local.month()));
        local.second() == 0
            && self.minutes.contains(&local.minute())
            && self.hours.contains(&local.hour())
            && day
            && month
    }
}

fn list(values: Option<&BTreeSet<u32>>) -> String {
    let text = |values: &BTreeSet<u32>| values.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
    values.map_or("*".to_owned(), text)
}

fn values(low: u32, high: u32, most: usize) -> impl Strategy<Value = BTreeSet<u32>> {
    prop_oneof![
        3 => prop::collection::btree_set(low..=high, 1..=most),
        1 => Just((low..=high).collect::<BTreeSet<u32>>()),
    ]
}

fn made() -> impl Strategy<Value = Made> {
    // Hours around midnight and two o'clock, where clocks are put.
    let hours = prop_oneof![values(0, 23, 3), prop::collection::btree_set(0_u32..4, 1..4)];
    let days = prop::option::of(prop_oneof![values(1, 31, 4), Just(BTreeSet::from([29])), Just(BTreeSet::from([31]))]);
    (values(0, 59, 4), hours, days, prop::option::of(values(1, 12, 6)), prop::option::of(values(0, 6, 2)))
        .prop_map(|(minutes, hours, days, months, weekdays)| Made {
            text: format!(
                "{} {} {} {} {}",
                list(Some(&minutes)),
                list(Some(&hours)),
                list(days.as_ref()),
                list(months.as_ref()),
                list(weekdays.as_ref())
            ),
            minutes,
            hours,
            days,
            months,
            weekdays,
        })
        .prop_filter("short enough and possible", |made| made.text.parse::<Cron>().is_ok())
}

/// Days around which clocks are put, and some on which nothing happens.
fn around() -> impl Strategy<Value = (&'static str, DateTime<Utc>)> {
    select(vec![
        ("Europe/Berlin", at("2026-03-28T12:00:00Z")),
        ("Europe/Berlin", at("2026-10-24T12:00:00Z")),
        ("America/New_York", at("2026-03-07T12:00:00Z")),
        ("America/New_York", at("2026-10-31T12:00:00Z")),
        ("Australia/Lord_Howe", at("2026-10-03T00:00:00Z")),
        ("Australia/Lord_Howe", at("2026-04-04T00:00:00Z")),
        ("America/Sao_Paulo", at("2018-11-03T12:00:00Z")),
        ("America/Sao_Paulo", at("2018-02-17T12:00:00Z")),
        ("Pacific/Apia", at("2011-12-29T12:00:00Z")),
        ("America/Scoresbysund", at("2024-03-30T12:00:00Z")),
        ("UTC", at("2028-02-28T00:00:00Z")),
        ("Asia/Kathmandu", at("2026-01-30T12:00:00Z")),
        ("Europe/Berlin", at("2099-12-31T12:00:00Z")),
    ])
}

/// Every moment of the days from `from` on at which `made` is due: a walk over every minute.
fn walk(made: &Made, zone: &Zone, dst: Dst, from: DateTime<Utc>, to: DateTime<Utc>) -> BTreeSet<DateTime<Utc>> {
    let minute = Duration::minutes(1);
    let (mut seen, mut due) = (BTreeSet::new(), BTreeSet::new());
    let mut at = from - Duration::hours(30);
    while at <= to {
        let (before, now) = (zone.local(at - minute) + minute, zone.local(at));
        if dst == Dst::Shift && now > before {
            // Clocks jumped: each minute that is left out, later by the jump.
            let left_out = std::iter::successors(Some(before), |local| Some(*local + minute)).take_while(|l| *l < now);
            due.extend(left_out.filter(|local| made.fits(*local)).map(|local| at + (local - before)));
        }
        if seen.insert(now) && made.fits(now) {
            due.insert(at);
        }
        at += minute;
    }
    due.into_iter().filter(|at| *at > from && *at <= to).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn what_is_due_is_what_a_walk_over_every_minute_finds(
        made in made(), (zone, start) in around(), shift: bool, offset in 0_i64..2_000, seconds in 0_i64..60,
    ) {
        let dst = if shift { Dst::Shift } else { Dst::Skip };
        let timing = cron(&made.text, zone, dst);
        let from = start + Duration::minutes(offset);
        let to = from + Duration::days(2);
        let expected = walk(&made, &zone.parse().unwrap(), dst, from, to);
        let found: BTreeSet<_> =
            std::iter::successors(timing.next_after(from), |last| timing.next_after(*last)).take_while(|at| *at <= to).collect();
        prop_assert_eq!(&found, &expected, "{} in {}, {}", made.text, zone, dst);
        // From between two minutes as well.
        let between = from + Duration::seconds(seconds);
        let next = timing.next_after(between);
        let expected = expected.into_iter().find(|at| *at > between);
        prop_assert_eq!(next.filter(|at| *at <= to), expected);
    }

    #[test]
    fn what_is_due_next_comes_later_and_nothing_lies_between(made in made(), (zone, start) in around(), shift: bool, ahead in 0_i64..900_000) {
        let timing = cron(&made.text, zone, if shift { Dst::Shift } else { Dst::Skip });
        let from = start + Duration::seconds(ahead);
        if let Some(next) = timing.next_after(from) {
            prop_assert!(next > from);
            let between = from + (next - from) / 2;
            prop_assert_eq!(timing.next_after(between), Some(next));
        }
    }

    #[test]
    fn an_interval_keeps_its_beat(every in 60_i64..1_000_000, ahead in -1_000_000_i64..10_000_000) {
        let anchor = at("2026-01-01T00:00:00Z");
        let timing = Timing::Interval { every: Duration::seconds(every), anchor };
        let from = anchor + Duration::seconds(ahead);
        let next = timing.next_after(from).unwrap();
        let since = (next - anchor).num_seconds();
        prop_assert!(next > from && since >= every && since % every == 0);
        prop_assert!(next - Duration::seconds(every) <= from.max(anchor));
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "[0-9A-Za-z*/,#? -]{0,40}", any in ".{0,40}") {
        let _ = (text.parse::<Cron>(), any.parse::<Cron>(), any.parse::<Zone>());
    }
}
