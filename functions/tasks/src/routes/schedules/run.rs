//! `POST /tasks/schedules/{id}/run`

use axum::{extract::State, response::IntoResponse};
use chrono::{DateTime, Utc};
use halyard_domain::{ScheduleId, TaskId, authz::Permission, task::TaskState};
use halyard_http::{ApiResult, AppPath, Caller, NewIds, RequestInfo, openapi::Operation, success};
use halyard_jobs::doorbell::TraceIds;
use halyard_store::{schedules, tasks::Submitted};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    error::TaskError,
    permitted,
    routes::{database, submit},
    state::{AppState, scope},
    view,
};

/// `data`.
#[derive(Debug, Serialize, JsonSchema)]
struct Response {
    schedule_id: ScheduleId,
    task_id: TaskId,
    status: TaskState,
    created_at: DateTime<Utc>,
}

/// Runs a schedule now, whether it is paused or completed, and without regard to overlaps. Its next times stay as they are.
pub async fn handler(
    State(state): State<AppState>,
    Caller(caller): Caller,
    info: RequestInfo,
    mut new: NewIds,
    AppPath(id): AppPath<ScheduleId>,
) -> ApiResult<impl IntoResponse> {
    let (scope, now) = (scope(&caller, Permission::TasksManageAll), state.clock.database_override());
    let ids = TraceIds { request_id: Some(info.request_id().to_string()), traceparent: Some(info.traceparent()) };
    let found = database(&state, async |conn| schedules::get(conn, id, scope, now).await).await;
    let schedule = found.map_err(TaskError::from)?.ok_or(TaskError::NoSuchSchedule)?;
    permitted::check(&state, &caller, &schedule.definition.template.task_type)?;
    let task_id = TaskId(new.make());
    if new.again()
        && let Some(accepted) = submit::earlier(&state, schedule.user_id, task_id).await?
    {
        return Ok(answer(id, &accepted));
    }
    let mut task = schedule.task(task_id, schedule.now);
    let own = schedule.user_id == caller.user_id;
    if own {
        state.gate.check(caller.user_id, task.lane, state.clock.now())?;
    }
    (task.request_id, task.traceparent) = (ids.request_id.clone(), ids.traceparent.clone());
    let made = database(&state, async |conn| schedules::run_now(conn, id, schedule.now, &task, now).await).await;
    // There is a run of this microsecond, or the schedule was deleted just now.
    let accepted = made.map_err(TaskError::from)?.ok_or(TaskError::ScheduleContended)?;
    submit::ring(&state, task.lane, &accepted, &ids).await;
    if own && accepted.queue_position.is_none() {
        state.gate.count(&state, caller.user_id, task.lane).await;
    }
    Ok(answer(id, &accepted))
}

fn answer(id: ScheduleId, accepted: &Submitted) -> impl IntoResponse + use<> {
    let data =
        Response { schedule_id: id, task_id: accepted.id, status: accepted.state, created_at: accepted.created_at };
    success(data).links(view::links(accepted.id)).top_level("task_id", accepted.id.to_string())
}

/// For docs/openapi.json.
pub fn describe(op: &mut Operation<'_>) {
    op.named("runSchedule", "Run a schedule now")
        .detail(
            "Paused, completed, or while an earlier run has not ended. Its next times stay, and it does not count among its \
             `iterations`.",
        )
        .answers::<Response>("The task.")
        .links()
        .beside::<TaskId>("task_id")
        .leads_to("getTask", "id", "/data/task_id")
        .problem(409, "contended", "it is run by somebody else at this very moment: try again")
        .problem(429, "queue_full", "as many tasks wait as may, of the caller's or in the lane");
    permitted::describe(op);
}
