//! Webhooks that are due and that no doorbell rings for: those that were lost, and those due later than a message can be delayed.

use std::time::Duration;

use halyard_store::webhooks;

use super::SEND;
use crate::{
    Beat,
    report::{Step, StepError},
};

/// Deliveries that one doorbell stands for: a notifier goes on while anything is due.
const EACH: usize = 100;
/// Doorbells of one beat: as many notifiers as there may be.
const BELLS: usize = 4;
/// How long deliveries are kept once they have ended, and their attempts with them; and what is known of URLs that are not
/// called any more.
const KEPT: chrono::Duration = chrono::Duration::days(30);
/// Deliveries forgotten in one beat, and URLs.
const FORGOTTEN: i64 = 5_000;

/// Rings for what is due, unless a doorbell waits to be heard, and forgets what ended a month ago.
pub async fn ring_overdue(beat: &Beat, step: &mut Step) -> Result<(), StepError> {
    let most = i64::try_from(EACH * BELLS).unwrap_or(i64::MAX);
    let due = webhooks::overdue(&mut *beat.conn().await?, most, beat.now()).await?;
    let due = usize::try_from(due).unwrap_or_default();
    if due > 0 {
        step.add("due", due);
        let bells = match tokio::time::timeout(SEND, beat.callbacks.depth()).await {
            Ok(Ok(depth)) if depth.visible > 0 => 0,
            _ => due.div_ceil(EACH),
        };
        match beat.callbacks.ring(&vec![Duration::ZERO; bells], SEND).await {
            Ok(()) => step.add("rung", bells),
            Err(error) => step.note(error),
        }
    }
    let mut conn = beat.conn().await?;
    let forgotten = webhooks::sweep(&mut conn, KEPT, FORGOTTEN, beat.now()).await?;
    step.add("forgotten", usize::try_from(forgotten).unwrap_or_default());
    let endpoints = webhooks::forget_endpoints(&mut conn, KEPT, FORGOTTEN, beat.now()).await?;
    step.add("endpoints_forgotten", usize::try_from(endpoints).unwrap_or_default());
    Ok(())
}
