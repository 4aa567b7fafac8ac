//! The store of API keys: [`Records`] of their owners, under `api_key#{id}`. When each was last used is kept apart, under
//! `api_key_use#{user}`: the authorizer, which notes it, may write there and nowhere else.

use chrono::{DateTime, Utc};
use futures::future::try_join_all;
use halyard_domain::{
    ApiKeyId, UserId,
    api_key::{ApiKey, Owner},
};
use serde_json::{Map, Value};

use crate::{
    records::{Record, RecordId, Records, Stored, item_of},
    sessions::{SessionError, Sessions},
    table::{Condition, Item, TableError},
};

/// The store of API keys.
pub type ApiKeys = Records<ApiKey>;

/// How coarse the time of the last use is, in seconds.
const COARSE: i64 = 60;
/// How often a key that is changed meanwhile is read anew.
const ATTEMPTS: usize = 5;
/// The attribute of a last use.
const AT: &str = "at";

impl RecordId for ApiKeyId {
    type Record = ApiKey;
}

impl Record for ApiKey {
    type Id = ApiKeyId;
    const PREFIX: &'static str = "api_key#";

    fn id(&self) -> ApiKeyId {
        self.id
    }

    fn user_id(&self) -> UserId {
        self.user_id
    }

    fn expires_at(&self) -> DateTime<Utc> {
        self.expires_at
    }

    fn revoked_at(&self) -> Option<DateTime<Utc>> {
        self.revoked_at
    }

    fn revoked(self, at: DateTime<Utc>) -> Self {
        Self::revoked(self, at)
    }
}

impl Sessions {
    /// The API keys of the same users.
    pub fn api_keys(&self) -> ApiKeys {
        self.of_kind()
    }

    /// Publishes an epoch that the database has committed, to the user's API keys and then to everybody
    /// ([`Self::bump_epoch`]). `owner` is what became of the account, `None` for one that may not be used: its keys end for good.
    ///
    /// # Errors
    /// When either was not confirmed, or nobody knew what became of the account. The epoch goes out all the same: that keys
    /// could not be told keeps nothing from ending, and such a key counts as ended until this was repeated.
    pub async fn publish_epoch<E: From<SessionError>>(
        &self,
        user: UserId,
        epoch: i64,
        owner: Result<Option<Owner>, E>,
        now: DateTime<Utc>,
    ) -> Result<(), E> {
        // First of all the keys: those that stay good are good all the time.
        let renewed = match owner {
            Ok(owner) => self.api_keys().renew(user, epoch, owner.as_ref(), now).await.map_err(E::from),
            Err(unknown) => Err(unknown),
        };
        self.bump_epoch(user, epoch, now).await?;
        renewed
    }
}

impl ApiKeys {
    /// [`Self::lookup`], and whether the table was asked: then the table is there, and may be told of the use.
    pub async fn lookup_used(
        &self,
        user: UserId,
        id: ApiKeyId,
        now: DateTime<Utc>,
    ) -> Result<(Option<(ApiKey, i64)>, bool), SessionError> {
        self.look_up(user, id, now).await
    }

    /// Notes that a key was used, at most once a minute whoever notes it. A note that fails is lost.
    pub async fn note_use(&self, key: &ApiKey, now: DateTime<Utc>) {
        let (table, name) = self.table();
        let version = minute(now);
        let item = Item {
            pk: uses(key.user_id),
            sk: key.id.to_string(),
            version,
            expires_at: Some(key.expires_at.timestamp() + 1),
            body: Map::from_iter([(AT.to_owned(), Value::from(now.timestamp()))]),
        };
        match table.put(name, item, Condition::VersionBelow(version)).await {
            Ok(()) | Err(TableError::ConditionFailed) => {}
            Err(error) => tracing::warn!(%error, key = %key.id, "the use of an API key was not noted"),
        }
    }

    /// When each of these keys was last used, to the minute; `None` for one that never was.
    pub async fn last_uses(&self, keys: &[ApiKey]) -> Result<Vec<Option<DateTime<Utc>>>, SessionError> {
        let (table, name) = self.table();
        let read = keys.iter().map(async |key| table.get(name, &uses(key.user_id), &key.id.to_string()).await);
        let items = try_join_all(read).await?.into_iter();
        Ok(items.map(|item| DateTime::from_timestamp(item?.body.get(AT)?.as_i64()?, 0)).collect())
    }

    /// How many of a user's keys are still remembered, live or ended.
    pub async fn remembered(&self, user: UserId, now: DateTime<Utc>) -> Result<usize, SessionError> {
        Ok(self.list_stored(user).await?.iter().filter(|stored| now < stored.record.expires_at).count())
    }

    /// Tells the keys of a user, under `epoch`, what has become of their owner; without one they end for good.
    async fn renew(
        &self,
        user: UserId,
        epoch: i64,
        owner: Option<&Owner>,
        now: DateTime<Utc>,
    ) -> Result<(), SessionError> {
        for _ in 0..ATTEMPTS {
            let mut met = false;
            for Stored { record, version } in self.list_stored(user).await? {
                let ended = record.revoked_at.is_some() || record.expires_at <= now;
                let record = match owner {
                    _ if ended => continue,
                    Some(owner) if record.owner.auth_epoch >= owner.auth_epoch => continue,
                    Some(owner) => ApiKey { owner: owner.clone(), ..record },
                    // Made when the account could be used again: it heard that in a later epoch.
                    None if record.owner.auth_epoch >= epoch => continue,
                    None => record.revoked(now),
                };
                let next = Stored { record, version: version + 1 };
                let (table, name) = self.table();
                match table.put(name, item_of(&next)?, Condition::VersionIs(version)).await {
                    // Deleted, or renewed by somebody else: the next look says which.
                    Err(TableError::ConditionFailed) => met = true,
                    Err(error) => return Err(error.into()),
                    Ok(()) => self.tell_changed(&next, now).await,
                }
            }
            if !met {
                return Ok(());
            }
        }
        Err(SessionError::Conflict)
    }

    async fn tell_changed(&self, stored: &Stored<ApiKey>, now: DateTime<Utc>) {
        let (key, version) = (&stored.record, stored.version);
        self.tell(|cache| async move { cache.fill(key.user_id, Some((key, version)), None, now, now).await }).await;
    }
}

/// The minute that a use falls into.
pub fn minute(now: DateTime<Utc>) -> i64 {
    now.timestamp().div_euclid(COARSE)
}

fn uses(user: UserId) -> String {
    format!("api_key_use#{user}")
}
