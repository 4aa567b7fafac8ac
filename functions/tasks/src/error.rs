//! What can go wrong here, and which problem it is.

use halyard_cloud::{objects::ObjectError, table::TableError};
use halyard_domain::{TaskId, task::TaskState, workflow::WorkflowState};
use halyard_http::Problem;
use halyard_store::{Constraint, StoreError};
use http::StatusCode;

/// Seconds after which a caller may try again what a dependency refused.
const RETRY_AFTER: u32 = 2;
/// The same when a lane is being drained: people do that, and end it.
const DRAINED: u32 = 60;
/// Seconds for which nothing more is taken from who has too much waiting.
pub const FULL: u32 = 5;

/// An error of this area.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The table of log lines.
    #[error(transparent)]
    Logs(#[from] TableError),
    /// The bucket of results.
    #[error(transparent)]
    Objects(#[from] ObjectError),
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
    /// No such webhook, or not the caller's.
    #[error("there is no such delivery")]
    NoSuchDelivery,
    /// No webhook went there.
    #[error("there is no such endpoint")]
    NoSuchEndpoint,
    /// It is to be repeated and has not ended.
    #[error("the delivery has not ended yet")]
    StillOwed,
    /// It is to be repeated, and nothing is sent there.
    #[error("the endpoint is disabled")]
    EndpointDisabled,
    /// It is to be repeated, and was often enough.
    #[error("the delivery has had {} attempts", halyard_store::webhooks::MOST_ATTEMPTS)]
    SentTooOften,
    /// In a terminal state already.
    #[error("the task has ended: {0}")]
    Ended(TaskState),
    /// Its result is asked for, but it has not ended.
    #[error("the task has not ended yet: {0}")]
    NotEnded(TaskState),
    /// Its result is asked for, but it did not end well.
    #[error("the task has no result: {0}")]
    NoResult(TaskState),
    /// It is to be tried again, but it has not ended, or ended well.
    #[error("only a task that failed, was cancelled, expired or died can be tried again: {0}")]
    NotForRetry(TaskState),
    /// It is to be tried again, but a task does that already.
    #[error("the task was tried again before{}", .0.map(|id| format!(", as {id}: try that one again")).unwrap_or_default())]
    RetriedBefore(Option<TaskId>),
    /// It is to be tried again, but another task that has not ended has its unique key.
    #[error("another task that has not ended has the task's unique key")]
    KeyInUse,
    /// It is to be tried again, but nobody can run it any more.
    #[error("there is no code for tasks of the type {0:?} any more")]
    TypeGone(String),
    /// It is to be tried again, but its input was to come from steps that never ended.
    #[error("the step was never released: retry its workflow")]
    Unreleased,
    /// As many tasks wait as may.
    #[error("too many tasks wait: {0}")]
    Full(&'static str),
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
            TaskError::Store(StoreError::Conflict(Constraint::LaneDraining)) => {
                Self::conflict("lane_draining", "the lane is being drained: it takes nothing new")
                    .with_retry_after(DRAINED)
            }
            // A new task's id is random and long: a second one like it is a fault of ours.
            TaskError::Store(error @ (StoreError::Internal(_) | StoreError::Conflict(_))) => Self::internal(&error),
            TaskError::Logs(TableError::Unavailable(why)) => {
                Self::unavailable("the log store is unavailable", RETRY_AFTER).with_source(why)
            }
            TaskError::Logs(error @ (TableError::ConditionFailed | TableError::Refused(_))) => Self::internal(&error),
            TaskError::Objects(ObjectError::Unavailable(why)) => {
                Self::unavailable("the store of results is unavailable", RETRY_AFTER).with_source(why)
            }
            TaskError::Objects(error @ ObjectError::Refused { .. }) => Self::internal(&error),
            TaskError::NotFound => Self::not_found("there is no such task"),
            TaskError::NoSuchLane => Self::not_found("there is no such queue"),
            TaskError::NoSuchWorkflow => Self::not_found("there is no such workflow"),
            TaskError::WorkflowEnded(_) => Self::conflict("workflow_ended", error.to_string()),
            TaskError::WorkflowRuns => Self::conflict("workflow_not_ended", error.to_string()).with_retry_after(1),
            TaskError::NothingToRetry => Self::conflict("nothing_to_retry", error.to_string()),
            TaskError::NoSuchSchedule => Self::not_found("there is no such schedule"),
            TaskError::TooManySchedules => Self::conflict("too_many_schedules", error.to_string()),
            TaskError::VersionMismatch => Self::precondition_failed(error.to_string()),
            TaskError::NoSuchDelivery => Self::not_found("there is no such delivery"),
            TaskError::NoSuchEndpoint => Self::not_found("there is no such endpoint"),
            TaskError::StillOwed => Self::conflict("delivery_owed", error.to_string()),
            TaskError::SentTooOften => Self::conflict("sent_too_often", error.to_string()),
            TaskError::EndpointDisabled => Self::conflict("endpoint_disabled", error.to_string()),
            TaskError::Ended(_) => Self::conflict("task_ended", error.to_string()),
            TaskError::NotEnded(_) => Self::conflict("task_not_ended", error.to_string()).with_retry_after(1),
            TaskError::NoResult(_) => Self::conflict("no_result", error.to_string()),
            TaskError::Full(whose) => {
                Self::new(StatusCode::TOO_MANY_REQUESTS, "queue_full", format!("too many tasks wait: {whose}"))
                    .with_retry_after(FULL)
            }
            TaskError::NotForRetry(_) => Self::conflict("not_retryable", error.to_string()),
            TaskError::RetriedBefore(_) => Self::conflict("retried_before", error.to_string()),
            TaskError::KeyInUse => Self::conflict("unique_key_in_use", error.to_string()),
            TaskError::TypeGone(_) => Self::conflict("unknown_task_type", error.to_string()),
            TaskError::Unreleased => Self::conflict("step_not_released", error.to_string()),
            TaskError::Contended | TaskError::ScheduleContended => {
                Self::conflict("contended", error.to_string()).with_retry_after(1)
            }
        }
    }
}
