//! One attempt: the task's code, its time limit, its wish to be stopped, its panics.

use std::{any::Any, panic::AssertUnwindSafe, time::Duration};

use futures::FutureExt as _;
use serde_json::value::RawValue;
use tokio::time::{Instant, sleep, sleep_until};

use crate::{
    context::{Handle, Stop, TaskContext},
    task::{Prepared, TaskFailure},
};

/// How an attempt ended.
#[derive(Debug)]
pub enum Ended {
    /// The task's code answered.
    Answered(Result<Box<RawValue>, TaskFailure>),
    /// It panicked.
    Panicked(String),
    /// It was stopped, by itself or by force.
    Stopped(Stop),
    /// It was refused before it began: expired, cancelled, of an unknown type or with an input that does not decode.
    Refused(super::decision::Refusal),
}

/// How long the code of a cancelled task may take to notice.
const CANCEL_GRACE: Duration = Duration::from_secs(5);
/// The same when time is up or the lease is lost: enough for a blocking piece of work to end.
const GRACE: Duration = Duration::from_millis(250);

/// Runs the code until it answers, panics, or is stopped. When it is asked to stop it gets a moment to do so itself,
/// because work on other threads cannot be stopped from outside; then its future is dropped.
///
/// `limit` is when it is stopped at the latest, and why.
pub async fn run(prepared: Prepared, context: TaskContext, handle: &Handle, limit: (Instant, Stop)) -> Ended {
    let stop = handle.wish();
    let mut wishes = stop.subscribe();
    let code = AssertUnwindSafe(async move { prepared(context).await }).catch_unwind();
    tokio::pin!(code);
    let ended = tokio::select! {
        biased;
        answer = &mut code => Some(answer),
        _ = wishes.wait_for(Option::is_some) => None,
        () = sleep_until(limit.0) => {
            handle.stop(limit.1);
            None
        }
    };
    let ended = if ended.is_some() {
        ended
    } else {
        let cancelled = *stop.borrow() == Some(Stop::Cancelled);
        tokio::select! {
            biased;
            answer = &mut code => Some(answer),
            // A task's own time limit holds while it is being cancelled, too.
            () = sleep_until(limit.0), if cancelled => None,
            () = sleep(if cancelled { CANCEL_GRACE } else { GRACE }) => None,
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
        (None, None) => Ended::Stopped(limit.1),
    }
}

fn panic_text(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}
