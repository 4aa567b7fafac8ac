//! Accepting workflows.

use halyard_domain::{
    UserId, WorkflowId,
    workflow::{Edge, FailureStrategy, Mode, WorkflowKind},
};
use serde_json::{json, value::RawValue};
use sqlx::PgConnection;

use crate::{
    Now, Result,
    tasks::{Belonging, NewTask, Submitted, insert},
};

/// A workflow to be.
#[derive(Debug, Clone)]
pub struct NewWorkflow {
    /// A ULID, made by the caller.
    pub id: WorkflowId,
    /// Whose.
    pub user_id: UserId,
    /// How it was submitted.
    pub kind: WorkflowKind,
    /// In which order its steps run.
    pub mode: Mode,
    /// What a step that does not complete means for the others.
    pub failure_strategy: FailureStrategy,
    /// For people.
    pub name: String,
    /// As the client sent them.
    pub callbacks: Option<Box<RawValue>>,
    /// What waits for what.
    pub edges: Vec<Edge>,
    /// The id of the request that submits it.
    pub request_id: Option<String>,
    /// The W3C trace context of the request that submits it.
    pub traceparent: Option<String>,
}

/// Accepts a workflow with its tasks, all or nothing, in one statement. Each task says with `ties.step` which step it is.
///
/// # Errors
/// `Conflict(TaskIdTaken)` when a task with one of the ids exists.
pub async fn create(
    conn: &mut PgConnection,
    workflow: &NewWorkflow,
    tasks: &[NewTask],
    now: Now,
) -> Result<Vec<Submitted>> {
    insert(conn, tasks, Some(&belonging(workflow)), now).await
}

fn belonging(workflow: &NewWorkflow) -> Belonging {
    let number = |step: usize| i32::try_from(step).unwrap_or(i32::MAX);
    let column = |field: fn(&Edge) -> usize| workflow.edges.iter().map(|edge| number(field(edge))).collect();
    Belonging {
        workflow: json!({
            "id": workflow.id.0.to_string(),
            "user_id": workflow.user_id.0,
            "kind": workflow.kind.as_str(),
            "mode": workflow.mode.as_str(),
            "failure_strategy": workflow.failure_strategy.as_str(),
            "name": workflow.name,
            "callbacks": workflow.callbacks,
            "request_id": workflow.request_id,
            "traceparent": workflow.traceparent,
        }),
        before: column(|edge| edge.before),
        after: column(|edge| edge.after),
        needs_success: workflow.edges.iter().map(|edge| edge.needs_success).collect(),
        gives: workflow.edges.iter().map(|edge| edge.gives).collect(),
    }
}
