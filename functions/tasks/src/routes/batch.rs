//! `POST /tasks/batch`

use axum::{extract::State, response::IntoResponse};
use chrono::{DateTime, Utc};
use halyard_domain::{
    TaskId, WorkflowId,
    workflow::{FailureStrategy, Graph, Mode, StepSpec, WorkflowKind, WorkflowState},
};
use halyard_http::{ApiResult, Caller, NewIds, RequestInfo, Valid, Validate, Violations, openapi::Operation, success};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{json, value::RawValue};

use super::submit::{self, Callbacks};
use crate::{
    permitted,
    state::AppState,
    workflow::{self, LONGEST_NAME, MOST_STEPS, Spec},
};

/// The body. Unknown fields are ignored, as the original does.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "BatchRequest")]
pub struct Request {
    #[serde(default = "unnamed")]
    #[schemars(length(min = 1, max = LONGEST_NAME))]
    batch_name: String,
    #[schemars(with = "Vec<submit::Request>", length(min = 1, max = MOST_STEPS))]
    tasks: Vec<Box<RawValue>>,
    /// `parallel` when it is not given.
    #[schemars(with = "Option<Order>")]
    execution_mode: Option<Order>,
    /// `stop_on_error` when it is not given.
    failure_strategy: Option<FailureStrategy>,
    /// Told once, when the whole of it has ended; `progress_url` is for tasks alone.
    callbacks: Option<Callbacks>,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "BatchExecutionMode")]
enum Order {
    /// All at once.
    Parallel,
    /// One after the other.
    Sequential,
}

fn unnamed() -> String {
    "batch".to_owned()
}

impl Validate for Request {
    fn validate(&self, violations: &mut Violations) {
        workflow::check(violations, self.tasks.len(), &self.batch_name, "/batch_name", self.callbacks.as_ref());
    }
}

/// `data`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "AcceptedBatch")]
struct Response {
    batch_id: WorkflowId,
    workflow_id: WorkflowId,
    batch_name: String,
    status: WorkflowState,
    execution_mode: Mode,
    failure_strategy: FailureStrategy,
    total_tasks: usize,
    /// In the order in which they were sent.
    task_ids: Vec<TaskId>,
    created_at: DateTime<Utc>,
}

/// Accepts a batch: all of its tasks, or none.
pub async fn handler(
    State(state): State<AppState>,
    Caller(caller): Caller,
    info: RequestInfo,
    mut ids: NewIds,
    Valid(request): Valid<Request>,
) -> ApiResult<impl IntoResponse> {
    let tasks: Vec<submit::Request> = workflow::decode(&request.tasks)?;
    let steps = vec![StepSpec::default(); tasks.len()];
    let strategy = request.failure_strategy.unwrap_or_default();
    let graph = match request.execution_mode.unwrap_or(Order::Parallel) {
        Order::Parallel => Graph::parallel(),
        // Nothing takes a result here, which is all that could be wrong.
        Order::Sequential => Graph::sequential(&steps, strategy).unwrap_or_else(|_| Graph::parallel()),
    };
    let (name, mode) = (request.batch_name.clone(), graph.mode);
    let callbacks = request.callbacks;
    let spec = Spec { kind: WorkflowKind::Batch, name: request.batch_name, graph, strategy, callbacks, tasks, steps };
    let accepted = workflow::accept(&state, &caller, &info, &mut ids, spec).await?;
    let data = Response {
        batch_id: accepted.id,
        workflow_id: accepted.id,
        batch_name: name,
        status: WorkflowState::Running,
        execution_mode: mode,
        failure_strategy: strategy,
        total_tasks: accepted.task_ids.len(),
        task_ids: accepted.task_ids,
        created_at: accepted.created_at,
    };
    Ok(success(data).links(workflow::links(accepted.id)))
}

/// For docs/openapi.json.
pub fn describe(op: &mut Operation<'_>) {
    op.named("submitBatch", "Submit tasks together")
        .detail(
            "All are accepted, or none. Each of `tasks` is what `POST /tasks/submit` takes. `parallel` runs them at once, \
                 `sequential` one after the other. Under `stop_on_error` the first that does not complete cancels those that \
                 are not running at that moment; under `continue` the others go on. Members that are not known are ignored.",
        )
        .answers::<Response>("The batch was accepted.")
        .links()
        .problem(409, "lane_draining", "a lane of its tasks is being drained")
        .problem(429, "queue_full", "as many tasks wait as may, of the caller's or in the lane")
        .leads_to("getWorkflow", "id", "/data/batch_id")
        .leads_to("cancelWorkflow", "id", "/data/batch_id")
        .example(json!({
            "batch_name": "greetings", "execution_mode": "sequential", "failure_strategy": "stop_on_error",
            "tasks": [{"task_type": "sample", "data": {"message": "hello"}}, {"task_type": "sample", "data": {}}],
        }));
    permitted::describe(op);
}
