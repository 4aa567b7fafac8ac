//! `GET /tasks/workflows`

use axum::{extract::State, response::IntoResponse};
use halyard_domain::{WorkflowId, authz::Permission, workflow::WorkflowState};
use halyard_http::{ApiResult, AppQuery, Caller, Cursor, Items, PageQuery, openapi::Operation, success};
use halyard_store::workflows;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{super::database, Summary};
use crate::{
    error::TaskError,
    state::{AppState, scope},
};

/// The filter.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Request {
    status: Option<WorkflowState>,
}

/// The caller's workflows, newest first; those of all with `tasks:read_all`.
pub async fn handler(
    State(state): State<AppState>,
    Caller(caller): Caller,
    page: PageQuery,
    AppQuery(filter): AppQuery<Request>,
) -> ApiResult<impl IntoResponse> {
    let cursor = page.cursor.as_ref().map(Cursor::decode::<WorkflowId>).transpose()?;
    let scope = scope(&caller, Permission::TasksReadAll);
    // One more than asked for tells whether there is a next page.
    let wanted = i64::from(page.limit) + 1;
    let found = database(&state, async |conn| workflows::list(conn, scope, filter.status, cursor, wanted).await).await;
    let mut found = found.map_err(TaskError::from)?;
    let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
    let more = found.len() > limit;
    found.truncate(limit);
    let next_cursor = found.last().filter(|_| more).map(|workflow| Cursor::encode(&workflow.id));
    Ok(success(Items { items: found.into_iter().map(Summary::from).collect::<Vec<_>>(), next_cursor }))
}

/// For docs/openapi.json.
pub fn describe(op: &mut Operation<'_>) {
    op.named("listWorkflows", "Workflows, newest first")
        .detail("The caller's own; those of all with the permission `tasks:read_all`.")
        .answers::<Items<Summary>>("A page of workflows.")
        .leads_to("getWorkflow", "id", "/data/items/0/workflow_id");
}
