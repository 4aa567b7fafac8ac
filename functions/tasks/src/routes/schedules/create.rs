//! `POST /tasks/schedule`

use axum::{extract::State, response::IntoResponse};
use chrono::{DateTime, Utc};
use halyard_domain::{
    ScheduleId, UserId,
    schedule::{CatchUp, Dst, Overlap},
};
use halyard_http::{ApiResult, Caller, NewIds, Problem, Valid, if_match, openapi::Operation, success};
use halyard_jobs::TaskType;
use halyard_store::{
    Constraint, StoreError,
    schedules::{self, Definition, ScheduleRecord, Template},
};
use http::header;
use serde_json::{json, value::to_raw_value};

pub use super::request::Request;
use super::{PREVIEW, links, next_at, view::Whole};
use crate::{
    error::TaskError,
    permitted,
    routes::{database, submit},
    state::AppState,
};

/// How often a place that somebody else takes at the same moment is asked for anew.
const TRIES: usize = 4;

/// Makes a schedule.
pub async fn handler(
    State(state): State<AppState>,
    Caller(caller): Caller,
    mut ids: NewIds,
    Valid(request): Valid<Request>,
) -> ApiResult<impl IntoResponse> {
    permitted::check(&state, &caller, &request.task_type)?;
    let task_type =
        submit::check_type(&state, &request.task_type, &request.data, "").map_err(Problem::unprocessable)?;
    submit::check_callbacks(&state, request.callbacks.as_ref(), "").map_err(Problem::unprocessable)?;
    let id = ScheduleId(ids.make());
    if ids.again() {
        let now = state.clock.database_override();
        let found = database(&state, async |conn| schedules::get(conn, id, Some(caller.user_id), now).await).await;
        if let Some(made) = found.map_err(TaskError::from)? {
            return Ok(answer(&made));
        }
    }
    let mut request = Some(request);
    let mut schedule = None::<ScheduleRecord>;
    for _ in 0..TRIES {
        let (now, place) = find_place(&state, caller.user_id).await?;
        let place = place.ok_or(TaskError::TooManySchedules)?;
        let made = match schedule.take() {
            Some(made) => made,
            None => new(id, caller.user_id, task_type, request.take().ok_or(TaskError::ScheduleContended)?, now)?,
        };
        if create(&state, place, &made).await? {
            return Ok(answer(&made));
        }
        schedule = Some(made);
    }
    Err(TaskError::ScheduleContended.into())
}

fn answer(made: &ScheduleRecord) -> impl IntoResponse + use<> {
    let tag = if_match::tag(made.version);
    ([(header::ETAG, tag)], success(Whole::new(made, PREVIEW)).links(links(made.id)))
}

/// For docs/openapi.json.
pub fn describe(op: &mut Operation<'_>) {
    op.named("createSchedule", "Submit tasks by a schedule")
        .detail(
            "By a cron expression in a time zone, at an interval, or once. The finest step is a minute: an expression has five \
             fields, an interval is of 60 seconds or more. A local time that happens twice when clocks are put back is due once, the \
             first time. Members that are not known are ignored.",
        )
        .answers::<Whole>("The schedule.")
        .header("ETag", "Stands for what PATCH can change: send it as `If-Match`.")
        .links()
        .problem(409, "too_many_schedules", "the account has 100 schedules already")
        .problem(409, "contended", "others make schedules of this account at this moment: try again")
        .leads_to("getSchedule", "id", "/data/schedule_id")
        .leads_to("runSchedule", "id", "/data/schedule_id")
        .example(json!({
            "task_type": "sample", "data": {"message": "good morning"},
            "schedule": {"type": "cron", "expression": "30 7 * * MON-FRI", "timezone": "Europe/Berlin"},
            "overlap": "skip", "catch_up": "one", "dst": "shift", "max_iterations": null
        }));
    permitted::describe(op);
}

async fn find_place(state: &AppState, user: UserId) -> Result<(DateTime<Utc>, Option<i16>), TaskError> {
    let now = state.clock.database_override();
    Ok(database(state, async |conn| schedules::place(conn, user, now).await).await?)
}

/// `false`: the place is taken by now.
async fn create(state: &AppState, place: i16, made: &ScheduleRecord) -> Result<bool, TaskError> {
    let create = async |conn: &mut halyard_store::Connection| {
        schedules::create(conn, made.id, made.user_id, place, &made.definition, made.next_at, made.now).await
    };
    match database(state, create).await {
        Ok(()) => Ok(true),
        Err(StoreError::Conflict(Constraint::SchedulePlaceTaken)) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn new(
    id: ScheduleId,
    user_id: UserId,
    task_type: &dyn TaskType,
    request: Request,
    now: DateTime<Utc>,
) -> Result<ScheduleRecord, Problem> {
    let priority = submit::priority(request.priority);
    let dst = request.dst.unwrap_or(Dst::Skip);
    // It was checked: that there is none is a fault of ours.
    let timing =
        request.schedule.timing(dst, now).ok_or_else(|| Problem::internal_text("a timing that was checked"))?;
    let definition = Definition {
        timing,
        dst,
        overlap: request.overlap.unwrap_or(Overlap::Skip),
        catch_up: request.catch_up.unwrap_or(CatchUp::One),
        max_iterations: request.max_iterations.and_then(|n| n.try_into().ok()),
        active: request.active.unwrap_or(true),
        template: Template {
            task_type: request.task_type,
            lane: submit::lane(task_type, priority),
            priority,
            input: request.data,
            resources: request.resources.and_then(|resources| to_raw_value(&resources).ok()),
            callbacks: request.callbacks.and_then(|callbacks| to_raw_value(&callbacks).ok()),
            retry: (&request.retry_config.unwrap_or_default()).into(),
            timeout_s: submit::timeout(task_type, request.timeout),
            expires_in_s: request.expires_in.and_then(|n| n.try_into().ok()),
        },
    };
    Ok(ScheduleRecord {
        id,
        user_id,
        next_at: next_at(&definition, 0, now)?,
        definition,
        decided_until: None,
        iterations: 0,
        version: 1,
        created_at: now,
        updated_at: now,
        now,
        open: 0,
        size: 0,
    })
}
