//! Limits in memory, and the headers that tell of them.
#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use halyard_http::{Decision, Limit, LocalLimiter, rate_limit, rate_limit_policy};
use proptest::prelude::*;

fn start() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

fn limit(key: &str, quota: u32, cost: u32) -> Limit {
    Limit { name: "caller", key: key.to_owned(), quota, window: 60, cost }
}

#[test]
fn the_headers_follow_the_draft() {
    let limits = [limit("a", 5, 1), Limit { name: "address", ..limit("b", 100, 1) }];
    let decision = |remaining, ms| Decision {
        allowed: true,
        remaining,
        reset: Duration::from_millis(ms),
        retry_after: Duration::ZERO,
    };
    assert_eq!(rate_limit_policy(&limits), r#""caller";q=5;w=60, "address";q=100;w=60"#);
    assert_eq!(
        rate_limit(&limits, &[decision(4, 11_001), decision(99, 600)]),
        r#""caller";r=4;t=12, "address";r=99;t=1"#
    );
}

#[test]
fn a_burst_of_the_whole_quota_passes_and_the_next_waits_for_one_interval() {
    let limiter = LocalLimiter::default();
    for left in (0..5).rev() {
        let made = limiter.apply(&[limit("k", 5, 1)], start())[0];
        assert!(made.allowed);
        assert_eq!(made.remaining, left);
    }
    let refused = limiter.apply(&[limit("k", 5, 1)], start())[0];
    assert!(!refused.allowed);
    assert_eq!(refused.retry_after, Duration::from_secs(12));
    assert_eq!(refused.reset, Duration::from_mins(1));
    assert!(limiter.apply(&[limit("k", 5, 1)], start() + TimeDelta::seconds(12))[0].allowed);
}

#[test]
fn a_refusal_by_one_limit_charges_none() {
    let limiter = LocalLimiter::default();
    let (tight, loose) = (limit("tight", 1, 1), limit("loose", 10, 1));
    assert!(limiter.apply(&[tight.clone(), loose.clone()], start()).iter().all(|d| d.allowed));
    let second = limiter.apply(&[tight, loose.clone()], start());
    assert_eq!((second[0].allowed, second[1].allowed), (false, true));
    assert_eq!(limiter.apply(&[loose], start())[0].remaining, 8);
}

#[test]
fn a_penalty_empties_the_quota_but_never_locks_beyond_the_window() {
    let limiter = LocalLimiter::default();
    for _ in 0..50 {
        limiter.charge(&limit("k", 5, 1), start());
    }
    assert!(!limiter.apply(&[limit("k", 5, 1)], start())[0].allowed);
    assert!(limiter.apply(&[limit("k", 5, 5)], start() + TimeDelta::seconds(60))[0].allowed);
}

#[test]
fn memory_stays_bounded_under_many_callers() {
    let limiter = LocalLimiter::default();
    for n in 0..25_000 {
        assert!(limiter.apply(&[limit(&format!("k{n}"), 5, 1)], start())[0].allowed);
    }
}

proptest! {
    /// Over any stretch of time, at most the burst and what flows back in that time pass.
    #[test]
    fn never_more_pass_than_burst_plus_rate(
        quota in 1_u32..50,
        gaps in prop::collection::vec(0_i64..5_000, 1..300),
    ) {
        let limiter = LocalLimiter::default();
        let (mut now, mut passed) = (start(), 0_i64);
        for gap in gaps {
            now += TimeDelta::milliseconds(gap);
            passed += i64::from(limiter.apply(&[limit("k", quota, 1)], now)[0].allowed);
        }
        let elapsed_ms = (now - start()).num_milliseconds();
        let most = i64::from(quota) + elapsed_ms * i64::from(quota) / 60_000 + 1;
        prop_assert!(passed <= most, "{passed} of at most {most}");
    }

    /// Who waits as long as told is let in.
    #[test]
    fn waiting_as_told_is_enough(quota in 1_u32..50, tries in 1_usize..200) {
        let limiter = LocalLimiter::default();
        let mut now = start();
        for _ in 0..tries {
            let made = limiter.apply(&[limit("k", quota, 1)], now)[0];
            if !made.allowed {
                now += TimeDelta::from_std(made.retry_after).unwrap();
                prop_assert!(limiter.apply(&[limit("k", quota, 1)], now)[0].allowed);
            }
        }
    }
}
