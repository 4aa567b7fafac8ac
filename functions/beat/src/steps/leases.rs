//! Attempts whose worker vanished.

use std::{collections::BTreeMap, time::Duration};

use halyard_domain::{
    Lane,
    task::{AttemptEnd, AttemptHistory, Verdict, verdict},
};
use halyard_jobs::doorbell::{TraceIds, message};
use halyard_store::tasks::{self, Ending, Finish, FinishedRow, Lost};

use super::ring;
use crate::{
    Beat,
    report::{Step, StepError},
};

/// Attempts followed up at a time.
const BATCH: i64 = 200;

/// Follows up expired leases: the domain says what becomes of each task, and a retry gets its doorbell.
pub async fn reap(beat: &Beat, step: &mut Step) -> Result<(), StepError> {
    loop {
        let lost = tasks::expired_leases(&mut *beat.conn().await?, BATCH, beat.now()).await?;
        let ends: Vec<Finish> = lost.iter().map(|l| end_of(l, beat.entropy.unit())).collect();
        if ends.is_empty() {
            return Ok(());
        }
        let released = tasks::release(&mut *beat.conn().await?, &ends, beat.now()).await?;
        step.add("expired", lost.len());
        step.add("released", released.len());
        ring_for_retries(beat, step, &released).await;
        // Nothing released: others were faster with each, and what is left is theirs.
        if released.is_empty() || lost.len() < usize::try_from(BATCH).unwrap_or(usize::MAX) {
            return Ok(());
        }
    }
}

/// What becomes of a task whose attempt vanished.
fn end_of(lost: &Lost, jitter: f64) -> Finish {
    let history = AttemptHistory {
        failures: lost.failures,
        lost_leases: lost.lost_leases.saturating_add(1),
        cancel_requested: lost.cancel_requested,
    };
    let worker = lost.worker_id.as_deref().unwrap_or("unknown");
    let error = format!("worker {worker} vanished during attempt {}", lost.attempt);
    tracing::warn!(task_id = %lost.id, worker_id = worker, attempt = lost.attempt, lost_leases = history.lost_leases, "lease lost");
    let (ending, what) = match verdict(AttemptEnd::LeaseLost, history, &lost.retry, jitter) {
        Verdict::RetryAfter(delay) => (Ending::Retry { delay, error }, "trying again"),
        Verdict::End(state) => (Ending::Finished { state, result: None, error: Some(error) }, "giving up"),
    };
    Finish {
        id: lost.id,
        fence: lost.fence,
        ending,
        failed: false,
        lease_lost: true,
        message: format!("Lease of worker {worker} ran out: {what}"),
        progress: None,
        checkpoint: None,
    }
}

async fn ring_for_retries(beat: &Beat, step: &mut Step, released: &[FinishedRow]) {
    let mut lanes = BTreeMap::<Lane, Vec<_>>::new();
    for row in released {
        for &lane in &row.wakes {
            lanes.entry(lane).or_default().push(message(lane, Duration::ZERO, &TraceIds::default()));
        }
        if let Some(delay) = row.delay {
            let ids = TraceIds { request_id: row.request_id.clone(), traceparent: row.traceparent.clone() };
            let delay = delay.to_std().unwrap_or(Duration::ZERO);
            lanes.entry(row.lane).or_default().push(message(row.lane, delay, &ids));
        }
    }
    for (lane, messages) in lanes {
        match ring(beat, lane, &messages).await {
            Ok(()) => step.add("rung", messages.len()),
            // Their outbox rows stand.
            Err(error) => step.note(format!("lane {lane}: {error}")),
        }
    }
}
