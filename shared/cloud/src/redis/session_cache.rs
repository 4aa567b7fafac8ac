//! The verifier's cache of sessions and epochs (invariant 5).
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
use halyard_domain::{SessionId, UserId, session::Session};
use redis::Script;

use super::{Redis, RedisError, script::Arg};

const TEXT: &str = include_str!("session_cache.lua");
static SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(TEXT));

/// How long entries stay, on top of the bound: longer than any fill is late and clocks are wrong, and longer than beat
/// takes to publish an epoch that is owed to the table.
pub const KEPT: Duration = Duration::from_mins(3);

/// What the cache knows of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CachedSession {
    /// The record at this version.
    Live {
        /// The item's version in the table.
        version: i64,
        /// The record.
        session: Box<Session>,
    },
    /// It has ended; that is for good.
    Ended,
}

/// What one look into the cache brought.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hit {
    /// The session; `None` when the cache does not know, or not freshly enough.
    pub session: Option<CachedSession>,
    /// The user's epoch, likewise.
    pub epoch: Option<i64>,
    /// The user's epoch is not below this, fresh or not: it never falls.
    pub epoch_floor: i64,
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

    /// The session's and the epoch's entry, in one round trip.
    pub async fn get(&self, user: UserId, session: SessionId, now: DateTime<Utc>) -> Result<Hit, RedisError> {
        let mut pipeline = redis::pipe();
        pipeline.cmd("MGET").arg(self.session_key(user, session)).arg(self.epoch_key(user));
        pipeline.cmd("TIME");
        let (entries, time): ((Option<String>, Option<String>), (i64, i64)) = self.redis.run_all(&pipeline).await?;
        let (session, epoch) = (entries.0.as_deref().and_then(Entry::read), entries.1.as_deref().and_then(Entry::read));
        let fresh = |entry: &Entry<'_>| self.is_fresh(entry, now, time.0 * 1000 + time.1 / 1000);
        Ok(Hit {
            session: session.and_then(|entry| match entry.payload {
                // A tombstone is true at any age.
                "" => Some(CachedSession::Ended),
                _ if !fresh(&entry) => None,
                payload => {
                    let session = serde_json::from_str(payload).ok()?;
                    Some(CachedSession::Live { version: entry.version, session })
                }
            }),
            epoch: epoch.filter(fresh).map(|entry| entry.version),
            epoch_floor: epoch.map_or(0, |entry| entry.version),
        })
    }

    /// Puts what was read from the table at `read_at` (a moment taken *before* the read) into the cache; one round
    /// trip. A session that has ended is put as a tombstone. An entry that is too old already is not put.
    pub async fn fill(
        &self,
        user: UserId,
        session: Option<(&Session, i64)>,
        epoch: Option<i64>,
        read_at: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<(), RedisError> {
        if self.left(read_at.timestamp_millis(), now.timestamp_millis()) <= 0 {
            return Ok(());
        }
        let (mut keys, mut args) = (Vec::new(), self.head(read_at));
        if let Some((session, version)) = session {
            let payload = if session.revoked_at.is_some() {
                String::new()
            } else {
                serde_json::to_string(session).map_err(|e| RedisError::Unexpected(e.to_string()))?
            };
            keys.push(self.session_key(user, session.id));
            args.extend([Arg::Int(version), Arg::Text(payload)]);
        }
        if let Some(epoch) = epoch {
            keys.push(self.epoch_key(user));
            args.extend([Arg::Int(epoch), Arg::Text(EPOCH.to_owned())]);
        }
        if keys.is_empty() {
            return Ok(());
        }
        self.redis.script::<i64>(&SCRIPT, TEXT, &keys, &args).await.map(drop)
    }

    /// Marks a session as ended at `version`.
    pub async fn tombstone(
        &self,
        user: UserId,
        session: SessionId,
        version: i64,
        now: DateTime<Utc>,
    ) -> Result<(), RedisError> {
        let keys = [self.session_key(user, session)];
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

    fn session_key(&self, user: UserId, session: SessionId) -> String {
        format!("{}:{{user:{user}}}:{session}", self.redis.namespace())
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
