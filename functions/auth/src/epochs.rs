//! A raised `auth_epoch` on its way to where sessions are verified.

use halyard_domain::UserId;
use halyard_store::auth_epochs;

use crate::{error::AuthError, state::AppState};

/// Publishes an epoch that a committed statement has raised. Should it fail, the caller hears so, and beat publishes it.
pub async fn publish(state: &AppState, user: UserId, epoch: i64) -> Result<(), AuthError> {
    let telling = state.sessions.bump_epoch(user, epoch, state.clock.now());
    Ok(auth_epochs::tell(&state.pool, user, epoch, telling).await?)
}
