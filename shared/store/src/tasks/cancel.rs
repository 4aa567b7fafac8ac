//! Cancelling.

use halyard_domain::{Lane, TaskId, WorkflowId, task::TaskState};
use sqlx::PgConnection;

use super::Scope;
use crate::{Now, Result, audit, rows::parse};

/// What became of a cancellation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cancelled {
    /// It had not begun, and never will; or its attempt was fenced off.
    Ended {
        /// If it is a step of one: the workflow to be taken further.
        workflow: Option<WorkflowId>,
        /// Lanes in which tasks wait that have its concurrency key: one of them may run now.
        wakes: Vec<Lane>,
    },
    /// It runs; its attempt is told at the next renewal.
    Requested,
    /// It had ended, in this state.
    TooLate(TaskState),
}

/// How tasks are cancelled.
#[derive(Debug, Clone)]
pub struct CancelTerms<'a> {
    /// Whose tasks.
    pub scope: Scope,
    /// Why.
    pub reason: &'a str,
    /// End those that run at once: whatever their attempts still write is refused.
    pub force: bool,
    /// To be kept if anything was done; `count` is added to its detail.
    pub audit: Option<&'a audit::Entry<'a>>,
}

/// Cancels tasks, in one statement, and says what became of each that is there and within the scope.
///
/// The rows are locked first, so what is decided on is their state at that moment, not the statement's snapshot of it.
pub async fn cancel_many(
    conn: &mut PgConnection,
    ids: &[TaskId],
    terms: &CancelTerms<'_>,
    now: Now,
) -> Result<Vec<(TaskId, Cancelled)>> {
    let ids: Vec<_> = ids.iter().map(|id| id.0).collect();
    let rows = sqlx::query!(
        r#"
        with at as (
            select coalesce($4::timestamptz, statement_timestamp()) as now
        ), target as (
            select id, state from tasks
            where id = any ($1) and ($2::bigint is null or user_id = $2) order by id for update
        ), ended as (
            update tasks t set state = 'cancelled', ended_at = at.now, error = $3, cancel_requested = true,
                               lease_until = null, fence = t.fence + (target.state = 'running')::int
            from target, at
            where t.id = target.id and t.id = any ($1)
              and (target.state in ('queued', 'scheduled', 'retrying') or ($5 and target.state = 'running'))
            returning t.id, t.user_id, t.task_type, t.attempt, t.ended_at, t.workflow_id, t.concurrency_key,
                      target.state as before
        ), requested as (
            -- With the reason, for whoever ends it: that of the first who asked.
            update tasks t set cancel_requested = true,
                               error = case when t.cancel_requested then t.error else 'cancelled: ' || $3 end
            from target where t.id = target.id and t.id = any ($1) and target.state = 'running' and not $5
            returning t.id, t.attempt
        ), event as (
            insert into task_events (task_id, at, state, attempt, message)
            select id, ended_at, 'cancelled', attempt,
                   case before when 'running' then 'Task cancelled by force, attempt ' || attempt || ' fenced off: '
                        else 'Task cancelled: ' end || $3
            from ended
            union all
            select id, now, 'running', attempt, 'Cancellation requested: ' || $3 from requested, at
        ), doorbell as (
            delete from outbox where task_id = any (array(select id from ended))
        ), counted as (
            insert into stat_deltas (user_id, task_type, hour, cancelled)
            select user_id, task_type, date_trunc('hour', ended_at, 'UTC'), count(*) from ended group by 1, 2, 3
        ), done as (
            select count(*) as n from (select from ended union all select from requested) d
        ), kept as (
            select keep_audit(now, $6, $7, $8, $9::jsonb || jsonb_build_object('count', n), $10)
            from done, at where n > 0 and $7::text is not null
        )
        select target.id, target.state, exists (select from ended e where e.id = target.id) as "ended!",
               (select e.workflow_id from ended e where e.id = target.id) as workflow_id,
               exists (select from requested r where r.id = target.id) as "requested!",
               array(select l.lane from lanes l, ended e, at
                     where e.id = target.id and e.before = 'running' and e.concurrency_key is not null
                       and exists (select from tasks w
                                   where w.lane = l.lane and w.user_id = e.user_id
                                     and coalesce(w.concurrency_key, '') = e.concurrency_key
                                     and w.state in ('queued', 'scheduled', 'retrying')
                                     and w.available_at <= at.now)) as "wakes!",
               (select count(*) from kept) as "kept!"
        from target
        "#,
        &ids,
        terms.scope.owner(),
        terms.reason,
        now,
        terms.force,
        terms.audit.and_then(|entry| entry.actor).map(|actor| actor.0),
        terms.audit.map(|entry| entry.action),
        terms.audit.map(|entry| entry.target),
        terms.audit.map(|entry| entry.detail.clone()),
        terms.audit.and_then(|entry| entry.request_id),
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let outcome = match (row.ended, row.requested) {
                (true, _) => Cancelled::Ended {
                    workflow: row.workflow_id.map(WorkflowId),
                    wakes: row.wakes.iter().map(|lane| parse(lane)).collect::<Result<_>>()?,
                },
                (_, true) => Cancelled::Requested,
                _ => Cancelled::TooLate(parse(&row.state)?),
            };
            Ok((TaskId(row.id), outcome))
        })
        .collect()
}
