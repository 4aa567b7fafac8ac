//! Workflows whose steps have ended, but that nobody took further: whoever was about to is gone.

use halyard_jobs::workflows;

use super::SEND;
use crate::{
    Beat,
    report::{Step, StepError},
};

/// Workflows looked at in one beat.
const WORKFLOWS: i64 = 1_000;

/// Takes further every workflow that has signals. One that somebody else is taking further at this moment takes no harm.
pub async fn take_further(beat: &Beat, step: &mut Step) -> Result<(), StepError> {
    let ids = halyard_store::workflows::signalled(&mut *beat.conn().await?, WORKFLOWS).await?;
    for id in ids {
        // Webhooks that are owed by it are rung for by a later step.
        let released = workflows::take_further(&mut beat.conn().await?, id, beat.now()).await?.released;
        step.add("advanced", 1);
        step.add("released", released.len());
        workflows::ring_for(beat.queue.as_ref(), &beat.queues, released, SEND).await;
    }
    Ok(())
}
