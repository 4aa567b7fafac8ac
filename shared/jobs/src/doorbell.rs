//! Doorbells: messages that say "this lane has work", and nothing more.

use std::{collections::BTreeMap, time::Duration};

use halyard_cloud::queue::{Outgoing, Queue, QueueError, QueueName};
use halyard_domain::Lane;
use serde::{Deserialize, Serialize};

/// The queue of each lane.
#[derive(Debug, Clone, Default)]
pub struct LaneQueues(BTreeMap<Lane, QueueName>);

impl LaneQueues {
    /// From each lane's queue URL; the queue's name is the last segment of the path.
    pub fn from_urls<'a>(urls: impl IntoIterator<Item = (Lane, &'a str)>) -> Self {
        let name = |url: &str| QueueName(url.trim_end_matches('/').rsplit('/').next().unwrap_or(url).to_owned());
        Self(urls.into_iter().map(|(lane, url)| (lane, name(url))).collect())
    }

    /// The lane's queue.
    pub fn get(&self, lane: Lane) -> Option<&QueueName> {
        self.0.get(&lane)
    }
}

/// The ids that follow a request through the queue into the worker's logs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TraceIds {
    /// `X-Request-Id`.
    pub request_id: Option<String>,
    /// W3C `traceparent`.
    pub traceparent: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Body {
    v: u8,
    lane: Lane,
}

/// A message that is not a doorbell of a version known here.
#[derive(Debug, thiserror::Error)]
#[error("not a doorbell: {0}")]
pub struct NotADoorbell(String);

/// The lane that a message's body rings for.
pub fn decode(body: &str) -> Result<Lane, NotADoorbell> {
    let body: Body = serde_json::from_str(body).map_err(|error| NotADoorbell(error.to_string()))?;
    if body.v == 1 { Ok(body.lane) } else { Err(NotADoorbell(format!("version {}", body.v))) }
}

/// SQS' longest send delay.
const MAX_DELAY: Duration = Duration::from_mins(15);
/// SQS' largest batch.
const BATCH: usize = 10;

/// A message that rings for `lane` after `delay`, rounded up to whole seconds and cut at SQS' 900 s.
pub fn message(lane: Lane, delay: Duration, ids: &TraceIds) -> Outgoing {
    let whole = if delay.subsec_nanos() > 0 { delay.as_secs() + 1 } else { delay.as_secs() };
    let named = [("request_id", &ids.request_id), ("traceparent", &ids.traceparent)];
    let attributes =
        named.into_iter().filter_map(|(name, value)| value.clone().map(|value| (name.to_owned(), value))).collect();
    Outgoing {
        body: format!(r#"{{"v":1,"lane":"{lane}"}}"#),
        delay: Duration::from_secs(whole).min(MAX_DELAY),
        attributes,
    }
}

/// Rings `count` times for `lane`, each after `delay`, waiting no longer than `within` for the queue's answer.
///
/// # Errors
/// When the queue is unknown, refuses or does not answer in time. Nothing is lost by it: the outbox row stands until
/// the task is claimed, and beat rings for it again.
pub async fn ring(
    queue: &dyn Queue,
    queues: &LaneQueues,
    lane: Lane,
    delay: Duration,
    count: usize,
    ids: &TraceIds,
    within: Duration,
) -> Result<(), QueueError> {
    ring_all(queue, queues, lane, &vec![message(lane, delay, ids); count], within).await
}

/// Sends doorbells that were made with [`message`], in batches, all within `within`.
///
/// # Errors
/// As [`ring`].
pub async fn ring_all(
    queue: &dyn Queue,
    queues: &LaneQueues,
    lane: Lane,
    messages: &[Outgoing],
    within: Duration,
) -> Result<(), QueueError> {
    let name = queues.get(lane).ok_or_else(|| QueueError::NoSuchQueue(QueueName(lane.to_string())))?;
    let send = async {
        for batch in messages.chunks(BATCH) {
            let refused = queue.send(name, batch).await?;
            if !refused.is_empty() {
                return Err(QueueError::Unavailable(format!("{} of {} were not taken", refused.len(), batch.len())));
            }
        }
        Ok(())
    };
    let silent = |_| Err(QueueError::Unavailable(format!("no answer within {} ms", within.as_millis())));
    tokio::time::timeout(within, send).await.unwrap_or_else(silent)
}
