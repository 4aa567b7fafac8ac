//! `POST /tasks/cancel/{id}`

use axum::{extract::State, response::IntoResponse};
use halyard_domain::{TaskId, authz::Permission, task::TaskState};
use halyard_http::{ApiResult, AppPath, Caller, Lenient, Validate, Violations, openapi::Operation, success};
use halyard_jobs::doorbell::TraceIds;
use halyard_store::tasks::{self, CancelTerms, Cancelled};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{database, ring_for, ring_for_webhooks};
use crate::{
    error::TaskError,
    state::{AppState, scope},
    view, workflow,
};

/// The body, which may be missing.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Request {
    #[schemars(length(max = 500))]
    reason: Option<String>,
    /// End it at once although it runs: its attempt is fenced off, and whatever it still does is refused. Without it the
    /// attempt is told, and stopped when it does not stop itself.
    force: Option<bool>,
}

/// A reason as it can be stored.
pub fn storable(reason: Option<String>) -> String {
    reason.unwrap_or_else(|| "no reason given".to_owned()).replace('\0', "\u{fffd}")
}

/// Checks the length of a reason.
pub fn check_reason(violations: &mut Violations, reason: Option<&str>) {
    let fits = reason.is_none_or(|reason| reason.chars().count() <= LONGEST_REASON);
    violations.check(fits, "/reason", "too_long", format!("must have at most {LONGEST_REASON} characters"));
}

impl Validate for Request {
    fn validate(&self, violations: &mut Violations) {
        check_reason(violations, self.reason.as_deref());
    }
}

/// `data`.
#[derive(Debug, Serialize, JsonSchema)]
struct Response {
    task_id: TaskId,
    status: TaskState,
    cancel_requested: bool,
    message: &'static str,
    reason: String,
}

/// The longest reason, in characters.
pub(super) const LONGEST_REASON: usize = 500;
/// How often a task that changes its state in that very moment is tried.
const TRIES: usize = 4;

/// Cancels a task: at once while it waits, at its next lease renewal (within a second) while it runs, unless it is fenced off
/// by force.
pub async fn handler(
    State(state): State<AppState>,
    Caller(caller): Caller,
    AppPath(id): AppPath<TaskId>,
    // The original's client sends JSON under the content type of a form, or nothing at all.
    Lenient(body): Lenient<Request>,
) -> ApiResult<impl IntoResponse> {
    let (reason, force) = body.map_or((None, false), |body| (body.reason, body.force.unwrap_or(false)));
    let reason = storable(reason);
    let scope = scope(&caller, Permission::TasksManageAll).into();
    let now = state.clock.database_override();
    for _ in 0..TRIES {
        let terms = CancelTerms { scope, reason: &reason, force, audit: None };
        let done = database(&state, async |conn| tasks::cancel_many(conn, &[id], &terms, now).await).await;
        let (_, outcome) = done.map_err(TaskError::from)?.pop().ok_or(TaskError::NotFound)?;
        let (status, message) = match outcome {
            Cancelled::Ended { workflow, wakes } => {
                if let Some(id) = workflow {
                    workflow::take_further(&state, id).await;
                }
                let woken = wakes.into_iter().map(|lane| (lane, chrono::Duration::zero()));
                ring_for(&state, woken, &TraceIds::default()).await;
                (TaskState::Cancelled, "Task cancelled")
            }
            Cancelled::Requested => (TaskState::Running, "Cancellation requested"),
            Cancelled::TooLate(ended) if ended.is_terminal() => return Err(TaskError::Ended(ended).into()),
            Cancelled::TooLate(_) => continue,
        };
        if status == TaskState::Cancelled {
            ring_for_webhooks(&state).await;
        }
        let data = Response { task_id: id, status, cancel_requested: true, message, reason };
        return Ok(success(data).links(view::links(id)));
    }
    Err(TaskError::Contended.into())
}

/// For docs/openapi.json.
pub fn describe(op: &mut Operation<'_>) {
    op.named("cancelTask", "Cancel a task")
        .detail(
            "At once while it waits, within about a second while it runs; with `force` at once in any case. The body may \
                 be missing, and its `Content-Type` may be anything. Members that are not known are ignored.",
        )
        .example(json!({"reason": "no longer needed"}))
        .answers::<Response>("It is cancelled, or will be.")
        .links()
        .problem(409, "task_ended", "it has ended already")
        .problem(409, "contended", "its state is changing: try again");
}
