//! `GET /tasks/status/{id}`

use std::hash::{Hash as _, Hasher as _};

use axum::{
    extract::State,
    response::{IntoResponse, Response as Answer},
};
use chrono::{DateTime, Utc};
use halyard_domain::{Lane, Priority, TaskId, WorkflowId, authz::Permission, task::TaskState};
use halyard_http::{ApiResult, AppPath, Caller, openapi::Operation, success};
use halyard_store::tasks::{self, TaskEvent, TaskRecord};
use http::{HeaderMap, StatusCode, header};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json, value::RawValue};

use super::database;
use crate::{
    error::TaskError,
    state::{AppState, scope},
    view::{self, ErrorView},
};

/// `data`. What cannot be known is null.
#[derive(Debug, Serialize, JsonSchema)]
struct Response {
    task_id: TaskId,
    task_type: String,
    status: TaskState,
    #[schemars(with = "Priority")]
    priority: i16,
    lane: Lane,
    #[schemars(with = "view::ProgressView")]
    progress: Value,
    execution: Execution,
    history: Vec<Event>,
    resources: Resources,
    result: Option<Box<RawValue>>,
    error: Option<ErrorView>,
    cancel_requested: bool,
    /// The workflow that it is a step of.
    batch_id: Option<WorkflowId>,
    /// The task that it tries again.
    retry_of: Option<TaskId>,
    /// The task that tries it again.
    retried_as: Option<TaskId>,
    created_at: DateTime<Utc>,
    scheduled_for: DateTime<Utc>,
    completed_at: Option<DateTime<Utc>>,
    expires_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "TaskExecution")]
struct Execution {
    worker_id: Option<String>,
    worker_hostname: Option<String>,
    started_at: Option<DateTime<Utc>>,
    /// Of the latest attempt, in seconds.
    running_time: Option<f64>,
    attempt: i16,
    max_retries: i16,
    retry_count: i16,
    /// Seconds.
    timeout: i32,
    /// Tasks share a process: what one of them uses cannot be told apart.
    memory_usage: Option<String>,
    cpu_usage: Option<f64>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "TaskEvent")]
struct Event {
    timestamp: DateTime<Utc>,
    status: TaskState,
    message: String,
    attempt: i16,
}

/// Nothing is allocated to a task alone; what its client asked for is repeated.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "TaskResources")]
struct Resources {
    allocated_cpu: Option<f64>,
    allocated_memory: Option<String>,
    gpu_allocated: bool,
    gpu_utilization: Option<f64>,
    requested: Option<Box<RawValue>>,
}

/// Everything about a task.
pub async fn handler(
    State(state): State<AppState>,
    Caller(caller): Caller,
    AppPath(id): AppPath<TaskId>,
    headers: HeaderMap,
) -> ApiResult<Answer> {
    let scope = scope(&caller, Permission::TasksReadAll);
    let found = database(&state, async |conn| {
        let Some(task) = tasks::get(conn, id, scope).await? else { return Ok(None) };
        let tag = tag(&task);
        // Nothing new: the history need not be read.
        let events = if is_known(&headers, &tag) { None } else { Some(tasks::events(conn, id).await?) };
        Ok(Some((task, tag, events)))
    });
    let (task, tag, events) = found.await.map_err(TaskError::from)?.ok_or(TaskError::NotFound)?;
    let tag = [(header::ETAG, tag)];
    Ok(match events {
        Some(events) => {
            let body = success(respond(task, events, state.clock.now())).links(view::links(id));
            (tag, body).into_response()
        }
        None => (StatusCode::NOT_MODIFIED, tag).into_response(),
    })
}

/// Changes with what the task's row says; what only time changes (running time, what remains) is no news. Weak, for that
/// reason. Every event comes with a change of the row, notes of progress included; what tries the task again is another's.
fn tag(task: &TaskRecord) -> String {
    let mut hash = std::hash::DefaultHasher::new();
    let row = (task.state.as_str(), task.attempt, task.failures, task.lost_leases, task.cancel_requested);
    row.hash(&mut hash);
    (task.available_at, task.ended_at, task.error.as_deref(), task.worker_id.as_deref()).hash(&mut hash);
    task.retried_as.map(|id| id.0).hash(&mut hash);
    (task.progress.as_deref().map(RawValue::get), task.result.as_deref().map(RawValue::get)).hash(&mut hash);
    format!("W/\"{:016x}\"", hash.finish())
}

/// Does `If-None-Match` name the tag? The comparison is the weak one (RFC 9110, section 13.1.2).
fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let lines = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|line| line.to_str().ok());
    let opaque = tag.trim_start_matches("W/");
    lines.flat_map(|line| line.split(',')).map(str::trim).any(|known| known.trim_start_matches("W/") == opaque)
}

/// For docs/openapi.json.
pub fn describe(op: &mut Operation<'_>) {
    op.named("getTask", "Everything about a task")
        .detail("For polling: with `If-None-Match` the answer is 304 until something happens to the task.")
        .reads_header("If-None-Match", "The `ETag` of what is known already.", &json!({"type": "string"}))
        .answers::<Response>("The task.")
        .links()
        .header("ETag", "Changes with the task; not with the time that it has been running.")
        .answers_nothing(304, "Nothing has happened to it.");
}

fn respond(task: TaskRecord, events: Vec<TaskEvent>, now: DateTime<Utc>) -> Response {
    let state = task.state;
    let until = match state {
        TaskState::Running => Some(now),
        _ => task.ended_at,
    };
    Response {
        task_id: task.id,
        task_type: task.task_type,
        status: state,
        priority: task.priority.get(),
        lane: task.lane,
        progress: view::progress(task.progress.as_deref(), state, task.attempt_at, now),
        execution: Execution {
            worker_id: task.worker_id,
            worker_hostname: task.worker_host,
            started_at: task.started_at,
            running_time: task.attempt_at.zip(until).map(|(from, to)| view::seconds(from, to)),
            attempt: task.attempt,
            max_retries: task.retry.max_retries,
            // A slice that handed over is an attempt, and no retry.
            retry_count: task.failures.saturating_add(task.lost_leases).min(task.attempt - 1).max(0),
            timeout: task.timeout_s,
            memory_usage: None,
            cpu_usage: None,
        },
        history: events
            .into_iter()
            .map(|event| Event {
                timestamp: event.at,
                status: event.state,
                message: event.message,
                attempt: event.attempt,
            })
            .collect(),
        resources: Resources {
            allocated_cpu: None,
            allocated_memory: None,
            gpu_allocated: false,
            gpu_utilization: None,
            requested: task.resources,
        },
        result: task.result,
        error: task.error.map(|text| ErrorView::new(text, state)),
        cancel_requested: task.cancel_requested,
        batch_id: task.workflow,
        retry_of: task.retry_of,
        retried_as: task.retried_as,
        created_at: task.created_at,
        scheduled_for: task.available_at,
        completed_at: task.ended_at,
        expires_at: task.expires_at,
    }
}
