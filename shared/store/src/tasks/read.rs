//! Reading tasks.

use chrono::{DateTime, Utc};
use halyard_domain::{Lane, Priority, TaskId, UserId, WorkflowId, retry::RetryPolicy, task::TaskState};
use serde_json::value::RawValue;
use sqlx::PgConnection;

use crate::{
    Result,
    rows::{RawJson, parse, priority, raw},
};

/// Everything about a task that a client may ask for, but its input.
#[derive(Debug, Clone)]
pub struct TaskRecord {
    /// Which.
    pub id: TaskId,
    /// Whose.
    pub user_id: UserId,
    /// Its type.
    pub task_type: String,
    /// Where it stands.
    pub state: TaskState,
    /// Its lane.
    pub lane: Lane,
    /// Its place inside the lane.
    pub priority: Priority,
    /// Attempts begun.
    pub attempt: i16,
    /// Attempts that ended in failure.
    pub failures: i16,
    /// Attempts that vanished.
    pub lost_leases: i16,
    /// When a failed attempt runs again.
    pub retry: RetryPolicy,
    /// The longest run of one attempt, in seconds.
    pub timeout_s: i32,
    /// What its code reported last.
    pub progress: Option<Box<RawValue>>,
    /// What its code returned.
    pub result: Option<Box<RawValue>>,
    /// Under which key that is stored, if it is too large for a row.
    pub result_key: Option<String>,
    /// Why the last attempt did not end well.
    pub error: Option<String>,
    /// As the client sent them.
    pub resources: Option<Box<RawValue>>,
    /// As the client sent them.
    pub callbacks: Option<Box<RawValue>>,
    /// Did somebody ask for it to be cancelled?
    pub cancel_requested: bool,
    /// Accepted.
    pub created_at: DateTime<Utc>,
    /// As the client asked.
    pub scheduled_for: Option<DateTime<Utc>>,
    /// Due.
    pub available_at: DateTime<Utc>,
    /// First attempt began.
    pub started_at: Option<DateTime<Utc>>,
    /// Latest attempt began.
    pub attempt_at: Option<DateTime<Utc>>,
    /// Ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// Not to be started after.
    pub expires_at: Option<DateTime<Utc>>,
    /// Who runs or ran the latest attempt.
    pub worker_id: Option<String>,
    /// On which host.
    pub worker_host: Option<String>,
    /// The request that submitted it.
    pub request_id: Option<String>,
    /// The workflow that it is a step of.
    pub workflow: Option<WorkflowId>,
    /// The task that it tries again.
    pub retry_of: Option<TaskId>,
    /// The task that tries it again.
    pub retried_as: Option<TaskId>,
}

/// Something that happened to a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskEvent {
    /// When.
    pub at: DateTime<Utc>,
    /// The state from then on.
    pub state: TaskState,
    /// In words.
    pub message: String,
    /// During which attempt; 0 before the first.
    pub attempt: i16,
}

/// One task, of `owner` if one is given; `None` when it is not there or not theirs.
pub async fn get(conn: &mut PgConnection, id: TaskId, owner: Option<UserId>) -> Result<Option<TaskRecord>> {
    let row = sqlx::query!(
        r#"
        select id, user_id, task_type, state, lane, priority, attempt, failures, lost_leases, max_retries, retry_delay_s,
               exponential_backoff, timeout_s, progress as "progress: RawJson", result as "result: RawJson", result_key, error,
               resources as "resources: RawJson", callbacks as "callbacks: RawJson", cancel_requested, created_at,
               scheduled_for, available_at, started_at, attempt_at, ended_at, expires_at, worker_id, worker_host, request_id,
               workflow_id, retry_of,
               (select r.id from tasks r where r.retry_of = tasks.id and r.workflow_id is null) as retried_as
        from tasks where id = $1 and ($2::bigint is null or user_id = $2)
        "#,
        id.0,
        owner.map(|o| o.0),
    )
    .fetch_optional(conn)
    .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(TaskRecord {
        id: TaskId(row.id),
        user_id: UserId(row.user_id),
        task_type: row.task_type,
        state: parse(&row.state)?,
        lane: parse(&row.lane)?,
        priority: priority(row.priority)?,
        attempt: row.attempt,
        failures: row.failures,
        lost_leases: row.lost_leases,
        retry: RetryPolicy {
            max_retries: row.max_retries,
            retry_delay: row.retry_delay_s,
            exponential_backoff: row.exponential_backoff,
        },
        timeout_s: row.timeout_s,
        progress: raw(row.progress),
        // What an attempt noted that did not complete it says nothing.
        result_key: row.result_key.filter(|_| row.state == TaskState::Completed.as_str() && row.result.is_none()),
        result: raw(row.result),
        error: row.error,
        resources: raw(row.resources),
        callbacks: raw(row.callbacks),
        cancel_requested: row.cancel_requested,
        created_at: row.created_at,
        scheduled_for: row.scheduled_for,
        available_at: row.available_at,
        started_at: row.started_at,
        attempt_at: row.attempt_at,
        ended_at: row.ended_at,
        expires_at: row.expires_at,
        worker_id: row.worker_id,
        worker_host: row.worker_host,
        request_id: row.request_id,
        workflow: row.workflow_id.map(WorkflowId),
        retry_of: row.retry_of.map(TaskId),
        retried_as: row.retried_as.map(TaskId),
    }))
}

/// What happened to a task, in order. Whose it is, [`get`] has asked.
pub async fn events(conn: &mut PgConnection, id: TaskId) -> Result<Vec<TaskEvent>> {
    let rows = sqlx::query!("select at, state, message, attempt from task_events where task_id = $1 order by id", id.0)
        .fetch_all(conn)
        .await?;
    rows.into_iter()
        .map(|row| Ok(TaskEvent { at: row.at, state: parse(&row.state)?, message: row.message, attempt: row.attempt }))
        .collect()
}
