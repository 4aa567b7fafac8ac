//! Tables with the semantics of DynamoDB that Halyard uses: items under (pk, sk), conditional writes, strongly
//! consistent reads, a TTL that deletes late.

mod dynamo;
pub mod limits;
mod twin;
mod writer;

use std::fmt;

use async_trait::async_trait;
pub use dynamo::DynamoTable;
use serde_json::{Map, Value};
pub use twin::TableTwin;

/// A table's name, as `infra/template.yaml` gives it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TableName(pub String);

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An item. In DynamoDB: attributes `pk`, `sk`, `version` (N), `expires_at` (N, seconds since 1970, the TTL attribute)
/// and the entries of `body` under their own names (which may therefore not be one of those four).
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// Partition key.
    pub pk: String,
    /// Sort key; sorted as UTF-8 bytes.
    pub sk: String,
    /// What conditional writes compare.
    pub version: i64,
    /// When TTL may delete it, in seconds since 1970. A reader must still check it: deletion is late.
    pub expires_at: Option<i64>,
    /// Everything else.
    pub body: Map<String, Value>,
}

/// What must hold for a write to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// Nothing.
    Always,
    /// There is no item under the key.
    NotExists,
    /// There is one, with this version.
    VersionIs(i64),
    /// There is none, or one with a lower version than this.
    VersionBelow(i64),
}

/// Why a table could not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The condition did not hold; the item stays as it was.
    #[error("the condition of the write did not hold")]
    ConditionFailed,
    /// The request breaks a limit (400 KB an item, key lengths) or names no table.
    #[error("the table refused the request: {0}")]
    Refused(String),
    /// The service did not answer, or said that it cannot now. A write may or may not have happened.
    #[error("the table service is unavailable: {0}")]
    Unavailable(String),
}

/// One page of a query.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Page {
    /// The items, ascending by sort key.
    pub items: Vec<Item>,
    /// The sort key to go on after; `None` at the end.
    pub next: Option<String>,
}

/// A table service.
#[async_trait]
pub trait Table: Send + Sync + fmt::Debug {
    /// Reads one item, strongly consistent.
    async fn get(&self, table: &TableName, pk: &str, sk: &str) -> Result<Option<Item>, TableError>;

    /// Writes one item whole, if `condition` holds.
    async fn put(&self, table: &TableName, item: Item, condition: Condition) -> Result<(), TableError>;

    /// Writes items without conditions, all or some: on an error the caller writes them again. Any number; the
    /// adapter splits them into batches of 25.
    async fn put_all(&self, table: &TableName, items: Vec<Item>) -> Result<(), TableError>;

    /// Deletes one item, if `condition` holds. Deleting what is not there is not an error under `Always`.
    async fn delete(&self, table: &TableName, pk: &str, sk: &str, condition: Condition) -> Result<(), TableError>;

    /// Items of one partition, ascending by sort key, strictly after `after`, at most `limit` (1-1000).
    async fn query(&self, table: &TableName, pk: &str, after: Option<&str>, limit: u32) -> Result<Page, TableError>;
}
