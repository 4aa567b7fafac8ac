//! `DELETE /auth/2fa`

use axum::extract::State;
use halyard_http::{ApiResult, RequestInfo, SteppedUp, Success, openapi::Operation, success};
use halyard_store::second_factors;
use schemars::JsonSchema;
use serde::Serialize;

use crate::{error::AuthError, second_factor, state::AppState};

/// `data`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SecondFactorRemoved")]
pub struct Removed {
    two_factor_enabled: bool,
}

/// Takes the caller's second factor away, recovery codes included. Whoever signed in, or stepped up, within ten minutes has
/// just shown it.
pub async fn handler(
    State(state): State<AppState>,
    SteppedUp(caller, _): SteppedUp,
    info: RequestInfo,
) -> ApiResult<Success<Removed>> {
    let user = caller.user_id;
    let (target, request_id) = (format!("user:{user}"), info.request_id().to_string());
    let entry = second_factor::entry(user, "two_factor.disable", &target, &request_id, &info);
    let mut conn = state.pool.acquire().await.map_err(AuthError::from)?;
    let now = state.clock.database_override();
    if !second_factors::remove(&mut conn, user, &entry, now).await.map_err(AuthError::from)? {
        return Err(AuthError::NoSecondFactor("remove").into());
    }
    Ok(success(Removed { two_factor_enabled: false }))
}

/// For docs/openapi.json.
pub fn describe(op: &mut Operation<'_>) {
    op.named("removeSecondFactor", "Take the second factor away")
        .answers::<Removed>("It is gone, recovery codes included.")
        .problem(409, "two_factor_missing", "there is no second factor");
}
