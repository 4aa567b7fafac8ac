//! The one writer of the table twin, and how items look in the store.

use std::sync::mpsc;

use redb::{Database, ReadableTable as _, TableDefinition, WriteTransaction};
use serde_json::{Map, Value};
use tokio::sync::oneshot;

use super::{Condition, Item, TableError, TableName};

/// Writes that one transaction takes together at most.
const GROUP: usize = 256;

/// One write.
#[derive(Debug)]
pub(super) enum Op {
    Put {
        table: TableName,
        pk: String,
        sk: String,
        value: Vec<u8>,
        condition: Condition,
    },
    Delete {
        table: TableName,
        pk: String,
        sk: String,
        condition: Condition,
    },
    /// Deletes the item if it is still one that expired before this moment.
    Expire {
        table: TableName,
        pk: String,
        sk: String,
        before: i64,
    },
}

/// Writes that one caller waits for.
#[derive(Debug)]
pub(super) struct Job {
    pub ops: Vec<Op>,
    pub reply: oneshot::Sender<Result<(), TableError>>,
}

type Key = (&'static str, &'static str);

pub(super) fn definition(table: &TableName) -> TableDefinition<'_, Key, &'static [u8]> {
    TableDefinition::new(&table.0)
}

pub(super) fn create_tables(database: &Database, tables: &[TableName]) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    for table in tables {
        transaction.open_table(definition(table))?;
    }
    Ok(transaction.commit()?)
}

/// Commits jobs in groups until every sender is gone.
pub(super) fn run(database: &Database, jobs: &mpsc::Receiver<Job>) {
    while let Ok(first) = jobs.recv() {
        let mut group = vec![first];
        group.extend(jobs.try_iter().take(GROUP - 1));
        let outcomes = commit(database, &group);
        for (index, job) in group.into_iter().enumerate() {
            let outcome = match &outcomes {
                Ok(conditions) if conditions[index] => Ok(()),
                Ok(_) => Err(TableError::ConditionFailed),
                Err(error) => Err(TableError::Unavailable(error.to_string())),
            };
            // A caller who went away misses nothing.
            _ = job.reply.send(outcome);
        }
    }
}

/// Did the condition of each job hold? On an error nothing of the group was written.
fn commit(database: &Database, group: &[Job]) -> Result<Vec<bool>, redb::Error> {
    let transaction = database.begin_write()?;
    let mut held = Vec::with_capacity(group.len());
    for job in group {
        let mut all = true;
        for op in &job.ops {
            all &= apply(&transaction, op)?;
        }
        held.push(all);
    }
    transaction.commit()?;
    Ok(held)
}

fn apply(transaction: &WriteTransaction, op: &Op) -> Result<bool, redb::Error> {
    match op {
        Op::Put { table, pk, sk, value, condition } => {
            let mut open = transaction.open_table(definition(table))?;
            let key = (pk.as_str(), sk.as_str());
            let holds =
                *condition == Condition::Always || holds(open.get(key)?.map(|v| version(v.value())), *condition);
            if holds {
                open.insert(key, value.as_slice())?;
            }
            Ok(holds)
        }
        Op::Delete { table, pk, sk, condition } => {
            let mut open = transaction.open_table(definition(table))?;
            let key = (pk.as_str(), sk.as_str());
            let holds = holds(open.get(key)?.map(|v| version(v.value())), *condition);
            if holds {
                open.remove(key)?;
            }
            Ok(holds)
        }
        Op::Expire { table, pk, sk, before } => {
            let mut open = transaction.open_table(definition(table))?;
            let key = (pk.as_str(), sk.as_str());
            let expired = open.get(key)?.and_then(|v| expires_at(v.value())).is_some_and(|at| at < *before);
            if expired {
                open.remove(key)?;
            }
            Ok(true)
        }
    }
}

fn holds(present: Option<i64>, condition: Condition) -> bool {
    match condition {
        Condition::Always => true,
        Condition::NotExists => present.is_none(),
        Condition::VersionIs(version) => present == Some(version),
        Condition::VersionBelow(version) => present.is_none_or(|p| p < version),
    }
}

/// In the store: version (8 bytes), expiry (8 bytes, the smallest number for none), the body as JSON.
const NEVER: i64 = i64::MIN;

pub(super) fn encode(item: &Item) -> Result<Vec<u8>, TableError> {
    let mut value = Vec::with_capacity(256);
    value.extend(item.version.to_le_bytes());
    value.extend(item.expires_at.unwrap_or(NEVER).to_le_bytes());
    serde_json::to_writer(&mut value, &item.body).map_err(|e| TableError::Refused(e.to_string()))?;
    Ok(value)
}

pub(super) fn decode(pk: &str, sk: &str, value: &[u8]) -> Result<Item, TableError> {
    let damaged = |e: serde_json::Error| TableError::Unavailable(format!("the item {pk} {sk} is damaged: {e}"));
    let body: Map<String, Value> = serde_json::from_slice(value.get(16..).unwrap_or_default()).map_err(damaged)?;
    Ok(Item { pk: pk.to_owned(), sk: sk.to_owned(), version: version(value), expires_at: expires_at(value), body })
}

fn version(value: &[u8]) -> i64 {
    number(value, 0)
}

pub(super) fn expires_at(value: &[u8]) -> Option<i64> {
    Some(number(value, 8)).filter(|at| *at != NEVER)
}

fn number(value: &[u8], at: usize) -> i64 {
    value.get(at..at + 8).and_then(|bytes| bytes.try_into().ok()).map_or(0, i64::from_le_bytes)
}
