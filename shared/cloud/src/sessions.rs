//! The session store: sessions and `auth_epoch` in a [`Table`], the verifier's reads through the [`SessionCache`].
//!
//! A user is a partition `user#{id}`; its items are `epoch` (whose version *is* the epoch) and `session#{id}` (whose
//! version grows with each change). The table is the truth; the cache is told after each change and may fail.

use std::{future::Future, sync::Arc};

use chrono::{DateTime, Utc};
use halyard_domain::{SessionId, UserId, session::Session};
use serde_json::{Map, Value};

use crate::{
    redis::{CachedSession, Hit, RedisError, SessionCache},
    table::{Condition, Item, Table, TableError, TableName},
};

/// Why the session store could not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// Somebody else changed the session since it was read (or it exists already, or no longer).
    #[error("the session was changed meanwhile")]
    Conflict,
    /// The table did not answer. A write may or may not have happened.
    #[error("the session table is unavailable: {0}")]
    Unavailable(String),
    /// What is stored cannot be read, or the table refused the request.
    #[error("the session table gave an unexpected answer: {0}")]
    Unexpected(String),
}

impl From<TableError> for SessionError {
    fn from(error: TableError) -> Self {
        match error {
            TableError::ConditionFailed => Self::Conflict,
            TableError::Unavailable(why) => Self::Unavailable(why),
            TableError::Refused(why) => Self::Unexpected(why),
        }
    }
}

/// A session as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The record.
    pub session: Session,
    /// The item's version, for the next change; 1 when new.
    pub version: i64,
}

const EPOCH: &str = "epoch";

/// The store. Clones share everything.
#[derive(Debug, Clone)]
pub struct Sessions {
    table: Arc<dyn Table>,
    name: TableName,
    cache: Option<SessionCache>,
}

impl Sessions {
    /// A store over the table `name` (`TABLE_SESSIONS`); without a cache every look-up reads the table.
    pub fn new(table: Arc<dyn Table>, name: TableName, cache: Option<SessionCache>) -> Self {
        Self { table, name, cache }
    }

    /// Stores a new session.
    ///
    /// # Errors
    /// [`SessionError::Conflict`] when another session has that id.
    pub async fn create(&self, session: &Session) -> Result<Stored, SessionError> {
        let stored = Stored { session: session.clone(), version: 1 };
        self.write(&stored, Condition::NotExists).await?;
        Ok(stored)
    }

    /// Reads a session, strongly consistent; `None` when there is none or it ended by age. One that was revoked is
    /// there, with its `revoked_at`.
    pub async fn get(
        &self,
        user: UserId,
        session: SessionId,
        now: DateTime<Utc>,
    ) -> Result<Option<Stored>, SessionError> {
        let item = self.table.get(&self.name, &partition(user), &sort_key(session)).await?;
        item.map(read).transpose().map(|stored| stored.filter(|s| now < s.session.expires_at))
    }

    /// Replaces a session by its next state (the refresh token was used), in one conditional write.
    ///
    /// # Errors
    /// [`SessionError::Conflict`] when it is no longer as it was read: of two uses of one refresh token, one gets this.
    pub async fn rotate(&self, read: &Stored, next: Session, now: DateTime<Utc>) -> Result<Stored, SessionError> {
        let stored = Stored { session: next, version: read.version + 1 };
        self.write(&stored, Condition::VersionIs(read.version)).await?;
        self.tell(|cache| {
            let (session, version) = (&stored.session, stored.version);
            async move { cache.fill(session.user_id, Some((session, version)), None, now, now).await }
        })
        .await;
        Ok(stored)
    }

    /// Ends a session: a tombstone in the table until it would have ended by age, and one in the cache. Answers with
    /// what it was before; `None` when there was nothing to end.
    pub async fn revoke(
        &self,
        user: UserId,
        session: SessionId,
        now: DateTime<Utc>,
    ) -> Result<Option<Session>, SessionError> {
        loop {
            let Some(Stored { session: before, version }) = self.get(user, session, now).await? else {
                return Ok(None);
            };
            if before.revoked_at.is_some() {
                // Perhaps ended by a call whose tombstone was lost on the way to the cache.
                self.bury(user, session, version, now).await;
                return Ok(None);
            }
            let ended = Stored { session: Session { revoked_at: Some(now), ..before.clone() }, version: version + 1 };
            match self.write(&ended, Condition::VersionIs(version)).await {
                Err(SessionError::Conflict) => {}
                Err(error) => return Err(error),
                Ok(()) => {
                    self.bury(user, session, ended.version, now).await;
                    return Ok(Some(before));
                }
            }
        }
    }

    /// The sessions of a user that have not ended by age or by revocation, oldest first. Those that a higher epoch
    /// ended are among them: compare with [`Self::epoch`].
    pub async fn list(&self, user: UserId, now: DateTime<Utc>) -> Result<Vec<Session>, SessionError> {
        let (mut sessions, mut after) = (Vec::new(), Some(EPOCH.to_owned()));
        while let Some(key) = after {
            let page = self.table.query(&self.name, &partition(user), Some(&key), 100).await?;
            for item in page.items {
                sessions.push(read(item)?.session);
            }
            after = page.next;
        }
        sessions.retain(|s| s.revoked_at.is_none() && now < s.expires_at);
        Ok(sessions)
    }

    /// The user's `auth_epoch`, strongly consistent; 0 when none was ever written.
    pub async fn epoch(&self, user: UserId) -> Result<i64, SessionError> {
        let item = self.table.get(&self.name, &partition(user), EPOCH).await?;
        Ok(item.map_or(0, |item| item.version))
    }

    /// Raises the user's `auth_epoch` to at least `to`, which the database has committed: every session of a lower one has
    /// ended. Never lowers it, so it may be repeated and may come out of order.
    ///
    /// # Errors
    /// When the table did not confirm it. The cache is told all the same: the epoch is a fact. So the sessions count as
    /// ended until somebody (beat) tells the table, unless the cache is lost meanwhile, too.
    pub async fn bump_epoch(&self, user: UserId, to: i64, now: DateTime<Utc>) -> Result<(), SessionError> {
        let item =
            Item { pk: partition(user), sk: EPOCH.to_owned(), version: to, expires_at: None, body: Map::default() };
        let confirmed = match self.table.put(&self.name, item, Condition::VersionBelow(to)).await {
            // It is as high already: the cache may still be lower.
            Ok(()) | Err(TableError::ConditionFailed) => Ok(()),
            Err(error) => Err(error.into()),
        };
        self.tell(|cache| async move { cache.fill(user, None, Some(to), now, now).await }).await;
        confirmed
    }

    /// What the verifier asks: the session and the user's epoch. From the cache in one round trip if it has both; else,
    /// and when Redis is down, from the table. `None`: no such session, or it has ended by age or revocation. The
    /// caller still compares the epochs ([`Session::is_live`]).
    pub async fn lookup(
        &self,
        user: UserId,
        session: SessionId,
        now: DateTime<Utc>,
    ) -> Result<Option<(Session, i64)>, SessionError> {
        let hit = match &self.cache {
            None => Hit::default(),
            Some(cache) => cache.get(user, session, now).await.unwrap_or_else(|error| {
                tracing::warn!(%error, "reading sessions from the table");
                Hit::default()
            }),
        };
        let (found, epoch) = match (hit.session, hit.epoch) {
            (Some(CachedSession::Ended), _) => return Ok(None),
            (Some(CachedSession::Live { session, .. }), Some(epoch)) => (Some(*session), epoch),
            (Some(CachedSession::Live { session, .. }), None) => {
                let epoch = self.epoch(user).await?.max(hit.epoch_floor);
                self.tell(|cache| async move { cache.fill(user, None, Some(epoch), now, now).await }).await;
                (Some(*session), epoch)
            }
            (None, _) => self.read_through(user, session, hit.epoch_floor, now).await?,
        };
        Ok(found.filter(|s| s.revoked_at.is_none() && now < s.expires_at).map(|s| (s, epoch)))
    }

    async fn read_through(
        &self,
        user: UserId,
        session: SessionId,
        epoch_floor: i64,
        now: DateTime<Utc>,
    ) -> Result<(Option<Session>, i64), SessionError> {
        let (stored, epoch) = tokio::try_join!(self.get(user, session, now), self.epoch(user))?;
        // The table may not know yet what is owed to it.
        let epoch = epoch.max(epoch_floor);
        self.tell(|cache| {
            let entry = stored.as_ref().map(|s| (&s.session, s.version));
            async move { cache.fill(user, entry, Some(epoch), now, now).await }
        })
        .await;
        Ok((stored.map(|s| s.session), epoch))
    }

    async fn write(&self, stored: &Stored, condition: Condition) -> Result<(), SessionError> {
        let item = item_of(stored)?;
        match self.table.put(&self.name, item, condition).await {
            // A write whose answer was lost is repeated by the client and then meets itself.
            Err(TableError::ConditionFailed) if self.is_stored(stored).await? => Ok(()),
            other => Ok(other?),
        }
    }

    async fn is_stored(&self, stored: &Stored) -> Result<bool, SessionError> {
        let session = &stored.session;
        let item = self.table.get(&self.name, &partition(session.user_id), &sort_key(session.id)).await?;
        Ok(item.map(read).transpose()?.is_some_and(|present| present == *stored))
    }

    async fn bury(&self, user: UserId, session: SessionId, version: i64, now: DateTime<Utc>) {
        self.tell(|cache| async move { cache.tombstone(user, session, version, now).await }).await;
    }

    /// Tells the cache, which may fail: what it does not hear, it knows after its bound.
    async fn tell<'a, F: Future<Output = Result<(), RedisError>>>(
        &'a self,
        message: impl FnOnce(&'a SessionCache) -> F,
    ) {
        if let Some(cache) = &self.cache
            && let Err(error) = message(cache).await
        {
            tracing::warn!(%error, "the session cache was not told");
        }
    }
}

fn partition(user: UserId) -> String {
    format!("user#{user}")
}

fn sort_key(session: SessionId) -> String {
    format!("session#{session}")
}

fn item_of(stored: &Stored) -> Result<Item, SessionError> {
    let session = &stored.session;
    let Ok(Value::Object(mut body)) = serde_json::to_value(session) else {
        return Err(SessionError::Unexpected("a session is not an object".to_owned()));
    };
    // `expires_at` is the table's own attribute, in seconds; the exact time goes under another name.
    if let Some(exact) = body.remove("expires_at") {
        body.insert("ends_at".to_owned(), exact);
    }
    Ok(Item {
        pk: partition(session.user_id),
        sk: sort_key(session.id),
        version: stored.version,
        // The next full second: TTL must not be early.
        expires_at: Some(session.expires_at.timestamp() + 1),
        body,
    })
}

fn read(mut item: Item) -> Result<Stored, SessionError> {
    if let Some(exact) = item.body.remove("ends_at") {
        item.body.insert("expires_at".to_owned(), exact);
    }
    let session =
        serde_json::from_value(Value::Object(item.body)).map_err(|e| SessionError::Unexpected(e.to_string()))?;
    Ok(Stored { session, version: item.version })
}
