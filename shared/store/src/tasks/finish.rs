//! The end of attempts.

use std::borrow::Borrow;

use chrono::{DateTime, Utc};
use halyard_domain::{
    Lane, TaskId, WorkflowId,
    retry::RetryPolicy,
    task::{AGING_STEP, CANCELLED_WHILE_IT_RAN, MAX_SEND_DELAY, TaskState},
};
use serde_json::value::RawValue;
use sqlx::PgConnection;

use crate::{
    Now, Result,
    rows::{parse, seconds},
};

/// What becomes of the task.
#[derive(Debug, Clone)]
pub enum Ending {
    /// It ends.
    Finished {
        /// In this terminal state.
        state: TaskState,
        /// What its code returned.
        result: Option<Box<RawValue>>,
        /// Why it did not end well.
        error: Option<String>,
    },
    /// Another attempt.
    Retry {
        /// After this long.
        delay: chrono::Duration,
        /// Why this one did not end well.
        error: String,
    },
    /// Another slice of the same try, at once.
    HandOver,
}

/// The end of one attempt.
#[derive(Debug, Clone)]
pub struct Finish {
    /// Which task.
    pub id: TaskId,
    /// The attempt's fencing number.
    pub fence: i64,
    /// What becomes of the task.
    pub ending: Ending,
    /// Did the attempt end in failure? Counted in `failures`.
    pub failed: bool,
    /// Did the attempt vanish, or was its task's type unknown? Counted in `lost_leases`.
    pub lease_lost: bool,
    /// The event's text.
    pub message: String,
    /// Last progress, if it changed since the last renewal.
    pub progress: Option<Box<RawValue>>,
    /// What the next attempt is to find, if it changed since the last renewal.
    pub checkpoint: Option<Box<RawValue>>,
}

/// An end that was committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FinishedRow {
    /// Which task.
    pub id: TaskId,
    /// The fencing number of the attempt that ended.
    pub fence: i64,
    /// Its lane.
    pub lane: Lane,
    /// Where it stands now.
    pub state: TaskState,
    /// For another attempt: when it is due.
    pub available_at: Option<DateTime<Utc>>,
    /// For another attempt: how long until then, by the database's clock.
    pub delay: Option<chrono::Duration>,
    /// If it has ended and is a step of one: the workflow to be taken further.
    pub workflow: Option<WorkflowId>,
    /// The trace context of the request that submitted it, for the doorbell.
    pub traceparent: Option<String>,
    /// The id of the request that submitted it, for the doorbell.
    pub request_id: Option<String>,
    /// Lanes in which tasks wait that have its concurrency key: one of them may run now.
    pub wakes: Vec<Lane>,
    /// Has it ended, and callbacks? Then a webhook may be owed.
    pub calls_back: bool,
}

/// Commits the ends of attempts, of whatever kinds, in one statement: states and results, events, the statistics'
/// deltas, and the doorbells owed for retries. Retries of a type that fails too often come later ([`RetryPolicy::PACE`]).
/// An end that is not answered was refused: its attempt no longer holds the task, which has been given to another or has
/// ended.
pub async fn finish(
    conn: &mut PgConnection,
    ends: &[impl Borrow<Finish> + Sync],
    now: Now,
) -> Result<Vec<FinishedRow>> {
    let ends: Vec<&Finish> = ends.iter().map(Borrow::borrow).collect();
    commit(conn, &Columns::of(&ends), now).await
}

#[expect(clippy::too_many_lines, reason = "most of it is one statement")]
async fn commit(conn: &mut PgConnection, columns: &Columns<'_>, now: Now) -> Result<Vec<FinishedRow>> {
    let rows = sqlx::query!(
        r#"
        with given as (
            select g.*, c.now
            from (select coalesce($15::timestamptz, statement_timestamp()) as now) c,
                 unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::float8[], $7::bool[],
                        $8::bool[], $9::text[], $10::text[], $11::text[])
                 as g (id, fence, state, result, error, delay, failed, lease_lost, message, progress, checkpoint)
        ), failing as materialized (
            select id, fence, delay, now from given where failed and delay is not null
        ), paced as (
            -- In the order of the types, so that two who do this never wait for each other.
            insert into retry_paces as p (task_type, until)
            select t.task_type, g.now + count(*) * make_interval(secs => $16)
            from failing g join tasks t on t.id = g.id
            where t.lease_until is not null and t.fence = g.fence
            group by t.task_type, g.now order by t.task_type
            on conflict (task_type) do update
                set until = greatest(p.until, coalesce($15, statement_timestamp()))
                            + (excluded.until - coalesce($15, statement_timestamp()))
            returning task_type, until
        ), planned as (
            select g.id, g.fence, greatest(0, extract(epoch from p.until - g.now)
                                     - (count(*) over w - row_number() over w) * $16 - $17 * $16)::float8 as later
            from failing g join tasks t on t.id = g.id
                join paced p on p.task_type = t.task_type
            window w as (partition by t.task_type rows between unbounded preceding and unbounded following)
        ), decided as materialized (
            select g.id, g.fence, g.state, g.result, g.error, g.failed, g.lease_lost, g.progress, g.checkpoint, g.now,
                   g.delay + coalesce(p.later, 0) as delay,
                   g.message || case when p.later > 0
                                     then '; ' || round(p.later) || ' s later, for many of its type fail' else '' end
                   as message
            from given g left join planned p on p.id = g.id and p.fence = g.fence
        ), done as (
            update tasks t set
                -- What was cancelled since the last renewal is not tried again.
                state = case when g.delay is not null and t.cancel_requested then 'cancelled' else g.state end,
                result = coalesce(g.result::json, t.result),
                -- Of what was cancelled: the reason, which whoever asked has left there.
                error = case when not t.cancel_requested or g.delay is null and g.state <> 'cancelled' then g.error
                             when starts_with(t.error, 'cancelled: ') then substr(t.error, length('cancelled: ') + 1)
                             else $18 end,
                progress = coalesce(g.progress::json, t.progress),
                checkpoint = coalesce(g.checkpoint::json, t.checkpoint),
                failures = t.failures + g.failed::int,
                -- Whoever gets so far as to hand over is well.
                lost_leases = case g.state when 'queued' then 0 else t.lost_leases + g.lease_lost::int end,
                spent_s = case when g.state = 'queued' then t.spent_s + extract(epoch from g.now - t.attempt_at)
                               when g.delay is not null then 0 else t.spent_s end,
                lease_until = null,
                ended_at = case when g.delay is null or t.cancel_requested then g.now end,
                signalled = case when t.workflow_id is not null and (g.delay is null or t.cancel_requested) then true end,
                available_at = case when g.delay is null or t.cancel_requested then t.available_at
                                    else g.now + make_interval(secs => g.delay) end,
                claim_order = case when g.delay is null or t.cancel_requested then t.claim_order
                                   else g.now + make_interval(secs => g.delay) + t.priority * make_interval(secs => $12)
                              end
            from decided g
            -- That it runs is said without its state, so that the index of what runs is not gone through for it.
            where t.id = g.id and t.lease_until is not null and t.fence = g.fence
            returning t.id, t.fence, t.user_id, t.task_type, t.lane, t.state, t.attempt, t.available_at, t.ended_at,
                      t.request_id, t.traceparent, t.workflow_id, t.step,
                      case when g.delay is not null and t.cancel_requested
                           then 'Task cancelled; attempt ' || t.attempt || ' ended before it was told' || coalesce(': ' || g.error, '')
                           else g.message end as message,
                      case when t.ended_at is null then g.delay end as delay, g.now,
                      t.concurrency_key,
                      case when t.state in ('completed', 'failed')
                           then extract(epoch from g.now - t.attempt_at)::float8 end as seconds,
                      t.ended_at is not null and t.callbacks is not null as calls_back
        ), event as (
            insert into task_events (task_id, at, state, attempt, message)
            select id, now, state, attempt, message from done
        ), signal as (
            -- What the trigger on tasks does for whoever does not say that it is done.
            insert into workflow_signals (workflow_id, step, task_id, state, at)
            select workflow_id, step, id, state, ended_at from done
            where workflow_id is not null and ended_at is not null
        ), doorbell as (
            insert into outbox (task_id, lane, due_at, ring_at)
            select id, lane, available_at,
                   case when delay > $13 then available_at - make_interval(secs => $14) else available_at end
            from done where ended_at is null
            on conflict (task_id) do update
                set due_at = excluded.due_at, ring_at = excluded.ring_at, rings = 0
        ), counted as (
            insert into stat_deltas
                (user_id, task_type, hour, completed, failed, cancelled, expired, dead, seconds, buckets)
            select user_id, task_type, date_trunc('hour', now, 'UTC'),
                   count(*) filter (where state = 'completed'), count(*) filter (where state = 'failed'),
                   count(*) filter (where state = 'cancelled'), count(*) filter (where state = 'expired'),
                   count(*) filter (where state = 'dead'), coalesce(sum(seconds), 0),
                   coalesce(array_agg(duration_bucket(seconds)) filter (where seconds is not null), '{}')
            from done where ended_at is not null group by 1, 2, 3
        )
        select id, fence, lane, state, delay, available_at, traceparent, request_id,
               case when ended_at is not null then workflow_id end as workflow_id, calls_back as "calls_back!",
               case when concurrency_key is null then '{}' else array(
                   select l.lane from lanes l
                   where exists (select from tasks w
                                 where w.lane = l.lane and w.user_id = done.user_id
                                   and coalesce(w.concurrency_key, '') = done.concurrency_key
                                   and w.state in ('queued', 'scheduled', 'retrying')
                                   and w.available_at <= done.now)) end as "wakes!"
        from done
        "#,
        &columns.id,
        &columns.fence,
        &columns.state as &[&str],
        &columns.result as &[Option<&str>],
        &columns.error as &[Option<&str>],
        &columns.delay as &[Option<f64>],
        &columns.failed,
        &columns.lease_lost,
        &columns.message as &[&str],
        &columns.progress as &[Option<&str>],
        &columns.checkpoint as &[Option<&str>],
        AGING_STEP.as_seconds_f64(),
        MAX_SEND_DELAY.as_seconds_f64(),
        crate::outbox::HEAD_START.as_seconds_f64(),
        now,
        RetryPolicy::PACE.as_seconds_f64(),
        f64::from(RetryPolicy::BURST),
        CANCELLED_WHILE_IT_RAN,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let delay = row.delay.map(seconds);
            Ok(FinishedRow {
                id: TaskId(row.id),
                fence: row.fence,
                lane: parse(&row.lane)?,
                state: parse(&row.state)?,
                available_at: delay.map(|_| row.available_at),
                delay,
                workflow: row.workflow_id.map(WorkflowId),
                traceparent: row.traceparent,
                request_id: row.request_id,
                wakes: row.wakes.iter().map(|lane| parse(lane)).collect::<Result<_>>()?,
                calls_back: row.calls_back,
            })
        })
        .collect()
}

/// The ends, column by column, as `unnest` takes them.
struct Columns<'a> {
    id: Vec<uuid::Uuid>,
    fence: Vec<i64>,
    state: Vec<&'a str>,
    result: Vec<Option<&'a str>>,
    error: Vec<Option<&'a str>>,
    delay: Vec<Option<f64>>,
    failed: Vec<bool>,
    lease_lost: Vec<bool>,
    message: Vec<&'a str>,
    progress: Vec<Option<&'a str>>,
    checkpoint: Vec<Option<&'a str>>,
}

impl<'a> Columns<'a> {
    fn of(ends: &[&'a Finish]) -> Self {
        fn column<'a, T>(ends: &[&'a Finish], field: impl Fn(&'a Finish) -> T) -> Vec<T> {
            ends.iter().copied().map(field).collect()
        }
        Self {
            id: column(ends, |e| e.id.0),
            fence: column(ends, |e| e.fence),
            state: column(ends, |e| match &e.ending {
                Ending::Finished { state, .. } => state.as_str(),
                Ending::Retry { .. } => TaskState::Retrying.as_str(),
                Ending::HandOver => TaskState::Queued.as_str(),
            }),
            result: column(ends, |e| match &e.ending {
                Ending::Finished { result, .. } => result.as_deref().map(RawValue::get),
                Ending::Retry { .. } | Ending::HandOver => None,
            }),
            error: column(ends, |e| match &e.ending {
                Ending::Finished { error, .. } => error.as_deref(),
                Ending::Retry { error, .. } => Some(error.as_str()),
                Ending::HandOver => None,
            }),
            delay: column(ends, |e| match &e.ending {
                Ending::Finished { .. } => None,
                Ending::Retry { delay, .. } => Some(delay.as_seconds_f64().max(0.0)),
                Ending::HandOver => Some(0.0),
            }),
            failed: column(ends, |e| e.failed),
            lease_lost: column(ends, |e| e.lease_lost),
            message: column(ends, |e| e.message.as_str()),
            progress: column(ends, |e| e.progress.as_deref().map(RawValue::get)),
            checkpoint: column(ends, |e| e.checkpoint.as_deref().map(RawValue::get)),
        }
    }
}
