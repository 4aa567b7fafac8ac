//! A Redis that goes away and comes back, seen from an environment that may be frozen meanwhile.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use halyard_cloud::redis::{Check, Limits, Redis, RedisError, SessionCache, Visit};
use halyard_domain::UserId;
use halyard_tests::{servers::PrivateRedis, wait};

use super::{cache::session, redis::start};

fn handle(server: &PrivateRedis) -> Redis {
    Redis::new(&server.url(), "test").expect("a good URL")
}

async fn allowed(redis: &Redis, key: &str) -> Result<bool, RedisError> {
    let decisions = Limits::new(redis.clone()).enter(start(), &[Check::per_minute(key, 1)], Visit::default()).await?;
    Ok(decisions[0].allowed)
}

#[tokio::test]
async fn a_script_that_the_server_forgot_is_sent_again_at_the_cost_of_one_round_trip() {
    let server = PrivateRedis::start();
    let redis = handle(&server);
    let cost = async |key: &str| {
        let before = redis.round_trips();
        assert_eq!(allowed(&redis, key).await, Ok(true));
        redis.round_trips() - before
    };
    assert_eq!((cost("a").await, cost("b").await), (2, 1));
    server.command("SCRIPT FLUSH").expect("flushed");
    assert_eq!((cost("c").await, cost("d").await), (2, 1));
    server.command("FLUSHALL").expect("flushed");
    assert_eq!((cost("a").await, cost("e").await), (1, 1));
}

#[tokio::test]
async fn a_call_after_a_restart_notices_and_succeeds() {
    let mut server = PrivateRedis::start();
    let redis = handle(&server);
    for _ in 0..3 {
        assert_eq!(allowed(&redis, "k").await, Ok(true), "a restarted server knows no limits");
        server.stop();
        server.start_again();
    }
    redis.ping().await.expect("alive");
}

/// As on Lambda: nothing runs between two invocations, so the connection's own task cannot notice either.
#[test]
fn a_frozen_environment_finds_its_dead_connection_in_the_call_that_needs_it() {
    let mut server = PrivateRedis::start();
    let redis = handle(&server);
    let frozen = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    frozen.block_on(redis.ping()).expect("alive");
    server.stop();
    server.start_again();
    frozen.block_on(redis.ping()).expect("alive again, in the same call");
}

#[tokio::test]
async fn while_the_server_is_down_calls_fail_at_once_and_after_that_they_succeed() {
    let mut server = PrivateRedis::start();
    let redis = handle(&server);
    redis.ping().await.expect("alive");
    server.stop();
    for _ in 0..3 {
        let start = Instant::now();
        assert!(matches!(redis.ping().await, Err(RedisError::Unavailable(_))));
        assert!(start.elapsed() < Duration::from_millis(500), "it took {:?}", start.elapsed());
    }
    server.start_again();
    redis.ping().await.expect("alive");
}

/// A connection that was never made is no different.
#[tokio::test]
async fn a_handle_may_be_made_before_the_server_runs() {
    let mut server = PrivateRedis::start();
    server.stop();
    let redis = handle(&server);
    redis.warm_up().await;
    server.start_again();
    redis.ping().await.expect("alive");
}

#[tokio::test]
async fn a_server_that_hangs_costs_one_call_its_time_and_no_others() {
    let server = PrivateRedis::start();
    let redis = handle(&server);
    redis.ping().await.expect("alive");
    // It takes connections and commands, and answers nobody for two seconds.
    assert_eq!(server.command("CLIENT PAUSE 2000 ALL").expect("an answer").trim_end(), "+OK");
    let start = Instant::now();
    assert!(redis.ping().await.is_err());
    let first = start.elapsed();
    assert!(first < Duration::from_millis(1500), "it took {first:?}");
    let start = Instant::now();
    assert!(redis.ping().await.is_err());
    assert!(start.elapsed() < Duration::from_millis(50), "it took {:?}", start.elapsed());
    wait::until("the server to be used again", Duration::from_secs(10), || async { redis.ping().await.ok() }).await;
}

#[tokio::test]
async fn what_a_flush_takes_away_is_only_warmth() {
    let server = PrivateRedis::start();
    let redis = handle(&server);
    let cache = SessionCache::new(redis, Duration::from_secs(5));
    let (user, now) = (UserId(1), start());
    let session = session(user, now);
    cache.fill(user, Some((&session, 1)), Some(0), now, now).await.expect("filled");
    server.command("FLUSHALL").expect("flushed");
    let hit = cache.get(user, session.id, now).await.expect("an answer");
    assert_eq!((hit.record, hit.epoch), (None, None));
    let later = now + TimeDelta::seconds(1);
    cache.fill(user, Some((&session, 1)), Some(0), later, later).await.expect("filled again");
    assert!(cache.get(user, session.id, later).await.expect("an answer").record.is_some());
}
