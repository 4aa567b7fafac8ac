//! `GET /tasks`

use axum::{extract::State, response::IntoResponse};
use chrono::{DateTime, Utc};
use halyard_domain::{Priority, TaskId, WorkflowId, authz::Permission, task::TaskState};
use halyard_http::{
    ApiResult, AppQuery, Caller, Cursor, FieldError, Items, PageQuery, Problem, is_rfc3339, openapi::Operation, success,
};
use halyard_store::tasks::{self, Filter, TaskSummary};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::database;
use crate::{
    error::TaskError,
    state::{AppState, scope},
    view::{self, ErrorView},
};

/// The filters.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Request {
    status: Option<TaskState>,
    task_type: Option<String>,
    priority: Option<Priority>,
    submitted_after: Option<DateTime<Utc>>,
    submitted_before: Option<DateTime<Utc>>,
    /// The steps of this workflow.
    batch_id: Option<WorkflowId>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "TaskSummary")]
struct Item {
    task_id: TaskId,
    task_type: String,
    status: TaskState,
    #[schemars(with = "Priority")]
    priority: i16,
    user_id: i64,
    /// 0 before the first.
    attempt: i16,
    #[schemars(with = "view::ProgressView")]
    progress: Value,
    error: Option<ErrorView>,
    created_at: DateTime<Utc>,
    scheduled_for: Option<DateTime<Utc>>,
    started_at: Option<DateTime<Utc>>,
    completed_at: Option<DateTime<Utc>>,
}

/// The caller's tasks, newest first; those of all with `tasks:read_all`.
pub async fn handler(
    State(state): State<AppState>,
    Caller(caller): Caller,
    page: PageQuery,
    AppQuery(filter): AppQuery<Request>,
) -> ApiResult<impl IntoResponse> {
    // PostgreSQL's text holds no NUL.
    if filter.task_type.as_deref().is_some_and(|name| name.contains('\0')) {
        let error = FieldError::new("/task_type", "invalid_characters", "may not hold NUL");
        return Err(Problem::unprocessable(vec![error]));
    }
    for (pointer, at) in [("/submitted_after", filter.submitted_after), ("/submitted_before", filter.submitted_before)]
    {
        if at.is_some_and(|at| !is_rfc3339(at)) {
            let error = FieldError::new(pointer, "out_of_range", "must be in the years 0 to 9999");
            return Err(Problem::unprocessable(vec![error]));
        }
    }
    let cursor = page.cursor.as_ref().map(Cursor::decode::<TaskId>).transpose()?;
    let scope = scope(&caller, Permission::TasksReadAll);
    let filter = Filter {
        state: filter.status,
        task_type: filter.task_type,
        priority: filter.priority,
        submitted_after: filter.submitted_after,
        submitted_before: filter.submitted_before,
        workflow: filter.batch_id,
    };
    let limit = i64::from(page.limit);
    let found = database(&state, async |conn| tasks::list(conn, scope, &filter, cursor, limit).await).await;
    let found = found.map_err(TaskError::from)?;
    let next_cursor = found.next.as_ref().map(Cursor::encode);
    let now = state.clock.now();
    Ok(success(Items { items: found.tasks.into_iter().map(|task| item(task, now)).collect::<Vec<_>>(), next_cursor }))
}

/// For docs/openapi.json.
pub fn describe(op: &mut Operation<'_>) {
    op.named("listTasks", "Tasks, newest first")
        .detail(
            "The caller's own; those of all with the permission `tasks:read_all`. With filters a page may hold fewer \
             than `limit`, or none, though more follow: go on while `next_cursor` is given.",
        )
        .answers::<Items<Item>>("A page of tasks.")
        .leads_to("getTask", "id", "/data/items/0/task_id");
}

fn item(task: TaskSummary, now: DateTime<Utc>) -> Item {
    let state = task.state;
    Item {
        task_id: task.id,
        task_type: task.task_type,
        status: state,
        priority: task.priority.get(),
        user_id: task.user_id.0,
        attempt: task.attempt,
        progress: view::progress(task.progress.as_deref(), state, task.started_at, now),
        error: task.error.map(|text| ErrorView::new(text, state)),
        created_at: task.created_at,
        scheduled_for: task.scheduled_for,
        started_at: task.started_at,
        completed_at: task.ended_at,
    }
}
