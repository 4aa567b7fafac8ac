//! From times that are due to tasks.

use chrono::{DateTime, Duration, Utc};
use halyard_domain::{ScheduleId, schedule::Skip};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{ScheduleRecord, read::Row};
use crate::{
    Now, Result,
    rows::RawJson,
    tasks::{
        NewTask, Submitted,
        accept::{Belonging, Columns, accept, submitted},
    },
};

/// Schedules of active accounts that are due within `ahead`, in the order of their times, that come after `cursor` in that
/// order. Those of disabled accounts wait until they are enabled again, and have then missed what they have missed.
///
/// They come without what their runs get, however much that is: [`whole`](super::whole) has it.
pub async fn due(
    conn: &mut PgConnection,
    ahead: Duration,
    cursor: Option<(DateTime<Utc>, ScheduleId)>,
    limit: i64,
    now: Now,
) -> Result<Vec<ScheduleRecord>> {
    let (after, after_id) = cursor.map_or((DateTime::UNIX_EPOCH, Uuid::nil()), |(at, id)| (at, id.0));
    let rows = sqlx::query_as!(
        Row,
        r#"
        select s.id, s.user_id, s.created_at, s.updated_at, s.next_at, s.decided_until, s.anchor, s.once_at, s.version,
               s.interval_s, s.expires_in_s, s.timeout_s, s.retry_delay_s, s.max_iterations, s.iterations, s.max_retries,
               s.priority, s.exponential_backoff, s.active, s.overlap, s.catch_up, s.dst, s.lane, s.task_type,
               s.expression, s.timezone, null::json as "resources?: RawJson", null::json as "callbacks?: RawJson",
               '{}'::json as "input!: RawJson", c.now as "now!",
               (octet_length(s.input::text) + coalesce(octet_length(s.resources::text), 0)
                + coalesce(octet_length(s.callbacks::text), 0))::bigint as "size!",
               -- Any run may be the one that goes on. No join: each task is found by its key, whatever the planner expects.
               case s.overlap when 'allow' then 0 else (
                   select count(*) from (
                       select from schedule_runs r
                       where r.schedule_id = s.id and r.task_id is not null
                         and (select t.ended_at is null from tasks t where t.id = r.task_id)
                       limit 2) r) end as "open!"
        from (select coalesce($5::timestamptz, statement_timestamp()) as now) c,
             schedules s join users u on u.id = s.user_id and u.status = 'active'
        where s.next_at <= c.now + make_interval(secs => $1) and (s.next_at, s.id) > ($2, $3)
        order by s.next_at, s.id limit $4
        "#,
        ahead.as_seconds_f64(),
        after,
        after_id,
        limit,
        now,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(ScheduleRecord::try_from).collect()
}

/// What was decided about a schedule.
#[derive(Debug, Clone)]
pub struct Turn {
    /// Which.
    pub id: ScheduleId,
    /// Its version when it was decided.
    pub version: i64,
    /// Its `next_at` when it was decided.
    pub expected: DateTime<Utc>,
    /// Its `next_at` from now on.
    pub next_at: Option<DateTime<Utc>>,
    /// Its iterations from now on.
    pub iterations: i32,
    /// What becomes of its times, in order.
    pub runs: Vec<TurnRun>,
}

/// What becomes of a time.
#[derive(Debug, Clone)]
pub struct TurnRun {
    /// Which.
    pub nominal: DateTime<Utc>,
    /// For how many it stands.
    pub times: i32,
    /// A task, or why there is none.
    pub outcome: std::result::Result<NewTask, Skip>,
}

/// The name that the table knows.
fn reason(skip: Skip) -> &'static str {
    match skip {
        Skip::Missed => "missed",
        Skip::Overlap => "overlap",
    }
}

/// Writes what was decided: of each schedule that is still as it was read, its next time, what became of its times, and their
/// tasks; of the others nothing. One statement: whoever dies before it has done nothing, and of two who decide the same one
/// finds nothing left to do.
pub async fn fire(conn: &mut PgConnection, turns: &[Turn], now: Now) -> Result<Vec<Submitted>> {
    let runs: Vec<(&Turn, &TurnRun)> =
        turns.iter().flat_map(|turn| turn.runs.iter().map(move |run| (turn, run))).collect();
    let tasks: Vec<NewTask> = runs.iter().filter_map(|(_, run)| run.outcome.as_ref().ok().cloned()).collect();
    let (columns, none) = (Columns::of(&tasks), Belonging::none());
    let turn_id: Vec<Uuid> = turns.iter().map(|t| t.id.0).collect();
    let version: Vec<i64> = turns.iter().map(|t| t.version).collect();
    let expected: Vec<DateTime<Utc>> = turns.iter().map(|t| t.expected).collect();
    let next_at: Vec<Option<DateTime<Utc>>> = turns.iter().map(|t| t.next_at).collect();
    let iterations: Vec<i32> = turns.iter().map(|t| t.iterations).collect();
    let until: Vec<Option<DateTime<Utc>>> = turns.iter().map(|t| t.runs.last().map(|run| run.nominal)).collect();
    let run_of: Vec<Uuid> = runs.iter().map(|(turn, _)| turn.id.0).collect();
    let nominal: Vec<DateTime<Utc>> = runs.iter().map(|(_, run)| run.nominal).collect();
    let times: Vec<i32> = runs.iter().map(|(_, run)| run.times).collect();
    let task: Vec<Option<Uuid>> = runs.iter().map(|(_, run)| run.outcome.as_ref().ok().map(|task| task.id.0)).collect();
    let reason: Vec<Option<&str>> =
        runs.iter().map(|(_, run)| run.outcome.as_ref().err().copied().map(reason)).collect();
    let rows = accept!(
        columns,
        None,
        none,
        now,
        r#"
        turn as (
            select * from unnest($39::uuid[], $40::bigint[], $41::timestamptz[], $42::timestamptz[], $43::int[], $44::timestamptz[])
                     as t (id, version, expected, next_at, iterations, until)
        ), held as (
            select s.id from schedules s join turn t on t.id = s.id and t.version = s.version and t.expected = s.next_at
            order by s.id for update of s
        ), moved as (
            update schedules s
            set next_at = t.next_at, iterations = t.iterations, decided_until = coalesce(t.until, s.decided_until)
            from turn t where t.id = s.id and s.id in (select id from held)
            returning s.id
        ), run as (
            insert into schedule_runs (schedule_id, nominal_at, decided_at, times, task_id, reason, manual)
            select r.schedule_id, r.nominal_at, coalesce($21::timestamptz, statement_timestamp()), r.times, r.task_id, r.reason,
                   false
            from unnest($45::uuid[], $46::timestamptz[], $47::int[], $48::uuid[], $49::text[])
                 as r (schedule_id, nominal_at, times, task_id, reason)
            where r.schedule_id in (select id from moved)
            on conflict do nothing
            returning task_id
        ),"#,
        "where g.id in (select task_id from run)",
        &turn_id,
        &version,
        &expected,
        &next_at as &[Option<DateTime<Utc>>],
        &iterations,
        &until as &[Option<DateTime<Utc>>],
        &run_of,
        &nominal,
        &times,
        &task as &[Option<Uuid>],
        &reason as &[Option<&str>],
    )
    .fetch_all(conn)
    .await?;
    submitted(rows, &columns.id)
}

/// A run that was asked for by hand, at the moment that `task` is scheduled for; `None` when that moment has one, or the
/// schedule is gone.
pub async fn run_now(
    conn: &mut PgConnection,
    id: ScheduleId,
    nominal: DateTime<Utc>,
    task: &NewTask,
    now: Now,
) -> Result<Option<Submitted>> {
    let (columns, none) = (Columns::of(std::slice::from_ref(task)), Belonging::none());
    let rows = accept!(
        columns,
        None,
        none,
        now,
        r#"
        run as (
            insert into schedule_runs (schedule_id, nominal_at, decided_at, times, task_id, manual)
            select s.id, $40, coalesce($21::timestamptz, statement_timestamp()), 1, $41, true
            from schedules s where s.id = $39
            on conflict do nothing
            returning task_id
        ),"#,
        "where g.id in (select task_id from run)",
        id.0,
        nominal,
        task.id.0,
    )
    .fetch_all(conn)
    .await?;
    Ok(submitted(rows, &columns.id)?.pop())
}
