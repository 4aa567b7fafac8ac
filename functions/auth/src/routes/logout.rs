//! `POST /auth/logout`

use axum::extract::State;
use halyard_http::{ApiResult, SessionCaller, Success, success};
use serde::Serialize;

use crate::{error::AuthError, state::AppState};

/// `data`.
#[derive(Debug, Serialize)]
pub struct LoggedOut {
    message: &'static str,
}

/// Ends the caller's session, refresh token included. Only a confirmed end is a success: else 503.
pub async fn handler(
    State(state): State<AppState>,
    SessionCaller(caller, session): SessionCaller,
) -> ApiResult<Success<LoggedOut>> {
    let now = state.clock.now();
    // An end that somebody else brought about is one too.
    state.sessions.revoke(caller.user_id, session, now).await.map_err(AuthError::from)?;
    Ok(success(LoggedOut { message: "the session has ended" }))
}
