//! Time as a dependency.
//!
//! Two clocks exist on purpose. [`Clock::now`] is the wall clock of this host: tokens, response timestamps and cache
//! expiry use it. Leases and schedules must not trust a skewed host, so the SQL that decides them takes a nullable
//! `now` parameter: [`Clock::database_override`] is `None` in production (the database's own `clock_timestamp()`
//! decides) and the test clock's time in tests.

use std::sync::Mutex;

use chrono::{DateTime, Duration, Utc};

/// A source of time.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// The current time, UTC, truncated to microseconds so that a value survives a trip through PostgreSQL unchanged.
    fn now(&self) -> DateTime<Utc>;

    /// What to pass for SQL's nullable `now` parameter: `None` lets the database's clock decide.
    fn database_override(&self) -> Option<DateTime<Utc>>;
}

/// The wall clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
    fn now(&self) -> DateTime<Utc> {
        truncate(Utc::now())
    }

    fn database_override(&self) -> Option<DateTime<Utc>> {
        None
    }
}

/// A clock that stands still until it is moved: tests and simulations.
#[derive(Debug)]
pub struct ManualClock(Mutex<DateTime<Utc>>);

impl ManualClock {
    /// A clock that stands at `start`.
    pub fn new(start: DateTime<Utc>) -> Self {
        Self(Mutex::new(truncate(start)))
    }

    /// Moves the clock forward (or, with a negative duration, back).
    pub fn advance(&self, by: Duration) {
        let mut now = self.lock();
        *now += by;
    }

    /// Puts the clock at `to`.
    pub fn set(&self, to: DateTime<Utc>) {
        *self.lock() = truncate(to);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, DateTime<Utc>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> DateTime<Utc> {
        *self.lock()
    }

    fn database_override(&self) -> Option<DateTime<Utc>> {
        Some(*self.lock())
    }
}

fn truncate(at: DateTime<Utc>) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(at.timestamp_micros()).unwrap_or(at)
}
