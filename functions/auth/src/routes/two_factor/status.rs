//! `GET /auth/2fa`

use axum::extract::State;
use chrono::{DateTime, Utc};
use halyard_http::{ApiResult, SessionCaller, Success, openapi::Operation, rfc3339, success};
use halyard_store::second_factors;
use schemars::JsonSchema;
use serde::Serialize;

use crate::{error::AuthError, state::AppState};

/// `data`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SecondFactor")]
pub struct Status {
    two_factor_enabled: bool,
    #[schemars(with = "Option<DateTime<Utc>>")]
    confirmed_at: Option<String>,
    recovery_codes_left: i64,
}

/// Whether the caller's account asks for a second factor, and how many recovery codes are left.
pub async fn handler(
    State(state): State<AppState>,
    SessionCaller(caller, _): SessionCaller,
) -> ApiResult<Success<Status>> {
    let mut conn = state.pool.acquire().await.map_err(AuthError::from)?;
    let factor = second_factors::of(&mut conn, caller.user_id).await.map_err(AuthError::from)?;
    let factor = factor.filter(|factor| factor.confirmed_at.is_some());
    Ok(success(Status {
        two_factor_enabled: factor.is_some(),
        confirmed_at: factor.as_ref().and_then(|factor| factor.confirmed_at).map(rfc3339),
        recovery_codes_left: factor.map_or(0, |factor| factor.recovery_codes_left),
    }))
}

/// For docs/openapi.json.
pub fn describe(op: &mut Operation<'_>) {
    op.named("getSecondFactor", "Whether the account has a second factor").answers::<Status>("Whether it has.");
}
