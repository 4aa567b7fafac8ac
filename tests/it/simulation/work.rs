//! What tasks' code was given and did, by its own account.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use halyard_domain::TaskId;
use serde::{Deserialize, Serialize};

/// An attempt: its task and its number.
pub type AttemptId = (TaskId, i16);

/// What an attempt saves after each piece. It says whose it is, so that one which ends up elsewhere is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saved {
    pub task: TaskId,
    pub attempt: i16,
    /// Pieces that are done.
    pub done: u64,
}

/// An attempt whose code began.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// What it was to resume from.
    pub given: Option<Saved>,
    /// What it saved last, or was given.
    pub last: Option<Saved>,
    /// The numbers of the pieces that it did, in their order, from 0.
    pub pieces: Vec<u64>,
    /// It began when nothing failed any more.
    pub in_peace: bool,
}

#[derive(Default)]
struct Inner {
    attempts: BTreeMap<AttemptId, Attempt>,
    peace: bool,
}

/// The attempts of one run.
#[derive(Clone, Default)]
pub struct Work(Arc<Mutex<Inner>>);

impl Work {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on nothing fails.
    pub fn set_in_peace(&self) {
        self.lock().peace = true;
    }

    /// An attempt begins.
    pub fn begin(&self, id: AttemptId, given: Option<Saved>) {
        let mut inner = self.lock();
        let attempt = Attempt { last: given.clone(), given, pieces: Vec::new(), in_peace: inner.peace };
        inner.attempts.insert(id, attempt);
    }

    /// An attempt has done a piece, and saves that.
    pub fn save(&self, saved: &Saved) {
        let mut inner = self.lock();
        let Some(attempt) = inner.attempts.get_mut(&(saved.task, saved.attempt)) else { return };
        attempt.pieces.extend(saved.done.checked_sub(1));
        attempt.last = Some(saved.clone());
    }

    /// What is known so far.
    pub fn attempts(&self) -> BTreeMap<AttemptId, Attempt> {
        self.lock().attempts.clone()
    }
}
