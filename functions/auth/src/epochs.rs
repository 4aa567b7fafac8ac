//! A raised `auth_epoch` on its way to where sessions are verified.

use halyard_domain::{UserId, api_key::Owner};
use halyard_store::{auth_epochs, users};

use crate::{error::AuthError, state::AppState};

/// Publishes an epoch that a committed statement has raised. Should it fail, the caller hears so, and beat publishes it.
pub async fn publish(state: &AppState, user: UserId, epoch: i64) -> Result<(), AuthError> {
    let owner = owner(state, user).await;
    let telling = state.sessions.publish_epoch(user, epoch, owner, state.clock.now());
    auth_epochs::tell(&state.pool, user, epoch, telling).await
}

/// What has become of the owner of the user's API keys.
async fn owner(state: &AppState, user: UserId) -> Result<Option<Owner>, AuthError> {
    let user = users::by_id(&mut *state.pool.acquire().await?, user).await?;
    Ok(user.and_then(|user| user.as_owner()))
}
