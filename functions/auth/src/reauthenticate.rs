//! Somebody who is signed in shows once more who they are.

use halyard_store::users::User;

use crate::{error::AuthError, state::AppState};

/// Asks for the account's password; `pointer` names the field that holds it. Failures count: a stolen token is no way around
/// the gate of the login.
pub async fn password(state: &AppState, user: &User, typed: &str, pointer: &'static str) -> Result<(), AuthError> {
    state.gate.enter_by(user.id, true, state.clock.now()).await?;
    if !state.hasher.verify(typed, Some(&user.password_hash)).await? {
        return Err(AuthError::WrongField(pointer));
    }
    state.gate.give_back_by(user.id, true).await;
    Ok(())
}
