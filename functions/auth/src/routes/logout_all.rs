//! `POST /auth/logout-all`

use axum::extract::State;
use halyard_auth::AuthnFailure;
use halyard_domain::UserId;
use halyard_http::{ApiResult, Caller, Success, success};
use halyard_store::users;
use serde::Serialize;

use crate::{error::AuthError, routes::sessions::live_sessions, state::AppState};

/// `data`.
#[derive(Debug, Serialize)]
pub struct AllEnded {
    sessions_ended: usize,
}

/// Ends every session of the caller, this one included, by raising the `auth_epoch`.
pub async fn handler(State(state): State<AppState>, Caller(caller): Caller) -> ApiResult<Success<AllEnded>> {
    Ok(success(AllEnded { sessions_ended: end_all(&state, caller.user_id).await? }))
}

async fn end_all(state: &AppState, user: UserId) -> Result<usize, AuthError> {
    let now = state.clock.now();
    let live = live_sessions(state, user).await?.len();
    let epoch = users::raise_auth_epoch(&mut *state.pool.acquire().await?, user).await?;
    let epoch = epoch.ok_or(AuthnFailure::Revoked)?;
    // Should this fail, the caller gets 503 and asks again; no sign-in or refresh takes the lower epoch meanwhile.
    state.sessions.bump_epoch(user, epoch, now).await?;
    Ok(live)
}
