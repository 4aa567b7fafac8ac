//! Doorbells owed to the lanes' queues.
//!
//! The statement that makes a task claimable writes the row, the claim deletes it. The doorbell itself leaves after the
//! commit, without a further write; a row that is still here some time after its `ring_at` means that the doorbell was
//! lost, or that nobody has answered it yet.

use chrono::{DateTime, Duration, Utc};
use halyard_domain::{Lane, TaskId};
use sqlx::PgConnection;

use crate::{Now, Result, rows::parse};

/// A task due later than a queue can delay a message is rung for so long before it is due: time enough for the beat
/// that fires every minute to pass by.
pub const HEAD_START: Duration = Duration::seconds(90);

/// A doorbell to be rung now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutboxRow {
    /// For which task; another of its lane may answer.
    pub task_id: TaskId,
    /// Where.
    pub lane: Lane,
    /// When the task is due.
    pub due_at: DateTime<Utc>,
    /// How long until then, by the database's clock; zero when it is overdue.
    pub delay: Duration,
}

/// Takes doorbells that should have been answered `grace` ago, longest overdue first, and puts each off (one minute,
/// doubling to a quarter of an hour), so that neither another beat nor the next one rings for it at once. Paused lanes
/// are left out.
///
/// The rows stay until a claim deletes them: a beat that dies before it has rung costs a delay, not a task.
pub async fn overdue(conn: &mut PgConnection, grace: Duration, limit: i64, now: Now) -> Result<Vec<OutboxRow>> {
    let rows = sqlx::query!(
        r#"
        with late as (
            select task_id from outbox
            where ring_at <= coalesce($3::timestamptz, statement_timestamp()) - make_interval(secs => $1)
              and lane <> all (array(select lane from lanes where paused))
            order by ring_at limit $2 for update skip locked
        )
        update outbox o set
            rings = least(o.rings + 1, 100),
            ring_at = coalesce($3, statement_timestamp()) + make_interval(secs => 60 * least(15, 2 ^ least(o.rings, 4)))
        where o.task_id = any (array(select task_id from late))
        returning o.task_id, o.lane, o.due_at,
                  greatest(0, extract(epoch from o.due_at - coalesce($3, statement_timestamp())))::float8 as "delay!"
        "#,
        grace.as_seconds_f64(),
        limit,
        now,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(OutboxRow {
                task_id: TaskId(row.task_id),
                lane: parse(&row.lane)?,
                due_at: row.due_at,
                delay: crate::rows::seconds(row.delay),
            })
        })
        .collect()
}

/// How many doorbells are owed in all, up to `cap`.
pub async fn count(conn: &mut PgConnection, cap: i64) -> Result<i64> {
    let n = sqlx::query_scalar!(r#"select count(*) as "n!" from (select from outbox limit $1) o"#, cap)
        .fetch_one(conn)
        .await?;
    Ok(n)
}
