//! What a webhook says: a `CloudEvents` 1.0 event in JSON (structured mode). Made of the row alone, so every attempt says the same.

use chrono::{DateTime, Utc};
use halyard_domain::{TaskId, WorkflowId, failure::failure_of, task::TaskState, webhook::SourceKind};
use halyard_store::webhooks::Claimed;
use serde::{Deserialize, Serialize};
use serde_json::{
    Map, Value, json,
    value::{RawValue, to_raw_value},
};
use uuid::Uuid;

/// Its content type (`CloudEvents`, JSON event format, section 3).
pub const CONTENT_TYPE: &str = "application/cloudevents+json";

#[derive(Serialize)]
struct Event<'a> {
    specversion: &'static str,
    id: String,
    source: &'a str,
    r#type: String,
    subject: String,
    time: DateTime<Utc>,
    datacontenttype: &'static str,
    data: Box<RawValue>,
}

/// The body of a delivery.
///
/// # Errors
/// When the row's `data` are not what its source writes: a fault of ours.
pub fn body(delivery: &Claimed, source: &str) -> Result<Vec<u8>, serde_json::Error> {
    let (subject, data) = match delivery.source_kind {
        SourceKind::Task => {
            let id = TaskId(delivery.source);
            (id.to_string(), to_raw_value(&task(id, serde_json::from_str(delivery.data.get())?))?)
        }
        SourceKind::Workflow => {
            let id = WorkflowId(delivery.source).to_string();
            let mut data: Map<String, Value> = serde_json::from_str(delivery.data.get())?;
            data.insert("workflow_id".to_owned(), json!(id));
            data.insert("links".to_owned(), json!({"status": format!("/tasks/workflows/{id}")}));
            (id, to_raw_value(&data)?)
        }
    };
    serde_json::to_vec(&Event {
        specversion: "1.0",
        id: delivery.id.to_string(),
        source,
        r#type: format!("halyard.{}.{}", delivery.source_kind, delivery.event),
        subject,
        time: delivery.event_at,
        datacontenttype: "application/json",
        data,
    })
}

/// As the trigger writes it.
#[derive(Deserialize)]
struct Told {
    task_type: String,
    status: String,
    priority: i16,
    attempt: i16,
    created_at: DateTime<Utc>,
    started_at: Option<DateTime<Utc>>,
    ended_at: Option<DateTime<Utc>>,
    workflow_id: Option<String>,
    retry_of: Option<String>,
    error: Option<String>,
    progress: Option<Map<String, Value>>,
    result: Option<Box<RawValue>>,
}

/// A task as its status shows it, in short.
#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    rest: Value,
    /// As it is written: it may be nested deeper than is decoded. Null when there is none, or when it is larger than 16 KiB: the link
    /// has it.
    result: Option<Box<RawValue>>,
}

fn task(id: TaskId, told: Told) -> Shown {
    let state = told.status.parse::<TaskState>().ok();
    let failure = told.error.zip(state).map(|(text, state)| {
        let (code, message) = failure_of(text, state);
        json!({"code": code, "message": message})
    });
    let mut progress = told.progress.unwrap_or_default();
    if state == Some(TaskState::Completed) {
        progress.insert("percentage".to_owned(), json!(100.0));
    }
    let rest = json!({
        "task_id": id,
        "task_type": told.task_type,
        "status": told.status,
        "priority": told.priority,
        "attempt": told.attempt,
        "created_at": told.created_at,
        "started_at": told.started_at,
        "completed_at": told.ended_at,
        "workflow_id": id_of(told.workflow_id).map(WorkflowId),
        "retry_of": id_of(told.retry_of).map(TaskId),
        "progress": progress,
        "error": failure,
        "links": {"status": format!("/tasks/status/{id}"), "result": format!("/tasks/result/{id}")},
    });
    Shown { rest, result: told.result }
}

/// An id as PostgreSQL writes it.
fn id_of(text: Option<String>) -> Option<Uuid> {
    text.and_then(|text| text.parse().ok())
}
