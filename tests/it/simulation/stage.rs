//! Where every call of an adapter waits for its turn.
//!
//! A call enters, and is let go by the stepper, which says how it fares. At most one call is under way at a time, so what the
//! database and the queues see is one sequence, and the seed alone decides which.

use std::{
    collections::BTreeMap,
    future::poll_fn,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Poll, Waker},
};

use halyard_domain::DeliveryId;
use tokio::sync::oneshot;

/// One life of an execution environment.
pub type HostId = u32;

/// What kind of call it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A statement.
    Statement,
    /// Messages on their way to a queue.
    Send,
    /// Another call of a queue.
    Queue,
    /// A call of a table.
    Table,
    /// A post of a webhook.
    Post(DeliveryId),
    /// A task's code takes its next step.
    Code,
}

/// How a call fares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passage {
    /// As it should.
    Through,
    /// It is not carried out, and fails.
    Refused,
    /// It is carried out, and fails all the same.
    AnswerLost,
    /// It is carried out, and its caller does not live to hear so.
    Vanish,
    /// Messages are delivered twice.
    Twice,
    /// Messages arrive so many seconds later.
    Late(u64),
}

/// A call that waits.
#[derive(Debug, Clone)]
pub struct Waiting {
    /// Its place in the order of arrival.
    pub ticket: u64,
    /// Whose it is.
    pub host: HostId,
    /// What it is.
    pub kind: Kind,
    /// What it says.
    pub label: String,
}

#[derive(Default)]
struct Inner {
    next: u64,
    waiting: BTreeMap<u64, (Waiting, oneshot::Sender<Passage>)>,
    under_way: usize,
    activity: u64,
    free: bool,
    watcher: Option<Waker>,
}

/// The stage.
#[derive(Default)]
pub struct Stage(Mutex<Inner>);

impl std::fmt::Debug for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stage").finish_non_exhaustive()
    }
}

impl Stage {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn moved(inner: &mut Inner) {
        inner.activity += 1;
        if let Some(waker) = inner.watcher.take() {
            waker.wake();
        }
    }

    /// Waits for the stepper's word; `None` when the caller has been killed.
    pub async fn enter(self: &Arc<Self>, host: HostId, kind: Kind, label: String) -> Option<Entered> {
        let (go, word) = oneshot::channel();
        let mut place = {
            let mut inner = self.lock();
            Self::moved(&mut inner);
            if inner.free {
                inner.under_way += 1;
                return Some(Entered { stage: Arc::clone(self), passage: Passage::Through });
            }
            let ticket = inner.next;
            inner.next += 1;
            inner.waiting.insert(ticket, (Waiting { ticket, host, kind, label }, go));
            Place { stage: Arc::clone(self), ticket: Some(ticket), word }
        };
        let passage = (&mut place.word).await.ok()?;
        place.ticket = None;
        Some(Entered { stage: Arc::clone(self), passage })
    }

    /// A call of an adapter: `call` carries it out, `broken` says what its caller hears of a fault.
    pub async fn pass<T, E>(
        self: &Arc<Self>,
        host: HostId,
        kind: Kind,
        label: String,
        broken: impl FnOnce() -> E,
        call: impl AsyncFnOnce(Passage) -> Result<T, E>,
    ) -> Result<T, E> {
        let Some(entered) = self.enter(host, kind, label).await else {
            return std::future::pending().await;
        };
        if entered.passage == Passage::Refused {
            return Err(broken());
        }
        let answer = call(entered.passage).await;
        match entered.passage {
            Passage::AnswerLost => Err(broken()),
            Passage::Vanish => {
                drop(entered);
                std::future::pending().await
            }
            _ => answer,
        }
    }

    /// Something that nobody decides about is under way until the answer is dropped.
    pub fn aside(self: &Arc<Self>) -> Entered {
        let mut inner = self.lock();
        Self::moved(&mut inner);
        inner.under_way += 1;
        Entered { stage: Arc::clone(self), passage: Passage::Through }
    }

    /// Lets a call go.
    pub fn let_go(&self, ticket: u64, passage: Passage) {
        let mut inner = self.lock();
        // Whoever waited may have gone when another call was let go.
        let Some((_, go)) = inner.waiting.remove(&ticket) else { return };
        if go.send(passage).is_ok() {
            inner.under_way += 1;
        }
        Self::moved(&mut inner);
    }

    /// The calls of an environment that is no more are not carried out.
    pub fn forget(&self, host: HostId) {
        let mut inner = self.lock();
        inner.waiting.retain(|_, (waiting, _)| waiting.host != host);
        Self::moved(&mut inner);
    }

    /// From now on calls go through at once, or wait again.
    pub fn set_free(&self, free: bool) {
        self.lock().free = free;
    }

    /// Everything that waits, in the order of arrival.
    pub fn waiting(&self) -> Vec<Waiting> {
        self.lock().waiting.values().map(|(waiting, _)| waiting.clone()).collect()
    }

    /// Calls that were let go and are not through.
    pub fn under_way(&self) -> usize {
        self.lock().under_way
    }

    /// Grows with everything that happens here.
    pub fn activity(&self) -> u64 {
        self.lock().activity
    }

    /// Until something has happened here since `seen`, or `or` holds.
    pub async fn changed(&self, seen: u64, or: impl Fn(&Waker) -> bool) {
        poll_fn(|cx| {
            let mut inner = self.lock();
            if inner.activity != seen || or(cx.waker()) {
                return Poll::Ready(());
            }
            inner.watcher = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

/// A place among those that wait; given up when it is dropped.
struct Place {
    stage: Arc<Stage>,
    ticket: Option<u64>,
    word: oneshot::Receiver<Passage>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket else { return };
        let mut inner = self.stage.lock();
        if inner.waiting.remove(&ticket).is_none() {
            // Killed with its environment, or else let go, and given up before it heard of that.
            if self.word.try_recv().is_err() {
                return;
            }
            inner.under_way -= 1;
        }
        Stage::moved(&mut inner);
    }
}

/// A call under way.
pub struct Entered {
    stage: Arc<Stage>,
    /// How it fares.
    pub passage: Passage,
}

impl Drop for Entered {
    fn drop(&mut self) {
        let mut inner = self.stage.lock();
        inner.under_way -= 1;
        Stage::moved(&mut inner);
    }
}
