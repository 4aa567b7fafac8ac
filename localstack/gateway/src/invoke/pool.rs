//! The environments of one function: which one takes an invocation, when there is a new one, when there is none.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use halyard_platform::{
    Host,
    function::{Answer, Event, Invocation},
};
use tokio::sync::{mpsc, oneshot, watch};

use super::{Counts, FailureKind, Init, InvokeError, environment};

pub(super) type Reply = Result<Answer, InvokeError>;

/// One invocation on its way to an environment.
pub(super) struct Job {
    pub event: Event,
    pub invocation: Invocation,
    pub reply: oneshot::Sender<Reply>,
    pub ticket: Arc<Ticket>,
}

/// What the caller and the environment both know of a job.
#[derive(Debug, Default)]
pub(super) struct Ticket {
    /// Taken by an environment, or given up by the caller: whoever comes first.
    taken: AtomicBool,
    /// The environment that took it.
    slot: AtomicU64,
}

impl Ticket {
    /// Whether the taker is the first.
    pub fn take(&self, slot: u64) -> bool {
        let first = !self.taken.swap(true, Ordering::AcqRel);
        if first {
            self.slot.store(slot, Ordering::Release);
        }
        first
    }
}

/// What every environment of a function is made of.
pub(super) struct Blueprint {
    pub function: String,
    pub timeout: Duration,
    pub init: Init,
    pub host: Box<dyn Fn() -> Host + Send + Sync>,
    /// Invocations that one environment takes at a time.
    pub concurrency: u32,
    /// Whether the environment is polled between invocations.
    pub managed: bool,
    pub max_environments: usize,
}

pub(super) struct Pool {
    pub blueprint: Blueprint,
    state: Mutex<State>,
    threads: watch::Sender<usize>,
    invocations: AtomicU64,
    failures: AtomicU64,
    throttles: AtomicU64,
}

#[derive(Default)]
struct State {
    slots: Vec<Slot>,
    waiting: VecDeque<Job>,
    closed: bool,
    started: u64,
    releases: u64,
}

struct Slot {
    id: u64,
    jobs: mpsc::UnboundedSender<Job>,
    outstanding: u32,
    /// The last release, as a number that grows: the youngest is reused first, so that the others may be reaped.
    released: u64,
    idle_since: Instant,
}

/// Where a job went.
pub(super) enum Placed {
    Given,
    Waiting,
}

impl Pool {
    pub fn new(blueprint: Blueprint) -> Arc<Self> {
        Arc::new(Self {
            blueprint,
            state: Mutex::default(),
            threads: watch::Sender::new(0),
            invocations: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            throttles: AtomicU64::new(0),
        })
    }

    /// Gives the job to an environment, to a new one, or to whichever is free first if it may wait.
    pub fn place(self: &Arc<Self>, job: Job, may_wait: bool) -> Result<Placed, InvokeError> {
        let mut state = self.lock();
        if state.closed {
            return Err(InvokeError::Unavailable("the gateway is shutting down".to_owned()));
        }
        let concurrency = self.blueprint.concurrency;
        let mut job = job;
        while let Some(slot) =
            state.slots.iter_mut().filter(|s| s.outstanding < concurrency).max_by_key(|slot| slot.released)
        {
            let id = slot.id;
            slot.outstanding += 1;
            match slot.jobs.send(job) {
                Ok(()) => return Ok(Placed::Given),
                Err(mpsc::error::SendError(back)) => {
                    job = back;
                    state.slots.retain(|slot| slot.id != id);
                }
            }
        }
        if state.slots.len() < self.blueprint.max_environments {
            self.start(&mut state, job)?;
            return Ok(Placed::Given);
        }
        if may_wait {
            state.waiting.push_back(job);
            return Ok(Placed::Waiting);
        }
        Err(InvokeError::Throttled)
    }

    fn start(self: &Arc<Self>, state: &mut State, job: Job) -> Result<(), InvokeError> {
        let (jobs, queue) = mpsc::unbounded_channel();
        state.started += 1;
        let id = state.started;
        let pool = Arc::clone(self);
        // A closed channel is impossible: its receiver is right here.
        let _ = jobs.send(job);
        self.threads.send_modify(|n| *n += 1);
        let thread = std::thread::Builder::new().name(self.blueprint.function.clone());
        let started = thread.spawn(move || {
            environment::run(&pool, id, queue);
            pool.threads.send_modify(|n| *n -= 1);
        });
        if let Err(error) = started {
            self.threads.send_modify(|n| *n -= 1);
            return Err(InvokeError::Unavailable(format!("no thread for an environment: {error}")));
        }
        state.slots.push(Slot { id, jobs, outstanding: 1, released: 0, idle_since: Instant::now() });
        Ok(())
    }

    /// An environment has finished an invocation: what it does next, if somebody waits.
    pub fn release(&self, id: u64) -> Option<Job> {
        let mut state = self.lock();
        state.releases += 1;
        let releases = state.releases;
        if !state.slots.iter().any(|slot| slot.id == id) {
            return None;
        }
        if let Some(job) = state.waiting.pop_front() {
            return Some(job);
        }
        let slot = state.slots.iter_mut().find(|slot| slot.id == id)?;
        slot.outstanding = slot.outstanding.saturating_sub(1);
        slot.released = releases;
        slot.idle_since = Instant::now();
        None
    }

    /// An environment is no more. Somebody who waits gets a new one.
    pub fn discard(self: &Arc<Self>, id: u64) {
        let mut state = self.lock();
        let before = state.slots.len();
        state.slots.retain(|slot| slot.id != id);
        if state.slots.len() < before
            && !state.closed
            && let Some(job) = state.waiting.pop_front()
        {
            // On an error the reply is dropped with the job, and its caller told so.
            let _ = self.start(&mut state, job);
        }
    }

    /// The environment that a job was given to does not come back: its caller has waited long enough.
    pub fn abandon(self: &Arc<Self>, ticket: &Ticket) {
        self.discard(ticket.slot.load(Ordering::Acquire));
    }

    /// Ends environments that have been idle for so long.
    pub fn reap(&self, idle: Duration) {
        self.lock().slots.retain(|slot| slot.outstanding > 0 || slot.idle_since.elapsed() < idle);
    }

    /// No new jobs; environments end when theirs are done.
    pub fn end(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.waiting.clear();
        state.slots.clear();
    }

    /// The same, and waits until the last environment has ended.
    pub async fn close(&self) {
        self.end();
        let mut threads = self.threads.subscribe();
        // The sender lives in self, so this cannot fail.
        let _ = threads.wait_for(|n| *n == 0).await;
    }

    pub fn count(&self, result: &Reply) {
        self.invocations.fetch_add(1, Ordering::Relaxed);
        match result {
            Ok(_) => {}
            Err(InvokeError::Throttled) => {
                self.throttles.fetch_add(1, Ordering::Relaxed);
            }
            Err(_) => {
                self.failures.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    pub fn counts(&self) -> Counts {
        let state = self.lock();
        Counts {
            invocations: self.invocations.load(Ordering::Relaxed),
            failures: self.failures.load(Ordering::Relaxed),
            throttles: self.throttles.load(Ordering::Relaxed),
            started: state.started,
            environments: state.slots.len(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Job {
    pub fn fail(self, kind: FailureKind, message: &str) {
        // Whoever asked may be gone.
        let _ = self.reply.send(Err(InvokeError::function(kind, message)));
    }
}
