//! `POST /tasks/retry/{id}`

use axum::{extract::State, response::IntoResponse};
use chrono::{DateTime, Utc};
use halyard_domain::{Lane, Priority, TaskId, authz::Permission, task::TaskState};
use halyard_http::{ApiResult, AppPath, Caller, NewIds, RequestInfo, openapi::Operation, success};
use halyard_jobs::doorbell::TraceIds;
use halyard_store::tasks::{self, Again, AgainTerms, Retried, TriedAgain};
use schemars::JsonSchema;
use serde::Serialize;

use super::{database, repeated, ring_for};
use crate::{
    error::TaskError,
    permitted,
    state::{AppState, scope},
    view,
};

/// What the new task's history begins with.
pub(super) const MESSAGE: &str = "Task submitted to queue, to try again";

/// `data`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "TaskRetry")]
struct Response {
    task_id: TaskId,
    retry_of: TaskId,
    task_type: String,
    status: TaskState,
    #[schemars(with = "Priority")]
    priority: i16,
    lane: Lane,
    created_at: DateTime<Utc>,
    /// When it may start.
    scheduled_for: DateTime<Utc>,
}

/// Tries a task again that failed, was cancelled, expired or died: as a new one, with the same input and options.
pub async fn handler(
    State(state): State<AppState>,
    Caller(caller): Caller,
    AppPath(of): AppPath<TaskId>,
    info: RequestInfo,
    mut new: NewIds,
) -> ApiResult<impl IntoResponse> {
    let ids = TraceIds { request_id: Some(info.request_id().to_string()), traceparent: Some(info.traceparent()) };
    let types = permitted::types(&state, &caller);
    let terms = AgainTerms {
        scope: scope(&caller, Permission::TasksManageAll).into(),
        states: &TaskState::TRIED_AGAIN,
        types: &types,
        message: MESSAGE,
        longest_chain: None,
        request_id: ids.request_id.as_deref(),
        traceparent: ids.traceparent.as_deref(),
        audit: None,
    };
    let now = state.clock.database_override();
    let wanted = Again { of, id: TaskId(new.make()), delay: chrono::Duration::zero() };
    let repeated = new.again();
    let done = database(&state, async |conn| {
        // What the request made before it died is there, however much waits by now.
        if let Some(mut made) = repeated::made(conn, repeated, &[wanted.id], now).await? {
            return Ok(Ok(made.done.pop()));
        }
        if let Err(full) = state.gate.check_again(conn, caller.user_id, &[of], state.clock.now()).await? {
            return Ok(Err(full));
        }
        let mut done = tasks::again(conn, &[wanted], &terms, now).await?;
        // Somebody was faster by a moment: whose task it is shows now. If none is, the key is taken.
        if matches!(done.first(), Some((_, Retried::Before(None)))) {
            done = tasks::again(conn, &[wanted], &terms, now).await?;
        }
        // Or the request itself was, before it died.
        if let Some(made) = repeated::made(conn, repeated && repeated::lost(&done), &[wanted.id], now).await? {
            done = made.done;
        }
        Ok(Ok(done.pop()))
    });
    let (_, outcome) = done.await.map_err(TaskError::from)??.ok_or(TaskError::NotFound)?;
    if let Retried::UnknownType(name) = &outcome {
        permitted::check(&state, &caller, name)?;
    }
    let new = new_task(outcome)?;
    ring_for(&state, [(new.lane, new.delay)].into_iter(), &ids).await;
    state.gate.count(&state, caller.user_id, new.lane).await;
    let data = Response {
        task_id: new.id,
        retry_of: new.of,
        task_type: new.task_type,
        status: new.state,
        priority: new.priority.get(),
        lane: new.lane,
        created_at: new.created_at,
        scheduled_for: new.available_at,
    };
    Ok(success(data).links(view::links(new.id)).top_level("task_id", new.id.to_string()))
}

fn new_task(outcome: Retried) -> Result<TriedAgain, TaskError> {
    match outcome {
        Retried::Accepted(new) => Ok(new),
        Retried::NotFor(state) => Err(TaskError::NotForRetry(state)),
        Retried::UnknownType(name) => Err(TaskError::TypeGone(name)),
        Retried::Unreleased => Err(TaskError::Unreleased),
        Retried::Before(Some(id)) => Err(TaskError::RetriedBefore(Some(id))),
        Retried::Before(None) => Err(TaskError::KeyInUse),
        // There is no limit here.
        Retried::TooOften => Err(TaskError::RetriedBefore(None)),
    }
}

/// For docs/openapi.json.
pub fn describe(op: &mut Operation<'_>) {
    op.named("retryTask", "Try an ended task again")
        .detail(
            "One that failed, was cancelled, expired or died: a new task with the same owner, type, input and options, \
                 whose `retry_of` names the old one. A task is tried again once; whoever wants another try tries the \
                 newest again.",
        )
        .answers::<Response>("The new task.")
        .links()
        .beside::<TaskId>("task_id")
        .leads_to("getTask", "id", "/data/task_id")
        .problem(409, "not_retryable", "it has not ended, or ended well")
        .problem(409, "retried_before", "another task tries it again")
        .problem(409, "unique_key_in_use", "a task that has not ended has its unique key")
        .problem(409, "unknown_task_type", "there is no code for its type any more")
        .problem(409, "step_not_released", "it is a step that never had its input: its workflow can be retried")
        .problem(429, "queue_full", "as many tasks wait as may, of the caller's or in the lane");
    permitted::describe(op);
}
