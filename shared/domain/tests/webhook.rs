use chrono::{DateTime, Duration, TimeZone as _, Utc};
use halyard_domain::webhook::{
    DeliveryState, Judgement, LONGEST, LONGEST_RETRY_AFTER, MOST_TRIES, SourceKind, harmless, judge, next_attempt,
    retry_after,
};
use proptest::prelude::*;

fn now() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 1, 1, 12, 0, 0).single().expect("a time")
}

#[test]
fn the_published_schedule_ends_within_a_day() {
    let (mut age, mut pauses) = (Duration::zero(), Vec::new());
    for tries in 1.. {
        let Some(pause) = next_attempt(tries, age, None, 0.0) else { break };
        pauses.push(pause.num_seconds());
        age += pause;
    }
    assert_eq!(pauses, [5, 30, 120, 600, 1_800, 3_600, 7_200, 14_400, 25_200, 32_400]);
    assert_eq!(pauses.len() + 1, usize::from(MOST_TRIES.unsigned_abs()));
    assert!(age <= LONGEST && age > LONGEST - Duration::hours(1));
    for none in [i16::MIN, -1, 0, MOST_TRIES, i16::MAX] {
        assert_eq!(next_attempt(none, Duration::zero(), None, 0.5), None, "{none}");
    }
}

#[test]
fn jitter_takes_a_fifth_off_at_most() {
    assert_eq!(next_attempt(4, Duration::zero(), None, 0.0), Some(Duration::seconds(600)));
    assert_eq!(next_attempt(4, Duration::zero(), None, 1.0), Some(Duration::seconds(480)));
}

#[test]
fn an_endpoint_may_ask_for_longer_pauses_within_bounds() {
    let after = |seconds| next_attempt(1, Duration::zero(), Some(Duration::seconds(seconds)), 0.0);
    assert_eq!(after(3), Some(Duration::seconds(5)), "not for shorter ones");
    assert_eq!(after(900), Some(Duration::seconds(900)));
    assert_eq!(after(i64::from(i32::MAX)), Some(LONGEST_RETRY_AFTER));
    assert_eq!(next_attempt(1, LONGEST, None, 0.0), None, "too old");
    assert_eq!(next_attempt(2, LONGEST - Duration::hours(1), Some(Duration::hours(2)), 0.0), None);
}

#[test]
fn retry_after_is_seconds_or_a_date() {
    let table = [
        ("120", Some(120)),
        (" 7 ", Some(7)),
        ("0", Some(0)),
        ("99999999999999999999999", Some(86_400)),
        ("Thu, 01 Jan 2026 12:05:00 GMT", Some(300)),
        ("Thu, 01 Jan 2026 11:05:00 GMT", None),
        ("Thu, 01 Jan 2037 11:05:00 GMT", Some(86_400)),
        ("", None),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
    ];
    for (value, seconds) in table {
        assert_eq!(retry_after(value, now()), seconds.map(Duration::seconds), "{value:?}");
    }
}

#[test]
fn only_two_hundreds_are_taken_and_410_ends_it() {
    for status in 100..600 {
        let expected = match status {
            200..=299 => Judgement::Delivered,
            410 => Judgement::Gone,
            _ => Judgement::Again,
        };
        assert_eq!(judge(status), expected, "{status}");
    }
}

#[test]
fn words_are_read_as_they_are_written() {
    use DeliveryState::{Delivered, Failed, Owed, Skipped, Superseded};
    for state in [Owed, Delivered, Failed, Skipped, Superseded] {
        assert_eq!(state.as_str().parse(), Ok(state));
    }
    assert_eq!("workflow".parse(), Ok(SourceKind::Workflow));
    assert!("lost".parse::<DeliveryState>().is_err());
}

proptest! {
    #[test]
    fn an_attempt_never_comes_after_a_day(tries in 1_i16..20, age in 0_i64..200_000, asked in 0_i64..200_000, jitter in 0.0..1.0_f64) {
        let age = Duration::seconds(age);
        if let Some(pause) = next_attempt(tries, age, Some(Duration::seconds(asked)), jitter) {
            prop_assert!(pause > Duration::zero() && age + pause <= LONGEST);
        }
    }

    #[test]
    fn what_is_kept_of_an_answer_is_short_and_harmless(body: Vec<u8>, most in 0_usize..64) {
        let kept = harmless(&body, most);
        prop_assert!(kept.len() <= most);
        prop_assert!(!kept.chars().any(|c| c.is_control() && c != '\n' && c != '\t'));
    }
}
