//! What the guard of every route shares.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use halyard_domain::{Clock, Entropy};

use crate::{
    gcra::LocalLimiter,
    limit::{Decision, Limit, Limiter, Outcome},
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
    pub(crate) async fn check(&self, limits: &[Limit]) -> Vec<Decision> {
        let inner = &*self.0;
        let now = inner.clock.now();
        let mut decisions = None;
        if now.timestamp_millis() >= inner.down_until.load(Ordering::Relaxed) {
            let outcomes = std::mem::take(&mut *self.outcomes());
            match inner.limiter.check(limits, &outcomes, now).await {
                Ok(made) if made.len() == limits.len() => decisions = Some(made),
                Ok(_) => tracing::error!("the limiter answered with the wrong number of decisions"),
                Err(error) => {
                    tracing::warn!(%error, "limits are kept in memory for now");
                    inner.down_until.store(now.timestamp_millis() + PAUSE_MS, Ordering::Relaxed);
                    outcomes.into_iter().for_each(|o| add(&mut self.outcomes(), o));
                }
            }
        }
        let mut decisions = decisions.unwrap_or_else(|| inner.degraded.apply(limits, now));
        if !inner.enforce {
            decisions.iter_mut().for_each(|d| d.allowed = true);
        }
        decisions
    }

    /// Notes how a request ended; the next request's round trip reports it.
    pub(crate) fn record(&self, route: &Arc<str>, status: http::StatusCode, took: Duration) {
        let class = u8::try_from(status.as_u16() / 100).unwrap_or(5);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        add(&mut self.outcomes(), Outcome { route: Arc::clone(route), class, count: 1, micros });
    }

    fn outcomes(&self) -> std::sync::MutexGuard<'_, Vec<Outcome>> {
        self.0.outcomes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bounded by itself: routes times classes.
fn add(all: &mut Vec<Outcome>, one: Outcome) {
    match all.iter_mut().find(|o| o.class == one.class && o.route == one.route) {
        Some(same) => {
            same.count = same.count.saturating_add(one.count);
            same.micros = same.micros.saturating_add(one.micros);
        }
        None => all.push(one),
    }
}
