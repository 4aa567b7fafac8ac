//! Concurrent calls of one environment, gathered into one statement (what databases call group commit).
//!
//! While a statement is under way, the calls that arrive wait; whoever comes next takes all of them along, so that they
//! share a round trip, a commit, and what it costs the server to begin a statement. Nothing runs in the background: the
//! statement is run by one of the callers who wait for it. A host that gives an environment one invocation at a time never
//! has more than one waiting, and pays nothing.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use sqlx::PgConnection;
use tokio::sync::{Semaphore, SemaphorePermit, oneshot};

use crate::{Connection, Pool, Result, StoreError, within};

/// The longest wait for a turn, one for a connection included.
const WAIT: Duration = Duration::from_secs(2);
/// The longest that a statement may take before the database counts as unavailable.
const STATEMENT: Duration = Duration::from_secs(5);

/// How often whoever has the turn lets others go before. Under load several are about to ask: each time the runtime sees to
/// all whose request, or whose answer from elsewhere, has come. More than three find hardly anybody; idle, they cost microseconds.
const YIELDS: usize = 3;

/// What can be asked for together.
pub trait Gathered: Send + Sync + Sized {
    /// What each is answered.
    type Answer: Send;
    /// What is the same for all: it is taken from whoever runs the statement.
    type Terms: Sync;

    /// May it go into one statement with those? It is to stay short, and so is what is lost with it.
    fn joins(&self, those: &[Self]) -> bool;

    /// The statement: answers each of `asked`, in their order.
    fn run(
        conn: &mut PgConnection,
        asked: &[Self],
        terms: &Self::Terms,
    ) -> impl Future<Output = Result<Vec<Self::Answer>>> + Send;
}

/// Where an environment's calls of one kind meet.
pub struct Gather<T: Gathered> {
    pool: Pool,
    list: Arc<Mutex<List<T>>>,
    /// One statement at a time: more would be smaller ones.
    turn: Arc<Semaphore>,
}

type Answer<T> = oneshot::Sender<Result<<T as Gathered>::Answer>>;

struct List<T: Gathered> {
    waiting: Vec<Waiting<T>>,
    /// How many have come so far.
    queued: u64,
}

struct Waiting<T: Gathered> {
    number: u64,
    asked: T,
    answer: Answer<T>,
}

impl<T: Gathered> Clone for Gather<T> {
    fn clone(&self) -> Self {
        Self { pool: self.pool.clone(), list: Arc::clone(&self.list), turn: Arc::clone(&self.turn) }
    }
}

impl<T: Gathered> Gather<T> {
    /// Runs statements on the connections of `pool`.
    pub fn new(pool: Pool) -> Self {
        let list = List { waiting: Vec::new(), queued: 0 };
        Self { pool, list: Arc::new(Mutex::new(list)), turn: Arc::new(Semaphore::new(1)) }
    }

    /// Asks, perhaps together with others. If that fails because of what was asked, each is tried on its own: one is not to
    /// take the others down.
    ///
    /// A statement must begin within two seconds and end within five. Whoever has been taken along waits for its end: what it
    /// does for them must not be lost because they were nearly out of patience.
    ///
    /// # Errors
    /// Those of [`Gathered::run`]; `Unavailable` also when no statement could begin or end in time, or when the caller who ran
    /// it went away while it was under way.
    pub async fn ask(&self, asked: T, terms: &T::Terms) -> Result<T::Answer> {
        let (answer, mut mine) = oneshot::channel();
        let number = self.queue(asked, answer);
        let late = tokio::time::sleep(WAIT);
        tokio::pin!(late);
        let mut waits = true;
        loop {
            tokio::select! {
                biased;
                answered = &mut mine => {
                    return answered.unwrap_or_else(|_| Err(StoreError::unavailable("the statement was given up")));
                }
                turn = self.turn(), if waits => Box::pin(self.lead(turn.1, terms)).await,
                () = &mut late, if waits => {
                    if self.leave(number) {
                        return Err(StoreError::unavailable("no turn in time"));
                    }
                    // Taken along already.
                    waits = false;
                }
            }
        }
    }

    fn queue(&self, asked: T, answer: Answer<T>) -> u64 {
        let mut list = self.lock();
        list.queued += 1;
        let number = list.queued;
        list.waiting.push(Waiting { number, asked, answer });
        number
    }

    /// Leaves the list; `false` for who is not in it any more.
    fn leave(&self, number: u64) -> bool {
        let mut list = self.lock();
        let before = list.waiting.len();
        list.waiting.retain(|one| one.number != number);
        list.waiting.len() < before
    }

    async fn turn(&self) -> (Option<SemaphorePermit<'_>>, Result<Connection>) {
        // Never closed.
        let turn = self.turn.acquire().await.ok();
        (turn, self.pool.acquire().await)
    }

    /// Runs the statement for everybody who waits, the caller perhaps among them.
    async fn lead(&self, connection: Result<Connection>, terms: &T::Terms) {
        for _ in 0..YIELDS {
            tokio::task::yield_now().await;
        }
        let (asked, answers) = self.take();
        if asked.is_empty() {
            return;
        }
        let done = match connection {
            Ok(mut connection) => match within(STATEMENT, T::run(&mut connection, &asked, terms)).await {
                Err(error) if !error.is_unavailable() && asked.len() > 1 => {
                    for (answer, one) in answers.into_iter().zip(&asked).filter(|(answer, _)| !answer.is_closed()) {
                        let alone = within(STATEMENT, T::run(&mut connection, std::slice::from_ref(one), terms)).await;
                        let _ = answer.send(alone.and_then(|all| all.into_iter().next().ok_or_else(unanswered)));
                    }
                    return;
                }
                done => done,
            },
            Err(error) => Err(error),
        };
        match done {
            // Somebody who has gone meanwhile gets no answer: what was asked for is done, as after any lost answer.
            Ok(all) => answers.into_iter().zip(all).for_each(|(answer, one)| drop(answer.send(Ok(one)))),
            Err(error) => answers.into_iter().for_each(|answer| drop(answer.send(Err(error.again())))),
        }
    }

    /// Those who still wait and may share a statement with the first of them, in their order.
    fn take(&self) -> (Vec<T>, Vec<Answer<T>>) {
        let mut list = self.lock();
        let (mut asked, mut answers, mut left) = (Vec::new(), Vec::new(), Vec::new());
        for one in list.waiting.drain(..).filter(|one| !one.answer.is_closed()) {
            if asked.is_empty() || one.asked.joins(&asked) {
                asked.push(one.asked);
                answers.push(one.answer);
            } else {
                left.push(one);
            }
        }
        list.waiting = left;
        (asked, answers)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, List<T>> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unanswered() -> StoreError {
    StoreError::Internal("a call without an answer".into())
}
