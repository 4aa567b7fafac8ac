//! Taking the best tasks of a lane.

use chrono::{DateTime, Utc};
use halyard_domain::{Lane, TaskId, UserId, retry::RetryPolicy};
use serde_json::value::RawValue;
use sqlx::PgConnection;

use crate::{
    Now, Result,
    rows::{RawJson, raw},
};

/// What a worker asks for.
#[derive(Debug, Clone)]
pub struct Claim<'a> {
    /// From which lane.
    pub lane: Lane,
    /// At most so many.
    pub limit: i64,
    /// Who asks.
    pub worker_id: &'a str,
    /// On which host.
    pub worker_host: &'a str,
    /// How long the lease lasts unless it is renewed.
    pub lease: std::time::Duration,
}

/// A task that an attempt now holds.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// Which.
    pub id: TaskId,
    /// Whose.
    pub user_id: UserId,
    /// Its type.
    pub task_type: String,
    /// What its code gets.
    pub input: Box<RawValue>,
    /// The number of this attempt; 1 is the first.
    pub attempt: i16,
    /// What every write of this attempt must carry.
    pub fence: i64,
    /// When a failed attempt runs again.
    pub retry: RetryPolicy,
    /// Earlier attempts that ended in failure.
    pub failures: i16,
    /// Earlier attempts that vanished.
    pub lost_leases: i16,
    /// The longest run of one attempt, in seconds.
    pub timeout_s: i32,
    /// Not to be started after.
    pub expires_at: Option<DateTime<Utc>>,
    /// Did that pass before this claim, by the database's clock?
    pub expired: bool,
    /// Did somebody ask for the task to be cancelled?
    pub cancel_requested: bool,
    /// What an earlier attempt left for this one.
    pub checkpoint: Option<Box<RawValue>>,
    /// When it was accepted.
    pub created_at: DateTime<Utc>,
    /// When it was due.
    pub available_at: DateTime<Utc>,
    /// When this attempt began, by the database's clock.
    pub attempt_at: DateTime<Utc>,
    /// The request that submitted it.
    pub request_id: Option<String>,
    /// That request's trace context.
    pub traceparent: Option<String>,
}

/// Claims the best eligible tasks of a lane, best first, in one statement: state, attempt, fence and lease, the
/// `running` event, and the end of the doorbell that was owed. Tasks that another worker is claiming at this moment are
/// passed over, a paused lane gives none.
pub async fn claim(conn: &mut PgConnection, claim: &Claim<'_>, now: Now) -> Result<Vec<Claimed>> {
    let rows = sqlx::query!(
        r#"
        with picked as (
            select t.id from tasks t
            where t.lane = $1 and t.state in ('queued', 'scheduled', 'retrying')
              and t.available_at <= coalesce($6::timestamptz, statement_timestamp())
              and exists (select from lanes l where l.lane = $1 and not l.paused)
            order by t.claim_order, t.id
            limit $2
            for update of t skip locked
        ), claimed as (
            update tasks t set
                state = 'running', attempt = t.attempt + 1, fence = t.fence + 1, worker_id = $3, worker_host = $4,
                lease_until = coalesce($6, statement_timestamp()) + make_interval(secs => $5),
                attempt_at = coalesce($6, statement_timestamp()),
                started_at = coalesce(t.started_at, $6, statement_timestamp())
            -- An array, not a join: by primary key whatever the planner thinks of the number of rows.
            where t.id = any (array(select id from picked))
            returning t.id, t.user_id, t.task_type, t.input, t.attempt, t.fence, t.max_retries, t.retry_delay_s,
                      t.exponential_backoff, t.failures, t.lost_leases, t.timeout_s, t.expires_at, t.cancel_requested,
                      t.checkpoint, t.created_at, t.available_at, t.attempt_at, t.claim_order, t.request_id, t.traceparent
        ), answered as (
            delete from outbox where task_id = any (array(select id from picked))
        ), event as (
            insert into task_events (task_id, at, state, attempt, message)
            select id, attempt_at, 'running', attempt, 'Task started by worker ' || $3 from claimed
        )
        select id, user_id, task_type, input as "input: RawJson", attempt, fence, max_retries, retry_delay_s,
               exponential_backoff, failures, lost_leases, timeout_s, expires_at,
               coalesce(expires_at <= attempt_at, false) as "expired!", cancel_requested,
               checkpoint as "checkpoint: RawJson", created_at, available_at, attempt_at as "attempt_at!",
               request_id, traceparent
        from claimed order by claim_order, id
        "#,
        claim.lane.as_str(),
        claim.limit,
        claim.worker_id,
        claim.worker_host,
        claim.lease.as_secs_f64(),
        now,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Claimed {
            id: TaskId(row.id),
            user_id: UserId(row.user_id),
            task_type: row.task_type,
            input: row.input.0,
            attempt: row.attempt,
            fence: row.fence,
            retry: RetryPolicy {
                max_retries: row.max_retries,
                retry_delay: row.retry_delay_s,
                exponential_backoff: row.exponential_backoff,
            },
            failures: row.failures,
            lost_leases: row.lost_leases,
            timeout_s: row.timeout_s,
            expires_at: row.expires_at,
            expired: row.expired,
            cancel_requested: row.cancel_requested,
            checkpoint: raw(row.checkpoint),
            created_at: row.created_at,
            available_at: row.available_at,
            attempt_at: row.attempt_at,
            request_id: row.request_id,
            traceparent: row.traceparent,
        })
        .collect())
}
