//! `POST /tasks/chain`

use std::borrow::Cow;

use axum::{extract::State, response::IntoResponse};
use chrono::{DateTime, Utc};
use halyard_domain::{
    TaskId, WorkflowId,
    workflow::{FailureStrategy, Graph, GraphError, Mode, StepSpec, WorkflowKind, WorkflowState},
};
use halyard_http::{
    ApiResult, Caller, FieldError, NewIds, Problem, RequestInfo, Valid, Validate, Violations, openapi::Operation,
    success,
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{json, value::RawValue};

use super::submit::{self, Callbacks};
use crate::{
    permitted,
    state::AppState,
    workflow::{self, LONGEST_NAME, MOST_STEPS, Spec},
};

/// The longest name of a step, in characters.
const LONGEST_STEP: usize = 100;
/// The most steps that one step waits for.
const MOST_DEPENDENCIES: usize = 1_000;

/// The body. Unknown fields are ignored, as the original does.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "ChainRequest")]
pub struct Request {
    #[serde(default = "unnamed")]
    #[schemars(length(min = 1, max = LONGEST_NAME))]
    chain_name: String,
    #[schemars(with = "Vec<Step>", length(min = 1, max = MOST_STEPS))]
    tasks: Vec<Box<RawValue>>,
    /// `stop_on_error` when it is not given.
    failure_strategy: Option<FailureStrategy>,
    /// Told once, when the whole of it has ended; `progress_url` is for tasks alone.
    callbacks: Option<Callbacks>,
}

fn unnamed() -> String {
    "chain".to_owned()
}

impl Validate for Request {
    fn validate(&self, violations: &mut Violations) {
        workflow::check(violations, self.tasks.len(), &self.chain_name, "/chain_name", self.callbacks.as_ref());
    }
}

/// What a step says beside what `POST /tasks/submit` takes.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "StepPlace")]
struct Place {
    /// What other steps call it. No two steps share one.
    #[schemars(length(min = 1, max = LONGEST_STEP))]
    name: Option<String>,
    /// The names of the steps that must complete before it.
    #[serde(default)]
    #[schemars(length(max = MOST_DEPENDENCIES))]
    depends_on: Vec<String>,
    /// `previous`: `data.input` becomes the result of the step before it, or, of several, an object with each result under its step's name.
    input_from: Option<InputFrom>,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum InputFrom {
    /// The steps that come before it.
    Previous,
}

impl Validate for Place {
    fn validate(&self, violations: &mut Violations) {
        let fits = |name: &String| (1..=LONGEST_STEP).contains(&name.chars().count()) && !name.contains('\0');
        let rule = format!("must have 1 to {LONGEST_STEP} characters, and no NUL");
        violations.check(self.name.as_ref().is_none_or(fits), "/name", "invalid_value", rule);
        let few = self.depends_on.len() <= MOST_DEPENDENCIES;
        let rule = format!("may have {MOST_DEPENDENCIES} items at most");
        violations.check(few, "/depends_on", "too_many", rule);
    }
}

/// A step, for its schema alone.
struct Step;

impl JsonSchema for Step {
    fn schema_name() -> Cow<'static, str> {
        "ChainStep".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let task = generator.subschema_for::<submit::Request>();
        let place = generator.subschema_for::<Place>();
        json_schema!({ "allOf": [task, place] })
    }
}

/// `data`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "AcceptedChain")]
struct Response {
    chain_id: WorkflowId,
    workflow_id: WorkflowId,
    chain_name: String,
    status: WorkflowState,
    /// `graph` when a step names what it depends on.
    execution_mode: Mode,
    failure_strategy: FailureStrategy,
    total_tasks: usize,
    /// In the order in which they were sent.
    task_ids: Vec<TaskId>,
    created_at: DateTime<Utc>,
}

/// Accepts a chain or a graph: all of its steps, or none.
pub async fn handler(
    State(state): State<AppState>,
    Caller(caller): Caller,
    info: RequestInfo,
    mut ids: NewIds,
    Valid(request): Valid<Request>,
) -> ApiResult<impl IntoResponse> {
    let tasks: Vec<submit::Request> = workflow::decode(&request.tasks)?;
    let places: Vec<Place> = workflow::decode(&request.tasks)?;
    let spec =
        |place: Place| StepSpec { name: place.name, depends_on: place.depends_on, takes: place.input_from.is_some() };
    let steps: Vec<StepSpec> = places.into_iter().map(spec).collect();
    let strategy = request.failure_strategy.unwrap_or_default();
    let graph = Graph::of(&steps, strategy).map_err(|error| problem(&error))?;
    let (name, mode) = (request.chain_name.clone(), graph.mode);
    let callbacks = request.callbacks;
    let spec = Spec { kind: WorkflowKind::Chain, name: request.chain_name, graph, strategy, callbacks, tasks, steps };
    let accepted = workflow::accept(&state, &caller, &info, &mut ids, spec).await?;
    let data = Response {
        chain_id: accepted.id,
        workflow_id: accepted.id,
        chain_name: name,
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
    op.named("submitChain", "Submit tasks that follow each other")
        .detail(
            "All steps are accepted, or none. Each is what `POST /tasks/submit` takes, with a place: steps run one after the \
                 other unless one of them says with `depends_on` what it waits for; then a step without it waits for nothing. \
                 Under `stop_on_error` the first that does not complete cancels those that are not running at that moment; \
                 under `continue` only those are left out that need it. Members that are not known are ignored.",
        )
        .answers::<Response>("The chain was accepted.")
        .links()
        .problem(409, "lane_draining", "a lane of its tasks is being drained")
        .problem(429, "queue_full", "as many tasks wait as may, of the caller's or in the lane")
        .leads_to("getWorkflow", "id", "/data/chain_id")
        .leads_to("cancelWorkflow", "id", "/data/chain_id")
        .example(json!({
            "chain_name": "extract and report",
            "tasks": [
                {"task_type": "sample", "name": "a", "data": {"message": "hello"}},
                {"task_type": "sample", "name": "b", "depends_on": ["a"], "input_from": "previous", "data": {}},
            ],
        }));
    permitted::describe(op);
}

fn problem(error: &GraphError) -> Problem {
    let (pointer, code) = match error {
        GraphError::NameTaken(step) => (format!("/tasks/{step}/name"), "duplicate_name"),
        GraphError::UnknownStep(step, place) => (format!("/tasks/{step}/depends_on/{place}"), "unknown_step"),
        GraphError::Repeated(step, place) => (format!("/tasks/{step}/depends_on/{place}"), "repeated_step"),
        GraphError::Cycle(step) => (format!("/tasks/{step}/depends_on"), "cycle"),
        GraphError::NothingToTake(step) => (format!("/tasks/{step}/input_from"), "nothing_before"),
    };
    Problem::unprocessable(vec![FieldError::new(pointer, code, error.to_string())])
}
