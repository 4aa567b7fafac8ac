//! Records that tasks import, a batch at a time.
//!
//! They are there for others once their task has completed: one that ends otherwise loses them in the transaction that ends it
//! (migration 20).

use serde_json::value::RawValue;
use sqlx::{Connection as _, PgConnection};

use crate::{
    Now, Result,
    tasks::{self, Writer},
};

/// Some of the records of an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batch<'a> {
    /// What they are.
    pub data_type: &'a str,
    /// Where they stand in what is imported, from 1.
    pub positions: &'a [i32],
    /// The records, as JSON, one for each position.
    pub records: &'a [String],
    /// Is what the task has imported so far forgotten?
    pub anew: bool,
}

/// Writes a batch and keeps the task's checkpoint, in one transaction: whoever goes on from there goes on exactly behind it. `false`,
/// and nothing done: the attempt has lost its task.
pub async fn write(
    conn: &mut PgConnection,
    by: Writer,
    batch: &Batch<'_>,
    checkpoint: &RawValue,
    now: Now,
) -> Result<bool> {
    let mut tx = conn.begin().await?;
    // First of all: it locks the task's row, so that whoever ends the task does so before or after the whole batch.
    if !tasks::checkpoint(&mut tx, by, checkpoint).await? {
        tx.rollback().await?;
        return Ok(false);
    }
    if batch.anew {
        sqlx::query!("delete from imported_records where task_id = $1", by.task.0).execute(&mut *tx).await?;
    }
    sqlx::query!(
        r#"
        insert into imported_records (task_id, position, user_id, imported_at, data_type, record)
        select $1, given.position, $2, coalesce($6::timestamptz, statement_timestamp()), $3, given.record::json
        from unnest($4::integer[], $5::text[]) as given (position, record)
        "#,
        by.task.0,
        by.user.0,
        batch.data_type,
        batch.positions,
        batch.records,
        now,
    )
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(true)
}
