//! Somebody who is signed in shows once more who they are.

use halyard_http::RequestInfo;
use halyard_store::users::User;

use crate::{error::AuthError, second_factor, state::AppState};

/// Asks for the account's password; `pointer` names the field that holds it. Failures count: a stolen token is no way around
/// the gate of the login.
pub async fn password(state: &AppState, user: &User, typed: &str, pointer: &'static str) -> Result<(), AuthError> {
    state.gate.prove(user.id, true, &*state.clock, is_password(state, user, typed, pointer)).await
}

/// Asks for the password in `/password`, and in `/otp` for a one-time password where the account has a second factor: one
/// failure, whichever is wrong.
pub async fn whole(
    state: &AppState,
    user: &User,
    password: &str,
    otp: &str,
    info: &RequestInfo,
) -> Result<(), AuthError> {
    let shown = Box::pin(async {
        is_password(state, user, password, "/password").await?;
        if user.two_factor_enabled && !second_factor::check(state, user.id, otp, info).await? {
            return Err(AuthError::WrongField("/otp"));
        }
        Ok(())
    });
    state.gate.prove(user.id, true, &*state.clock, shown).await
}

async fn is_password(state: &AppState, user: &User, typed: &str, pointer: &'static str) -> Result<(), AuthError> {
    let right = state.hasher.verify(typed, Some(&user.password_hash)).await?;
    right.then_some(()).ok_or(AuthError::WrongField(pointer))
}
