//! Doorbells for webhooks: messages that say "deliveries are due", and nothing more. Whoever commits what owes a delivery rings
//! once afterwards; beat rings for what nobody answered.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use crate::queue::{Outgoing, Queue, QueueError, QueueName};

/// SQS' longest send delay.
pub const MAX_DELAY: Duration = Duration::from_mins(15);
/// SQS' largest batch.
const BATCH: usize = 10;

#[derive(Serialize, Deserialize)]
struct Body {
    v: u8,
    webhooks: Due,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Due {
    Due,
}

/// A message that is no doorbell of a version known here.
#[derive(Debug, thiserror::Error)]
#[error("not a doorbell: {0}")]
pub struct NotADoorbell(String);

/// Is a message's body a doorbell?
///
/// # Errors
/// When it is not.
pub fn decode(body: &str) -> Result<(), NotADoorbell> {
    let Body { v, webhooks: Due::Due } = serde_json::from_str(body).map_err(|error| NotADoorbell(error.to_string()))?;
    if v == 1 { Ok(()) } else { Err(NotADoorbell(format!("version {v}"))) }
}

/// The bell of the notifier. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct CallbackBell {
    queue: Arc<dyn Queue>,
    name: QueueName,
}

impl CallbackBell {
    /// Over the queue at this URL (`QUEUE_CALLBACKS_URL`).
    pub fn new(queue: Arc<dyn Queue>, url: &str) -> Self {
        Self { queue, name: QueueName::from_url(url) }
    }

    /// The queue.
    pub fn queue(&self) -> &QueueName {
        &self.name
    }

    /// How full the queue is.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn depth(&self) -> Result<crate::queue::Depth, QueueError> {
        self.queue.depth(&self.name).await
    }

    /// Rings once after each of these delays (rounded up to seconds, 15 minutes at most), waiting no longer than `within`.
    ///
    /// # Errors
    /// When the queue refuses or does not answer in time. Nothing is lost by it: the deliveries are owed, and beat rings.
    pub async fn ring(&self, delays: &[Duration], within: Duration) -> Result<(), QueueError> {
        let messages: Vec<Outgoing> = delays.iter().map(|delay| message(*delay)).collect();
        let send = async {
            for batch in messages.chunks(BATCH) {
                let refused = self.queue.send(&self.name, batch).await?;
                if !refused.is_empty() {
                    return Err(QueueError::Unavailable(format!(
                        "{} of {} were not taken",
                        refused.len(),
                        batch.len()
                    )));
                }
            }
            Ok(())
        };
        let silent = |_| Err(QueueError::Unavailable(format!("no answer within {} ms", within.as_millis())));
        tokio::time::timeout(within, send).await.unwrap_or_else(silent)
    }

    /// Rings once, now or after `delay`; a bell that is not taken is only reported.
    pub async fn ring_or_leave(&self, delay: Duration, within: Duration) {
        if let Err(error) = self.ring(&[delay], within).await {
            tracing::warn!(%error, "the doorbell of webhooks was not taken; beat will ring");
        }
    }
}

fn message(delay: Duration) -> Outgoing {
    let whole = if delay.subsec_nanos() > 0 { delay.as_secs() + 1 } else { delay.as_secs() };
    Outgoing {
        body: r#"{"v":1,"webhooks":"due"}"#.to_owned(),
        delay: Duration::from_secs(whole).min(MAX_DELAY),
        attributes: Vec::new(),
    }
}
