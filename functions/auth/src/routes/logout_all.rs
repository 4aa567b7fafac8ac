//! `POST /auth/logout-all`

use axum::extract::State;
use halyard_auth::AuthnFailure;
use halyard_domain::UserId;
use halyard_http::{ApiResult, SessionCaller, Success, success};
use halyard_store::auth_epochs;
use serde::Serialize;

use crate::{epochs, error::AuthError, routes::sessions::live_sessions, state::AppState};

/// `data`.
#[derive(Debug, Serialize)]
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

async fn end_all(state: &AppState, user: UserId) -> Result<usize, AuthError> {
    let live = live_sessions(state, user).await?.len();
    let now = state.clock.database_override();
    let epoch = auth_epochs::raise(&mut *state.pool.acquire().await?, user, now).await?;
    // Should this fail, the caller gets 503 and beat publishes the epoch. No sign-in and no rotation takes the lower one
    // meanwhile; only the repeat of a rotation just answered may, and its token ends with the others.
    epochs::publish(state, user, epoch.ok_or(AuthnFailure::Revoked)?).await?;
    Ok(live)
}
