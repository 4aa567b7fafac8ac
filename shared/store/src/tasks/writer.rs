//! What an attempt writes beside its task, together with its checkpoint.

use halyard_domain::{TaskId, UserId};
use serde_json::value::RawValue;
use sqlx::PgConnection;

use crate::Result;

/// The attempt that writes: what it does counts only while it has its task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Writer {
    /// Its task.
    pub task: TaskId,
    /// Whose that is.
    pub user: UserId,
    /// Its number.
    pub attempt: i16,
}

/// Keeps the checkpoint, and the task as it is until the transaction ends. `false`, and nothing done: the attempt has lost its task.
pub async fn checkpoint(conn: &mut PgConnection, by: Writer, checkpoint: &RawValue) -> Result<bool> {
    let kept = sqlx::query!(
        "update tasks set checkpoint = $3::text::json where id = $1 and attempt = $2 and state = 'running'",
        by.task.0,
        by.attempt,
        checkpoint.get(),
    )
    .execute(conn)
    .await?;
    Ok(kept.rows_affected() > 0)
}
