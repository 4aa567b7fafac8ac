//! Rate limits and live counters against a real Redis.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use halyard_cloud::redis::{Check, Decision, Limits, Outcome, Visit};
use halyard_domain::Entropy;

use super::redis::{shared, start};

fn per_minute(key: &str, limit: u32) -> Check {
    Check::per_minute(key, limit)
}

async fn enter(limits: &Limits, now: DateTime<Utc>, checks: &[Check]) -> Vec<Decision> {
    limits.enter(now, checks, Visit::default()).await.expect("an answer")
}

#[tokio::test]
async fn a_burst_passes_and_then_one_request_per_interval() {
    let limits = Limits::new(shared());
    let check = [per_minute("k", 6)];
    for left in (0..6).rev() {
        let decision = enter(&limits, start(), &check).await[0];
        assert_eq!((decision.allowed, decision.limit, decision.remaining), (true, 6, left));
        assert_eq!(decision.retry_after, Duration::ZERO);
    }
    let refused = enter(&limits, start(), &check).await[0];
    assert_eq!((refused.allowed, refused.remaining), (false, 0));
    assert_eq!((refused.retry_after, refused.reset), (Duration::from_secs(10), Duration::from_mins(1)));
    let just_before = start() + TimeDelta::seconds(10) - TimeDelta::microseconds(1);
    assert!(!enter(&limits, just_before, &check).await[0].allowed);
    let then = start() + TimeDelta::seconds(10);
    assert!(enter(&limits, then, &check).await[0].allowed);
    assert!(!enter(&limits, then, &check).await[0].allowed);
    let rested = enter(&limits, start() + TimeDelta::minutes(10), &check).await[0];
    assert_eq!((rested.allowed, rested.remaining), (true, 5));
}

#[tokio::test]
async fn a_request_that_one_check_refuses_is_charged_by_none() {
    let limits = Limits::new(shared());
    let (narrow, wide) = (per_minute("narrow", 1), per_minute("wide", 10));
    let both = [narrow, wide.clone()];
    assert!(enter(&limits, start(), &both).await.iter().all(|d| d.allowed));
    for _ in 0..3 {
        let decisions = enter(&limits, start(), &both).await;
        assert_eq!((decisions[0].allowed, decisions[1].allowed), (false, true));
        assert_eq!(decisions[1].remaining, 9);
    }
}

#[tokio::test]
async fn keys_and_namespaces_do_not_touch_each_other() {
    let (one, other) = (Limits::new(shared()), Limits::new(shared()));
    let check = [per_minute("k", 1)];
    assert!(enter(&one, start(), &check).await[0].allowed);
    assert!(!enter(&one, start(), &check).await[0].allowed);
    assert!(enter(&one, start(), &[per_minute("l", 1)]).await[0].allowed);
    assert!(enter(&other, start(), &check).await[0].allowed);
}

#[tokio::test]
async fn a_cost_of_zero_only_asks_and_a_cost_above_the_burst_never_passes() {
    let limits = Limits::new(shared());
    let costing = |cost| [Check { cost, ..per_minute("k", 5) }];
    assert_eq!(enter(&limits, start(), &costing(0)).await[0].remaining, 5);
    let too_much = enter(&limits, start(), &costing(6)).await[0];
    assert_eq!((too_much.allowed, too_much.remaining), (false, 5));
    assert_eq!(enter(&limits, start(), &costing(3)).await[0].remaining, 2);
}

/// A failed login costs more than a good one, so five good ones in a row pass and five failures do not; and whatever
/// somebody does to an account, it is open again after the limit's own interval.
#[tokio::test]
async fn a_penalty_charges_more_but_never_more_than_the_bucket_holds() {
    let limits = Limits::new(shared());
    let login = per_minute("login:maria", 5);
    enter(&limits, start(), std::slice::from_ref(&login)).await;
    let penalty = Check { cost: 1, ..login.clone() };
    assert_eq!(limits.penalize(start(), &penalty).await.expect("charged").remaining, 3);
    for _ in 0..20 {
        limits.penalize(start(), &penalty).await.expect("charged");
    }
    let refused = enter(&limits, start(), std::slice::from_ref(&login)).await[0];
    assert_eq!((refused.allowed, refused.retry_after), (false, Duration::from_secs(12)));
    let later = start() + TimeDelta::seconds(12);
    assert!(enter(&limits, later, std::slice::from_ref(&login)).await[0].allowed);
}

/// GCRA as the literature writes it, in whole microseconds.
struct Model {
    arrival: i64,
    interval: i64,
    tolerance: i64,
}

impl Model {
    fn enter(&mut self, now: i64, cost: i64) -> (bool, i64) {
        let after = self.arrival.max(now) + self.interval * cost;
        let wait = after - self.tolerance - now;
        if wait <= 0 {
            self.arrival = after;
        }
        (wait <= 0, wait.max(0))
    }
}

/// Random requests at random times; the seed is part of every failure's message.
#[tokio::test]
async fn the_script_agrees_with_the_algorithm_on_paper() {
    for seed in 0..20 {
        let limits = Limits::new(shared());
        let entropy = Entropy::seeded(seed);
        let random = |below: u64| u64::from_le_bytes(entropy.bytes()) % below;
        let (limit, burst, period) = (1 + random(50), 1 + random(20), 1 + random(120));
        let check = |cost| Check {
            key: "k".to_owned(),
            limit: u32::try_from(limit).expect("small"),
            period: Duration::from_secs(period),
            burst: u32::try_from(burst).expect("small"),
            cost,
        };
        let interval = i64::try_from(period * 1_000_000 / limit).expect("small");
        let mut model = Model { arrival: 0, interval, tolerance: interval * i64::try_from(burst).expect("small") };
        let mut now = start();
        for step in 0..40 {
            now += TimeDelta::microseconds(i64::try_from(random(interval.unsigned_abs() * 3)).expect("small"));
            let cost = u32::try_from(random(3)).expect("small");
            let got = enter(&limits, now, &[check(cost)]).await[0];
            let (allowed, wait) = model.enter(now.timestamp_micros(), i64::from(cost));
            let wait = Duration::from_micros(wait.unsigned_abs());
            assert_eq!((got.allowed, got.retry_after), (allowed, wait), "seed {seed}, step {step}");
        }
    }
}

#[tokio::test]
async fn side_by_side_requests_share_one_limit() {
    let limits = Limits::new(shared());
    let check = [per_minute("k", 10)];
    let decisions = futures::future::join_all((0..50).map(|_| enter(&limits, start(), &check))).await;
    assert_eq!(decisions.iter().filter(|d| d[0].allowed).count(), 10);
}

#[tokio::test]
async fn limits_counters_and_earlier_outcomes_take_one_round_trip() {
    let redis = shared();
    let limits = Limits::new(redis.clone());
    let outcome = |route: &str, status, millis, at| Outcome {
        route: route.to_owned(),
        status,
        duration: Duration::from_millis(millis),
        at,
    };
    let minute_ago = start() - TimeDelta::minutes(1);
    let outcomes =
        [outcome("GET /a", 200, 3, start()), outcome("GET /a", 503, 5, start()), outcome("GET /b", 201, 2, minute_ago)];
    // The first use brings the script along.
    enter(&limits, start(), &[per_minute("warm", 5)]).await;
    let before = redis.round_trips();
    let visit = Visit { route: Some("GET /a"), user: None, outcomes: &outcomes };
    let decisions =
        limits.enter(start(), &[per_minute("user", 5), per_minute("ip", 50)], visit).await.expect("entered");
    assert_eq!(redis.round_trips() - before, 1);
    assert!(decisions.iter().all(|d| d.allowed));

    let counts = redis.live_counts(start(), 3).await.expect("counts");
    assert_eq!((counts[0].requests, counts[0].routes.get("GET /a")), (1, Some(&1)));
    assert_eq!((counts[0].classes.get(&2), counts[0].classes.get(&5)), (Some(&1), Some(&1)));
    assert_eq!(counts[0].micros.get("GET /a"), Some(&8000));
    assert_eq!((counts[1].requests, counts[1].classes.get(&2)), (0, Some(&1)));
    assert_eq!(counts[2], halyard_cloud::redis::MinuteCounts::default());
}
