//! `GET /tasks/workflows/{id}`

use axum::{extract::State, response::IntoResponse};
use chrono::{DateTime, Utc};
use halyard_domain::{TaskId, WorkflowId, authz::Permission, task::TaskState};
use halyard_http::{ApiResult, AppPath, Caller, Cursor, PageQuery, openapi::Operation, success};
use halyard_store::workflows::{self, Counts, StepRecord};
use schemars::JsonSchema;
use serde::Serialize;

use super::{super::database, Summary};
use crate::{
    error::TaskError,
    state::{AppState, scope},
    view::ErrorView,
    workflow::links,
};

/// `data`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Workflow")]
struct Response {
    #[serde(flatten)]
    summary: Summary,
    /// Of all steps, how many have ended, in per cent.
    percentage: f64,
    counts: StepCounts,
    /// By their number; `next_cursor` leads on.
    steps: Vec<Step>,
    next_cursor: Option<String>,
}

/// How many steps are where.
#[derive(Debug, Default, Serialize, JsonSchema)]
struct StepCounts {
    /// Waiting for other steps.
    waiting: i64,
    queued: i64,
    scheduled: i64,
    running: i64,
    retrying: i64,
    completed: i64,
    failed: i64,
    cancelled: i64,
    expired: i64,
    dead: i64,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "WorkflowStep")]
#[expect(clippy::struct_field_names, reason = "the field is the step's number, and called so outside")]
struct Step {
    /// From 0.
    step: i32,
    name: Option<String>,
    task_id: TaskId,
    task_type: String,
    /// Of its task, or `waiting` while it waits for other steps.
    status: StepStatus,
    /// In which it last ran.
    generation: i16,
    /// The numbers of the steps that come before it.
    after: Vec<i32>,
    attempt: i16,
    error: Option<ErrorView>,
    started_at: Option<DateTime<Utc>>,
    completed_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
enum StepStatus {
    Task(TaskState),
    Waits(Waiting),
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "WaitingStep")]
enum Waiting {
    Waiting,
}

/// A workflow: where it stands, how many of its steps are where, and a page of these.
pub async fn handler(
    State(state): State<AppState>,
    Caller(caller): Caller,
    AppPath(id): AppPath<WorkflowId>,
    page: PageQuery,
) -> ApiResult<impl IntoResponse> {
    let cursor = page.cursor.as_ref().map(Cursor::decode::<i32>).transpose()?;
    let scope = scope(&caller, Permission::TasksReadAll);
    let wanted = i64::from(page.limit) + 1;
    let found = database(&state, async |conn| {
        let Some(workflow) = workflows::get(conn, id, scope).await? else { return Ok(None) };
        Ok(Some((workflow, workflows::steps(conn, id, cursor, wanted).await?)))
    });
    let (workflow, mut steps) = found.await.map_err(TaskError::from)?.ok_or(TaskError::NoSuchWorkflow)?;
    let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
    let more = steps.len() > limit;
    steps.truncate(limit);
    let data = Response {
        percentage: percentage(&workflow.counts),
        counts: counts(&workflow.counts),
        next_cursor: steps.last().filter(|_| more).map(|step| Cursor::encode(&step.number)),
        steps: steps.into_iter().map(view).collect(),
        summary: workflow.summary.into(),
    };
    Ok(success(data).links(links(id)))
}

/// For docs/openapi.json.
pub fn describe(op: &mut Operation<'_>) {
    op.named("getWorkflow", "A batch or a chain, and its steps").answers::<Response>("The workflow.").links().leads_to(
        "getTask",
        "id",
        "/data/steps/0/task_id",
    );
}

fn percentage(counts: &Counts) -> f64 {
    let of = |ended: bool| {
        let rows = counts.by_state.iter().filter(|(state, _)| !ended || state.is_terminal());
        rows.map(|(_, n)| *n).sum::<i64>()
    };
    let total = of(false) + counts.waiting;
    #[expect(clippy::cast_precision_loss, reason = "at most ten thousand steps")]
    let share = of(true) as f64 / total.max(1) as f64;
    (share * 1_000.0).round() / 10.0
}

fn counts(counts: &Counts) -> StepCounts {
    let mut all = StepCounts { waiting: counts.waiting, ..StepCounts::default() };
    for (state, n) in &counts.by_state {
        *match state {
            TaskState::Queued => &mut all.queued,
            TaskState::Scheduled => &mut all.scheduled,
            TaskState::Running => &mut all.running,
            TaskState::Retrying => &mut all.retrying,
            TaskState::Completed => &mut all.completed,
            TaskState::Failed => &mut all.failed,
            TaskState::Cancelled => &mut all.cancelled,
            TaskState::Expired => &mut all.expired,
            TaskState::Dead => &mut all.dead,
        } += n;
    }
    all
}

fn view(step: StepRecord) -> Step {
    let state = step.state.unwrap_or(TaskState::Scheduled);
    Step {
        step: step.number,
        name: step.name,
        task_id: step.task_id,
        task_type: step.task_type,
        status: step.state.map_or(StepStatus::Waits(Waiting::Waiting), StepStatus::Task),
        generation: step.generation,
        after: step.after,
        attempt: step.attempt,
        error: step.error.map(|text| ErrorView::new(text, state)),
        started_at: step.started_at,
        completed_at: step.ended_at,
    }
}
