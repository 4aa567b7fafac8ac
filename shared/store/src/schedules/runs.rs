//! What became of the times at which schedules were due.

use chrono::{DateTime, Utc};
use halyard_domain::{ScheduleId, TaskId, task::TaskState};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{Result, rows::parse};

/// What became of a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunRecord {
    /// Which; of several that were missed in a row, the last one.
    pub nominal_at: DateTime<Utc>,
    /// When it was decided.
    pub decided_at: DateTime<Utc>,
    /// For how many it stands.
    pub times: i32,
    /// Was it asked for by hand?
    pub manual: bool,
    /// Why it was left out.
    pub reason: Option<String>,
    /// The task that was made of it.
    pub task_id: Option<TaskId>,
    /// How that task stands; `None` as well when it is not kept any more.
    pub task_state: Option<TaskState>,
}

/// The latest runs, newest first. Whose the schedule is, [`get`](super::get) has asked.
pub async fn runs(conn: &mut PgConnection, id: ScheduleId, limit: i64) -> Result<Vec<RunRecord>> {
    let rows = sqlx::query!(
        r#"
        select r.nominal_at, r.decided_at, r.times, r.manual, r.reason, r.task_id, t.state as "state?"
        from schedule_runs r left join tasks t on t.id = r.task_id
        where r.schedule_id = $1 order by r.nominal_at desc limit $2
        "#,
        id.0,
        limit,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(RunRecord {
                nominal_at: row.nominal_at,
                decided_at: row.decided_at,
                times: row.times,
                manual: row.manual,
                reason: row.reason,
                task_id: row.task_id.map(TaskId),
                task_state: row.state.as_deref().map(parse).transpose()?,
            })
        })
        .collect()
}

/// Forgets what became of all but the latest `kept` times of these schedules; gives how many were forgotten. None comes again:
/// a schedule's time only goes forward. A run whose task has not ended is kept: that is how an overlap is seen.
pub async fn forget_runs(conn: &mut PgConnection, ids: &[ScheduleId], kept: i64) -> Result<u64> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let done = sqlx::query!(
        r#"
        delete from schedule_runs r
        using unnest($1::uuid[]) as g (id),
              lateral (select nominal_at from schedule_runs k where k.schedule_id = g.id
                       order by nominal_at desc offset $2 limit 1) edge
        where r.schedule_id = g.id and r.nominal_at <= edge.nominal_at
          and (select t.ended_at is null from tasks t where t.id = r.task_id) is not true
        "#,
        &ids,
        kept,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}
