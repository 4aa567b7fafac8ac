//! What follows from the answers to a batch's statements.

use std::{sync::Arc, time::Duration};

use futures::FutureExt as _;
use halyard_domain::{TaskId, task::TaskState, webhook};
use halyard_store::{
    StoreError,
    tasks::{Ending, Finish, FinishedRow, Renewal, Renewed},
};
use tokio::time::Instant;

use super::{Batch, Done, FIRST_PAUSE};
use crate::{context::Stop, worker::tell};

/// Progress of a task is told this often at most: `domain::webhook::PROGRESS_EVERY`.
const PROGRESS_EVERY: Duration = Duration::from_secs(webhook::PROGRESS_EVERY.num_seconds().unsigned_abs());
/// The longest pause before a commit is tried again.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

impl Batch<'_> {
    pub(super) fn digest(&mut self, done: Done) {
        let (Done::Renewed { logged, .. } | Done::Finished { logged, .. }) = done;
        self.logs_down |= !logged;
        match done {
            Done::Renewed { asked, answer: Ok(renewed), .. } => self.renewed(&asked, &renewed),
            Done::Renewed { asked, answer: Err(error), .. } => {
                tracing::warn!(%error, "leases could not be renewed");
                for renewal in asked {
                    let handle = &self.attempts[self.places[&renewal.id]].handle;
                    handle.give_back(renewal.progress.as_deref(), renewal.checkpoint);
                    // It may have ended meanwhile: then its end takes along what it had saved.
                    if let Some(end) = self.ready.iter_mut().find(|end| end.id == renewal.id) {
                        end.progress = end.progress.take().or_else(|| handle.take_progress());
                        end.checkpoint = end.checkpoint.take().or_else(|| handle.take_checkpoint());
                    }
                }
            }
            Done::Finished { ends, answer: Ok(rows), .. } => self.committed(&ends, rows),
            Done::Finished { ends, answer: Err(error), .. } => {
                self.not_committed(Arc::unwrap_or_clone(ends), &error);
            }
        }
    }

    fn renewed(&mut self, asked: &[Renewal], renewed: &[Renewed]) {
        for renewal in asked {
            let attempt = &mut self.attempts[self.places[&renewal.id]];
            match renewed.iter().find(|row| row.id == renewal.id) {
                None => attempt.handle.stop(Stop::LeaseLost),
                Some(row) => {
                    if row.cancel_requested && attempt.told.is_none() {
                        attempt.told = Some(self.worker.clock.now());
                        attempt.handle.stop(Stop::Cancelled);
                    }
                    if row.calls_back {
                        self.tell_progress(renewal.id);
                    }
                }
            }
        }
    }

    /// Rings for the webhook that tells of a task's progress: at once for the first one, and for those that follow sooner than
    /// they are told when they are.
    fn tell_progress(&mut self, id: TaskId) {
        let attempt = &mut self.attempts[self.places[&id]];
        let now = Instant::now();
        let due = match attempt.told_until {
            Some(until) if until > now => return,
            Some(until) => (until + PROGRESS_EVERY).max(now),
            None => now,
        };
        attempt.told_until = Some(due);
        self.rings.push(tell::ring_for_webhooks(self.worker, due - now).boxed());
    }

    fn committed(&mut self, ends: &[Finish], rows: Vec<FinishedRow>) {
        self.pause = FIRST_PAUSE;
        self.outcome.committed += rows.len();
        for end in ends.iter().filter(|end| !rows.iter().any(|row| row.id == end.id)) {
            self.outcome.refused += 1;
            tracing::warn!(task_id = %end.id, fence = end.fence, "the end of a stale attempt was refused");
        }
        if rows.iter().any(|row| row.calls_back) {
            self.rings.push(tell::ring_for_webhooks(self.worker, Duration::ZERO).boxed());
        }
        let worker = self.worker;
        let follows = |row: &FinishedRow| row.workflow.is_some() || row.delay.is_some() || !row.wakes.is_empty();
        if rows.iter().any(follows) {
            let follow = async move {
                tell::take_workflows_further(worker, &rows).await;
                tell::ring_for(worker, rows).await;
            };
            self.rings.push(follow.boxed());
        }
    }

    fn not_committed(&mut self, mut ends: Vec<Finish>, error: &StoreError) {
        if error.is_unavailable() {
            tracing::warn!(%error, count = ends.len(), "ends of attempts could not be committed yet");
            self.finish_after = (Instant::now() + self.pause).min(self.deadline);
            self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        } else if ends.len() > 1 {
            // One of them is at fault, and must not take the others along.
            tracing::error!(%error, count = ends.len(), "ends of attempts were refused; trying one by one");
            self.singly = true;
        } else if ends.iter_mut().all(without_result) {
            tracing::error!(%error, task_id = %ends[0].id, "the end of an attempt cannot be stored; failing the task");
        } else {
            tracing::error!(%error, task_id = %ends[0].id, "the end of an attempt cannot be stored at all");
            self.outcome.abandoned += ends.len();
            return;
        }
        ends.append(&mut self.ready);
        self.ready = ends;
    }

    pub(super) fn abandon(&mut self, why: &str) {
        self.outcome.abandoned += self.ready.len();
        for end in self.ready.drain(..) {
            tracing::error!(task_id = %end.id, "the end of an attempt is left to its lease: {why}");
        }
    }
}

/// Strips an end of everything that the task's code wrote; `false` when there was nothing left to strip.
fn without_result(end: &mut Finish) -> bool {
    const WHY: &str = "result_not_stored: the database refused the result";
    if matches!(&end.ending, Ending::Finished { error: Some(error), .. } if error == WHY) {
        return false;
    }
    end.ending = Ending::Finished { state: TaskState::Failed, result: None, error: Some(WHY.to_owned()) };
    end.message = format!("Task failed: {WHY}");
    (end.progress, end.checkpoint) = (None, None);
    true
}
