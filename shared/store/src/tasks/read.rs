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

/// A line of a list.
#[derive(Debug, Clone)]
pub struct TaskSummary {
    /// Which; the last one's is the next page's cursor.
    pub id: TaskId,
    /// Whose.
    pub user_id: UserId,
    /// Its type.
    pub task_type: String,
    /// Where it stands.
    pub state: TaskState,
    /// Its place inside the lane.
    pub priority: Priority,
    /// Attempts begun.
    pub attempt: i16,
    /// What its code reported last.
    pub progress: Option<Box<RawValue>>,
    /// Why the last attempt did not end well.
    pub error: Option<String>,
    /// Accepted.
    pub created_at: DateTime<Utc>,
    /// As the client asked.
    pub scheduled_for: Option<DateTime<Utc>>,
    /// First attempt began.
    pub started_at: Option<DateTime<Utc>>,
    /// Ended.
    pub ended_at: Option<DateTime<Utc>>,
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

/// Which tasks a list holds; what is `None` does not matter.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// In this state.
    pub state: Option<TaskState>,
    /// Of this type.
    pub task_type: Option<String>,
    /// Of this priority.
    pub priority: Option<Priority>,
    /// Accepted at or after.
    pub submitted_after: Option<DateTime<Utc>>,
    /// Accepted before.
    pub submitted_before: Option<DateTime<Utc>>,
    /// A step of this workflow.
    pub workflow: Option<WorkflowId>,
}

impl Filter {
    /// Does it leave nothing out?
    pub fn is_empty(&self) -> bool {
        let Self { state, task_type, priority, submitted_after, submitted_before, workflow } = self;
        state.is_none()
            && task_type.is_none()
            && priority.is_none()
            && submitted_after.is_none()
            && submitted_before.is_none()
            && workflow.is_none()
    }
}

/// One task, of `owner` if one is given; `None` when it is not there or not theirs.
pub async fn get(conn: &mut PgConnection, id: TaskId, owner: Option<UserId>) -> Result<Option<TaskRecord>> {
    let row = sqlx::query!(
        r#"
        select id, user_id, task_type, state, lane, priority, attempt, failures, lost_leases, max_retries, retry_delay_s,
               exponential_backoff, timeout_s, progress as "progress: RawJson", result as "result: RawJson", error,
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

struct SummaryRow {
    id: uuid::Uuid,
    user_id: i64,
    task_type: String,
    state: String,
    priority: i16,
    attempt: i16,
    progress: Option<RawJson>,
    error: Option<String>,
    created_at: DateTime<Utc>,
    scheduled_for: Option<DateTime<Utc>>,
    started_at: Option<DateTime<Utc>>,
    ended_at: Option<DateTime<Utc>>,
}

/// Tasks, newest first, of `owner` or of all, that come after `cursor` in that order.
pub async fn list(
    conn: &mut PgConnection,
    owner: Option<UserId>,
    filter: &Filter,
    cursor: Option<TaskId>,
    limit: i64,
) -> Result<Vec<TaskSummary>> {
    let state = filter.state.map(TaskState::as_str);
    let priority_wanted = filter.priority.map(Priority::get);
    // The greatest id stands for "from the start", so that the cursor is a bound of the index either way. And two
    // statements, because one generic plan cannot use the user's index for one and the primary key for all. A user's
    // is written as a range of (user_id, id), which no other index serves: given `user_id = $1`, the planner would walk
    // the primary key and pass over everybody else's tasks.
    let before = cursor.map_or(uuid::Uuid::max(), |c| c.0);
    let rows = if let Some(workflow) = filter.workflow {
        sqlx::query_as!(
            SummaryRow,
            r#"
            select id, user_id, task_type, state, priority, attempt, progress as "progress: RawJson", error, created_at,
                   scheduled_for, started_at, ended_at
            from tasks
            where workflow_id = $1 and ($2::bigint is null or user_id = $2) and id < $3 and ($4::text is null or state = $4)
              and ($5::text is null or task_type = $5) and ($6::smallint is null or priority = $6)
              and ($7::timestamptz is null or created_at >= $7) and ($8::timestamptz is null or created_at < $8)
            order by id desc limit $9
            "#,
            workflow.0,
            owner.map(|o| o.0),
            before,
            state,
            filter.task_type,
            priority_wanted,
            filter.submitted_after,
            filter.submitted_before,
            limit,
        )
        .fetch_all(conn)
        .await?
    } else if let Some(owner) = owner {
        sqlx::query_as!(
            SummaryRow,
            r#"
            select id, user_id, task_type, state, priority, attempt, progress as "progress: RawJson", error, created_at,
                   scheduled_for, started_at, ended_at
            from tasks
            where user_id >= $1 and (user_id, id) < ($1, $2) and ($3::text is null or state = $3) and ($4::text is null or task_type = $4)
              and ($5::smallint is null or priority = $5) and ($6::timestamptz is null or created_at >= $6)
              and ($7::timestamptz is null or created_at < $7)
            order by user_id desc, id desc limit $8
            "#,
            owner.0,
            before,
            state,
            filter.task_type,
            priority_wanted,
            filter.submitted_after,
            filter.submitted_before,
            limit,
        )
        .fetch_all(conn)
        .await?
    } else {
        sqlx::query_as!(
            SummaryRow,
            r#"
            select id, user_id, task_type, state, priority, attempt, progress as "progress: RawJson", error, created_at,
                   scheduled_for, started_at, ended_at
            from tasks
            where id < $1 and ($2::text is null or state = $2) and ($3::text is null or task_type = $3)
              and ($4::smallint is null or priority = $4) and ($5::timestamptz is null or created_at >= $5)
              and ($6::timestamptz is null or created_at < $6)
            order by id desc limit $7
            "#,
            before,
            state,
            filter.task_type,
            priority_wanted,
            filter.submitted_after,
            filter.submitted_before,
            limit,
        )
        .fetch_all(conn)
        .await?
    };
    rows.into_iter()
        .map(|row| {
            Ok(TaskSummary {
                id: TaskId(row.id),
                user_id: UserId(row.user_id),
                task_type: row.task_type,
                state: parse(&row.state)?,
                priority: priority(row.priority)?,
                attempt: row.attempt,
                progress: raw(row.progress),
                error: row.error,
                created_at: row.created_at,
                scheduled_for: row.scheduled_for,
                started_at: row.started_at,
                ended_at: row.ended_at,
            })
        })
        .collect()
}
