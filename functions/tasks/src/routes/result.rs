//! `GET /tasks/result/{id}`

use std::time::Duration;

use axum::{
    extract::State,
    response::{IntoResponse, Response as Answer},
};
use chrono::{DateTime, Utc};
use halyard_domain::{TaskId, authz::Permission, task::TaskState};
use halyard_http::{ApiResult, AppPath, Caller, Problem, openapi::Operation, success};
use halyard_store::tasks;
use http::{HeaderValue, StatusCode, header};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;

use super::database;
use crate::{
    error::TaskError,
    state::{AppState, scope},
    view,
};

/// `data`.
#[derive(Debug, Serialize, JsonSchema)]
struct Response {
    task_id: TaskId,
    task_type: String,
    status: TaskState,
    result: Option<Box<RawValue>>,
    completed_at: Option<DateTime<Utc>>,
    /// Of the last attempt, in seconds.
    execution_time: Option<f64>,
}

/// How long the link to a stored result may be followed.
const LINK: Duration = Duration::from_mins(5);

/// What a completed task's code returned.
pub async fn handler(
    State(state): State<AppState>,
    Caller(caller): Caller,
    AppPath(id): AppPath<TaskId>,
) -> ApiResult<Answer> {
    let scope = scope(&caller, Permission::TasksReadAll);
    let found = database(&state, async |conn| tasks::get(conn, id, scope).await).await;
    let task = found.map_err(TaskError::from)?.ok_or(TaskError::NotFound)?;
    if task.state != TaskState::Completed {
        let error = if task.state.is_terminal() { TaskError::NoResult } else { TaskError::NotEnded };
        return Err(error(task.state).into());
    }
    if let Some(key) = &task.result_key {
        let link = state.objects.link(&state.results, key, LINK, state.clock.now().into()).await;
        let link = HeaderValue::try_from(link.map_err(TaskError::from)?).map_err(|error| Problem::internal(&error))?;
        return Ok((StatusCode::SEE_OTHER, [(header::LOCATION, link)]).into_response());
    }
    let data = Response {
        task_id: id,
        task_type: task.task_type,
        status: task.state,
        result: task.result,
        completed_at: task.ended_at,
        execution_time: task.attempt_at.zip(task.ended_at).map(|(from, to)| view::seconds(from, to)),
    };
    Ok(success(data).links(view::links(id)).into_response())
}

/// For docs/openapi.json.
pub fn describe(op: &mut Operation<'_>) {
    op.named("getTaskResult", "What a completed task returned")
        .answers::<Response>("The result.")
        .links()
        .leads_elsewhere("The result is larger than 5 MiB: the JSON itself is there, for five minutes.")
        .problem(503, "unavailable", "the store of results is unavailable")
        .problem(409, "task_not_ended", "it has not ended yet")
        .problem(409, "no_result", "it did not end well");
}
