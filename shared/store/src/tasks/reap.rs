//! Attempts whose worker vanished.

use chrono::{DateTime, Utc};
use halyard_domain::{Lane, TaskId, retry::RetryPolicy};
use sqlx::PgConnection;

use super::{Finish, FinishedRow, finish};
use crate::{Now, Result, rows::parse};

/// A running task that nobody has renewed.
#[derive(Debug, Clone)]
pub struct Lost {
    /// Which.
    pub id: TaskId,
    /// Its lane.
    pub lane: Lane,
    /// The lost attempt's fencing number: what [`release`] must carry.
    pub fence: i64,
    /// The lost attempt's number.
    pub attempt: i16,
    /// Who had it.
    pub worker_id: Option<String>,
    /// When the lease ran out.
    pub lease_until: DateTime<Utc>,
    /// When a failed attempt runs again.
    pub retry: RetryPolicy,
    /// Attempts that ended in failure so far.
    pub failures: i16,
    /// Leases lost so far, this one not included.
    pub lost_leases: i16,
    /// Did somebody ask for the task to be cancelled?
    pub cancel_requested: bool,
}

/// Running tasks whose lease has run out, oldest first. Reads only: the caller applies `domain::task::verdict` and
/// commits with [`release`].
pub async fn expired_leases(conn: &mut PgConnection, limit: i64, now: Now) -> Result<Vec<Lost>> {
    let rows = sqlx::query!(
        r#"
        select id, lane, fence, attempt, worker_id, lease_until as "lease_until!", max_retries, retry_delay_s,
               exponential_backoff, failures, lost_leases, cancel_requested
        from tasks
        where state = 'running' and lease_until < coalesce($2::timestamptz, statement_timestamp())
        order by lease_until, id limit $1
        "#,
        limit,
        now,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Lost {
                id: TaskId(row.id),
                lane: parse(&row.lane)?,
                fence: row.fence,
                attempt: row.attempt,
                worker_id: row.worker_id,
                lease_until: row.lease_until,
                retry: RetryPolicy {
                    max_retries: row.max_retries,
                    retry_delay: row.retry_delay_s,
                    exponential_backoff: row.exponential_backoff,
                },
                failures: row.failures,
                lost_leases: row.lost_leases,
                cancel_requested: row.cancel_requested,
            })
        })
        .collect()
}

/// Commits what the reaper decided: [`finish`] under the fencing numbers that it read. An attempt that finished, or was
/// released by another reaper, in between wins: its fence or state no longer match.
///
/// A worker that renewed its lease in between loses it all the same. It is told at its next renewal, and the fence
/// keeps it from writing.
pub async fn release(conn: &mut PgConnection, ends: &[Finish], now: Now) -> Result<Vec<FinishedRow>> {
    finish(conn, ends, now).await
}
