//! `POST /tasks/submit`

mod request;

use std::time::Duration;

use axum::{extract::State, response::IntoResponse};
use chrono::{DateTime, Utc};
use halyard_auth::Principal;
use halyard_domain::{
    Lane, Priority, TaskId, UserId,
    task::{MAX_SEND_DELAY, TaskState},
};
use halyard_http::{ApiResult, Caller, FieldError, NewIds, Problem, RequestInfo, Valid, openapi::Operation, success};
use halyard_jobs::{
    TaskType,
    doorbell::{self, TraceIds},
};
use halyard_store::{
    Constraint, StoreError,
    tasks::{self, Holder, NewTask, Submitted, Ties},
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{json, value::RawValue};

pub use request::{Callbacks, MAX_RESOURCES, MAX_TIMEOUT, Options, Request, RetryConfig, YEAR, priority};

use super::database;
use crate::{error::TaskError, permitted, state::AppState, view};

/// How long the queue may take; beat repairs what it does not take in time.
pub const QUEUE: Duration = Duration::from_secs(1);

/// `data`.
#[derive(Debug, Serialize, JsonSchema)]
struct Response {
    task_id: TaskId,
    task_type: String,
    status: TaskState,
    #[schemars(with = "Priority")]
    priority: i16,
    lane: Lane,
    /// Seconds that tasks of its type took on average; null before one has ended.
    estimated_duration: Option<f64>,
    /// An estimate; null when far back.
    queue_position: Option<i64>,
    /// The worker that has it, or had it last; `pending` before any has.
    worker_assignment: String,
    created_at: DateTime<Utc>,
    /// When it may start.
    scheduled_for: DateTime<Utc>,
    expires_at: Option<DateTime<Utc>>,
    /// Of one try, in seconds.
    timeout: i32,
    /// Nothing new: this is the task that has the `unique_key`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    deduplicated: bool,
}

/// Accepts a task. Once this answers 200 the task is durable, whatever becomes of its doorbell.
pub async fn handler(
    State(state): State<AppState>,
    Caller(caller): Caller,
    info: RequestInfo,
    mut ids: NewIds,
    Valid(request): Valid<Request>,
) -> ApiResult<impl IntoResponse> {
    permitted::check(&state, &caller, &request.task_type)?;
    let task_type = check_type(&state, &request.task_type, &request.data, "").map_err(Problem::unprocessable)?;
    check_callbacks(&state, request.callbacks.as_ref(), "").map_err(Problem::unprocessable)?;
    let trace = TraceIds { request_id: Some(info.request_id().to_string()), traceparent: Some(info.traceparent()) };
    let (debounce, throttle) = (request.debounce, request.throttle);
    let task = new_task(&state, &caller, TaskId(ids.make()), task_type, request, &trace);
    let id = task.id;
    let (priority, lane, expires_at, timeout) = (task.priority, task.lane, task.expires_at, task.timeout_s);
    state.gate.check(caller.user_id, lane, state.clock.now())?;
    let now = state.clock.database_override();
    let accepted = match (debounce, throttle) {
        (Some(d), _) => database(&state, async |conn| tasks::debounced(conn, &task, d.wait(), now).await).await,
        (_, Some(t)) => database(&state, async |conn| tasks::throttled(conn, &task, t.period(), now).await).await,
        _ => state.intake.submit(task, now).await,
    };
    let accepted = match accepted {
        Err(StoreError::Conflict(Constraint::TaskIdTaken)) if ids.again() => {
            earlier(&state, caller.user_id, id).await?.ok_or(TaskError::NotFound)?
        }
        accepted => accepted.map_err(TaskError::from)?,
    };
    let deduplicated = accepted.instead.is_some();
    if !deduplicated || accepted.put_off {
        // One that is put off stays in its lane.
        let rung = accepted.instead.as_ref().map_or(lane, |holder| holder.lane);
        ring(&state, rung, &accepted, &trace).await;
        if !deduplicated && accepted.queue_position.is_none() {
            state.gate.count(&state, caller.user_id, lane).await;
        }
    }
    let task_type = task_type.task_type().to_owned();
    let new = Holder { task_type, lane, priority, expires_at, timeout_s: timeout, debounced: debounce.is_some() };
    let Holder { task_type, lane, priority, expires_at, timeout_s, .. } = accepted.instead.unwrap_or(new);
    let data = Response {
        task_id: accepted.id,
        task_type,
        status: accepted.state,
        priority: priority.get(),
        lane,
        estimated_duration: accepted.usual.map(|usual| view::round(usual.as_seconds_f64())),
        queue_position: accepted.queue_position,
        worker_assignment: accepted.worker_id.unwrap_or_else(|| "pending".to_owned()),
        created_at: accepted.created_at,
        scheduled_for: accepted.available_at,
        expires_at,
        timeout: timeout_s,
        deduplicated,
    };
    Ok(success(data).links(view::links(accepted.id)).top_level("task_id", accepted.id.to_string()))
}

/// What the same request made when it was carried out before, and could not tell. It may have died before it rang.
pub async fn earlier(state: &AppState, owner: UserId, id: TaskId) -> Result<Option<Submitted>, TaskError> {
    let found = database(state, async |conn| tasks::get(conn, id, Some(owner)).await).await?;
    let Some(task) = found else { return Ok(None) };
    let delay = task.available_at - task.created_at;
    let (state, created_at, available_at) = (task.state, task.created_at, task.available_at);
    Ok(Some(Submitted {
        id,
        state,
        created_at,
        available_at,
        delay,
        queue_position: None,
        instead: None,
        put_off: false,
        worker_id: task.worker_id,
        usual: None,
    }))
}

/// For docs/openapi.json.
pub fn describe(op: &mut Operation<'_>) {
    op.named("submitTask", "Submit a task")
        .detail(
            "Once this answers 200 the task is durable. `data` must fit the type: `GET /tasks/types` has the schemas. \
                 Members that are not known are ignored.",
        )
        .answers::<Response>("The task was accepted.")
        .links()
        .beside::<TaskId>("task_id")
        .problem(429, "queue_full", "as many tasks wait as may, of the caller's or in the lane")
        .problem(409, "lane_draining", "the lane is being drained")
        .leads_to("getTask", "id", "/data/task_id")
        .leads_to("getTaskResult", "id", "/data/task_id")
        .leads_to("getTaskLog", "id", "/data/task_id")
        .leads_to("cancelTask", "id", "/data/task_id")
        .example(json!({"task_type": "sample", "data": {"message": "hello"}, "priority": 3}));
    permitted::describe(op);
}

/// The type that is asked for, once the data fit it. `place` is where both stand in the body, as a JSON Pointer.
pub fn check_type<'a>(
    state: &'a AppState,
    name: &str,
    data: &RawValue,
    place: &str,
) -> Result<&'a dyn TaskType, Vec<FieldError>> {
    let Some(task_type) = state.registry.get(name) else {
        let known = state.registry.names().collect::<Vec<_>>().join(", ");
        let pointer = format!("{place}/task_type");
        return Err(vec![FieldError::new(pointer, "unknown_task_type", format!("must be one of {known}"))]);
    };
    task_type.validate(data).map_err(|invalid| {
        let located = |error: halyard_jobs::InputError| {
            FieldError::new(format!("{place}/data{}", error.pointer), error.code, error.detail)
        };
        invalid.0.into_iter().map(located).collect::<Vec<_>>()
    })?;
    Ok(&**task_type)
}

/// Refuses callbacks that could only fail when they are called. `place` is where the member stands in the body, as a JSON
/// Pointer.
pub fn check_callbacks(state: &AppState, callbacks: Option<&Callbacks>, place: &str) -> Result<(), Vec<FieldError>> {
    let forbidden = callbacks.map(|callbacks| callbacks.forbidden(&state.allowed, place)).unwrap_or_default();
    if forbidden.is_empty() { Ok(()) } else { Err(forbidden) }
}

/// The lane of such a task.
pub fn lane(task_type: &dyn TaskType, priority: Priority) -> Lane {
    if task_type.is_long() { Lane::Long } else { Lane::for_priority(priority) }
}

/// The longest run of one attempt, in seconds: what was asked for, within what the lane allows.
pub fn timeout(task_type: &dyn TaskType, asked: Option<i32>) -> i32 {
    let longest = if task_type.is_long() { request::MAX_TIMEOUT } else { request::MAX_ORDINARY_TIMEOUT };
    asked.unwrap_or(request::MAX_ORDINARY_TIMEOUT).min(longest)
}

/// The task to be.
pub fn new_task(
    state: &AppState,
    caller: &Principal,
    id: TaskId,
    task_type: &dyn TaskType,
    request: Request,
    trace: &TraceIds,
) -> NewTask {
    let now = state.clock.now();
    let priority = request.priority();
    let concurrency = request.concurrency();
    let debounce_until = request.debounce.map(|debounce| now + debounce.longest());
    let due = request.debounce.map(|debounce| now + debounce.wait());
    NewTask {
        id,
        user_id: caller.user_id,
        task_type: request.task_type,
        lane: lane(task_type, priority),
        priority,
        input: request.data,
        resources: request.resources.and_then(|resources| serde_json::value::to_raw_value(&resources).ok()),
        callbacks: request.callbacks.and_then(|callbacks| serde_json::value::to_raw_value(&callbacks).ok()),
        retry: (&request.retry_config.unwrap_or_default()).into(),
        timeout_s: timeout(task_type, request.timeout),
        expires_at: request.expires_in.map(|seconds| now + chrono::Duration::seconds(seconds)),
        scheduled_for: due.or_else(|| request.scheduled_for.map(|at| at.with_timezone(&Utc))),
        request_id: trace.request_id.clone(),
        traceparent: trace.traceparent.clone(),
        ties: Ties { unique_key: request.unique_key, debounce_until, concurrency, by_client: true, ..Ties::default() },
    }
}

/// Rings for a task that is due soon enough for a delayed message; beat rings for the others.
pub async fn ring(state: &AppState, lane: Lane, accepted: &Submitted, ids: &TraceIds) {
    if accepted.delay > MAX_SEND_DELAY {
        return;
    }
    let delay = accepted.delay.to_std().unwrap_or_default();
    if let Err(error) = doorbell::ring(&*state.queue, &state.queues, lane, delay, 1, ids, QUEUE).await {
        tracing::warn!(%error, %lane, task_id = %accepted.id, "the doorbell was not taken; beat will ring");
    }
}
