//! From the counters of calls in Redis to totals.

use halyard_domain::api_calls;
use halyard_store::statistics;

use crate::{
    Beat,
    report::{Step, StepError},
};

/// Minutes folded at a time.
const MINUTES: i64 = 10;

/// Folds the minutes that are over. With Redis down they wait, up to two hours; it is no failure of this beat.
pub async fn fold(beat: &Beat, step: &mut Step) -> Result<(), StepError> {
    loop {
        let folded = statistics::calls_folded(&mut *beat.conn().await?).await?;
        let closed = api_calls::closed(folded, beat.clock.now());
        if closed.is_empty() {
            return Ok(());
        }
        let (first, last) = (*closed.start(), (closed.start() + MINUTES - 1).min(*closed.end()));
        let calls = match beat.redis.calls(first..=last).await {
            Ok(calls) => calls,
            Err(error) => {
                tracing::warn!(%error, "calls stay in Redis for now");
                return Ok(());
            }
        };
        if statistics::fold_calls(&mut *beat.conn().await?, folded, last, &calls).await? {
            step.add("users", calls.len());
            if let Err(error) = beat.redis.forget_calls(first..=last).await {
                tracing::debug!(%error, "folded calls are forgotten by themselves");
            }
        }
    }
}
