//! The session cache against a real Redis: versions, tombstones, the bound.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use halyard_cloud::redis::{CachedSession, SessionCache};
use halyard_domain::{Entropy, SessionId, UserId, authz::Grants, session::Session, user::Role};

use super::redis::{shared, start};

const USER: UserId = UserId(42);
const BOUND: Duration = Duration::from_secs(5);

fn cache() -> SessionCache {
    SessionCache::new(shared(), BOUND)
}

/// A session that is good for a day.
pub fn session(user: UserId, now: DateTime<Utc>) -> Session {
    let id = SessionId(Entropy::from_os().expect("randomness").ulid(now));
    Session {
        id,
        user_id: user,
        username: "maria".to_owned(),
        role: Role::User,
        permissions: Grants::default(),
        auth_epoch: 0,
        refresh_counter: 0,
        refresh_hash: "hash".to_owned(),
        device: "a browser".to_owned(),
        ip: "192.0.2.1".to_owned(),
        created_at: now,
        last_used_at: now,
        expires_at: now + TimeDelta::days(1),
        authenticated_at: now,
        methods: vec!["pwd".to_owned()],
        revoked_at: None,
    }
}

/// The version that the cache gives for a session.
async fn version(cache: &SessionCache, id: SessionId, now: DateTime<Utc>) -> Option<i64> {
    match cache.get(USER, id, now).await.expect("an answer").record {
        Some(CachedSession::Live { version, .. }) => Some(version),
        Some(CachedSession::Ended) => Some(-1),
        None => None,
    }
}

const ENDED: Option<i64> = Some(-1);

#[tokio::test]
async fn session_and_epoch_come_in_one_round_trip() {
    let (redis, session) = (shared(), session(USER, start()));
    let cache = SessionCache::new(redis.clone(), BOUND);
    cache.fill(USER, Some((&session, 1)), Some(3), start(), start()).await.expect("filled");
    let before = redis.round_trips();
    let hit = cache.get(USER, session.id, start()).await.expect("an answer");
    assert_eq!(redis.round_trips() - before, 1);
    assert_eq!(hit.epoch, Some(3));
    assert_eq!(hit.record, Some(CachedSession::Live { version: 1, record: Box::new(session) }));
}

#[tokio::test]
async fn a_fill_never_replaces_a_newer_version() {
    let (cache, session) = (cache(), session(USER, start()));
    for (fill, expected) in [(2, 2), (1, 2), (3, 3), (2, 3)] {
        cache.fill(USER, Some((&session, fill)), Some(fill), start(), start()).await.expect("filled");
        assert_eq!(version(&cache, session.id, start()).await, Some(expected));
        assert_eq!(cache.get(USER, session.id, start()).await.expect("an answer").epoch, Some(expected));
    }
}

#[tokio::test]
async fn a_tombstone_stands_against_fills_of_its_own_and_older_versions() {
    let (cache, session) = (cache(), session(USER, start()));
    cache.fill(USER, Some((&session, 1)), None, start(), start()).await.expect("filled");
    cache.tombstone(USER, session.id, 2, start()).await.expect("buried");
    assert_eq!(version(&cache, session.id, start()).await, ENDED);
    for late in [1, 2] {
        cache.fill(USER, Some((&session, late)), None, start(), start()).await.expect("filled");
        assert_eq!(version(&cache, session.id, start()).await, ENDED);
    }
}

#[tokio::test]
async fn a_tombstone_of_an_older_version_does_not_end_a_newer_one() {
    let (cache, session) = (cache(), session(USER, start()));
    cache.fill(USER, Some((&session, 3)), None, start(), start()).await.expect("filled");
    cache.tombstone(USER, session.id, 2, start()).await.expect("refused quietly");
    assert_eq!(version(&cache, session.id, start()).await, Some(3));
}

#[tokio::test]
async fn a_revoked_session_is_filled_as_a_tombstone() {
    let cache = cache();
    let ended = Session { revoked_at: Some(start()), ..session(USER, start()) };
    cache.fill(USER, Some((&ended, 2)), None, start(), start()).await.expect("filled");
    assert_eq!(version(&cache, ended.id, start()).await, ENDED);
}

/// The age counts from before the table was read: an environment frozen between its read and its fill must not bring
/// back what ended meanwhile.
#[tokio::test]
async fn an_entry_counts_for_the_bound_after_it_was_read_however_late_it_was_filled() {
    let (cache, session) = (cache(), session(USER, start()));
    let at = |millis| start() + TimeDelta::milliseconds(millis);
    cache.fill(USER, Some((&session, 1)), Some(0), start(), at(4000)).await.expect("filled");
    assert_eq!(version(&cache, session.id, at(4999)).await, Some(1));
    let after = cache.get(USER, session.id, at(5000)).await.expect("an answer");
    assert_eq!((after.record, after.epoch), (None, None));
    let (cache, other) = (self::cache(), self::session(USER, start()));
    cache.fill(USER, Some((&other, 1)), Some(0), start(), at(5000)).await.expect("not filled");
    assert_eq!(version(&cache, other.id, at(0)).await, None);
}

/// What is put promptly by a host whose clock is ahead, or read by one whose clock is behind, counts no longer than the
/// bound by the server's clock.
#[tokio::test]
async fn a_wrong_clock_does_not_make_an_entry_count_for_longer() {
    let (redis, session) = (shared(), session(USER, start()));
    let cache = SessionCache::new(redis, Duration::from_millis(200));
    let ahead = start() + TimeDelta::hours(1);
    cache.fill(USER, Some((&session, 1)), Some(0), ahead, ahead).await.expect("filled");
    halyard_tests::wait::until("the entry to be too old", Duration::from_secs(20), async || {
        let hit = cache.get(USER, session.id, start()).await.expect("an answer");
        (hit.record.is_none() && hit.epoch.is_none()).then_some(())
    })
    .await;
}

/// What is no longer fresh still stands against late fills of what was before it, and an epoch never falls.
#[tokio::test]
async fn entries_that_no_longer_count_still_keep_older_ones_out() {
    let (cache, session) = (cache(), session(USER, start()));
    let later = start() + TimeDelta::minutes(2);
    cache.fill(USER, Some((&session, 2)), Some(3), start(), start()).await.expect("filled");
    let stale = cache.get(USER, session.id, later).await.expect("an answer");
    assert_eq!((stale.record, stale.epoch, stale.epoch_floor), (None, None, 3));
    cache.fill(USER, Some((&session, 1)), Some(2), later, later).await.expect("refused quietly");
    let hit = cache.get(USER, session.id, later).await.expect("an answer");
    assert_eq!((hit.record, hit.epoch, hit.epoch_floor), (None, None, 3));
}

#[tokio::test]
async fn whatever_the_order_of_side_by_side_writes_the_highest_version_stays() {
    let (cache, session) = (cache(), session(USER, start()));
    let cache = &cache;
    let writes = (1..=40_i64).map(|n| {
        // An order that has nothing to do with the versions.
        let version = (n * 17) % 41;
        let session = session.clone();
        async move {
            if version == 40 {
                cache.tombstone(USER, session.id, version, start()).await
            } else {
                cache.fill(USER, Some((&session, version)), Some(version), start(), start()).await
            }
        }
    });
    futures::future::try_join_all(writes).await.expect("written");
    let hit = cache.get(USER, session.id, start()).await.expect("an answer");
    assert_eq!((hit.record, hit.epoch), (Some(CachedSession::Ended), Some(39)));
}
