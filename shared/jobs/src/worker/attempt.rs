//! One attempt: the task's code, its time limit, its wish to be stopped, its panics.

use std::{any::Any, panic::AssertUnwindSafe, time::Duration};

use futures::FutureExt as _;
use serde_json::value::RawValue;
use tokio::time::{Instant, sleep_until};

use crate::{
    context::{Handle, Stop, TaskContext},
    task::{Prepared, TaskFailure},
};

/// How an attempt ended.
#[derive(Debug)]
pub enum Ended {
    /// The task's code answered.
    Answered(Result<Box<RawValue>, TaskFailure>),
    /// It answered more than a row takes; the answer is stored.
    Stored,
    /// Likewise, but it could not be stored: why.
    NotStored(String),
    /// It panicked.
    Panicked(String),
    /// It was stopped, by itself or by force.
    Stopped(Stop),
    /// The invocation that carried it ended; another goes on from its checkpoint.
    HandedOver,
    /// It was refused before it began: expired, cancelled, of an unknown type or with an input that does not decode.
    Refused(super::decision::Refusal),
}

/// How long the code of a cancelled task may take to notice.
const CANCEL_GRACE: Duration = Duration::from_secs(5);
/// The same when time is up or the lease is lost: enough for a blocking piece of work to end.
const GRACE: Duration = Duration::from_millis(250);

/// When an attempt is stopped at the latest.
#[derive(Debug, Clone, Copy)]
pub struct Limit {
    /// When it is asked to stop.
    pub at: Instant,
    /// Why.
    pub why: Stop,
    /// When its future is dropped although it has not stopped; never less than a moment later.
    pub until: Instant,
}

impl Limit {
    /// Asked at `at`, and dropped a moment later.
    pub fn new(at: Instant, why: Stop) -> Self {
        Self { at, why, until: at }
    }
}

/// Runs the code until it answers, panics, or is stopped. When it is asked to stop it gets a moment to do so itself,
/// because work on other threads cannot be stopped from outside; then its future is dropped.
pub async fn run(prepared: Prepared, context: TaskContext, handle: &Handle, limit: Limit) -> Ended {
    let stop = handle.wish();
    let mut wishes = stop.subscribe();
    let code = AssertUnwindSafe(async move { prepared(context).await }).catch_unwind();
    tokio::pin!(code);
    let ended = tokio::select! {
        biased;
        answer = &mut code => Some(answer),
        _ = wishes.wait_for(Option::is_some) => None,
        () = sleep_until(limit.at) => {
            handle.stop(limit.why);
            None
        }
    };
    let ended = if ended.is_some() {
        ended
    } else {
        let why = *stop.borrow();
        let cancelled = why == Some(Stop::Cancelled);
        let until = Instant::now() + if cancelled { CANCEL_GRACE } else { GRACE };
        // A slice that hands over has all of its margin to come to a point from which the next can go on.
        let until = if why == Some(limit.why) { until.max(limit.until) } else { until };
        tokio::select! {
            biased;
            answer = &mut code => Some(answer),
            // A task's own time limit holds while it is being cancelled, too.
            () = sleep_until(limit.at), if cancelled => None,
            () = sleep_until(until) => None,
        }
    };
    let wish = *stop.borrow();
    match (ended, wish) {
        (_, Some(Stop::LeaseLost)) => Ended::Stopped(Stop::LeaseLost),
        (Some(Ok(Ok(result))), _) => Ended::Answered(Ok(result)),
        // Whatever it says after having been asked to stop, stopping is why.
        (Some(Ok(Err(_))) | None, Some(why)) => Ended::Stopped(why),
        (Some(Ok(Err(failure))), None) => Ended::Answered(Err(failure)),
        (Some(Err(payload)), _) => Ended::Panicked(panic_text(payload.as_ref())),
        (None, None) => Ended::Stopped(limit.why),
    }
}

fn panic_text(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}
