//! `POST /tasks/webhooks/deliveries/{id}/replay`

use axum::{extract::State, response::IntoResponse};
use halyard_domain::{DeliveryId, authz::Permission, webhook::DeliveryState};
use halyard_http::{ApiResult, AppPath, Caller, openapi::Operation, success};
use halyard_store::webhooks::{self, Replay};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    error::TaskError,
    routes::{QUEUE, database},
    state::{AppState, scope},
};

/// `data`.
#[derive(Debug, Serialize, JsonSchema)]
struct Response {
    /// The same as before.
    delivery_id: DeliveryId,
    state: DeliveryState,
}

/// Sends a webhook once more, under the same id and with the same body.
pub async fn handler(
    State(state): State<AppState>,
    Caller(caller): Caller,
    AppPath(id): AppPath<DeliveryId>,
) -> ApiResult<impl IntoResponse> {
    let (scope, now) = (scope(&caller, Permission::TasksManageAll), state.clock.database_override());
    let done = database(&state, async |conn| webhooks::replay(conn, id, scope, now).await).await;
    match done.map_err(TaskError::from)?.ok_or(TaskError::NoSuchDelivery)? {
        Replay::Owed => {}
        Replay::StillOwed => return Err(TaskError::StillOwed.into()),
        Replay::Disabled => return Err(TaskError::EndpointDisabled.into()),
        Replay::TooOften => return Err(TaskError::SentTooOften.into()),
    }
    state.callbacks.ring_or_leave(std::time::Duration::ZERO, QUEUE).await;
    Ok(success(Response { delivery_id: id, state: DeliveryState::Owed }))
}

/// For docs/openapi.json.
pub fn describe(op: &mut Operation<'_>) {
    op.named("replayWebhook", "Send a webhook once more")
        .detail("Under the same id and with the same body, so that a receiver knows what it has had. It is tried for a day again.")
        .answers::<Response>("It is owed.")
        .problem(409, "delivery_owed", "it has not ended yet")
        .problem(409, "endpoint_disabled", "its endpoint is disabled")
        .problem(409, "sent_too_often", "it has had 1,000 attempts");
}
