//! Rate limits (GCRA, the "virtual scheduling" form of ITU-T I.371) and live counters, for a request in one round trip.
//!
//! For each key Redis holds one number, the theoretical arrival time. A request passes if all of its checks pass; one
//! that is refused costs nothing. Time is the caller's: tests move it.

use std::{sync::LazyLock, time::Duration};

use chrono::{DateTime, Utc};
use halyard_domain::UserId;
use redis::Script;

use super::{
    Redis, RedisError,
    metrics::{self, Increments, Outcome},
    script::Arg,
};

const TEXT: &str = include_str!("limits.lua");
static SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(TEXT));

/// One limit to check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What is counted, for instance `login:account:maria`. The namespace is put before it.
    pub key: String,
    /// Requests per `period` in the long run; at least 1.
    pub limit: u32,
    /// The period; at least 1 µs per request.
    pub period: Duration,
    /// Requests that may come at once after a quiet time; at least 1. Usually `limit`.
    pub burst: u32,
    /// What this request costs, in requests; 1 as a rule, 0 only asks.
    pub cost: u32,
}

impl Check {
    /// `limit` requests a minute, all of them at once if need be, cost 1.
    pub fn per_minute(key: impl Into<String>, limit: u32) -> Self {
        Self { key: key.into(), limit, period: Duration::from_mins(1), burst: limit, cost: 1 }
    }

    /// The time between two requests at the steady rate, in microseconds.
    fn interval(&self) -> i64 {
        let period = i64::try_from(self.period.as_micros()).unwrap_or(i64::MAX);
        (period / i64::from(self.limit.max(1))).clamp(1, 1 << 40)
    }

    fn tolerance(&self) -> i64 {
        self.interval().saturating_mul(i64::from(self.burst.max(1))).min(1 << 50)
    }

    fn args(&self) -> [Arg; 3] {
        let cost = self.interval().saturating_mul(i64::from(self.cost)).min(1 << 50);
        [Arg::Int(cost), Arg::Int(self.tolerance()), Arg::Int(self.interval())]
    }

    /// `wait`: how much too early; `used`: how far the arrival time lies ahead. Both in microseconds.
    fn decision(&self, wait: i64, used: i64) -> Decision {
        let left = (self.tolerance() - used).max(0) / self.interval();
        Decision {
            allowed: wait <= 0,
            limit: self.limit,
            remaining: u32::try_from(left).unwrap_or(u32::MAX),
            reset: Duration::from_micros(used.max(0).unsigned_abs()),
            retry_after: Duration::from_micros(wait.max(0).unsigned_abs()),
        }
    }
}

/// What became of one check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// Did this check pass? The request passes if all do.
    pub allowed: bool,
    /// The check's limit per period.
    pub limit: u32,
    /// Requests of cost 1 that would pass now.
    pub remaining: u32,
    /// The time until the whole burst is free again.
    pub reset: Duration,
    /// The time after which the same request would pass; zero when it passed.
    pub retry_after: Duration,
}

/// What a request brings along for the live counters.
#[derive(Debug, Clone, Copy, Default)]
pub struct Visit<'a> {
    /// The route, as the template writes it (`GET /tasks/status/{id}`); `None` counts nothing.
    pub route: Option<&'a str>,
    /// Whose call it is, if that is known.
    pub user: Option<UserId>,
    /// How earlier requests of this environment ended: nothing may outlive a response, so the next request carries it.
    pub outcomes: &'a [Outcome],
}

/// Rate limits over Redis.
#[derive(Debug, Clone)]
pub struct Limits(Redis);

impl Limits {
    /// Limits in the namespace of `redis`.
    pub fn new(redis: Redis) -> Self {
        Self(redis)
    }

    /// Checks every limit, charges all if all pass, and counts; one round trip. The decisions are in the order of
    /// `checks`. With nothing to do it does not go to Redis.
    ///
    /// A call that is repeated because its connection died may charge twice.
    pub async fn enter(
        &self,
        now: DateTime<Utc>,
        checks: &[Check],
        visit: Visit<'_>,
    ) -> Result<Vec<Decision>, RedisError> {
        let mut counts = Increments::default();
        if let Some(route) = visit.route {
            counts.visit(now, route);
        }
        if let Some(user) = visit.user {
            counts.call(now, user);
        }
        for outcome in visit.outcomes {
            counts.outcome(outcome);
        }
        if checks.is_empty() && counts.is_empty() {
            return Ok(Vec::new());
        }
        self.evaluate(now, checks, &counts, false).await
    }

    /// Charges a check whatever it has left, down to an empty bucket but no further: a failed login costs more than a
    /// good one, yet nobody can lock an account for longer than the limit's own period.
    pub async fn penalize(&self, now: DateTime<Utc>, check: &Check) -> Result<Decision, RedisError> {
        let decisions = self.evaluate(now, std::slice::from_ref(check), &Increments::default(), true).await?;
        decisions.into_iter().next().ok_or_else(|| RedisError::Unexpected("no decision".to_owned()))
    }

    async fn evaluate(
        &self,
        now: DateTime<Utc>,
        checks: &[Check],
        counts: &Increments,
        force: bool,
    ) -> Result<Vec<Decision>, RedisError> {
        // One hash tag for all keys: a script may only touch one slot of a cluster.
        let tag = self.0.namespace();
        let mut keys: Vec<String> = checks.iter().map(|c| format!("{{{tag}}}:limit:{}", c.key)).collect();
        keys.extend(counts.buckets().map(|bucket| bucket.key(tag)));
        let count = i64::try_from(checks.len()).unwrap_or(i64::MAX);
        let mut args =
            vec![Arg::Int(now.timestamp_micros()), Arg::Int(count), Arg::Int(force.into()), Arg::Int(metrics::KEPT)];
        args.extend(checks.iter().flat_map(Check::args));
        counts.write(&mut args, count);
        let answer: Vec<i64> = self.0.script(&SCRIPT, TEXT, &keys, &args).await?;
        if answer.len() != checks.len() * 2 {
            return Err(RedisError::Unexpected(format!("{} numbers for {} checks", answer.len(), checks.len())));
        }
        Ok(checks.iter().zip(answer.chunks_exact(2)).map(|(check, n)| check.decision(n[0], n[1])).collect())
    }
}
