//! What is said to the queues after a commit: doorbells for retries.

use std::{collections::BTreeMap, time::Duration};

use halyard_cloud::queue::Outgoing;
use halyard_domain::{Lane, task::MAX_SEND_DELAY};
use halyard_store::tasks::FinishedRow;

use super::Worker;
use crate::doorbell::{self, TraceIds};

/// How long a queue may take; beat repairs what it does not take in time.
const QUEUE: Duration = Duration::from_secs(1);

/// Rings for retries that are due soon enough for a delayed message; beat rings for those that are not.
pub async fn ring_for_retries(worker: &Worker, rows: Vec<FinishedRow>) {
    let mut bells = BTreeMap::<Lane, Vec<Outgoing>>::new();
    for row in rows {
        let Some(delay) = row.delay.filter(|delay| *delay <= MAX_SEND_DELAY) else { continue };
        let ids = TraceIds { request_id: row.request_id, traceparent: row.traceparent };
        bells.entry(row.lane).or_default().push(doorbell::message(row.lane, delay.to_std().unwrap_or_default(), &ids));
    }
    for (lane, messages) in bells {
        if let Err(error) = doorbell::ring_all(&*worker.queue, &worker.queues, lane, &messages, QUEUE).await {
            tracing::warn!(%error, %lane, count = messages.len(), "doorbells of retries were not taken; beat will ring");
        }
    }
}
