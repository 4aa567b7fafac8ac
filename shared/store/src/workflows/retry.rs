//! A workflow once more, from the steps that did not complete.

use chrono::Duration;
use halyard_domain::{Lane, Priority, TaskId, UserId, WorkflowId, retry::RetryPolicy, workflow::WorkflowState};
use serde_json::{json, value::RawValue};
use sqlx::PgConnection;

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

/// Begins a new generation with these tasks, in one statement, unless the workflow is not what it was at `version`: then
/// nothing is accepted, and the answer is empty.
pub async fn retry(
    conn: &mut PgConnection,
    id: WorkflowId,
    version: i64,
    tasks: &[NewTask],
    now: Now,
) -> Result<Vec<Submitted>> {
    let belonging = Belonging {
        workflow: json!({ "id": id.0.to_string(), "version": version }),
        before: Vec::new(),
        after: Vec::new(),
        needs_success: Vec::new(),
        gives: Vec::new(),
    };
    insert(conn, tasks, Some(&belonging), now).await
}
