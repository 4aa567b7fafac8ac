//! From the ends of steps to what follows.

use chrono::Duration;
use halyard_domain::{
    Lane, TaskId, WorkflowId,
    task::{AGING_STEP, MAX_SEND_DELAY, TaskState, UNRELEASED},
    workflow::{Advance, Dependent, Progress, Signal, WorkflowState},
};
use serde_json::value::RawValue;
use sqlx::PgConnection;

use crate::{
    Now, Result,
    rows::{RawJson, parse, raw, seconds},
};

/// So many ends are worth a decision in any case: what [`worth_deciding`] looks at, and what a decision hears, stays small.
const ENOUGH: i32 = 250;
/// Signals that are heard at a time.
const SIGNALS: i64 = 1_000;

/// What is known of a workflow when it is advanced.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Which.
    pub id: WorkflowId,
    /// Where it stands before the signals.
    pub progress: Progress,
    /// The ends that it has not heard of yet.
    pub signals: Vec<Signal>,
    /// The signals' rows: what [`commit`] deletes.
    pub heard: Vec<i64>,
    /// What depends on them.
    pub dependents: Vec<Dependent>,
}

/// Those of `candidates` from whose signals more follows than a lower count of what has not ended, as many as are wanted. `$candidates`
/// gives `workflow_id`; what it is given comes from `$3` on.
macro_rules! worth {
    ($limit:expr, $candidates:literal $(, $more:expr)*) => {
        sqlx::query_scalar!(
            $candidates
                + r#"
            select c.workflow_id as "id!"
            from candidates c, lateral (
                select w.unfinished, count(*) as n, bool_and(s.state = 'completed') as well
                from workflows w, lateral (
                    select state from workflow_signals where workflow_id = c.workflow_id limit least(w.unfinished, $2)) s
                where w.id = c.workflow_id group by w.unfinished) heard
            where heard.n >= least(heard.unfinished, $2) or not heard.well
               or exists (select from workflow_edges e where e.workflow_id = c.workflow_id)
            limit $1"#,
            $limit,
            ENOUGH,
            $($more),*
        )
    };
}

/// Workflows with signals that are [worth a decision](worth_deciding), longest there first.
pub async fn signalled(conn: &mut PgConnection, limit: i64) -> Result<Vec<WorkflowId>> {
    let ids = worth!(
        limit,
        "with recursive candidates as (
             (select workflow_id from workflow_signals order by workflow_id limit 1)
             union all
             select (select s.workflow_id from workflow_signals s where s.workflow_id > c.workflow_id
                     order by s.workflow_id limit 1)
             from candidates c where c.workflow_id is not null
         )"
    );
    Ok(ids.fetch_all(conn).await?.into_iter().map(WorkflowId).collect())
}

/// Are there ends of steps that a workflow has not heard of, and does more follow from them than a lower count of what has not
/// ended? So it is of the last ones, of one that did not complete, and in a workflow whose steps depend on each other of all. Others
/// wait for those, or until there are [`ENOUGH`]. To be asked when the ends are committed: of several who end the last steps at the
/// same time, one at least sees all of them.
pub async fn worth_deciding(conn: &mut PgConnection, id: WorkflowId) -> Result<bool> {
    let this = worth!(1, "with candidates as (select $3::uuid as workflow_id)", id.0);
    Ok(this.fetch_optional(conn).await?.is_some())
}

/// Reads what a decision needs, and keeps others from deciding until the transaction ends. `None`: there is nothing to decide here,
/// because the workflow has ended, or somebody else is deciding. Who decides asks [`worth_deciding`] when he is done, so whoever comes
/// with a signal that is committed may leave it to him.
pub async fn snapshot(conn: &mut PgConnection, id: WorkflowId) -> Result<Option<Snapshot>> {
    let Some(row) = sqlx::query!(
        r#"select unfinished, unsuccessful, stopping, cancel_requested, failure_strategy,
                  exists (select from workflow_edges where workflow_id = $1) as "edges!"
           from workflows where id = $1 and state = 'running' for update skip locked"#,
        id.0,
    )
    .fetch_optional(&mut *conn)
    .await?
    else {
        return Ok(None);
    };
    let heard = sqlx::query!(
        "select id, step, state from workflow_signals where workflow_id = $1 order by id limit $2",
        id.0,
        SIGNALS,
    )
    .fetch_all(&mut *conn)
    .await?;
    let signals: Vec<Signal> =
        heard.iter().map(|s| Ok(Signal { step: s.step, state: parse(&s.state)? })).collect::<Result<_>>()?;
    let dependents = if row.edges { dependents(conn, id, &signals).await? } else { Vec::new() };
    Ok(Some(Snapshot {
        id,
        progress: Progress {
            unfinished: row.unfinished,
            unsuccessful: row.unsuccessful,
            stopping: row.stopping,
            cancel_requested: row.cancel_requested,
            strategy: parse(&row.failure_strategy)?,
        },
        heard: heard.into_iter().map(|s| s.id).collect(),
        signals,
        dependents,
    }))
}

/// What depends on the steps that ended, and on those that cannot run any more because of it.
async fn dependents(conn: &mut PgConnection, id: WorkflowId, signals: &[Signal]) -> Result<Vec<Dependent>> {
    let ended: Vec<i32> = signals.iter().map(|s| s.step).collect();
    let bad: Vec<i32> = signals.iter().filter(|s| s.state != TaskState::Completed).map(|s| s.step).collect();
    let edges = sqlx::query!(
        r#"
        with recursive doomed (step) as (
            select unnest($3::int[])
            union
            select e.after_step from doomed d, workflow_edges e
            where e.workflow_id = $1 and e.before_step = d.step and e.needs_success
        )
        select e.before_step, e.after_step, e.needs_success, s.waits_for
        from (select unnest($2::int[]) as step union select step from doomed) b, workflow_edges e, workflow_steps s
        where e.workflow_id = $1 and e.before_step = b.step and s.workflow_id = $1 and s.step = e.after_step
        "#,
        id.0,
        &ended,
        &bad,
    )
    .fetch_all(conn)
    .await?;
    Ok(edges
        .into_iter()
        .map(|e| Dependent {
            before: e.before_step,
            after: e.after_step,
            needs_success: e.needs_success,
            waits_for: e.waits_for,
        })
        .collect())
}

/// What a step is to be given: the results of steps before it.
#[derive(Debug, Clone)]
pub struct Inputs {
    /// Which step.
    pub step: i32,
    /// What its code gets so far.
    pub input: Box<RawValue>,
    /// The steps before it that give: number, name and result, in the order of their numbers.
    pub results: Vec<(i32, Option<String>, Option<Box<RawValue>>)>,
}

/// For those of these steps that take results: what they get, and from whom.
pub async fn inputs(conn: &mut PgConnection, id: WorkflowId, steps: &[i32]) -> Result<Vec<Inputs>> {
    let rows = sqlx::query!(
        r#"
        select s.step, t.input as "input: RawJson", e.before_step, b.name, r.result as "result: RawJson"
        from workflow_steps s
            join tasks t on t.id = s.task_id
            join workflow_edges e on e.workflow_id = s.workflow_id and e.after_step = s.step and e.gives
            join workflow_steps b on b.workflow_id = s.workflow_id and b.step = e.before_step
            join tasks r on r.id = b.task_id
        where s.workflow_id = $1 and s.step = any ($2) and s.takes
        order by s.step, e.before_step
        "#,
        id.0,
        steps,
    )
    .fetch_all(conn)
    .await?;
    let mut inputs = Vec::<Inputs>::new();
    for row in rows {
        if inputs.last().is_none_or(|last| last.step != row.step) {
            inputs.push(Inputs { step: row.step, input: row.input.0, results: Vec::new() });
        }
        if let Some(last) = inputs.last_mut() {
            last.results.push((row.before_step, row.name, raw(row.result)));
        }
    }
    Ok(inputs)
}

/// A step that waits no longer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Released {
    /// Its task.
    pub id: TaskId,
    /// The lane to ring for.
    pub lane: Lane,
    /// How long until it is due, by the database's clock.
    pub delay: Duration,
    /// The trace context of the request that submitted it.
    pub traceparent: Option<String>,
    /// The id of the request that submitted it.
    pub request_id: Option<String>,
}

/// Carries a decision out in one statement, in the transaction in which [`snapshot`] was read. `given` is the new inputs of released
/// steps that take results.
pub async fn commit(
    conn: &mut PgConnection,
    snapshot: &Snapshot,
    next: &Advance,
    given: &[(i32, Box<RawValue>)],
    now: Now,
) -> Result<Vec<Released>> {
    let (lowered, by): (Vec<i32>, Vec<i32>) = next.lowered.iter().map(|(step, by)| (*step, *by)).unzip();
    let released: Vec<i32> = next.released.iter().copied().collect();
    let skipped: Vec<i32> = next.skipped.iter().copied().collect();
    let given_steps: Vec<i32> = given.iter().map(|(step, _)| *step).collect();
    let given_inputs: Vec<&str> = given.iter().map(|(_, input)| input.get()).collect();
    let rows = sqlx::query!(
        r#"
        with held as (
            update workflows set
                version = version + 1, unfinished = $2, unsuccessful = $3, stopping = $4, state = $5,
                ended_at = case when $5 <> 'running' then coalesce($15::timestamptz, statement_timestamp()) end
            where id = $1 and state = 'running'
            returning id, coalesce($15, statement_timestamp()) as now
        ), heard as (
            -- The workflow by its number, here and below: joined to what is held, an index might be gone through by what comes
            -- second in it.
            delete from workflow_signals s where s.workflow_id = $1 and s.id = any ($6) and exists (select from held)
        ), lowered as (
            update workflow_steps s set waits_for = s.waits_for - g.by
            from held h, unnest($7::int[], $8::int[]) as g (step, by)
            where s.workflow_id = $1 and s.step = g.step
        ), released as (
            update tasks t set
                state = case when t.scheduled_for > h.now then 'scheduled' else 'queued' end,
                available_at = greatest(t.scheduled_for, h.now),
                claim_order = greatest(t.scheduled_for, h.now) + t.priority * make_interval(secs => $16),
                input = coalesce(g.input::json, t.input)
            from held h
                join workflow_steps s on s.workflow_id = $1 and s.step = any ($9)
                left join unnest($10::int[], $11::text[]) as g (step, input) on g.step = s.step
            -- That it waits is said without its state, so that the index of what is scheduled is not gone through for it.
            where t.id = s.task_id and t.ended_at is null and t.available_at = $17
            returning t.id, t.lane, t.state, t.available_at, h.now, t.traceparent, t.request_id
        ), event as (
            insert into task_events (task_id, at, state, attempt, message)
            select id, now, state, 0, 'Task released: the steps before it have ended' from released
        ), doorbell as (
            insert into outbox (task_id, lane, due_at, ring_at)
            select id, lane, available_at,
                   case when available_at - now > make_interval(secs => $18)
                        then available_at - make_interval(secs => $19) else available_at end
            from released
        ), stopped as (
            select cancel_waiting(array(
                       select s.task_id from workflow_steps s
                       where s.workflow_id = $1 and ($12 or s.step = any ($13))), $14, h.now) as id
            from held h where $12 or cardinality($13::int[]) > 0
        )
        select null::uuid as id, null as lane, null::float8 as delay, null as traceparent, null as request_id,
               (select count(*) from stopped) as "stopped!"
        from held
        union all
        select id, lane, extract(epoch from available_at - now)::float8, traceparent, request_id, 0 from released
        "#,
        snapshot.id.0,
        next.unfinished,
        next.unsuccessful,
        next.stopping,
        next.end.unwrap_or(WorkflowState::Running).as_str(),
        &snapshot.heard,
        &lowered,
        &by,
        &released,
        &given_steps,
        &given_inputs as &[&str],
        next.stop_now,
        &skipped,
        if next.stop_now { STOPPED } else { SKIPPED },
        now,
        AGING_STEP.as_seconds_f64(),
        UNRELEASED,
        MAX_SEND_DELAY.as_seconds_f64(),
        crate::outbox::HEAD_START.as_seconds_f64(),
    )
    .fetch_all(conn)
    .await?;
    let released = rows.into_iter().filter_map(|row| {
        let (id, lane) = (row.id?, row.lane?);
        Some((id, lane, row.delay.unwrap_or_default(), row.traceparent, row.request_id))
    });
    released
        .map(|(id, lane, delay, traceparent, request_id)| {
            Ok(Released { id: TaskId(id), lane: parse(&lane)?, delay: seconds(delay), traceparent, request_id })
        })
        .collect()
}

/// Why steps of a stopping workflow are cancelled.
const STOPPED: &str = "another step of the workflow did not complete";
/// Why steps are cancelled that can never run.
const SKIPPED: &str = "a step that it depends on did not complete";
