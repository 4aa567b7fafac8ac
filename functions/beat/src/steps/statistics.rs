//! From deltas to totals.

use halyard_store::statistics;

use crate::{
    Beat,
    report::{Step, StepError},
};

/// Deltas folded at a time: some tens of milliseconds.
const BATCH: i64 = 5_000;

/// Notes how many tasks run, and folds until there is nothing left or the time is up.
pub async fn fold(beat: &Beat, step: &mut Step) -> Result<(), StepError> {
    if let Err(error) = statistics::sample_running(&mut *beat.conn().await?, beat.now()).await {
        step.note(error);
    }
    loop {
        let folded = statistics::fold(&mut *beat.conn().await?, BATCH).await?;
        step.add("folded", usize::try_from(folded).unwrap_or_default());
        if folded < BATCH {
            return Ok(());
        }
    }
}
