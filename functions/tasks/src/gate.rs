//! Who has as many tasks waiting as may.
//!
//! Counting costs, so it is done rarely: when a submit finds its task far back, or when a workflow was accepted or ended tasks are
//! tried again, and not again for some seconds. Who was found to have too many is refused for that long without a word to the
//! database. So each environment lets a few through.
//!
//! What an operator tries again for others is let through: that is how a backlog of failures is recovered from, and a full lane
//! may be why there is one.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use chrono::{DateTime, Duration, Utc};
use halyard_config::WaitingConfig;
use halyard_domain::{Lane, TaskId, UserId};
use halyard_store::{PgConnection, StoreError, lanes, tasks};

use crate::{error::TaskError, routes::database, state::AppState};

/// How long a count is believed.
const BELIEVED: Duration = Duration::seconds(crate::error::FULL as i64);
/// Whose counts are remembered at most; then those that are not believed any more are forgotten.
const REMEMBERED: usize = 1_000;

/// What was counted: of a user in a lane, or of a lane (`None`).
type Counts = HashMap<(Option<UserId>, Lane), (DateTime<Utc>, bool)>;

/// The gate of one environment.
pub struct Gate {
    limits: WaitingConfig,
    counts: Mutex<Counts>,
}

impl Gate {
    /// Nothing counted yet.
    pub fn new(limits: WaitingConfig) -> Self {
        Self { limits, counts: Mutex::default() }
    }

    /// Lets a submit through, unless too much was found waiting a moment ago.
    pub fn check(&self, user: UserId, lane: Lane, now: DateTime<Utc>) -> Result<(), TaskError> {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let full = |whose| matches!(counts.get(&(whose, lane)), Some((at, true)) if now - *at < BELIEVED);
        if full(Some(user)) {
            return Err(TaskError::Full("your own in this lane"));
        }
        if full(None) { Err(TaskError::Full("in this lane")) } else { Ok(()) }
    }

    /// Lets the user's own of these tasks be tried again. Which lanes they are in is only asked when one is known to be full.
    pub async fn check_again(
        &self,
        conn: &mut PgConnection,
        user: UserId,
        of: &[TaskId],
        now: DateTime<Utc>,
    ) -> Result<Result<(), TaskError>, StoreError> {
        if Lane::ALL.into_iter().all(|lane| self.check(user, lane, now).is_ok()) {
            return Ok(Ok(()));
        }
        let lanes = tasks::lanes_of(conn, of, user).await?;
        Ok(lanes.into_iter().try_for_each(|lane| self.check(user, lane, now)))
    }

    /// Counts, unless that was done a moment ago. What goes wrong is only noted: what was accepted stands.
    pub async fn count(&self, state: &AppState, user: UserId, lane: Lane) {
        let now = state.clock.now();
        for (whose, limit) in [(Some(user), self.limits.of_user), (None, self.limits.of_lane)] {
            if !self.is_due(whose, lane, now) {
                continue;
            }
            match database(state, async |conn| lanes::waiting(conn, lane, whose, limit).await).await {
                Ok(waiting) => self.note(whose, lane, now, waiting >= limit),
                Err(error) => tracing::warn!(%error, %lane, "what waits could not be counted"),
            }
        }
    }

    fn is_due(&self, whose: Option<UserId>, lane: Lane, now: DateTime<Utc>) -> bool {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.get(&(whose, lane)).is_none_or(|(at, _)| now - *at >= BELIEVED)
    }

    fn note(&self, whose: Option<UserId>, lane: Lane, now: DateTime<Utc>, full: bool) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= REMEMBERED {
            counts.retain(|_, (at, _)| now - *at < BELIEVED);
        }
        counts.insert((whose, lane), (now, full));
    }
}
