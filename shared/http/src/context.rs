//! What the guard of every route shares.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use halyard_domain::{Clock, Entropy, UserId};
use http::StatusCode;

use crate::{
    IdempotencyKeys,
    gcra::LocalLimiter,
    limit::{Decision, Limit, Limiter, LimiterDown, Outcome, Visit},
    vitals,
};

/// What the guard needs of the world. One for each execution environment; cloning is cheap.
#[derive(Debug, Clone)]
pub struct HttpContext {
    inner: Arc<Inner>,
    keys: Option<Arc<dyn IdempotencyKeys>>,
}

#[derive(Debug)]
struct Inner {
    clock: Arc<dyn Clock>,
    entropy: Arc<Entropy>,
    limiter: Arc<dyn Limiter>,
    enforce: bool,
    degraded: LocalLimiter,
    /// Whether the limiter failed when it was last asked: the log says so once.
    down: AtomicBool,
    outcomes: Mutex<Vec<Outcome>>,
}

/// Outcomes that wait for a round trip.
const MOST_OUTCOMES: usize = 256;

impl HttpContext {
    /// Puts a context together. With `enforce` false limits are counted and shown, but refuse nobody (benchmarks).
    pub fn new(clock: Arc<dyn Clock>, entropy: Arc<Entropy>, limiter: Arc<dyn Limiter>, enforce: bool) -> Self {
        let inner = Inner {
            clock,
            entropy,
            limiter,
            enforce,
            degraded: LocalLimiter::default(),
            down: AtomicBool::new(false),
            outcomes: Mutex::default(),
        };
        Self { inner: Arc::new(inner), keys: None }
    }

    /// The same, with a place to keep idempotency keys: for functions with routes that take them.
    #[must_use]
    pub fn remembering(self, keys: Arc<dyn IdempotencyKeys>) -> Self {
        Self { keys: Some(keys), ..self }
    }

    /// Where idempotency keys are kept.
    pub(crate) fn keys(&self) -> Option<&dyn IdempotencyKeys> {
        self.keys.as_deref()
    }

    /// The clock.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.inner.clock
    }

    /// The generator.
    pub fn entropy(&self) -> &Arc<Entropy> {
        &self.inner.entropy
    }

    /// Applies limits in one round trip, which also carries the outcomes of earlier requests. With the limiter down, the
    /// limits are kept in this environment's memory and the outcomes wait.
    pub(crate) async fn check(&self, route: &str, user: Option<UserId>, limits: &[Limit]) -> Vec<Decision> {
        let inner = &*self.inner;
        let now = inner.clock.now();
        let mut decisions = None;
        let outcomes = std::mem::take(&mut *self.outcomes());
        let visit = Visit { route, user, outcomes: &outcomes };
        match inner.limiter.check(visit, limits, now).await {
            Ok(made) if made.len() == limits.len() => {
                self.note_up();
                decisions = Some(made);
            }
            Ok(_) => tracing::error!("the limiter answered with the wrong number of decisions"),
            Err(error) => {
                self.note_down(&error);
                self.outcomes().extend(outcomes);
            }
        }
        let mut decisions = decisions.unwrap_or_else(|| inner.degraded.apply(limits, now));
        if !inner.enforce {
            for decision in &mut decisions {
                decision.allowed = true;
            }
        }
        decisions
    }

    /// Charges a limit whatever it has left.
    pub(crate) async fn penalise(&self, limit: &Limit) -> Decision {
        let now = self.inner.clock.now();
        match self.inner.limiter.penalise(limit, now).await {
            Ok(decision) => decision,
            Err(error) => {
                self.note_down(&error);
                self.inner.degraded.charge(limit, now)
            }
        }
    }

    /// Notes how a request ended; the next request's round trip reports it.
    pub(crate) fn record(&self, route: &Arc<str>, status: StatusCode, duration: Duration) {
        let at = self.inner.clock.now();
        vitals::note(at, status, duration);
        let mut outcomes = self.outcomes();
        // While the limiter is down the latest are kept: live metrics are about now, and memory is finite.
        if outcomes.len() >= MOST_OUTCOMES {
            outcomes.drain(..MOST_OUTCOMES / 2);
        }
        outcomes.push(Outcome { route: Arc::clone(route), status, duration, at });
    }

    fn note_down(&self, error: &LimiterDown) {
        if !self.inner.down.swap(true, Ordering::Relaxed) {
            tracing::warn!(%error, "limits are kept in memory for now");
        }
    }

    fn note_up(&self) {
        if self.inner.down.load(Ordering::Relaxed) && self.inner.down.swap(false, Ordering::Relaxed) {
            tracing::info!("limits are kept by the limiter again");
        }
    }

    fn outcomes(&self) -> MutexGuard<'_, Vec<Outcome>> {
        self.inner.outcomes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
