//! The messages of one queue of the twin: a map, and two orders over it. Nothing here scans what it does not return.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};

use super::{Depth, Outgoing, QueueError, Received, limits::whole_seconds};

type Micros = i64;

#[derive(Debug)]
struct Message {
    id: String,
    body: String,
    attributes: Vec<(String, String)>,
    sent_at: Micros,
    visible_at: Micros,
    receive_count: u32,
    first_received_at: Micros,
    /// Which delivery's receipt handle counts; 0 before the first.
    delivery: u64,
}

/// A message on its way to the dead-letter queue. It keeps its id and its age, as on SQS.
#[derive(Debug)]
pub(super) struct Moved(Message);

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Deleted {
    /// Gone, gone before, or a handle of an earlier delivery: SQS says yes to all three.
    Accepted,
    Malformed,
}

#[derive(Debug)]
pub(super) struct Messages {
    queue: usize,
    next: u64,
    deliveries: u64,
    all: HashMap<u64, Message>,
    by_visible: BTreeSet<(Micros, u64)>,
    by_age: BTreeSet<(Micros, u64)>,
}

impl Messages {
    pub fn new(queue: usize) -> Self {
        Self {
            queue,
            next: 0,
            deliveries: 0,
            all: HashMap::new(),
            by_visible: BTreeSet::new(),
            by_age: BTreeSet::new(),
        }
    }

    pub fn push(&mut self, message: &Outgoing, delay: Duration, now: DateTime<Utc>) {
        let now = now.timestamp_micros();
        let id = format!("{:08x}-0000-4000-8000-{:012x}", self.queue, self.next);
        let mut attributes = message.attributes.clone();
        attributes.sort();
        self.insert(Message {
            id,
            body: message.body.clone(),
            attributes,
            sent_at: now,
            visible_at: now + micros(delay),
            receive_count: 0,
            first_received_at: 0,
            delivery: 0,
        });
    }

    pub fn adopt(&mut self, moved: Vec<Moved>, now: DateTime<Utc>) {
        for Moved(message) in moved {
            self.insert(Message { visible_at: now.timestamp_micros(), delivery: 0, ..message });
        }
    }

    fn insert(&mut self, message: Message) {
        let key = self.next;
        self.next += 1;
        self.by_visible.insert((message.visible_at, key));
        self.by_age.insert((message.sent_at, key));
        self.all.insert(key, message);
    }

    fn remove(&mut self, key: u64) -> Option<Message> {
        let message = self.all.remove(&key)?;
        self.by_visible.remove(&(message.visible_at, key));
        self.by_age.remove(&(message.sent_at, key));
        Some(message)
    }

    /// Takes up to `max` visible messages; those received `limit` times already come back to be moved.
    pub fn receive(
        &mut self,
        max: u32,
        visibility: Duration,
        now: DateTime<Utc>,
        limit: Option<u32>,
        retention: Duration,
    ) -> (Vec<Received>, Vec<Moved>) {
        self.forget_old(now, retention);
        let now = now.timestamp_micros();
        let hidden_until = now + micros(visibility);
        let (mut received, mut moved) = (Vec::new(), Vec::new());
        while received.len() < max as usize {
            let Some(&(visible_at, key)) = self.by_visible.first().filter(|(at, _)| *at <= now) else { break };
            let Some(mut message) = self.remove(key) else {
                self.by_visible.remove(&(visible_at, key));
                continue;
            };
            if limit.is_some_and(|limit| message.receive_count >= limit) {
                moved.push(Moved(message));
                continue;
            }
            self.deliveries += 1;
            message.delivery = self.deliveries;
            message.receive_count += 1;
            if message.receive_count == 1 {
                message.first_received_at = now;
            }
            // A visibility timeout of zero must not deliver one message twice in one batch.
            message.visible_at = hidden_until.max(now + 1);
            received.push(Received {
                message_id: message.id.clone(),
                receipt_handle: format!("{}:{key}:{}", self.queue, message.delivery),
                body: message.body.clone(),
                receive_count: message.receive_count,
                sent_at_ms: message.sent_at.div_euclid(1000),
                first_received_at_ms: message.first_received_at.div_euclid(1000),
                attributes: message.attributes.clone(),
            });
            self.by_visible.insert((message.visible_at, key));
            self.by_age.insert((message.sent_at, key));
            self.all.insert(key, message);
        }
        if visibility.is_zero() {
            self.show_at_once(&received, now);
        }
        (received, moved)
    }

    fn show_at_once(&mut self, received: &[Received], now: Micros) {
        for handle in received.iter().map(|r| &r.receipt_handle) {
            if let Some((key, _)) = self.parse(handle) {
                self.move_to(key, now);
            }
        }
    }

    fn move_to(&mut self, key: u64, visible_at: Micros) {
        if let Some(message) = self.all.get_mut(&key) {
            self.by_visible.remove(&(message.visible_at, key));
            message.visible_at = visible_at;
            self.by_visible.insert((visible_at, key));
        }
    }

    /// The moment at which the next message becomes (or became) visible.
    pub fn next_visible(&self) -> Option<DateTime<Utc>> {
        self.by_visible.first().and_then(|(at, _)| DateTime::from_timestamp_micros(*at))
    }

    /// "If you receive a message more than once, [...] you must provide the most recently received receipt handle when
    /// you request to delete the message (otherwise, the message might not be deleted)." (`DeleteMessage`)
    pub fn delete(&mut self, handle: &str) -> Deleted {
        let Some((key, delivery)) = self.parse(handle) else { return Deleted::Malformed };
        if self.all.get(&key).is_some_and(|m| m.delivery == delivery) {
            self.remove(key);
        }
        Deleted::Accepted
    }

    pub fn change_visibility(&mut self, handle: &str, timeout: Duration, now: DateTime<Utc>) -> Result<(), QueueError> {
        let refuse = |why: &str| Err(QueueError::Refused(why.to_owned()));
        let Some((key, delivery)) = self.parse(handle) else { return refuse("the receipt handle is not valid") };
        let now = now.timestamp_micros();
        match self.all.get(&key) {
            Some(message) if message.delivery == delivery && message.visible_at > now => {
                self.move_to(key, now + micros(timeout));
                Ok(())
            }
            _ => refuse("the message is not in flight under this receipt handle"),
        }
    }

    pub fn clear(&mut self) {
        self.all.clear();
        self.by_visible.clear();
        self.by_age.clear();
    }

    /// Counts; the one thing here that takes time proportional to what is hidden.
    pub fn depth(&mut self, now: DateTime<Utc>, retention: Duration) -> Depth {
        self.forget_old(now, retention);
        let now = now.timestamp_micros();
        let hidden = self.by_visible.range((now + 1, 0)..);
        let (mut in_flight, mut delayed) = (0, 0);
        for (_, key) in hidden {
            match self.all.get(key) {
                Some(message) if message.delivery > 0 => in_flight += 1,
                _ => delayed += 1,
            }
        }
        Depth { visible: self.all.len() as u64 - in_flight - delayed, in_flight, delayed }
    }

    fn forget_old(&mut self, now: DateTime<Utc>, retention: Duration) {
        let kept = TimeDelta::from_std(retention).unwrap_or(TimeDelta::MAX);
        let Some(oldest) = now.checked_sub_signed(kept).map(|at| at.timestamp_micros()) else { return };
        while let Some(&(_, key)) = self.by_age.first().filter(|(sent_at, _)| *sent_at <= oldest) {
            self.remove(key);
        }
    }

    /// `queue:message:delivery`, if it is a handle of this queue.
    fn parse(&self, handle: &str) -> Option<(u64, u64)> {
        let mut parts = handle.split(':');
        let queue: usize = parts.next()?.parse().ok()?;
        let (key, delivery) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        (queue == self.queue && parts.next().is_none()).then_some((key, delivery))
    }
}

fn micros(duration: Duration) -> Micros {
    whole_seconds(duration).saturating_mul(1_000_000).min(1 << 50)
}
