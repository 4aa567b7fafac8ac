//! What belongs to a user and is asked for with every request of theirs: sessions and API keys, with the `auth_epoch`, in a
//! [`Table`]; the verifier's reads through the [`SessionCache`]. One mechanism for both, so that what ended stays ended.
//!
//! A user is a partition `user#{id}`; its items are `epoch` (whose version *is* the epoch) and records (whose version
//! grows with each change). The table is the truth; the cache is told after each change and may fail.

use std::{
    fmt::{Debug, Display},
    future::Future,
    marker::PhantomData,
    sync::Arc,
};

use chrono::{DateTime, Utc};
use halyard_domain::UserId;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use crate::{
    redis::{Cached, Hit, RedisError, SessionCache},
    sessions::SessionError,
    table::{Condition, Item, Table, TableError, TableName},
};

/// A credential's record: it belongs to a user, ends by age or by revocation, and has a version.
pub trait Record: Serialize + DeserializeOwned + Clone + PartialEq + Debug + Send + Sync + 'static {
    /// Names it among its user's.
    type Id: RecordId<Record = Self>;
    /// How its sort key begins.
    const PREFIX: &'static str;

    /// Which.
    fn id(&self) -> Self::Id;
    /// Whose.
    fn user_id(&self) -> UserId;
    /// When it ends by age.
    fn expires_at(&self) -> DateTime<Utc>;
    /// When it was ended.
    fn revoked_at(&self) -> Option<DateTime<Utc>>;
    /// The same, ended.
    #[must_use]
    fn revoked(self, at: DateTime<Utc>) -> Self;
}

/// The name of a record, which tells its kind.
pub trait RecordId: Display + Copy + Send + Sync {
    /// What it names.
    type Record: Record<Id = Self>;
}

/// A record as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored<R> {
    /// The record.
    pub record: R,
    /// The item's version, for the next change; 1 when new.
    pub version: i64,
}

const EPOCH: &str = "epoch";

/// The store. Clones share everything.
#[derive(Debug)]
pub struct Records<R> {
    table: Arc<dyn Table>,
    name: TableName,
    cache: Option<SessionCache>,
    kind: PhantomData<fn() -> R>,
}

impl<R> Clone for Records<R> {
    fn clone(&self) -> Self {
        let (table, name, cache) = (Arc::clone(&self.table), self.name.clone(), self.cache.clone());
        Self { table, name, cache, kind: PhantomData }
    }
}

impl<R: Record> Records<R> {
    /// A store over the table `name` (`TABLE_SESSIONS`); without a cache every look-up reads the table.
    pub fn new(table: Arc<dyn Table>, name: TableName, cache: Option<SessionCache>) -> Self {
        Self { table, name, cache, kind: PhantomData }
    }

    /// The store of another kind of record of the same users: same table, same cache.
    pub fn of_kind<S: Record>(&self) -> Records<S> {
        Records::new(Arc::clone(&self.table), self.name.clone(), self.cache.clone())
    }

    /// The table, for what is kept beside the records.
    pub(crate) fn table(&self) -> (&Arc<dyn Table>, &TableName) {
        (&self.table, &self.name)
    }

    /// Stores a new record.
    ///
    /// # Errors
    /// [`SessionError::Conflict`] when another one has that id.
    pub async fn create(&self, record: &R) -> Result<Stored<R>, SessionError> {
        let stored = Stored { record: record.clone(), version: 1 };
        self.write(&stored, Condition::NotExists).await?;
        Ok(stored)
    }

    /// Reads a record, strongly consistent; `None` when there is none or it ended by age. One that was revoked is
    /// there, with its `revoked_at`.
    pub async fn get(&self, user: UserId, id: R::Id, now: DateTime<Utc>) -> Result<Option<Stored<R>>, SessionError> {
        let item = self.table.get(&self.name, &partition(user), &sort_key::<R>(id)).await?;
        item.map(read::<R>).transpose().map(|stored| stored.filter(|s| now < s.record.expires_at()))
    }

    /// Replaces a record by its next state (a refresh token was used), in one conditional write.
    ///
    /// # Errors
    /// [`SessionError::Conflict`] when it is no longer as it was read: of two uses of one refresh token, one gets this.
    pub async fn rotate(&self, read: &Stored<R>, next: R, now: DateTime<Utc>) -> Result<Stored<R>, SessionError> {
        let stored = Stored { record: next, version: read.version + 1 };
        self.write(&stored, Condition::VersionIs(read.version)).await?;
        self.tell(|cache| {
            let (record, version) = (&stored.record, stored.version);
            async move { cache.fill(record.user_id(), Some((record, version)), None, now, now).await }
        })
        .await;
        Ok(stored)
    }

    /// Ends a record: a tombstone in the table until it would have ended by age, and one in the cache. Answers with
    /// what it was before; `None` when there was nothing to end.
    pub async fn revoke(&self, user: UserId, id: R::Id, now: DateTime<Utc>) -> Result<Option<R>, SessionError> {
        loop {
            let Some(Stored { record: before, version }) = self.get(user, id, now).await? else {
                return Ok(None);
            };
            if before.revoked_at().is_some() {
                // Perhaps ended by a call whose tombstone was lost on the way to the cache.
                self.bury(user, id, version, now).await;
                return Ok(None);
            }
            let ended = Stored { record: before.clone().revoked(now), version: version + 1 };
            match self.write(&ended, Condition::VersionIs(version)).await {
                Err(SessionError::Conflict) => {}
                Err(error) => return Err(error),
                Ok(()) => {
                    self.bury(user, id, ended.version, now).await;
                    return Ok(Some(before));
                }
            }
        }
    }

    /// The records of a user that have not ended by age or by revocation, oldest first. Those that a higher epoch
    /// ended are among them: compare with [`Self::epoch`].
    pub async fn list(&self, user: UserId, now: DateTime<Utc>) -> Result<Vec<R>, SessionError> {
        let stored = self.list_stored(user).await?.into_iter().map(|stored| stored.record);
        Ok(stored.filter(|record| record.revoked_at().is_none() && now < record.expires_at()).collect())
    }

    /// Every one that the table still has.
    pub(crate) async fn list_stored(&self, user: UserId) -> Result<Vec<Stored<R>>, SessionError> {
        let (mut found, mut after) = (Vec::new(), Some(R::PREFIX.to_owned()));
        while let Some(key) = after.take() {
            let page = self.table.query(&self.name, &partition(user), Some(&key), 100).await?;
            let whole = page.items.iter().all(|item| item.sk.starts_with(R::PREFIX));
            for item in page.items.into_iter().filter(|item| item.sk.starts_with(R::PREFIX)) {
                found.push(read(item)?);
            }
            // Behind the last of them the partition goes on with other kinds.
            after = page.next.filter(|_| whole);
        }
        Ok(found)
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
        self.tell(|cache| async move { cache.fill_epoch(user, to, now, now).await }).await;
        confirmed
    }

    /// What the verifier asks: the record and the user's epoch. From the cache in one round trip if it has both; else,
    /// and when Redis is down, from the table. `None`: there is none, or it has ended by age or revocation. The
    /// caller still compares the epochs.
    pub async fn lookup(&self, user: UserId, id: R::Id, now: DateTime<Utc>) -> Result<Option<(R, i64)>, SessionError> {
        Ok(self.look_up(user, id, now).await?.0)
    }

    /// The same, and whether the table was asked for the record.
    pub(crate) async fn look_up(
        &self,
        user: UserId,
        id: R::Id,
        now: DateTime<Utc>,
    ) -> Result<(Option<(R, i64)>, bool), SessionError> {
        let hit = match &self.cache {
            None => Hit::default(),
            Some(cache) => cache.get(user, id, now).await.unwrap_or_else(|error| {
                tracing::warn!(%error, "reading sessions and keys from the table");
                Hit::default()
            }),
        };
        let asked = hit.record.is_none();
        let (found, epoch) = match (hit.record, hit.epoch) {
            (Some(Cached::Ended), _) => return Ok((None, false)),
            (Some(Cached::Live { record, .. }), Some(epoch)) => (Some(*record), epoch),
            (Some(Cached::Live { record, .. }), None) => {
                let epoch = self.epoch(user).await?.max(hit.epoch_floor);
                self.tell(|cache| async move { cache.fill_epoch(user, epoch, now, now).await }).await;
                (Some(*record), epoch)
            }
            (None, _) => self.read_through(user, id, hit.epoch_floor, now).await?,
        };
        let found = found.filter(|record| record.revoked_at().is_none() && now < record.expires_at());
        Ok((found.map(|record| (record, epoch)), asked))
    }

    async fn read_through(
        &self,
        user: UserId,
        id: R::Id,
        epoch_floor: i64,
        now: DateTime<Utc>,
    ) -> Result<(Option<R>, i64), SessionError> {
        let (stored, epoch) = tokio::try_join!(self.get(user, id, now), self.epoch(user))?;
        // The table may not know yet what is owed to it.
        let epoch = epoch.max(epoch_floor);
        self.tell(|cache| {
            let entry = stored.as_ref().map(|stored| (&stored.record, stored.version));
            async move { cache.fill(user, entry, Some(epoch), now, now).await }
        })
        .await;
        Ok((stored.map(|stored| stored.record), epoch))
    }

    async fn write(&self, stored: &Stored<R>, condition: Condition) -> Result<(), SessionError> {
        let item = item_of(stored)?;
        match self.table.put(&self.name, item, condition).await {
            // A write whose answer was lost is repeated by the client and then meets itself.
            Err(TableError::ConditionFailed) if self.is_stored(stored).await? => Ok(()),
            other => Ok(other?),
        }
    }

    async fn is_stored(&self, stored: &Stored<R>) -> Result<bool, SessionError> {
        let record = &stored.record;
        let item = self.table.get(&self.name, &partition(record.user_id()), &sort_key::<R>(record.id())).await?;
        Ok(item.map(read::<R>).transpose()?.is_some_and(|present| present == *stored))
    }

    async fn bury(&self, user: UserId, id: R::Id, version: i64, now: DateTime<Utc>) {
        self.tell(|cache| async move { cache.tombstone(user, id, version, now).await }).await;
    }

    /// Tells the cache, which may fail: what it does not hear, it knows after its bound.
    pub(crate) async fn tell<'a, F: Future<Output = Result<(), RedisError>>>(
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

fn sort_key<R: Record>(id: R::Id) -> String {
    format!("{}{id}", R::PREFIX)
}

pub(crate) fn item_of<R: Record>(stored: &Stored<R>) -> Result<Item, SessionError> {
    let record = &stored.record;
    let Ok(Value::Object(mut body)) = serde_json::to_value(record) else {
        return Err(SessionError::Unexpected("a record is not an object".to_owned()));
    };
    // `expires_at` is the table's own attribute, in seconds; the exact time goes under another name.
    if let Some(exact) = body.remove("expires_at") {
        body.insert("ends_at".to_owned(), exact);
    }
    Ok(Item {
        pk: partition(record.user_id()),
        sk: sort_key::<R>(record.id()),
        version: stored.version,
        // The next full second: TTL must not be early.
        expires_at: Some(record.expires_at().timestamp() + 1),
        body,
    })
}

fn read<R: Record>(mut item: Item) -> Result<Stored<R>, SessionError> {
    if let Some(exact) = item.body.remove("ends_at") {
        item.body.insert("expires_at".to_owned(), exact);
    }
    let record =
        serde_json::from_value(Value::Object(item.body)).map_err(|e| SessionError::Unexpected(e.to_string()))?;
    Ok(Stored { record, version: item.version })
}
