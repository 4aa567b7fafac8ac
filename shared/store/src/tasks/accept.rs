//! The statement that accepts tasks, what it is given, and what it answers.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use halyard_domain::TaskId;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::{NewTask, Submitted};
use crate::{
    Result,
    rows::{parse, seconds},
};

/// Positions further back than this are not counted: a submit costs the same before a short queue and a long one.
pub(crate) const POSITIONS: i64 = 20;

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
/// and what they are given comes last, from `$39` on.
macro_rules! accept {
    ($columns:expr, $workflow:expr, $edges:expr, $now:expr, $before:literal, $only:literal $(, $more:expr)* $(,)?) => {
    sqlx::query_as!(
        $crate::tasks::accept::Accepted,
        "with " + $before + r#"
        given as (
            select g.*, c.now, case when g.waits_for > 0 then $28 else greatest(g.scheduled_for, c.now) end as available_at
            from (select coalesce($21::timestamptz, statement_timestamp()) as now) c,
                 unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::smallint[], $6::text[], $7::text[], $8::text[],
                        $9::smallint[], $10::int[], $11::bool[], $12::int[], $13::timestamptz[], $14::timestamptz[],
                        $15::text[], $16::text[], $22::uuid[], $23::uuid[], $24::int[], $25::int[], $26::text[],
                        $27::text[], $29::smallint[], $30::text[], $31::bool[], $38::timestamptz[])
                 as g (id, user_id, task_type, lane, priority, input, resources, callbacks, max_retries, retry_delay_s,
                       exponential_backoff, timeout_s, expires_at, scheduled_for, request_id, traceparent, retry_of,
                       workflow_id, step, waits_for, unique_key, concurrency_key, concurrency_limit, step_name, takes,
                       debounce_until)
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
                               unique_key, concurrency_key, concurrency_limit, debounce_until)
            select id, user_id, task_type, lane, priority, case when available_at > now then 'scheduled' else 'queued' end,
                   now, available_at, available_at + priority * make_interval(secs => $17),
                   input::json, resources::json, callbacks::json, max_retries, retry_delay_s, exponential_backoff,
                   timeout_s, expires_at, scheduled_for, request_id, traceparent, retry_of, workflow_id, step,
                   case when workflow_id is null then unique_key end, concurrency_key, concurrency_limit, debounce_until
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
        ), position as materialized (
            -- Once for all that stand at the same place: what was claimed lately stays in the index until it is vacuumed, and
            -- each count may have to pass it.
            select p.lane, p.claim_order, (select count(*) from (
                select from tasks w
                where w.lane = p.lane and w.state in ('queued', 'scheduled', 'retrying')
                  and w.concurrency_key is null and w.claim_order < p.claim_order
                order by w.claim_order desc limit $20) ahead) as ahead
            from (select distinct lane, claim_order from task where $32::json is null) p
        )
        select t.id as "id!", t.state as "state!", t.created_at as "created_at!", t.available_at as "available_at!",
               (select s.seconds / nullif(s.timed, 0) from stat_totals s
                where s.user_id = 0 and s.task_type = t.task_type) as usual,
               coalesce((select p.ahead from position p where p.lane = t.lane and p.claim_order = t.claim_order), $20)
                   as "ahead!"
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
        $crate::tasks::accept::POSITIONS,
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
        &$columns.debounce_until as &[Option<chrono::DateTime<chrono::Utc>>],
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
            put_off: false,
            worker_id: None,
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
    pub(crate) debounce_until: Vec<Option<DateTime<Utc>>>,
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
            debounce_until: column(tasks, |t| t.ties.debounce_until),
            concurrency_key: column(tasks, |t| t.ties.concurrency.as_ref().map(|c| c.key.as_str())),
            concurrency_limit: column(tasks, |t| t.ties.concurrency.as_ref().map(|c| c.limit)),
        }
    }
}
