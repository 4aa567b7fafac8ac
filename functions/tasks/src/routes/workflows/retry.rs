//! `POST /tasks/workflows/{id}/retry`

use std::collections::BTreeSet;

use axum::{extract::State, response::IntoResponse};
use halyard_domain::{Lane, TaskId, WorkflowId, authz::Permission, workflow::WorkflowState};
use halyard_http::{ApiResult, AppPath, Caller, NewIds, Problem, RequestInfo, openapi::Operation, success};
use halyard_jobs::doorbell::TraceIds;
use halyard_store::{
    tasks::NewTask,
    workflows::{self, Again, Retried},
};
use schemars::JsonSchema;
use serde::Serialize;

use super::super::database;
use crate::{
    error::TaskError,
    permitted,
    state::{AppState, scope},
    workflow,
};

/// Seconds after which a step that is tried again on its own may have ended.
const APART: u32 = 5;

/// `data`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "RetriedWorkflow")]
struct Response {
    workflow_id: WorkflowId,
    status: WorkflowState,
    /// Steps that run again.
    retried_tasks: usize,
    /// Their new tasks, in the order of the steps.
    task_ids: Vec<TaskId>,
}

/// Begins a new generation of a workflow that ended: the steps that did not complete run again, as new tasks. Results of
/// those that did are kept.
pub async fn handler(
    State(state): State<AppState>,
    Caller(caller): Caller,
    AppPath(id): AppPath<WorkflowId>,
    info: RequestInfo,
    mut new: NewIds,
) -> ApiResult<impl IntoResponse> {
    let scope = scope(&caller, Permission::TasksManageAll);
    let found = database(&state, async |conn| workflows::to_retry(conn, id, scope).await).await;
    let (status, version, steps) = found.map_err(TaskError::from)?.ok_or(TaskError::NoSuchWorkflow)?;
    match status {
        // Perhaps by this very request, whose answer was lost.
        WorkflowState::Running if new.again() => {
            let found = database(&state, async |conn| workflows::latest(conn, id).await).await;
            let task_ids = found.map_err(TaskError::from)?;
            let mine: Vec<TaskId> = task_ids.iter().map(|_| TaskId(new.make())).collect();
            if task_ids != mine {
                return Err(TaskError::WorkflowRuns.into());
            }
            return Ok(answer(id, task_ids));
        }
        WorkflowState::Running => return Err(TaskError::WorkflowRuns.into()),
        WorkflowState::Completed => return Err(TaskError::NothingToRetry.into()),
        WorkflowState::Failed | WorkflowState::Cancelled => {}
    }
    for step in &steps {
        permitted::check(&state, &caller, &step.task_type)?;
    }
    let own = steps.iter().filter(|step| step.user_id == caller.user_id);
    let lanes: BTreeSet<Lane> = own.map(|step| step.lane).collect();
    for lane in &lanes {
        state.gate.check(caller.user_id, *lane, state.clock.now())?;
    }
    let ids = TraceIds { request_id: Some(info.request_id().to_string()), traceparent: Some(info.traceparent()) };
    let tasks: Vec<NewTask> = steps.into_iter().map(|step| again(&state, id, TaskId(new.make()), step, &ids)).collect();
    let now = state.clock.database_override();
    let retried = database(&state, async |conn| workflows::retry(conn, id, version, &tasks, now).await).await;
    let accepted = match retried.map_err(TaskError::from)? {
        Retried::Accepted(accepted) => accepted,
        // Somebody else retries it in this very moment.
        Retried::TooLate => return Err(TaskError::WorkflowRuns.into()),
        Retried::TriedApart(task) => {
            let detail = format!("a step is tried again on its own, as {task}: wait for its end, or cancel it");
            return Err(Problem::conflict("retried_before", detail).with_retry_after(APART));
        }
    };
    workflow::ring(&state, &tasks, &accepted, &ids).await;
    for lane in lanes {
        state.gate.count(&state, caller.user_id, lane).await;
    }
    Ok(answer(id, tasks.iter().map(|task| task.id).collect()))
}

fn answer(id: WorkflowId, task_ids: Vec<TaskId>) -> impl IntoResponse {
    let data = Response { workflow_id: id, status: WorkflowState::Running, retried_tasks: task_ids.len(), task_ids };
    success(data).links(workflow::links(id))
}

/// For docs/openapi.json.
pub fn describe(op: &mut Operation<'_>) {
    op.named("retryWorkflow", "Retry a batch or a chain")
        .detail("The steps that did not complete run again, as new tasks. Results of those that did are kept.")
        .answers::<Response>("A new generation runs.")
        .links()
        .problem(409, "workflow_not_ended", "it still runs")
        .problem(409, "nothing_to_retry", "every step completed")
        .problem(409, "retried_before", "a step is tried again on its own, by a task that has not ended")
        .problem(429, "queue_full", "as many tasks wait as may, of the caller's or in a lane");
    permitted::describe(op);
}

fn again(state: &AppState, id: WorkflowId, task_id: TaskId, step: Again, ids: &TraceIds) -> NewTask {
    let now = state.clock.now();
    NewTask {
        id: task_id,
        ties: workflow::again(id, &step),
        user_id: step.user_id,
        task_type: step.task_type,
        lane: step.lane,
        priority: step.priority,
        input: step.input,
        resources: step.resources,
        callbacks: step.callbacks,
        retry: step.retry,
        timeout_s: step.timeout_s,
        expires_at: step.expires_in.map(|after| now + after),
        scheduled_for: None,
        request_id: ids.request_id.clone(),
        traceparent: ids.traceparent.clone(),
    }
}
