//! The verifier's cache of sessions and epochs (invariant 5).
//!
//! Every entry carries the version of what it was filled from and the moment *before* that was read. An entry counts
//! for [`SessionCache::bound`] after that moment, by the reader's clock, however late the fill arrived; a fill never
//! replaces a higher version, and never a tombstone of the same one. So a revocation that reached the table and put a
//! tombstone is seen at once, and one whose tombstone was lost is seen after the bound.

use std::{sync::LazyLock, time::Duration};

use chrono::{DateTime, Utc};
use halyard_domain::{SessionId, UserId, session::Session};
use redis::Script;

use super::{Redis, RedisError, script::Arg};

const TEXT: &str = include_str!("session_cache.lua");
static SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(TEXT));

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
        let command = {
            let mut command = redis::cmd("MGET");
            command.arg(self.session_key(user, session)).arg(self.epoch_key(user));
            command
        };
        let (session, epoch): (Option<String>, Option<String>) = self.redis.run(&command).await?;
        Ok(Hit {
            session: session.and_then(|text| self.read_session(&text, now)),
            epoch: epoch.as_deref().and_then(|text| self.fresh(text, now)).map(|(version, _)| version),
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
        let Some(lifetime) = self.lifetime(read_at, now) else { return Ok(()) };
        let (mut keys, mut args) = (Vec::new(), vec![Arg::Int(read_at.timestamp_millis()), Arg::Int(lifetime)]);
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

    /// Marks a session as ended at `version`, for as long as an older entry could still count.
    pub async fn tombstone(
        &self,
        user: UserId,
        session: SessionId,
        version: i64,
        now: DateTime<Utc>,
    ) -> Result<(), RedisError> {
        let keys = [self.session_key(user, session)];
        // Twice the bound, for hosts whose clocks differ.
        let args = [
            Arg::Int(now.timestamp_millis()),
            Arg::Int(millis(self.bound) * 2),
            Arg::Int(version),
            Arg::Text(String::new()),
        ];
        self.redis.script::<i64>(&SCRIPT, TEXT, &keys, &args).await.map(drop)
    }

    fn read_session(&self, text: &str, now: DateTime<Utc>) -> Option<CachedSession> {
        // A tombstone is true at any age.
        if text.ends_with('|') {
            return Some(CachedSession::Ended);
        }
        let (version, payload) = self.fresh(text, now)?;
        let session = serde_json::from_str(payload).ok()?;
        Some(CachedSession::Live { version, session })
    }

    /// Splits `version|read at|payload`, unless it is too old.
    fn fresh<'a>(&self, text: &'a str, now: DateTime<Utc>) -> Option<(i64, &'a str)> {
        let mut parts = text.splitn(3, '|');
        let version = parts.next()?.parse().ok()?;
        let read_at = DateTime::from_timestamp_millis(parts.next()?.parse().ok()?)?;
        let payload = parts.next()?;
        self.lifetime(read_at, now).map(|_| (version, payload))
    }

    /// Milliseconds that what was read at `read_at` still counts; `None` when that is over.
    fn lifetime(&self, read_at: DateTime<Utc>, now: DateTime<Utc>) -> Option<i64> {
        let age = (now - read_at).num_milliseconds().max(0);
        Some(millis(self.bound) - age).filter(|left| *left > 0)
    }

    fn session_key(&self, user: UserId, session: SessionId) -> String {
        format!("{}:{{user:{user}}}:{session}", self.redis.namespace())
    }

    fn epoch_key(&self, user: UserId) -> String {
        format!("{}:{{user:{user}}}:epoch", self.redis.namespace())
    }
}

/// The payload of an epoch's entry; its version says it all, but an empty payload would be a tombstone.
const EPOCH: &str = "e";

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4)
}
