//! Queues with the semantics of an SQS standard queue: at least once, unordered, visibility timeout, delay, redrive.

pub mod limits;
mod sqs;
mod store;
mod twin;

use std::{fmt, time::Duration};

use async_trait::async_trait;

pub use sqs::SqsQueue;
pub use twin::{DeadLetter, QueueConfig, QueueTwin};

/// A queue's name, as `infra/template.yaml` gives it (without account and region).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QueueName(pub String);

impl QueueName {
    /// The name of the queue at a URL: its last segment.
    pub fn from_url(url: &str) -> Self {
        Self(url.trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_owned())
    }
}

impl fmt::Display for QueueName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A message on its way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// The text, at most 256 KiB.
    pub body: String,
    /// How long it stays hidden first; 0 to 900 s, rounded up to whole seconds (SQS' limit). Zero means the queue's own
    /// default delay.
    pub delay: Duration,
    /// String attributes (trace context).
    pub attributes: Vec<(String, String)>,
}

/// A message in flight to one receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// The same at each delivery.
    pub message_id: String,
    /// New at each delivery; what `delete` and `change_visibility` take.
    pub receipt_handle: String,
    /// The text.
    pub body: String,
    /// `ApproximateReceiveCount`: 1 at the first delivery.
    pub receive_count: u32,
    /// `SentTimestamp`, in milliseconds since 1970.
    pub sent_at_ms: i64,
    /// `ApproximateFirstReceiveTimestamp`, likewise.
    pub first_received_at_ms: i64,
    /// String attributes.
    pub attributes: Vec<(String, String)>,
}

/// How full a queue is. All numbers are approximate on AWS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Depth {
    /// Ready to be received.
    pub visible: u64,
    /// Received, neither deleted nor visible again.
    pub in_flight: u64,
    /// Sent with a delay that has not passed.
    pub delayed: u64,
}

/// Why a queue could not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// No such queue.
    #[error("queue {0} does not exist")]
    NoSuchQueue(QueueName),
    /// The request breaks a limit of SQS (batch of 10, 256 KiB, 900 s delay, an unknown receipt handle).
    #[error("the queue refused the request: {0}")]
    Refused(String),
    /// The service did not answer, or said that it cannot now.
    #[error("the queue service is unavailable: {0}")]
    Unavailable(String),
}

/// A queue service. Batches hold at most ten entries, as in SQS.
#[async_trait]
pub trait Queue: Send + Sync + fmt::Debug {
    /// Sends up to ten messages. Answers with the indices of those that were *not* taken (empty: all were).
    async fn send(&self, queue: &QueueName, messages: &[Outgoing]) -> Result<Vec<usize>, QueueError>;

    /// Receives up to `max` (1-10) messages, waiting up to `wait` (0-20 s) for the first. They stay hidden for
    /// `visibility`, or for the queue's own timeout when `None`.
    async fn receive(
        &self,
        queue: &QueueName,
        max: u32,
        wait: Duration,
        visibility: Option<Duration>,
    ) -> Result<Vec<Received>, QueueError>;

    /// Deletes up to ten messages by receipt handle. Deleting what is gone already is not an error.
    async fn delete(&self, queue: &QueueName, receipt_handles: &[String]) -> Result<(), QueueError>;

    /// Hides a message for `timeout` from now (0-12 h); zero makes it visible at once.
    async fn change_visibility(
        &self,
        queue: &QueueName,
        receipt_handle: &str,
        timeout: Duration,
    ) -> Result<(), QueueError>;

    /// Forgets every message, in flight or not.
    async fn purge(&self, queue: &QueueName) -> Result<(), QueueError>;

    /// How full the queue is.
    async fn depth(&self, queue: &QueueName) -> Result<Depth, QueueError>;
}
