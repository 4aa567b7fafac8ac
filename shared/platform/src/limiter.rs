//! The limiter of the http layer over Redis.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use halyard_cloud::redis::{self, Check, Limits, Redis};
use halyard_http::{Decision, Limit, Limiter, LimiterDown, Outcome, Visit};

/// Limits and live counters in one round trip to Redis.
#[derive(Debug, Clone)]
pub struct RedisLimiter(Limits);

impl RedisLimiter {
    /// Over this connection.
    pub fn new(redis: Redis) -> Self {
        Self(Limits::new(redis))
    }
}

#[async_trait]
impl Limiter for RedisLimiter {
    async fn check(
        &self,
        visit: Visit<'_>,
        limits: &[Limit],
        now: DateTime<Utc>,
    ) -> Result<Vec<Decision>, LimiterDown> {
        let checks: Vec<Check> = limits.iter().map(check).collect();
        let outcomes: Vec<redis::Outcome> = visit.outcomes.iter().map(outcome).collect();
        let visit = redis::Visit { route: Some(visit.route), user: visit.user, outcomes: &outcomes };
        let decisions = self.0.enter(now, &checks, visit).await.map_err(|e| LimiterDown(e.to_string()))?;
        Ok(decisions.into_iter().map(decision).collect())
    }

    async fn penalise(&self, limit: &Limit, now: DateTime<Utc>) -> Result<Decision, LimiterDown> {
        self.0.penalize(now, &check(limit)).await.map(decision).map_err(|e| LimiterDown(e.to_string()))
    }
}

fn check(limit: &Limit) -> Check {
    Check {
        key: limit.key.clone(),
        limit: limit.quota,
        period: Duration::from_secs(limit.window.into()),
        burst: limit.quota,
        cost: limit.cost,
    }
}

fn outcome(outcome: &Outcome) -> redis::Outcome {
    redis::Outcome {
        route: outcome.route.as_ref().to_owned(),
        status: outcome.status.as_u16(),
        duration: outcome.duration,
        at: outcome.at,
    }
}

fn decision(made: redis::Decision) -> Decision {
    Decision { allowed: made.allowed, remaining: made.remaining, reset: made.reset, retry_after: made.retry_after }
}
