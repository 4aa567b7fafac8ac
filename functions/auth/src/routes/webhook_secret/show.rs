//! `GET /tasks/webhooks/secret`

use axum::extract::State;
use halyard_http::{ApiResult, Items, SessionCaller, Success, openapi::Operation, success};
use halyard_store::webhooks;

use super::View;
use crate::{error::AuthError, state::AppState};

/// The versions that sign now, the newest first. There are few: one page.
pub async fn handler(
    State(state): State<AppState>,
    SessionCaller(caller, _): SessionCaller,
) -> ApiResult<Success<Items<View>>> {
    let mut conn = state.pool.acquire().await.map_err(AuthError::from)?;
    let now = state.clock.database_override();
    let found = webhooks::secrets(&mut conn, caller.user_id, now).await.map_err(AuthError::from)?;
    Ok(success(Items { items: found.into_iter().map(View::from).collect(), next_cursor: None }))
}

/// For docs/openapi.json.
pub fn describe(op: &mut Operation<'_>) {
    op.named("getWebhookSecrets", "What the caller's webhooks are signed with")
        .detail(
            "Without the secret, which is shown once, when it is made. Empty until one is made, or the first webhook was sent: \
             then there is one that nobody has seen, and whose public key verifies.",
        )
        .answers::<Items<View>>("The versions that sign now.");
}
