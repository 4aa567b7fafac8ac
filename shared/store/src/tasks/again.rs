//! Trying ended tasks again, each as a new task.

use chrono::{DateTime, Utc};
use halyard_domain::{
    Lane, Priority, TaskId, UserId,
    task::{AGING_STEP, MAX_SEND_DELAY, TaskState, UNRELEASED},
};
use sqlx::PgConnection;

use super::Scope;
use crate::{
    Now, Result, audit,
    rows::{parse, priority, seconds},
};

/// An ended task, and the one that is to try it again.
#[derive(Debug, Clone, Copy)]
pub struct Again {
    /// The ended one.
    pub of: TaskId,
    /// A ULID for the new one, made by the caller.
    pub id: TaskId,
    /// When the new one may start: so long after now.
    pub delay: chrono::Duration,
}

/// How tasks are tried again.
#[derive(Debug, Clone)]
pub struct AgainTerms<'a> {
    /// Whose tasks.
    pub scope: Scope,
    /// Ended in one of these states.
    pub states: &'a [TaskState],
    /// The types that there is code for.
    pub types: &'a [&'a str],
    /// What the new one's history begins with, before the id of the old one.
    pub message: &'a str,
    /// A task with so many tries before it is left alone; `None`: no limit.
    pub longest_chain: Option<i32>,
    /// The request that asks for it.
    pub request_id: Option<&'a str>,
    /// Its trace context.
    pub traceparent: Option<&'a str>,
    /// To be kept if anything was done; `count` is added to its detail.
    pub audit: Option<&'a audit::Entry<'a>>,
}

/// A new task that tries an ended one again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TriedAgain {
    /// The new one.
    pub id: TaskId,
    /// The old one.
    pub of: TaskId,
    /// Their type.
    pub task_type: String,
    /// The new one's lane.
    pub lane: Lane,
    /// And its place there.
    pub priority: Priority,
    /// `queued`, or `scheduled`.
    pub state: TaskState,
    /// When it was accepted.
    pub created_at: DateTime<Utc>,
    /// When it may start.
    pub available_at: DateTime<Utc>,
    /// How long until then, by the database's clock.
    pub delay: chrono::Duration,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Retried {
    /// There is a new task.
    Accepted(TriedAgain),
    /// The old one has not ended, or not in one of the states that are asked for.
    NotFor(TaskState),
    /// There is no code for its type (any more).
    UnknownType(String),
    /// It is a step that its workflow never released: its input is not whole.
    Unreleased,
    /// It was tried again before, by this task; `None`: by somebody at this very moment.
    Before(Option<TaskId>),
    /// As many tries as are allowed stand before it.
    TooOften,
}

/// Tries ended tasks again, in one statement: new tasks with the same owner, type, input and options, their first events,
/// doorbells owed, statistics, and the audit entry. Answers for each task that is there and within the scope.
///
/// Of this and a [retry](crate::workflows::retry) of the workflow at the same moment, the one that has the step first runs it again.
/// If that is the workflow, the answer here is `Before`.
///
/// A key that must be unique is taken along. If a task that has not ended has it, no new one is made: `Before(None)`.
#[expect(clippy::too_many_lines, reason = "most of it is one statement")]
pub async fn again(
    conn: &mut PgConnection,
    wanted: &[Again],
    terms: &AgainTerms<'_>,
    now: Now,
) -> Result<Vec<(TaskId, Retried)>> {
    let of: Vec<_> = wanted.iter().map(|w| w.of.0).collect();
    let ids: Vec<_> = wanted.iter().map(|w| w.id.0).collect();
    let delays: Vec<_> = wanted.iter().map(|w| w.delay.as_seconds_f64().max(0.0)).collect();
    let states: Vec<_> = terms.states.iter().map(|state| state.as_str()).collect();
    let messages: Vec<_> = wanted.iter().map(|w| format!("{} {}", terms.message, w.of)).collect();
    let rows = sqlx::query!(
        r#"
        with recursive given as (
            select g.*, c.now, g.delay > 0 as later, c.now + make_interval(secs => g.delay) as due
            from (select coalesce($5::timestamptz, statement_timestamp()) as now) c,
                 unnest($1::uuid[], $2::uuid[], $3::float8[], $4::text[]) as g (old, id, delay, message)
        ), chain (old, before, length) as (
            select t.id, t.retry_of, 0 from tasks t where t.id = any ($1) and $9::int is not null
            union all
            select c.old, t.retry_of, c.length + 1 from chain c join tasks t on t.id = c.before where c.length < $9
        ), chained as (
            select old, max(length) as length from chain group by old
        ), origin (old, id, before, workflow_id, step) as (
            -- The step that it is, or tries again.
            select t.id, t.id, t.retry_of, t.workflow_id, t.step from tasks t where t.id = any ($1)
            union all
            select o.old, t.id, t.retry_of, t.workflow_id, t.step from origin o join tasks t on t.id = o.before
            where o.workflow_id is null
        ), target as (
            select t.id as old, t.state, t.task_type, o.id as root, o.workflow_id, o.step, t.available_at = $10 as unreleased,
                   -- Another one: its workflow has run the step again.
                   (select s.task_id from workflow_steps s
                    where s.workflow_id = o.workflow_id and s.step = o.step) as latest,
                   $9::int is null or coalesce((select length from chained where chained.old = t.id), 0) < $9 as often
            from tasks t left join origin o on o.old = t.id and o.workflow_id is not null
            where t.id = any ($1) and ($6::bigint is null or t.user_id = $6)
        ), able as (
            select old, root, workflow_id, step, latest from target
            where state = any ($19) and state in ('failed', 'cancelled', 'expired', 'dead') and task_type = any ($12)
              and often and not unreleased and coalesce(latest = root, true)
        ), held as (
            -- A retry of the workflow holds its steps, too (workflows::retry). After the wait for it the step has another task.
            select a.old from able a
                join workflow_steps s on s.workflow_id = a.workflow_id and s.step = a.step and s.task_id = a.root
            order by s.workflow_id, s.step for update of s
        ), task as (
            insert into tasks (id, user_id, task_type, lane, priority, state, created_at, available_at, claim_order,
                               input, resources, callbacks, max_retries, retry_delay_s, exponential_backoff, timeout_s,
                               expires_at, scheduled_for, request_id, traceparent, retry_of, unique_key,
                               concurrency_key, concurrency_limit)
            select g.id, t.user_id, t.task_type, t.lane, t.priority, case when later then 'scheduled' else 'queued' end,
                   g.now, g.due, g.due + t.priority * make_interval(secs => $11),
                   t.input, t.resources, t.callbacks, t.max_retries, t.retry_delay_s, t.exponential_backoff, t.timeout_s,
                   g.due + (t.expires_at - t.created_at), case when later then g.due end, $7, $8, t.id,
                   t.unique_key, t.concurrency_key, t.concurrency_limit
            from given g join able on able.old = g.old join tasks t on t.id = g.old and t.id = any ($1)
            -- As an array, which is whole before the first task is made: who waits for a step has made nothing that others wait for.
            where able.old = any (array(select old from held union all select old from able where latest is null))
            on conflict do nothing
            returning id, retry_of, user_id, task_type, lane, priority, state, created_at, available_at
        ), event as (
            insert into task_events (task_id, at, state, attempt, message)
            select task.id, created_at, state, 0, message from task join given using (id)
        ), doorbell as (
            insert into outbox (task_id, lane, due_at, ring_at)
            select id, lane, available_at,
                   case when available_at - created_at > make_interval(secs => $13)
                        then available_at - make_interval(secs => $14) else available_at end
            from task
        ), counted as (
            insert into stat_deltas (user_id, task_type, hour, submitted)
            select user_id, task_type, date_trunc('hour', created_at, 'UTC'), count(*) from task group by 1, 2, 3
        ), kept as (
            select keep_audit((select now from given limit 1), $15, $16, $17, $18::jsonb || jsonb_build_object('count', n), $7)
            from (select count(*) as n from task) done where n > 0 and $16::text is not null
        )
        select target.old as "old!", target.state as "old_state!", target.task_type as "task_type!",
               target.unreleased as "unreleased!", target.often as "often!",
               coalesce((select r.id from tasks r where r.retry_of = target.old and r.workflow_id is null),
                        nullif(target.latest, target.root)) as before,
               task.id as "id?", task.lane as "lane?", task.priority as "priority?", task.state as "state?",
               task.created_at as "created_at?", task.available_at as "available_at?",
               (select count(*) from kept) as "kept!"
        from target left join task on task.retry_of = target.old
        "#,
        &of,
        &ids,
        &delays,
        &messages,
        now,
        terms.scope.owner(),
        terms.request_id,
        terms.traceparent,
        terms.longest_chain,
        UNRELEASED,
        AGING_STEP.as_seconds_f64(),
        terms.types as &[&str],
        MAX_SEND_DELAY.as_seconds_f64(),
        crate::outbox::HEAD_START.as_seconds_f64(),
        terms.audit.and_then(|entry| entry.actor).map(|actor| actor.0),
        terms.audit.map(|entry| entry.action),
        terms.audit.map(|entry| entry.target),
        terms.audit.map(|entry| entry.detail.clone()),
        &states as &[&str],
    )
    .fetch_all(conn)
    .await?;
    let mut outcomes = Vec::with_capacity(rows.len());
    for row in rows {
        let old_state: TaskState = parse(&row.old_state)?;
        let of = TaskId(row.old);
        let new = row.id.zip(row.lane).zip(row.priority).zip(row.state).zip(row.created_at).zip(row.available_at);
        let outcome = if let Some((((((id, lane), rank), state), created_at), available_at)) = new {
            Retried::Accepted(TriedAgain {
                id: TaskId(id),
                of,
                task_type: row.task_type,
                lane: parse(&lane)?,
                priority: priority(rank)?,
                state: parse(&state)?,
                created_at,
                available_at,
                delay: available_at - created_at,
            })
        } else if !(old_state.may_be_tried_again() && terms.states.contains(&old_state)) {
            Retried::NotFor(old_state)
        } else if row.before.is_some() {
            Retried::Before(row.before.map(TaskId))
        } else if row.unreleased {
            Retried::Unreleased
        } else if !row.often {
            Retried::TooOften
        } else if !terms.types.contains(&row.task_type.as_str()) {
            Retried::UnknownType(row.task_type)
        } else {
            Retried::Before(None)
        };
        outcomes.push((of, outcome));
    }
    Ok(outcomes)
}

/// The lanes of those of these tasks that are `owner`'s.
pub async fn lanes_of(conn: &mut PgConnection, ids: &[TaskId], owner: UserId) -> Result<Vec<Lane>> {
    let ids: Vec<_> = ids.iter().map(|id| id.0).collect();
    let lanes =
        sqlx::query_scalar!("select distinct lane from tasks where id = any ($1) and user_id = $2", &ids, owner.0)
            .fetch_all(conn)
            .await?;
    lanes.iter().map(|lane| parse(lane)).collect()
}

/// Those of these tasks that are there, and try others again: what an earlier call of [`again`] made under the same ids. It made
/// all that it could, or nothing.
pub async fn made_again(conn: &mut PgConnection, ids: &[TaskId], now: Now) -> Result<Vec<TriedAgain>> {
    let ids: Vec<_> = ids.iter().map(|id| id.0).collect();
    let rows = sqlx::query!(
        r#"
        select id, retry_of as "of!", task_type, lane, priority, state, created_at, available_at,
               available_at - coalesce($2::timestamptz, statement_timestamp()) > interval '0' as "later!",
               extract(epoch from available_at - coalesce($2::timestamptz, statement_timestamp()))::float8 as "wait!"
        from tasks where id = any ($1) and retry_of is not null order by retry_of
        "#,
        &ids,
        now,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(TriedAgain {
                id: TaskId(row.id),
                of: TaskId(row.of),
                task_type: row.task_type,
                lane: parse(&row.lane)?,
                priority: priority(row.priority)?,
                state: parse(&row.state)?,
                created_at: row.created_at,
                available_at: row.available_at,
                delay: if row.later { seconds(row.wait) } else { chrono::Duration::zero() },
            })
        })
        .collect()
}
