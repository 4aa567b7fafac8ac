//! What somebody typed, against the second factor of an account.

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
            let secret = secret(state, user, &factor)?;
            let Some(step) = secret.step_of(&code, state.clock.now()) else {
                return Ok(false);
            };
            // What an older key encrypted is encrypted anew while it is at hand, so that the older one can go.
            let anew = !state.account_key.is_present(&factor.secret);
            let anew = anew.then(|| state.account_key.seal(user, secret.as_bytes(), &state.entropy));
            Ok(second_factors::use_step(&mut conn, user, step, anew.as_deref()).await?)
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

/// The secret of a factor.
pub fn secret(state: &AppState, user: UserId, factor: &SecondFactor) -> Result<Secret, AuthError> {
    let secret = state.account_key.open(user, &factor.secret).ok_or(AuthError::Undecipherable(user))?;
    Ok(Secret::from_bytes(secret))
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
