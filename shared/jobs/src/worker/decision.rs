//! The pure part: what happens to a claimed task before it runs, and what follows from how it ended.

use std::sync::Arc;

use halyard_domain::{
    retry::RetryPolicy,
    task::{AttemptEnd, AttemptHistory, CANCELLED_WHILE_IT_RAN, TaskState, Verdict, verdict},
};
use halyard_store::tasks::{Claimed, Ending, Finish};

use super::{
    attempt::Ended,
    stored::{self, MAX_STORED_RESULT},
};
use crate::{
    context::Stop,
    registry::Registry,
    task::{FailureKind, Prepared},
};

/// The largest result that is kept in a row, in the bytes that it takes in an answer of Lambda, with room for the envelope. Larger
/// ones are stored apart.
pub const MAX_RESULT: usize = 5 * 1024 * 1024;

/// Why a claimed task is not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// How the attempt counts.
    pub end: AttemptEnd,
    /// Why, for people; begins with a code.
    pub why: String,
}

/// Decides whether a claimed task runs: `Ok` with its code ready, or why not.
///
/// # Errors
/// The refusal: cancelled or expired meanwhile, of a type that is unknown here, or with an input that does not decode.
pub fn refuse(claimed: &Claimed, registry: &Registry) -> Result<Prepared, Refusal> {
    let refusal = |end, why: String| Err(Refusal { end, why });
    if claimed.cancel_requested {
        return refusal(AttemptEnd::Cancelled, "the task was cancelled before it ran".to_owned());
    }
    if claimed.expired {
        return refusal(AttemptEnd::Expired, "expired: the task was not started in time".to_owned());
    }
    let Some(task) = registry.get(&claimed.task_type) else {
        let names = registry.names().collect::<Vec<_>>().join(", ");
        let why = format!("unknown_type: no code for {:?} here, only for {names}", claimed.task_type);
        return refusal(AttemptEnd::UnknownType, why);
    };
    Arc::clone(task)
        .prepare(&claimed.input)
        .or_else(|error| refusal(AttemptEnd::Undecodable, format!("undecodable_input: {error}")))
}

/// What is to be committed for an attempt that ended. `cancel_requested` is what the last renewal said; `jitter` is a
/// random number in `0.0..1.0`. Nothing at all when the lease is lost: such an attempt writes nothing.
pub fn finish_of(claimed: &Claimed, ended: Ended, cancel_requested: bool, jitter: f64) -> Option<Finish> {
    if matches!(ended, Ended::HandedOver) && !cancel_requested {
        return Some(handed_over(claimed));
    }
    let (mut result, mut after) = (None, None);
    let (end, why) = match ended {
        Ended::Stopped(Stop::LeaseLost) => return None,
        Ended::Answered(Ok(answer)) if !stored::fits(&answer) => {
            let bytes = answer.get().len();
            let why = if bytes > MAX_STORED_RESULT {
                format!("result_too_large: {bytes} bytes of at most {MAX_STORED_RESULT}")
            } else {
                format!(
                    "result_too_large: {bytes} bytes, and in an answer, where quotes take two, at most {MAX_RESULT} where a \
                     later step takes the result"
                )
            };
            (AttemptEnd::FailedForGood, Some(why))
        }
        Ended::Stored => (AttemptEnd::Succeeded, None),
        // Nothing that the task's code did: it is tried again as if the worker had vanished.
        Ended::NotStored(why) => (AttemptEnd::LeaseLost, Some(format!("result_not_stored: {why}"))),
        Ended::Answered(Ok(answer)) => {
            result = Some(answer);
            (AttemptEnd::Succeeded, None)
        }
        Ended::Answered(Err(failure)) => {
            let end = match failure.kind {
                FailureKind::Permanent => AttemptEnd::FailedForGood,
                // A task that calls itself cancelled though nobody asked has merely failed.
                FailureKind::Retryable | FailureKind::Cancelled => AttemptEnd::Failed,
            };
            after = failure.after.and_then(|wait| chrono::Duration::from_std(wait).ok());
            (end, Some(failure.to_string()))
        }
        Ended::Panicked(text) => (AttemptEnd::Panicked, Some(format!("panicked: {text}"))),
        Ended::Stopped(Stop::Cancelled) => (AttemptEnd::Cancelled, Some(CANCELLED_WHILE_IT_RAN.to_owned())),
        Ended::Stopped(Stop::TimedOut) => {
            (AttemptEnd::Failed, Some(format!("timed_out: the attempt ran longer than {} s", claimed.timeout_s)))
        }
        // The task is taken back as if the worker had vanished, only sooner.
        Ended::Stopped(Stop::InvocationEnds) | Ended::HandedOver => {
            (AttemptEnd::LeaseLost, Some("interrupted: the worker's own time was up".to_owned()))
        }
        Ended::Refused(refusal) => (refusal.end, Some(refusal.why)),
    };
    // PostgreSQL's text holds no NUL.
    let why = why.map(|text| text.replace('\0', "\u{fffd}"));
    let failed = matches!(end, AttemptEnd::Failed | AttemptEnd::FailedForGood | AttemptEnd::Panicked);
    // Nothing of the task's own ran: like a worker that vanished, it counts against the platform.
    let lease_lost = matches!(end, AttemptEnd::LeaseLost | AttemptEnd::UnknownType);
    let history = AttemptHistory {
        failures: claimed.failures + i16::from(failed),
        lost_leases: claimed.lost_leases + i16::from(lease_lost),
        cancel_requested,
    };
    let (ending, message) = match verdict(end, history, &claimed.retry, jitter) {
        Verdict::End(state) => {
            let message = match (state, &why) {
                (TaskState::Completed | TaskState::Cancelled, _) | (_, None) => format!("Task {state}"),
                (_, Some(why)) => format!("Task {state}: {why}"),
            };
            (Ending::Finished { state, result, error: why }, message)
        }
        Verdict::RetryAfter(delay) => {
            let delay = RetryPolicy::respecting(delay, after);
            let error = why.unwrap_or_default();
            let message = format!("Attempt {} failed ({error}); retrying in {} s", claimed.attempt, seconds(delay));
            (Ending::Retry { delay, error }, message)
        }
    };
    Some(Finish {
        id: claimed.id,
        fence: claimed.fence,
        ending,
        failed,
        lease_lost,
        message,
        progress: None,
        checkpoint: None,
    })
}

/// A slice that ended with its invocation: neither a failure nor a lost lease.
fn handed_over(claimed: &Claimed) -> Finish {
    Finish {
        id: claimed.id,
        fence: claimed.fence,
        ending: Ending::HandOver,
        failed: false,
        lease_lost: false,
        message: format!("Attempt {} handed over: its invocation ended", claimed.attempt),
        progress: None,
        checkpoint: None,
    }
}

fn seconds(delay: chrono::Duration) -> String {
    format!("{:.1}", delay.as_seconds_f64())
}
