//! `POST /auth/logout-all`

use axum::extract::State;
use halyard_auth::AuthnFailure;
use halyard_domain::UserId;
use halyard_http::{ApiResult, SessionCaller, Success, openapi::Operation, success};
use halyard_store::auth_epochs;
use schemars::JsonSchema;
use serde::Serialize;

use crate::{epochs, error::AuthError, state::AppState};

/// `data`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AllEnded {
    pub(super) sessions_ended: usize,
}

/// Ends every session of the caller, this one included, by raising the `auth_epoch`.
pub async fn handler(
    State(state): State<AppState>,
    SessionCaller(caller, _): SessionCaller,
) -> ApiResult<Success<AllEnded>> {
    Ok(success(AllEnded { sessions_ended: end_all(&state, caller.user_id).await? }))
}

/// For docs/openapi.json.
pub fn describe(op: &mut Operation<'_>) {
    op.named("logoutAll", "End every session of the caller")
        .detail("This one included.")
        .answers::<AllEnded>("The sessions have ended.");
}

/// The raise comes first: that everything ends counts, and not how much it was. A session table that is down only delays it.
async fn end_all(state: &AppState, user: UserId) -> Result<usize, AuthError> {
    let now = state.clock.database_override();
    let epoch = auth_epochs::raise(&mut *state.pool.acquire().await?, user, now).await?;
    let epoch = epoch.ok_or(AuthnFailure::Revoked)?;
    // Should this fail, the caller gets 503 and beat publishes the epoch. No sign-in and no rotation takes the lower one
    // meanwhile; only the repeat of a rotation just answered may, and its token ends with the others.
    epochs::publish(state, user, epoch).await.map_err(|error| AuthError::EndsOwed(Box::new(error)))?;
    let now = state.clock.now();
    let ended = state.sessions.list(user, now).await?;
    Ok(ended.iter().filter(|session| session.auth_epoch < epoch && session.is_live(now, epoch - 1)).count())
}
