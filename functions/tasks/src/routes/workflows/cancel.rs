//! `POST /tasks/workflows/{id}/cancel`

use axum::{extract::State, response::IntoResponse};
use halyard_domain::{WorkflowId, authz::Permission};
use halyard_http::{ApiResult, AppPath, Caller, MaybeValid, Validate, Violations, openapi::Operation, success};
use halyard_store::workflows::{self, Cancelled};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::super::{cancel, database, ring_for_webhooks};
use crate::{
    error::TaskError,
    state::{AppState, scope},
    workflow,
};

/// The body, which may be missing.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "CancelWorkflowRequest")]
pub struct Request {
    #[schemars(length(max = 500))]
    reason: Option<String>,
}

impl Validate for Request {
    fn validate(&self, violations: &mut Violations) {
        cancel::check_reason(violations, self.reason.as_deref());
    }
}

/// `data`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "CancelledWorkflow")]
struct Response {
    workflow_id: WorkflowId,
    cancel_requested: bool,
    /// Steps that had not begun, or waited for another attempt: they ended at once.
    cancelled_tasks: i64,
    /// Steps that run: they are told within a second.
    told_tasks: i64,
    reason: String,
}

/// Passes over the steps at most: one that begins in that very moment is caught by the next.
const PASSES: usize = 5;

/// Cancels a workflow as a whole.
pub async fn handler(
    State(state): State<AppState>,
    Caller(caller): Caller,
    AppPath(id): AppPath<WorkflowId>,
    MaybeValid(body): MaybeValid<Request>,
) -> ApiResult<impl IntoResponse> {
    let reason = cancel::storable(body.and_then(|body| body.reason));
    let scope = scope(&caller, Permission::TasksManageAll);
    let now = state.clock.database_override();
    let (mut cancelled_tasks, mut told_tasks) = (0, 0);
    for pass in 0..PASSES {
        let done = database(&state, async |conn| workflows::cancel(conn, id, scope, &reason, now).await).await;
        match done.map_err(TaskError::from)?.ok_or(TaskError::NoSuchWorkflow)? {
            Cancelled::TooLate(ended) if pass == 0 => return Err(TaskError::WorkflowEnded(ended).into()),
            Cancelled::TooLate(_) | Cancelled::Requested { ended: 0, told: 0 } => break,
            Cancelled::Requested { ended, told } => {
                cancelled_tasks += ended;
                told_tasks += told;
            }
        }
    }
    workflow::take_further(&state, id).await;
    // Of steps that have callbacks of their own.
    ring_for_webhooks(&state).await;
    let data = Response { workflow_id: id, cancel_requested: true, cancelled_tasks, told_tasks, reason };
    Ok(success(data).links(workflow::links(id)))
}

/// For docs/openapi.json.
pub fn describe(op: &mut Operation<'_>) {
    op.named("cancelWorkflow", "Cancel a batch or a chain")
        .detail(
            "Steps that wait end at once, those that run within about a second. The workflow ends with its last step. The \
                 body may be missing.",
        )
        .example(json!({"reason": "no longer needed"}))
        .answers::<Response>("No further step will run.")
        .links()
        .problem(409, "workflow_ended", "it has ended already");
}
