//! What the guard of every route shares.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, Utc};
use halyard_domain::{Clock, Entropy};
use http::StatusCode;

use crate::{
    gcra::LocalLimiter,
    limit::{Decision, Limit, Limiter, LimiterDown, Outcome},
    vitals,
};

/// What the guard needs of the world. One for each execution environment; cloning is cheap.
#[derive(Debug, Clone)]
pub struct HttpContext(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    clock: Arc<dyn Clock>,
    entropy: Arc<Entropy>,
    limiter: Arc<dyn Limiter>,
    enforce: bool,
    degraded: LocalLimiter,
    /// Milliseconds since 1970 until which the limiter is not asked again.
    down_until: AtomicI64,
    outcomes: Mutex<Vec<Outcome>>,
}

/// How long a limiter that failed is left alone, in milliseconds, so that not every request waits for it.
const PAUSE_MS: i64 = 1_000;
/// Outcomes that wait for a round trip.
const MOST_OUTCOMES: usize = 256;

impl HttpContext {
    /// Puts a context together. With `enforce` false limits are counted and shown, but refuse nobody (benchmarks).
    pub fn new(clock: Arc<dyn Clock>, entropy: Arc<Entropy>, limiter: Arc<dyn Limiter>, enforce: bool) -> Self {
        Self(Arc::new(Inner {
            clock,
            entropy,
            limiter,
            enforce,
            degraded: LocalLimiter::default(),
            down_until: AtomicI64::new(0),
            outcomes: Mutex::default(),
        }))
    }

    /// The clock.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.0.clock
    }

    /// The generator.
    pub fn entropy(&self) -> &Arc<Entropy> {
        &self.0.entropy
    }

    /// Applies limits in one round trip, which also carries the outcomes of earlier requests. With the limiter down, the
    /// limits are kept in this environment's memory and the outcomes wait.
    pub(crate) async fn check(&self, route: &str, limits: &[Limit]) -> Vec<Decision> {
        let inner = &*self.0;
        let now = inner.clock.now();
        let mut decisions = None;
        if self.may_ask(now) {
            let outcomes = std::mem::take(&mut *self.outcomes());
            match inner.limiter.check(route, limits, &outcomes, now).await {
                Ok(made) if made.len() == limits.len() => decisions = Some(made),
                Ok(_) => tracing::error!("the limiter answered with the wrong number of decisions"),
                Err(error) => {
                    self.pause(now, &error);
                    self.outcomes().extend(outcomes);
                }
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
        let now = self.0.clock.now();
        if self.may_ask(now) {
            match self.0.limiter.penalise(limit, now).await {
                Ok(decision) => return decision,
                Err(error) => self.pause(now, &error),
            }
        }
        self.0.degraded.charge(limit, now)
    }

    /// Notes how a request ended; the next request's round trip reports it.
    pub(crate) fn record(&self, route: &Arc<str>, status: StatusCode, duration: Duration) {
        let at = self.0.clock.now();
        vitals::note(at, status, duration);
        let mut outcomes = self.outcomes();
        // While the limiter is down the latest are kept: live metrics are about now, and memory is finite.
        if outcomes.len() >= MOST_OUTCOMES {
            outcomes.drain(..MOST_OUTCOMES / 2);
        }
        outcomes.push(Outcome { route: Arc::clone(route), status, duration, at });
    }

    fn may_ask(&self, now: DateTime<Utc>) -> bool {
        now.timestamp_millis() >= self.0.down_until.load(Ordering::Relaxed)
    }

    fn pause(&self, now: DateTime<Utc>, error: &LimiterDown) {
        tracing::warn!(%error, "limits are kept in memory for now");
        self.0.down_until.store(now.timestamp_millis() + PAUSE_MS, Ordering::Relaxed);
    }

    fn outcomes(&self) -> MutexGuard<'_, Vec<Outcome>> {
        self.0.outcomes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
