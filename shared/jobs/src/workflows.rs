//! Taking a workflow further once steps of it have ended.

use std::{collections::BTreeMap, time::Duration};

use halyard_cloud::queue::Queue;
use halyard_domain::{Lane, WorkflowId, task::MAX_SEND_DELAY, workflow::advance};
use halyard_store::{
    Connection, Now, StoreError,
    workflows::{self, Inputs, Released},
};
use serde_json::value::{RawValue, to_raw_value};

use crate::doorbell::{self, LaneQueues, TraceIds};

/// Decisions in one call. Each takes up to a thousand ends of steps, so this is beyond what any workflow needs; beat takes up
/// what is left.
const ROUNDS: usize = 1_000;

/// What came of taking a workflow further.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Taken {
    /// Steps that wait no longer.
    pub released: Vec<Released>,
    /// Has it ended? Then a webhook may be owed.
    pub ended: bool,
}

/// Hears what steps of a workflow have signalled, and commits what follows, until nothing is left that is worth it. Safe to be
/// called by several at once, and again after it was cut off: each decision is one transaction, and one at a time is made for a
/// workflow. Whoever finds somebody else at it leaves it to him: he looks again, without holding anybody off, before he leaves.
///
/// # Errors
/// When the database fails; what was committed stands, and what was not is still signalled.
pub async fn take_further(conn: &mut Connection, id: WorkflowId, now: Now) -> Result<Taken, StoreError> {
    let mut taken = Taken::default();
    for _ in 0..ROUNDS {
        if !workflows::worth_deciding(conn, id).await? {
            break;
        }
        let mut tx = conn.begin().await?;
        let Some(snapshot) = workflows::snapshot(&mut tx, id).await? else {
            tx.rollback().await?;
            break;
        };
        if snapshot.signals.is_empty() {
            // Heard a moment ago. Others may have come here since, and left theirs to this.
            tx.rollback().await?;
            continue;
        }
        let next = advance(snapshot.progress, &snapshot.signals, &snapshot.dependents);
        let steps: Vec<i32> = next.released.iter().copied().collect();
        let inputs = if steps.is_empty() { Vec::new() } else { workflows::inputs(&mut tx, id, &steps).await? };
        let given: Vec<_> = inputs.into_iter().map(|inputs| (inputs.step, merged(inputs))).collect();
        let released = workflows::commit(&mut tx, &snapshot, &next, &given, now).await?;
        tx.commit().await?;
        if let Some(end) = next.end {
            taken.ended = true;
            tracing::info!(workflow_id = %id, state = %end, "workflow ended");
        }
        taken.released.extend(released);
    }
    Ok(taken)
}

/// A step's `data` with `input` in it: the result of the step before it, or, of several, an object with the result of each
/// under its name.
fn merged(inputs: Inputs) -> Box<RawValue> {
    let null = || RawValue::NULL.to_owned();
    let input = match <[_; 1]>::try_from(inputs.results) {
        Ok([(_, _, result)]) => result.unwrap_or_else(null),
        Err(several) => {
            let named = several.into_iter().map(|(number, name, result)| {
                (name.unwrap_or_else(|| number.to_string()), result.unwrap_or_else(null))
            });
            to_raw_value(&named.collect::<BTreeMap<_, _>>()).unwrap_or_else(|_| null())
        }
    };
    // What a client submits is an object: submitting checks it.
    let mut data: BTreeMap<String, Box<RawValue>> = serde_json::from_str(inputs.input.get()).unwrap_or_default();
    data.insert("input".to_owned(), input);
    to_raw_value(&data).unwrap_or(inputs.input)
}

/// Rings for released steps that are due soon enough for a delayed message; beat rings for the others, and for those whose
/// doorbell was not taken within `within`.
pub async fn ring_for(queue: &dyn Queue, queues: &LaneQueues, released: Vec<Released>, within: Duration) {
    let mut bells = BTreeMap::<Lane, Vec<_>>::new();
    for step in released.into_iter().filter(|step| step.delay <= MAX_SEND_DELAY) {
        let ids = TraceIds { request_id: step.request_id, traceparent: step.traceparent };
        let delay = step.delay.to_std().unwrap_or_default();
        bells.entry(step.lane).or_default().push(doorbell::message(step.lane, delay, &ids));
    }
    for (lane, messages) in bells {
        if let Err(error) = doorbell::ring_all(queue, queues, lane, &messages, within).await {
            tracing::warn!(%error, %lane, count = messages.len(), "doorbells of steps were not taken; beat will ring");
        }
    }
}
