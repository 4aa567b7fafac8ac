//! Lanes in which tasks wait while their queue is silent.

use std::time::Duration;

use halyard_jobs::doorbell::{self, TraceIds};
use halyard_store::lanes;

use super::{GRACE, depth, ring};
use crate::{
    Beat,
    report::{Step, StepError},
};

/// Rings for lanes that have work and nothing visible in their queue: the doorbells of a purged queue whose outbox rows have been put
/// off come back here.
pub async fn ring_silent(beat: &Beat, step: &mut Step) -> Result<(), StepError> {
    let lanes = lanes::needing_doorbell(&mut *beat.conn().await?, GRACE, beat.now()).await?;
    for (lane, tasks) in lanes {
        step.add("waiting", 1);
        // Doorbells in flight do not count: those of a batch that failed stay hidden for the whole visibility timeout.
        let silent = depth(beat, lane).await.is_some_and(|d| d.visible == 0);
        if !silent {
            continue;
        }
        let bells = doorbell::messages(lane, Duration::ZERO, doorbell::at_least(tasks), &TraceIds::default());
        match ring(beat, lane, &bells).await {
            Ok(()) => step.add("rung", usize::try_from(tasks).unwrap_or_default()),
            Err(error) => step.note(format!("lane {lane}: {error}")),
        }
    }
    Ok(())
}
