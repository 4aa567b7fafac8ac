//! The steps of a beat.

pub mod audit;
pub mod calls;
pub mod epochs;
pub mod lanes;
pub mod leases;
pub mod mails;
pub mod nodes;
pub mod outbox;
pub mod schedules;
pub mod statistics;
pub mod webhooks;
pub mod workflows;

use std::time::Duration;

use halyard_cloud::queue::{Outgoing, QueueError};
use halyard_domain::Lane;
use halyard_jobs::doorbell;

use crate::Beat;

/// A doorbell that nobody has answered for so long after its time counts as lost.
const GRACE: chrono::Duration = chrono::Duration::seconds(15);

/// How long the queue may take over one lane's doorbells.
const SEND: Duration = Duration::from_secs(8);

/// Rings for `lane`.
async fn ring(beat: &Beat, lane: Lane, messages: &[Outgoing]) -> Result<(), QueueError> {
    doorbell::ring_all(beat.queue.as_ref(), &beat.queues, lane, messages, SEND).await
}

/// How full `lane`'s queue is; `None` when it is not known.
async fn depth(beat: &Beat, lane: Lane) -> Option<halyard_cloud::queue::Depth> {
    let queue = beat.queues.get(lane)?;
    match tokio::time::timeout(SEND, beat.queue.depth(queue)).await {
        Ok(Ok(depth)) => Some(depth),
        Ok(Err(error)) => {
            tracing::warn!(%lane, %error, "the queue's depth is not known");
            None
        }
        Err(_) => None,
    }
}
