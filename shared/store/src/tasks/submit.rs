//! Accepting tasks.

use chrono::{DateTime, Utc};
use halyard_domain::{
    Lane, Priority, TaskId, UserId, WorkflowId,
    retry::RetryPolicy,
    task::{AGING_STEP, MAX_SEND_DELAY, TaskState, UNRELEASED},
};
use serde_json::value::RawValue;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{Now, Result, StoreError, rows::parse};

/// Positions further back than this are not counted: a submit costs the same before a short queue and a long one.
const POSITIONS: i64 = 20;

/// A task to be.
#[derive(Debug, Clone)]
pub struct NewTask {
    /// A ULID, made by the caller.
    pub id: TaskId,
    /// Whose.
    pub user_id: UserId,
    /// A registered type.
    pub task_type: String,
    /// Which lane runs it.
    pub lane: Lane,
    /// Its place inside the lane.
    pub priority: Priority,
    /// What the task's code gets.
    pub input: Box<RawValue>,
    /// As the client sent them.
    pub resources: Option<Box<RawValue>>,
    /// As the client sent them.
    pub callbacks: Option<Box<RawValue>>,
    /// When a failed attempt runs again.
    pub retry: RetryPolicy,
    /// The longest run of one attempt, in seconds.
    pub timeout_s: i32,
    /// Not to be started after.
    pub expires_at: Option<DateTime<Utc>>,
    /// Not to be started before.
    pub scheduled_for: Option<DateTime<Utc>>,
    /// The id of the request that submits it.
    pub request_id: Option<String>,
    /// The W3C trace context of the request that submits it.
    pub traceparent: Option<String>,
    /// What ties it to others.
    pub ties: Ties,
}

/// What ties a task to others.
#[derive(Debug, Clone, Default)]
pub struct Ties {
    /// The task that it tries again.
    pub retry_of: Option<TaskId>,
    /// Its place in a workflow.
    pub step: Option<Step>,
    /// No two tasks of a user that have not ended share one.
    pub unique_key: Option<String>,
    /// How many tasks of a user with the same key run at once.
    pub concurrency: Option<Concurrency>,
}

/// A task's place in a workflow.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// Which workflow.
    pub workflow: WorkflowId,
    /// Which of its steps, from 0.
    pub number: i32,
    /// Does it wait for other steps? Then it is due at [`UNRELEASED`] and nobody rings for it.
    pub waits: bool,
}

/// A limit that tasks share.
#[derive(Debug, Clone)]
pub struct Concurrency {
    /// What they share it by.
    pub key: String,
    /// How many of them run at once, 1 or more.
    pub limit: i16,
}

/// What became of a submit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submitted {
    /// Which.
    pub id: TaskId,
    /// `queued`, or `scheduled` when its time is to come.
    pub state: TaskState,
    /// When it was accepted.
    pub created_at: DateTime<Utc>,
    /// When it may start: what a doorbell's delay is computed from.
    pub available_at: DateTime<Utc>,
    /// `available_at` minus `created_at`: the doorbell's delay by the database's clock.
    pub delay: chrono::Duration,
    /// 1 is next in its lane. An estimate (later tasks of a better priority may overtake); `None` when it is far back.
    pub queue_position: Option<i64>,
}

/// Accepts one task: [`submit_many`] of one.
///
/// # Errors
/// `Conflict(TaskIdTaken)` when a task with that id exists.
pub async fn submit(conn: &mut PgConnection, task: &NewTask, now: Now) -> Result<Submitted> {
    let accepted = submit_many(conn, std::slice::from_ref(task), now).await?;
    accepted.into_iter().next().ok_or_else(|| StoreError::Internal("a submit without an answer".into()))
}

/// Accepts tasks, all or none, in one statement: rows, first events, doorbells owed, and the statistics' deltas. The
/// answers come in the order of the tasks.
///
/// A task due later than a queue can delay a message is left to beat, which rings some seconds before it is due.
///
/// # Errors
/// `Conflict(TaskIdTaken)` when a task with one of the ids exists.
pub async fn submit_many(conn: &mut PgConnection, tasks: &[NewTask], now: Now) -> Result<Vec<Submitted>> {
    let columns = Columns::of(tasks);
    let rows = sqlx::query!(
        r#"
        with given as (
            select g.*, c.now, case when g.waits then $28 else greatest(g.scheduled_for, c.now) end as available_at
            from (select coalesce($21::timestamptz, statement_timestamp()) as now) c,
                 unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::smallint[], $6::text[], $7::text[], $8::text[],
                        $9::smallint[], $10::int[], $11::bool[], $12::int[], $13::timestamptz[], $14::timestamptz[],
                        $15::text[], $16::text[], $22::uuid[], $23::uuid[], $24::int[], $25::bool[], $26::text[],
                        $27::text[], $29::smallint[])
                 as g (id, user_id, task_type, lane, priority, input, resources, callbacks, max_retries, retry_delay_s,
                       exponential_backoff, timeout_s, expires_at, scheduled_for, request_id, traceparent, retry_of,
                       workflow_id, step, waits, unique_key, concurrency_key, concurrency_limit)
        ), task as (
            insert into tasks (id, user_id, task_type, lane, priority, state, created_at, available_at, claim_order,
                               input, resources, callbacks, max_retries, retry_delay_s, exponential_backoff, timeout_s,
                               expires_at, scheduled_for, request_id, traceparent, retry_of, workflow_id, step,
                               unique_key, concurrency_key, concurrency_limit)
            select id, user_id, task_type, lane, priority, case when available_at > now then 'scheduled' else 'queued' end,
                   now, available_at, available_at + priority * make_interval(secs => $17),
                   input::json, resources::json, callbacks::json, max_retries, retry_delay_s, exponential_backoff,
                   timeout_s, expires_at, scheduled_for, request_id, traceparent, retry_of, workflow_id, step,
                   unique_key, concurrency_key, concurrency_limit
            from given
            returning id, user_id, task_type, lane, state, created_at, available_at, claim_order
        ), event as (
            insert into task_events (task_id, at, state, attempt, message)
            select id, created_at, state, 0,
                   case when available_at = $28 then 'Task waits for other steps of its workflow'
                        when state = 'scheduled' then 'Task scheduled' else 'Task submitted to queue' end
            from task
        ), doorbell as (
            insert into outbox (task_id, lane, due_at, ring_at)
            select id, lane, available_at,
                   case when available_at - created_at > make_interval(secs => $18)
                        then available_at - make_interval(secs => $19) else available_at end
            from task where available_at < $28
        ), counted as (
            insert into stat_deltas (user_id, task_type, hour, submitted)
            select user_id, task_type, date_trunc('hour', created_at, 'UTC'), count(*) from task group by 1, 2, 3
        )
        select t.id as "id!", t.state as "state!", t.created_at as "created_at!", t.available_at as "available_at!",
               (select count(*) from (
                    select from tasks w
                    where w.lane = t.lane and w.state in ('queued', 'scheduled', 'retrying')
                      and w.claim_order < t.claim_order
                    order by w.claim_order desc limit $20) ahead) as "ahead!"
        from task t
        "#,
        &columns.id,
        &columns.user_id,
        &columns.task_type as &[&str],
        &columns.lane as &[&str],
        &columns.priority,
        &columns.input as &[&str],
        &columns.resources as &[Option<&str>],
        &columns.callbacks as &[Option<&str>],
        &columns.max_retries,
        &columns.retry_delay_s,
        &columns.exponential_backoff,
        &columns.timeout_s,
        &columns.expires_at as &[Option<DateTime<Utc>>],
        &columns.scheduled_for as &[Option<DateTime<Utc>>],
        &columns.request_id as &[Option<&str>],
        &columns.traceparent as &[Option<&str>],
        AGING_STEP.as_seconds_f64(),
        MAX_SEND_DELAY.as_seconds_f64(),
        crate::outbox::HEAD_START.as_seconds_f64(),
        POSITIONS,
        now,
        &columns.retry_of as &[Option<Uuid>],
        &columns.workflow_id as &[Option<Uuid>],
        &columns.step as &[Option<i32>],
        &columns.waits,
        &columns.unique_key as &[Option<&str>],
        &columns.concurrency_key as &[Option<&str>],
        UNRELEASED,
        &columns.concurrency_limit as &[Option<i16>],
    )
    .fetch_all(conn)
    .await?;
    let mut accepted = Vec::with_capacity(rows.len());
    for row in rows {
        accepted.push(Submitted {
            id: TaskId(row.id),
            state: parse(&row.state)?,
            created_at: row.created_at,
            available_at: row.available_at,
            delay: row.available_at - row.created_at,
            queue_position: (row.ahead < POSITIONS).then_some(row.ahead + 1),
        });
    }
    if accepted.len() > 1 {
        let place: std::collections::HashMap<Uuid, usize> =
            columns.id.iter().enumerate().map(|(i, id)| (*id, i)).collect();
        accepted.sort_by_key(|a| place.get(&a.id.0).copied());
    }
    Ok(accepted)
}

/// The tasks, column by column, as `unnest` takes them.
struct Columns<'a> {
    id: Vec<Uuid>,
    user_id: Vec<i64>,
    task_type: Vec<&'a str>,
    lane: Vec<&'a str>,
    priority: Vec<i16>,
    input: Vec<&'a str>,
    resources: Vec<Option<&'a str>>,
    callbacks: Vec<Option<&'a str>>,
    max_retries: Vec<i16>,
    retry_delay_s: Vec<i32>,
    exponential_backoff: Vec<bool>,
    timeout_s: Vec<i32>,
    expires_at: Vec<Option<DateTime<Utc>>>,
    scheduled_for: Vec<Option<DateTime<Utc>>>,
    request_id: Vec<Option<&'a str>>,
    traceparent: Vec<Option<&'a str>>,
    retry_of: Vec<Option<Uuid>>,
    workflow_id: Vec<Option<Uuid>>,
    step: Vec<Option<i32>>,
    waits: Vec<bool>,
    unique_key: Vec<Option<&'a str>>,
    concurrency_key: Vec<Option<&'a str>>,
    concurrency_limit: Vec<Option<i16>>,
}

impl<'a> Columns<'a> {
    fn of(tasks: &'a [NewTask]) -> Self {
        fn column<'a, T>(tasks: &'a [NewTask], field: impl Fn(&'a NewTask) -> T) -> Vec<T> {
            tasks.iter().map(field).collect()
        }
        Self {
            id: column(tasks, |t| t.id.0),
            user_id: column(tasks, |t| t.user_id.0),
            task_type: column(tasks, |t| t.task_type.as_str()),
            lane: column(tasks, |t| t.lane.as_str()),
            priority: column(tasks, |t| t.priority.get()),
            input: column(tasks, |t| t.input.get()),
            resources: column(tasks, |t| t.resources.as_deref().map(RawValue::get)),
            callbacks: column(tasks, |t| t.callbacks.as_deref().map(RawValue::get)),
            max_retries: column(tasks, |t| t.retry.max_retries),
            retry_delay_s: column(tasks, |t| t.retry.retry_delay),
            exponential_backoff: column(tasks, |t| t.retry.exponential_backoff),
            timeout_s: column(tasks, |t| t.timeout_s),
            expires_at: column(tasks, |t| t.expires_at),
            scheduled_for: column(tasks, |t| t.scheduled_for),
            request_id: column(tasks, |t| t.request_id.as_deref()),
            traceparent: column(tasks, |t| t.traceparent.as_deref()),
            retry_of: column(tasks, |t| t.ties.retry_of.map(|id| id.0)),
            workflow_id: column(tasks, |t| t.ties.step.map(|step| step.workflow.0)),
            step: column(tasks, |t| t.ties.step.map(|step| step.number)),
            waits: column(tasks, |t| t.ties.step.is_some_and(|step| step.waits)),
            unique_key: column(tasks, |t| t.ties.unique_key.as_deref()),
            concurrency_key: column(tasks, |t| t.ties.concurrency.as_ref().map(|c| c.key.as_str())),
            concurrency_limit: column(tasks, |t| t.ties.concurrency.as_ref().map(|c| c.limit)),
        }
    }
}
