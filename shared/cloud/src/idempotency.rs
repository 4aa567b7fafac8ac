//! Records of `Idempotency-Key` in a [`Table`]: an item for each key of a user, written before the request is carried out and
//! again with its answer. What is done about a key that is known, `domain::idempotency` decides; here it is made exact by
//! conditional writes.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use halyard_domain::{
    UserId,
    idempotency::{Asked, Begun, Held, IdempotencyKey, KeptAnswer, Record, Verdict},
};
use serde_json::Value;

use crate::table::{Condition, Item, Table, TableError, TableName};

/// The store. Clones share everything.
#[derive(Debug, Clone)]
pub struct IdempotencyRecords {
    table: Arc<dyn Table>,
    name: TableName,
}

/// Tries to get hold of a key that changes meanwhile.
const TRIES: usize = 3;
/// Every partition has one item.
const SORT_KEY: &str = "request";
/// The longest body that is kept, in bytes: an item has 400 KB at most.
const LONGEST: usize = 256 * 1024;

impl IdempotencyRecords {
    /// A store over the table `name` (`TABLE_IDEMPOTENCY`).
    pub fn new(table: Arc<dyn Table>, name: TableName) -> Self {
        Self { table, name }
    }

    /// Takes hold of a key, or says why it cannot be had. One write for a key that is new; one more read for one that is
    /// known, and one more write to take over a request that nobody carries out any more.
    ///
    /// # Errors
    /// When the table does not do as asked. The key may be held then: until its lease ends.
    pub async fn begin(
        &self,
        user: UserId,
        key: &IdempotencyKey,
        asked: &Asked,
        now: DateTime<Utc>,
    ) -> Result<Begun, TableError> {
        let slot = format!("user#{user}#{}", key.as_str());
        let (mut condition, mut version, mut again) = (Condition::NotExists, 1, false);
        let fresh = || Record::new(asked.fingerprint.clone(), asked.first_id, asked.owner.clone(), now);
        let mut record = fresh();
        for _ in 0..TRIES {
            let held = Held { slot: slot.clone(), version, record, again };
            match self.put(&held, condition).await {
                Ok(()) => return Ok(Begun::Held(held)),
                Err(TableError::ConditionFailed) => {}
                Err(error) => return Err(error),
            }
            let Some(item) = self.table.get(&self.name, &slot, SORT_KEY).await? else {
                // Deleted this moment, as it was old.
                (condition, version, again, record) = (Condition::NotExists, 1, false, fresh());
                continue;
            };
            let stored = read(&item)?;
            // A write of our own that the adapter sent twice, because the first answer was lost.
            if stored.owner == asked.owner && stored.answer.is_none() {
                let again = stored.first_id != asked.first_id;
                return Ok(Begun::Held(Held { slot, version: item.version, record: stored, again }));
            }
            (condition, version) = (Condition::VersionIs(item.version), item.version + 1);
            (record, again) = match stored.judge(&asked.fingerprint, now) {
                Verdict::Mismatch => return Ok(Begun::Mismatch),
                Verdict::Running => return Ok(Begun::Running),
                Verdict::Replay(answer) => return Ok(Begun::Replay(answer)),
                Verdict::Expired => (fresh(), false),
                Verdict::TakeOver => (stored.taken_over(asked.owner.clone(), now), true),
            };
        }
        // Others get hold of it each time: one of them has it.
        Ok(Begun::Running)
    }

    /// Keeps the answer of a request that was carried out. What is too large is kept without its body.
    ///
    /// # Errors
    /// When the table does not do as asked, or another request has the key by now.
    pub async fn keep(&self, held: &Held, mut answer: KeptAnswer) -> Result<(), TableError> {
        answer.body = answer.body.filter(|body| body.len() <= LONGEST);
        let record = Record { answer: Some(answer), ..held.record.clone() };
        self.replace(held, record).await
    }

    /// Lets go of the key of a request that may be sent again. Its ids stay: nobody knows what it has made.
    ///
    /// # Errors
    /// As [`Self::keep`].
    pub async fn release(&self, held: &Held, now: DateTime<Utc>) -> Result<(), TableError> {
        let record = Record { leased_until: now, ..held.record.clone() };
        self.replace(held, record).await
    }

    async fn replace(&self, held: &Held, record: Record) -> Result<(), TableError> {
        let next = Held { version: held.version + 1, record, ..held.clone() };
        self.put(&next, Condition::VersionIs(held.version)).await
    }

    async fn put(&self, held: &Held, condition: Condition) -> Result<(), TableError> {
        let body = match serde_json::to_value(&held.record) {
            Ok(Value::Object(body)) => body,
            Ok(_) => return Err(TableError::Refused("a record is an object".to_owned())),
            Err(error) => return Err(TableError::Refused(error.to_string())),
        };
        let item = Item {
            pk: held.slot.clone(),
            sk: SORT_KEY.to_owned(),
            version: held.version,
            // The next full second: TTL must not be early.
            expires_at: Some(held.record.expires_at().timestamp() + 1),
            body,
        };
        self.table.put(&self.name, item, condition).await
    }
}

fn read(item: &Item) -> Result<Record, TableError> {
    serde_json::from_value(Value::Object(item.body.clone()))
        .map_err(|error| TableError::Refused(format!("the stored record cannot be read: {error}")))
}
