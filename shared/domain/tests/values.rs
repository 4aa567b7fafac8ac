//! Identifiers, randomness, the histogram, permissions and the rules for names.

#![allow(clippy::unwrap_used, reason = "tests")]

use chrono::{DateTime, Utc};
use halyard_domain::{
    Clock, Entropy, ManualClock, RequestId, SessionId, TaskId,
    authz::{Grants, Permission},
    histogram,
    user::{Role, check_email, check_password, check_username},
};
use proptest::prelude::*;
use uuid::Uuid;

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).unwrap()
}

#[test]
fn a_ulid_sorts_by_its_time_and_follows_its_seed() {
    let (one, two) = (Entropy::seeded(7), Entropy::seeded(7));
    assert_eq!(one.ulid(at(1)), two.ulid(at(1)));
    assert!(one.ulid(at(2)) > one.ulid(at(1)));
    assert_ne!(Entropy::seeded(8).ulid(at(1)), Entropy::seeded(9).ulid(at(1)));
}

#[test]
fn an_id_of_the_specification_is_written_as_the_specification_writes_it() {
    // github.com/ulid/spec: the largest valid ULID.
    assert_eq!(TaskId(Uuid::from_u128(u128::MAX)).to_string(), "task_7ZZZZZZZZZZZZZZZZZZZZZZZZZ");
    assert!("task_80000000000000000000000000".parse::<TaskId>().is_err(), "would overflow 128 bits");
    assert!("task_01ARZ3NDEKTSV4RRFFQ69G5FA".parse::<TaskId>().is_err(), "too short");
    assert!("sess_01ARZ3NDEKTSV4RRFFQ69G5FAV".parse::<TaskId>().is_err(), "another kind");
    assert!("task_01ARZ3NDEKTSV4RRFFQ69G5FAV".parse::<TaskId>().is_ok());
}

#[test]
fn a_clients_request_id_is_taken_only_when_well_formed() {
    assert!(RequestId::parse("3f2c-aa.B_9").is_some());
    for bad in ["short", "with space inside", "new\nline-here", &"x".repeat(129), "sn\u{f6}wman-id"] {
        assert!(RequestId::parse(bad).is_none(), "{bad:?}");
    }
    assert!(RequestId::parse(RequestId::from_bytes([9; 16]).as_str()).is_some());
}

#[test]
fn the_manual_clock_stands_still_until_it_is_moved() {
    let clock = ManualClock::new(at(100));
    assert_eq!(clock.now(), at(100));
    clock.advance(chrono::Duration::seconds(5));
    assert_eq!((clock.now(), clock.database_override()), (at(105), Some(at(105))));
}

#[test]
fn grants_open_by_name_by_area_and_by_star() {
    let grants = |list: &[&str]| Grants(list.iter().map(|&g| g.to_owned()).collect());
    assert!(Grants::of(Role::Admin, &[]).allow(Permission::SystemManage));
    assert!(!Grants::of(Role::User, &[]).allow(Permission::UsersRead));
    assert!(Grants::of(Role::User, &["users:read".into()]).allow(Permission::UsersRead));
    assert!(!Grants::of(Role::Operator, &[]).allow(Permission::UsersWrite));
    assert!(grants(&["tasks:*"]).allow(Permission::TasksReadAll));
    assert!(!grants(&["tasks:*"]).allow(Permission::UsersRead));
    assert!(!grants(&["tasks"]).allow(Permission::TasksReadAll));
    let odd = ["x *", "*\t", " system:manage", "\u{2003}*", ""].map(str::to_owned);
    assert_eq!(Grants::of(Role::User, &odd), Grants::default(), "not one word");
}

#[test]
fn rules_for_names_addresses_and_passwords() {
    for good in ["bob", "a.b-c_9", &"x".repeat(80)] {
        assert!(check_username(good).is_ok(), "{good}");
    }
    for bad in ["ab", "with space", "sn\u{f6}rre", &"x".repeat(81), "a\0b"] {
        assert!(check_username(bad).is_err(), "{bad}");
    }
    for good in ["a@b.co", "first.last+tag@sub.example.org"] {
        assert!(check_email(good).is_ok(), "{good}");
    }
    for bad in ["", "a", "@b.co", "a@", "a@b", "a@b..co", "a b@c.de", "a@b@c.de", "a@b.co\n"] {
        assert!(check_email(bad).is_err(), "{bad}");
    }
    for good in ["12345678", "p\u{e4}ssw\u{f6}rd", &"\u{1f511}".repeat(128)] {
        assert!(check_password(good).is_ok(), "{good}");
    }
    for bad in ["1234567", &"x".repeat(129), "pass\0word"] {
        assert!(check_password(bad).is_err(), "{bad:?}");
    }
}

proptest! {
    #[test]
    fn ids_read_back(n: u128) {
        let (task, session) = (TaskId(Uuid::from_u128(n)), SessionId(Uuid::from_u128(n)));
        prop_assert_eq!(task.to_string().parse(), Ok(task));
        prop_assert_eq!(session.to_string().parse(), Ok(session));
        prop_assert_eq!(serde_json::from_str::<TaskId>(&serde_json::to_string(&task).unwrap()).unwrap(), task);
    }

    #[test]
    fn ids_sort_as_their_text_does(a: u128, b: u128) {
        let (a, b) = (TaskId(Uuid::from_u128(a)), TaskId(Uuid::from_u128(b)));
        prop_assert_eq!(a.cmp(&b), a.to_string().cmp(&b.to_string()));
    }

    #[test]
    fn a_bucket_stands_for_its_durations_within_the_stated_error(seconds in 0.001_f64..800_000.0) {
        let middle = histogram::middle(histogram::bucket(seconds));
        prop_assert!((middle - seconds).abs() / seconds <= 0.046, "{seconds} became {middle}");
    }

    #[test]
    fn the_median_of_a_histogram_is_within_the_error_of_the_true_one(
        mut all in prop::collection::vec(0.002_f64..10_000.0, 1..200),
    ) {
        let mut counts = std::collections::BTreeMap::<i16, i64>::new();
        for &s in &all {
            *counts.entry(histogram::bucket(s)).or_default() += 1;
        }
        all.sort_by(f64::total_cmp);
        let truth = all[all.len().div_ceil(2) - 1];
        let found = histogram::quantile(&counts.into_iter().collect::<Vec<_>>(), 0.5).unwrap();
        prop_assert!((found - truth).abs() / truth <= 0.046);
    }
}

#[test]
fn nothing_counted_has_no_quantile() {
    assert_eq!(histogram::quantile(&[], 0.5), None);
    assert_eq!(histogram::bucket(f64::NAN), 0);
    assert_eq!(histogram::bucket(1e12), histogram::MAX_BUCKET);
}
