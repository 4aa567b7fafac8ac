//! The tables, which work in a thread of their own: whoever asks waits with this one until they have answered, so that it does
//! not depend on the moment which of two goes on first.

use std::{pin::pin, thread};

use async_trait::async_trait;
use futures::FutureExt as _;
use halyard_cloud::table::{Condition, Item, Page, Table, TableError, TableName, TableTwin};

/// The tables. No step is decided about here: what is in them are records, not states.
#[derive(Debug)]
pub struct PromptTable(pub TableTwin);

/// Waits without letting anybody else go on.
fn at_once<T>(call: impl Future<Output = T>) -> T {
    let mut call = pin!(call);
    loop {
        match call.as_mut().now_or_never() {
            Some(answer) => return answer,
            None => thread::yield_now(),
        }
    }
}

#[async_trait]
impl Table for PromptTable {
    async fn get(&self, table: &TableName, pk: &str, sk: &str) -> Result<Option<Item>, TableError> {
        at_once(self.0.get(table, pk, sk))
    }

    async fn put(&self, table: &TableName, item: Item, condition: Condition) -> Result<(), TableError> {
        at_once(self.0.put(table, item, condition))
    }

    async fn put_all(&self, table: &TableName, items: Vec<Item>) -> Result<(), TableError> {
        at_once(self.0.put_all(table, items))
    }

    async fn delete(&self, table: &TableName, pk: &str, sk: &str, condition: Condition) -> Result<(), TableError> {
        at_once(self.0.delete(table, pk, sk, condition))
    }

    async fn query(&self, table: &TableName, pk: &str, after: Option<&str>, limit: u32) -> Result<Page, TableError> {
        at_once(self.0.query(table, pk, after, limit))
    }
}
