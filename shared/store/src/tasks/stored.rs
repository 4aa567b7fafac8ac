//! Results that are too large for a row.

use halyard_domain::TaskId;
use sqlx::PgConnection;

use crate::Result;

/// Whether an attempt may store its result apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// It may.
    Noted,
    /// A later step of its workflow takes the result, which must stand in a row for that.
    Taken,
    /// It no longer holds the task.
    Fenced,
}

/// Notes where an attempt is about to store its result. It counts once the task has completed without a result in its row, so
/// what an attempt noted that did not come to its end is of no consequence.
pub async fn note_stored(conn: &mut PgConnection, id: TaskId, fence: i64, key: &str) -> Result<Room> {
    let row = sqlx::query!(
        r#"
        with held as (
            select t.id, exists (select from workflow_edges e
                                 where e.workflow_id = t.workflow_id and e.before_step = t.step and e.gives) as taken
            from tasks t where t.id = $1 and t.fence = $2 and t.lease_until is not null for update of t
        ), noted as (
            update tasks t set result_key = $3 from held h where t.id = h.id and not h.taken
        )
        select taken as "taken!" from held
        "#,
        id.0,
        fence,
        key,
    )
    .fetch_optional(conn)
    .await?;
    Ok(match row {
        None => Room::Fenced,
        Some(row) if row.taken => Room::Taken,
        Some(_) => Room::Noted,
    })
}
