//! Lists of tasks.

use chrono::{DateTime, TimeDelta, Utc};
use halyard_domain::{Priority, TaskId, UserId, WorkflowId, entropy::least_ulid, idempotency::KEPT, task::TaskState};
use serde_json::value::RawValue;
use sqlx::PgConnection;
use uuid::Uuid;

use super::LOOKED_AT;
use crate::{
    Result,
    rows::{RawJson, parse, priority, raw},
};

/// How far the clock of a host that makes ids may be from the database's, which says when a task was accepted.
const SKEW: TimeDelta = TimeDelta::hours(1);
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

/// A page of a list.
#[derive(Debug, Clone, Default)]
pub struct TaskPage {
    /// Newest first.
    pub tasks: Vec<TaskSummary>,
    /// Where to go on; `None`: there are no more.
    pub next: Option<TaskId>,
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

struct SummaryRow {
    id: Uuid,
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
    /// Is it one of those that were asked for?
    matches: bool,
    /// Is it in the range that is looked through?
    within: bool,
    /// The how manieth of those that were looked at.
    n: i64,
}

struct Asked<'a> {
    filter: &'a Filter,
    from: Uuid,
    below: Uuid,
    limit: i64,
}

/// The one statement. `$looked` is what some index holds below id `$2`, in its order, and `$within` says whether a task is still
/// in the range that is asked for, which ends at id `$1`; what they are given comes last, from `$10` on. The rows are those that
/// match, and what tells that there are no more: tasks beyond the range, or the last one to be looked at. They come in the
/// order of the index, which nothing in between changes, and the statement ends as soon as there are enough.
///
/// Where the range ends is asked of the rows, not of the index: even with a lower end, a scan by a comparison of rows ends by
/// itself only where the first column differs. And it is one, because given `user_id = $10` the planner would rather walk the
/// primary key and pass over everybody else's tasks.
macro_rules! page {
    ($conn:expr, $asked:expr, $looked:literal, $within:literal $(, $more:expr)*) => {
        sqlx::query_as!(
            SummaryRow,
            r#"select id, user_id, task_type, state, priority, attempt, progress as "progress: RawJson", error, created_at,
                      scheduled_for, started_at, ended_at, matches and within as "matches!", within as "within!", n as "n!"
               from (
                   select t.*, row_number() over () as n, "# + $within + r#" and id >= $1 as within,
                          ($3::text is null or state = $3) and ($4::text is null or task_type = $4)
                          and ($5::smallint is null or priority = $5) and ($6::timestamptz is null or created_at >= $6)
                          and ($7::timestamptz is null or created_at < $7) as matches
                   from (select id, user_id, workflow_id, task_type, state, priority, attempt, progress, error, created_at,
                                scheduled_for, started_at, ended_at
                         from tasks "# + $looked + r#" limit $9) t
               ) looked
               where matches or not within or n = $9 limit $8"#,
            $asked.from,
            $asked.below,
            $asked.filter.state.map(TaskState::as_str),
            $asked.filter.task_type,
            $asked.filter.priority.map(Priority::get),
            $asked.filter.submitted_after,
            $asked.filter.submitted_before,
            $asked.limit + 1,
            LOOKED_AT,
            $($more),*
        )
        .fetch_all($conn)
        .await?
    };
}

/// Tasks, newest first, of `owner` or of all, that come after `cursor` in that order: up to `limit` of them, among the next
/// [`LOOKED_AT`] of those that an index leads to. One leads to those of a state, for a user or for all, one to a user's of a
/// type, one to those of a time; what is asked for besides is looked for among them.
pub async fn list(
    conn: &mut PgConnection,
    owner: Option<UserId>,
    filter: &Filter,
    cursor: Option<TaskId>,
    limit: i64,
) -> Result<TaskPage> {
    // A task's id may be as old as its `Idempotency-Key`, however late that was let through.
    let from = filter.submitted_after.and_then(|at| at.checked_sub_signed(SKEW + KEPT)).map_or(Uuid::nil(), least_ulid);
    let until = filter.submitted_before.and_then(|at| at.checked_add_signed(SKEW)).map_or(Uuid::max(), least_ulid);
    let below = cursor.map_or(Uuid::max(), |cursor| cursor.0).min(until);
    let asked = Asked { filter, from, below, limit };
    // What has completed is most of a history, and no index leads to it.
    let state = filter.state.filter(|state| *state != TaskState::Completed);
    let running = state == Some(TaskState::Running);
    let rows = match (filter.workflow, owner, state, &filter.task_type) {
        (Some(workflow), ..) => page!(
            conn,
            asked,
            "where workflow_id = $10 and ($11::bigint is null or user_id = $11) and id < $2 order by id desc",
            "workflow_id = $10",
            workflow.0,
            owner.map(|owner| owner.0)
        ),
        // There are few. Collected first, for in the order of ids the planner might walk the primary key.
        (None, ..) if running => page!(
            conn,
            asked,
            "where id = any (array(select r.id from tasks r
                                   where r.state = 'running' and ($10::bigint is null or r.user_id = $10)))
               and id < $2 order by id desc",
            "true",
            owner.map(|owner| owner.0)
        ),
        (None, Some(owner), Some(_), _) => page!(
            conn,
            asked,
            "where (user_id, state, id) < ($10, $3, $2) and state not in ('completed', 'running')
             order by user_id desc, state desc, id desc",
            "user_id = $10 and state = $3",
            owner.0
        ),
        (None, Some(owner), None, Some(_)) => page!(
            conn,
            asked,
            "where (user_id, task_type, id) < ($10, $4, $2) order by user_id desc, task_type desc, id desc",
            "user_id = $10 and task_type = $4",
            owner.0
        ),
        (None, Some(owner), None, None) => page!(
            conn,
            asked,
            "where (user_id, id) < ($10, $2) order by user_id desc, id desc",
            "user_id = $10",
            owner.0
        ),
        (None, None, Some(_), _) => page!(
            conn,
            asked,
            "where (state, id) < ($3, $2) and state not in ('completed', 'running') order by state desc, id desc",
            "state = $3"
        ),
        (None, None, None, _) => page!(conn, asked, "where id < $2 order by id desc", "true"),
    };
    page_of(rows, limit)
}

fn page_of(mut rows: Vec<SummaryRow>, limit: i64) -> Result<TaskPage> {
    let last = rows.last().filter(|row| row.within && row.n == LOOKED_AT).map(|row| TaskId(row.id));
    rows.retain(|row| row.matches);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let next = if rows.len() > limit { rows[..limit].last().map(|row| TaskId(row.id)) } else { last };
    let tasks = rows.into_iter().take(limit).map(|row| {
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
    });
    Ok(TaskPage { tasks: tasks.collect::<Result<_>>()?, next })
}
