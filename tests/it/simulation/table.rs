//! The tables as one environment sees them: each call waits on the stage. They work in a thread of their own: whoever asks waits
//! with this one until they have answered, so that it does not depend on the moment which of two goes on first.

use std::{pin::pin, sync::Arc, thread};

use async_trait::async_trait;
use futures::FutureExt as _;
use halyard_cloud::table::{Condition, Item, Page, Table, TableError, TableName, TableTwin};

use super::stage::{HostId, Kind, Stage};

/// The tables.
#[derive(Debug)]
pub struct StagedTable {
    pub twin: TableTwin,
    pub stage: Arc<Stage>,
    pub host: HostId,
}

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

impl StagedTable {
    async fn staged<T>(
        &self,
        label: String,
        call: impl Future<Output = Result<T, TableError>>,
    ) -> Result<T, TableError> {
        let broken = || TableError::Unavailable("the simulation broke it".to_owned());
        self.stage.pass(self.host, Kind::Table, label, broken, async |_| at_once(call)).await
    }
}

#[async_trait]
impl Table for StagedTable {
    async fn get(&self, table: &TableName, pk: &str, sk: &str) -> Result<Option<Item>, TableError> {
        self.staged(format!("get from {table}"), self.twin.get(table, pk, sk)).await
    }

    async fn put(&self, table: &TableName, item: Item, condition: Condition) -> Result<(), TableError> {
        self.staged(format!("put into {table} if {condition:?}"), self.twin.put(table, item, condition)).await
    }

    async fn put_all(&self, table: &TableName, items: Vec<Item>) -> Result<(), TableError> {
        self.staged(format!("put {} into {table}", items.len()), self.twin.put_all(table, items)).await
    }

    async fn delete(&self, table: &TableName, pk: &str, sk: &str, condition: Condition) -> Result<(), TableError> {
        let label = format!("delete from {table} if {condition:?}");
        self.staged(label, self.twin.delete(table, pk, sk, condition)).await
    }

    async fn query(&self, table: &TableName, pk: &str, after: Option<&str>, limit: u32) -> Result<Page, TableError> {
        self.staged(format!("query {table}"), self.twin.query(table, pk, after, limit)).await
    }
}
