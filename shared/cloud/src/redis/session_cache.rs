//! The verifier's cache of sessions, API keys and epochs (invariant 5).
//!
//! Every entry carries the version of what it was filled from, the moment *before* that was read, and the moment at
//! which it was put here. It counts for [`SessionCache::bound`] after the first, by the reader's clock, however late the
//! fill arrived; and for no longer after the second, by the server's clock, however wrong the clock of who filled it. A
//! fill never replaces a higher version, and never a tombstone of the same one. So a revocation that reached the table and
//! put a tombstone is seen at once, and one whose tombstone was lost is seen after the bound.
//!
//! An entry stays for [`KEPT`] after it has ceased to count: late fills of lower versions find it, and what is true at any
//! age (an end; an epoch, which never falls) is still believed.

use std::{sync::LazyLock, time::Duration};

use chrono::{DateTime, Utc};
use halyard_domain::{UserId, session::Session};
use redis::Script;

use super::{Redis, RedisError, script::Arg};
use crate::records::{Record, RecordId};

const TEXT: &str = include_str!("session_cache.lua");
static SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(TEXT));

/// How long entries stay, on top of the bound: longer than any fill is late and clocks are wrong, and longer than beat
/// takes to publish an epoch that is owed to the table.
pub const KEPT: Duration = Duration::from_mins(3);

/// What the cache knows of a session.
pub type CachedSession = Cached<Session>;

/// What the cache knows of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cached<R> {
    /// The record at this version.
    Live {
        /// The item's version in the table.
        version: i64,
        /// The record.
        record: Box<R>,
    },
    /// It has ended; that is for good.
    Ended,
}

/// What one look into the cache brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit<R> {
    /// The record; `None` when the cache does not know, or not freshly enough.
    pub record: Option<Cached<R>>,
    /// The user's epoch, likewise.
    pub epoch: Option<i64>,
    /// The user's epoch is not below this, fresh or not: it never falls.
    pub epoch_floor: i64,
}

impl<R> Default for Hit<R> {
    fn default() -> Self {
        Self { record: None, epoch: None, epoch_floor: 0 }
    }
}

/// The cache. Both keys of a user carry the user as their hash tag.
#[derive(Debug, Clone)]
pub struct SessionCache {
    redis: Redis,
    bound: Duration,
}

impl SessionCache {
    /// A cache whose answers are at most `bound` old (`SESSION_CACHE_SECONDS`).
    pub fn new(redis: Redis, bound: Duration) -> Self {
        Self { redis, bound }
    }

    /// How old an answer may be.
    pub fn bound(&self) -> Duration {
        self.bound
    }

    /// The record's and the epoch's entry, in one round trip.
    pub async fn get<I: RecordId>(
        &self,
        user: UserId,
        id: I,
        now: DateTime<Utc>,
    ) -> Result<Hit<I::Record>, RedisError> {
        let mut pipeline = redis::pipe();
        pipeline.cmd("MGET").arg(self.record_key(user, id)).arg(self.epoch_key(user));
        pipeline.cmd("TIME");
        let (entries, time): ((Option<String>, Option<String>), (i64, i64)) = self.redis.run_all(&pipeline).await?;
        let (record, epoch) = (entries.0.as_deref().and_then(Entry::read), entries.1.as_deref().and_then(Entry::read));
        let fresh = |entry: &Entry<'_>| self.is_fresh(entry, now, time.0 * 1000 + time.1 / 1000);
        Ok(Hit {
            record: record.and_then(|entry| match entry.payload {
                // A tombstone is true at any age.
                "" => Some(Cached::Ended),
                _ if !fresh(&entry) => None,
                payload => {
                    let record = serde_json::from_str(payload).ok()?;
                    Some(Cached::Live { version: entry.version, record })
                }
            }),
            epoch: epoch.filter(fresh).map(|entry| entry.version),
            epoch_floor: epoch.map_or(0, |entry| entry.version),
        })
    }

    /// Puts what was read from the table at `read_at` (a moment taken *before* the read) into the cache; one round
    /// trip. A record that has ended is put as a tombstone. An entry that is too old already is not put.
    pub async fn fill<R: Record>(
        &self,
        user: UserId,
        record: Option<(&R, i64)>,
        epoch: Option<i64>,
        read_at: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<(), RedisError> {
        let mut entries = Vec::with_capacity(2);
        if let Some((record, version)) = record {
            let payload = if record.revoked_at().is_some() {
                String::new()
            } else {
                serde_json::to_string(record).map_err(|e| RedisError::Unexpected(e.to_string()))?
            };
            entries.push((self.record_key(user, record.id()), version, payload));
        }
        entries.extend(epoch.map(|epoch| (self.epoch_key(user), epoch, EPOCH.to_owned())));
        self.put(entries, read_at, now).await
    }

    /// The same for an epoch alone.
    pub async fn fill_epoch(
        &self,
        user: UserId,
        epoch: i64,
        read_at: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<(), RedisError> {
        self.put(vec![(self.epoch_key(user), epoch, EPOCH.to_owned())], read_at, now).await
    }

    async fn put(
        &self,
        entries: Vec<(String, i64, String)>,
        read_at: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<(), RedisError> {
        if entries.is_empty() || self.left(read_at.timestamp_millis(), now.timestamp_millis()) <= 0 {
            return Ok(());
        }
        let (mut keys, mut args) = (Vec::with_capacity(entries.len()), self.head(read_at));
        for (key, version, payload) in entries {
            keys.push(key);
            args.extend([Arg::Int(version), Arg::Text(payload)]);
        }
        self.redis.script::<i64>(&SCRIPT, TEXT, &keys, &args).await.map(drop)
    }

    /// Marks a record as ended at `version`.
    pub async fn tombstone<I: RecordId>(
        &self,
        user: UserId,
        id: I,
        version: i64,
        now: DateTime<Utc>,
    ) -> Result<(), RedisError> {
        let keys = [self.record_key(user, id)];
        let mut args = self.head(now);
        args.extend([Arg::Int(version), Arg::Text(String::new())]);
        self.redis.script::<i64>(&SCRIPT, TEXT, &keys, &args).await.map(drop)
    }

    /// The arguments that every put begins with.
    fn head(&self, read_at: DateTime<Utc>) -> Vec<Arg> {
        vec![Arg::Int(read_at.timestamp_millis()), Arg::Int(millis(self.bound + KEPT))]
    }

    /// Does an entry still count? `now` by the clock of this host, `server_now` (ms) by the server's.
    fn is_fresh(&self, entry: &Entry<'_>, now: DateTime<Utc>, server_now: i64) -> bool {
        self.left(entry.read_at, now.timestamp_millis()) > 0 && self.left(entry.put_at, server_now) > 0
    }

    /// Milliseconds that something of `then` still counts at `now`.
    fn left(&self, then: i64, now: i64) -> i64 {
        millis(self.bound) - (now - then).max(0)
    }

    fn record_key<I: RecordId>(&self, user: UserId, id: I) -> String {
        format!("{}:{{user:{user}}}:{id}", self.redis.namespace())
    }

    fn epoch_key(&self, user: UserId) -> String {
        format!("{}:{{user:{user}}}:epoch", self.redis.namespace())
    }
}

/// `version|read at|put at|payload`, times in milliseconds.
#[derive(Debug, Clone, Copy)]
struct Entry<'a> {
    version: i64,
    read_at: i64,
    put_at: i64,
    payload: &'a str,
}

impl<'a> Entry<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let mut parts = text.splitn(4, '|');
        let mut number = || parts.next()?.parse().ok();
        let (version, read_at, put_at) = (number()?, number()?, number()?);
        Some(Self { version, read_at, put_at, payload: parts.next()? })
    }
}

/// The payload of an epoch's entry; its version says it all, but an empty payload would be a tombstone.
const EPOCH: &str = "e";

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4)
}
