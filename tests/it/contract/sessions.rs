//! The session store: what ends a session, and when the verifier sees it.

use std::{sync::Arc, time::Duration};

use chrono::{TimeDelta, Utc};
use halyard_cloud::{
    redis::{Redis, SessionCache},
    sessions::{SessionError, Sessions, Stored},
    table::{Condition, DynamoTable, Table, TableName, TableTwin},
};
use halyard_domain::{UserId, session::Session};
use halyard_tests::servers::PrivateRedis;

use super::{
    aws,
    cache::session,
    redis::{shared, start},
};

const USER: UserId = UserId(7);
const BOUND: Duration = Duration::from_secs(5);

fn table() -> (Arc<dyn Table>, TableName) {
    let name = TableName("sessions".to_owned());
    (Arc::new(TableTwin::in_memory([name.clone()]).expect("a twin")), name)
}

/// Two environments with caches in one Redis, and one without a cache, over one table.
struct Rig {
    here: Sessions,
    there: Sessions,
    bare: Sessions,
    redis: Redis,
    table: Arc<dyn Table>,
    name: TableName,
}

fn rig() -> Rig {
    let ((table, name), redis) = (table(), shared());
    let with = |cache| Sessions::new(Arc::clone(&table), name.clone(), cache);
    let cached = || with(Some(SessionCache::new(redis.clone(), BOUND)));
    Rig {
        here: cached(),
        there: cached(),
        bare: with(None),
        redis: redis.clone(),
        table: Arc::clone(&table),
        name: name.clone(),
    }
}

fn rotated(stored: &Stored, now: chrono::DateTime<Utc>) -> Session {
    Session { refresh_counter: stored.record.refresh_counter + 1, last_used_at: now, ..stored.record.clone() }
}

#[tokio::test]
async fn a_session_that_was_created_is_found() {
    let rig = rig();
    let session = session(USER, start());
    let stored = rig.here.create(&session).await.expect("created");
    assert_eq!(stored, Stored { record: session.clone(), version: 1 });
    assert_eq!(rig.there.get(USER, session.id, start()).await.expect("read"), Some(stored));
    let found = rig.there.lookup(USER, session.id, start()).await.expect("looked up");
    assert_eq!(found, Some((session, 0)));
}

#[tokio::test]
async fn the_second_look_up_takes_one_round_trip_to_redis_and_none_to_the_table() {
    let rig = rig();
    let session = session(USER, start());
    rig.here.create(&session).await.expect("created");
    rig.there.lookup(USER, session.id, start()).await.expect("looked up");
    // Whoever went to the table now would find nothing.
    let (pk, sk) = (format!("user#{USER}"), format!("session#{}", session.id));
    rig.table.delete(&rig.name, &pk, &sk, Condition::VersionIs(1)).await.expect("deleted");
    let before = rig.redis.round_trips();
    assert!(rig.there.lookup(USER, session.id, start()).await.expect("looked up").is_some());
    assert_eq!(rig.redis.round_trips() - before, 1);
}

#[tokio::test]
async fn revocation_is_seen_at_once_by_everybody() {
    let rig = rig();
    let session = session(USER, start());
    rig.here.create(&session).await.expect("created");
    rig.there.lookup(USER, session.id, start()).await.expect("in the cache");
    let before = rig.here.revoke(USER, session.id, start()).await.expect("revoked");
    assert_eq!(before, Some(session.clone()));
    for store in [&rig.here, &rig.there, &rig.bare] {
        assert_eq!(store.lookup(USER, session.id, start()).await.expect("looked up"), None);
    }
    assert_eq!(rig.here.revoke(USER, session.id, start()).await.expect("nothing left to end"), None);
    assert_eq!(rig.here.list(USER, start()).await.expect("listed"), []);
}

/// Invariant 5: the bound holds whatever happens to the cache.
#[tokio::test]
async fn a_revocation_that_the_cache_never_heard_of_is_seen_after_the_bound() {
    let rig = rig();
    let session = session(USER, start());
    rig.here.create(&session).await.expect("created");
    rig.there.lookup(USER, session.id, start()).await.expect("in the cache");
    rig.bare.revoke(USER, session.id, start()).await.expect("revoked behind the cache's back");
    let within = start() + TimeDelta::milliseconds(4999);
    assert!(rig.there.lookup(USER, session.id, within).await.expect("looked up").is_some());
    let after = start() + TimeDelta::seconds(5);
    assert_eq!(rig.there.lookup(USER, session.id, after).await.expect("looked up"), None);
}

#[tokio::test]
async fn a_higher_epoch_ends_the_sessions_of_lower_ones_at_once() {
    let rig = rig();
    let session = session(USER, start());
    rig.here.create(&session).await.expect("created");
    rig.there.lookup(USER, session.id, start()).await.expect("in the cache");
    for to in [2, 1] {
        rig.here.bump_epoch(USER, to, start()).await.expect("bumped");
    }
    for store in [&rig.here, &rig.there, &rig.bare] {
        assert_eq!(store.epoch(USER).await.expect("read"), 2, "an epoch never falls");
        let (found, epoch) = store.lookup(USER, session.id, start()).await.expect("looked up").expect("it is stored");
        assert!(!found.is_live(start(), epoch), "epoch {epoch}");
    }
}

#[tokio::test]
async fn of_two_uses_of_one_refresh_token_one_wins() {
    let rig = rig();
    let stored = rig.here.create(&session(USER, start())).await.expect("created");
    let (mut mine, mut yours) = (rotated(&stored, start()), rotated(&stored, start()));
    (mine.refresh_hash, yours.refresh_hash) = ("mine".to_owned(), "yours".to_owned());
    let (one, other) = tokio::join!(rig.here.rotate(&stored, mine, start()), rig.there.rotate(&stored, yours, start()));
    assert!(one.is_ok() != other.is_ok(), "{one:?} {other:?}");
    let loser = if one.is_ok() { other } else { one };
    assert!(matches!(loser, Err(SessionError::Conflict)), "{loser:?}");
}

/// The SDK repeats a write whose answer was lost, and then the condition fails on the write's own success.
#[tokio::test]
async fn a_write_that_meets_itself_has_succeeded() {
    let rig = rig();
    let stored = rig.here.create(&session(USER, start())).await.expect("created");
    rig.here.create(&stored.record).await.expect("created, again the same");
    let next = rotated(&stored, start());
    for _ in 0..2 {
        assert_eq!(rig.here.rotate(&stored, next.clone(), start()).await.expect("rotated").version, 2);
    }
}

#[tokio::test]
async fn a_rotation_is_what_the_next_look_up_sees() {
    let rig = rig();
    let stored = rig.here.create(&session(USER, start())).await.expect("created");
    rig.there.lookup(USER, stored.record.id, start()).await.expect("in the cache");
    let next = rotated(&stored, start());
    rig.here.rotate(&stored, next.clone(), start()).await.expect("rotated");
    assert_eq!(rig.there.lookup(USER, next.id, start()).await.expect("looked up"), Some((next, 0)));
}

#[tokio::test]
async fn a_session_past_its_end_is_gone_though_the_table_still_has_it() {
    let rig = rig();
    let session = session(USER, start());
    rig.here.create(&session).await.expect("created");
    rig.here.lookup(USER, session.id, start()).await.expect("in the cache");
    let end = session.expires_at;
    for store in [&rig.here, &rig.bare] {
        assert_eq!(store.get(USER, session.id, end).await.expect("read"), None);
        assert_eq!(store.lookup(USER, session.id, end).await.expect("looked up"), None);
        assert_eq!(store.list(USER, end).await.expect("listed"), []);
    }
}

#[tokio::test]
async fn every_session_of_a_user_is_listed_and_nobody_elses() {
    let rig = rig();
    rig.here.bump_epoch(USER, 1, start()).await.expect("bumped");
    let mut expected = Vec::new();
    for n in 0..105 {
        let session = session(USER, start() + TimeDelta::seconds(n));
        rig.here.create(&session).await.expect("created");
        expected.push(session);
    }
    rig.here.create(&session(UserId(70), start())).await.expect("created");
    assert_eq!(rig.here.list(USER, start()).await.expect("listed"), expected);
}

#[tokio::test]
async fn without_redis_the_table_answers() {
    let mut server = PrivateRedis::start();
    let redis = Redis::new(&server.url(), "test").expect("a good URL");
    let (table, name) = table();
    let store = Sessions::new(table, name, Some(SessionCache::new(redis, BOUND)));
    let session = session(USER, start());
    store.create(&session).await.expect("created");
    store.lookup(USER, session.id, start()).await.expect("in the cache");
    server.stop();
    assert!(store.lookup(USER, session.id, start()).await.expect("from the table").is_some());
    store.revoke(USER, session.id, start()).await.expect("revoked");
    assert_eq!(store.lookup(USER, session.id, start()).await.expect("from the table"), None);
}

#[tokio::test]
async fn a_record_survives_the_trip_through_the_real_table() {
    let name = aws::table().await;
    let table: Arc<dyn Table> = Arc::new(DynamoTable::new(&aws::settings().sdk_config()));
    let store = Sessions::new(Arc::clone(&table), name.clone(), None);
    let stored = store.create(&session(USER, start())).await.expect("created");
    let next = rotated(&stored, start());
    store.rotate(&stored, next.clone(), start()).await.expect("rotated");
    store.bump_epoch(USER, 4, start()).await.expect("bumped");
    assert_eq!(store.lookup(USER, next.id, start()).await.expect("looked up"), Some((next.clone(), 4)));
    assert_eq!(store.list(USER, start()).await.expect("listed"), [next]);
    let pk = format!("user#{USER}");
    let epoch = table.get(&name, &pk, "epoch").await.expect("read").expect("an item");
    assert_eq!(epoch.version, 4);
    table.delete(&name, &pk, "epoch", Condition::VersionIs(4)).await.expect("deleted");
}
