//! Guessing: what a guesser gains, and what somebody who mistypes loses.
#![allow(clippy::unwrap_used, reason = "a panic is a failed test")]

use chrono::{DateTime, Duration, Utc};
use halyard_domain::guesses::{ADDRESS, KNOWN, Ladder, SIGNED_IN, STRANGERS, Tally};
use proptest::prelude::*;

fn start() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

/// Guesses within a day by whoever tries again at the first moment that counts.
fn guesses_a_day(ladder: &Ladder) -> u32 {
    let (mut tally, mut now, mut n) = (None, start(), 0);
    while now < start() + Duration::days(1) {
        match Tally::attempt(tally, ladder, now) {
            Ok(after) => {
                tally = Some(after);
                n += 1;
            }
            Err(wait) => now += wait,
        }
    }
    n
}

#[test]
fn delays_come_before_locks() {
    let waits: Vec<i64> = (1..=17).map(|n| STRANGERS.wait(n).num_seconds()).collect();
    assert_eq!(waits, [0, 0, 0, 0, 0, 1, 2, 4, 8, 15, 30, 60, 120, 300, 900, 900, 900]);
}

#[test]
fn a_day_of_guessing_is_about_a_hundred_guesses() {
    assert!(guesses_a_day(&STRANGERS) <= 112, "{}", guesses_a_day(&STRANGERS));
    assert!(guesses_a_day(&SIGNED_IN) <= 112, "{}", guesses_a_day(&SIGNED_IN));
    assert!(guesses_a_day(&KNOWN) <= 310, "{}", guesses_a_day(&KNOWN));
}

#[test]
fn in_a_storm_a_stranger_waits_after_the_second_failure() {
    let storm = STRANGERS.in_a_storm();
    assert_eq!((storm.wait(1), storm.wait(2)), (Duration::zero(), Duration::seconds(1)));
    assert_eq!(storm.wait(u32::MAX), Duration::seconds(900));
}

#[test]
fn a_quiet_time_is_forgotten() {
    let tally = Tally { failures: 50, until: start(), at: start() };
    let memory = Duration::seconds(STRANGERS.memory.into());
    let just_before = Tally::attempt(Some(tally), &STRANGERS, start() + memory - Duration::milliseconds(1)).unwrap();
    assert_eq!(just_before.failures, 51);
    assert_eq!(Tally::attempt(Some(tally), &STRANGERS, start() + memory).unwrap().failures, 1);
}

proptest! {
    #[test]
    fn no_wait_is_shorter_after_more_failures_and_none_outlasts_the_memory(n in 0..100_u32) {
        for ladder in [STRANGERS, KNOWN, SIGNED_IN, ADDRESS] {
            prop_assert!(ladder.wait(n) <= ladder.wait(n + 1));
            prop_assert!(ladder.wait(n) < Duration::seconds(ladder.memory.into()));
        }
    }

    #[test]
    fn an_attempt_that_comes_too_early_is_told_when_to_come(gaps in prop::collection::vec(0..120_000_i64, 1..60)) {
        let (mut tally, mut now) = (None, start());
        for gap in gaps {
            now += Duration::milliseconds(gap);
            match Tally::attempt(tally, &STRANGERS, now) {
                Ok(after) => tally = Some(after),
                Err(wait) => {
                    prop_assert!(wait > Duration::zero());
                    prop_assert!(Tally::attempt(tally, &STRANGERS, now + wait - Duration::milliseconds(1)).is_err());
                    prop_assert!(Tally::attempt(tally, &STRANGERS, now + wait).is_ok());
                }
            }
        }
    }
}
