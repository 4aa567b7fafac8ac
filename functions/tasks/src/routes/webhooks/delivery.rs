//! `GET /tasks/webhooks/deliveries/{id}`

use axum::{extract::State, response::IntoResponse};
use chrono::{DateTime, Utc};
use halyard_domain::{DeliveryId, authz::Permission};
use halyard_http::{ApiResult, AppPath, Caller, openapi::Operation, success};
use halyard_store::webhooks;
use schemars::JsonSchema;
use serde::Serialize;

use super::View;
use crate::{
    error::TaskError,
    routes::database,
    state::{AppState, scope},
};

/// `data`.
#[derive(Debug, Serialize, JsonSchema)]
struct Response {
    delivery: View,
    /// Those that came to an end, oldest first. One that vanished with its machine leaves a gap in the numbers.
    log: Vec<Attempt>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "WebhookAttempt")]
#[expect(clippy::struct_field_names, reason = "the field is the attempt's number, and called so outside")]
struct Attempt {
    attempt: i16,
    ended_at: DateTime<Utc>,
    /// Milliseconds.
    duration_ms: i32,
    status_code: Option<i16>,
    error: Option<String>,
    /// The beginning of the answer's body, 1 KiB at most.
    response: Option<String>,
}

/// One delivery with its attempts.
pub async fn handler(
    State(state): State<AppState>,
    Caller(caller): Caller,
    AppPath(id): AppPath<DeliveryId>,
) -> ApiResult<impl IntoResponse> {
    let scope = scope(&caller, Permission::TasksReadAll);
    let found = database(&state, async |conn| webhooks::delivery(conn, id, scope).await).await;
    let (delivery, attempts) = found.map_err(TaskError::from)?.ok_or(TaskError::NoSuchDelivery)?;
    let attempt = |a: webhooks::Attempt| Attempt {
        attempt: a.attempt,
        ended_at: a.at,
        duration_ms: a.ms,
        status_code: a.status_code,
        error: a.error,
        response: a.response,
    };
    Ok(success(Response { delivery: delivery.into(), log: attempts.into_iter().map(attempt).collect() }))
}

/// For docs/openapi.json.
pub fn describe(op: &mut Operation<'_>) {
    op.named("getWebhookDelivery", "One webhook with its attempts").answers::<Response>("The delivery.");
}
