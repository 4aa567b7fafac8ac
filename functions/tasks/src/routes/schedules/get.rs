//! `GET /tasks/schedules/{id}`

use axum::{extract::State, response::IntoResponse};
use halyard_domain::{ScheduleId, authz::Permission};
use halyard_http::{ApiResult, AppPath, AppQuery, Caller, FieldError, Problem, if_match, openapi::Operation, success};
use halyard_store::schedules;
use http::header;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    PREVIEW, links,
    view::{Run, Whole},
};
use crate::{
    error::TaskError,
    routes::database,
    state::{AppState, scope},
};

/// The most times that can be previewed.
const MOST: usize = 100;
/// Runs that an answer shows.
const RUNS: i64 = 20;

/// What is to be shown.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Request {
    /// How many of the next times; 5 when it is not given.
    #[schemars(range(min = 1, max = 100))]
    preview: Option<usize>,
}

/// `data`.
#[derive(Debug, Serialize, JsonSchema)]
struct Response {
    #[serde(flatten)]
    schedule: Whole,
    /// The latest 20, newest first.
    recent_runs: Vec<Run>,
}

/// A schedule with its next times and its latest runs.
pub async fn handler(
    State(state): State<AppState>,
    Caller(caller): Caller,
    AppPath(id): AppPath<ScheduleId>,
    AppQuery(request): AppQuery<Request>,
) -> ApiResult<impl IntoResponse> {
    let n = request.preview.unwrap_or(PREVIEW);
    if !(1..=MOST).contains(&n) {
        let error = FieldError::new("/preview", "out_of_range", format!("must be between 1 and {MOST}"));
        return Err(Problem::unprocessable(vec![error]));
    }
    let (scope, now) = (scope(&caller, Permission::TasksReadAll), state.clock.database_override());
    let found = database(&state, async |conn| {
        let Some(schedule) = schedules::get(conn, id, scope, now).await? else { return Ok(None) };
        Ok(Some((schedule, schedules::runs(conn, id, RUNS).await?)))
    });
    let (schedule, runs) = found.await.map_err(TaskError::from)?.ok_or(TaskError::NoSuchSchedule)?;
    let data = Response { schedule: Whole::new(&schedule, n), recent_runs: runs.into_iter().map(Run::from).collect() };
    Ok(([(header::ETAG, if_match::tag(schedule.version))], success(data).links(links(id))))
}

/// For docs/openapi.json.
pub fn describe(op: &mut Operation<'_>) {
    op.named("getSchedule", "A schedule with its next times and its latest runs")
        .answers::<Response>("The schedule.")
        .header("ETag", "Stands for what PATCH can change: send it as `If-Match`.")
        .links();
}
