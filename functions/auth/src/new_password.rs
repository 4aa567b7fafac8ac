//! What a new password must not be.

use halyard_auth::common_passwords;

use crate::{error::AuthError, state::AppState};

/// Refuses a password that everybody uses, unless the configuration allows it. `pointer` names the field, `own` is what
/// belongs to the account: its name, its address.
pub fn check(state: &AppState, pointer: &'static str, password: &str, own: &[&str]) -> Result<(), AuthError> {
    if state.common_passwords {
        return Ok(());
    }
    common_passwords::check(password, own).map_err(|rule| AuthError::Field(pointer, rule))
}
