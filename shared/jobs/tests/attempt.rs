//! One attempt: its answer, its panics, and how it is stopped. Time is virtual.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::{sync::Arc, time::Duration};

use halyard_domain::{ManualClock, TaskId, UserId};
use halyard_jobs::{
    FailureKind, Registry, Stop, Task, TaskContext, TaskFailure,
    context::{AttemptInfo, Handle, context},
    worker::{Ended, Limit, run_attempt},
};
use serde_json::{Map, Value, json, value::RawValue};
use tokio::time::Instant;

/// Sleeps for the milliseconds it is given, and heeds nothing.
struct Deaf;

impl Task for Deaf {
    const TYPE: &'static str = "deaf";
    const DESCRIPTION: &'static str = "Heeds nothing.";
    type Input = Map<String, Value>;
    type Output = ();

    async fn run(&self, input: Self::Input, _: TaskContext) -> Result<(), TaskFailure> {
        tokio::time::sleep(Duration::from_millis(input["duration_ms"].as_u64().unwrap_or(0))).await;
        Ok(())
    }
}

fn begin(attempt: i16, limit: Duration) -> (TaskContext, Handle, Instant) {
    let deadline = Instant::now() + limit;
    let info = AttemptInfo {
        task_id: TaskId(uuid::Uuid::from_u128(7)),
        user_id: UserId(42),
        attempt,
        deadline,
        checkpoint: None,
    };
    let (context, handle) = context(info, Arc::new(ManualClock::new(chrono::DateTime::UNIX_EPOCH)));
    (context, handle, deadline)
}

async fn run(task_type: &str, data: Value, attempt: i16, stop: Option<(u64, Stop)>) -> (Ended, Handle, Duration) {
    let registry = Registry::standard().with(Deaf);
    let data = RawValue::from_string(data.to_string()).unwrap();
    let prepared = Arc::clone(registry.get(task_type).unwrap()).prepare(&data).unwrap();
    let began = Instant::now();
    let (context, handle, deadline) = begin(attempt, Duration::from_secs(30));
    let stopping = async {
        match stop {
            Some((after, why)) => {
                tokio::time::sleep(Duration::from_millis(after)).await;
                handle.stop(why);
                std::future::pending::<()>().await;
            }
            None => std::future::pending().await,
        }
    };
    let ended = tokio::select! {
        ended = run_attempt(prepared, context, &handle, Limit::new(deadline, Stop::TimedOut)) => ended,
        () = stopping => unreachable!(),
    };
    (ended, handle, began.elapsed())
}

fn answer(ended: Ended) -> Value {
    match ended {
        Ended::Answered(Ok(answer)) => serde_json::from_str(answer.get()).unwrap(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn sample_echoes_its_data_and_reports_its_steps() {
    let data = json!({"message": "hi", "steps": 4, "duration_ms": 2_000, "more": [1]});
    let (ended, handle, took) = run("sample", data.clone(), 1, None).await;
    let answer = answer(ended);
    assert_eq!((&answer["message"], &answer["echo"], &answer["steps"]), (&json!("hi"), &data, &json!(4)));
    assert_eq!(took.as_secs(), 2);
    let progress: Value = serde_json::from_str(handle.take_progress().unwrap().get()).unwrap();
    assert_eq!(progress, json!({"percentage": 100.0, "current_step": 4, "total_steps": 4}));
    assert!(handle.take_progress().is_none(), "what was uploaded is not uploaded again");
    assert_eq!(handle.take_lines().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn user_specific_answers_whose_it_is() {
    let (ended, ..) = run("user_specific", json!({"a": "x", "b": 1, "c": null}), 1, None).await;
    let answer = answer(ended);
    assert_eq!(answer["user_id"], 42);
    assert_eq!(answer["summary"]["field_count"], 3);
    assert_eq!(answer["summary"]["numeric_fields"], 1);
}

#[tokio::test(start_paused = true)]
async fn data_processing_profiles_and_reports_its_bytes() {
    let csv = format!("n,s\n{}", "1,x\n".repeat(100_000));
    let (ended, handle, _) = run("data_processing", json!({ "csv": csv }), 1, None).await;
    let answer = answer(ended);
    assert_eq!(answer["rows"], 100_000);
    assert_eq!(answer["columns"][0]["type"], "integer");
    let progress: Value = serde_json::from_str(handle.take_progress().unwrap().get()).unwrap();
    assert_eq!(progress["bytes_processed"], csv.len());
    assert_eq!(progress["percentage"], 100.0);
}

#[tokio::test(start_paused = true)]
async fn failures_are_what_the_code_says() {
    let (ended, ..) = run("sample", json!({"fail": "error"}), 1, None).await;
    assert!(matches!(ended, Ended::Answered(Err(TaskFailure { kind: FailureKind::Retryable, .. }))));
    let (ended, ..) = run("sample", json!({"fail": "permanent"}), 1, None).await;
    assert!(matches!(ended, Ended::Answered(Err(TaskFailure { kind: FailureKind::Permanent, .. }))));
    let (ended, ..) = run("sample", json!({"fail": "error", "fail_attempts": 1}), 2, None).await;
    assert!(matches!(ended, Ended::Answered(Ok(_))), "only the first attempt was to fail");
}

#[tokio::test(start_paused = true)]
async fn a_panic_stays_inside_the_attempt() {
    let (ended, ..) = run("sample", json!({"fail": "panic"}), 1, None).await;
    let Ended::Panicked(text) = ended else { panic!("{ended:?}") };
    assert_eq!(text, "the data asked for a panic");
}

#[tokio::test(start_paused = true)]
async fn a_task_that_heeds_a_cancellation_stops_at_once() {
    let (ended, _, took) = run("sample", json!({"duration_ms": 20_000}), 1, Some((1_000, Stop::Cancelled))).await;
    assert!(matches!(ended, Ended::Stopped(Stop::Cancelled)));
    assert_eq!(took.as_millis(), 1_000);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_heeds_no_cancellation_is_stopped_after_a_moment() {
    let (ended, _, took) = run("deaf", json!({"duration_ms": 20_000}), 1, Some((1_000, Stop::Cancelled))).await;
    assert!(matches!(ended, Ended::Stopped(Stop::Cancelled)));
    assert_eq!(took.as_secs(), 6);
}

#[tokio::test(start_paused = true)]
async fn a_result_that_comes_after_the_cancellation_counts() {
    let (ended, ..) = run("deaf", json!({"duration_ms": 2_000}), 1, Some((1_000, Stop::Cancelled))).await;
    assert!(matches!(ended, Ended::Answered(Ok(_))));
}

#[tokio::test(start_paused = true)]
async fn the_time_limit_holds() {
    let (ended, _, took) = run("deaf", json!({"duration_ms": 60_000}), 1, None).await;
    assert!(matches!(ended, Ended::Stopped(Stop::TimedOut)));
    assert_eq!(took.as_secs(), 30);
}

#[tokio::test(start_paused = true)]
async fn a_lost_lease_overrides_a_cancellation() {
    let (_, handle, _) = begin(1, Duration::from_secs(1));
    handle.stop(Stop::Cancelled);
    handle.stop(Stop::LeaseLost);
    handle.stop(Stop::Cancelled);
    assert_eq!(handle.stopped(), Some(Stop::LeaseLost));
}

#[tokio::test(start_paused = true)]
async fn a_history_hears_of_progress_seldom_whatever_a_task_reports() {
    let info = AttemptInfo {
        task_id: TaskId(uuid::Uuid::from_u128(7)),
        user_id: UserId(42),
        attempt: 1,
        deadline: Instant::now(),
        checkpoint: None,
    };
    let clock = Arc::new(ManualClock::new(chrono::DateTime::UNIX_EPOCH));
    let (context, handle) = context(info, Arc::clone(&clock) as _);
    let mut notes = Vec::new();
    // A day, with a report a second.
    for second in 0..86_400_u32 {
        context.progress(f64::from(second) / 864.0, Map::new());
        if let Some(note) = handle.take_note() {
            notes.push((second, note));
        }
        handle.take_progress();
        clock.advance(chrono::Duration::seconds(1));
    }
    assert_eq!(notes[0], (10, "Progress: 0 %".to_owned()));
    assert!(notes.windows(2).all(|pair| pair[1].0 - pair[0].0 >= 10));
    assert!((60..=100).contains(&notes.len()), "{} in a day", notes.len());
    assert_eq!(handle.take_note(), None, "nothing without a report");
    clock.advance(chrono::Duration::hours(5));
    context.progress(50.0, Map::from_iter([("message".to_owned(), json!("Epoch 25/100"))]));
    assert_eq!(handle.take_note().as_deref(), Some("Epoch 25/100"));
}
