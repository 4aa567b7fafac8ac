//! `/tasks/workflows`: batches and chains once they are accepted.

pub mod cancel;
pub mod get;
pub mod list;
pub mod retry;

use chrono::{DateTime, Utc};
use halyard_domain::{
    WorkflowId,
    workflow::{FailureStrategy, Mode, WorkflowKind, WorkflowState},
};
use halyard_store::workflows::WorkflowSummary;
use schemars::JsonSchema;
use serde::Serialize;

/// What is said of a workflow everywhere.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "WorkflowSummary")]
pub struct Summary {
    workflow_id: WorkflowId,
    kind: WorkflowKind,
    name: String,
    status: WorkflowState,
    execution_mode: Mode,
    failure_strategy: FailureStrategy,
    /// 1, and one more with each retry.
    generation: i16,
    total_tasks: i32,
    cancel_requested: bool,
    user_id: i64,
    created_at: DateTime<Utc>,
    completed_at: Option<DateTime<Utc>>,
}

impl From<WorkflowSummary> for Summary {
    fn from(w: WorkflowSummary) -> Self {
        Self {
            workflow_id: w.id,
            kind: w.kind,
            name: w.name,
            status: w.state,
            execution_mode: w.mode,
            failure_strategy: w.failure_strategy,
            generation: w.generation,
            total_tasks: w.total,
            cancel_requested: w.cancel_requested,
            user_id: w.user_id.0,
            created_at: w.created_at,
            completed_at: w.ended_at,
        }
    }
}
