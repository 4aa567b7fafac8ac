//! Accepting tasks.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use halyard_domain::{Lane, Priority, TaskId, UserId, WorkflowId, retry::RetryPolicy, task::TaskState};
use serde_json::value::RawValue;
use sqlx::PgConnection;
use uuid::Uuid;

use super::accept::{Belonging, Columns, accept, submitted};
use crate::{
    Now, Result, StoreError,
    rows::{parse, priority, seconds},
};

/// A task to be.
#[derive(Debug, Clone)]
pub struct NewTask {
    /// A ULID, made by the caller.
    pub id: TaskId,
    /// Whose.
    pub user_id: UserId,
    /// A registered type.
    pub task_type: String,
    /// Which lane runs it.
    pub lane: Lane,
    /// Its place inside the lane.
    pub priority: Priority,
    /// What the task's code gets.
    pub input: Box<RawValue>,
    /// As the client sent them.
    pub resources: Option<Box<RawValue>>,
    /// As the client sent them.
    pub callbacks: Option<Box<RawValue>>,
    /// When a failed attempt runs again.
    pub retry: RetryPolicy,
    /// The longest run of one attempt, in seconds.
    pub timeout_s: i32,
    /// Not to be started after.
    pub expires_at: Option<DateTime<Utc>>,
    /// Not to be started before.
    pub scheduled_for: Option<DateTime<Utc>>,
    /// The id of the request that submits it.
    pub request_id: Option<String>,
    /// The W3C trace context of the request that submits it.
    pub traceparent: Option<String>,
    /// What ties it to others.
    pub ties: Ties,
}

/// What ties a task to others.
#[derive(Debug, Clone, Default)]
pub struct Ties {
    /// The task that it tries again.
    pub retry_of: Option<TaskId>,
    /// Its place in a workflow.
    pub step: Option<Step>,
    /// No two tasks of a user that have not ended share one.
    pub unique_key: Option<String>,
    /// While it waits, a further submit with its unique key takes its place and puts it off, until then at most
    /// ([`debounced`](super::debounced)). Its start releases the key.
    pub debounce_until: Option<DateTime<Utc>>,
    /// How many tasks of a user with the same key run at once.
    pub concurrency: Option<Concurrency>,
    /// A client submits it now: a lane that is being drained refuses it. What follows from tasks that are there, or from a
    /// schedule, is accepted.
    pub by_client: bool,
}

/// A task's place in a workflow.
#[derive(Debug, Clone)]
pub struct Step {
    /// Which workflow.
    pub workflow: WorkflowId,
    /// Which of its steps, from 0.
    pub number: i32,
    /// For how many others it waits. If there are any it is due at [`UNRELEASED`](halyard_domain::task::UNRELEASED), and
    /// nobody rings for it.
    pub waits_for: i32,
    /// Does it get the results of the steps before it?
    pub takes: bool,
    /// What other steps call it.
    pub name: Option<String>,
}

/// A limit that tasks share.
#[derive(Debug, Clone)]
pub struct Concurrency {
    /// What they share it by.
    pub key: String,
    /// How many of them run at once, 1 or more.
    pub limit: i16,
}

/// What became of a submit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submitted {
    /// Which.
    pub id: TaskId,
    /// `queued`, or `scheduled` when its time is to come.
    pub state: TaskState,
    /// When it was accepted.
    pub created_at: DateTime<Utc>,
    /// When it may start: what a doorbell's delay is computed from.
    pub available_at: DateTime<Utc>,
    /// `available_at` minus `created_at`: the doorbell's delay by the database's clock.
    pub delay: chrono::Duration,
    /// It was not accepted: this task, which has not ended, has its unique key.
    pub instead: Option<Holder>,
    /// That task was put off, and has the new data: a doorbell is due for its new time.
    pub put_off: bool,
    /// Who runs it, or ran it last; `None` before anybody has.
    pub worker_id: Option<String>,
    /// How long tasks of its type take on average; `None` when none has ended yet.
    pub usual: Option<chrono::Duration>,
    /// 1 is next in its lane. An estimate (later tasks of a better priority may overtake); `None` when it is far back.
    pub queue_position: Option<i64>,
}

/// The task that has a unique key, where another has asked for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its type.
    pub task_type: String,
    /// Its lane.
    pub lane: Lane,
    /// Its place there.
    pub priority: Priority,
    /// Not to be started after.
    pub expires_at: Option<DateTime<Utc>>,
    /// The longest run of one try, in seconds.
    pub timeout_s: i32,
    /// It has not started, and waits for submits with its key to cease.
    pub debounced: bool,
}

/// Who has a unique key may end, and another take it, while it is looked up: so often it is tried.
pub(super) const TRIES: usize = 4;

/// Accepts one task: [`submit_many`] of one.
///
/// # Errors
/// `Conflict(TaskIdTaken)` when a task with that id exists.
pub async fn submit(conn: &mut PgConnection, task: &NewTask, now: Now) -> Result<Submitted> {
    let accepted = submit_many(conn, std::slice::from_ref(task), now).await?;
    accepted.into_iter().next().ok_or_else(|| StoreError::Internal("a submit without an answer".into()))
}

/// Accepts tasks, all or none, in one statement: rows, first events, doorbells owed, and the statistics' deltas. The
/// answers come in the order of the tasks.
///
/// One whose unique key a task of the same user has that has not ended, perhaps one before it in `tasks`, is not accepted: the
/// answer is about that one ([`Submitted::instead`]). Its neighbours are.
///
/// A task due later than a queue can delay a message is left to beat, which rings some seconds before it is due.
///
/// # Errors
/// `Conflict(TaskIdTaken)` when a task with one of the ids exists, `Conflict(LaneDraining)` when a client's lane is being
/// drained.
pub async fn submit_many(conn: &mut PgConnection, tasks: &[NewTask], now: Now) -> Result<Vec<Submitted>> {
    let mut answers: Vec<Option<Submitted>> = vec![None; tasks.len()];
    for _ in 0..TRIES {
        let mut open: Vec<_> = (0..tasks.len()).filter(|&i| answers[i].is_none()).collect();
        if open.is_empty() {
            break;
        }
        // In the order of the keys, so that two statements that want the same ones never wait for each other.
        open.sort_by_key(|&i| tasks[i].ties.unique_key.as_deref().map(|key| (tasks[i].user_id.0, key)));
        let places: HashMap<TaskId, usize> = open.iter().map(|&i| (tasks[i].id, i)).collect();
        // The whole list at first; then those whose key was taken and is free again.
        let accepted = if open.len() == tasks.len() && open.is_sorted() {
            insert(conn, tasks, None, now).await?
        } else {
            let rest: Vec<_> = open.iter().map(|&i| tasks[i].clone()).collect();
            insert(conn, &rest, None, now).await?
        };
        for accepted in accepted {
            if let Some(&place) = places.get(&accepted.id) {
                answers[place] = Some(accepted);
            }
        }
        let left = open.into_iter().filter(|&i| answers[i].is_none());
        let keyed = left.filter_map(|i| tasks[i].ties.unique_key.as_deref().map(|key| (i, tasks[i].user_id, key)));
        holders(conn, &keyed.collect::<Vec<_>>(), &mut answers).await?;
    }
    let answered: Option<Vec<_>> = answers.into_iter().collect();
    answered.ok_or_else(|| StoreError::unavailable("a unique key changed hands again and again"))
}

/// Notes who has the unique keys that are asked for: `(place, user, key)`.
async fn holders(
    conn: &mut PgConnection,
    asked: &[(usize, UserId, &str)],
    answers: &mut [Option<Submitted>],
) -> Result<()> {
    if asked.is_empty() {
        return Ok(());
    }
    let places: Vec<_> = asked.iter().map(|(place, ..)| i64::try_from(*place).unwrap_or(i64::MAX)).collect();
    let users: Vec<_> = asked.iter().map(|(_, user, _)| user.0).collect();
    let keys: Vec<_> = asked.iter().map(|(.., key)| *key).collect();
    let rows = sqlx::query_as!(
        HolderRow,
        r#"
        select g.place as "place!", t.id, t.task_type, t.state, t.lane, t.priority, t.created_at, t.available_at,
               0::float8 as "delay!", t.expires_at, t.timeout_s,
               t.debounce_until is not null and t.attempt = 0 as "debounced!", t.worker_id,
               (select s.seconds / nullif(s.timed, 0) from stat_totals s
                where s.user_id = 0 and s.task_type = t.task_type) as usual
        from unnest($1::bigint[], $2::bigint[], $3::text[]) as g (place, user_id, key)
            join tasks t on t.user_id = g.user_id and t.unique_key = g.key and t.unique_key is not null
                        and t.state in ('queued', 'scheduled', 'running', 'retrying')
        "#,
        &places,
        &users,
        &keys as &[&str],
    )
    .fetch_all(conn)
    .await?;
    for row in rows {
        let answer = usize::try_from(row.place).ok().and_then(|place| answers.get_mut(place));
        if let Some(answer) = answer {
            *answer = Some(row.into_answer()?);
        }
    }
    Ok(())
}

/// The task that a submit is answered with in the place of its own.
pub(super) struct HolderRow {
    /// Among the submits of a statement.
    pub place: i64,
    pub id: Uuid,
    pub task_type: String,
    pub state: String,
    pub lane: String,
    pub priority: i16,
    pub created_at: DateTime<Utc>,
    pub available_at: DateTime<Utc>,
    /// Until a doorbell is due for it, in seconds.
    pub delay: f64,
    pub expires_at: Option<DateTime<Utc>>,
    pub timeout_s: i32,
    pub debounced: bool,
    pub worker_id: Option<String>,
    pub usual: Option<f64>,
}

impl HolderRow {
    pub(super) fn into_answer(self) -> Result<Submitted> {
        Ok(Submitted {
            id: TaskId(self.id),
            state: parse(&self.state)?,
            created_at: self.created_at,
            available_at: self.available_at,
            delay: seconds(self.delay),
            instead: Some(Holder {
                task_type: self.task_type,
                lane: parse(&self.lane)?,
                priority: priority(self.priority)?,
                expires_at: self.expires_at,
                timeout_s: self.timeout_s,
                debounced: self.debounced,
            }),
            put_off: false,
            worker_id: self.worker_id,
            usual: self.usual.map(seconds),
            queue_position: None,
        })
    }
}

/// [`submit_many`], with the workflow that the tasks are the steps of. A workflow that exists already begins a new generation
/// if it has ended and its version is the one given; else nothing is accepted, and the answer is empty.
pub(crate) async fn insert(
    conn: &mut PgConnection,
    tasks: &[NewTask],
    belonging: Option<&Belonging>,
    now: Now,
) -> Result<Vec<Submitted>> {
    let columns = Columns::of(tasks);
    let workflow = belonging.map(|b| &b.workflow);
    let none = Belonging::none();
    let edges = belonging.unwrap_or(&none);
    let rows = accept!(columns, workflow, edges, now, "", "").fetch_all(conn).await?;
    submitted(rows, &columns.id)
}
