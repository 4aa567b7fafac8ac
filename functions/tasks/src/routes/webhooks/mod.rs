//! `/tasks/webhooks`: what became of webhooks, and where they go.

pub mod deliveries;
pub mod delivery;
pub mod enable;
pub mod endpoints;
pub mod replay;

use chrono::{DateTime, Utc};
use halyard_domain::{
    DeliveryId, TaskId, WorkflowId,
    webhook::{DeliveryState, SourceKind},
};
use halyard_store::webhooks::Delivery;
use schemars::JsonSchema;
use serde::Serialize;

/// A delivery, in short.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "WebhookDelivery")]
pub struct View {
    /// What the receiver knows it by, at every attempt: `webhook-id`, and the event's `id`.
    delivery_id: DeliveryId,
    user_id: i64,
    /// As the event has it.
    event_type: String,
    /// Null for what tells of a workflow.
    task_id: Option<TaskId>,
    /// Null for what tells of a task.
    workflow_id: Option<WorkflowId>,
    url: String,
    state: DeliveryState,
    /// Begun.
    attempts: i16,
    event_at: DateTime<Utc>,
    /// Null when it has ended.
    next_attempt_at: Option<DateTime<Utc>>,
    ended_at: Option<DateTime<Utc>>,
    /// Of the last answer.
    status_code: Option<i16>,
    /// Of the last attempt, or why there was none.
    error: Option<String>,
}

impl From<Delivery> for View {
    fn from(d: Delivery) -> Self {
        let of = |kind| d.source_kind == kind;
        Self {
            delivery_id: d.id,
            user_id: d.user_id.0,
            event_type: format!("halyard.{}.{}", d.source_kind, d.event),
            task_id: of(SourceKind::Task).then_some(TaskId(d.source)),
            workflow_id: of(SourceKind::Workflow).then_some(WorkflowId(d.source)),
            url: d.url,
            state: d.state,
            attempts: d.attempts,
            event_at: d.event_at,
            next_attempt_at: d.ended_at.is_none().then_some(d.due_at),
            ended_at: d.ended_at,
            status_code: d.status_code,
            error: d.error,
        }
    }
}
