//! `GET /tasks/status/{id}`

use axum::{extract::State, response::IntoResponse};
use chrono::{DateTime, Utc};
use halyard_domain::{Lane, Priority, TaskId, WorkflowId, authz::Permission, task::TaskState};
use halyard_http::{ApiResult, AppPath, Caller, openapi::Operation, success};
use halyard_store::tasks::{self, TaskEvent, TaskRecord};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, value::RawValue};

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
) -> ApiResult<impl IntoResponse> {
    let scope = scope(&caller, Permission::TasksReadAll);
    let found = database(&state, async |conn| {
        let Some(task) = tasks::get(conn, id, scope).await? else { return Ok(None) };
        Ok(Some((task, tasks::events(conn, id).await?)))
    });
    let (task, events) = found.await.map_err(TaskError::from)?.ok_or(TaskError::NotFound)?;
    Ok(success(respond(task, events, state.clock.now())).links(view::links(id)))
}

/// For docs/openapi.json.
pub fn describe(op: &mut Operation<'_>) {
    op.named("getTask", "Everything about a task").answers::<Response>("The task.").links();
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
