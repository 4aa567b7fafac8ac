//! Accepting tasks.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use halyard_domain::{Lane, Priority, TaskId, UserId, WorkflowId, retry::RetryPolicy, task::TaskState};
use serde_json::value::RawValue;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    Now, Result, StoreError,
    rows::{parse, priority, seconds},
};

/// Positions further back than this are not counted: a submit costs the same before a short queue and a long one.
pub(crate) const POSITIONS: i64 = 20;

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
    /// A client submits it now: a lane that is being drained refuses it. What follows from tasks that are there, or from a
    /// schedule, is accepted.
    pub by_client: bool,
}

/// A task's place in a workflow.
#[derive(Debug, Clone)]
pub struct Step {
    /// Which workflow.
    pub workflow: WorkflowId,
    /// Which of its steps, from 0.
    pub number: i32,
    /// For how many others it waits. If there are any it is due at [`UNRELEASED`](halyard_domain::task::UNRELEASED), and nobody rings for it.
    pub waits_for: i32,
    /// Does it get the results of the steps before it?
    pub takes: bool,
    /// What other steps call it.
    pub name: Option<String>,
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
    /// It was not accepted: this task, which has not ended, has its unique key.
    pub instead: Option<Holder>,
    /// How long tasks of its type take on average; `None` when none has ended yet.
    pub usual: Option<chrono::Duration>,
    /// 1 is next in its lane. An estimate (later tasks of a better priority may overtake); `None` when it is far back.
    pub queue_position: Option<i64>,
}

/// The task that has a unique key, where another has asked for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its type.
    pub task_type: String,
    /// Its lane.
    pub lane: Lane,
    /// Its place there.
    pub priority: Priority,
    /// Not to be started after.
    pub expires_at: Option<DateTime<Utc>>,
    /// The longest run of one try, in seconds.
    pub timeout_s: i32,
}

/// Who has a unique key may end, and another take it, while it is looked up: so often it is tried.
const TRIES: usize = 4;

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
/// One whose unique key a task of the same user has that has not ended, perhaps one before it in `tasks`, is not accepted: the
/// answer is about that one ([`Submitted::instead`]). Its neighbours are.
///
/// A task due later than a queue can delay a message is left to beat, which rings some seconds before it is due.
///
/// # Errors
/// `Conflict(TaskIdTaken)` when a task with one of the ids exists, `Conflict(LaneDraining)` when a client's lane is being
/// drained.
pub async fn submit_many(conn: &mut PgConnection, tasks: &[NewTask], now: Now) -> Result<Vec<Submitted>> {
    let mut answers: Vec<Option<Submitted>> = vec![None; tasks.len()];
    for _ in 0..TRIES {
        let open: Vec<_> = (0..tasks.len()).filter(|&i| answers[i].is_none()).collect();
        if open.is_empty() {
            break;
        }
        let places: HashMap<TaskId, usize> = open.iter().map(|&i| (tasks[i].id, i)).collect();
        // The whole list at first; then those whose key was taken and is free again.
        let accepted = if open.len() == tasks.len() {
            insert(conn, tasks, None, now).await?
        } else {
            let rest: Vec<_> = open.iter().map(|&i| tasks[i].clone()).collect();
            insert(conn, &rest, None, now).await?
        };
        for accepted in accepted {
            if let Some(&place) = places.get(&accepted.id) {
                answers[place] = Some(accepted);
            }
        }
        let left = open.into_iter().filter(|&i| answers[i].is_none());
        let keyed = left.filter_map(|i| tasks[i].ties.unique_key.as_deref().map(|key| (i, tasks[i].user_id, key)));
        holders(conn, &keyed.collect::<Vec<_>>(), &mut answers).await?;
    }
    let answered: Option<Vec<_>> = answers.into_iter().collect();
    answered.ok_or_else(|| StoreError::unavailable("a unique key changed hands again and again"))
}

/// Notes who has the unique keys that are asked for: `(place, user, key)`.
async fn holders(
    conn: &mut PgConnection,
    asked: &[(usize, UserId, &str)],
    answers: &mut [Option<Submitted>],
) -> Result<()> {
    if asked.is_empty() {
        return Ok(());
    }
    let places: Vec<_> = asked.iter().map(|(place, ..)| i64::try_from(*place).unwrap_or(i64::MAX)).collect();
    let users: Vec<_> = asked.iter().map(|(_, user, _)| user.0).collect();
    let keys: Vec<_> = asked.iter().map(|(.., key)| *key).collect();
    let rows = sqlx::query!(
        r#"
        select g.place as "place!", t.id, t.task_type, t.state, t.lane, t.priority, t.created_at, t.available_at,
               t.expires_at, t.timeout_s,
               (select s.seconds / nullif(s.timed, 0) from stat_totals s
                where s.user_id = 0 and s.task_type = t.task_type) as usual
        from unnest($1::bigint[], $2::bigint[], $3::text[]) as g (place, user_id, key)
            join tasks t on t.user_id = g.user_id and t.unique_key = g.key and t.unique_key is not null
                        and t.state in ('queued', 'scheduled', 'running', 'retrying')
        "#,
        &places,
        &users,
        &keys as &[&str],
    )
    .fetch_all(conn)
    .await?;
    for row in rows {
        let holder = Holder {
            task_type: row.task_type,
            lane: parse(&row.lane)?,
            priority: priority(row.priority)?,
            expires_at: row.expires_at,
            timeout_s: row.timeout_s,
        };
        let answer = usize::try_from(row.place).ok().and_then(|place| answers.get_mut(place));
        if let Some(answer) = answer {
            *answer = Some(Submitted {
                id: TaskId(row.id),
                state: parse(&row.state)?,
                created_at: row.created_at,
                available_at: row.available_at,
                delay: chrono::Duration::zero(),
                instead: Some(holder),
                usual: row.usual.map(seconds),
                queue_position: None,
            });
        }
    }
    Ok(())
}

/// A workflow that comes with its tasks, as the statement takes it.
pub(crate) struct Belonging {
    /// Columns of `workflows` for a new one; `id` and `version` for one that exists.
    pub workflow: serde_json::Value,
    /// Columns of `workflow_edges`.
    pub before: Vec<i32>,
    pub after: Vec<i32>,
    pub needs_success: Vec<bool>,
    pub gives: Vec<bool>,
}

/// The one statement that accepts tasks. Whoever accepts them together with something else, and only if that happens, says so:
/// `$before` are further parts of the `with`, a comma behind each, `$only` is a condition on the task `g` that may ask them,
/// and what they are given comes last, from `$38` on.
macro_rules! accept {
    ($columns:expr, $workflow:expr, $edges:expr, $now:expr, $before:literal, $only:literal $(, $more:expr)* $(,)?) => {
    sqlx::query_as!(
        $crate::tasks::submit::Accepted,
        "with " + $before + r#"
        given as (
            select g.*, c.now, case when g.waits_for > 0 then $28 else greatest(g.scheduled_for, c.now) end as available_at
            from (select coalesce($21::timestamptz, statement_timestamp()) as now) c,
                 unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::smallint[], $6::text[], $7::text[], $8::text[],
                        $9::smallint[], $10::int[], $11::bool[], $12::int[], $13::timestamptz[], $14::timestamptz[],
                        $15::text[], $16::text[], $22::uuid[], $23::uuid[], $24::int[], $25::int[], $26::text[],
                        $27::text[], $29::smallint[], $30::text[], $31::bool[])
                 as g (id, user_id, task_type, lane, priority, input, resources, callbacks, max_retries, retry_delay_s,
                       exponential_backoff, timeout_s, expires_at, scheduled_for, request_id, traceparent, retry_of,
                       workflow_id, step, waits_for, unique_key, concurrency_key, concurrency_limit, step_name, takes)
            "# + $only + r#"
        ), made as (
            insert into workflows (id, user_id, created_at, total, unfinished, kind, mode, failure_strategy, state, name,
                                   callbacks, request_id, traceparent)
            select w.id, w.user_id, coalesce($21, statement_timestamp()), cardinality($1), cardinality($1), w.kind, w.mode,
                   w.failure_strategy, 'running', w.name, w.callbacks, w.request_id, w.traceparent
            from json_to_record($32::json) as w (
                id uuid, version bigint, user_id bigint, kind text, mode text, failure_strategy text, name text,
                callbacks json, request_id text, traceparent text)
            where $32 is not null and w.version is null
            returning id, generation
        ), again as (
            update workflows set
                state = 'running', ended_at = null, unfinished = cardinality($1), unsuccessful = 0, stopping = false,
                cancel_requested = false, generation = generation + 1, version = version + 1
            where id = ($32 ->> 'id')::uuid and version = ($32 ->> 'version')::bigint and state <> 'running'
            returning id, generation
        ), workflow as (
            select id, generation from made union all select id, generation from again
        ), task as (
            insert into tasks (id, user_id, task_type, lane, priority, state, created_at, available_at, claim_order,
                               input, resources, callbacks, max_retries, retry_delay_s, exponential_backoff, timeout_s,
                               expires_at, scheduled_for, request_id, traceparent, retry_of, workflow_id, step,
                               unique_key, concurrency_key, concurrency_limit)
            select id, user_id, task_type, lane, priority, case when available_at > now then 'scheduled' else 'queued' end,
                   now, available_at, available_at + priority * make_interval(secs => $17),
                   input::json, resources::json, callbacks::json, max_retries, retry_delay_s, exponential_backoff,
                   timeout_s, expires_at, scheduled_for, request_id, traceparent, retry_of, workflow_id, step,
                   case when workflow_id is null then unique_key end, concurrency_key, concurrency_limit
            from given, (select refuse_if_draining($37) as open) lanes
            where lanes.open and (workflow_id is null or exists (select from workflow))
            on conflict (user_id, unique_key)
                where unique_key is not null and state in ('queued', 'scheduled', 'running', 'retrying') do nothing
            returning id, user_id, task_type, lane, state, created_at, available_at, claim_order
        ), step as (
            insert into workflow_steps (workflow_id, step, task_id, waits_for, generation, name, takes)
            select g.workflow_id, g.step, g.id, g.waits_for, w.generation, g.step_name, g.takes
            from given g, workflow w where g.workflow_id = w.id
            on conflict (workflow_id, step) do update set
                task_id = excluded.task_id, waits_for = excluded.waits_for, generation = excluded.generation
        ), edge as (
            insert into workflow_edges (workflow_id, before_step, after_step, needs_success, gives)
            select w.id, e.before_step, e.after_step, e.needs_success, e.gives
            from workflow w, unnest($33::int[], $34::int[], $35::bool[], $36::bool[])
                as e (before_step, after_step, needs_success, gives)
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
               (select s.seconds / nullif(s.timed, 0) from stat_totals s
                where s.user_id = 0 and s.task_type = t.task_type) as usual,
               case when $32::json is null then (select count(*) from (
                    select from tasks w
                    where w.lane = t.lane and w.state in ('queued', 'scheduled', 'retrying')
                      and w.concurrency_key is null and w.claim_order < t.claim_order
                    order by w.claim_order desc limit $20) ahead) else $20 end as "ahead!"
        from task t
        "#,
        &$columns.id,
        &$columns.user_id,
        &$columns.task_type as &[&str],
        &$columns.lane as &[&str],
        &$columns.priority,
        &$columns.input as &[&str],
        &$columns.resources as &[Option<&str>],
        &$columns.callbacks as &[Option<&str>],
        &$columns.max_retries,
        &$columns.retry_delay_s,
        &$columns.exponential_backoff,
        &$columns.timeout_s,
        &$columns.expires_at as &[Option<chrono::DateTime<chrono::Utc>>],
        &$columns.scheduled_for as &[Option<chrono::DateTime<chrono::Utc>>],
        &$columns.request_id as &[Option<&str>],
        &$columns.traceparent as &[Option<&str>],
        halyard_domain::task::AGING_STEP.as_seconds_f64(),
        halyard_domain::task::MAX_SEND_DELAY.as_seconds_f64(),
        $crate::outbox::HEAD_START.as_seconds_f64(),
        $crate::tasks::submit::POSITIONS,
        $now,
        &$columns.retry_of as &[Option<uuid::Uuid>],
        &$columns.workflow_id as &[Option<uuid::Uuid>],
        &$columns.step as &[Option<i32>],
        &$columns.waits_for,
        &$columns.unique_key as &[Option<&str>],
        &$columns.concurrency_key as &[Option<&str>],
        halyard_domain::task::UNRELEASED,
        &$columns.concurrency_limit as &[Option<i16>],
        &$columns.step_name as &[Option<&str>],
        &$columns.takes,
        $workflow as Option<&serde_json::Value>,
        &$edges.before,
        &$edges.after,
        &$edges.needs_success,
        &$edges.gives,
        &$columns.entered as &[&str],
        $($more),*
    )
    };
}
pub(crate) use accept;

/// A row of what [`accept`] answers.
pub(crate) struct Accepted {
    pub(crate) id: Uuid,
    pub(crate) state: String,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) available_at: DateTime<Utc>,
    pub(crate) usual: Option<f64>,
    pub(crate) ahead: i64,
}

/// What was accepted, in the order of the tasks.
pub(crate) fn submitted(rows: Vec<Accepted>, order: &[Uuid]) -> Result<Vec<Submitted>> {
    let mut accepted = Vec::with_capacity(rows.len());
    for row in rows {
        accepted.push(Submitted {
            id: TaskId(row.id),
            state: parse(&row.state)?,
            created_at: row.created_at,
            available_at: row.available_at,
            delay: row.available_at - row.created_at,
            instead: None,
            usual: row.usual.map(seconds),
            queue_position: (row.ahead < POSITIONS).then_some(row.ahead + 1),
        });
    }
    if accepted.len() > 1 {
        let place: HashMap<Uuid, usize> = order.iter().enumerate().map(|(i, id)| (*id, i)).collect();
        accepted.sort_by_key(|a| place.get(&a.id.0).copied());
    }
    Ok(accepted)
}

/// [`submit_many`], with the workflow that the tasks are the steps of. A workflow that exists already begins a new generation
/// if it has ended and its version is the one given; else nothing is accepted, and the answer is empty.
pub(crate) async fn insert(
    conn: &mut PgConnection,
    tasks: &[NewTask],
    belonging: Option<&Belonging>,
    now: Now,
) -> Result<Vec<Submitted>> {
    let columns = Columns::of(tasks);
    let workflow = belonging.map(|b| &b.workflow);
    let none = Belonging::none();
    let edges = belonging.unwrap_or(&none);
    let rows = accept!(columns, workflow, edges, now, "", "").fetch_all(conn).await?;
    submitted(rows, &columns.id)
}

impl Belonging {
    pub(crate) fn none() -> Self {
        Self {
            workflow: serde_json::Value::Null,
            before: Vec::new(),
            after: Vec::new(),
            needs_success: Vec::new(),
            gives: Vec::new(),
        }
    }
}

/// The tasks, column by column, as `unnest` takes them.
pub(crate) struct Columns<'a> {
    pub(crate) id: Vec<Uuid>,
    pub(crate) user_id: Vec<i64>,
    pub(crate) task_type: Vec<&'a str>,
    pub(crate) lane: Vec<&'a str>,
    pub(crate) priority: Vec<i16>,
    pub(crate) input: Vec<&'a str>,
    pub(crate) resources: Vec<Option<&'a str>>,
    pub(crate) callbacks: Vec<Option<&'a str>>,
    pub(crate) max_retries: Vec<i16>,
    pub(crate) retry_delay_s: Vec<i32>,
    pub(crate) exponential_backoff: Vec<bool>,
    pub(crate) timeout_s: Vec<i32>,
    pub(crate) expires_at: Vec<Option<DateTime<Utc>>>,
    pub(crate) scheduled_for: Vec<Option<DateTime<Utc>>>,
    pub(crate) request_id: Vec<Option<&'a str>>,
    pub(crate) traceparent: Vec<Option<&'a str>>,
    pub(crate) retry_of: Vec<Option<Uuid>>,
    pub(crate) workflow_id: Vec<Option<Uuid>>,
    pub(crate) step: Vec<Option<i32>>,
    pub(crate) waits_for: Vec<i32>,
    pub(crate) step_name: Vec<Option<&'a str>>,
    pub(crate) takes: Vec<bool>,
    /// The lanes that clients submit to.
    pub(crate) entered: Vec<&'a str>,
    pub(crate) unique_key: Vec<Option<&'a str>>,
    pub(crate) concurrency_key: Vec<Option<&'a str>>,
    pub(crate) concurrency_limit: Vec<Option<i16>>,
}

impl<'a> Columns<'a> {
    pub(crate) fn of(tasks: &'a [NewTask]) -> Self {
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
            workflow_id: column(tasks, |t| t.ties.step.as_ref().map(|step| step.workflow.0)),
            step: column(tasks, |t| t.ties.step.as_ref().map(|step| step.number)),
            waits_for: column(tasks, |t| t.ties.step.as_ref().map_or(0, |step| step.waits_for)),
            step_name: column(tasks, |t| t.ties.step.as_ref().and_then(|step| step.name.as_deref())),
            takes: column(tasks, |t| t.ties.step.as_ref().is_some_and(|step| step.takes)),
            entered: {
                let mut lanes: Vec<_> = tasks.iter().filter(|t| t.ties.by_client).map(|t| t.lane.as_str()).collect();
                lanes.dedup();
                lanes
            },
            unique_key: column(tasks, |t| t.ties.unique_key.as_deref()),
            concurrency_key: column(tasks, |t| t.ties.concurrency.as_ref().map(|c| c.key.as_str())),
            concurrency_limit: column(tasks, |t| t.ties.concurrency.as_ref().map(|c| c.limit)),
        }
    }
}
