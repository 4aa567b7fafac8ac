//! Raised epochs that the session table does not know yet.

use halyard_store::auth_epochs;

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
        match beat.sessions.bump_epoch(epoch.user_id, epoch.auth_epoch, beat.clock.now()).await {
            Ok(()) => {
                auth_epochs::published(&mut *beat.conn().await?, epoch.user_id, epoch.auth_epoch).await?;
                step.add("published", 1);
            }
            Err(error) => step.note(format!("user {}: {error}", epoch.user_id)),
        }
    }
    Ok(())
}
