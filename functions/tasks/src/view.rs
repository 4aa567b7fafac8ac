//! How tasks look from outside.

use chrono::{DateTime, Utc};
use halyard_domain::{TaskId, failure::failure_of, task::TaskState};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, json, value::RawValue};

/// Why a task did not end well.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "TaskFailure")]
pub struct ErrorView {
    /// Stable, `snake_case`.
    pub code: String,
    /// For people.
    pub message: String,
}

impl ErrorView {
    /// From the text that is stored: `code: message`, or only a message when a person gave it.
    pub fn new(text: String, state: TaskState) -> Self {
        let (code, message) = failure_of(text, state);
        Self { code, message }
    }
}

/// What [`progress`] gives.
#[derive(JsonSchema)]
#[schemars(rename = "TaskProgress", extend("additionalProperties" = true))]
#[expect(dead_code, reason = "only its schema is of use: a task may report more")]
pub struct ProgressView {
    /// 0 to 100.
    percentage: f64,
    /// Seconds; null when nobody can know.
    estimated_remaining: Option<f64>,
}

/// Progress as clients see it: always a percentage, and whatever else the task reported.
pub fn progress(
    stored: Option<&RawValue>,
    state: TaskState,
    started: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Value {
    let mut progress: Map<String, Value> =
        stored.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
    if state == TaskState::Completed {
        progress.insert("percentage".to_owned(), json!(100.0));
    }
    let percentage = progress.get("percentage").and_then(Value::as_f64).unwrap_or(0.0);
    progress.insert("percentage".to_owned(), json!(percentage));
    let elapsed = started.map(|at| (now - at).as_seconds_f64());
    let remaining = match (state, elapsed) {
        (TaskState::Running, Some(elapsed)) if percentage > 0.0 && elapsed >= 0.0 => {
            Some(round(elapsed * (100.0 - percentage) / percentage))
        }
        _ => None,
    };
    progress.insert("estimated_remaining".to_owned(), json!(remaining));
    Value::Object(progress)
}

/// Seconds between two moments, in milliseconds' precision; never negative, whatever the clocks say.
pub fn seconds(from: DateTime<Utc>, to: DateTime<Utc>) -> f64 {
    round((to - from).as_seconds_f64().max(0.0))
}

/// In milliseconds' precision.
pub fn round(seconds: f64) -> f64 {
    (seconds * 1_000.0).round() / 1_000.0
}

/// Where to go on from a task.
pub fn links(id: TaskId) -> Value {
    json!({
        "status": format!("/tasks/status/{id}"),
        "cancel": format!("/tasks/cancel/{id}"),
        "logs": format!("/tasks/logs/{id}"),
        "result": format!("/tasks/result/{id}"),
    })
}
