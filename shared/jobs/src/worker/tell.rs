//! What follows a commit: doorbells for what can run now, or soon, for webhooks, and workflows that go on.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use halyard_cloud::queue::Outgoing;
use halyard_domain::{Lane, task::MAX_SEND_DELAY};
use halyard_store::{tasks::FinishedRow, within};

use super::{DATABASE, Worker};
use crate::{
    doorbell::{self, TraceIds},
    workflows,
};

/// How long a queue may take; beat repairs what it does not take in time.
const QUEUE: Duration = Duration::from_secs(1);

/// Takes the workflows further whose steps have ended. What cannot be done now is still signalled: beat does it.
pub async fn take_workflows_further(worker: &Worker, rows: &[FinishedRow]) {
    let ids: BTreeSet<_> = rows.iter().filter_map(|row| row.workflow).collect();
    for id in ids {
        let taken = within(DATABASE, async {
            let mut conn = worker.pool.acquire().await?;
            workflows::take_further(&mut conn, id, worker.clock.database_override()).await
        });
        match taken.await {
            Ok(taken) => {
                workflows::ring_for(&*worker.queue, &worker.queues, taken.released, QUEUE).await;
                if taken.ended {
                    ring_for_webhooks(worker, Duration::ZERO).await;
                }
            }
            Err(error) => tracing::warn!(%error, workflow_id = %id, "the workflow waits for beat to take it further"),
        }
    }
}

/// Rings for the `count` tasks that were rung for and not taken, with as many messages as were heard.
pub async fn pass_on(worker: &Worker, lane: Lane, count: usize, messages: usize) {
    let messages = doorbell::shared(lane, Duration::ZERO, count, messages, &TraceIds::default());
    if let Err(error) = doorbell::ring_all(&*worker.queue, &worker.queues, lane, &messages, QUEUE).await {
        tracing::warn!(%error, %lane, count, "doorbells were not passed on; beat will ring");
    }
}

/// Rings for what is tried again soon enough for a delayed message (beat rings for what is not), and for tasks that waited for
/// one with the same key to end.
pub async fn ring_for(worker: &Worker, rows: Vec<FinishedRow>) {
    let mut bells = BTreeMap::<Lane, Vec<Outgoing>>::new();
    for row in rows {
        for lane in row.wakes {
            bells.entry(lane).or_default().push(doorbell::message(lane, Duration::ZERO, &TraceIds::default()));
        }
        let Some(delay) = row.delay.filter(|delay| *delay <= MAX_SEND_DELAY) else { continue };
        let ids = TraceIds { request_id: row.request_id, traceparent: row.traceparent };
        bells.entry(row.lane).or_default().push(doorbell::message(row.lane, delay.to_std().unwrap_or_default(), &ids));
    }
    for (lane, messages) in bells {
        if let Err(error) = doorbell::ring_all(&*worker.queue, &worker.queues, lane, &messages, QUEUE).await {
            tracing::warn!(%error, %lane, count = messages.len(), "doorbells were not taken; beat will ring");
        }
    }
}

/// Rings for webhooks that are owed, after `delay`.
pub async fn ring_for_webhooks(worker: &Worker, delay: Duration) {
    worker.callbacks.ring_or_leave(delay, QUEUE).await;
}
