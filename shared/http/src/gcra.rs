//! The degraded mode of the limits: the generic cell rate algorithm (ITU-T I.371) in this environment's memory.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::limit::{Decision, Limit, Limiter, LimiterDown, Visit};

/// Limits in memory, for the time that Redis is down: each environment counts for itself, so that a caller gets at most
/// the quota times the number of environments, and never an open door.
#[derive(Debug, Default)]
pub struct LocalLimiter(Mutex<HashMap<String, i64>>);

/// Callers remembered at a time. Beyond it, those with a full quota are forgotten first, which changes nothing for
/// them, and then all.
const CAPACITY: usize = 10_000;

impl LocalLimiter {
    /// Charges every limit, or none when one refuses.
    pub fn apply(&self, limits: &[Limit], now: DateTime<Utc>) -> Vec<Decision> {
        let now = now.timestamp_micros();
        let mut arrivals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if arrivals.len() + limits.len() > CAPACITY {
            arrivals.retain(|_, arrival| *arrival > now);
            if arrivals.len() + limits.len() > CAPACITY {
                arrivals.clear();
            }
        }
        let cells: Vec<Cell> = limits.iter().map(|l| Cell::new(l, arrivals.get(&l.key).copied(), now)).collect();
        let allowed = cells.iter().all(Cell::conforms);
        if allowed {
            for (limit, cell) in limits.iter().zip(&cells) {
                arrivals.insert(limit.key.clone(), cell.next);
            }
        }
        cells.iter().map(|cell| cell.decision(allowed)).collect()
    }

    /// Charges a limit whatever it has left, down to nothing but no further: nobody can shut an account for longer than
    /// the limit's own window.
    pub fn charge(&self, limit: &Limit, now: DateTime<Utc>) -> Decision {
        let now = now.timestamp_micros();
        let mut arrivals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut cell = Cell::new(limit, arrivals.get(&limit.key).copied(), now);
        cell.next = cell.next.min(now + cell.window);
        arrivals.insert(limit.key.clone(), cell.next);
        cell.decision(true)
    }
}

#[async_trait]
impl Limiter for LocalLimiter {
    async fn check(
        &self,
        _visit: Visit<'_>,
        limits: &[Limit],
        now: DateTime<Utc>,
    ) -> Result<Vec<Decision>, LimiterDown> {
        Ok(self.apply(limits, now))
    }

    async fn penalise(&self, limit: &Limit, now: DateTime<Utc>) -> Result<Decision, LimiterDown> {
        Ok(self.charge(limit, now))
    }
}

/// One limit's theoretical arrival time, before and after this request, in microseconds.
struct Cell {
    now: i64,
    /// Between two requests at the sustained rate.
    interval: i64,
    /// How far the arrival time may run ahead of the present: the burst.
    window: i64,
    before: i64,
    next: i64,
}

impl Cell {
    fn new(limit: &Limit, arrival: Option<i64>, now: i64) -> Self {
        let window = i64::from(limit.window.max(1)) * 1_000_000;
        let interval = (window / i64::from(limit.quota.max(1))).max(1);
        let before = arrival.unwrap_or(now).max(now);
        Self { now, interval, window, before, next: before + interval * i64::from(limit.cost) }
    }

    fn conforms(&self) -> bool {
        self.next - self.now <= self.window
    }

    fn decision(&self, charged: bool) -> Decision {
        let arrival = if charged { self.next } else { self.before };
        let ahead = arrival - self.now;
        let left = ((self.window - ahead) / self.interval).max(0);
        let wait = if self.conforms() { 0 } else { self.next - self.now - self.window };
        Decision {
            allowed: self.conforms(),
            remaining: u32::try_from(left).unwrap_or(u32::MAX),
            reset: micros(ahead),
            retry_after: micros(wait),
        }
    }
}

fn micros(n: i64) -> Duration {
    Duration::from_micros(n.max(0).unsigned_abs())
}
