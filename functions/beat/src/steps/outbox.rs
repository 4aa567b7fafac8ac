//! Doorbells that were lost, and those of tasks that were due too late for a send delay.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    time::Duration,
};

use halyard_domain::Lane;
use halyard_jobs::doorbell::{TraceIds, message, messages};
use halyard_store::{outbox, tasks};

use super::{GRACE, depth, ring};
use crate::{
    Beat,
    report::{Step, StepError},
};

/// Rows taken at a time.
const BATCH: i64 = 500;
/// Batches of one beat: the rest has its turn in a minute.
const BATCHES: usize = 10;

/// Throttles of unique keys forgotten in one beat.
const THROTTLES: i64 = 5_000;

/// Rings for the outbox rows that are overdue, and forgets throttles that are past.
pub async fn sweep(beat: &Beat, step: &mut Step) -> Result<(), StepError> {
    let mut waiting = BTreeMap::<Lane, usize>::new();
    for _ in 0..BATCHES {
        let rows = outbox::overdue(&mut *beat.conn().await?, GRACE, BATCH, beat.now()).await?;
        step.add("overdue", rows.len());
        let mut lanes = BTreeMap::<Lane, Vec<Duration>>::new();
        for row in &rows {
            lanes.entry(row.lane).or_default().push(row.delay.to_std().unwrap_or_default());
        }
        for (lane, delays) in lanes {
            if let Entry::Vacant(entry) = waiting.entry(lane) {
                let visible = depth(beat, lane).await.map_or(0, |d| usize::try_from(d.visible).unwrap_or(usize::MAX));
                entry.insert(visible);
            }
            ring_for(beat, step, lane, delays, waiting.entry(lane).or_default()).await;
        }
        if rows.len() < usize::try_from(BATCH).unwrap_or(usize::MAX) {
            break;
        }
    }
    let forgotten = tasks::forget_throttles(&mut *beat.conn().await?, THROTTLES, beat.now()).await?;
    step.add("throttles", usize::try_from(forgotten).unwrap_or_default());
    Ok(())
}

/// Rings for each row, many that are due sharing messages, but not for those that a doorbell still in the queue will do
/// for: any doorbell of a lane answers any of its tasks. `waiting` is how many of those are left: each does for one row only,
/// and what this beat rings is not among them.
async fn ring_for(beat: &Beat, step: &mut Step, lane: Lane, mut delays: Vec<Duration>, waiting: &mut usize) {
    delays.sort_unstable();
    let due = delays.iter().take_while(|d| d.is_zero()).count();
    let spared = due.min(*waiting);
    *waiting -= spared;
    step.add("spared", spared);
    let mut bells = messages(lane, Duration::ZERO, due - spared, &TraceIds::default());
    bells.extend(delays[due..].iter().map(|&delay| message(lane, delay, &TraceIds::default())));
    match ring(beat, lane, &bells).await {
        Ok(()) => step.add("rung", delays.len() - spared),
        Err(error) => step.note(format!("lane {lane}: {error}")),
    }
}
