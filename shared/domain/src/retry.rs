//! When a failed attempt runs again.

use chrono::Duration;
use serde::{Deserialize, Serialize};

/// How often and how fast a task is tried again, as the client's `retry_config` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryPolicy {
    /// Further attempts after the first, 0 to 10.
    pub max_retries: i16,
    /// Seconds before the first retry, 0 to 86,400.
    pub retry_delay: i32,
    /// Whether each further delay doubles.
    pub exponential_backoff: bool,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { max_retries: 3, retry_delay: 60, exponential_backoff: true }
    }
}

impl RetryPolicy {
    /// The longest delay between two attempts: one day.
    pub const MAX_DELAY: Duration = Duration::days(1);

    /// The budget for retries of one type, beyond [`BURST`](Self::BURST): one in this time. When many fail at once, their
    /// retries come back no faster, however many there are, so that failures do not multiply load; none is lost. Source:
    /// Site Reliability Engineering, chapter 22, "Addressing Cascading Failures" (retry budgets).
    pub const PACE: Duration = Duration::milliseconds(50);

    /// So many retries of a type come back when their own delays say, before [`PACE`](Self::PACE) holds.
    pub const BURST: i32 = 200;

    /// The delay before a retry whose callee asked for at least `after` (`Retry-After`), a day at most.
    pub fn respecting(delay: Duration, after: Option<Duration>) -> Duration {
        after.map_or(delay, |after| delay.max(after)).min(Self::MAX_DELAY)
    }

    /// The delay before retry number `retry` (1 is the first), or `None` when the retries are used up.
    ///
    /// `jitter` is a random number in `0.0..1.0`. The delay is "equal jitter": half of the nominal delay is kept and
    /// the other half is random, so that tasks that failed together do not come back together but none comes back at
    /// once. Source: AWS Architecture Blog, "Exponential Backoff And Jitter".
    pub fn delay(&self, retry: i16, jitter: f64) -> Option<Duration> {
        if retry < 1 || retry > self.max_retries {
            return None;
        }
        let doublings = if self.exponential_backoff { u32::from(retry.unsigned_abs() - 1).min(20) } else { 0 };
        let nominal = i64::from(self.retry_delay.max(0)).saturating_mul(1 << doublings) * 1000;
        let nominal = nominal.min(Self::MAX_DELAY.num_milliseconds());
        let half = nominal / 2;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            reason = "at most a day in milliseconds"
        )]
        let random = (half as f64 * jitter.clamp(0.0, 1.0)) as i64;
        Some(Duration::milliseconds(nominal - half + random))
    }
}
