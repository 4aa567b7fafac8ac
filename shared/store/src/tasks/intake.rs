//! Concurrent submits of one environment, gathered into one statement.
//!
//! An environment has one or two connections. While a statement is under way, the submits that arrive wait; whoever
//! gets the connection next takes all of them along, so that they share a round trip and a commit. Nothing runs in the
//! background: the statement is run by one of the callers who wait for it. A host that gives an environment one
//! invocation at a time never has more than one waiting, and pays nothing.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

use super::{NewTask, Submitted, submit, submit_many};
use crate::{Now, Pool, Result, StoreError};

/// At most so many tasks in one statement: it stays short, and so does what is lost with it.
const BATCH: usize = 64;

/// Where an environment's submits meet.
#[derive(Clone)]
pub struct Intake {
    pool: Pool,
    waiting: Arc<Mutex<Vec<Waiting>>>,
}

struct Waiting {
    task: NewTask,
    answer: oneshot::Sender<Result<Submitted>>,
}

impl Intake {
    /// Submits through the connections of `pool`.
    pub fn new(pool: Pool) -> Self {
        Self { pool, waiting: Arc::default() }
    }

    /// Accepts one task, as [`submit`] does, perhaps together with others.
    ///
    /// # Errors
    /// As [`submit`]; `Unavailable` also when the caller who ran the statement went away while it was under way.
    pub async fn submit(&self, task: NewTask, now: Now) -> Result<Submitted> {
        let (answer, mut mine) = oneshot::channel();
        self.lock().push(Waiting { task, answer });
        loop {
            tokio::select! {
                biased;
                answered = &mut mine => {
                    return answered.unwrap_or_else(|_| Err(StoreError::unavailable("the statement was given up")));
                }
                connection = self.pool.acquire() => self.lead(connection, now).await,
            }
        }
    }

    /// Runs the statement for everybody who waits, the caller perhaps among them.
    async fn lead(&self, connection: Result<crate::Connection>, now: Now) {
        let batch = self.take();
        match connection {
            Ok(mut connection) => {
                let (tasks, answers): (Vec<_>, Vec<_>) = batch.into_iter().map(|w| (w.task, w.answer)).unzip();
                if !tasks.is_empty() {
                    run(&mut connection, &tasks, answers, now).await;
                }
            }
            Err(error) => tell(batch.into_iter().map(|w| w.answer), &error),
        }
    }

    /// Up to [`BATCH`] of those who still wait, in their order.
    fn take(&self) -> Vec<Waiting> {
        let mut waiting = self.lock();
        waiting.retain(|w| !w.answer.is_closed());
        let n = waiting.len().min(BATCH);
        waiting.drain(..n).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn run(
    connection: &mut crate::Connection,
    tasks: &[NewTask],
    answers: Vec<oneshot::Sender<Result<Submitted>>>,
    now: Now,
) {
    match submit_many(connection, tasks, now).await {
        // Somebody who has gone meanwhile gets no answer; the task is accepted, as after any lost answer.
        Ok(accepted) => answers.into_iter().zip(accepted).for_each(|(answer, one)| drop(answer.send(Ok(one)))),
        // One task that the database refuses is not to take the others down.
        Err(error) if !error.is_unavailable() && tasks.len() > 1 => {
            for (answer, task) in answers.into_iter().zip(tasks) {
                let _ = answer.send(submit(connection, task, now).await);
            }
        }
        Err(error) => tell(answers.into_iter(), &error),
    }
}

fn tell(answers: impl Iterator<Item = oneshot::Sender<Result<Submitted>>>, error: &StoreError) {
    for answer in answers {
        let _ = answer.send(Err(error.again()));
    }
}
