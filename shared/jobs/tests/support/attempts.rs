//! Runs a task type by itself.
#![allow(dead_code, reason = "not every test file uses all of it")]

use std::{sync::Arc, time::Duration};

use halyard_domain::{ManualClock, TaskId, UserId};
use halyard_jobs::{
    Registry, TaskFailure,
    context::{AttemptInfo, Handle, context},
};
use serde_json::{Value, value::RawValue};
use tokio::time::Instant;

pub fn raw(data: &Value) -> Box<RawValue> {
    RawValue::from_string(data.to_string()).unwrap()
}

/// What is wrong with an input.
pub fn errors(task_type: &str, data: &Value) -> Vec<(String, &'static str)> {
    match Registry::standard().get(task_type).unwrap().validate(&raw(data)) {
        Ok(()) => Vec::new(),
        Err(invalid) => invalid.0.into_iter().map(|error| (error.pointer, error.code)).collect(),
    }
}

/// One attempt with what an earlier one saved; `watch` sees the worker's end.
pub async fn attempt(
    registry: &Registry,
    task_type: &str,
    data: &Value,
    checkpoint: Option<Box<RawValue>>,
    watch: impl AsyncFnOnce(&Handle),
) -> Option<Result<Value, TaskFailure>> {
    let prepared = Arc::clone(registry.get(task_type).unwrap()).prepare(&raw(data)).unwrap();
    let info = AttemptInfo {
        task_id: TaskId(uuid::Uuid::from_u128(7)),
        user_id: UserId(42),
        attempt: 1,
        deadline: Instant::now() + Duration::from_mins(1),
        checkpoint,
    };
    let (context, handle) = context(info, Arc::new(ManualClock::new(chrono::DateTime::UNIX_EPOCH)));
    tokio::select! {
        biased;
        () = watch(&handle) => None,
        done = prepared(context) => Some(done.map(|result| serde_json::from_str(result.get()).unwrap())),
    }
}

/// One attempt to its end.
pub async fn run(task_type: &str, data: Value) -> Result<Value, TaskFailure> {
    let watch = async |_: &Handle| std::future::pending().await;
    attempt(&Registry::standard(), task_type, &data, None, watch).await.unwrap()
}
