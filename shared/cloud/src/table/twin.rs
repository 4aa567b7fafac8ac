//! A table service on an embedded store (`redb`), in a file or in memory.
//!
//! Reads run on the caller's thread: a look into a B-tree in memory or in the page cache takes microseconds. Writes go
//! to one writer thread, which commits everything that waits as one transaction (redb has one writer anyway), so that
//! side-by-side writes share one `fsync`. A write is answered after its commit: it survives `kill -9`.

use std::{
    fmt,
    ops::Bound,
    path::Path,
    sync::{Arc, mpsc},
    thread::JoinHandle,
};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use redb::{Builder, Database, ReadableDatabase as _, backends::InMemoryBackend};
use tokio::sync::oneshot;

use super::{
    Condition, Item, Page, Table, TableError, TableName, limits,
    writer::{self, Job, Op, decode, definition, encode},
};
use crate::round_trips;

/// What redb may keep of the file in memory; the rest is in the operating system's page cache.
const CACHE_BYTES: usize = 8 * 1024 * 1024;
/// How many expired items one sweep's transaction deletes.
const SWEEP_BATCH: usize = 500;

/// The twin of `DynamoDB`. Clones share the tables; any thread and any runtime may use it. Dropping the last clone
/// waits for the last write and closes the file.
#[derive(Clone)]
pub struct TableTwin(Arc<Inner>);

struct Inner {
    database: Arc<Database>,
    tables: Vec<TableName>,
    writer: Option<(mpsc::Sender<Job>, JoinHandle<()>)>,
}

impl fmt::Debug for TableTwin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TableTwin").field("tables", &self.0.tables).finish_non_exhaustive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some((sender, thread)) = self.writer.take() {
            drop(sender);
            _ = thread.join();
        }
    }
}

impl TableTwin {
    /// Opens or creates the file at `path`, with `tables` in it. Blocks: after a `kill -9` it is checked first.
    ///
    /// # Errors
    /// [`TableError::Unavailable`]: the file cannot be opened, is damaged, or another process has it open.
    pub fn open(path: impl AsRef<Path>, tables: impl IntoIterator<Item = TableName>) -> Result<Self, TableError> {
        let path = path.as_ref();
        let database = Builder::new().set_cache_size(CACHE_BYTES).create(path);
        Self::start(database.map_err(|e| unavailable(&format!("{}: {e}", path.display())))?, tables)
    }

    /// Makes `tables` in memory.
    ///
    /// # Errors
    /// [`TableError::Unavailable`] when there is no thread to be had.
    pub fn in_memory(tables: impl IntoIterator<Item = TableName>) -> Result<Self, TableError> {
        let database = Builder::new().set_cache_size(CACHE_BYTES).create_with_backend(InMemoryBackend::new());
        Self::start(database.map_err(|e| unavailable(&e))?, tables)
    }

    fn start(database: Database, tables: impl IntoIterator<Item = TableName>) -> Result<Self, TableError> {
        let tables: Vec<_> = tables.into_iter().collect();
        writer::create_tables(&database, &tables).map_err(|e| unavailable(&e))?;
        let database = Arc::new(database);
        let (sender, jobs) = mpsc::channel();
        let for_writer = Arc::clone(&database);
        let thread = std::thread::Builder::new().name("table-twin".to_owned());
        let thread = thread.spawn(move || writer::run(&for_writer, &jobs)).map_err(|e| unavailable(&e))?;
        Ok(Self(Arc::new(Inner { database, tables, writer: Some((sender, thread)) })))
    }

    /// Deletes what has expired before `now`, as `DynamoDB`'s TTL does within days of the expiry; never called by a
    /// read. Answers how many items went.
    pub async fn sweep(&self, now: DateTime<Utc>) -> Result<u64, TableError> {
        let (twin, before) = (self.clone(), now.timestamp());
        let expired = tokio::task::spawn_blocking(move || twin.expired(before)).await;
        let expired = expired.map_err(|e| unavailable(&e))??;
        let deleted = expired.len() as u64;
        let mut expired = expired.into_iter().peekable();
        while expired.peek().is_some() {
            self.write(expired.by_ref().take(SWEEP_BATCH).collect()).await?;
        }
        Ok(deleted)
    }

    fn expired(&self, before: i64) -> Result<Vec<Op>, TableError> {
        let read = self.0.database.begin_read().map_err(|e| unavailable(&e))?;
        let mut found = Vec::new();
        for table in &self.0.tables {
            let open = read.open_table(definition(table)).map_err(|e| unavailable(&e))?;
            for entry in open.range::<(&str, &str)>(..).map_err(|e| unavailable(&e))? {
                let (key, value) = entry.map_err(|e| unavailable(&e))?;
                if writer::expires_at(value.value()).is_some_and(|at| at < before) {
                    let (pk, sk) = key.value();
                    found.push(Op::Expire { table: table.clone(), pk: pk.into(), sk: sk.into(), before });
                }
            }
        }
        Ok(found)
    }

    fn check_table(&self, table: &TableName) -> Result<(), TableError> {
        round_trips::TABLE.add(1);
        let known = self.0.tables.contains(table);
        known.then_some(()).ok_or_else(|| TableError::Refused(format!("table {table} does not exist")))
    }

    async fn write(&self, ops: Vec<Op>) -> Result<(), TableError> {
        let (reply, answer) = oneshot::channel();
        let sender = self.0.writer.as_ref().map(|(sender, _)| sender);
        if sender.is_none_or(|sender| sender.send(Job { ops, reply }).is_err()) {
            return Err(unavailable(&"the writer has stopped"));
        }
        answer.await.unwrap_or_else(|_| Err(unavailable(&"the writer has stopped")))
    }
}

#[async_trait]
impl Table for TableTwin {
    async fn get(&self, table: &TableName, pk: &str, sk: &str) -> Result<Option<Item>, TableError> {
        self.check_table(table)?;
        limits::check_key(pk, sk)?;
        let read = self.0.database.begin_read().map_err(|e| unavailable(&e))?;
        let open = read.open_table(definition(table)).map_err(|e| unavailable(&e))?;
        let value = redb::ReadableTable::get(&open, (pk, sk)).map_err(|e| unavailable(&e))?;
        value.map(|value| decode(pk, sk, value.value())).transpose()
    }

    async fn put(&self, table: &TableName, item: Item, condition: Condition) -> Result<(), TableError> {
        self.check_table(table)?;
        limits::check_item(&item)?;
        let value = encode(&item)?;
        let op = Op::Put { table: table.clone(), pk: item.pk, sk: item.sk, value, condition };
        self.write(vec![op]).await
    }

    async fn put_all(&self, table: &TableName, items: Vec<Item>) -> Result<(), TableError> {
        self.check_table(table)?;
        let mut ops = Vec::with_capacity(items.len());
        for item in items {
            limits::check_item(&item)?;
            let (value, condition) = (encode(&item)?, Condition::Always);
            ops.push(Op::Put { table: table.clone(), pk: item.pk, sk: item.sk, value, condition });
        }
        if ops.is_empty() { Ok(()) } else { self.write(ops).await }
    }

    async fn delete(&self, table: &TableName, pk: &str, sk: &str, condition: Condition) -> Result<(), TableError> {
        self.check_table(table)?;
        limits::check_key(pk, sk)?;
        self.write(vec![Op::Delete { table: table.clone(), pk: pk.to_owned(), sk: sk.to_owned(), condition }]).await
    }

    async fn query(&self, table: &TableName, pk: &str, after: Option<&str>, limit: u32) -> Result<Page, TableError> {
        self.check_table(table)?;
        limits::check_query(pk, limit)?;
        let read = self.0.database.begin_read().map_err(|e| unavailable(&e))?;
        let open = read.open_table(definition(table)).map_err(|e| unavailable(&e))?;
        let from = after.map_or(Bound::Included((pk, "")), |after| Bound::Excluded((pk, after)));
        let range = redb::ReadableTable::range(&open, (from, Bound::Unbounded)).map_err(|e| unavailable(&e))?;
        let mut page = Page::default();
        for entry in range {
            let (key, value) = entry.map_err(|e| unavailable(&e))?;
            let (partition, sk) = key.value();
            if partition != pk {
                break;
            }
            if page.items.len() == limit as usize {
                page.next = page.items.last().map(|item| item.sk.clone());
                break;
            }
            page.items.push(decode(pk, sk, value.value())?);
        }
        Ok(page)
    }
}

fn unavailable(error: &dyn fmt::Display) -> TableError {
    TableError::Unavailable(error.to_string())
}
