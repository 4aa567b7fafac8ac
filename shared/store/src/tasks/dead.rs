//! Dead letters: tasks that the platform gave up.

use chrono::{DateTime, Utc};
use halyard_domain::{Lane, Priority, TaskId, UserId};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    Result,
    rows::{parse, priority},
};

/// Which dead letters; what is `None` does not matter.
#[derive(Debug, Clone, Default)]
pub struct DeadFilter {
    /// Of this type.
    pub task_type: Option<String>,
    /// With a reason of this code: `unknown_type`.
    pub reason: Option<String>,
    /// Of this user.
    pub user_id: Option<UserId>,
    /// Given up at or after.
    pub died_after: Option<DateTime<Utc>>,
    /// Given up before.
    pub died_before: Option<DateTime<Utc>>,
    /// Tried again by another task, or not.
    pub redriven: Option<bool>,
}

/// A task that the platform gave up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Which.
    pub id: TaskId,
    /// Whose.
    pub user_id: UserId,
    /// Its type.
    pub task_type: String,
    /// Its lane.
    pub lane: Lane,
    /// Its place there.
    pub priority: Priority,
    /// Why it was given up.
    pub error: Option<String>,
    /// Attempts begun.
    pub attempt: i16,
    /// Attempts that ended in failure.
    pub failures: i16,
    /// Attempts that vanished.
    pub lost_leases: i16,
    /// Who ran the last one.
    pub worker_id: Option<String>,
    /// Accepted.
    pub created_at: DateTime<Utc>,
    /// Given up.
    pub died_at: DateTime<Utc>,
    /// The task that it tried again.
    pub retry_of: Option<TaskId>,
    /// The task that tries it again.
    pub redriven_as: Option<TaskId>,
}

/// Dead letters, the newest task first, that come after `cursor` in that order.
pub async fn dead_letters(
    conn: &mut PgConnection,
    filter: &DeadFilter,
    cursor: Option<TaskId>,
    limit: i64,
) -> Result<Vec<DeadLetter>> {
    let rows = sqlx::query!(
        r#"
        select t.id, t.user_id, t.task_type, t.lane, t.priority, t.error, t.attempt, t.failures, t.lost_leases, t.worker_id,
               t.created_at, t.ended_at as "ended_at!", t.retry_of,
               coalesce(r.id, s.task_id) as "redriven_as?"
        from tasks t left join tasks r on r.retry_of = t.id and r.workflow_id is null
             -- Its workflow has run the step again.
             left join workflow_steps s on s.workflow_id = t.workflow_id and s.step = t.step and s.task_id <> t.id
        where t.state = 'dead' and t.id < $1 and ($2::text is null or t.task_type = $2)
          and ($3::text is null or starts_with(t.error, $3 || ':')) and ($4::bigint is null or t.user_id = $4)
          and ($5::timestamptz is null or t.ended_at >= $5) and ($6::timestamptz is null or t.ended_at < $6)
          and ($7::bool is null or (coalesce(r.id, s.task_id) is not null) = $7)
        order by t.id desc limit $8
        "#,
        cursor.map_or(Uuid::max(), |c| c.0),
        filter.task_type,
        filter.reason,
        filter.user_id.map(|user| user.0),
        filter.died_after,
        filter.died_before,
        filter.redriven,
        limit,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(DeadLetter {
                id: TaskId(row.id),
                user_id: UserId(row.user_id),
                task_type: row.task_type,
                lane: parse(&row.lane)?,
                priority: priority(row.priority)?,
                error: row.error,
                attempt: row.attempt,
                failures: row.failures,
                lost_leases: row.lost_leases,
                worker_id: row.worker_id,
                created_at: row.created_at,
                died_at: row.ended_at,
                retry_of: row.retry_of.map(TaskId),
                redriven_as: row.redriven_as.map(TaskId),
            })
        })
        .collect()
}
