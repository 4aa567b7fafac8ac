//! Where the http layer keeps idempotency keys: a table.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use halyard_cloud::IdempotencyRecords;
use halyard_domain::{
    UserId,
    idempotency::{Asked, Begun, Held, IdempotencyKey, KeptAnswer},
};
use halyard_http::{IdempotencyKeys, KeysDown};

/// Keys in a table.
#[derive(Debug, Clone)]
pub struct StoredKeys(IdempotencyRecords);

impl StoredKeys {
    /// In these records.
    pub fn new(records: IdempotencyRecords) -> Self {
        Self(records)
    }
}

fn down(error: impl std::fmt::Display) -> KeysDown {
    KeysDown(error.to_string())
}

#[async_trait]
impl IdempotencyKeys for StoredKeys {
    async fn begin(
        &self,
        user: UserId,
        key: &IdempotencyKey,
        asked: &Asked,
        now: DateTime<Utc>,
    ) -> Result<Begun, KeysDown> {
        self.0.begin(user, key, asked, now).await.map_err(down)
    }

    async fn keep(&self, held: &Held, answer: KeptAnswer) -> Result<(), KeysDown> {
        self.0.keep(held, answer).await.map_err(down)
    }

    async fn release(&self, held: &Held, now: DateTime<Utc>) -> Result<(), KeysDown> {
        self.0.release(held, now).await.map_err(down)
    }
}
