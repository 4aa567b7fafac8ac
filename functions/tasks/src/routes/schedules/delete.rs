//! `DELETE /tasks/schedules/{id}`

use axum::extract::State;
use halyard_domain::{ScheduleId, authz::Permission};
use halyard_http::{ApiResult, AppPath, Caller, Success, openapi::Operation, success};
use halyard_store::schedules;
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    error::TaskError,
    routes::database,
    state::{AppState, scope},
};

/// `data`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "DeletedSchedule")]
pub struct Response {
    schedule_id: ScheduleId,
}

/// Deletes a schedule. The tasks that it made stay.
pub async fn handler(
    State(state): State<AppState>,
    Caller(caller): Caller,
    AppPath(id): AppPath<ScheduleId>,
) -> ApiResult<Success<Response>> {
    let scope = scope(&caller, Permission::TasksManageAll);
    let deleted = database(&state, async |conn| schedules::delete(conn, id, scope).await).await;
    if !deleted.map_err(TaskError::from)? {
        return Err(TaskError::NoSuchSchedule.into());
    }
    Ok(success(Response { schedule_id: id }))
}

/// For docs/openapi.json.
pub fn describe(op: &mut Operation<'_>) {
    op.named("deleteSchedule", "Delete a schedule")
        .detail(
            "The tasks that it made stay, the one of a run within the next 75 seconds among them: cancel it by its id.",
        )
        .answers::<Response>("It is gone.");
}
