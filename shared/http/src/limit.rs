//! Limits: what the middleware needs of a limiter, and the headers of
//! <https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/>.

use std::{fmt::Write as _, sync::Arc, time::Duration};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use halyard_domain::UserId;
use http::StatusCode;

/// One limit to apply to one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// The policy's name in the headers: `caller`, `account` or `address`.
    pub name: &'static str,
    /// Whose: route and principal, account or address.
    pub key: String,
    /// How many in a window; also the largest burst.
    pub quota: u32,
    /// The window, in seconds.
    pub window: u32,
    /// What this request costs.
    pub cost: u32,
}

/// What a limiter says of one [`Limit`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// May it pass?
    pub allowed: bool,
    /// What is left of the quota.
    pub remaining: u32,
    /// Until the whole quota is back.
    pub reset: Duration,
    /// If it may not pass: until it may.
    pub retry_after: Duration,
}

/// How a request ended: for the live metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The route, `GET /tasks/stats`.
    pub route: Arc<str>,
    /// The answer's status.
    pub status: StatusCode,
    /// How long it took.
    pub duration: Duration,
    /// When it ended.
    pub at: DateTime<Utc>,
}

/// What a request brings along for the live metrics.
#[derive(Debug, Clone, Copy)]
pub struct Visit<'a> {
    /// The route, `GET /tasks/stats`.
    pub route: &'a str,
    /// Who calls, if that is known.
    pub user: Option<UserId>,
    /// How earlier requests ended.
    pub outcomes: &'a [Outcome],
}

/// The limiter cannot be reached.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the limiter is unavailable: {0}")]
pub struct LimiterDown(pub String);

/// Applies limits and takes live metrics, in one round trip.
#[async_trait]
pub trait Limiter: Send + Sync + std::fmt::Debug {
    /// Charges every limit, or none when one refuses; counts the visit, whatever becomes of it. One decision for each limit,
    /// in the same order. Must answer within a quarter of a second or so, or fail, and fail at once while it hangs.
    async fn check(&self, visit: Visit<'_>, limits: &[Limit], now: DateTime<Utc>)
    -> Result<Vec<Decision>, LimiterDown>;

    /// Charges one limit whatever it has left: a failure costs more than a success.
    async fn penalise(&self, limit: &Limit, now: DateTime<Utc>) -> Result<Decision, LimiterDown>;
}

/// The value of `RateLimit-Policy`: `"caller";q=50;w=60`.
pub fn rate_limit_policy(limits: &[Limit]) -> String {
    let mut out = String::with_capacity(limits.len() * 24);
    for limit in limits {
        separate(&mut out);
        let _ = write!(out, "\"{}\";q={};w={}", limit.name, limit.quota, limit.window);
    }
    out
}

/// The value of `RateLimit`: `"caller";r=49;t=2`.
pub fn rate_limit(limits: &[Limit], decisions: &[Decision]) -> String {
    let mut out = String::with_capacity(limits.len() * 24);
    for (limit, decision) in limits.iter().zip(decisions) {
        separate(&mut out);
        let _ = write!(out, "\"{}\";r={};t={}", limit.name, decision.remaining, seconds_up(decision.reset));
    }
    out
}

fn separate(out: &mut String) {
    if !out.is_empty() {
        out.push_str(", ");
    }
}

/// Whole seconds, rounded up.
pub(crate) fn seconds_up(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros().div_ceil(1_000_000)).unwrap_or(u32::MAX)
}
