//! A task's states, the transitions between them, and what follows from the end of an attempt.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Duration, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::retry::RetryPolicy;

/// Where a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TaskState {
    /// Waits for a worker.
    Queued,
    /// Waits for its time (`scheduled_for`).
    Scheduled,
    /// An attempt holds the lease.
    Running,
    /// Waits for its next attempt.
    Retrying,
    /// Ended well.
    Completed,
    /// The task's own code gave up or used up its retries.
    Failed,
    /// Somebody cancelled it.
    Cancelled,
    /// `expires_in` passed before it could start.
    Expired,
    /// The platform gave up: leases lost, code that panics, unknown type, input that cannot be decoded.
    Dead,
}

impl TaskState {
    /// Every state, in the order of the contract.
    pub const ALL: [Self; 9] = [
        Self::Queued,
        Self::Scheduled,
        Self::Running,
        Self::Retrying,
        Self::Completed,
        Self::Failed,
        Self::Cancelled,
        Self::Expired,
        Self::Dead,
    ];

    /// Those of a task that has not ended.
    pub const UNENDED: [Self; 4] = [Self::Queued, Self::Scheduled, Self::Running, Self::Retrying];

    /// Those of a task that may be tried again.
    pub const TRIED_AGAIN: [Self; 4] = [Self::Failed, Self::Cancelled, Self::Expired, Self::Dead];

    /// A terminal state never changes.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled | Self::Expired | Self::Dead)
    }

    /// May a worker claim a task in this state once it is due?
    pub fn is_claimable(self) -> bool {
        matches!(self, Self::Queued | Self::Scheduled | Self::Retrying)
    }

    /// May a task that ended in this state be tried again, by a new task?
    pub fn may_be_tried_again(self) -> bool {
        Self::TRIED_AGAIN.contains(&self)
    }

    /// The transition table: the only place that decides.
    pub fn may_become(self, next: Self) -> bool {
        match self {
            Self::Queued | Self::Scheduled | Self::Retrying => {
                // `Scheduled` to `Queued` is a step of a workflow that waits for others no longer.
                matches!(next, Self::Running | Self::Cancelled | Self::Expired)
                    || (self == Self::Scheduled && next == Self::Queued)
            }
            // `Running` to `Running` is a lost lease taken over by the next attempt; to `Queued`, a slice that hands over.
            Self::Running => {
                matches!(
                    next,
                    Self::Running
                        | Self::Queued
                        | Self::Retrying
                        | Self::Completed
                        | Self::Failed
                        | Self::Cancelled
                        | Self::Expired
                        | Self::Dead
                )
            }
            Self::Completed | Self::Failed | Self::Cancelled | Self::Expired | Self::Dead => false,
        }
    }

    /// The state's name, as the API and the database write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Scheduled => "scheduled",
            Self::Running => "running",
            Self::Retrying => "retrying",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
            Self::Dead => "dead",
        }
    }
}

impl fmt::Display for TaskState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that names no state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be one of queued, scheduled, running, retrying, completed, failed, cancelled, expired, dead")]
pub struct UnknownState;

impl FromStr for TaskState {
    type Err = UnknownState;
    fn from_str(text: &str) -> Result<Self, UnknownState> {
        Self::ALL.into_iter().find(|state| state.as_str() == text).ok_or(UnknownState)
    }
}

/// When a step of a workflow is due that still waits for others: never, unless its workflow releases it. It is
/// `scheduled` until then.
pub const UNRELEASED: DateTime<Utc> = match DateTime::from_timestamp(253_402_214_400, 0) {
    // 9999-12-31T00:00:00Z: PostgreSQL's `infinity` has no form in Rust.
    Some(at) => at,
    None => DateTime::<Utc>::MAX_UTC,
};

/// How an attempt ended, seen from the task's code and the worker around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptEnd {
    /// The task's code returned a result.
    Succeeded,
    /// The task's code returned an error that may pass (or ran out of time).
    Failed,
    /// The task's code panicked: tried again like a failure, but it never gave up by itself.
    Panicked,
    /// The task's code returned an error that a retry cannot mend.
    FailedForGood,
    /// The code noticed that the task was cancelled.
    Cancelled,
    /// `expires_at` had passed before the code ran.
    Expired,
    /// No code of that type exists here: another worker may be of a release that has it.
    UnknownType,
    /// Its input cannot be decoded, and will not be decoded the next time either.
    Undecodable,
    /// The worker vanished: nobody renewed the lease.
    LeaseLost,
}

/// What follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The task ends in this state.
    End(TaskState),
    /// The task becomes `retrying` and is due again after this delay.
    RetryAfter(Duration),
}

/// So many tries may stand before a dead letter that is redriven: what is given up time and again is not put back for ever.
/// One by one, by hand, it may still be tried.
pub const MAX_REDRIVEN: i32 = 5;

/// The error of a task whose attempt was under way when it was cancelled, unless whoever asked said why.
pub const CANCELLED_WHILE_IT_RAN: &str = "the task was cancelled while it ran";

/// Lost leases that a task survives before the platform gives it up.
pub const MAX_LOST_LEASES: i16 = 5;

/// Within so much time tasks come back that have lost a second lease; it doubles with each one more.
pub const LOST_LEASE_SPREAD: Duration = Duration::seconds(10);

/// How long a task waits that was claimed where its type is unknown; it doubles with each time. With [`MAX_LOST_LEASES`] that is
/// a quarter of an hour in all: while a release is deployed gradually, workers that know the type come meanwhile.
pub const UNKNOWN_TYPE_DELAY: Duration = Duration::minutes(1);

/// What a task has been through when a verdict is due.
#[derive(Debug, Clone, Copy)]
pub struct AttemptHistory {
    /// Attempts that ended in failure, this one included.
    pub failures: i16,
    /// Leases that were lost, or held where the type is unknown, this one included.
    pub lost_leases: i16,
    /// Whether somebody asked for the task to be cancelled meanwhile.
    pub cancel_requested: bool,
}

/// Decides what follows from the end of an attempt. `jitter` is a random number in `0.0..1.0`.
///
/// A result wins over a cancellation that came too late to be noticed; any other end of a task that somebody cancelled
/// is `cancelled`, never a retry.
pub fn verdict(end: AttemptEnd, history: AttemptHistory, policy: &RetryPolicy, jitter: f64) -> Verdict {
    use TaskState::{Cancelled, Completed, Dead, Expired, Failed};
    let retried = |last| policy.delay(history.failures, jitter).map_or(Verdict::End(last), Verdict::RetryAfter);
    match end {
        AttemptEnd::Succeeded => Verdict::End(Completed),
        AttemptEnd::Cancelled => Verdict::End(Cancelled),
        _ if history.cancel_requested => Verdict::End(Cancelled),
        AttemptEnd::FailedForGood => Verdict::End(Failed),
        AttemptEnd::Expired => Verdict::End(Expired),
        AttemptEnd::Undecodable => Verdict::End(Dead),
        AttemptEnd::Failed => retried(Failed),
        AttemptEnd::Panicked => retried(Dead),
        AttemptEnd::LeaseLost | AttemptEnd::UnknownType if history.lost_leases >= MAX_LOST_LEASES => Verdict::End(Dead),
        AttemptEnd::LeaseLost => Verdict::RetryAfter(lost_lease_delay(history.lost_leases, jitter)),
        AttemptEnd::UnknownType => Verdict::RetryAfter(unknown_type_delay(history.lost_leases, jitter)),
    }
}

/// The first time at once: a worker that is replaced takes nobody's time. Whoever has lost more leases may be what kills the
/// workers, or may only have run beside it: from then on each comes back at another time, so that the others end meanwhile.
fn lost_lease_delay(lost_leases: i16, jitter: f64) -> Duration {
    let doublings = u32::try_from(lost_leases.saturating_sub(2)).unwrap_or_default().min(4);
    let most = if lost_leases < 2 { Duration::zero() } else { LOST_LEASE_SPREAD * 2_i32.pow(doublings) };
    #[expect(clippy::cast_possible_truncation, reason = "at most 160 s")]
    let millis = (most.as_seconds_f64() * 1_000.0 * jitter) as i64;
    Duration::milliseconds(millis)
}

/// A worker of the release before knows nothing of the type however often it is asked, so there is a minute from the first time
/// on, and up to a tenth more, so that not all of a type come at once.
fn unknown_type_delay(lost_leases: i16, jitter: f64) -> Duration {
    let doublings = u32::try_from(lost_leases.saturating_sub(1)).unwrap_or_default().min(3);
    let least = UNKNOWN_TYPE_DELAY * 2_i32.pow(doublings);
    #[expect(clippy::cast_possible_truncation, reason = "at most 48 s")]
    let more = (least.as_seconds_f64() * 100.0 * jitter) as i64;
    least + Duration::milliseconds(more)
}

/// How much one step of priority is worth in waiting time: a task of priority 6 overtakes one of priority 5 that came
/// this much later. Aging falls out of it, because the order of two tasks never depends on the present.
pub const AGING_STEP: Duration = Duration::seconds(30);

/// The moment by which tasks of a lane are ordered: when it is due, plus [`AGING_STEP`] for each step of priority.
pub fn claim_order(available_at: DateTime<Utc>, priority: crate::Priority) -> DateTime<Utc> {
    available_at + AGING_STEP * i32::from(priority.get())
}

/// The longest send delay that SQS allows; what is due later is dispatched by beat.
/// Source: Amazon SQS Developer Guide, "Amazon SQS delay queues".
pub const MAX_SEND_DELAY: Duration = Duration::minutes(15);
