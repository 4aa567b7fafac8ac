//! `GET /tasks/webhooks/deliveries`

use axum::{extract::State, response::IntoResponse};
use halyard_domain::{DeliveryId, TaskId, authz::Permission, webhook::DeliveryState};
use halyard_http::{ApiResult, AppQuery, Caller, Cursor, Items, PageQuery, openapi::Operation, success};
use halyard_store::webhooks::{self, Filter};
use schemars::JsonSchema;
use serde::Deserialize;

use super::View;
use crate::{
    error::TaskError,
    routes::database,
    state::{AppState, scope},
};

/// What is told of a task or workflow.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "WebhookEvent")]
enum Event {
    Progress,
    Completed,
    Failed,
    Cancelled,
    Expired,
    Dead,
}

/// The filters.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "WebhookFilter")]
pub struct Request {
    task_id: Option<TaskId>,
    state: Option<DeliveryState>,
    event: Option<Event>,
}

/// The caller's deliveries, newest first; those of all with `tasks:read_all`.
pub async fn handler(
    State(state): State<AppState>,
    Caller(caller): Caller,
    page: PageQuery,
    AppQuery(filter): AppQuery<Request>,
) -> ApiResult<impl IntoResponse> {
    let cursor = page.cursor.as_ref().map(Cursor::decode::<DeliveryId>).transpose()?;
    let scope = scope(&caller, Permission::TasksReadAll);
    let event = filter.event.map(|event| match event {
        Event::Progress => "progress",
        Event::Completed => "completed",
        Event::Failed => "failed",
        Event::Cancelled => "cancelled",
        Event::Expired => "expired",
        Event::Dead => "dead",
    });
    let filter = Filter { task: filter.task_id, state: filter.state, event: event.map(str::to_owned) };
    let limit = i64::from(page.limit);
    let found = database(&state, async |conn| webhooks::deliveries(conn, scope, &filter, cursor, limit).await).await;
    let found = found.map_err(TaskError::from)?;
    let next_cursor = found.next.as_ref().map(Cursor::encode);
    Ok(success(Items { items: found.deliveries.into_iter().map(View::from).collect::<Vec<_>>(), next_cursor }))
}

/// For docs/openapi.json.
pub fn describe(op: &mut Operation<'_>) {
    op.named("listWebhookDeliveries", "Webhooks, newest first")
        .detail(
            "The caller's own; those of all with the permission `tasks:read_all`. Kept for 30 days. With filters a page may \
             hold fewer than `limit`, or none, though more follow: go on while `next_cursor` is given.",
        )
        .answers::<Items<View>>("A page of deliveries.")
        .leads_to("getWebhookDelivery", "id", "/data/items/0/delivery_id");
}
