//! Doorbells: messages that say "this lane has work", and nothing more.

use std::{collections::BTreeMap, time::Duration};

use halyard_cloud::queue::{Outgoing, Queue, QueueError, QueueName};
use halyard_domain::Lane;
use halyard_store::lanes;
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
    #[serde(default = "one")]
    count: usize,
}

fn one() -> usize {
    1
}

/// What a message says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Doorbell {
    /// The lane that has work.
    pub lane: Lane,
    /// For how many tasks it rings, 1 or more. Whoever hears it and cannot take as many passes the rest on.
    pub count: usize,
}

/// A message that is not a doorbell of a version known here.
#[derive(Debug, thiserror::Error)]
#[error("not a doorbell: {0}")]
pub struct NotADoorbell(String);

/// What a message's body rings for.
pub fn decode(body: &str) -> Result<Doorbell, NotADoorbell> {
    let body: Body = serde_json::from_str(body).map_err(|error| NotADoorbell(error.to_string()))?;
    match body {
        Body { v: 1, count: 0, .. } => Err(NotADoorbell("for no task".to_owned())),
        Body { v: 1, lane, count } => Ok(Doorbell { lane, count }),
        Body { v, .. } => Err(NotADoorbell(format!("version {v}"))),
    }
}

/// SQS' longest send delay.
const MAX_DELAY: Duration = Duration::from_mins(15);
/// SQS' largest batch.
const BATCH: usize = 10;

/// More tasks than these share messages: sending one for each would take longer than a caller wants to wait.
const ONE_EACH: usize = 10;
/// At most so many messages for any number of tasks: more than there are workers to hear them at once.
const MESSAGES: usize = 50;

/// For how many tasks to ring where `counted` were counted, and counting stops at [`lanes::COUNT_CAP`]: for more than there can be,
/// if it did. Whoever claims fewer tasks than he asked for passes nothing on, so the surplus ends with the tasks.
pub fn at_least(counted: i64) -> usize {
    const MORE_THAN_ANY: usize = 10_000_000;
    if counted < lanes::COUNT_CAP { usize::try_from(counted).unwrap_or_default() } else { MORE_THAN_ANY }
}

/// Messages that ring for `count` tasks of `lane` after `delay`: one each, or, of many, some that ring for several.
pub fn messages(lane: Lane, delay: Duration, count: usize, ids: &TraceIds) -> Vec<Outgoing> {
    let n = if count <= ONE_EACH { count } else { MESSAGES.min(count) };
    shared(lane, delay, count, n, ids)
}

/// `n` messages, or fewer, that ring for `count` tasks in all.
pub(crate) fn shared(lane: Lane, delay: Duration, count: usize, n: usize, ids: &TraceIds) -> Vec<Outgoing> {
    let n = n.min(count);
    let share = |place: usize| count / n + usize::from(place < count % n);
    (0..n).map(|place| counted(message(lane, delay, ids), lane, share(place))).collect()
}

fn counted(message: Outgoing, lane: Lane, count: usize) -> Outgoing {
    if count == 1 {
        return message;
    }
    Outgoing { body: format!(r#"{{"v":1,"lane":"{lane}","count":{count}}}"#), ..message }
}

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

/// Rings for `count` tasks of `lane` after `delay`, waiting no longer than `within` for the queue's answer.
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
    ring_all(queue, queues, lane, &messages(lane, delay, count, ids), within).await
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
