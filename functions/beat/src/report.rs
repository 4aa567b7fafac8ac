//! What a beat did, step by step.

use std::fmt;

use halyard_cloud::{queue::QueueError, sessions::SessionError};
use halyard_store::StoreError;
use serde_json::{Map, Value, json};

/// What one step did: named counts, and what went wrong on the way.
#[derive(Debug, Default)]
pub struct Step {
    counts: Map<String, Value>,
    errors: Vec<String>,
}

impl Step {
    /// Adds `n` to a count.
    pub fn add(&mut self, what: &str, n: usize) {
        let before = self.counts.get(what).and_then(Value::as_u64).unwrap_or(0);
        self.counts.insert(what.to_owned(), json!(before + n as u64));
    }

    /// Says something that is no count.
    pub fn tell(&mut self, what: &str, value: Value) {
        self.counts.insert(what.to_owned(), value);
    }

    /// Notes a part that did not work; the step goes on.
    pub fn note(&mut self, error: impl fmt::Display) {
        tracing::error!(%error, "a part of a step failed");
        self.errors.push(error.to_string());
    }

    /// Did all of it work?
    pub fn is_good(&self) -> bool {
        self.errors.is_empty()
    }

    /// The step as the answer carries it.
    pub fn into_json(mut self) -> Value {
        if !self.errors.is_empty() {
            self.counts.insert("errors".to_owned(), json!(self.errors));
        }
        Value::Object(self.counts)
    }
}

/// Why a step ended early.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The queue.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The session table.
    #[error(transparent)]
    Sessions(#[from] SessionError),
}
