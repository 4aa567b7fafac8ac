//! A workflow once more, from the steps that did not complete.

use chrono::Duration;
use halyard_domain::{Lane, Priority, TaskId, UserId, WorkflowId, retry::RetryPolicy, workflow::WorkflowState};
use serde_json::{json, value::RawValue};
use sqlx::{Connection as _, PgConnection};

use crate::{
    Now, Result,
    rows::{RawJson, parse, priority, raw},
    tasks::{Belonging, NewTask, Submitted, insert},
};

/// A step that did not complete, as it is to be accepted again.
#[derive(Debug, Clone)]
pub struct Again {
    /// Its number.
    pub number: i32,
    /// For how many other steps, of those that run again, it waits.
    pub waits_for: i32,
    /// Does it get the results of the steps before it?
    pub takes: bool,
    /// What other steps call it.
    pub name: Option<String>,
    /// The task that is tried again.
    pub retry_of: TaskId,
    /// Whose.
    pub user_id: UserId,
    /// Its type.
    pub task_type: String,
    /// Its lane.
    pub lane: Lane,
    /// Its place inside the lane.
    pub priority: Priority,
    /// What its code got.
    pub input: Box<RawValue>,
    /// As the client sent them.
    pub resources: Option<Box<RawValue>>,
    /// As the client sent them.
    pub callbacks: Option<Box<RawValue>>,
    /// When a failed attempt runs again.
    pub retry: RetryPolicy,
    /// The longest run of one attempt, in seconds.
    pub timeout_s: i32,
    /// How long after it was accepted it might still start.
    pub expires_in: Option<Duration>,
}

/// Reads where a workflow stands, its version, and its steps that did not complete. `None`: there is no such workflow.
pub async fn to_retry(
    conn: &mut PgConnection,
    id: WorkflowId,
    owner: Option<UserId>,
) -> Result<Option<(WorkflowState, i64, Vec<Again>)>> {
    let Some(workflow) = sqlx::query!(
        "select state, version from workflows where id = $1 and ($2::bigint is null or user_id = $2)",
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
        with open as (
            select s.step, s.name, s.takes, t.id from workflow_steps s join tasks t on t.id = s.task_id
            where s.workflow_id = $1 and t.state <> 'completed'
        )
        select o.step, o.name, o.takes, t.id, t.user_id, t.task_type, t.lane, t.priority, t.input as "input: RawJson",
               t.resources as "resources: RawJson", t.callbacks as "callbacks: RawJson", t.max_retries, t.retry_delay_s,
               t.exponential_backoff, t.timeout_s, extract(epoch from t.expires_at - t.created_at)::float8 as expires_in,
               (select count(*)::int from workflow_edges e join open b on b.step = e.before_step
                where e.workflow_id = $1 and e.after_step = o.step) as "waits_for!"
        from open o join tasks t on t.id = o.id order by o.step
        "#,
        id.0,
    )
    .fetch_all(conn)
    .await?;
    let steps = rows.into_iter().map(|row| {
        Ok(Again {
            number: row.step,
            waits_for: row.waits_for,
            takes: row.takes,
            name: row.name,
            retry_of: TaskId(row.id),
            user_id: UserId(row.user_id),
            task_type: row.task_type,
            lane: parse(&row.lane)?,
            priority: priority(row.priority)?,
            input: row.input.0,
            resources: raw(row.resources),
            callbacks: raw(row.callbacks),
            retry: RetryPolicy {
                max_retries: row.max_retries,
                retry_delay: row.retry_delay_s,
                exponential_backoff: row.exponential_backoff,
            },
            timeout_s: row.timeout_s,
            expires_in: row.expires_in.map(crate::rows::seconds),
        })
    });
    Ok(Some((parse(&workflow.state)?, workflow.version, steps.collect::<Result<_>>()?)))
}

/// The tasks of a workflow's latest generation, in the order of their steps.
pub async fn latest(conn: &mut PgConnection, id: WorkflowId) -> Result<Vec<TaskId>> {
    let ids = sqlx::query_scalar!(
        "select s.task_id from workflows w join workflow_steps s on s.workflow_id = w.id and s.generation = w.generation
         where w.id = $1 order by s.step",
        id.0,
    )
    .fetch_all(conn)
    .await?;
    Ok(ids.into_iter().map(TaskId).collect())
}

/// What became of a retry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Retried {
    /// A new generation runs.
    Accepted(Vec<Submitted>),
    /// The workflow is not what it was when it was read.
    TooLate,
    /// This task, which has not ended, tries a step again outside of the workflow.
    TriedApart(TaskId),
}

/// Begins a new generation with these tasks, unless the workflow is not what it was at `version`, or a step is being tried again on
/// its own: then nothing is accepted. A transaction of its own, for whoever waited for others must look anew at what they did.
pub async fn retry(
    conn: &mut PgConnection,
    id: WorkflowId,
    version: i64,
    tasks: &[NewTask],
    now: Now,
) -> Result<Retried> {
    let mut tx = conn.begin().await?;
    if !hold(&mut tx, id, version).await? {
        tx.rollback().await?;
        return Ok(Retried::TooLate);
    }
    if let Some(task) = tried_apart(&mut tx, id).await? {
        tx.rollback().await?;
        return Ok(Retried::TriedApart(task));
    }
    let belonging = Belonging {
        workflow: json!({ "id": id.0.to_string(), "version": version }),
        before: Vec::new(),
        after: Vec::new(),
        needs_success: Vec::new(),
        gives: Vec::new(),
    };
    let accepted = insert(&mut tx, tasks, Some(&belonging), now).await?;
    tx.commit().await?;
    Ok(Retried::Accepted(accepted))
}

/// Keeps others from retrying the workflow, and then from trying its steps again ([`tasks::again`](crate::tasks::again)), until
/// the transaction ends. The workflow first: whoever takes a running one further holds it, and changes its steps.
async fn hold(conn: &mut PgConnection, id: WorkflowId, version: i64) -> Result<bool> {
    let held = sqlx::query_scalar!(
        "select id from workflows where id = $1 and version = $2 and state <> 'running' for update",
        id.0,
        version,
    )
    .fetch_optional(&mut *conn)
    .await?;
    if held.is_none() {
        return Ok(false);
    }
    sqlx::query_scalar!(
        "select s.step from workflow_steps s join tasks t on t.id = s.task_id
         where s.workflow_id = $1 and t.state <> 'completed' order by s.step for update of s",
        id.0,
    )
    .fetch_all(conn)
    .await?;
    Ok(true)
}

/// A task that has not ended and tries a step again outside of the workflow, or tries such a task again. Asked in a statement of its
/// own: it sees what was committed while the steps were waited for.
async fn tried_apart(conn: &mut PgConnection, id: WorkflowId) -> Result<Option<TaskId>> {
    let task = sqlx::query_scalar!(
        r#"
        with recursive tries (id, ended) as (
            select t.id, t.ended_at is not null
            from workflow_steps s join tasks t on t.retry_of = s.task_id and t.workflow_id is null
            where s.workflow_id = $1
            union all
            select t.id, t.ended_at is not null
            from tries o join tasks t on t.retry_of = o.id and t.workflow_id is null
        )
        select id as "id!" from tries where not ended limit 1
        "#,
        id.0,
    )
    .fetch_optional(conn)
    .await?;
    Ok(task.map(TaskId))
}
