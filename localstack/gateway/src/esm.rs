//! Event source mappings: a queue that invokes a function, batch by batch.
//!
//! Sources: <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html>,
//! <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html>. How often a message is received, and
//! when that sends it to the dead-letter queue, is the queue's business.

use std::{collections::HashSet, hash::BuildHasher, sync::Arc, time::Duration};

use aws_lambda_events::sqs::{SqsEvent, SqsMessage, SqsMessageAttribute};
use halyard_cloud::queue::{Queue, QueueError, QueueName, Received};
use halyard_platform::function::{Answer, Event};
use serde_json::Value;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time::Instant,
};

use crate::{
    course::Course,
    invoke::{Invoke, InvokeError},
    template::{EventSourceMapping, QueueSpec},
};

/// SQS waits no longer for the first message.
const LONG_POLL: Duration = Duration::from_secs(20);

/// How a queue is asked.
#[derive(Debug, Clone, Copy)]
pub struct Polling {
    /// How long one receive waits for the first message.
    wait: Duration,
    /// Whether a receive under way is waited for when the gateway leaves.
    to_the_end: bool,
}

impl Polling {
    /// A queue in this process: a receive that is given up has taken nothing.
    pub const NEAR: Self = Self { wait: LONG_POLL, to_the_end: false };
    /// A queue behind a network: what a receive that is given up was about to bring would stay hidden for the visibility
    /// timeout. So it is waited for, and short enough for that; also, the queue goes on to wait on behalf of a process
    /// that was killed.
    pub const FAR: Self = Self { wait: Duration::from_secs(2), to_the_end: true };
}
/// A receive or a delete takes no more.
const SQS_BATCH: u32 = 10;
/// Where the template sets no `MaximumConcurrency`: what Lambda begins with.
const DEFAULT_CONCURRENCY: u32 = 5;
/// The waits between attempts, at a queue that is away or a function that is throttled.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

/// What became of one batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Polled {
    /// Messages received.
    pub received: usize,
    /// Messages done with, and deleted.
    pub deleted: usize,
}

/// One mapping at work.
#[derive(Debug)]
pub struct EventSource {
    mapping: EventSourceMapping,
    name: QueueName,
    arn: String,
    region: String,
    visibility: Duration,
    queue: Arc<dyn Queue>,
    invoke: Arc<dyn Invoke>,
    permits: Arc<Semaphore>,
    polling: Polling,
}

impl EventSource {
    /// A mapping between a queue and a function.
    pub fn new(
        mapping: EventSourceMapping,
        spec: &QueueSpec,
        region: String,
        queue: Arc<dyn Queue>,
        invoke: Arc<dyn Invoke>,
        polling: Polling,
    ) -> Self {
        let concurrency = mapping.max_concurrency.unwrap_or(DEFAULT_CONCURRENCY);
        Self {
            name: QueueName(spec.name.clone()),
            arn: spec.arn.clone(),
            visibility: spec.visibility,
            permits: Arc::new(Semaphore::new(concurrency as usize)),
            mapping,
            region,
            queue,
            invoke,
            polling,
        }
    }

    /// The mapping.
    pub fn mapping(&self) -> &EventSourceMapping {
        &self.mapping
    }

    /// Takes what is there now, up to one batch, and invokes the function with it.
    pub async fn poll_once(&self) -> Result<Polled, QueueError> {
        let messages = self.gather(Duration::ZERO).await?;
        Ok(self.process(messages).await)
    }

    /// Polls until told to stop, then waits for the batches under way.
    ///
    /// A place among the concurrent invocations is taken first and the queue asked then: while all are busy, messages
    /// gather in the queue and the next batch is a full one.
    pub async fn run(self: Arc<Self>, mut course: Course) {
        let mut batches = JoinSet::new();
        let mut wait = BACKOFF.0;
        loop {
            let permit = tokio::select! {
                () = course.leaving() => break,
                permit = Arc::clone(&self.permits).acquire_owned() => permit,
            };
            let Ok(permit) = permit else { break };
            if course.is_leaving() {
                break;
            }
            let mut gathering = std::pin::pin!(self.gather(self.polling.wait));
            let gathered = tokio::select! {
                gathered = &mut gathering => gathered,
                () = course.leaving() => if self.polling.to_the_end { gathering.await } else { break },
            };
            match gathered {
                Ok(messages) => {
                    wait = BACKOFF.0;
                    if !messages.is_empty() {
                        batches.spawn(Arc::clone(&self).batch(messages, permit));
                    }
                }
                Err(error) => {
                    tracing::warn!(queue = %self.name, %error, "cannot receive");
                    tokio::select! {
                        () = course.leaving() => break,
                        () = tokio::time::sleep(wait) => {}
                    }
                    wait = (wait * 2).min(BACKOFF.1);
                }
            }
            while batches.try_join_next().is_some() {}
        }
        while batches.join_next().await.is_some() {}
    }

    async fn batch(self: Arc<Self>, messages: Vec<Received>, permit: OwnedSemaphorePermit) {
        self.process(messages).await;
        drop(permit);
    }

    /// One batch: what is there, or, with a batching window, what comes until it closes or the batch is full.
    async fn gather(&self, wait: Duration) -> Result<Vec<Received>, QueueError> {
        let size = self.mapping.batch.size;
        let mut messages = self.queue.receive(&self.name, size.min(SQS_BATCH), wait, None).await?;
        if messages.is_empty() {
            return Ok(messages);
        }
        let closes = Instant::now() + if wait.is_zero() { Duration::ZERO } else { self.mapping.batch.window };
        loop {
            let room = size.saturating_sub(u32::try_from(messages.len()).unwrap_or(u32::MAX));
            let left = closes.saturating_duration_since(Instant::now());
            if room == 0 || left.is_zero() {
                return Ok(messages);
            }
            match self.queue.receive(&self.name, room.min(SQS_BATCH), left.min(LONG_POLL), None).await {
                Ok(more) => messages.extend(more),
                // What has been received is not to wait for a queue that is away.
                Err(_) => return Ok(messages),
            }
        }
    }

    /// Invokes the function and deletes what it is done with. The rest becomes visible again by itself.
    async fn process(&self, messages: Vec<Received>) -> Polled {
        let received = messages.len();
        if received == 0 {
            return Polled::default();
        }
        let handles: Vec<(String, String)> =
            messages.iter().map(|m| (m.message_id.clone(), m.receipt_handle.clone())).collect();
        let event = self.event(messages);
        let answer = match self.invoke(event).await {
            Ok(answer) => answer,
            Err(error) => {
                tracing::warn!(queue = %self.name, received, %error, "a batch comes back");
                return Polled { received, deleted: 0 };
            }
        };
        let failed = if self.mapping.reports_failures {
            let ids: HashSet<&str> = handles.iter().map(|(id, _)| id.as_str()).collect();
            let Some(failed) = failures(&answer, &ids) else {
                tracing::error!(queue = %self.name, received, "an answer does not report: the batch comes back");
                return Polled { received, deleted: 0 };
            };
            failed
        } else {
            HashSet::new()
        };
        let done: Vec<String> =
            handles.into_iter().filter(|(id, _)| !failed.contains(id)).map(|(_, handle)| handle).collect();
        let mut deleted = 0;
        for chunk in done.chunks(SQS_BATCH as usize) {
            match self.queue.delete(&self.name, chunk).await {
                Ok(()) => deleted += chunk.len(),
                Err(error) => tracing::warn!(queue = %self.name, %error, "done, but not deleted: it comes again"),
            }
        }
        Polled { received, deleted }
    }

    /// A throttled invocation is tried again for as long as the messages are hidden.
    async fn invoke(&self, event: SqsEvent) -> Result<Answer, InvokeError> {
        let hidden_until = Instant::now() + self.visibility;
        let mut wait = BACKOFF.0;
        loop {
            match self.invoke.invoke(&self.mapping.function, Event::Sqs(event.clone())).await {
                Err(InvokeError::Throttled) if Instant::now() + wait < hidden_until => {
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(BACKOFF.1);
                }
                answer => return answer,
            }
        }
    }

    fn event(&self, messages: Vec<Received>) -> SqsEvent {
        let mut event = SqsEvent::default();
        event.records = messages.into_iter().map(|message| self.record(message)).collect();
        event
    }

    fn record(&self, message: Received) -> SqsMessage {
        let mut record = SqsMessage::default();
        record.message_id = Some(message.message_id);
        record.receipt_handle = Some(message.receipt_handle);
        record.body = Some(message.body);
        record.attributes = [
            ("ApproximateReceiveCount", message.receive_count.to_string()),
            ("SentTimestamp", message.sent_at_ms.to_string()),
            // Nothing here has an IAM identity: the account stands for it.
            ("SenderId", self.arn.split(':').nth(4).unwrap_or_default().to_owned()),
            ("ApproximateFirstReceiveTimestamp", message.first_received_at_ms.to_string()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        record.message_attributes =
            message.attributes.into_iter().map(|(name, text)| (name, attribute(text))).collect();
        record.event_source_arn = Some(self.arn.clone());
        record.event_source = Some("aws:sqs".to_owned());
        record.aws_region = Some(self.region.clone());
        record
    }
}

fn attribute(text: String) -> SqsMessageAttribute {
    let mut attribute = SqsMessageAttribute::default();
    attribute.string_value = Some(text);
    attribute.data_type = Some("String".to_owned());
    attribute
}

/// Which messages of the batch are to come again; `None`: all, because the answer does not say.
///
/// An id that is empty, null or not of this batch, and an answer of another shape, bring the whole batch back, as on
/// AWS. An answer that is null or empty does so too, where AWS would take it for a success: a function that promised to
/// report and says nothing has not said that it is done.
pub fn failures<S: BuildHasher>(answer: &Answer, batch: &HashSet<&str, S>) -> Option<HashSet<String>> {
    let ids: Vec<String> = match answer {
        Answer::Sqs(report) => report.batch_item_failures.iter().map(|item| item.item_identifier.clone()).collect(),
        Answer::Plain(json) => json
            .get("batchItemFailures")
            .and_then(Value::as_array)?
            .iter()
            .map(|item| item.get("itemIdentifier").and_then(Value::as_str).map(str::to_owned))
            .collect::<Option<_>>()?,
        _ => return None,
    };
    ids.iter().all(|id| batch.contains(id.as_str())).then(|| ids.into_iter().collect())
}
