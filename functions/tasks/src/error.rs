//! What can go wrong here, and which problem it is.

use halyard_cloud::table::TableError;
use halyard_domain::{task::TaskState, workflow::WorkflowState};
use halyard_http::Problem;
use halyard_store::StoreError;

/// Seconds after which a caller may try again what a dependency refused.
const RETRY_AFTER: u32 = 2;

/// An error of this area.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The table of log lines.
    #[error(transparent)]
    Logs(#[from] TableError),
    /// Not there, or not the caller's.
    #[error("there is no such task")]
    NotFound,
    /// No lane of that name.
    #[error("there is no such queue")]
    NoSuchLane,
    /// No such workflow, or not the caller's.
    #[error("there is no such workflow")]
    NoSuchWorkflow,
    /// It is to be cancelled, but has ended.
    #[error("the workflow has ended: {0}")]
    WorkflowEnded(WorkflowState),
    /// It is to be retried, but has not ended.
    #[error("the workflow has not ended yet")]
    WorkflowRuns,
    /// It is to be retried, but every step completed.
    #[error("every step has completed")]
    NothingToRetry,
    /// No such schedule, or not the caller's.
    #[error("there is no such schedule")]
    NoSuchSchedule,
    /// The account has as many schedules as it may.
    #[error("the account has {} schedules already", halyard_domain::schedule::MOST)]
    TooManySchedules,
    /// Others kept changing it.
    #[error("others are changing the schedule; try again")]
    ScheduleContended,
    /// `If-Match` names another version.
    #[error("the schedule was changed meanwhile")]
    VersionMismatch,
    /// In a terminal state already.
    #[error("the task has ended: {0}")]
    Ended(TaskState),
    /// Its result is asked for, but it has not ended.
    #[error("the task has not ended yet: {0}")]
    NotEnded(TaskState),
    /// Its result is asked for, but it did not end well.
    #[error("the task has no result: {0}")]
    NoResult(TaskState),
    /// Its state kept changing while it was to be cancelled.
    #[error("the task's state is changing; try again")]
    Contended,
}

impl From<TaskError> for Problem {
    fn from(error: TaskError) -> Self {
        match error {
            TaskError::Store(StoreError::Unavailable(source)) => {
                Self::unavailable("the database is unavailable", RETRY_AFTER).with_source(source.to_string())
            }
            // A new task's id is random and long: a second one like it is a fault of ours.
            TaskError::Store(error @ (StoreError::Internal(_) | StoreError::Conflict(_))) => Self::internal(&error),
            TaskError::Logs(TableError::Unavailable(why)) => {
                Self::unavailable("the log store is unavailable", RETRY_AFTER).with_source(why)
            }
            TaskError::Logs(error @ (TableError::ConditionFailed | TableError::Refused(_))) => Self::internal(&error),
            TaskError::NotFound => Self::not_found("there is no such task"),
            TaskError::NoSuchLane => Self::not_found("there is no such queue"),
            TaskError::NoSuchWorkflow => Self::not_found("there is no such workflow"),
            TaskError::WorkflowEnded(_) => Self::conflict("workflow_ended", error.to_string()),
            TaskError::WorkflowRuns => Self::conflict("workflow_not_ended", error.to_string()).with_retry_after(1),
            TaskError::NothingToRetry => Self::conflict("nothing_to_retry", error.to_string()),
            TaskError::NoSuchSchedule => Self::not_found("there is no such schedule"),
            TaskError::TooManySchedules => Self::conflict("too_many_schedules", error.to_string()),
            TaskError::VersionMismatch => Self::precondition_failed(error.to_string()),
            TaskError::Ended(_) => Self::conflict("task_ended", error.to_string()),
            TaskError::NotEnded(_) => Self::conflict("task_not_ended", error.to_string()).with_retry_after(1),
            TaskError::NoResult(_) => Self::conflict("no_result", error.to_string()),
            TaskError::Contended | TaskError::ScheduleContended => {
                Self::conflict("contended", error.to_string()).with_retry_after(1)
            }
        }
    }
}
