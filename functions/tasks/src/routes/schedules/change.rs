//! `PATCH /tasks/schedules/{id}`

use axum::{extract::State, response::IntoResponse};
use chrono::{DateTime, Utc};
use halyard_domain::{
    ScheduleId,
    authz::Permission,
    schedule::{CatchUp, Dst, Overlap, Timing},
};
use halyard_http::{
    ApiResult, AppPath, Caller, Problem, Valid, Validate, Violations,
    if_match::{self, Condition},
    openapi::Operation,
    success,
};
use halyard_store::schedules::{self, Definition, Read, ScheduleRecord};
use http::{HeaderMap, header};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};
use serde_json::{
    Map, Value, json,
    value::{RawValue, to_raw_value},
};

use super::{
    PREVIEW, links, next_at,
    request::{WhenRequest, WhenSchema, check_data, check_iterations, policy},
    view::Whole,
};
use crate::{
    error::TaskError,
    permitted,
    routes::{
        database,
        submit::{self, Callbacks, MAX_RESOURCES, MAX_TIMEOUT, Options, RetryConfig, YEAR},
    },
    state::{AppState, scope},
};

/// What is to change: what is absent stays. Null takes `max_iterations`, `expires_in`, `resources` and `callbacks` away, and
/// leaves the others as they are. The type of the runs stays.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(clippy::option_option, reason = "absent, null and a value are three things")]
pub struct Request {
    /// False pauses it. True resumes it: what was due meanwhile is not made up for.
    active: Option<bool>,
    /// In the place of the present one. An interval begins anew.
    #[schemars(with = "Option<WhenSchema>")]
    schedule: Option<WhenRequest>,
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Option<i64>", range(min = 1, max = 1_000_000_000))]
    max_iterations: Option<Option<i64>>,
    #[serde(default, deserialize_with = "policy")]
    overlap: Option<Overlap>,
    #[serde(default, deserialize_with = "policy")]
    catch_up: Option<CatchUp>,
    #[serde(default, deserialize_with = "policy")]
    dst: Option<Dst>,
    /// In the place of the present one, of 256 KiB of JSON text at most.
    #[schemars(with = "Option<Map<String, Value>>")]
    data: Option<Box<RawValue>>,
    #[schemars(range(min = 1, max = 10))]
    priority: Option<i64>,
    /// Of 16 KiB of JSON text at most.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Option<Map<String, Value>>", extend("maxProperties" = MAX_RESOURCES))]
    resources: Option<Option<Map<String, Value>>>,
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Option<Callbacks>")]
    callbacks: Option<Option<Callbacks>>,
    retry_config: Option<RetryConfig>,
    #[schemars(range(min = 1, max = MAX_TIMEOUT))]
    timeout: Option<i32>,
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Option<i64>", range(min = 1, max = YEAR))]
    expires_in: Option<Option<i64>>,
}

/// Tells null from absent.
#[expect(clippy::option_option, reason = "absent, null and a value are three things")]
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(d: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(d).map(Some)
}

impl Validate for Request {
    fn validate(&self, violations: &mut Violations) {
        let options = Options {
            data: self.data.as_deref(),
            priority: self.priority,
            resources: self.resources.as_ref().and_then(Option::as_ref),
            callbacks: self.callbacks.as_ref().and_then(Option::as_ref),
            retry_config: self.retry_config.as_ref(),
            timeout: self.timeout,
            expires_in: self.expires_in.flatten(),
        };
        options.check(violations);
        check_data(self.data.as_deref(), violations);
        if let Some(schedule) = &self.schedule {
            schedule.check(violations);
        }
        check_iterations(self.max_iterations.flatten(), violations);
    }
}

impl Request {
    /// Does it pause, and nothing else? That must work for whoever can no longer have what the schedule makes.
    fn only_pauses(&self) -> bool {
        matches!(
            self,
            Self {
                active: Some(false),
                schedule: None,
                max_iterations: None,
                overlap: None,
                catch_up: None,
                dst: None,
                data: None,
                priority: None,
                resources: None,
                callbacks: None,
                retry_config: None,
                timeout: None,
                expires_in: None,
            }
        )
    }
}

/// How often a change without `If-Match` that met another one, or a beat, is made anew.
const TRIES: usize = 4;

/// Pauses, resumes or edits a schedule; with `If-Match` only if nobody changed it since.
pub async fn handler(
    State(state): State<AppState>,
    Caller(caller): Caller,
    AppPath(id): AppPath<ScheduleId>,
    headers: HeaderMap,
    Valid(request): Valid<Request>,
) -> ApiResult<impl IntoResponse> {
    let (scope, condition) = (scope(&caller, Permission::TasksManageAll), if_match::read(&headers));
    let now = state.clock.database_override();
    for _ in 0..TRIES {
        let found = database(&state, async |conn| schedules::get(conn, id, scope, now).await).await;
        let read = found.map_err(TaskError::from)?.ok_or(TaskError::NoSuchSchedule)?;
        if !request.only_pauses() {
            permitted::check(&state, &caller, &read.definition.template.task_type)?;
        }
        if let Some(changed) = change(&state, &read, &condition, &request).await? {
            let tag = if_match::tag(changed.version);
            return Ok(([(header::ETAG, tag)], success(Whole::new(&changed, PREVIEW)).links(links(id))));
        }
    }
    Err(TaskError::ScheduleContended.into())
}

/// For docs/openapi.json.
pub fn describe(op: &mut Operation<'_>) {
    op.named("changeSchedule", "Pause, resume or edit a schedule")
        .detail(
            "What is absent stays. A run within the next 75 seconds may have become a task already: it stands, and can be cancelled \
             by its id.",
        )
        .reads_header("If-Match", "Change it only if it has this `ETag` still.", &json!({"type": "string"}))
        .answers::<Whole>("The schedule after the change.")
        .header("ETag", "Stands for what PATCH can change.")
        .links()
        .problem(412, "precondition_failed", "somebody changed it since: read it again")
        .problem(409, "contended", "it is being changed by others: try again")
        .example(json!({"active": false}));
    permitted::describe(op);
}

/// `None`: it was changed, or a beat came by, since it was read.
async fn change(
    state: &AppState,
    read: &ScheduleRecord,
    condition: &Condition,
    request: &Request,
) -> Result<Option<ScheduleRecord>, Problem> {
    if !condition.holds(read.version) {
        return Err(TaskError::VersionMismatch.into());
    }
    let definition = merged(state, read, request)?;
    let next_at = following(read, &definition)?;
    let (before, at) = (Read { version: read.version, decided_until: read.decided_until }, read.now);
    let update = async |conn: &mut halyard_store::Connection| {
        schedules::update(conn, read.id, before, &definition, next_at, at).await
    };
    let version = database(state, update).await.map_err(TaskError::from)?;
    Ok(version.map(|version| ScheduleRecord {
        definition: definition.clone(),
        next_at,
        version,
        updated_at: at,
        ..read.clone()
    }))
}

/// When it is due after the change. What has been decided about is not decided about again.
fn following(read: &ScheduleRecord, definition: &Definition) -> Result<Option<DateTime<Utc>>, Problem> {
    let before = &read.definition;
    let same = before.timing == definition.timing && before.active == definition.active;
    if same && before.max_iterations == definition.max_iterations {
        return Ok(read.next_at);
    }
    let goes_on = definition.max_iterations.is_none_or(|most| read.iterations < most);
    if same && read.next_at.is_some() && goes_on {
        return Ok(read.next_at);
    }
    let after = read.decided_until.map_or(read.now, |until| until.max(read.now));
    match next_at(definition, read.iterations, after) {
        // What is over may be edited as long as nobody asks for a new time.
        Err(_) if before.timing == definition.timing => Ok(None),
        next => next,
    }
}

fn merged(state: &AppState, read: &ScheduleRecord, request: &Request) -> Result<Definition, Problem> {
    let mut definition = read.definition.clone();
    if request.only_pauses() {
        definition.active = false;
        return Ok(definition);
    }
    let template = &mut definition.template;
    let data = request.data.as_deref().unwrap_or(&template.input);
    let task_type = submit::check_type(state, &template.task_type, data, "").map_err(Problem::unprocessable)?;
    if let Some(data) = &request.data {
        template.input.clone_from(data);
    }
    if request.priority.is_some() {
        template.priority = submit::priority(request.priority);
        template.lane = submit::lane(task_type, template.priority);
    }
    if let Some(resources) = &request.resources {
        template.resources = resources.as_ref().and_then(|resources| to_raw_value(resources).ok());
    }
    if let Some(callbacks) = &request.callbacks {
        submit::check_callbacks(state, callbacks.as_ref(), "").map_err(Problem::unprocessable)?;
        template.callbacks = callbacks.as_ref().and_then(|callbacks| to_raw_value(callbacks).ok());
    }
    if let Some(retry) = &request.retry_config {
        template.retry = retry.into();
    }
    if request.timeout.is_some() {
        template.timeout_s = submit::timeout(task_type, request.timeout);
    }
    if let Some(expires_in) = request.expires_in {
        template.expires_in_s = expires_in.and_then(|n| n.try_into().ok());
    }
    definition.dst = request.dst.unwrap_or(definition.dst);
    definition.overlap = request.overlap.unwrap_or(definition.overlap);
    definition.catch_up = request.catch_up.unwrap_or(definition.catch_up);
    definition.active = request.active.unwrap_or(definition.active);
    if let Some(most) = request.max_iterations {
        definition.max_iterations = most.and_then(|n| n.try_into().ok());
    }
    if let Some(schedule) = &request.schedule {
        let timing = schedule.timing(definition.dst, read.now);
        definition.timing = timing.ok_or_else(|| Problem::internal_text("a timing that was checked"))?;
    } else if let Timing::Cron { dst, .. } = &mut definition.timing {
        *dst = definition.dst;
    }
    Ok(definition)
}
