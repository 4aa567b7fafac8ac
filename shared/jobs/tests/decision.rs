//! What happens to a claimed task before it runs, and what follows from how its attempt ended.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use chrono::{DateTime, Utc};
use halyard_domain::{
    TaskId, UserId,
    retry::RetryPolicy,
    task::{AttemptEnd, TaskState},
};
use halyard_jobs::{
    Registry, Stop, TaskFailure,
    worker::{Ended, MAX_RESULT, finish_of, refuse},
};
use halyard_store::tasks::{Claimed, Ending, Finish};
use serde_json::value::RawValue;

fn raw(json: &str) -> Box<RawValue> {
    RawValue::from_string(json.to_owned()).unwrap()
}

fn claimed() -> Claimed {
    Claimed {
        id: TaskId(uuid::Uuid::from_u128(7)),
        user_id: UserId(1),
        task_type: "sample".to_owned(),
        input: raw("{}"),
        attempt: 1,
        fence: 1,
        retry: RetryPolicy { max_retries: 1, retry_delay: 60, exponential_backoff: true },
        failures: 0,
        lost_leases: 0,
        timeout_s: 30,
        spent: std::time::Duration::ZERO,
        expires_at: None,
        expired: false,
        cancel_requested: false,
        checkpoint: None,
        created_at: DateTime::<Utc>::UNIX_EPOCH,
        available_at: DateTime::<Utc>::UNIX_EPOCH,
        attempt_at: DateTime::<Utc>::UNIX_EPOCH,
        request_id: None,
        traceparent: None,
        front: None,
    }
}

fn refused(change: impl FnOnce(&mut Claimed)) -> Option<AttemptEnd> {
    let mut task = claimed();
    change(&mut task);
    refuse(&task, &Registry::standard()).err().map(|refusal| refusal.end)
}

#[test]
fn only_what_can_run_runs() {
    assert_eq!(refused(|_| {}), None);
    assert_eq!(refused(|task| task.expired = true), Some(AttemptEnd::Expired));
    assert_eq!(refused(|task| task.cancel_requested = true), Some(AttemptEnd::Cancelled));
    assert_eq!(refused(|task| task.task_type = "gone".to_owned()), Some(AttemptEnd::UnknownType));
    assert_eq!(refused(|task| task.input = raw("7")), Some(AttemptEnd::Undecodable));
    let both = |task: &mut Claimed| (task.expired, task.cancel_requested) = (true, true);
    assert_eq!(refused(both), Some(AttemptEnd::Cancelled), "what somebody asked for comes first");
}

fn end(task: &Claimed, ended: Ended) -> Finish {
    finish_of(task, ended, false, 0.5).unwrap()
}

fn state(finish: &Finish) -> TaskState {
    match &finish.ending {
        Ending::Finished { state, .. } => *state,
        Ending::Retry { .. } => TaskState::Retrying,
        Ending::HandOver => TaskState::Queued,
    }
}

#[test]
fn a_slice_that_hands_over_is_neither_a_failure_nor_a_lost_lease() {
    let finish = end(&claimed(), Ended::HandedOver);
    assert_eq!((state(&finish), finish.failed, finish.lease_lost), (TaskState::Queued, false, false));
    let cancelled = finish_of(&claimed(), Ended::HandedOver, true, 0.5).unwrap();
    assert_eq!(state(&cancelled), TaskState::Cancelled, "it does not go on");
}

#[test]
fn what_a_callee_asks_for_is_waited_for_unless_the_retry_waits_longer() {
    // 60 s with equal jitter at the middle: 45 s.
    for (after, delay) in [(None, 45), (Some(10), 45), (Some(300), 300), (Some(1_000_000), 86_400)] {
        let failure = TaskFailure::retryable("busy", "503");
        let failure = after.map_or(failure.clone(), |s| failure.after(std::time::Duration::from_secs(s)));
        let Ending::Retry { delay: decided, .. } = end(&claimed(), Ended::Answered(Err(failure))).ending else {
            panic!("no retry");
        };
        assert_eq!(decided.num_seconds(), delay);
    }
}

#[test]
fn a_result_completes_the_task() {
    let finish = end(&claimed(), Ended::Answered(Ok(raw("[1]"))));
    let Ending::Finished { state: TaskState::Completed, result: Some(result), error: None } = finish.ending else {
        panic!("{finish:?}");
    };
    assert_eq!(result.get(), "[1]");
    assert!(!finish.failed && !finish.lease_lost);
}

#[test]
fn a_failure_is_retried_until_the_retries_are_used_up() {
    let failure = || Ended::Answered(Err(TaskFailure::retryable("busy", "try later")));
    let first = end(&claimed(), failure());
    let Ending::Retry { delay, error } = &first.ending else { panic!("{first:?}") };
    assert_eq!((delay.num_seconds(), error.as_str(), first.failed), (45, "busy: try later", true));
    let mut again = claimed();
    again.failures = 1;
    assert_eq!(state(&end(&again, failure())), TaskState::Failed);
}

#[test]
fn a_permanent_failure_and_a_result_beyond_the_limit_are_not_retried() {
    let permanent = Ended::Answered(Err(TaskFailure::permanent("wrong", "for good")));
    assert_eq!(state(&end(&claimed(), permanent)), TaskState::Failed);
    let huge = raw(&format!("\"{}\"", "x".repeat(MAX_RESULT)));
    assert_eq!(state(&end(&claimed(), Ended::Answered(Ok(huge)))), TaskState::Failed);
    // Each of these takes four bytes in an answer.
    let quotes = |count: usize| Ended::Answered(Ok(raw(&format!("\"{}\"", r#"\""#.repeat(count)))));
    assert_eq!(state(&end(&claimed(), quotes(MAX_RESULT / 4))), TaskState::Failed);
    assert_eq!(state(&end(&claimed(), quotes(MAX_RESULT / 4 - 1))), TaskState::Completed);
}

#[test]
fn a_panic_and_a_time_limit_count_as_failures() {
    for ended in [Ended::Panicked("oh\0no".to_owned()), Ended::Stopped(Stop::TimedOut)] {
        let finish = end(&claimed(), ended);
        assert_eq!((state(&finish), finish.failed), (TaskState::Retrying, true));
        assert!(!finish.message.contains('\0'), "PostgreSQL's text holds no NUL");
    }
}

#[test]
fn what_panics_until_its_retries_are_used_up_is_dead_with_that_reason() {
    let mut again = claimed();
    again.failures = 1;
    let finish = end(&again, Ended::Panicked("index out of bounds".to_owned()));
    assert_eq!(finish.message, "Task dead: panicked: index out of bounds");
    let Ending::Finished { state: TaskState::Dead, result: None, error: Some(error) } = finish.ending else {
        panic!("{finish:?}");
    };
    assert_eq!(error, "panicked: index out of bounds");
}

#[test]
fn a_type_that_is_unknown_here_counts_as_a_lost_lease_until_it_is_given_up() {
    let of = |lost_leases| {
        let mut task = claimed();
        (task.task_type, task.lost_leases) = ("of_the_next_release".to_owned(), lost_leases);
        let refusal = refuse(&task, &Registry::standard()).err().unwrap();
        finish_of(&task, Ended::Refused(refusal), false, 0.0).unwrap()
    };
    let first = of(0);
    assert_eq!((state(&first), first.failed, first.lease_lost), (TaskState::Retrying, false, true));
    assert!(first.message.starts_with("Attempt 1 failed (unknown_type: no code for"), "{}", first.message);
    assert!(first.message.ends_with("retrying in 60.0 s"), "{}", first.message);
    let last = of(4);
    assert_eq!((state(&last), last.lease_lost), (TaskState::Dead, true));
    assert!(last.message.starts_with("Task dead: unknown_type: "), "{}", last.message);
}

#[test]
fn a_cancelled_task_ends_cancelled_whatever_its_code_did() {
    assert_eq!(state(&end(&claimed(), Ended::Stopped(Stop::Cancelled))), TaskState::Cancelled);
    let failure = Ended::Answered(Err(TaskFailure::retryable("busy", "try later")));
    assert_eq!(state(&finish_of(&claimed(), failure, true, 0.5).unwrap()), TaskState::Cancelled);
    let success = Ended::Answered(Ok(raw("1")));
    assert_eq!(state(&finish_of(&claimed(), success, true, 0.5).unwrap()), TaskState::Completed, "it came too late");
}

#[test]
fn a_task_is_handed_over_when_the_invocation_ends_but_not_for_ever() {
    let finish = end(&claimed(), Ended::Stopped(Stop::InvocationEnds));
    assert_eq!((state(&finish), finish.failed, finish.lease_lost), (TaskState::Retrying, false, true));
    let mut unlucky = claimed();
    unlucky.lost_leases = 4;
    assert_eq!(state(&end(&unlucky, Ended::Stopped(Stop::InvocationEnds))), TaskState::Dead);
}

#[test]
fn an_attempt_that_lost_its_lease_writes_nothing() {
    assert!(finish_of(&claimed(), Ended::Stopped(Stop::LeaseLost), false, 0.5).is_none());
}
