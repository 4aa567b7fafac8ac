//! Cancelling a workflow as a whole.

use halyard_domain::{UserId, WorkflowId, workflow::WorkflowState};
use sqlx::PgConnection;

use crate::{Now, Result, rows::parse};

/// What became of a cancellation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancelled {
    /// It runs no more steps: so many were cancelled at once, and so many that run are told at their next renewal.
    Requested {
        /// Steps that had not begun, or waited for their next attempt.
        ended: i64,
        /// Steps that run.
        told: i64,
    },
    /// It had ended, in this state.
    TooLate(WorkflowState),
}

/// Cancels a workflow, of `owner` if one is given: steps that wait end at once, those that run are told to stop. `None`:
/// there is no such workflow. The workflow itself ends when its last step has, and must be advanced for it.
///
/// A step that begins, or ends an attempt, in that very moment may be missed: call it until nothing is left to be told.
pub async fn cancel(
    conn: &mut PgConnection,
    id: WorkflowId,
    owner: Option<UserId>,
    reason: &str,
    now: Now,
) -> Result<Option<Cancelled>> {
    let row = sqlx::query!(
        r#"
        with target as (
            select id, state from workflows where id = $1 and ($2::bigint is null or user_id = $2) for update
        ), held as (
            update workflows w set cancel_requested = true, version = w.version + 1
            from target where w.id = target.id and target.state = 'running'
            returning w.id, coalesce($4::timestamptz, statement_timestamp()) as now
        ), ended as (
            select cancel_waiting(array(select s.task_id from workflow_steps s where s.workflow_id = h.id), $3, h.now) as id
            from held h
        ), told as (
            update tasks t set cancel_requested = true, error = 'cancelled: ' || $3
            from held h join workflow_steps s on s.workflow_id = h.id
            where t.id = s.task_id and t.lease_until is not null and not t.cancel_requested
            returning t.id, t.attempt, h.now
        ), event as (
            insert into task_events (task_id, at, state, attempt, message)
            select id, now, 'running', attempt, 'Cancellation requested: ' || $3 from told
        )
        select state, exists (select from held) as "requested!", (select count(*) from ended) as "ended!",
               (select count(*) from told) as "told!"
        from target
        "#,
        id.0,
        owner.map(|o| o.0),
        reason,
        now,
    )
    .fetch_optional(conn)
    .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(if row.requested {
        Cancelled::Requested { ended: row.ended, told: row.told }
    } else {
        Cancelled::TooLate(parse(&row.state)?)
    }))
}
