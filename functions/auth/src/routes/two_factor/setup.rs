//! `POST /auth/2fa/setup`

use axum::extract::State;
use halyard_auth::otp::{DIGITS, PERIOD, Secret};
use halyard_http::{ApiResult, SteppedUp, Success, openapi::Operation, success};
use halyard_store::second_factors;
use schemars::JsonSchema;
use serde::Serialize;

use crate::{error::AuthError, state::AppState};

/// `data`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SecondFactorSecret")]
pub struct Prepared {
    /// Base 32, for typing.
    secret: String,
    /// For scanning.
    otpauth_url: String,
    algorithm: &'static str,
    digits: usize,
    /// Seconds.
    period: i64,
}

/// Makes a secret for the caller's authenticator. It counts once it is confirmed; until then a further call replaces it.
pub async fn handler(State(state): State<AppState>, SteppedUp(caller, _): SteppedUp) -> ApiResult<Success<Prepared>> {
    let secret = Secret::new(&state.entropy);
    let sealed = state.account_key.seal(caller.user_id, secret.as_bytes(), &state.entropy);
    let mut conn = state.pool.acquire().await.map_err(AuthError::from)?;
    let now = state.clock.database_override();
    let set_up = second_factors::set_up(&mut conn, caller.user_id, &sealed, now).await.map_err(AuthError::from)?;
    if !set_up {
        return Err(AuthError::HasSecondFactor.into());
    }
    Ok(success(Prepared {
        otpauth_url: secret.to_uri("Halyard", &caller.username),
        secret: secret.to_base32(),
        algorithm: "SHA1",
        digits: DIGITS,
        period: PERIOD,
    }))
}

/// For docs/openapi.json.
pub fn describe(op: &mut Operation<'_>) {
    op.named("setUpSecondFactor", "Make a secret for an authenticator")
        .detail("It counts once it is confirmed; until then a further call replaces it.")
        .answers::<Prepared>("The secret.")
        .problem(409, "two_factor_enabled", "there is one already");
}
