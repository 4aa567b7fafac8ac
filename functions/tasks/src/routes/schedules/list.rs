//! `GET /tasks/schedules`

use axum::{extract::State, response::IntoResponse};
use halyard_domain::{ScheduleId, authz::Permission, schedule::ScheduleStatus};
use halyard_http::{
    ApiResult, AppQuery, Caller, Cursor, FieldError, Items, PageQuery, Problem, openapi::Operation, success,
};
use halyard_store::schedules::{self, Filter};
use schemars::JsonSchema;
use serde::Deserialize;

use super::view::Summary;
use crate::{
    error::TaskError,
    routes::database,
    state::{AppState, scope},
};

/// The filters.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Request {
    status: Option<ScheduleStatus>,
    task_type: Option<String>,
}

/// The caller's schedules, newest first; those of all with `tasks:read_all`.
pub async fn handler(
    State(state): State<AppState>,
    Caller(caller): Caller,
    page: PageQuery,
    AppQuery(filter): AppQuery<Request>,
) -> ApiResult<impl IntoResponse> {
    // PostgreSQL's text holds no NUL.
    if filter.task_type.as_deref().is_some_and(|name| name.contains('\0')) {
        let error = FieldError::new("/task_type", "invalid_characters", "may not hold NUL");
        return Err(Problem::unprocessable(vec![error]));
    }
    let cursor = page.cursor.as_ref().map(Cursor::decode::<ScheduleId>).transpose()?;
    let (scope, now) = (scope(&caller, Permission::TasksReadAll), state.clock.database_override());
    let filter = Filter { status: filter.status, task_type: filter.task_type };
    // One more than asked for tells whether there is a next page.
    let wanted = i64::from(page.limit) + 1;
    let found = database(&state, async |conn| schedules::list(conn, scope, &filter, cursor, wanted, now).await).await;
    let mut schedules = found.map_err(TaskError::from)?;
    let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
    let more = schedules.len() > limit;
    schedules.truncate(limit);
    let next_cursor = schedules.last().filter(|_| more).map(|schedule| Cursor::encode(&schedule.id));
    Ok(success(Items { items: schedules.iter().map(Summary::from).collect::<Vec<_>>(), next_cursor }))
}

/// For docs/openapi.json.
pub fn describe(op: &mut Operation<'_>) {
    op.named("listSchedules", "Schedules, newest first")
        .detail("The caller's own; those of all with the permission `tasks:read_all`.")
        .answers::<Items<Summary>>("A page of schedules.")
        .leads_to("getSchedule", "id", "/data/items/0/schedule_id");
}
