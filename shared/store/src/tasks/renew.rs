//! Keeping a lease while a task runs.

use halyard_domain::TaskId;
use serde_json::value::RawValue;
use sqlx::PgConnection;

use crate::{Now, Result};

/// One attempt's sign of life.
#[derive(Debug, Clone)]
pub struct Renewal {
    /// Which task.
    pub id: TaskId,
    /// The attempt's fencing number.
    pub fence: i64,
    /// New progress, if there is any.
    pub progress: Option<Box<RawValue>>,
    /// What the next attempt is to find, if it changed.
    pub checkpoint: Option<Box<RawValue>>,
    /// What the task's history is to say of its progress; the worker sees to it that this is seldom.
    pub note: Option<String>,
}

/// A lease that was renewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Renewed {
    /// Which task.
    pub id: TaskId,
    /// Did somebody ask for the task to be cancelled?
    pub cancel_requested: bool,
    /// Has progress been told that a webhook may be owed for?
    pub calls_back: bool,
}

/// Renews leases and brings progress and checkpoints along, in one statement. Those not answered have lost their
/// lease to another attempt, or their task has ended: the attempt must stop and may write nothing more.
///
/// A lease that ran out but that nobody has taken yet is renewed: the fence decides, not the time.
pub async fn renew(
    conn: &mut PgConnection,
    renewals: &[Renewal],
    lease: std::time::Duration,
    now: Now,
) -> Result<Vec<Renewed>> {
    let ids: Vec<_> = renewals.iter().map(|r| r.id.0).collect();
    let fences: Vec<_> = renewals.iter().map(|r| r.fence).collect();
    let progress: Vec<_> = renewals.iter().map(|r| r.progress.as_deref().map(RawValue::get)).collect();
    let checkpoints: Vec<_> = renewals.iter().map(|r| r.checkpoint.as_deref().map(RawValue::get)).collect();
    let notes: Vec<_> = renewals.iter().map(|r| r.note.as_deref()).collect();
    let rows = sqlx::query!(
        r#"
        with renewed as (
            update tasks t set
                lease_until = coalesce($6::timestamptz, statement_timestamp()) + make_interval(secs => $5),
                progress = coalesce(g.progress::json, t.progress),
                progress_at = case when g.progress is null then t.progress_at
                                   else coalesce($6::timestamptz, statement_timestamp()) end,
                checkpoint = coalesce(g.checkpoint::json, t.checkpoint)
            from unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[], $7::text[])
                 as g (id, fence, progress, checkpoint, note)
            where t.id = g.id and t.id = any ($1) and t.lease_until is not null and t.fence = g.fence
            returning t.id, t.cancel_requested, t.attempt, g.note,
                      coalesce(g.progress is not null and t.callbacks ->> 'progress_url' is not null, false) as calls_back
        ), noted as (
            insert into task_events (task_id, at, state, attempt, message)
            select id, coalesce($6::timestamptz, statement_timestamp()), 'running', attempt, note
            from renewed where note is not null
        )
        select id as "id!", cancel_requested as "cancel_requested!", calls_back as "calls_back!" from renewed
        "#,
        &ids,
        &fences,
        &progress as &[Option<&str>],
        &checkpoints as &[Option<&str>],
        lease.as_secs_f64(),
        now,
        &notes as &[Option<&str>],
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|r| Renewed { id: TaskId(r.id), cancel_requested: r.cancel_requested, calls_back: r.calls_back })
        .collect())
}
