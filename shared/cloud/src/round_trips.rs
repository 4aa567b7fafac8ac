//! Counts round trips to the stores, over the whole process: the bench prints them per invocation (invariant 10).

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A count that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, n: u64) {
        self.0.fetch_add(n, Relaxed);
    }

    /// The count so far.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Requests to Redis.
pub static REDIS: Counter = Counter(AtomicU64::new(0));
/// Requests to the queues, twin or SQS. An empty poll counts.
pub static QUEUE: Counter = Counter(AtomicU64::new(0));
/// Requests to the tables, twin or `DynamoDB`.
pub static TABLE: Counter = Counter(AtomicU64::new(0));
/// Requests to the buckets, twin or S3, each try of one. A link is none.
pub static OBJECT: Counter = Counter(AtomicU64::new(0));
/// Mails handed to the twin or to SES.
pub static MAIL: Counter = Counter(AtomicU64::new(0));
