//! What somebody typed, against the second factor of an account.

use chrono::{DateTime, Utc};
use halyard_auth::otp::{Secret, Typed};
use halyard_domain::UserId;
use halyard_http::RequestInfo;
use halyard_store::{
    audit,
    second_factors::{self, SecondFactor},
};
use serde_json::json;

use crate::{error::AuthError, state::AppState};

/// How a one-time password is called (RFC 8176); a recovery code is one as well.
pub const BY_OTP: &str = "otp";

/// Is it a code of the account's authenticator, or one of its recovery codes? Uses it up if so. That failures count is for
/// the caller to see to.
pub async fn check(state: &AppState, user: UserId, typed: &str, info: &RequestInfo) -> Result<bool, AuthError> {
    match Typed::parse(typed) {
        None => Ok(false),
        Some(Typed::Code(code)) => {
            let mut conn = state.pool.acquire().await?;
            let factor = second_factors::of(&mut conn, user).await?.filter(|factor| factor.confirmed_at.is_some());
            let Some(factor) = factor else { return Ok(false) };
            match step_of(state, user, &factor, &code, state.clock.now())? {
                Some(step) => Ok(second_factors::use_step(&mut conn, user, step).await?),
                None => Ok(false),
            }
        }
        Some(Typed::Recovery(hash)) => {
            let (target, request_id) = (format!("user:{user}"), info.request_id().to_string());
            let entry = entry(user, "two_factor.use_recovery_code", &target, &request_id, info);
            let mut conn = state.pool.acquire().await?;
            let now = state.clock.database_override();
            Ok(second_factors::use_recovery_code(&mut conn, user, &hash, &entry, now).await?)
        }
    }
}

/// The time step of a code of this factor.
pub fn step_of(
    state: &AppState,
    user: UserId,
    factor: &SecondFactor,
    code: &str,
    now: DateTime<Utc>,
) -> Result<Option<i64>, AuthError> {
    let secret = state.account_key.open(user, &factor.secret).ok_or(AuthError::Undecipherable(user))?;
    Ok(Secret::from_bytes(secret).step_of(code, now))
}

/// An entry for the audit about a user's own second factor.
pub fn entry<'a>(
    user: UserId,
    action: &'a str,
    target: &'a str,
    request_id: &'a str,
    info: &RequestInfo,
) -> audit::Entry<'a> {
    let session = info.principal().and_then(halyard_auth::Principal::session_id);
    let detail = json!({"session": session, "address": info.address()});
    audit::Entry { actor: Some(user), action, target, detail, request_id: Some(request_id) }
}
