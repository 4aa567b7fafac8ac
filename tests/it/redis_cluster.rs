//! Sessions and limits over a Redis cluster (`ElastiCache` in cluster mode): three servers that share the slots, refuse what
//! touches two of them, and send whoever asks the wrong one on.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use halyard_cloud::{
    Sessions,
    redis::{CachedSession, Check, Limits, Outcome, Redis, SessionCache, Visit},
    table::{Table, TableName, TableTwin},
};
use halyard_domain::{SessionId, UserId};
use halyard_tests::{redis_cluster::RedisCluster, wait};

use crate::contract::cache::session;

const PATIENCE: Duration = Duration::from_secs(30);
const BOUND: Duration = Duration::from_secs(5);

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_790_000_000, 0).expect("a moment")
}

fn store(redis: &Redis) -> Sessions {
    let name = TableName("sessions".to_owned());
    let table: Arc<dyn Table> = Arc::new(TableTwin::in_memory([name.clone()]).expect("a twin"));
    Sessions::new(table, name, Some(SessionCache::new(redis.clone(), BOUND)))
}

async fn enter(redis: &Redis, key: &str) -> u32 {
    let checks = [Check::per_minute(key, 5), Check::per_minute("login:address:192.0.2.1", 100)];
    let outcomes = [Outcome { route: "GET /x".into(), status: 200, duration: Duration::from_millis(3), at: now() }];
    let visit = Visit { route: Some("POST /auth/login"), user: None, outcomes: &outcomes };
    Limits::new(redis.clone()).enter(now(), &checks, visit).await.expect("one slot")[0].remaining
}

async fn trips(redis: &Redis, ask: impl AsyncFnOnce()) -> u64 {
    let before = redis.round_trips();
    ask().await;
    redis.round_trips() - before
}

#[tokio::test]
async fn every_command_keeps_to_one_slot_and_finds_its_server_whichever_it_was_told_of() {
    let cluster = RedisCluster::start(3).await;
    for told in 0..3 {
        let redis = cluster.connect(told);
        let mut two_slots = redis::cmd("MGET");
        two_slots.arg("{a}:1").arg("{b}:1");
        let refused = redis.run::<Vec<Option<String>>>(&two_slots).await.expect_err("two slots").to_string();
        assert!(refused.to_lowercase().contains("slot"), "the server looks at slots: {refused}");

        let key = format!("login:account:ada-{told}");
        assert_eq!(enter(&redis, &key).await, 4);
        Limits::new(redis.clone()).penalize(now(), &Check::per_minute(key.as_str(), 5)).await.expect("one slot");
        assert_eq!(redis.live_counts(now(), 3).await.expect("one slot")[0].requests, 2 * told as u64 + 1);
        let store = store(&redis);
        for n in 0..20 {
            let user = UserId(100 * i64::try_from(told).expect("small") + n);
            let session = session(user, now());
            store.create(&session).await.expect("created");
            store.lookup(user, session.id, now()).await.expect("filled").expect("live");
            let asked = trips(&redis, async || {
                store.lookup(user, session.id, now()).await.expect("from the cache").expect("live");
            });
            assert_eq!(asked.await, 1, "the map is known");
            store.revoke(user, session.id, now()).await.expect("revoked");
            assert_eq!(store.lookup(user, session.id, now()).await.expect("a tombstone"), None);
            store.bump_epoch(user, 3, now()).await.expect("raised");
        }
        assert_eq!(
            trips(&redis, async || {
                enter(&redis, &key).await;
            })
            .await,
            1,
            "the map is known"
        );
        redis.info().await.expect("figures");
    }
    for node in cluster.nodes() {
        assert!(node.size().await > 0, "keys are spread over the servers");
    }
}

/// A slot moves to another server while requests go on: first its keys are asked for (`ASK`), then it has moved (`MOVED`).
#[tokio::test]
async fn a_slot_that_moves_to_another_server_is_followed() {
    let cluster = RedisCluster::start(3).await;
    let redis = cluster.connect(0);
    let store = store(&redis);
    let user = UserId(7);
    let session = session(user, now());
    store.create(&session).await.expect("created");
    let (from, slot) = cluster.owner(&format!("{{user:{user}}}")).await;
    let to = (from + 1) % 3;
    // The map is known before.
    let warm = UserId(8);
    store.lookup(warm, session.id, now()).await.expect("nothing there");

    let (source, target, slot) = (&cluster.nodes()[from], &cluster.nodes()[to], slot.to_string());
    target.tell(&["SETSLOT", &slot, "IMPORTING", &source.id]).await;
    source.tell(&["SETSLOT", &slot, "MIGRATING", &target.id]).await;
    // What touches several keys of the slot is put off by both servers (TRYAGAIN): then the table answers. What touches one
    // is done by the new one: a tombstone.
    store.lookup(user, session.id, now()).await.expect("from the table").expect("live");
    let other = SessionId(uuid::Uuid::from_u128(9));
    let cache = SessionCache::new(redis.clone(), BOUND);
    let asked = trips(&redis, async || cache.tombstone(user, other, 2, now()).await.expect("put"));
    assert_eq!(asked.await, 4, "the old server, then the new one, which is given the script's text");
    let asked = trips(&redis, async || cache.tombstone(user, other, 3, now()).await.expect("put"));
    assert_eq!(asked.await, 2);

    for node in [target, source, &cluster.nodes()[(from + 2) % 3]] {
        node.tell(&["SETSLOT", &slot, "NODE", &target.id]).await;
    }
    let hit = cache.get(user, other, now()).await.expect("moved");
    assert_eq!(hit.record, Some(CachedSession::Ended));
    store.revoke(user, session.id, now()).await.expect("revoked");
    let asked = trips(&redis, async || {
        assert_eq!(store.lookup(user, session.id, now()).await.expect("a tombstone"), None);
    });
    assert_eq!(asked.await, 1, "the map is known again");
}

/// A server dies. Until its replica has taken over, sessions come from the table: no answer is wrong.
#[tokio::test]
async fn when_a_server_dies_sessions_come_from_the_table_until_its_replica_has_taken_over() {
    let mut cluster = RedisCluster::start(3).await;
    let user = UserId(7);
    let (dying, _) = cluster.owner(&format!("{{user:{user}}}")).await;
    cluster.add_replica(dying).await;
    // The server that dies is the only one that the handle was told of.
    let redis = cluster.connect(dying);
    let store = store(&redis);
    let (one, other) = (session(user, now()), session(user, now()));
    for session in [&one, &other] {
        store.create(session).await.expect("created");
        store.lookup(user, session.id, now()).await.expect("filled").expect("live");
    }
    let elsewhere = UserId(1);
    assert_ne!(cluster.owner(&format!("{{user:{elsewhere}}}")).await.0, dying);
    store.lookup(elsewhere, one.id, now()).await.expect("the map is known");

    cluster.kill(dying);
    store.lookup(user, other.id, now()).await.expect("from the table").expect("live");
    store.revoke(user, one.id, now()).await.expect("revoked");
    assert_eq!(store.lookup(user, one.id, now()).await.expect("from the table"), None);

    wait::until("the replica to have taken over", PATIENCE, async || {
        let cache = SessionCache::new(redis.clone(), BOUND);
        store.lookup(user, other.id, now()).await.expect("from either").expect("live");
        cache.get(user, other.id, now()).await.ok().filter(|hit| hit.record.is_some())
    })
    .await;
    // What the table told once stands in the cache, and the end is still one.
    store.revoke(user, other.id, now()).await.expect("revoked");
    for session in [&one, &other] {
        let later = now() + chrono::TimeDelta::seconds(5);
        assert_eq!(store.lookup(user, session.id, later).await.expect("an answer"), None);
    }
}
