//! Nodes that are gone.

use halyard_store::nodes;

use crate::{
    Beat,
    report::{Step, StepError},
};

/// Forgets nodes that were not seen for long.
pub async fn sweep(beat: &Beat, step: &mut Step) -> Result<(), StepError> {
    let forgotten = nodes::sweep(&mut *beat.conn().await?, beat.now()).await?;
    step.add("forgotten", usize::try_from(forgotten).unwrap_or(usize::MAX));
    Ok(())
}
