//! `POST /auth/2fa/recovery-codes`

use axum::extract::State;
use halyard_http::{ApiResult, RequestInfo, SteppedUp, Success, openapi::Operation, success};
use halyard_store::second_factors;
use schemars::JsonSchema;
use serde::Serialize;

use super::new_codes;
use crate::{error::AuthError, second_factor, state::AppState};

/// `data`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "RecoveryCodes")]
pub struct Replaced {
    /// Shown this once.
    recovery_codes: Vec<String>,
}

/// Makes new recovery codes; the old ones are void.
pub async fn handler(
    State(state): State<AppState>,
    SteppedUp(caller, _): SteppedUp,
    info: RequestInfo,
) -> ApiResult<Success<Replaced>> {
    let user = caller.user_id;
    let (codes, kept) = new_codes(&state.entropy);
    let (target, request_id) = (format!("user:{user}"), info.request_id().to_string());
    let entry = second_factor::entry(user, "two_factor.replace_recovery_codes", &target, &request_id, &info);
    let mut conn = state.pool.acquire().await.map_err(AuthError::from)?;
    let now = state.clock.database_override();
    let replaced = second_factors::replace_recovery_codes(&mut conn, user, &kept, &entry, now).await;
    if !replaced.map_err(AuthError::from)? {
        return Err(AuthError::NoSecondFactor("recover").into());
    }
    Ok(success(Replaced { recovery_codes: codes }))
}

/// For docs/openapi.json.
pub fn describe(op: &mut Operation<'_>) {
    op.named("replaceRecoveryCodes", "Make new recovery codes")
        .detail("The old ones are void.")
        .answers::<Replaced>("The codes, shown this once.")
        .problem(409, "two_factor_missing", "there is no second factor");
}
