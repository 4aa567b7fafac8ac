//! Reading workflows.

use chrono::{DateTime, Utc};
use halyard_domain::{
    TaskId, UserId, WorkflowId,
    task::{TaskState, UNRELEASED},
    workflow::{FailureStrategy, Mode, WorkflowKind, WorkflowState},
};
use sqlx::PgConnection;

use crate::{Result, rows::parse};

/// A line of a list.
#[derive(Debug, Clone)]
pub struct WorkflowSummary {
    /// Which; the last one's is the next page's cursor.
    pub id: WorkflowId,
    /// Whose.
    pub user_id: UserId,
    /// How it was submitted.
    pub kind: WorkflowKind,
    /// For people.
    pub name: String,
    /// In which order its steps run.
    pub mode: Mode,
    /// What a step that does not complete means for the others.
    pub failure_strategy: FailureStrategy,
    /// Where it stands.
    pub state: WorkflowState,
    /// 1, and one more with each retry.
    pub generation: i16,
    /// Steps.
    pub total: i32,
    /// Did somebody ask for it to be cancelled?
    pub cancel_requested: bool,
    /// Accepted.
    pub created_at: DateTime<Utc>,
    /// Ended.
    pub ended_at: Option<DateTime<Utc>>,
}

/// How many of a workflow's steps are in which state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Steps that wait for other steps.
    pub waiting: i64,
    /// All others, by the state of their task.
    pub by_state: Vec<(TaskState, i64)>,
}

/// A workflow and how many of its steps are where.
#[derive(Debug, Clone)]
pub struct WorkflowRecord {
    /// The workflow.
    pub summary: WorkflowSummary,
    /// Its steps.
    pub counts: Counts,
}

/// A step.
#[derive(Debug, Clone)]
pub struct StepRecord {
    /// Its number, from 0; the last one's is the next page's cursor.
    pub number: i32,
    /// What other steps call it.
    pub name: Option<String>,
    /// The task of the latest generation in which it ran.
    pub task_id: TaskId,
    /// That generation.
    pub generation: i16,
    /// The task's type.
    pub task_type: String,
    /// Where the task stands; `None` while it waits for other steps.
    pub state: Option<TaskState>,
    /// Attempts begun.
    pub attempt: i16,
    /// Why the last attempt did not end well.
    pub error: Option<String>,
    /// The numbers of the steps that come before it.
    pub after: Vec<i32>,
    /// First attempt began.
    pub started_at: Option<DateTime<Utc>>,
    /// Ended.
    pub ended_at: Option<DateTime<Utc>>,
}

/// One workflow, of `owner` if one is given.
pub async fn get(conn: &mut PgConnection, id: WorkflowId, owner: Option<UserId>) -> Result<Option<WorkflowRecord>> {
    let Some(w) = sqlx::query!(
        "select id, user_id, kind, name, mode, failure_strategy, state, generation, total, cancel_requested, created_at,
                ended_at
         from workflows where id = $1 and ($2::bigint is null or user_id = $2)",
        id.0,
        owner.map(|o| o.0),
    )
    .fetch_optional(&mut *conn)
    .await?
    else {
        return Ok(None);
    };
    let rows = sqlx::query!(
        r#"
        select t.state, t.state = 'scheduled' and t.available_at = $2 as "waits!", count(*) as "n!"
        from workflow_steps s join tasks t on t.id = s.task_id where s.workflow_id = $1 group by 1, 2
        "#,
        id.0,
        UNRELEASED,
    )
    .fetch_all(conn)
    .await?;
    let mut counts = Counts::default();
    for row in rows {
        if row.waits {
            counts.waiting += row.n;
        } else {
            counts.by_state.push((parse(&row.state)?, row.n));
        }
    }
    Ok(Some(WorkflowRecord {
        summary: WorkflowSummary {
            id: WorkflowId(w.id),
            user_id: UserId(w.user_id),
            kind: parse(&w.kind)?,
            name: w.name,
            mode: parse(&w.mode)?,
            failure_strategy: parse(&w.failure_strategy)?,
            state: parse(&w.state)?,
            generation: w.generation,
            total: w.total,
            cancel_requested: w.cancel_requested,
            created_at: w.created_at,
            ended_at: w.ended_at,
        },
        counts,
    }))
}

/// Workflows, newest first: of `owner` if one is given, in `state` if one is given, before `cursor`.
pub async fn list(
    conn: &mut PgConnection,
    owner: Option<UserId>,
    state: Option<WorkflowState>,
    cursor: Option<WorkflowId>,
    limit: i64,
) -> Result<Vec<WorkflowSummary>> {
    let rows = sqlx::query!(
        "select id, user_id, kind, name, mode, failure_strategy, state, generation, total, cancel_requested, created_at,
                ended_at
         from workflows
         where ($1::bigint is null or user_id = $1) and ($2::text is null or state = $2) and ($3::uuid is null or id < $3)
         order by id desc limit $4",
        owner.map(|o| o.0),
        state.map(WorkflowState::as_str),
        cursor.map(|c| c.0),
        limit,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|w| {
            Ok(WorkflowSummary {
                id: WorkflowId(w.id),
                user_id: UserId(w.user_id),
                kind: parse(&w.kind)?,
                name: w.name,
                mode: parse(&w.mode)?,
                failure_strategy: parse(&w.failure_strategy)?,
                state: parse(&w.state)?,
                generation: w.generation,
                total: w.total,
                cancel_requested: w.cancel_requested,
                created_at: w.created_at,
                ended_at: w.ended_at,
            })
        })
        .collect()
}

/// A workflow's steps, by number, after `cursor`.
pub async fn steps(
    conn: &mut PgConnection,
    id: WorkflowId,
    cursor: Option<i32>,
    limit: i64,
) -> Result<Vec<StepRecord>> {
    let rows = sqlx::query!(
        r#"
        select s.step, s.name, s.task_id, s.generation, t.task_type, t.state,
               t.state = 'scheduled' and t.available_at = $4 as "waits!", t.attempt, t.error, t.started_at, t.ended_at,
               array(select e.before_step from workflow_edges e
                     where e.workflow_id = s.workflow_id and e.after_step = s.step order by e.before_step) as "after!"
        from workflow_steps s join tasks t on t.id = s.task_id
        where s.workflow_id = $1 and s.step > $2 order by s.step limit $3
        "#,
        id.0,
        cursor.unwrap_or(-1),
        limit,
        UNRELEASED,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|s| {
            Ok(StepRecord {
                number: s.step,
                name: s.name,
                task_id: TaskId(s.task_id),
                generation: s.generation,
                task_type: s.task_type,
                state: if s.waits { None } else { Some(parse(&s.state)?) },
                attempt: s.attempt,
                error: s.error,
                after: s.after,
                started_at: s.started_at,
                ended_at: s.ended_at,
            })
        })
        .collect()
}
