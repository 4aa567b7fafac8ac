//! A queue service in memory, with the semantics of SQS standard queues that Halyard relies on.
//!
//! It forgets everything when the process ends, as invariant 1 allows: a message is a doorbell.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use halyard_domain::Clock;
use tokio::{sync::Notify, time::Instant};

use super::{
    Depth, Outgoing, Queue, QueueError, QueueName, Received, limits,
    store::{Deleted, Messages, Moved},
};
use crate::round_trips;

/// Where messages go that were received too often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The dead-letter queue.
    pub queue: QueueName,
    /// After this many receives the next one moves the message instead; 1 to 1000.
    pub max_receive_count: u32,
}

/// A queue to make, with the attributes of `AWS::SQS::Queue`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueConfig {
    /// Its name.
    pub name: QueueName,
    /// `VisibilityTimeout`: how long a received message stays hidden unless the receiver says otherwise.
    pub visibility: Duration,
    /// `DelaySeconds`: the delay of a message that brings none (a delay of zero).
    pub delay: Duration,
    /// `MessageRetentionPeriod`: how long a message is kept, counted from its first send.
    pub retention: Duration,
    /// `RedrivePolicy`.
    pub dead_letter: Option<DeadLetter>,
}

impl QueueConfig {
    /// A queue with SQS' defaults: visibility 30 s, no delay, kept for 4 days, no dead-letter queue.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: QueueName(name.into()),
            visibility: Duration::from_secs(30),
            delay: Duration::ZERO,
            retention: Duration::from_hours(4 * 24),
            dead_letter: None,
        }
    }
}

/// The twin of SQS. Clones share the queues; any thread and any runtime may use it.
#[derive(Clone)]
pub struct QueueTwin(Arc<Inner>);

struct Inner {
    queues: HashMap<QueueName, OneQueue>,
    clock: Arc<dyn Clock>,
    /// How often a long poll looks at the clock: only where the clock is moved by hand.
    tick: Option<Duration>,
}

struct OneQueue {
    config: QueueConfig,
    messages: Mutex<Messages>,
    /// Rung at every arrival and whenever a message may have become visible.
    changed: Notify,
}

impl OneQueue {
    fn lock(&self) -> MutexGuard<'_, Messages> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for QueueTwin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueueTwin").field("queues", &self.0.queues.keys()).finish_non_exhaustive()
    }
}

impl QueueTwin {
    /// Makes the queues.
    ///
    /// # Errors
    /// [`QueueError::NoSuchQueue`] when a dead-letter queue is not among them; [`QueueError::Refused`] when two have
    /// one name.
    pub fn new(clock: Arc<dyn Clock>, configs: impl IntoIterator<Item = QueueConfig>) -> Result<Self, QueueError> {
        let tick = clock.database_override().map(|_| Duration::from_millis(5));
        let mut queues = HashMap::new();
        for (index, config) in configs.into_iter().enumerate() {
            let messages = Mutex::new(Messages::new(index));
            let queue = OneQueue { config, messages, changed: Notify::new() };
            if let Some(twice) = queues.insert(queue.config.name.clone(), queue) {
                return Err(QueueError::Refused(format!("two queues are called {}", twice.config.name)));
            }
        }
        for dead_letter in queues.values().filter_map(|q| q.config.dead_letter.as_ref()) {
            if !queues.contains_key(&dead_letter.queue) {
                return Err(QueueError::NoSuchQueue(dead_letter.queue.clone()));
            }
        }
        Ok(Self(Arc::new(Inner { queues, clock, tick })))
    }

    /// The names of the queues, sorted.
    pub fn names(&self) -> Vec<QueueName> {
        let mut names: Vec<_> = self.0.queues.keys().cloned().collect();
        names.sort();
        names
    }

    /// Makes every long poll look at the clock now. A test calls it after moving a
    /// [`ManualClock`](halyard_domain::ManualClock); without it the polls notice within a few milliseconds.
    pub fn wake(&self) {
        for queue in self.0.queues.values() {
            queue.changed.notify_waiters();
        }
    }

    fn queue(&self, name: &QueueName) -> Result<&OneQueue, QueueError> {
        round_trips::QUEUE.add(1);
        self.0.queues.get(name).ok_or_else(|| QueueError::NoSuchQueue(name.clone()))
    }

    /// What is visible now, after moving what was received too often.
    fn take(&self, queue: &OneQueue, max: u32, visibility: Duration, now: DateTime<Utc>) -> Vec<Received> {
        let limit = queue.config.dead_letter.as_ref().map(|d| d.max_receive_count);
        let (received, moved) = queue.lock().receive(max, visibility, now, limit, queue.config.retention);
        if let Some(dead_letter) = &queue.config.dead_letter {
            self.bury(&dead_letter.queue, moved, now);
        }
        received
    }

    fn bury(&self, name: &QueueName, moved: Vec<Moved>, now: DateTime<Utc>) {
        if let Some(queue) = self.0.queues.get(name).filter(|_| !moved.is_empty()) {
            queue.lock().adopt(moved, now);
            queue.changed.notify_waiters();
        }
    }
}

#[async_trait]
impl Queue for QueueTwin {
    async fn send(&self, queue: &QueueName, messages: &[Outgoing]) -> Result<Vec<usize>, QueueError> {
        let queue = self.queue(queue)?;
        limits::check_send(messages)?;
        let now = self.0.clock.now();
        {
            let mut store = queue.lock();
            for message in messages {
                let delay = if message.delay.is_zero() { queue.config.delay } else { message.delay };
                store.push(message, delay, now);
            }
        }
        queue.changed.notify_waiters();
        Ok(Vec::new())
    }

    async fn receive(
        &self,
        queue: &QueueName,
        max: u32,
        wait: Duration,
        visibility: Option<Duration>,
    ) -> Result<Vec<Received>, QueueError> {
        let queue = self.queue(queue)?;
        limits::check_receive(max, wait, visibility)?;
        let visibility = visibility.unwrap_or(queue.config.visibility);
        let (until, deadline) = (self.0.clock.now() + wait, Instant::now() + wait);
        loop {
            // Listens before it looks, so that nothing that arrives in between is missed.
            let mut changed = std::pin::pin!(queue.changed.notified());
            changed.as_mut().enable();
            let now = self.0.clock.now();
            let received = self.take(queue, max, visibility, now);
            // The wait ends by the clock or by real time, whichever is first: a clock that stands still hangs nobody.
            if !received.is_empty() || now >= until || Instant::now() >= deadline {
                return Ok(received);
            }
            let next = queue.lock().next_visible().map(|at| (at - now).to_std().unwrap_or_default());
            let pause = [next, self.0.tick].into_iter().flatten().min();
            let look_again = pause.map_or(deadline, |pause| deadline.min(Instant::now() + pause));
            tokio::select! {
                () = &mut changed => {}
                () = tokio::time::sleep_until(look_again) => {}
            }
        }
    }

    async fn delete(&self, queue: &QueueName, receipt_handles: &[String]) -> Result<(), QueueError> {
        let queue = self.queue(queue)?;
        limits::check_batch(receipt_handles.len())?;
        let mut store = queue.lock();
        let mut refused = None;
        for handle in receipt_handles {
            if store.delete(handle) == Deleted::Malformed {
                refused = Some(handle);
            }
        }
        refused.map_or(Ok(()), |handle| Err(QueueError::Refused(format!("the receipt handle {handle} is not valid"))))
    }

    async fn change_visibility(
        &self,
        queue: &QueueName,
        receipt_handle: &str,
        timeout: Duration,
    ) -> Result<(), QueueError> {
        let queue = self.queue(queue)?;
        limits::check_visibility(timeout)?;
        queue.lock().change_visibility(receipt_handle, timeout, self.0.clock.now())?;
        queue.changed.notify_waiters();
        Ok(())
    }

    async fn purge(&self, queue: &QueueName) -> Result<(), QueueError> {
        self.queue(queue)?.lock().clear();
        Ok(())
    }

    async fn depth(&self, queue: &QueueName) -> Result<Depth, QueueError> {
        let queue = self.queue(queue)?;
        Ok(queue.lock().depth(self.0.clock.now(), queue.config.retention))
    }
}
