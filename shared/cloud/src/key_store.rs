//! Where the public token keys are kept: one item of the sessions table, which everybody who verifies reads anyway.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::table::{Condition, Item, Table, TableError, TableName};

const PARTITION: &str = "token_keys";
const SORT: &str = "set";
const KEYS: &str = "keys";

/// Why the key set could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum KeyStoreError {
    /// Somebody else changed it since it was read.
    #[error("the key set was changed meanwhile")]
    Conflict,
    /// The table did not answer, or refused.
    #[error("the key set's table: {0}")]
    Table(String),
}

impl From<TableError> for KeyStoreError {
    fn from(error: TableError) -> Self {
        match error {
            TableError::ConditionFailed => Self::Conflict,
            other => Self::Table(other.to_string()),
        }
    }
}

/// The set as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredKeys {
    /// The member `keys` of a JWK set.
    pub keys: Value,
    /// For the next change.
    pub version: i64,
}

/// The store. Clones share everything.
#[derive(Debug, Clone)]
pub struct KeyStore {
    table: Arc<dyn Table>,
    name: TableName,
}

impl KeyStore {
    /// In the table `name` (`TABLE_SESSIONS`).
    pub fn new(table: Arc<dyn Table>, name: TableName) -> Self {
        Self { table, name }
    }

    /// Reads it, strongly consistent; `None` when none was ever stored.
    pub async fn read(&self) -> Result<Option<StoredKeys>, KeyStoreError> {
        let item = self.table.get(&self.name, PARTITION, SORT).await?;
        Ok(item.map(|mut item| StoredKeys { keys: item.body.remove(KEYS).unwrap_or_default(), version: item.version }))
    }

    /// Writes it, if it is still as it was read.
    ///
    /// # Errors
    /// [`KeyStoreError::Conflict`] when it is not.
    pub async fn write(&self, keys: Value, read: Option<&StoredKeys>) -> Result<(), KeyStoreError> {
        let (version, condition) = match read {
            None => (1, Condition::NotExists),
            Some(read) => (read.version + 1, Condition::VersionIs(read.version)),
        };
        let body = Map::from_iter([(KEYS.to_owned(), keys)]);
        let item = Item { pk: PARTITION.to_owned(), sk: SORT.to_owned(), version, expires_at: None, body };
        Ok(self.table.put(&self.name, item, condition).await?)
    }
}
