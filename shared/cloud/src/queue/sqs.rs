//! The adapter over SQS.

use std::{collections::HashMap, fmt, time::Duration};

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_sqs::{
    Client,
    config::Builder,
    error::{ProvideErrorMetadata, SdkError},
    types::{
        BatchResultErrorEntry, DeleteMessageBatchRequestEntry, Message, MessageAttributeValue,
        MessageSystemAttributeName, QueueAttributeName, SendMessageBatchRequestEntry,
    },
};

use super::{Depth, Outgoing, Queue, QueueError, QueueName, Received, limits};
use crate::{
    aws::{self, Fault},
    round_trips,
};

/// SQS, or an emulator of it.
#[derive(Clone)]
pub struct SqsQueue {
    client: Client,
    urls: HashMap<QueueName, String>,
    prefix: Option<String>,
}

impl fmt::Debug for SqsQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqsQueue").field("urls", &self.urls).field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

impl SqsQueue {
    /// Knows the queues at `urls` (`QUEUE_*_URL`), each under the name that is its URL's last segment.
    pub fn with_urls(config: &SdkConfig, urls: impl IntoIterator<Item = String>) -> Self {
        let urls = urls.into_iter().map(|url| (QueueName::from_url(&url), url)).collect();
        Self { client: Client::new(config), urls, prefix: None }
    }

    /// Knows every queue at `prefix`/name, for instance `https://sqs.eu-west-1.amazonaws.com/123456789012`.
    pub fn with_prefix(config: &SdkConfig, prefix: &str) -> Self {
        let prefix = Some(prefix.trim_end_matches('/').to_owned());
        Self { client: Client::new(config), urls: HashMap::new(), prefix }
    }

    fn url(&self, queue: &QueueName) -> Result<String, QueueError> {
        round_trips::QUEUE.add(1);
        let by_prefix = || self.prefix.as_ref().map(|prefix| format!("{prefix}/{queue}"));
        self.urls.get(queue).cloned().or_else(by_prefix).ok_or_else(|| QueueError::NoSuchQueue(queue.clone()))
    }
}

#[async_trait]
impl Queue for SqsQueue {
    async fn send(&self, queue: &QueueName, messages: &[Outgoing]) -> Result<Vec<usize>, QueueError> {
        limits::check_send(messages)?;
        let url = self.url(queue)?;
        let entries = messages.iter().enumerate().map(|(i, m)| entry(i, m)).collect::<Result<_, _>>()?;
        let answer = self.client.send_message_batch().queue_url(url).set_entries(Some(entries)).send().await;
        let answer = answer.map_err(|e| error(queue, &e))?;
        Ok(answer.failed().iter().filter_map(|failed| failed.id().parse().ok()).collect())
    }

    async fn receive(
        &self,
        queue: &QueueName,
        max: u32,
        wait: Duration,
        visibility: Option<Duration>,
    ) -> Result<Vec<Received>, QueueError> {
        limits::check_receive(max, wait, visibility)?;
        let answer = self
            .client
            .receive_message()
            .queue_url(self.url(queue)?)
            .max_number_of_messages(int(u64::from(max)))
            .wait_time_seconds(seconds(wait))
            .set_visibility_timeout(visibility.map(seconds))
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount)
            .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp)
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateFirstReceiveTimestamp)
            .message_attribute_names("All")
            .customize()
            .config_override(Builder::default().timeout_config(aws::timeouts(wait)))
            .send()
            .await
            .map_err(|e| error(queue, &e))?;
        Ok(answer.messages.unwrap_or_default().into_iter().map(received).collect())
    }

    async fn delete(&self, queue: &QueueName, receipt_handles: &[String]) -> Result<(), QueueError> {
        limits::check_batch(receipt_handles.len())?;
        let entries = receipt_handles.iter().enumerate().map(|(i, handle)| {
            let entry = DeleteMessageBatchRequestEntry::builder().id(i.to_string()).receipt_handle(handle);
            entry.build().map_err(|e| QueueError::Refused(e.to_string()))
        });
        let entries = entries.collect::<Result<Vec<_>, _>>()?;
        let request = self.client.delete_message_batch().queue_url(self.url(queue)?).set_entries(Some(entries));
        let answer = request.send().await.map_err(|e| error(queue, &e))?;
        answer.failed().first().map_or(Ok(()), |failed| Err(entry_error(failed)))
    }

    async fn change_visibility(
        &self,
        queue: &QueueName,
        receipt_handle: &str,
        timeout: Duration,
    ) -> Result<(), QueueError> {
        limits::check_visibility(timeout)?;
        let request = self.client.change_message_visibility().queue_url(self.url(queue)?);
        let request = request.receipt_handle(receipt_handle).visibility_timeout(seconds(timeout));
        request.send().await.map(drop).map_err(|e| error(queue, &e))
    }

    async fn purge(&self, queue: &QueueName) -> Result<(), QueueError> {
        let request = self.client.purge_queue().queue_url(self.url(queue)?);
        request.send().await.map(drop).map_err(|e| error(queue, &e))
    }

    async fn depth(&self, queue: &QueueName) -> Result<Depth, QueueError> {
        let answer = self
            .client
            .get_queue_attributes()
            .queue_url(self.url(queue)?)
            .attribute_names(QueueAttributeName::ApproximateNumberOfMessages)
            .attribute_names(QueueAttributeName::ApproximateNumberOfMessagesNotVisible)
            .attribute_names(QueueAttributeName::ApproximateNumberOfMessagesDelayed)
            .send()
            .await
            .map_err(|e| error(queue, &e))?;
        let attributes = answer.attributes.unwrap_or_default();
        let count = |name| attributes.get(&name).and_then(|n| n.parse().ok()).unwrap_or_default();
        Ok(Depth {
            visible: count(QueueAttributeName::ApproximateNumberOfMessages),
            in_flight: count(QueueAttributeName::ApproximateNumberOfMessagesNotVisible),
            delayed: count(QueueAttributeName::ApproximateNumberOfMessagesDelayed),
        })
    }
}

fn entry(index: usize, message: &Outgoing) -> Result<SendMessageBatchRequestEntry, QueueError> {
    let invalid = |e: aws_sdk_sqs::error::BuildError| QueueError::Refused(e.to_string());
    let mut entry = SendMessageBatchRequestEntry::builder().id(index.to_string()).message_body(&message.body);
    if !message.delay.is_zero() {
        entry = entry.delay_seconds(seconds(message.delay));
    }
    for (name, value) in &message.attributes {
        let value = MessageAttributeValue::builder().data_type("String").string_value(value).build();
        entry = entry.message_attributes(name, value.map_err(invalid)?);
    }
    entry.build().map_err(invalid)
}

fn received(message: Message) -> Received {
    let system = message.attributes.unwrap_or_default();
    let number = |name| system.get(&name).and_then(|n: &String| n.parse().ok()).unwrap_or_default();
    let attributes = message.message_attributes.unwrap_or_default().into_iter();
    let mut attributes: Vec<_> = attributes.filter_map(|(name, v)| Some((name, v.string_value?))).collect();
    attributes.sort();
    Received {
        receive_count: u32::try_from(number(MessageSystemAttributeName::ApproximateReceiveCount)).unwrap_or(u32::MAX),
        sent_at_ms: number(MessageSystemAttributeName::SentTimestamp),
        first_received_at_ms: number(MessageSystemAttributeName::ApproximateFirstReceiveTimestamp),
        message_id: message.message_id.unwrap_or_default(),
        receipt_handle: message.receipt_handle.unwrap_or_default(),
        body: message.body.unwrap_or_default(),
        attributes,
    }
}

fn seconds(duration: Duration) -> i32 {
    int(limits::whole_seconds(duration).unsigned_abs())
}

fn int(n: u64) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}

/// The codes that say that the request is wrong, whenever it is made. Source: Amazon SQS API Reference, the errors of
/// each action, by their names in both of its protocols.
const REFUSALS: &[&str] = &[
    "BatchRequestTooLong",
    "EmptyBatchRequest",
    "InvalidAttributeName",
    "InvalidAttributeValue",
    "InvalidMessageContents",
    "InvalidParameterCombination",
    "InvalidParameterValue",
    "InvalidParameterValueException",
    "MessageNotInflight",
    "MissingParameter",
    "ReceiptHandleIsInvalid",
    "TooManyEntriesInBatchRequest",
    "UnsupportedOperation",
];

fn error<E>(queue: &QueueName, error: &SdkError<E>) -> QueueError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    match aws::fault(error) {
        Fault::Code(code, _) if code == "NonExistentQueue" || code == "QueueDoesNotExist" => {
            QueueError::NoSuchQueue(queue.clone())
        }
        Fault::Code(code, why) if REFUSALS.contains(&code.as_str()) => QueueError::Refused(why),
        Fault::Code(_, why) | Fault::Silence(why) => QueueError::Unavailable(why),
    }
}

fn entry_error(failed: &BatchResultErrorEntry) -> QueueError {
    let why = format!("{}: {}", failed.code(), failed.message().unwrap_or_default());
    if failed.sender_fault() { QueueError::Refused(why) } else { QueueError::Unavailable(why) }
}
