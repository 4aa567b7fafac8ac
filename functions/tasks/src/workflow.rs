//! Accepting workflows: what `POST /tasks/batch` and `POST /tasks/chain` share.

use std::{collections::BTreeSet, time::Duration};

use chrono::{DateTime, Utc};
use halyard_auth::Principal;
use halyard_domain::{
    Lane, TaskId, WorkflowId,
    workflow::{FailureStrategy, Graph, StepSpec, WorkflowKind},
};
use halyard_http::{FieldError, NewIds, Problem, RequestInfo, Validate, Violations};
use halyard_jobs::{doorbell::TraceIds, input, workflows as further};
use halyard_store::{
    Constraint, StoreError,
    tasks::{NewTask, Step, Submitted, Ties},
    within,
    workflows::{self, NewWorkflow},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json, value::RawValue};

use crate::{
    error::TaskError,
    permitted,
    routes::{
        self, database,
        submit::{self, Callbacks, QUEUE},
    },
    state::AppState,
};

/// The most steps of a workflow.
pub const MOST_STEPS: usize = 10_000;
/// The longest name, in characters.
pub const LONGEST_NAME: usize = 200;
/// The longest that the database may take to accept a workflow.
const ACCEPT: Duration = Duration::from_secs(15);
/// The longest that it may take to take one further.
const FURTHER: Duration = Duration::from_secs(5);
/// Broken rules of one body that are told; the rest would say the same.
const MOST_ERRORS: usize = 100;

/// A workflow as the client described it, once its body is known to be well formed.
pub struct Spec {
    pub kind: WorkflowKind,
    pub name: String,
    pub graph: Graph,
    pub strategy: FailureStrategy,
    pub callbacks: Option<Callbacks>,
    pub tasks: Vec<submit::Request>,
    pub steps: Vec<StepSpec>,
}

/// A workflow that was accepted.
pub struct Accepted {
    pub id: WorkflowId,
    pub task_ids: Vec<TaskId>,
    pub created_at: DateTime<Utc>,
}

/// Decodes each of `tasks`, in the body's member of that name, as a `T`, and checks it.
pub fn decode<T: DeserializeOwned + Validate>(tasks: &[Box<RawValue>]) -> Result<Vec<T>, Problem> {
    let mut decoded = Vec::with_capacity(tasks.len());
    let mut errors = Vec::new();
    let mut violations = Violations::default();
    for (number, raw) in tasks.iter().enumerate() {
        let place = format!("/tasks/{number}");
        match input::decode::<T>(raw) {
            Ok(task) => {
                violations.inside(&place, &task);
                decoded.push(task);
            }
            Err(invalid) => errors.extend(
                invalid
                    .0
                    .into_iter()
                    .map(|error| FieldError::new(format!("{place}{}", error.pointer), error.code, error.detail)),
            ),
        }
        if errors.len() > MOST_ERRORS {
            break;
        }
    }
    if !errors.is_empty() {
        return Err(Problem::unprocessable(errors));
    }
    violations.into_result()?;
    Ok(decoded)
}

/// Checks how many steps there are, what the workflow is called, and whom it tells.
pub fn check(
    violations: &mut Violations,
    tasks: usize,
    name: &str,
    pointer: &'static str,
    callbacks: Option<&Callbacks>,
) {
    let holds = (1..=MOST_STEPS).contains(&tasks);
    violations.check(holds, "/tasks", "out_of_range", format!("must have 1 to {MOST_STEPS} items"));
    let holds = !name.is_empty() && name.chars().count() <= LONGEST_NAME && !name.contains('\0');
    let rule = format!("must have 1 to {LONGEST_NAME} characters, and no NUL");
    violations.check(holds, pointer, "invalid_value", rule);
    if let Some(callbacks) = callbacks {
        callbacks.check_of_workflow(violations);
    }
}

/// Accepts a workflow with all its tasks, and rings for those that wait for nothing.
pub async fn accept(
    state: &AppState,
    caller: &Principal,
    info: &RequestInfo,
    new: &mut NewIds,
    spec: Spec,
) -> Result<Accepted, Problem> {
    for request in &spec.tasks {
        permitted::check(state, caller, &request.task_type)?;
    }
    let ids = TraceIds { request_id: Some(info.request_id().to_string()), traceparent: Some(info.traceparent()) };
    let id = WorkflowId(new.make());
    let waits = spec.graph.waits(spec.tasks.len());
    let mut tasks = Vec::with_capacity(spec.tasks.len());
    let mut errors = submit::check_callbacks(state, spec.callbacks.as_ref(), "").err().unwrap_or_default();
    // Ids that ascend: of tasks that are due at the same moment the one with the lower id is claimed first.
    let mut task_ids: Vec<TaskId> = (0..spec.tasks.len()).map(|_| TaskId(new.make())).collect();
    task_ids.sort_unstable();
    for (number, ((request, step), waits)) in spec.tasks.into_iter().zip(spec.steps).zip(waits).enumerate() {
        let place = format!("/tasks/{number}");
        if let Err(forbidden) = submit::check_callbacks(state, request.callbacks.as_ref(), &place) {
            errors.extend(forbidden);
        }
        match submit::check_type(state, &request.task_type, &request.data, &place) {
            Ok(_) if request.unique_key.is_some() => {
                let pointer = format!("/tasks/{number}/unique_key");
                errors.push(FieldError::new(pointer, "not_supported", "is not for steps of a workflow"));
            }
            Ok(task_type) => {
                let mut task = submit::new_task(state, caller, task_ids[number], task_type, request, &ids);
                task.ties.step = Some(Step {
                    workflow: id,
                    number: i32::try_from(number).unwrap_or(i32::MAX),
                    waits_for: i32::try_from(waits).unwrap_or(i32::MAX),
                    takes: step.takes,
                    name: step.name,
                });
                tasks.push(task);
            }
            Err(invalid) => errors.extend(invalid),
        }
        if errors.len() > MOST_ERRORS {
            break;
        }
    }
    if !errors.is_empty() {
        return Err(Problem::unprocessable(errors));
    }
    let lanes: BTreeSet<Lane> = tasks.iter().map(|task| task.lane).collect();
    for lane in &lanes {
        state.gate.check(caller.user_id, *lane, state.clock.now())?;
    }
    let workflow = NewWorkflow {
        id,
        user_id: caller.user_id,
        kind: spec.kind,
        mode: spec.graph.mode,
        failure_strategy: spec.strategy,
        name: spec.name,
        callbacks: spec.callbacks.and_then(|callbacks| serde_json::value::to_raw_value(&callbacks).ok()),
        edges: spec.graph.edges,
        request_id: ids.request_id.clone(),
        traceparent: ids.traceparent.clone(),
    };
    let now = state.clock.database_override();
    let accepted = within(ACCEPT, async {
        let mut conn = state.pool.acquire().await?;
        workflows::create(&mut conn, &workflow, &tasks, now).await
    });
    let created_at = match accepted.await {
        Ok(accepted) => {
            ring(state, &tasks, &accepted, &ids).await;
            for lane in lanes {
                state.gate.count(state, caller.user_id, lane).await;
            }
            accepted.first().map_or_else(|| state.clock.now(), |task| task.created_at)
        }
        // The request was carried out before, and its answer lost. Its doorbells may be as well: beat rings.
        Err(StoreError::Conflict(Constraint::TaskIdTaken | Constraint::WorkflowIdTaken)) if new.again() => {
            let earlier = database(state, async |conn| workflows::get(conn, id, Some(caller.user_id)).await).await;
            earlier.map_err(TaskError::from)?.ok_or(TaskError::NoSuchWorkflow)?.summary.created_at
        }
        Err(error) => return Err(TaskError::from(error).into()),
    };
    Ok(Accepted { id, created_at, task_ids: tasks.iter().map(|task| task.id).collect() })
}

/// Rings for the tasks of a workflow that wait for nothing.
pub async fn ring(state: &AppState, tasks: &[NewTask], accepted: &[Submitted], ids: &TraceIds) {
    let due = tasks.iter().zip(accepted).map(|(task, accepted)| (task.lane, accepted.delay));
    routes::ring_for(state, due, ids).await;
}

/// Takes a workflow further after steps of it ended here. What cannot be done now is still signalled: beat does it.
pub async fn take_further(state: &AppState, id: WorkflowId) {
    let taken = within(FURTHER, async {
        let mut conn = state.pool.acquire().await?;
        further::take_further(&mut conn, id, state.clock.database_override()).await
    });
    match taken.await {
        Ok(taken) => {
            further::ring_for(&*state.queue, &state.queues, taken.released, QUEUE).await;
            if taken.ended {
                state.callbacks.ring_or_leave(Duration::ZERO, QUEUE).await;
            }
        }
        Err(error @ (StoreError::Unavailable(_) | StoreError::Conflict(_) | StoreError::Internal(_))) => {
            tracing::warn!(%error, workflow_id = %id, "the workflow waits for beat to take it further");
        }
    }
}

/// Where to go on from a workflow.
pub fn links(id: WorkflowId) -> Value {
    json!({
        "status": format!("/tasks/workflows/{id}"),
        "cancel": format!("/tasks/workflows/{id}/cancel"),
        "retry": format!("/tasks/workflows/{id}/retry"),
        "tasks": format!("/tasks?batch_id={id}"),
    })
}

/// The ties of a step that runs again.
pub fn again(workflow: WorkflowId, step: &workflows::Again) -> Ties {
    Ties {
        retry_of: Some(step.retry_of),
        step: Some(Step {
            workflow,
            number: step.number,
            waits_for: step.waits_for,
            takes: step.takes,
            name: step.name.clone(),
        }),
        ..Ties::default()
    }
}
