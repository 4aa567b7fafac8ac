//! Cancelling.

use halyard_domain::{TaskId, UserId, WorkflowId, task::TaskState};
use sqlx::PgConnection;

use crate::{Now, Result, rows::parse};

/// What became of a cancellation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancelled {
    /// It had not begun, and never will. If it is a step of one: the workflow to be taken further.
    Ended(Option<WorkflowId>),
    /// It runs; its attempt is told at the next renewal.
    Requested,
    /// It had ended, in this state.
    TooLate(TaskState),
}

/// Cancels a task, of `owner` if one is given, in one statement. `None`: there is no such task.
///
/// The row is locked first, so what is decided on is its state at that moment, not the statement's snapshot of it.
pub async fn cancel(
    conn: &mut PgConnection,
    id: TaskId,
    owner: Option<UserId>,
    reason: &str,
    now: Now,
) -> Result<Option<Cancelled>> {
    let row = sqlx::query!(
        r#"
        with target as (
            select id, state from tasks where id = $1 and ($2::bigint is null or user_id = $2) for update
        ), ended as (
            update tasks t set state = 'cancelled', ended_at = coalesce($4::timestamptz, statement_timestamp()), error = $3,
                               cancel_requested = true
            from target where t.id = target.id and target.state in ('queued', 'scheduled', 'retrying')
            returning t.id, t.user_id, t.task_type, t.attempt, t.ended_at, t.workflow_id
        ), requested as (
            update tasks t set cancel_requested = true
            from target where t.id = target.id and target.state = 'running'
            returning t.id, t.attempt
        ), event as (
            insert into task_events (task_id, at, state, attempt, message)
            select id, ended_at, 'cancelled', attempt, 'Task cancelled: ' || $3 from ended
            union all
            select id, coalesce($4, statement_timestamp()), 'running', attempt, 'Cancellation requested: ' || $3 from requested
        ), doorbell as (
            delete from outbox where task_id = any (array(select id from ended))
        ), counted as (
            insert into stat_deltas (user_id, task_type, hour, cancelled)
            select user_id, task_type, date_trunc('hour', ended_at, 'UTC'), 1 from ended
        )
        select state, exists (select from ended) as "ended!", (select workflow_id from ended) as workflow_id,
               exists (select from requested) as "requested!" from target
        "#,
        id.0,
        owner.map(|o| o.0),
        reason,
        now,
    )
    .fetch_optional(conn)
    .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(match (row.ended, row.requested) {
        (true, _) => Cancelled::Ended(row.workflow_id.map(WorkflowId)),
        (_, true) => Cancelled::Requested,
        _ => Cancelled::TooLate(parse(&row.state)?),
    }))
}
