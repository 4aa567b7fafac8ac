//! Raised epochs that the session table does not know yet.

use halyard_domain::{UserId, api_key::Owner};
use halyard_store::{auth_epochs, users};

use crate::{
    Beat,
    report::{Step, StepError},
};

/// Epochs published at a time.
const BATCH: i64 = 100;

/// Publishes what is owed. One that cannot be published stays for the next beat.
pub async fn publish(beat: &Beat, step: &mut Step) -> Result<(), StepError> {
    let owed = auth_epochs::owed(&mut *beat.conn().await?, BATCH).await?;
    for epoch in owed {
        let owner = owner(beat, epoch.user_id).await;
        match beat.sessions.publish_epoch(epoch.user_id, epoch.auth_epoch, owner, beat.clock.now()).await {
            Ok(()) => {
                auth_epochs::published(&mut *beat.conn().await?, epoch.user_id, epoch.auth_epoch).await?;
                step.add("published", 1);
            }
            Err(error) => step.note(format!("user {}: {error}", epoch.user_id)),
        }
    }
    Ok(())
}

/// What has become of the owner of a user's API keys.
async fn owner(beat: &Beat, user: UserId) -> Result<Option<Owner>, StepError> {
    let user = users::by_id(&mut *beat.conn().await?, user).await?;
    Ok(user.and_then(|user| user.as_owner()))
}
