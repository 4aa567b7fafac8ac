//! `POST /auth/logout`

use axum::extract::State;
use halyard_http::{ApiResult, SessionCaller, Success, openapi::Operation, success};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{error::AuthError, state::AppState};

/// `data`.
#[derive(Debug, Serialize, JsonSchema)]
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

/// For docs/openapi.json.
pub fn describe(op: &mut Operation<'_>) {
    op.named("logout", "End this session")
        .detail("Its refresh token ends with it. Only a confirmed end is a success.")
        .answers::<LoggedOut>("The session has ended.");
}
